"""What an experiment has learned: the numbers and arrays of its report, and how they are drawn.

All measurements use the averaged weights and a generator of their own, so they depend on the
trained weights and the random seed only. Each experiment measures in its own ``evaluate``;
:mod:`ddpm_np.experiments.report` writes the numbers, and the modules of figures draw the arrays.
"""

from dataclasses import dataclass

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian, wasserstein2
from ddpm_np.closed_form.ideal import Losses
from ddpm_np.experiments.words import Rows
from ddpm_np.sampling import Denoiser, ancestral_sample
from ddpm_np.schedule import Schedule

REPEATS = 20  # samples of a known distribution, to see how far off one of that size is


@dataclass(frozen=True)
class Evaluation:
    """What is known of a trained network.

    rows : the numbers of the report, by name
    losses : floor, loss and excess at each t
    samples, ideal, data : (n, dim): the network's samples, the ideal denoiser's from the same
        noise, and true signals
    path, ideal_path : (T + 1, dim): the first sample on its way, x_t at index t, for the network
        and the ideal denoiser
    spectra : variances along the principal axes, descending; empty for a point
    """

    rows: Rows
    losses: Losses
    samples: Array
    ideal: Array
    data: Array
    path: Array
    ideal_path: Array
    spectra: dict[str, Array]


def mean_over_t(values: Array, errors: Array) -> tuple[float, float]:
    """The mean over t of independent numbers, entry 0 left out, and its standard error."""
    return float(values[1:].mean()), float(np.sqrt(np.square(errors[1:]).sum()) / (len(errors) - 1))


def mean_loss(losses: Losses) -> tuple[float, float]:
    """The mean of floor plus excess over t, which scatters less than that of the loss itself."""
    return mean_over_t(
        losses.floor + losses.excess, np.hypot(losses.floor_error, losses.excess_error)
    )


def drawn(
    denoiser: Denoiser, schedule: Schedule, n: int, dim: int, seed: int
) -> tuple[Array, Array]:
    """n samples, and the way of the first. Only the first is kept at every t, to save memory.

    Equal seeds give equal noise, so that only the denoiser differs.
    """
    path = np.empty((schedule.T + 1, dim))

    def watched(x_t: Array, t: int) -> Array:
        path[t] = x_t[0]
        return denoiser(x_t, t)

    rng = np.random.default_rng(seed)
    samples = ancestral_sample(watched, schedule, n, dim, rng=rng, dtype=np.float64)
    path[0] = samples[0]
    return samples, path


def covariance(samples: Array) -> Array:
    """The unbiased covariance of a sample, (dim, dim), also for dim 1."""
    return np.atleast_2d(np.cov(samples, rowvar=False))


def spectrum(samples: Array) -> Array:
    """The variances of a sample along its principal axes, descending."""
    return np.linalg.eigvalsh(covariance(samples))[::-1]


def fit(samples: Array) -> Gaussian:
    """The Gaussian of a sample's mean and covariance."""
    return Gaussian(samples.mean(0), covariance(samples))


def distance(samples: Array, distribution: Gaussian) -> float:
    """The Wasserstein distance of the Gaussian fit to a sample from a Gaussian."""
    return wasserstein2(fit(samples), distribution)


def scatter(values: Array) -> str:
    """What one of several repetitions is worth, in words."""
    return f"mean of {len(values)} draws, one of which scatters by {values.std(ddof=1):.2g}"


def rms_distance(samples: Array, curve: Array) -> Array:
    """sqrt(mean_i (x_i - curve_i)^2) of each sample, (n,)."""
    return np.sqrt(np.square(samples - curve).mean(-1))
