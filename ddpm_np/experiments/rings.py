"""The notes' experiment with pictures: a U-Net learns rings, and each number has an exact one.

The main training learns the family, whose distribution is known by quadrature
(:class:`ddpm_np.closed_form.distributions.Rings`). Further trainings follow, each in a fraction of
the time: an MLP for comparison; a U-Net on 5, 16, 64 and 256 pictures, to see whether it remembers
them or draws new rings (Kadkhodaie et al. 2024); and on the five a U-Net that is stopped early and
a network of three layers, beside the best that any denoiser of its field of view can do (Kamb and
Ganguli 2024). What is trained is said here, what is measured in
:mod:`ddpm_np.experiments.rings_evaluation`, and drawn in :mod:`ddpm_np.experiments.rings_figures`.

Source: N2 "反扩散的样例".
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_np._checks import Array, check_positive
from ddpm_np.closed_form.distributions import Distribution, Empirical, Rings
from ddpm_np.experiments import rings_figures
from ddpm_np.experiments.base import Experiment, Pictures
from ddpm_np.experiments.evaluation import Evaluation
from ddpm_np.experiments.loss_figures import rings_loss
from ddpm_np.experiments.rings_evaluation import (
    MLP_RATE,
    PICTURES,
    SEEN,
    RingsEvaluation,
    evaluate_rings,
)
from ddpm_np.experiments.settings import Job
from ddpm_np.experiments.training import Training
from ddpm_np.learning.unet import UNet, preconditioning
from ddpm_np.network import MLP, Layer
from ddpm_np.sampling import Denoiser

MEMORY_SHARE, SHORT_SHARE = 0.2, 0.05  # of the main training's steps
MLP_COST = 0.3  # of a step, in steps of the U-Net


@dataclass(frozen=True)
class RingsExperiment(Experiment):
    """A family of rings. dim is the number of pixels, ``hidden`` holds the widths of the U-Net.

    muon_rate : the rate of the kernels, in multiples of the learning rate; all else is AdamW's
    step_power : t is drawn with a density proportional to t^-step_power, more often where the loss
        is hard to bring down. Every t has an optimum of its own, so that a weight changes none.
    """

    name = "rings"
    short = {"steps": 40, "samples": 16, "ema_decay": 0.9}

    hidden: tuple[int, ...] = (16, 32, 64)
    steps: int = 4000
    batch_size: int = 16
    learning_rate: float = 3e-2
    ema_decay: float = 0.99
    basis_size: int = 12
    dim: int = 256
    samples: int = 64
    muon_rate: float = 0.2
    step_power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("muon_rate", self.muon_rate, zero=True)
        check_positive("step_power", self.step_power, zero=True)
        if self.size**2 != self.dim:
            raise ValueError(f"dim must be a square for pictures, got {self.dim}")

    @property
    def size(self) -> int:
        """The edge of a picture, in pixels."""
        return math.isqrt(self.dim)

    def distribution(self) -> Rings:
        return Rings(self.size)

    def network(self) -> UNet:
        return self._unet(self.hidden)

    def job(self) -> Job:
        return self._job(self.name, self.network(), self.distribution(), self.steps)

    def _job(self, name: str, network: UNet, distribution: Distribution, steps: int) -> Job:
        """The training of a U-Net."""
        density = np.append(1.0, np.arange(1.0, self.T + 1) ** -self.step_power)
        rates = self.learning_rate, self.muon_rate
        return Job(name, network, distribution, steps, *rates, step_density=density)

    def further(self) -> list[Job]:
        family = self.distribution()
        skip, _ = preconditioning(self.schedule(), family.mean_square)
        layers = [Layer(2 * self.dim, "silu")] * 2
        mlp = MLP(self.dim, self.T, hidden=layers, rng=self.rng("weights"), skip=skip)
        jobs = [Job("mlp", mlp, family, self.steps, MLP_RATE, cost=MLP_COST)]
        steps, few = (max(1, round(share * self.steps)) for share in (MEMORY_SHARE, SHORT_SHARE))
        for k in PICTURES[:2] if self.quick else PICTURES:
            jobs.append(self._job(f"unet-{k}", self.network(), Empirical(self.some(k)), steps))
        five = Empirical(self.some(PICTURES[0]))
        three = self._unet((2 * self.hidden[0],), layers=SEEN // 2)
        jobs.append(self._job("short", self.network(), five, few))
        jobs.append(self._job("three-layers", three, five, steps))
        return jobs

    def some(self, k: int) -> Array:
        """k pictures of the family, on which networks are trained, (k, dim)."""
        return self.distribution().sample(k, rng=self.rng("signals"))

    def evaluate(self, training: Training, networks: Mapping[str, Denoiser]) -> Evaluation:
        return evaluate_rings(training, self.distribution(), self.some, networks)

    def pictures(self, training: Training, found: Evaluation) -> Pictures:
        assert isinstance(found, RingsEvaluation)
        yield "samples", rings_figures.samples(found.samples, found.data, found.mlp_samples)
        yield "views", rings_figures.views(found.columns)
        yield "reverse", rings_figures.chain(found)
        yield "loss", rings_loss(training, found.losses)
        yield "memory", rings_figures.memory(found.memories)
        yield "patches", rings_figures.patches(found)

    def facts(self) -> dict[str, Any]:
        return {"size": self.size}

    def _unet(self, widths: tuple[int, ...], **options: Any) -> UNet:
        skip, gain = preconditioning(self.schedule(), self.distribution().mean_square)
        settings = {"rng": self.rng("weights"), "basis": self.basis(), **options}
        return UNet(self.size, self.T, widths=widths, skip=skip, gain=gain, **settings)
