"""The true reverse kernel, and exactly what a sampler puts out (E26, E27).

It follows :mod:`ddpm_np.closed_form.ideal`. For Gaussian data q(x_{t-1} | x_t) is Gaussian too, and
so is every x_t of a sampler that the ideal denoiser drives: along each axis of the data's
covariance a step multiplies by a number and adds noise. So one need not sample to know what ten
steps cost instead of a hundred, or one variance instead of another.
:mod:`ddpm_np.closed_form.likelihood` measures the same kernels in nats.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import Array, check_array, check_step
from ddpm_np.closed_form.distributions import Distribution, Gaussian
from ddpm_np.closed_form.ideal import marginal_variance
from ddpm_np.sampling import Variance, ancestral_step, ddim_direction, ddim_step, step_sequence
from ddpm_np.schedule import Schedule

# ---- the scalar kernels along one axis ----------------------------------------------------------
#
# v_s and v_t are the variances of x_s and x_t along the axis. That these are Bayes' rule, and the
# moments of a step, is proved in ddpm_np.proof.identities.gaussian.


def kernel_gain(alpha_ts: Any, v_s: Any, v_t: Any) -> Any:
    """What the mean of q(x_s | x_t) gains per unit of x_t - E[x_t] (E26).

    gain = sqrt(alpha_{t|s}) v_s / v_t
    """
    return np.sqrt(alpha_ts) * v_s / v_t


def kernel_variance(beta_ts: Any, v_s: Any, v_t: Any) -> Any:
    """The variance of q(x_s | x_t) along the axis (E26).

    v_{s|t} = beta_{t|s} v_s / v_t
    """
    return beta_ts * (v_s / v_t)  # a product may underflow


def noise_kept(direction: Any, noise: Any) -> Any:
    """What a sampler's step keeps of the noise in x_t: xt_coef noise + eps_coef sqrt(noise) (E27).

    rest = sqrt(direction) sqrt(noise)

    direction is that of :func:`ddpm_np.sampling.ddim_direction`, at eta = 1 for the ancestral step.
    Here nothing cancels, which the sum does where x_s has far less noise than x_t.
    """
    return np.sqrt(direction) * np.sqrt(noise)


def step_gain(xt_coef: Any, rest: Any, kept: Any, noise: Any, variance: Any) -> Any:
    """The slope of xt_coef x + eps_coef eps_star(x) along an axis (E27).

    gain = (xt_coef kept variance + rest) / (kept variance + noise)

    rest is :func:`noise_kept`, exactly 0 in the step to s = 0: directions of little or no variance
    come out right too.
    """
    return (xt_coef * kept * variance + rest) / marginal_variance(kept, noise, variance)


def step_moments(
    gain: Any, xt_coef: Any, centre: Any, mean: Any, variance: Any, noise: Any
) -> tuple[Any, Any]:
    """Mean and variance of x_s, along an axis, from those of x_t (E27).

    mean_s = gain mean + (xt_coef - gain) centre,
    variance_s = gain^2 variance + noise

    Here mean and variance are those of x_t,
    centre is the mean of q(x_t) and noise the variance that the step adds.
    """
    return gain * mean + (xt_coef - gain) * centre, gain**2 * variance + noise


# ---- the true reverse kernel --------------------------------------------------------------------


class ReverseKernel(NamedTuple):
    """q(x_s | x_t) of Gaussian data: a mean (..., dim) for each x_t, one covariance (dim, dim)."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]


