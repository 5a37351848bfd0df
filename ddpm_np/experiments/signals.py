"""The notes' experiment, one random curve, and the whole family of such signals.

Source: N2 "扩散模型的信号生成实践".
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpm_np._measurement import mean_and_error
from ddpm_np.closed_form.distributions import Gaussian, PointMass, wasserstein2
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_losses, optimal_variance
from ddpm_np.closed_form.likelihood import vlb_terms
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.experiments import figures
from ddpm_np.experiments.base import Experiment, Pictures
from ddpm_np.experiments.evaluation import (
    REPEATS,
    Evaluation,
    distance,
    drawn,
    fit,
    mean_over_t,
    rms_distance,
    scatter,
    spectrum,
)
from ddpm_np.experiments.loss_figures import loss
from ddpm_np.experiments.training import Training
from ddpm_np.experiments.words import Rows
from ddpm_np.sampling import Denoiser
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve


@dataclass(frozen=True)
class Signals(Experiment):
    """What the two have in common: sums of n_frequencies sines, one second long.

    The frequencies are drawn with the seed, uniformly from (0, dim / 10) Hz, the same for both.
    """

    n_frequencies: int = 5

    @abstractmethod
    def distribution(self) -> Gaussian: ...

    def evaluate(self, training: Training, networks: Mapping[str, Denoiser]) -> Evaluation:
        dist, schedule, rng, n = (
            self.distribution(),
            training.schedule,
            self.rng("evaluation"),
            self.samples,
        )
        network, ideal = training.denoiser(), IdealDenoiser(dist, schedule)
        losses = estimate_losses(network, dist, schedule, n=n, rng=rng)
        seed = int(rng.integers(2**63))
        samples, path = drawn(network, schedule, n, dist.dim, seed)
        ideal_samples, ideal_path = drawn(ideal, schedule, n, dist.dim, seed)
        data = dist.sample(n, rng=rng)
        least, floor = mean_over_t(losses.loss, losses.loss_error), float(losses.floor[1:].mean())
        rows = Rows(self.name)
        rows.add("loss", *least, floor)
        found = Evaluation(rows, losses, samples, ideal_samples, data, path, ideal_path, spectra={})
        self._compare(found, network, schedule, rng)
        return found

    @abstractmethod
    def _compare(
        self, found: Evaluation, network: Denoiser, schedule: Schedule, rng: np.random.Generator
    ) -> None:
        """Adds rows and spectra, each number with its exact one."""


@dataclass(frozen=True)
class Curve(Signals):
    """One random curve."""

    name = "curve"

    hidden: tuple[int, ...] = (256,)
    steps: int = 6000
    batch_size: int = 100  # each step once; a batch larger than T gains nothing
    learning_rate: float = 2e-2
    ema_decay: float = 0.99
    basis_size: int = 8  # without a basis the samples miss the curve by half as much again
    beta_2: float = 0.99

    def distribution(self) -> PointMass:
        curve = multi_sine_curve(self.dim, self.n_frequencies, rng=self.rng("signals"))
        return PointMass(curve)

    def facts(self) -> dict[str, Any]:
        return {"dim": self.dim}

    def pictures(self, training: Training, found: Evaluation) -> Pictures:
        curve, schedule = self.distribution().mean, training.schedule
        yield "samples", figures.curve_samples(found.samples, curve)
        yield "reverse", figures.reverse(found.path, found.ideal_path, curve)
        yield "loss", loss(training, found.losses)
        yield "forward", figures.forward(schedule, found.data[0], self.rng("evaluation"))
        yield "schedule", figures.schedule_tables(schedule)

    def _compare(
        self, found: Evaluation, network: Denoiser, schedule: Schedule, rng: np.random.Generator
    ) -> None:
        """How far samples are from the one curve; the exact sampler returns it."""
        curve, add = self.distribution().mean, found.rows.add
        off, ideal_off = (rms_distance(x, curve) for x in (found.samples, found.ideal))
        rms, ideal_rms = (np.sqrt(np.square(v).mean()) for v in (off, ideal_off))
        add("rms_distance", rms, None, 0.0)
        add("worst_distance", off.max(), None, 0.0, n=len(off))
        add("ideal_rms_distance", ideal_rms, None, 0.0)


@dataclass(frozen=True)
class Ensemble(Signals):
    """The family of all signals with these frequencies, of random amplitudes and phases."""

    name = "ensemble"

    hidden: tuple[int, ...] = (128,)
    steps: int = 12_000
    batch_size: int = 500
    learning_rate: float = 1e-2
    ema_decay: float = 0.9993
    mirrored: bool = True
    basis_size: int = 40
    beta_2: float = 0.99

    def distribution(self) -> MultiSine:
        return MultiSine.random(self.n_frequencies, self.dim, rng=self.rng("signals"))

    def facts(self) -> dict[str, Any]:
        dist = self.distribution()
        frequencies = ", ".join(f"{f:.3g}" for f in np.sort(dist.frequencies))
        counts = {"n_frequencies": self.n_frequencies, "rank": dist.rank, "dim": self.dim}
        return {"frequencies": frequencies, **counts}

    def pictures(self, training: Training, found: Evaluation) -> Pictures:
        dist, schedule = self.distribution(), training.schedule
        yield "samples", figures.samples(found.samples, found.ideal, dist)
        yield "reverse", figures.reverse(found.path, found.ideal_path)
        yield "loss", loss(training, found.losses)
        yield "spectrum", figures.spectrum(found.spectra, dist.rank)
        yield "forward", figures.forward(schedule, found.data[0], self.rng("evaluation"))
        yield "schedule", figures.schedule_tables(schedule)

    def _compare(
        self, found: Evaluation, network: Denoiser, schedule: Schedule, rng: np.random.Generator
    ) -> None:
        dist, losses = self.distribution(), found.losses
        share = 100 / losses.floor[1:].mean()
        excess = mean_over_t(share * losses.excess, share * losses.excess_error)
        found.rows.add("excess_percent", *excess, 0.0)
        self._distances(found, dist, schedule, rng)
        self._bounds(found.rows, network, dist, schedule, rng)
        found.spectra.update(
            {
                "data": dist.spectrum,
                "exact sampler": sampler_distribution(dist, schedule).spectrum,
                "network": spectrum(found.samples),
                "ideal": spectrum(found.ideal),
                "true sample": spectrum(found.data),
            }
        )

    def _distances(
        self, found: Evaluation, dist: Gaussian, schedule: Schedule, rng: np.random.Generator
    ) -> None:
        """How far the Gaussian fit to the samples is off, and what is off the support.

        Like is compared with like: the samples with those of the ideal denoiser from the same
        noise; and their distance to the data with that of equally many other ones.
        """
        add, n, output = found.rows.add, len(found.samples), sampler_distribution(dist, schedule)
        true, best = (
            np.array([distance(p.sample(n, rng=rng), dist) for _ in range(REPEATS)])
            for p in (dist, output)
        )
        outside = np.square(dist.coordinates(found.samples)[0][:, dist.rank :]).sum(1).mean()
        known = wasserstein2(output, dist)
        add("w2", distance(found.samples, fit(found.ideal)), None, 0.0, n=n)
        add("w2_data", distance(found.samples, dist), n=n)
        add("w2_ideal", distance(found.ideal, dist), n=n)
        for name, values, exact in (("w2_true", true, None), ("w2_exact_sampler", best, known)):
            add(name, *mean_and_error(values), exact, n=n, scatter=scatter(values))
        add("outside_rms", np.sqrt(outside / dist.dim), None, 0.0, rank=dist.rank, dim=dist.dim)

    def _bounds(
        self,
        rows: Rows,
        network: Denoiser,
        dist: Gaussian,
        schedule: Schedule,
        rng: np.random.Generator,
    ) -> None:
        """The variational bound and the entropy, both for x_1."""
        noisy = dist.diffuse(schedule, 1)
        denoiser, rest = chain_from_first_step(network, schedule)
        ideal, variance = IdealDenoiser(noisy, rest), optimal_variance(noisy, rest)
        best = vlb_terms(ideal, noisy, rest, variance=variance).total
        found = vlb_terms(denoiser, noisy, rest, variance=variance, n=self.samples, rng=rng)
        kernel = vlb_terms(ideal, noisy, rest, variance="kernel").total
        rows.add("bound", found.total, found.standard_error, best)
        rows.add("bound_kernel", kernel, None, noisy.entropy)


def chain_from_first_step(denoiser: Denoiser, schedule: Schedule) -> tuple[Denoiser, Schedule]:
    """The chain with x_1 as its clean signal: its denoiser and its schedule beta_2 .. beta_T.

    eps_hat since x_1 = sqrt((1 - alpha_bar_t / alpha_bar_1) / (1 - alpha_bar_t)) eps_hat(x_t, t)

    From: E24; the score at a level does not depend on where the chain began. x_1 is the noisy
    ensemble. Its covariance is regular even where that of x_0 is not, so it has an entropy in the
    ordinary sense.
    """
    rest = Schedule.from_beta(schedule.beta[2:])
    ratio = np.sqrt(rest.one_minus_alpha_bar[1:] / schedule.one_minus_alpha_bar[2:])
    return lambda x, t: ratio[t - 1] * denoiser(x, t + 1), rest
