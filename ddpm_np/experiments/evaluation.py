"""What an experiment learned, each measured number with its exact one (E16, E17, E25, E27, E28).

All measurements use the averaged weights and a generator of their own, so they depend on the
trained weights and the random seed only. :mod:`ddpm_np.experiments.report` writes the numbers and
:mod:`ddpm_np.experiments.figures` draws the arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian, wasserstein2
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_loss, optimal_loss, optimal_variance
from ddpm_np.closed_form.likelihood import vlb_terms
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.experiments.experiment import Training
from ddpm_np.learning.fast import FastDenoiser
from ddpm_np.network import MLP
from ddpm_np.sampling import Denoiser, ancestral_sample
from ddpm_np.schedule import Schedule

REPEATS = 20  # samples of the true distribution, to see how far off one of that size is


class Measurement(NamedTuple):
    """One measured number, its standard error if it was sampled, and its exact value if known."""

    what: str
    measured: float
    error: float | None
    exact: float | None
    remark: str

    def in_words(self) -> str:
        """The measurement as a line of text."""
        error = "" if self.error is None else f" +- {self.error:.1g}"
        exact = "" if self.exact is None else f", exact {self.exact:.4g}"
        return f"{self.what}: {self.measured:.4g}{error}{exact} ({self.remark})"


@dataclass(frozen=True)
class Evaluation:
    """What is known of a trained network.

    rows : the numbers of the report, by name
    floor, loss, loss_error : (T + 1,), index t: the Bayes floor, the network's loss and its
        standard error
    excess, excess_error : (T + 1,), index t: E|eps_hat - eps_star|^2 / dim, the part of the loss
        above its floor, and its standard error
    samples, ideal, data : (n, dim): the network's samples, the ideal denoiser's from the same
        noise, and true signals
    path, ideal_path : (T + 1, dim): the first sample on its way, x_t at index t, for the network
        and the ideal denoiser
    spectra : variances along the principal axes, descending, of the ensemble; empty for a point
    """

    rows: dict[str, Measurement]
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
    """Measures the averaged network of a training, complete or not."""
    e, schedule, law = training.experiment, training.schedule, training.distribution
    assert isinstance(law, Gaussian)
    average = training.state.ema_network()
    assert isinstance(average, MLP)
    network, ideal = FastDenoiser(average), IdealDenoiser(law, schedule)
    n, rng = e.samples, e.rng("evaluation")
    floor = optimal_loss(law, schedule)
    loss, loss_error = estimate_loss(network, law, schedule, n=n, rng=rng)
    excess, excess_error = _excess_per_step(network, ideal, n, rng)
    # Equal seeds give both chains the same noise: only the denoiser differs.
    seed = int(rng.integers(2**63))
    samples, path = _sample(network, schedule, n, law.dim, seed)
    ideal_samples, ideal_path = _sample(ideal, schedule, n, law.dim, seed)
    data = law.sample(n, rng=rng)

    rows = {
        "loss": Measurement(
            "loss, mean over t",
            float(loss[1:].mean()),
            _error_of_mean(loss_error),
            float(floor[1:].mean()),
            "exact: the Bayes floor",
        )
    }
    spectra = {}
    if law.rank == 0:
        rows |= _curve_rows(samples, ideal_samples, law.mean)
    else:
        share = 100 / floor[1:].mean()
        rows["excess_percent"] = Measurement(
            "excess of the loss over its floor, in %",
            float(share * excess[1:].mean()),
            float(share * _error_of_mean(excess_error)),
            0.0,
            "mean over t of E|eps_hat - eps_star|^2, over dim times the floor",
        )
        rows |= _distance_rows(samples, ideal_samples, law, schedule, rng)
        rows |= _bound_rows(network, law, schedule, n, rng)
        spectra = {
            "data": law.spectrum,
            "exact sampler": sampler_distribution(law, schedule).spectrum,
            "network": _spectrum(samples),
            "ideal": _spectrum(ideal_samples),
            "true sample": _spectrum(data),
        }
    return Evaluation(
        rows,
        floor,
        loss,
        loss_error,
        excess,
        excess_error,
        samples,
        ideal_samples,
        data,
        path,
        ideal_path,
        spectra,
    )


def _excess_per_step(
    network: Denoiser, ideal: IdealDenoiser, n: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """|eps_hat - eps_star|^2 / dim at each t: mean and standard error, (T + 1,), entry 0 NaN."""
    schedule, law = ideal.schedule, ideal.distribution
    excess, error = np.full((2, schedule.T + 1), np.nan)
    for t in range(1, schedule.T + 1):
        x_t = law.diffuse(schedule, t).sample(n, rng=rng)
        off = np.square(network(x_t, t) - ideal(x_t, t)).mean(1)
        excess[t], error[t] = off.mean(), off.std(ddof=1) / np.sqrt(n)
    return excess, error


def _error_of_mean(errors: Array) -> float:
    """The standard error of a mean over t of independent numbers, entry 0 left out."""
    return float(np.sqrt(np.square(errors[1:]).sum()) / (len(errors) - 1))


def _sample(
    denoiser: Denoiser, schedule: Schedule, n: int, dim: int, seed: int
) -> tuple[Array, Array]:
    """n samples, and the way of the first. Only the first is kept at every t, to save memory."""
    path = np.empty((schedule.T + 1, dim))

    def watched(x_t: Array, t: int) -> Array:
        path[t] = x_t[0]
        return denoiser(x_t, t)

    rng = np.random.default_rng(seed)
    samples = ancestral_sample(watched, schedule, n, dim, rng=rng, dtype=np.float64)
    path[0] = samples[0]
    return samples, path


def rms_distance(samples: Array, curve: Array) -> Array:
    """sqrt(mean_i (x_i - curve_i)^2) of each sample, (n,)."""
    return np.sqrt(np.square(samples - curve).mean(1))


def _covariance(samples: Array) -> Array:
    """The unbiased covariance of a sample, (dim, dim), also for dim 1."""
    return np.atleast_2d(np.cov(samples, rowvar=False))


def _spectrum(samples: Array) -> Array:
    return np.linalg.eigvalsh(_covariance(samples))[::-1]


def _curve_rows(samples: Array, ideal: Array, curve: Array) -> dict[str, Measurement]:
    """How far samples are from the one curve; the exact sampler returns it."""
    off, ideal_off = rms_distance(samples, curve), rms_distance(ideal, curve)
    rms, ideal_rms = (float(np.sqrt(np.square(v).mean())) for v in (off, ideal_off))
    return {
        "rms_distance": Measurement(
            "distance to the curve, network",
            rms,
            None,
            0.0,
            "root mean square over points and samples",
        ),
        "worst_distance": Measurement(
            "the same, worst sample", float(off.max()), None, 0.0, f"of {len(off)}"
        ),
        "ideal_rms_distance": Measurement(
            "distance to the curve, ideal denoiser",
            ideal_rms,
            None,
            0.0,
            "0 in exact arithmetic; the rest is rounding",
        ),
    }


def _distance_rows(
    samples: Array, ideal: Array, law: Gaussian, schedule: Schedule, rng: np.random.Generator
) -> dict[str, Measurement]:
    """How far the Gaussian fit to the samples is from the data, and what is off the support.

    For comparison, the same distance for equally many true signals and for the exact sampler.
    """
    n, output = len(samples), sampler_distribution(law, schedule)
    true, best = (
        np.array([_frechet(p.sample(n, rng=rng), law) for _ in range(REPEATS)])
        for p in (law, output)
    )
    outside = law.coordinates(samples)[0][:, law.rank :]
    return {
        "w2": Measurement(
            "Wasserstein distance of the samples to the data",
            _frechet(samples, law),
            None,
            _frechet(ideal, law),
            f"of the Gaussian fit to {n} samples; exact: the ideal denoiser, same noise",
        ),
        "w2_true": Measurement(
            f"the same for {n} true signals",
            float(true.mean()),
            _standard_error(true),
            None,
            _scatter(true),
        ),
        "w2_exact_sampler": Measurement(
            f"the same for {n} samples of the exact sampler",
            float(best.mean()),
            _standard_error(best),
            wasserstein2(output, law),
            f"{_scatter(best)}; exact: infinitely many samples",
        ),
        "outside_rms": Measurement(
            "size of the samples outside the support",
            float(np.sqrt(np.square(outside).sum(1).mean() / law.dim)),
            None,
            0.0,
            f"root mean square per point; the support has {law.rank} of {law.dim} dimensions",
        ),
    }


def _frechet(samples: Array, law: Gaussian) -> float:
    return wasserstein2(Gaussian(samples.mean(0), _covariance(samples)), law)


def _scatter(values: Array) -> str:
    return f"mean of {len(values)} draws, one of which scatters by {values.std(ddof=1):.2g}"


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


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


def _bound_rows(
    network: Denoiser, law: Gaussian, schedule: Schedule, n: int, rng: np.random.Generator
) -> dict[str, Measurement]:
    """The variational bound and the entropy, both for x_1."""
    noisy = law.diffuse(schedule, 1)
    denoiser, rest = chain_from_first_step(network, schedule)
    ideal, variance = IdealDenoiser(noisy, rest), optimal_variance(noisy, rest)
    best = vlb_terms(ideal, noisy, rest, variance=variance)
    learned = vlb_terms(denoiser, noisy, rest, variance=variance, n=n, rng=rng)
    kernel = vlb_terms(ideal, noisy, rest, variance="kernel")
    return {
        "bound": Measurement(
            "variational bound on -ln p(x_1), network, in nats",
            learned.total,
            learned.standard_error,
            best.total,
            "exact: the ideal denoiser",
        ),
        "bound_kernel": Measurement(
            "the same, ideal denoiser and true reverse kernel",
            kernel.total,
            None,
            noisy.entropy,
            "exact: the entropy of x_1; the gap is KL(q(x_T) || N(0, I))",
        ),
    }