def reverse_kernel(
    distribution: Gaussian, schedule: Schedule, x_t: ArrayLike, t: int, s: int | None = None
) -> ReverseKernel:
    """The true reverse kernel q(x_s | x_t) of Gaussian data, by default s = t - 1 (E26).

    q(x_s | x_t) = N(x_s; m_s + sqrt(alpha_{t|s}) V_s V_t^(-1) (x_t - m_t),
                     beta_{t|s} V_s V_t^(-1)),
    m_t = sqrt(alpha_bar_t) mean,    V_t = alpha_bar_t cov + (1 - alpha_bar_t) I

    From: Bayes' rule as in E8, with q(x_s) = N(m_s, V_s) from E5 in the place of q(x_s | x_0).
    Source: N2 "逆扩散过程" (line 573), whose "简化式" states this kernel where the other one is
    then derived.

    It is not q(x_{t-1} | x_t, x_0) (:func:`ddpm_np.posterior.posterior_mean_variance`), which knows
    the signal and whose variance beta_tilde_t is the same in all directions. This one knows x_t
    only, so its covariance is beta_tilde_t plus what the signal's own spread adds: between
    beta_tilde and beta along an axis with lambda <= 1, above beta along one with lambda > 1. For a
    point mass the two are equal.

    x_t: (..., dim); 1 <= t <= T, 0 <= s < t. Singular covariances are ordinary: at t = 1 a
    direction in which the data does not vary has variance 0, and its mean is the data's. ValueError
    for a distribution that is not Gaussian, or of another dimension than x_t.

    >>> schedule = Schedule.from_beta([0.36, 0.19])
    >>> kernel = reverse_kernel(Gaussian([0.0], [[1.0]]), schedule, [1.0], 2)
    >>> print(kernel.mean, kernel.cov)
    [0.9] [[0.19]]
    """
    _gaussian(distribution)
    x_t = check_array("x_t", x_t, dim=distribution.dim)
    x_t = x_t.astype(np.result_type(x_t.dtype, np.float64))
    s, t = _route(schedule, s, t)
    (m_s, v_s), (m_t, v_t) = (_marginal(distribution, schedule, i) for i in (s, t))
    alpha, beta = schedule.between(s, t)
    mean = m_s + distribution.apply(x_t - m_t, kernel_gain(alpha, v_s, v_t))
    return ReverseKernel(mean, distribution.matrix(kernel_variance(beta, v_s, v_t)))


def reverse_variance(
    distribution: Gaussian, schedule: Schedule, t: int, s: int | None = None
) -> NDArray[np.float64]:
    """The variances of the true reverse kernel along the axes of the data, (dim,) (E26).

    v_{s|t} = beta_{t|s} v_s / v_t,
    v_s = alpha_bar_s lambda_i + 1 - alpha_bar_s,
    v_t = alpha_bar_t lambda_i + 1 - alpha_bar_t

    lambda_i are the variances of the data along its axes. Arguments as for :func:`reverse_kernel`.
    """
    _gaussian(distribution)
    s, t = _route(schedule, s, t)
    return np.repeat(_kernel_variances(distribution, schedule, s, t), distribution.counts)


def _kernel_variances(distribution: Gaussian, schedule: Schedule, s: int, t: int) -> Array:
    """:func:`reverse_variance` for each level of the distribution."""
    (_, v_s), (_, v_t) = (_marginal(distribution, schedule, i) for i in (s, t))
    return np.asarray(kernel_variance(schedule.between(s, t)[1], v_s, v_t))


def step_variance(
    distribution: Gaussian | None,
    schedule: Schedule,
    t: int,
    s: int | None = None,
    *,
    variance: Variance,
) -> Any:
    """The variance of an ancestral step under any name that this package knows.

    The names and the array of :func:`ddpm_np.sampling.ancestral_step` give a number, "kernel" gives
    one for each level of the distribution, as in :func:`reverse_variance`. ValueError for another
    name.
    """
    if not isinstance(variance, str) or variance in ("posterior", "beta"):
        return ancestral_step(schedule, t, s, variance=variance).std ** 2
    if variance != "kernel" or distribution is None:
        raise ValueError(
            'variance must be "posterior", "beta", "kernel" or an array of length T + 1, '
            f'got "{variance}"'
        )
    return _kernel_variances(distribution, schedule, *_route(schedule, s, t))


# ---- what a sampler puts out --------------------------------------------------------------------


