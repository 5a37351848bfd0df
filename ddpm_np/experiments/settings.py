"""The settings of an experiment, and what they say is trained.

A frozen dataclass: every number that decides the outcome is a field, and equal fields give equal
numbers, bit for bit on one machine. :mod:`ddpm_np.experiments.training` trains what they say;
:mod:`ddpm_np.experiments.base` adds what is measured and drawn.
"""

from __future__ import annotations

import math
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from ddpm_np._checks import (
    Array,
    check_choice,
    check_count,
    check_flag,
    check_fraction,
    check_positive,
)
from ddpm_np.closed_form.distributions import Distribution
from ddpm_np.experiments.units import Units
from ddpm_np.learning.layers import step_basis
from ddpm_np.learning.parameters import Network
from ddpm_np.learning.unet import UNet
from ddpm_np.network import MLP, Layer
from ddpm_np.schedule import Schedule

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
    "seed": (0, math.inf),
}
# The largest beta of a schedule of T steps is this over T, so that x_T is noise for every T. The
# notes have 0.1 for T = 100; Ho et al. 0.02 for T = 1000.
NOISE = {"sigmoid": 10.0, "linear": 20.0, "cosine": math.inf}
MOST_NOISE = 0.999

_Any = TypeVar("_Any", bound="Settings")


class Job(NamedTuple):
    """One training: what learns what, how long, and how."""

    name: str
    network: Network
    distribution: Distribution
    steps: int
    learning_rate: float
    muon_rate: float = 0.0
    step_density: Array | None = None
    cost: float = 1.0  # of a step, in steps of the main training, to tell how long it takes


@dataclass(frozen=True)
class Settings(ABC):
    """The settings of one experiment: what is trained on what, and for how long.

    ``samples`` is the number of samples drawn to measure the result. TypeError or ValueError,
    naming the field, for a value of another type or out of its range.
    """

    name: ClassVar[str]
    short: ClassVar[Mapping[str, Any]] = {"steps": 500, "samples": 500, "ema_decay": 0.99}

    hidden: tuple[int, ...]
    steps: int
    batch_size: int
    learning_rate: float
    ema_decay: float
    activation: str = "silu"
    mirrored: bool = False
    basis_size: int = 0
    beta_2: float = 0.999
    max_norm: float = 1.0
    dim: int = 50
    T: int = 100
    noise: str = "sigmoid"
    beta_max: float = 0.1
    samples: int = 2000
    seed: int = 0
    quick: bool = False

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if hasattr(self, name) and check_count(name, getattr(self, name), low=low) > high:
                raise ValueError(f"{name} must be at most {high}, got {getattr(self, name)}")
        if not isinstance(self.hidden, tuple) or not 1 <= len(self.hidden) <= 100:
            raise TypeError("hidden must be a tuple of 1 to 100 widths")
        for width in self.hidden:
            if check_count("hidden", width) > 10**5:
                raise ValueError(f"hidden must hold widths up to {10**5}")
        for name in ("learning_rate", "max_norm"):
            check_positive(name, getattr(self, name))
        for name in ("ema_decay", "beta_2", "beta_max"):
            check_fraction(name, getattr(self, name), below_one=True)
        if not self.beta_max > 0:
            raise ValueError("beta_max must be above 0")
        if check_count("basis_size", self.basis_size, low=0) == 1 or self.basis_size > 10**4:
            raise ValueError("basis_size must be 0, for no basis, or from 2 to 10000")
        for name in ("mirrored", "quick"):
            check_flag(name, getattr(self, name))
        check_choice("noise", self.noise, *NOISE)
        Layer(1, self.activation)

    # ---- what each experiment says

    @abstractmethod
    def distribution(self) -> Distribution:
        """The distribution of x_0."""

    def network(self) -> Network:
        """The untrained network, an MLP whose skip is the exact answer for white noise."""
        layers = [Layer(width, self.activation) for width in self.hidden]
        return MLP(
            self.dim,
            self.T,
            hidden=layers,
            rng=self.rng("weights"),
            skip=np.sqrt(self.schedule().one_minus_alpha_bar),
            basis=self.basis(),
            mirrored=self.mirrored,
        )

    def further(self) -> list[Job]:
        """The trainings after the main one, which the evaluation needs."""
        return []

    def units(self) -> Units | None:
        """What brings samples back to the user's units; None where they are in these."""
        return None

    # ---- what all have

    def job(self) -> Job:
        """The main training."""
        distribution = self.distribution()
        return Job(self.name, self.network(), distribution, self.steps, self.learning_rate)

    def rng(self, use: str) -> np.random.Generator:
        """A generator for each use, so that a draw for one use does not change another."""
        uses = ("signals", "weights", "training", "evaluation")
        return np.random.default_rng([self.seed, uses.index(use)])

    def schedule(self) -> Schedule:
        """The schedule of the notes, unless another one is asked for."""
        if self.noise == "cosine":
            return Schedule.cosine(self.T, beta_max=self.beta_max)
        if self.noise == "linear":
            least = self.beta_max / 200  # as in Ho et al.
            return Schedule.linear(self.T, beta_min=least, beta_max=self.beta_max)
        return Schedule.sigmoid(self.T, beta_max=self.beta_max)

    def basis(self) -> Array | None:
        """The basis of the steps, for gates that change slowly with t."""
        noise = self.schedule().one_minus_alpha_bar
        return step_basis(noise, self.basis_size) if self.basis_size else None

    def variant(self: _Any, *, quick: bool = False, **settings: Any) -> _Any:
        """The same with other settings; those that are None stay.

        ``quick`` trains for few steps, unless ``steps`` is given, and measures with few samples.
        Another T or kind of schedule comes with a beta_max that makes x_T noise.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        if {"T", "noise"} & given.keys():
            noise, T = given.get("noise", self.noise), given.get("T", self.T)
            given["beta_max"] = min(NOISE[noise] / T, MOST_NOISE)
        return replace(self, **{**(self.short if quick else {}), "quick": quick, **given})

    def command(self) -> str:
        """The arguments of ``run`` that give this experiment again."""
        first = getattr(self, "data", None)
        which = f"--experiment {self.name}" if first is None else f"--data {shlex.quote(first)}"
        given = [which, f"--seed {self.seed}", f"--steps {self.steps}"]
        for name in ("T", "noise", "batch_size"):
            if getattr(self, name) != getattr(type(self), name):  # the default
                given.append(f"--{option(name)} {getattr(self, name)}")
        return " ".join([*given, *(["--quick"] if self.quick else [])])

    @property
    def config(self) -> dict[str, Any]:
        """The name and all fields, in types that JSON returns unchanged."""
        return {"name": self.name, **asdict(self), "hidden": list(self.hidden)}

    @classmethod
    def of(cls: type[_Any], config: Mapping[str, Any]) -> _Any:
        """The experiment of that :attr:`config`. TypeError or ValueError if it is not one."""
        names = {"name", *(field.name for field in fields(cls))}
        for name in sorted(names - config.keys()):
            raise ValueError(f"{name} is missing")
        for name in sorted(config.keys() - names):
            raise ValueError(f"{name[:40]!r} is not a setting")
        if not isinstance(config["hidden"], list):
            raise TypeError("hidden must be a list of widths")
        given = {**config, "hidden": tuple(config["hidden"])}
        del given["name"]
        return cls(**given)


def option(name: str) -> str:
    """What the command line calls a setting."""
    return {"noise": "schedule"}.get(name, name.replace("_", "-"))
