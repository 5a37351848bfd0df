"""The true reverse kernel, and exactly what a sampler puts out (E26, E27).

Fourth of the rooms of what is known, after :mod:`ddpm_np.closed_form.ideal`. For Gaussian data q(x_{t-1} | x_t) is Gaussian too, and so is
every x_t of a sampler that the ideal denoiser drives: along each axis of the data's covariance a step multiplies by a number and
adds noise. Nothing needs to be sampled to know what ten steps instead of a hundred cost, or a variance instead of another.
:mod:`ddpm_np.closed_form.likelihood` measures the same kernels in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import real_array, steps
from ddpm_np.closed_form.distributions import Distribution, Gaussian
from ddpm_np.sampling import Variance, ancestral_step, ddim_step, step_sequence
from ddpm_np.schedule import Schedule

__all__ = ["ReverseKernel", "reverse_kernel", "reverse_variance", "sampler_distribution", "step_variance"]


class ReverseKernel(NamedTuple):
    """q(x_s | x_t) of Gaussian data: a mean for each x_t, (..., dim), and one covariance for all, (dim, dim)."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]


def reverse_kernel(distribution: Gaussian, schedule: Schedule, x_t: ArrayLike, t: int, s: int | None = None) -> ReverseKernel:
    """The true reverse kernel q(x_s | x_t) of Gaussian data, by default s = t - 1 (E26).

    mean = m_s + sqrt(alpha_{t|s}) V_s V_t^-1 (x_t - m_t),    cov = beta_{t|s} V_s V_t^-1
    m_t = sqrt(alpha_bar_t) mean,    V_t = alpha_bar_t cov + (1 - alpha_bar_t) I

    From: Bayes' rule as in E8, with q(x_s) = N(m_s, V_s) from E5 in the place of q(x_s | x_0).
    Source: N2 "逆扩散过程" (line 573), whose "简化式" states this kernel where the other one is then derived.
    Checked by: tests/closed_form/test_reverse.py.

    It is not q(x_{t-1} | x_t, x_0) (:func:`ddpm_np.posterior.posterior_mean_variance`), which knows the signal and whose variance
    beta_tilde_t is the same in all directions. This one knows x_t only, so its covariance is beta_tilde_t plus what the signal's
    own spread adds: between beta_tilde and beta along an axis with lambda <= 1, above beta along one with lambda > 1. For a point
    mass the two are equal.

    x_t: (..., dim); 1 <= t <= T, 0 <= s < t. Singular covariances are ordinary: at t = 1 a direction in which the data does not
    vary has variance 0 and its mean is the data's. ValueError for a distribution that is not Gaussian, or of another dimension
    than x_t.

    >>> kernel = reverse_kernel(Gaussian([0.0], [[1.0]]), Schedule.from_beta([0.36, 0.19]), [1.0], 2)
    >>> print(kernel.mean, kernel.cov)
    [0.9] [[0.19]]
    """
    _gaussian(distribution)
    x_t = real_array("x_t", x_t, dim=distribution.dim).astype(np.float64)
    variance = reverse_variance(distribution, schedule, t, s)
    s = t - 1 if s is None else s
    before, now = distribution.diffuse(schedule, s), distribution.diffuse(schedule, t)
    gain = np.sqrt(schedule.between(s, t)[0]) * before.spectrum / now.spectrum
    axes = distribution.axes
    cov = (axes * variance) @ axes.T
    return ReverseKernel(before.mean + (x_t - now.mean) @ axes * gain @ axes.T, (cov + cov.T) / 2)


def reverse_variance(distribution: Gaussian, schedule: Schedule, t: int, s: int | None = None) -> NDArray[np.float64]:
    """The variances of the true reverse kernel along the axes of the data's covariance, (dim,) (E26): beta_{t|s} v_s / v_t.

    v_t = alpha_bar_t lambda + 1 - alpha_bar_t for the variance lambda of the data along the axis. Arguments as for
    :func:`reverse_kernel`.
    """
    _gaussian(distribution)
    t = steps("t", t, 1, schedule.T)
    s = t - 1 if s is None else s
    before, now = distribution.diffuse(schedule, s), distribution.diffuse(schedule, t)
    return schedule.between(s, t)[1] * before.spectrum / now.spectrum


