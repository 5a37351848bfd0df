"""What an experiment learned, measured, each number beside the exact one (E16, E17, E25, E27, E28).

After :mod:`ddpm_np.experiments.experiment`. All measurements use the averaged weights and a generator of their own, so that they depend on the
trained weights and the seed only. :mod:`ddpm_np.experiments.report` writes the rows, :mod:`ddpm_np.experiments.figures` draws the arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian, wasserstein2
from ddpm_np.closed_form.ideal import (
    IdealDenoiser,
    estimate_excess,
    estimate_loss,
    optimal_loss,
    optimal_variance,
)
from ddpm_np.closed_form.likelihood import vlb_terms
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.experiments.experiment import Training
from ddpm_np.sampling import Denoiser, ancestral_sample
from ddpm_np.schedule import Schedule

__all__ = ["Evaluation", "Row", "chain_from_first_step", "evaluate", "rms_distance"]

REPEATS = 20  # equally large true samples that the distance of the network's sample is compared with


class Row(NamedTuple):
    """One measured number, its standard error if it was sampled, and the exact number beside it."""

    what: str
    measured: float
    error: float | None
    exact: float | None
    remark: str

    def in_words(self) -> str:
        """The row as a line of text."""
        error = "" if self.error is None else f" +- {self.error:.1g}"
        exact = "" if self.exact is None else f", exact {self.exact:.4g}"
        return f"{self.what}: {self.measured:.4g}{error}{exact} ({self.remark})"


@dataclass(frozen=True)
class Evaluation:
    """What is known of a trained network.

    rows : the numbers of the report, by name
    floor, loss, loss_error : (T + 1,), index t: the Bayes floor, the network's loss, its standard error
    excess, excess_error : (T + 1,), index t: E|eps_hat - eps_star|^2 / dim, which the loss has above its floor; standard error
    samples, ideal, data : (n, dim): the network's samples, those of the ideal denoiser from the same noise, and true signals
    path, ideal_path : (T + 1, dim): one signal on its way from noise (last entry) to signal (entry 0), network and ideal denoiser
    spectra : the variances along the principal axes, descending, of the ensemble; empty for a point
    """

    rows: dict[str, Row]
    floor: Array
    loss: Array
    loss_error: Array
    excess: Array
    excess_error: Array
    samples: Array
    ideal: Array
    data: Array
    path: Array
    ideal_path: Array
    spectra: dict[str, Array]


def evaluate(training: Training) -> Evaluation:
    """Measures the averaged network of a training, complete or not. Checked by: tests/experiments/test_report.py."""
    e, schedule, law = training.experiment, training.schedule, training.distribution
    assert isinstance(law, Gaussian)
    rng, network, ideal = e.rng("evaluation"), training.state.ema_network(), IdealDenoiser(law, schedule)
    floor = optimal_loss(law, schedule)
    loss, loss_error = estimate_loss(network, law, schedule, n=e.samples, rng=rng)
    excess, excess_error = _excess_per_step(network, ideal, e.samples, rng)
    # The same generator state gives both chains the same noise; only the denoiser differs. The exact one runs in float64.
    noise_seed = int(rng.integers(2**63))
    samples, path = _draw(network, schedule, e.samples, noise_seed)
    ideal_samples, ideal_path = _draw(ideal, schedule, e.samples, noise_seed)
    data = law.sample(e.samples, rng=rng)

    mean_error = float(np.sqrt(np.square(loss_error[1:]).sum()) / schedule.T)
    rows = {"loss": Row("loss, mean over t", float(loss[1:].mean()), mean_error, float(floor[1:].mean()), "beside the Bayes floor")}
    if law.rank == 0:
        rows |= _curve_rows(samples, ideal_samples, law.mean)
        spectra = {}
    else:
        percent, error = (100 * v for v in estimate_excess(network, law, schedule, n=e.samples, rng=rng))
        remark = "mean over t of E|eps_hat - eps_star|^2, over dim times the floor"
        rows["excess_percent"] = Row("excess of the loss over its floor, in %", percent, error, 0.0, remark)
        rows |= _distance_rows(samples, ideal_samples, law, schedule, rng)
        rows |= _bound_rows(network, law, schedule, e.samples, rng)
        spectra = {
            "data": law.spectrum,
            "exact sampler": sampler_distribution(law, schedule).spectrum,
            "network": np.linalg.eigvalsh(_unbiased_covariance(samples))[::-1],
            "ideal": np.linalg.eigvalsh(_unbiased_covariance(ideal_samples))[::-1],
            "true sample": np.linalg.eigvalsh(_unbiased_covariance(data))[::-1],
        }
    return Evaluation(
        rows, floor, loss, loss_error, excess, excess_error, samples, ideal_samples, data, path, ideal_path, spectra
    )


def _excess_per_step(network: Denoiser, ideal: IdealDenoiser, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Mean and standard error at each t of |eps_hat - eps_star|^2 / dim, (T + 1,), entry 0 NaN."""
    schedule, law = ideal.schedule, ideal.distribution
    excess, error = np.full((2, schedule.T + 1), np.nan)
    for t in range(1, schedule.T + 1):
        x_t = law.diffuse(schedule, t).sample(n, rng=rng)
        off = np.square(network(x_t, t) - ideal(x_t, t)).mean(1)
        excess[t], error[t] = off.mean(), off.std(ddof=1) / np.sqrt(n)
    return excess, error


