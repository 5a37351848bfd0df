"""The experiments of ``run``: their settings, and how one is trained, saved and loaded.

``curve`` is the experiment of the notes, one random curve of 50 points; ``ensemble`` is the whole
family of signals with its frequencies; ``rings`` is the notes' experiment with pictures, in
:mod:`ddpm_np.experiments.rings`. Every number that decides the outcome is a field of
:class:`Experiment`, with its value in ``CURVE``, ``ENSEMBLE`` and ``RINGS`` below. The module
:mod:`ddpm_np.experiments.evaluation` measures what was learned, and
:mod:`ddpm_np.experiments.folder` keeps the folder.

Source: N2 "扩散模型的信号生成实践", "反扩散的样例".
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from ddpm_np._checks import check_count, check_flag, check_fraction, check_positive
from ddpm_np.closed_form.distributions import Gaussian, PointMass, Rings
from ddpm_np.learning.checkpoint import load_checkpoint, save_checkpoint
from ddpm_np.learning.fast import FastGradient
from ddpm_np.learning.layers import step_basis
from ddpm_np.learning.parameters import Network
from ddpm_np.learning.unet import UNet, preconditioning
from ddpm_np.network import MLP, Layer
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve
from ddpm_np.training import Divergence, StepRecord, TrainingState, train

NAMES = ("curve", "ensemble", "rings")
KINDS: dict[str, type[Network]] = {network.kind: network for network in (MLP, UNet)}
# The smallest and the largest value of each whole number. The largest are far above what anyone
# runs; they keep a damaged file from asking for more memory or time than there is.
RANGES = {
    "steps": (1, 10**9),
    "batch_size": (1, 10**6),
    "dim": (1, 10**4),
    "n_frequencies": (1, 10**4),
    "T": (1, 10**5),
    "samples": (2, 10**7),
}


@dataclass(frozen=True)
class Experiment:
    """The settings of one experiment; equal ones give equal numbers, bit for bit on one machine.

    The frequencies are drawn with the seed, uniformly from (0, dim / 10) Hz, and both experiments
    draw the same ones. ``samples`` is the number of samples drawn to measure the result. For
    ``rings``, dim is the number of pixels, a square, and ``hidden`` holds the widths of the U-Net.

    TypeError or ValueError, naming the field, for a value of another type or out of its range.
    """

    name: str
    hidden: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    activation: str = "leaky_relu"
    mirrored: bool = False
    basis_size: int = 0
    beta_2: float = 0.999
    max_norm: float = 1.0
    dim: int = 50
    n_frequencies: int = 5
    T: int = 100
    beta_max: float = 0.1
    samples: int = 2000
    seed: int = 0
    quick: bool = False

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"name must be one of {', '.join(NAMES)}, got {str(self.name)[:40]!r}")
        for name, (low, high) in RANGES.items():
            if check_count(name, getattr(self, name), low=low) > high:
                raise ValueError(f"{name} must be at most {high}")
        if not isinstance(self.hidden, tuple) or not 1 <= len(self.hidden) <= 100:
            raise TypeError("hidden must be a tuple of 1 to 100 widths")
        for width in self.hidden:
            if check_count("hidden", width) > 10**5:
                raise ValueError(f"hidden must hold widths up to {10**5}")
        for name in ("learning_rate", "max_norm"):
            check_positive(name, getattr(self, name))
        check_fraction("ema_decay", self.ema_decay, below_one=True)
        check_fraction("beta_2", self.beta_2, below_one=True)
        if (
            not 0 <= check_count("basis_size", self.basis_size, low=0) <= 10**4
            or self.basis_size == 1
        ):
            raise ValueError("basis_size must be 0, for no basis, or from 2 to 10000")
        check_flag("mirrored", self.mirrored)
        if not 0 < check_fraction("beta_max", self.beta_max, below_one=True):
            raise ValueError("beta_max must be above 0")
        Layer(1, self.activation)
        if self.name == "rings" and self._size() ** 2 != self.dim:
            raise ValueError(f"dim must be a square for pictures, got {self.dim}")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise TypeError("seed must be a whole number")
        if self.seed < 0:
            raise ValueError("seed must be at least 0")
        check_flag("quick", self.quick)

    def rng(self, use: str) -> np.random.Generator:
        """A generator for each use, so that a draw for one use does not change another."""
        uses = ("signals", "weights", "training", "evaluation")
        return np.random.default_rng([self.seed, uses.index(use)])

    def schedule(self) -> Schedule:
        """The schedule of the notes."""
        return Schedule.sigmoid(self.T, beta_max=self.beta_max)

    def distribution(self) -> Gaussian | Rings:
        """The distribution of x_0: a point, a multi-sine family, or a family of rings."""
        if self.name == "rings":
            return Rings(self._size())
        if self.name == "curve":
            curve = multi_sine_curve(self.dim, self.n_frequencies, rng=self.rng("signals"))
            return PointMass(curve)
        return MultiSine.random(self.n_frequencies, self.dim, rng=self.rng("signals"))

    def network(self) -> Network:
        """The untrained network: a U-Net for pictures, else an MLP.

        The skip of the MLP is the exact answer for white noise of variance 1.
        """
        schedule, rng = self.schedule(), self.rng("weights")
        noise = schedule.one_minus_alpha_bar
        basis = step_basis(noise, self.basis_size) if self.basis_size else None
        if self.name == "rings":
            skip, gain = preconditioning(schedule, Rings(self._size()).mean_square)
            return UNet(
                self._size(), self.T, widths=self.hidden, rng=rng, skip=skip, gain=gain, basis=basis
            )
        layers = [Layer(width, self.activation) for width in self.hidden]
        return MLP(
            self.dim,
            self.T,
            hidden=layers,
            rng=rng,
            skip=np.sqrt(noise),
            basis=basis,
            mirrored=self.mirrored,
        )

    def _size(self) -> int:
        """The edge of a picture, in pixels."""
        return math.isqrt(self.dim)

    def variant(
        self, *, seed: int | None = None, steps: int | None = None, quick: bool = False
    ) -> Experiment:
        """The same with another seed or number of steps.

        ``quick`` trains for few steps, unless ``steps`` is given, and measures with few samples.
        """
        short = QUICK_RINGS if self.name == "rings" else QUICK
        chosen = replace(self, **short, quick=True) if quick else self
        return replace(
            chosen,
            seed=self.seed if seed is None else seed,
            steps=chosen.steps if steps is None else steps,
        )

    @property
    def config(self) -> dict[str, Any]:
        """All fields, in types that JSON returns unchanged."""
        return {**asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def from_config(cls, config: Any) -> Experiment:
        """The experiment of that :attr:`config`. TypeError or ValueError if it is not one."""
        names = {field.name for field in fields(cls)}
        if not isinstance(config, dict):
            raise TypeError("an experiment must be an object with named settings")
        for name in sorted(names - config.keys()):
            raise ValueError(f"{name} is missing")
        for name in sorted(config.keys() - names):
            raise ValueError(f"{name[:40]!r} is not a setting")
        if not isinstance(config["hidden"], list):
            raise TypeError("hidden must be a list of widths")
        return cls(**{**config, "hidden": tuple(config["hidden"])})


CURVE = Experiment(
    "curve",
    hidden=(256,),
    activation="silu",
    steps=8000,
    batch_size=250,
    learning_rate=2e-2,
    ema_decay=0.99,
)  # with the leaky ReLU the samples miss the curve by twice as much
ENSEMBLE = Experiment(
    "ensemble",
    hidden=(128,),
    activation="silu",
    mirrored=True,
    basis_size=40,
    steps=12_000,
    batch_size=500,
    learning_rate=1e-2,
    beta_2=0.99,
    ema_decay=0.9993,
)
RINGS = Experiment(
    "rings",
    hidden=(16, 32, 64),
    activation="silu",
    basis_size=12,
    steps=7000,
    batch_size=8,
    learning_rate=6e-3,
    ema_decay=0.99,
    dim=256,
    samples=64,
)
EXPERIMENTS = {experiment.name: experiment for experiment in (CURVE, ENSEMBLE, RINGS)}
BY_DEFAULT = ("curve", "ensemble")  # what ``run`` runs; the rings take minutes
QUICK: dict[str, Any] = {"steps": 500, "samples": 500, "ema_decay": 0.99}  # a shorter average
QUICK_RINGS: dict[str, Any] = {"steps": 40, "samples": 16, "ema_decay": 0.9}
HISTORY = 200  # points of the loss curve: each is the mean over a block of steps


class Training:
    """The training of an experiment: its state, and the history of its loss, saved together.

    ``losses`` holds the mean loss of each complete block of ``block_size`` steps, ``block`` the
    losses of the block that has begun. A training that is interrupted, loaded and continued gives
    bit for bit the weights and the history of one that never stopped.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.schedule, self.distribution = experiment.schedule(), experiment.distribution()
        self.state = TrainingState(
            experiment.network(),
            rng=experiment.rng("training"),
            ema_decay=experiment.ema_decay,
            beta_2=experiment.beta_2,
        )
        self.losses: list[float] = []
        self.block: list[float] = []

    @property
    def block_size(self) -> int:
        return max(1, self.experiment.steps // HISTORY)

    def run(self) -> Iterator[StepRecord]:
        """Trains to the last step and yields a record after each (E16).

        It may be stopped, and saved, at any record.
        """
        e = self.experiment
        for record in train(
            self.state.network,
            self.distribution,
            self.schedule,
            steps=e.steps,
            batch_size=e.batch_size,
            learning_rate=e.learning_rate,
            max_norm=e.max_norm,
            state=self.state,
            gradient=None if e.name == "rings" else FastGradient(),
        ):
            self.block.append(record.loss)
            if len(self.block) == self.block_size:
                self.losses.append(float(np.mean(self.block)))
                self.block = []
            yield record

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state and the history to one checkpoint.

        Raises Divergence where the weights are not finite.
        """
        config = {"experiment": self.experiment.config, "losses": self.losses, "block": self.block}
        try:
            save_checkpoint(path, self.state, self.schedule, config)
        except ValueError as error:
            raise Divergence(
                f"{error} at step {self.state.step}; try a lower learning_rate"
            ) from None

    @classmethod
    def load(cls, path: str | os.PathLike[str], experiment: Experiment) -> Training:
        """The training saved there.

        ValueError, naming the file, if it is damaged or was saved by another experiment.
        """
        state, schedule, config = load_checkpoint(path, KINDS)
        training = cls(experiment)
        saved = config.get("experiment") if isinstance(config, dict) else None
        if saved != experiment.config:
            raise ValueError(
                f"{path} was saved by another run: {difference(saved, experiment.config)}"
            )
        wanted = training.state
        same = (
            schedule == training.schedule
            and state.network.config == wanted.network.config
            and state.ema.decay == wanted.ema.decay
        )
        if not same:
            raise ValueError(f"{path} was saved by another run: its schedule or network differs")
        complete, begun = divmod(state.step, training.block_size)
        if state.step > experiment.steps:
            raise ValueError(
                f"{path} is at step {state.step}, but the run has {experiment.steps} steps"
            )
        training.losses = _losses(path, "losses", config, complete)
        training.block = _losses(path, "block", config, begun)
        training.state = state
        return training


def _losses(
    path: str | os.PathLike[str], name: str, config: Mapping[str, Any], length: int
) -> list[float]:
    found = config.get(name)
    if not isinstance(found, list) or len(found) != length or not all(map(_is_loss, found)):
        raise ValueError(f"{path} is damaged: its {name} must be {length} finite numbers")
    return found


def _is_loss(value: Any) -> bool:
    return isinstance(value, float) and 0 <= value < np.inf


def difference(saved: Any, wanted: Mapping[str, Any]) -> str:
    """The first setting in which a saved configuration differs from the wanted one, in words."""
    if not isinstance(saved, Mapping):
        return "it holds no experiment"
    for key, value in wanted.items():
        if saved.get(key) != value:
            return f"its {key} is {str(saved.get(key))[:40]}, not {value}"
    return "it has settings that this version does not know"