def step_variance(distribution: Gaussian | None, schedule: Schedule, t: int, s: int | None = None, *, variance: Variance) -> Any:
    """The variance of an ancestral step under any name that this package knows: a number, or for "kernel" one per axis, (dim,).

    The names and the array of :func:`ddpm_np.sampling.ancestral_step`, and "kernel", :func:`reverse_variance`; else ValueError.
    """
    if not isinstance(variance, str) or variance in ("posterior", "beta"):
        return ancestral_step(schedule, t, s, variance=variance).std ** 2
    if variance != "kernel":
        raise ValueError(f'variance must be "posterior", "beta", "kernel" or an array of length T + 1, got "{variance}"')
    return reverse_variance(distribution, schedule, t, s)


def sampler_distribution(
    distribution: Gaussian, schedule: Schedule, *, variance: Variance = "posterior", steps: int | Sequence[int] | None = None,
    eta: float | None = None,
) -> Gaussian:
    """The exact law of what a sampler puts out when the ideal denoiser of a Gaussian drives it (E27).

    x_s = a x_t + b eps_star(x_t) + std z  with  eps_star(x) = sqrt(1 - alpha_bar_t) V_t^-1 (x - m_t)  becomes, along each axis,

    gain = a + b sqrt(1 - alpha_bar_t) / v_t,    mean_s = gain mean_t + (a - gain) m_t,    variance_s = gain^2 variance_t + std^2

    From: E24 put into E17 or E18, started at N(0, I). The numbers a, b, std are those of :func:`ddpm_np.sampling.ancestral_step`
    and :func:`ddpm_np.sampling.ddim_step`, so this is the law of the samplers that are shipped. Source: Pierret and Galerne 2024,
    for the spectral view. Checked by: tests/closed_form/test_reverse.py, against the samplers themselves.

    Parameters
    ----------
    distribution : Gaussian, MultiSine or PointMass
    variance : "posterior", "beta" or an array of length T + 1, as for :func:`ddpm_np.sampling.ancestral_sample`, or "kernel", the
        full covariance of the true reverse kernel of each step taken (:func:`reverse_kernel`), with which nothing is lost except
        at the start: the output is then the data's law up to q(x_T) not being N(0, I), whatever the steps
    steps : as for the samplers: None for all, a number of them, or an increasing sequence that ends in T
    eta : None for the ancestral sampler; a number in [0, 1] for DDIM, which has its own variance

    Returns
    -------
    Gaussian on the data's axes. With the named variances and with DDIM it has exactly the data's support: the last step sets a
    direction in which the data does not vary to the data's mean and adds no noise.

    ValueError for a distribution that is not Gaussian, an unknown variance, steps above T, eta outside [0, 1] or next to a
    variance.

    >>> schedule = Schedule.sigmoid(100, beta_min=1e-5)
    >>> data = Gaussian([0.0], [[1.0]])
    >>> [round(float(sampler_distribution(data, schedule, variance=v).cov[0, 0]), 3) for v in ("posterior", "beta", "kernel")]
    [0.942, 1.0, 1.0]
    """
    _gaussian(distribution)
    if eta is not None and not (isinstance(variance, str) and variance == "posterior"):
        raise ValueError("eta and variance cannot both be given: DDIM has its own variance")
    visited = step_sequence(schedule, steps)
    mean, spread = np.zeros(distribution.dim), np.ones(distribution.dim)
    for s, t in reversed(list(zip([0, *visited], visited))):
        step = ancestral_step(schedule, t, s) if eta is None else ddim_step(schedule, t, s, eta=eta)
        noise = step_variance(distribution, schedule, t, s, variance=variance) if eta is None else step.std**2
        # What is left of x_t's noise in x_s: none at s = 0, where only rounding would stand. This split of the gain has no
        # cancellation there, so that directions of little or no variance come out right too.
        rest = schedule.one_minus_alpha_bar[t]
        left = step.xt_coef * rest + step.eps_coef * np.sqrt(rest) if s else 0.0
        now = distribution.diffuse(schedule, t)
        gain = (step.xt_coef * schedule.alpha_bar[t] * distribution.spectrum + left) / now.spectrum
        mean = gain * mean + (step.xt_coef - gain) * (now.mean @ distribution.axes)
        spread = gain**2 * spread + noise
    return Gaussian.from_spectrum(distribution.axes @ mean, distribution.axes, spread)


def _gaussian(distribution: Distribution) -> None:
    if not isinstance(distribution, Gaussian):
        wrong = ValueError if callable(getattr(distribution, "logpdf", None)) else TypeError
        raise wrong(f"distribution must be Gaussian (Gaussian, MultiSine, PointMass), got {type(distribution).__name__}")
