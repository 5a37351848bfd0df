"""Data that is a handful of points: weights, the true reverse kernel, distances (E26, E28).

When the data are n points p_i, equally likely, each perhaps blurred by a little noise, x_t is a
mixture of n Gaussians around sqrt(alpha_bar_t) p_i, and everything about it is known. Here
q(x_{t-1} | x_t) and q(x_{t-1} | x_t, x_0), which the notes write for each other, differ most: the
second is a Gaussian (:mod:`ddpm_np.posterior`), the first a mixture of n of them. The last
functions ask whether a sampler memorises or generalises: how far its signals are from the nearest
training point.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import check_array, check_count, check_positive, check_step
from ddpm_np.closed_form.distributions import Empirical, GaussianMixture
from ddpm_np.posterior import posterior_variance
from ddpm_np.schedule import Schedule

Float64 = NDArray[np.float64]


def posterior_weights(
    points: ArrayLike, schedule: Schedule, x_t: ArrayLike, t: int, *, blur: float = 0.0
) -> Float64:
    """P(x_0 near p_i | x_t) for n equally likely points with noise of std ``blur`` (E26).

    w_i = exp(-|x_t - sqrt(alpha_bar_t) p_i|^2 / (2 v_t)) / sum over j of the same,
    v_t = alpha_bar_t blur^2 + 1 - alpha_bar_t

    From: E5, E6 and Bayes' rule. Source: beyond the notes.
    points: (n, dim); x_t: (..., dim); 1 <= t <= T. Returns (..., n). Only differences of squared
    distances matter. With the nearest point p_* and d = x_t - sqrt(alpha_bar_t) p_*, they are
    Delta . (Delta - 2 d) for Delta = sqrt(alpha_bar_t) (p_i - p_*), which neither overflows nor
    cancels for an x_t far from all points.
    """
    from scipy.special import softmax

    points, x_t, t = _world(points, schedule, x_t, t)
    root = np.sqrt(schedule.alpha_bar[t])
    away = x_t[..., None, :] - root * points
    largest = np.abs(away).max(axis=(-2, -1), keepdims=True)
    squares = np.square(away / np.where(largest > 0, largest, 1.0)).sum(-1)
    closest = squares.argmin(-1)
    Delta = root * (points - points[closest][..., None, :])
    d = np.take_along_axis(away, closest[..., None, None], axis=-2)
    excess = np.sum(Delta * (Delta - 2 * d), axis=-1)
    return np.asarray(softmax(-excess / (2 * _variance(schedule, t, blur)), axis=-1))


def reverse_mixture(
    points: ArrayLike, schedule: Schedule, x_t: ArrayLike, t: int, *, blur: float = 0.0
) -> GaussianMixture:
    """q(x_{t-1} | x_t), the true reverse kernel when the data are n equally likely points (E26).

    q(x_{t-1} | x_t) = sum over i of w_i(x_t) q(x_{t-1} | x_t, x_0 near p_i)

    with :func:`posterior_weights`; each term is
    :func:`ddpm_np.closed_form.reverse.reverse_kernel` of one blurred point, for blur 0 the
    q(x_{t-1} | x_t, x_0 = p_i) of E11 and E12. It is a Gaussian only when one weight is 1.
    Source: N2 "逆扩散过程" (N2:558 asks for it, N2:563 gives the kernel that knows x_0).
    points: (n, dim); x_t: (dim,); 1 <= t <= T. Its mean is what a network trained on squared errors
    predicts, whether or not anything lies there. At t = 1 and blur 0 the variance is 0: the kernel
    is the weighted points themselves.
    """
    points, x_t, t = _world(points, schedule, x_t, t)
    if x_t.ndim != 1:
        raise ValueError(f"x_t must be a single vector, got shape {x_t.shape}")
    means, variance = _terms(points, schedule, x_t, t, blur)
    n, dim = points.shape
    weights = posterior_weights(points, schedule, x_t, t, blur=blur)
    return GaussianMixture(weights, means, np.broadcast_to(variance * np.eye(dim), (n, dim, dim)))


def chain_gap(points: ArrayLike, schedule: Schedule, *, blur: float) -> float:
    """What the best Gaussian reverse chain loses, in nats (E26, E28).

    gap = sum over t of E KL(q(x_{t-1} | x_t) || G_t)
        = H(x_T) - H(x_0) + 1/2 sum over t of E ln(Var[x_{t-1} | x_t] / beta_t)

    G_t is the best Gaussian there is, that of the kernel's mean and variance. The gap goes to 0 as
    the steps become small: many small Gaussian steps can do what few large ones cannot (Feller
    1949; Sohl-Dickstein et al. 2015, section 2.2). By the chain rule of KL it bounds how far the
    output of such a chain, started at q(x_T), is from the data.
    From: -E ln G_t is the entropy of a Gaussian with the kernel's variance, 1/2 ln(2 pi e Var), and
    the kernel's own is H(x_{t-1}) + H(x_t | x_{t-1}) - H(x_t); the sum telescopes.
    Source: N1 "回到起点".
    points: (n, 1), one dimension; blur above 0, or the last kernel would have no density. The
    expectations are ``scipy.integrate.trapezoid`` over eight standard deviations around each point.
    """
    from scipy.integrate import trapezoid

    points = check_array("points", points, ndim=2, dim=1).astype(np.float64)
    blur = check_positive("blur", blur)
    z = np.linspace(-8, 8, 321)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    def places(t: int) -> Float64:
        sd = np.sqrt(_variance(schedule, t, blur))
        return np.asarray(np.sqrt(schedule.alpha_bar[t]) * points + sd * z)[..., None]

    def expectation(values: Float64) -> float:
        return float(trapezoid(values * density, z, axis=1).mean())

    data = Empirical(points).noised(1.0, blur**2)
    gap = expectation(data.logpdf(places(0)))
    gap -= expectation(data.diffuse(schedule, schedule.T).logpdf(places(schedule.T)))
    for t in range(1, schedule.T + 1):
        x_t = places(t)
        weights = posterior_weights(points, schedule, x_t, t, blur=blur)
        means, variance = _terms(points, schedule, x_t, t, blur)
        mean = np.sum(weights * means[..., 0], axis=-1, keepdims=True)
        spread = np.sum(weights * np.square(means[..., 0] - mean), axis=-1)
        gap += expectation(np.log((variance + spread) / schedule.beta[t])) / 2
    return gap


def nearest(x: ArrayLike, points: ArrayLike, *, k: int = 1) -> tuple[Float64, NDArray[np.intp]]:
    """Distances from each x to its k nearest points, per coordinate, and which points they are.

    The distance is |x - p| / sqrt(dim), the root-mean-square difference of two curves. Two
    independent draws from N(0, C) are sqrt(2 tr(C) / dim) apart in this measure.
    x: (m, dim); points: (n, dim), n >= k. Returns (m, k) and (m, k), nearest first.
    """
    from scipy.spatial import KDTree

    x = check_array("x", x, ndim=2).astype(np.float64)
    points = check_array("points", points, ndim=2).astype(np.float64)
    if x.shape[1] != points.shape[1]:
        shapes = f"{x.shape} and {points.shape}"
        raise ValueError(f"x and points must have the same last axis, got {shapes}")
    if check_count("k", k) > len(points):
        raise ValueError(f"k must be in 1..{len(points)}, the number of points, got {k}")
    distances, indices = KDTree(points).query(x, k=range(1, k + 1))
    return distances / np.sqrt(x.shape[1]), np.asarray(indices, np.intp)


def share_at_points(x: ArrayLike, points: ArrayLike, *, within: float) -> float:
    """Share of the x that lie within the given distance (see :func:`nearest`) of a point."""
    return float(np.mean(nearest(x, points)[0] <= check_positive("within", within)))


def _world(
    points: ArrayLike, schedule: Schedule, x_t: ArrayLike, t: int
) -> tuple[Float64, Float64, int]:
    points = check_array("points", points, ndim=2).astype(np.float64)
    x_t = check_array("x_t", x_t, dim=points.shape[1]).astype(np.float64)
    return points, x_t, check_step("t", t, 1, schedule.T)


def _variance(schedule: Schedule, t: int, blur: float) -> float:
    """The variance of x_t around the point it came from."""
    blurred = schedule.alpha_bar[t] * check_positive("blur", blur, zero=True) ** 2
    return float(blurred + schedule.one_minus_alpha_bar[t])


def _terms(
    points: Float64, schedule: Schedule, x_t: Float64, t: int, blur: float
) -> tuple[Float64, float]:
    """Means (..., n, dim) and common variance of x_{t-1} given x_t and the point it came from."""
    before, now = _variance(schedule, t - 1, blur), _variance(schedule, t, blur)
    away = x_t[..., None, :] - np.sqrt(schedule.alpha_bar[t]) * points
    means = np.sqrt(schedule.alpha_bar[t - 1]) * points
    means = means + np.sqrt(schedule.alpha[t]) * before / now * away
    return means, float(posterior_variance(schedule.beta[t], now, before))
