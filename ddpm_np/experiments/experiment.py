"""The two experiments of the main job: what they are, and how one is trained, saved and taken up again.

After :mod:`ddpm_np.training` and :mod:`ddpm_np.signals`. ``curve`` is the notes' own experiment, one random curve of 50 points;
``ensemble`` is the whole family of signals that share its frequencies. Every number that decides the outcome stands in
:class:`Experiment`, with its default in ``CURVE`` and ``ENSEMBLE`` below, and nowhere else. :mod:`ddpm_np.experiments.evaluation` measures
what was learned, :mod:`ddpm_np.experiments.folder` keeps the folder.

Source: N2 "扩散模型的信号生成实践".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian, PointMass
from ddpm_np.learning.checkpoint import load_checkpoint, save_checkpoint
from ddpm_np.network import MLP, Layer
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve
from ddpm_np.training import StepRecord, TrainingState, train

__all__ = ["CURVE", "ENSEMBLE", "EXPERIMENTS", "Experiment", "Training"]


@dataclass(frozen=True)
class Experiment:
    """One experiment: the same object gives the same numbers, bit for bit on one machine.

    The frequencies are drawn from the seed, uniformly from (0, dim / 10) Hz; both experiments draw the same ones. ``samples`` is
    the number of signals drawn when the result is measured.
    """

    name: str
    hidden: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    activation: str = "leaky_relu"
    max_norm: float = 1.0
    dim: int = 50
    n_frequencies: int = 5
    T: int = 100
    beta_max: float = 0.1
    samples: int = 2000
    seed: int = 0
    quick: bool = False

    def rng(self, use: str) -> np.random.Generator:
        """A generator of its own for each use, so that what one of them draws moves no other."""
        return np.random.default_rng([self.seed, ("signals", "weights", "training", "evaluation").index(use)])

    def schedule(self) -> Schedule:
        """The notes' schedule."""
        return Schedule.sigmoid(self.T, beta_max=self.beta_max)

    def distribution(self) -> Gaussian:
        """The law of x_0: a point for ``curve``, the multi-sine ensemble for ``ensemble``."""
        if self.name == "curve":
            return PointMass(multi_sine_curve(self.dim, self.n_frequencies, rng=self.rng("signals")))
        return MultiSine.random(self.n_frequencies, self.dim, rng=self.rng("signals"))

    def network(self) -> MLP:
        """The untrained network; its skip is the exact answer for white noise of variance 1."""
        gains, layers = np.sqrt(self.schedule().one_minus_alpha_bar), [Layer(width, self.activation) for width in self.hidden]
        return MLP(self.dim, self.T, hidden=layers, rng=self.rng("weights"), skip=gains)

    def variant(self, *, seed: int | None = None, steps: int | None = None, quick: bool = False) -> Experiment:
        """With another seed or number of steps; ``quick`` takes few steps, unless told how many, and measures with few samples."""
        chosen = replace(self, **QUICK, quick=True) if quick else self
        return replace(chosen, seed=self.seed if seed is None else seed, steps=chosen.steps if steps is None else steps)

    @property
    def config(self) -> dict[str, Any]:
        """All fields, in types that JSON gives back as they are."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Experiment:
        """The experiment of that :attr:`config`."""
        return cls(**{**config, "hidden": tuple(config["hidden"])})


CURVE = Experiment(
    "curve", hidden=(256,), activation="silu", steps=8000, batch_size=250, learning_rate=2e-2, ema_decay=0.99,
)  # with the leaky ReLU the samples miss the curve by twice as much
ENSEMBLE = Experiment("ensemble", hidden=(128, 128), steps=20_000, batch_size=500, learning_rate=1e-2, ema_decay=0.999)
EXPERIMENTS = {experiment.name: experiment for experiment in (CURVE, ENSEMBLE)}
QUICK = {"steps": 500, "samples": 500, "ema_decay": 0.99}  # an average over fewer steps, as there are few
HISTORY = 200  # points of the loss curve: each is the mean over a block of steps


class Training:
    """An experiment under way: its state, and the history of its loss, which are saved together.

    ``losses`` holds the mean loss of each complete block of ``block_size`` steps, ``block`` the losses of the one that has begun.
    An interrupted training that is loaded and continued gives bit for bit the weights and the history of one that never stopped.
    Checked by: tests/experiments/test_cli.py.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.schedule, self.distribution = experiment.schedule(), experiment.distribution()
        self.state = TrainingState(experiment.network(), rng=experiment.rng("training"), ema_decay=experiment.ema_decay)
        self.losses: list[float] = []
        self.block: list[float] = []

    @property
    def block_size(self) -> int:
        return max(1, self.experiment.steps // HISTORY)

    def run(self) -> Iterator[StepRecord]:
        """Trains to the last step and yields a record after each (E16); may be left at any record, and saved there."""
        e = self.experiment
        for record in train(
            self.state.network, self.distribution, self.schedule, steps=e.steps, batch_size=e.batch_size,
            learning_rate=e.learning_rate, max_norm=e.max_norm, state=self.state,
        ):
            self.block.append(record.loss)
            if len(self.block) == self.block_size:
                self.losses.append(float(np.mean(self.block)))
                self.block = []
            yield record

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state and the history to one checkpoint."""
        config = {"experiment": self.experiment.config, "losses": self.losses, "block": self.block}
        save_checkpoint(path, self.state, self.schedule, config)

    @classmethod
    def load(cls, path: str | os.PathLike[str], experiment: Experiment) -> Training:
        """The training that was saved there. ValueError for a damaged file, or one of another experiment."""
        state, schedule, config = load_checkpoint(path)
        training = cls(experiment)
        saved = config.get("experiment") if isinstance(config, dict) else None
        if saved != experiment.config:
            raise ValueError(f"{path} was saved by another run: {difference(saved, experiment.config)}")
        if schedule != training.schedule or state.network.config != training.state.network.config:
            raise ValueError(f"{path} was saved by another run: its schedule or its network is another one")
        training.state, training.losses, training.block = state, config["losses"], config["block"]
        return training


def difference(saved: Any, wanted: Mapping[str, Any]) -> str:
    """The first setting in which a saved configuration differs from the wanted one, in words."""
    if not isinstance(saved, Mapping):
        return "it holds no experiment"
    for key, value in wanted.items():
        if saved.get(key) != value:
            return f"its {key} is {saved.get(key)}, not {value}"
    return "it has settings that this version does not know"