def _draw(denoiser: Denoiser, schedule: Schedule, n: int, seed: int) -> tuple[Array, Array]:
    """n samples, and the way of the first, (T + 1, dim), noted as it passes the denoiser.

    The whole trajectory would hold T times as many numbers as the samples.
    """
    way: list[Array] = []

    def noting(x: Array, t: int) -> Array:
        way.append(x[0].copy())
        return denoiser(x, t)

    rng = np.random.default_rng(seed)
    samples = ancestral_sample(noting, schedule, n, denoiser.dim, rng=rng, dtype=np.float64)
    return samples, np.stack([samples[0], *way[::-1]])


def rms_distance(samples: Array, curve: Array) -> Array:
    """sqrt(mean_i (x_i - curve_i)^2) of each sample, (n,)."""
    return np.sqrt(np.square(samples - curve).mean(1))


def _unbiased_covariance(samples: Array) -> Array:
    """The unbiased covariance of a sample, (dim, dim)."""
    return np.atleast_2d(np.cov(samples.T))


def _curve_rows(samples: Array, ideal: Array, curve: Array) -> dict[str, Row]:
    """How far samples are from the one curve; the exact sampler returns it."""
    off, ideal_off = rms_distance(samples, curve), rms_distance(ideal, curve)
    rms, ideal_rms = (float(np.sqrt(np.square(v).mean())) for v in (off, ideal_off))
    return {
        "rms_distance": Row("distance to the curve, network", rms, None, 0.0, "root mean square over points and samples"),
        "worst_distance": Row("the same, worst sample", float(off.max()), None, 0.0, f"of {len(off)}"),
        "ideal_rms_distance": Row(
            "distance to the curve, ideal denoiser", ideal_rms, None, 0.0, "0 in exact arithmetic; the rest is rounding",
        ),
    }


def _distance_rows(samples: Array, ideal: Array, law: Gaussian, schedule: Schedule, rng: np.random.Generator) -> dict[str, Row]:
    """How far the samples' Gaussian fit is from the data, and that of as many true signals; and what lies outside the support."""
    output = sampler_distribution(law, schedule)
    true, best = (np.array([_frechet(p.sample(len(samples), rng=rng), law) for _ in range(REPEATS)]) for p in (law, output))
    outside = law.coordinates(samples)[0][:, law.rank :]
    n = len(samples)
    return {
        "w2": Row(
            "Wasserstein distance of the samples to the data", _frechet(samples, law), None, _frechet(ideal, law),
            f"of the Gaussian fit to {n} samples; beside the ideal denoiser's from the same noise",
        ),
        "w2_true": Row(f"the same for {n} true signals", float(true.mean()), _standard_error(true), None, _scatter(true)),
        "w2_exact_sampler": Row(
            f"the same for {n} samples of the exact sampler", float(best.mean()), _standard_error(best), wasserstein2(output, law),
            f"{_scatter(best)}; beside infinitely many",
        ),
        "outside_rms": Row(
            "size of the samples outside the support", float(np.sqrt(np.square(outside).sum(1).mean() / law.dim)), None, 0.0,
            f"root mean square per point; the support has {law.rank} of {law.dim} dimensions",
        ),
    }


def _frechet(samples: Array, law: Gaussian) -> float:
    return wasserstein2(Gaussian(samples.mean(0), _unbiased_covariance(samples)), law)


def _scatter(values: Array) -> str:
    return f"mean of {len(values)} draws, one of which scatters by {values.std(ddof=1):.2g}"


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def chain_from_first_step(denoiser: Denoiser, schedule: Schedule) -> tuple[Denoiser, Schedule]:
    """The chain with x_1 as its clean signal: its denoiser and its schedule beta_2 .. beta_T.

    The score at a level does not depend on where the chain began, so by E24 the noise predicted since x_1 is
    eps_hat(x_t, t) sqrt((1 - alpha_bar_t / alpha_bar_1) / (1 - alpha_bar_t)). x_1 is the noisy ensemble: its covariance is regular
    even where that of x_0 is not, so that it has an entropy in the ordinary sense.
    Checked by: tests/experiments/test_report.py.
    """
    rest = Schedule.from_beta(schedule.beta[2:])
    ratio = np.sqrt(rest.one_minus_alpha_bar[1:] / schedule.one_minus_alpha_bar[2:])
    return lambda x, t: ratio[t - 1] * denoiser(x, t + 1), rest


def _bound_rows(network: Denoiser, law: Gaussian, schedule: Schedule, n: int, rng: np.random.Generator) -> dict[str, Row]:
    """The variational bound beside the entropy, both for x_1."""
    noisy = law.diffuse(schedule, 1)
    denoiser, rest = chain_from_first_step(network, schedule)
    ideal, variance = IdealDenoiser(noisy, rest), optimal_variance(noisy, rest)
    best = vlb_terms(ideal, noisy, rest, variance=variance)
    learned = vlb_terms(denoiser, noisy, rest, variance=variance, n=n, rng=rng)
    kernel = vlb_terms(ideal, noisy, rest, variance="kernel")
    gap = "beside that of the ideal denoiser"
    return {
        "bound": Row("variational bound on -ln p(x_1), network, in nats", learned.total, learned.standard_error, best.total, gap),
        "bound_kernel": Row(
            "the same, ideal denoiser and true reverse kernel", kernel.total, None, noisy.entropy,
            "beside the entropy of x_1; the gap is KL(q(x_T) || N(0, I))",
        ),
    }
