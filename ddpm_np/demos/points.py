"""Data that is a handful of points: which of them an x_t came from, where the chain may go next, who ends beside whom (E26, E28).

When the data are n points p_i, equally likely, each perhaps blurred by a little noise, x_t is a mixture of n Gaussians around
sqrt(alpha_bar_t) p_i, and everything about it is known. It is the world in which q(x_{t-1} | x_t) and q(x_{t-1} | x_t, x_0),
which the notes write for each other, differ most: the second is a Gaussian (:mod:`ddpm_np.posterior`), the first a mixture of n of
them. The room ends with the question whether a sampler remembers or invents: how far its signals are from the nearest that it
has seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import positive, real_array, steps
from ddpm_np.closed_form.distributions import GaussianMixture
from ddpm_np.posterior import posterior_variance
from ddpm_np.schedule import Schedule

__all__ = ["chain_gap", "nearest", "posterior_weights", "reverse_mixture", "share_at_points"]

_BLOCK = 1 << 22  # numbers held at once, 32 MB in float64


def posterior_weights(points: ArrayLike, schedule: Schedule, x_t: ArrayLike, t: int, *, blur: float = 0.0) -> NDArray[np.float64]:
    """P(x_0 near p_i | x_t) for n equally likely points with noise of standard deviation ``blur`` (E26).

    w_i = exp(-|x_t - sqrt(alpha_bar_t) p_i|^2 / (2 v_t)) / sum over j of the same,    v_t = alpha_bar_t blur^2 + 1 - alpha_bar_t

    From: E5, E6 and Bayes' rule. Source: beyond the notes. Checked by: tests/demos/test_points.py.
    points: (n, dim); x_t: (..., dim); 1 <= t <= T. Returns (..., n). The largest exponent is taken out first, so that no sum is 0.
    """
    points, x_t, t = _world(points, schedule, x_t, t)
    variance = _variance(schedule, t, blur)
    squares = np.sum((x_t[..., None, :] - np.sqrt(schedule.alpha_bar[t]) * points) ** 2, axis=-1)
    weights = np.exp(-(squares - squares.min(axis=-1, keepdims=True)) / (2 * variance))
    return weights / weights.sum(axis=-1, keepdims=True)


def reverse_mixture(points: ArrayLike, schedule: Schedule, x_t: ArrayLike, t: int, *, blur: float = 0.0) -> GaussianMixture:
    """q(x_{t-1} | x_t), the true reverse kernel when the data are n equally likely points (E26).

    q(x_{t-1} | x_t) = sum over i of w_i(x_t) q(x_{t-1} | x_t, x_0 near p_i)

    with :func:`posterior_weights`; each term is :func:`ddpm_np.closed_form.reverse.reverse_kernel` of one blurred point, for blur 0 the
    q(x_{t-1} | x_t, x_0 = p_i) of E11 and E12. It is a Gaussian only when one weight is 1.
    Source: N2 "逆扩散过程" (N2:573 writes it as if it were the conditional one). Checked by: tests/demos/test_points.py.
    points: (n, dim); x_t: (dim,); 1 <= t <= T. Its mean is what a network trained on squared errors aims at, whether or not
    anything lies there. At t = 1 and blur 0 the variance is 0: the kernel is the weighted points themselves.
    """
    points, x_t, t = _world(points, schedule, x_t, t)
    if x_t.ndim != 1:
        raise ValueError(f"x_t must be a single vector, got shape {x_t.shape}")
    means, variance = _terms(points, schedule, x_t, t, blur)
    covs = np.broadcast_to(variance * np.eye(points.shape[1]), (len(points), points.shape[1], points.shape[1]))
    return GaussianMixture(posterior_weights(points, schedule, x_t, t, blur=blur), means, covs)


def chain_gap(points: ArrayLike, schedule: Schedule, *, blur: float) -> float:
    """What the best Gaussian reverse chain loses, in nats (E26, E28): the sum over t of E KL(q(x_{t-1} | x_t) || G_t).

    G_t is the best Gaussian there is, that of the kernel's mean and variance. The sum goes to 0 as the steps become small: many
    small Gaussian steps can do what few large ones cannot (Feller 1949; Sohl-Dickstein et al. 2015, section 2.2). By the chain
    rule of KL it bounds how far the output of such a chain, started at q(x_T), is from the data.
    Source: N1 "回到起点". Checked by: tests/demos/test_points.py.
    points: (n, 1), one dimension; blur above 0, or the last kernel would have no density. By the trapezoidal rule, over x_t around
    each point and over x_{t-1} around the kernel's mean, which resolves a blur down to a twentieth of the points' spread.
    """
    points = real_array("points", points, ndim=2, dim=1).astype(np.float64)
    blur, z, u = positive("blur", blur), np.linspace(-7, 7, 57), np.linspace(-10, 10, 401)
    total = 0.0
    for t in range(1, schedule.T + 1):
        x_t = (np.sqrt(schedule.alpha_bar[t]) * points + np.sqrt(_variance(schedule, t, blur)) * z).reshape(-1, 1)
        weights = posterior_weights(points, schedule, x_t, t, blur=blur)
        means, variance = _terms(points, schedule, x_t, t, blur)
        mean = np.sum(weights * means[..., 0], axis=1)
        sd = np.sqrt(variance + np.sum(weights * (means[..., 0] - mean[:, None]) ** 2, axis=1))
        x = mean[:, None] + sd[:, None] * u
        squares = (x[..., None] - means[:, None, :, 0]) ** 2
        p = (np.exp(-squares / (2 * variance)) @ weights[..., None])[..., 0] / np.sqrt(2 * np.pi * variance)
        # p ln p is 0 where p has underflowed to 0.
        log_ratio = np.log(np.where(p > 0, p, 1.0)) + u**2 / 2 + np.log(sd * np.sqrt(2 * np.pi))[:, None]
        gaps = np.sum(p * log_ratio, axis=1) * sd * (u[1] - u[0])
        density = np.tile(np.exp(-(z**2) / 2), len(points)) * (z[1] - z[0]) / np.sqrt(2 * np.pi) / len(points)
        total += float(density @ gaps)
    return total


def nearest(x: ArrayLike, points: ArrayLike, *, k: int = 1) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distances from each x to its k nearest points, per coordinate, and which points they are.

    The distance is |x - p| / sqrt(dim), the root-mean-square difference of two curves. Two independent draws from N(0, C) are
    sqrt(2 tr(C) / dim) apart in this measure. Checked by: tests/demos/test_points.py.
    x: (m, dim); points: (n, dim), n >= k. Returns (m, k) and (m, k), nearest first. Memory stays bounded for any m and n.
    """
    x, points = real_array("x", x, ndim=2).astype(np.float64), real_array("points", points, ndim=2).astype(np.float64)
    if x.shape[1] != points.shape[1]:
        raise ValueError(f"x and points must have the same last axis, got {x.shape} and {points.shape}")
    if not 1 <= k <= len(points):
        raise ValueError(f"k must be in 1..{len(points)}, the number of points, got {k}")
    distances, indices = np.empty((len(x), k)), np.empty((len(x), k), np.intp)
    rows = max(1, _BLOCK // points.size)
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        # Differences, not |x|^2 - 2 x.p + |p|^2: a distance of 0 has to come out as 0.
        squares = np.mean((block[:, None] - points) ** 2, axis=-1)
        order = np.argsort(squares, axis=1, kind="stable")[:, :k]
        indices[start : start + rows] = order
        distances[start : start + rows] = np.sqrt(np.take_along_axis(squares, order, axis=1))
    return distances, indices


def share_at_points(x: ArrayLike, points: ArrayLike, *, within: float) -> float:
    """Share of the x that lie within the given distance (see :func:`nearest`) of one of the points."""
    return float(np.mean(nearest(x, points)[0] <= positive("within", within)))


def _world(
    points: ArrayLike, schedule: Schedule, x_t: ArrayLike, t: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    points = real_array("points", points, ndim=2).astype(np.float64)
    x_t = real_array("x_t", x_t, dim=points.shape[1]).astype(np.float64)
    t = steps("t", t, 1, schedule.T)
    if not isinstance(t, int):
        raise TypeError("t must be a single integer here, got an array")
    return points, x_t, t


def _variance(schedule: Schedule, t: int, blur: float) -> float:
    return float(schedule.alpha_bar[t] * positive("blur", blur, zero=True) ** 2 + schedule.one_minus_alpha_bar[t])


def _terms(
    points: NDArray[np.float64], schedule: Schedule, x_t: NDArray[np.float64], t: int, blur: float
) -> tuple[NDArray[np.float64], float]:
    """Means (..., n, dim) and common variance of x_{t-1} given x_t and the point it came from."""
    before, now = _variance(schedule, t - 1, blur), _variance(schedule, t, blur)
    away = x_t[..., None, :] - np.sqrt(schedule.alpha_bar[t]) * points
    means = np.sqrt(schedule.alpha_bar[t - 1]) * points + np.sqrt(schedule.alpha[t]) * before / now * away
    return means, float(posterior_variance(schedule.beta[t], now, before))