def sampler_distribution(
    distribution: Gaussian,
    schedule: Schedule,
    *,
    variance: Variance = "posterior",
    steps: int | Sequence[int] | None = None,
    eta: float | None = None,
) -> Gaussian:
    """What a sampler puts out, exactly, when the ideal denoiser of a Gaussian drives it (E27).

    A step is x_s = a x_t + b eps_star(x_t) + std z, where eps_star(x) is sqrt(1 - alpha_bar_t)
    V_t^(-1) (x - m_t). Along each axis it is :func:`step_moments` with noise std^2 and gain
    a + b sqrt(1 - alpha_bar_t) / v_t.

    From: E24 put into E17 or E18, started at N(0, I). The numbers a, b, std are those of
    :func:`ddpm_np.sampling.ancestral_step` and :func:`ddpm_np.sampling.ddim_step`, so this is what
    the samplers that are shipped put out. Source: Pierret and Galerne 2024, for the spectral view.

    Parameters
    ----------
    distribution : Gaussian, MultiSine or PointMass
    variance : "posterior", "beta" or an array of length T + 1, as for
        :func:`ddpm_np.sampling.ancestral_sample`, or "kernel", the full covariance of the true
        reverse kernel of each step taken (:func:`reverse_kernel`). With "kernel" nothing is lost
        except at the start: whatever the steps, the output is the data's distribution up to
        q(x_T) not being N(0, I)
    steps : as for the samplers: None for all, a number of them, or an increasing sequence that ends
        in T
    eta : None for the ancestral sampler; a number in [0, 1] for DDIM, which has its own variance

    Returns
    -------
    Gaussian on the data's axes. With the named variances and with DDIM it has exactly the data's
    support: the last step sets a direction in which the data does not vary to the data's mean and
    adds no noise.

    ValueError for a distribution that is not Gaussian, an unknown variance, steps above T, eta
    outside [0, 1] or next to a variance.

    >>> schedule, data = Schedule.sigmoid(100, beta_min=1e-5), Gaussian([0.0], [[1.0]])
    >>> for variance in ("posterior", "beta", "kernel"):
    ...     print(sampler_distribution(data, schedule, variance=variance).cov[0, 0].round(3))
    0.942
    1.0
    1.0
    """
    _gaussian(distribution)
    if eta is not None and not (isinstance(variance, str) and variance == "posterior"):
        raise ValueError("eta and variance cannot both be given: DDIM has its own variance")
    visited, one = step_sequence(schedule, steps), np.ones(len(distribution.levels))
    # In units of the data's mean along each axis, from which the start at 0 is as far everywhere.
    share, spread = sampler_moments(
        distribution, schedule, visited, 0 * one, one, variance, eta, centre=one
    )
    return distribution.on_same_axes(distribution.apply(distribution.mean, share), spread)


def sampler_moments(
    distribution: Gaussian,
    schedule: Schedule,
    visited: Sequence[int],
    mean: Array,
    spread: Array,
    variance: Variance,
    eta: float | None,
    *,
    centre: Array,
) -> tuple[Array, Array]:
    """Mean and variance for each level after all visited steps, from those at the start (E27).

    centre: the mean of the data there.
    """
    for s, t in reversed(list(zip([0, *visited], visited))):
        if eta is None:
            step = ancestral_step(schedule, t, s)
            added = step_variance(distribution, schedule, t, s, variance=variance)
        else:
            step = ddim_step(schedule, t, s, eta=eta)
            added = step.std**2
        noise_s, noise_t = schedule.one_minus_alpha_bar[s], schedule.one_minus_alpha_bar[t]
        numbers = *schedule.between(s, t), noise_t, noise_s
        rest = noise_kept(ddim_direction(*numbers, 1 if eta is None else eta), noise_t)
        kept_t = schedule.alpha_bar[t]
        gain = step_gain(step.xt_coef, rest, kept_t, noise_t, distribution.levels)
        now = np.sqrt(kept_t) * centre
        mean, spread = step_moments(gain, step.xt_coef, now, mean, spread, added)
    return mean, spread


def _marginal(distribution: Gaussian, schedule: Schedule, t: int) -> tuple[Array, Array]:
    """The mean of q(x_t), and its variance for each level of the data's (E5)."""
    kept, noise = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
    return np.sqrt(kept) * distribution.mean, marginal_variance(kept, noise, distribution.levels)


def _route(schedule: Schedule, s: int | None, t: int) -> tuple[int, int]:
    """s, by default t - 1, and t, both checked."""
    end = check_step("t", t, 1, of=schedule)
    start = end - 1 if s is None else check_step("s", s, 0, end - 1)
    return start, end


def _gaussian(distribution: Distribution) -> None:
    if not isinstance(distribution, Gaussian):
        known = hasattr(distribution, "logpdf") and not isinstance(distribution, type)
        wrong = ValueError if known else TypeError
        raise wrong(
            "distribution must be Gaussian (Gaussian, MultiSine, PointMass), "
            f"got {type(distribution).__name__}"
        )
