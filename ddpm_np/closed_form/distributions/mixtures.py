"""Mixtures: of a few Gaussians, or of very many points, both closed under diffusion (E6).

With log-weights l_k(x) = ln w_k + ln p_k(x) and responsibilities r_k = exp(l_k - ln sum_j exp l_j),
the mixture has

    score s = sum_k r_k s_k,    divergence of the score = sum_k r_k (div s_k + |s_k - s|^2).

The log-weights are compared before they are exponentiated, so that a point far from all components
is no special case. (From some 1e8 standard deviations on, components may be too close to each other
for their log-weights to differ beyond rounding; they then share the point.) The divergence is a
sum of what each component contributes and of the spread of the scores. The other form,
sum_k r_k (div s_k + |s_k|^2) - |s|^2, loses all digits where the scores are large and nearly equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import (
    Array,
    check_array,
    check_count,
    check_dtype,
    check_generator,
    check_positive,
)
from ddpm_np.closed_form.arguments import checked_points, float_array, frozen, norm
from ddpm_np.closed_form.gaussian import Diffusing, Gaussian

BLOCK = 2**22  # pairs of row and point held at once: 32 MB


class GaussianMixture(Diffusing["GaussianMixture"]):
    """sum_k weights_k N(means_k, covs_k).

    weights: (K,), not negative, summing to 1 to 10 K eps of their dtype; they are then divided by
    their sum. means: (K, dim). covs: (K, dim, dim), also singular.

    Components may have supports of different dimension, say a point and a plane. The density is
    with respect to the sum of the measures of the different supports, each counted once: two equal
    points of weight 1/2 have logpdf 0. Under it a point of several supports belongs to those of the
    least dimension alone: the others give it no mass. With regular components this is the ordinary
    density.

    >>> GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.25]], [[0.25]]])
    GaussianMixture(dim=1, components=2)
    """

    def __init__(self, weights: ArrayLike, means: ArrayLike, covs: ArrayLike) -> None:
        given = check_array("weights", weights, ndim=1)
        means, covs = float_array("means", means, ndim=2), float_array("covs", covs, ndim=3)
        weights = float_array("weights", weights, ndim=1)
        if not len(weights) == len(means) == len(covs):
            numbers = f"{len(weights)}, {len(means)} and {len(covs)}"
            raise ValueError(f"weights, means and covs must be equally many, got {numbers}")
        eps = np.finfo(given.dtype).eps
        if weights.min() < 0 or abs(weights.sum() - 1) > 10 * weights.size * eps:
            got = f"got least {weights.min():.6g} and sum {weights.sum():.6g}"
            raise ValueError(f"weights must not be negative and must sum to 1, {got}")
        components = [Gaussian(mean, cov) for mean, cov in zip(means, covs)]
        self._place(weights / weights.sum(), components)

    def _place(self, weights: Array, components: Sequence[Gaussian]) -> GaussianMixture:
        """Sets what every constructor has to know."""
        self.dim, self.weights = components[0].dim, frozen(weights)
        self.components = tuple(components)
        return self

    def __repr__(self) -> str:
        return f"GaussianMixture(dim={self.dim}, components={len(self.components)})"

    @property
    def has_density(self) -> bool:
        """Whether every component of weight above 0 has a density on the whole space."""
        return all(c.has_density for w, c in zip(self.weights, self.components) if w > 0)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """sum_k w_k mean_k, (dim,)."""
        return frozen(self.weights @ [c.mean for c in self.components])

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """Within plus between: sum_k w_k (cov_k + (mean_k - mean)(mean_k - mean)^T), (dim, dim)."""
        cov = np.zeros((self.dim, self.dim))
        for w, c in zip(self.weights, self.components):
            cov += w * (c.cov + np.outer(c.mean - self.mean, c.mean - self.mean))
        return frozen(cov)

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws, (n, dim), float64 or float32: first the component of each, then the point."""
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        which = rng.choice(len(self.components), n, p=self.weights)
        x = np.empty((n, self.dim), dtype)
        for k in np.unique(which):
            here = which == k
            x[here] = self.components[k].sample(np.count_nonzero(here), rng=rng, dtype=dtype)
        return x

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x), (...,) float64, for x (..., dim); -inf off every support."""
        from scipy.special import logsumexp

        logs, nearest = self._log_weights(x)
        with np.errstate(over="ignore"):  # a density below exp(-1e308) is 0
            return np.asarray(logsumexp(logs, axis=0) - np.square(nearest) / 2)[()]

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x), (..., dim) in the dtype of x; NaN off every support."""
        _, _, score, nowhere = self._scores(x)
        dtype = checked_points(x, self.dim).dtype
        return np.where(nowhere[..., None], np.nan, score).astype(dtype, copy=False)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score, (...,) float64; NaN off every support."""
        r, scores, score, nowhere = self._scores(x)
        divergence = np.zeros(nowhere.shape)
        for r_k, s_k, component in zip(r, scores, self.components):
            own = np.where(r_k > 0, component.divergence(x), 0.0)  # elsewhere it may be NaN
            apart = np.sqrt(r_k)[..., None] * (s_k - score)
            divergence += r_k * own + np.square(apart).sum(-1)
        return np.where(nowhere, np.nan, divergence)[()]

    def noised(self, kept: float, noise: float) -> GaussianMixture:
        """The distribution of sqrt(kept) x + sqrt(noise) eps.

        The weights stay the same, and each component is noised.
        """
        components = [c.noised(kept, noise) for c in self.components]
        return GaussianMixture.__new__(GaussianMixture)._place(self.weights, components)

    def _log_weights(self, x: ArrayLike) -> tuple[Array, Array]:
        """l_k(x) + q^2 / 2, (K, ...), and q, (...,), the least distance of x from a component.

        The first is -inf where x is off component k, or on another of lesser dimension; the second
        is inf where x is on none. q^2 itself may be too large for a float.
        """
        distances = np.stack([c.distance(x) for c in self.components])
        shape = -1, *(distances.ndim - 1) * [1]
        rank = np.array([c.rank for c in self.components]).reshape(shape)
        with np.errstate(divide="ignore"):
            heights = (np.log(self.weights) - [c.volume for c in self.components]).reshape(shape)
        met = (distances < np.inf) & (heights > -np.inf)
        met &= rank <= np.where(met, rank, self.dim).min(0)
        nearest = np.where(met, distances, np.inf).min(0)
        with np.errstate(over="ignore", invalid="ignore"):
            beyond = (distances - nearest) * (distances + nearest) / 2
        return np.where(met, heights - beyond, -np.inf), nearest

    def _scores(self, x: ArrayLike) -> tuple[Array, Array, Array, Array]:
        """r_k (K, ...), s_k (K, ..., dim), 0 where r_k = 0, s (..., dim), where x is nowhere."""
        from scipy.special import softmax

        logs, nearest = self._log_weights(x)
        nowhere = nearest == np.inf
        r = softmax(np.where(nowhere, 0.0, logs), axis=0)
        scores = np.stack([c._score(x) for c in self.components])
        scores = np.where(r[..., None] > 0, scores, 0.0)  # there a component's score may be NaN
        return r, scores, np.einsum("k...,k...d->...d", r, scores), nowhere


def log_weights(rows: Array, points: Array, variance: float) -> tuple[Array, Array]:
    """-|row - point|^2 / (2 variance) plus its least size, (rows, points), and that, (rows,).

    Also for a stack of rows (..., n, dim), each with points (..., k, dim) of its own. As sums of
    squared differences: |a|^2 - 2 a.b + |b|^2 would cancel. The logs themselves may be too large
    for a float.
    """
    squares, unit = _squares(rows, points), np.ones((*rows.shape[:-1], 1))
    largest = np.maximum(np.abs(rows).max(-1), np.abs(points).max((-2, -1))[..., None])
    # Rows that are far from all points, or whose squares may vanish: in a unit of their own.
    for i in zip(*np.nonzero((squares.min(-1) == np.inf) | (largest < 1e-140))):
        unit[i] = np.ldexp(1.0, np.frexp(largest[i])[1] - 1) if largest[i] else 1.0
        squares[i] = _squares(rows[i][None] / unit[i], points[i[:-1]] / unit[i])
    nearest = squares.min(-1, keepdims=True)
    with np.errstate(over="ignore"):
        logs, least = ((v * (unit / 2)) / variance for v in (nearest - squares, nearest))
        if (unit != 1).any():
            logs *= unit
        return logs, (least * unit)[..., 0]


def _squares(rows: Array, points: Array) -> Array:
    """|row - point|^2, (..., rows, points)."""
    if rows.ndim > 2:
        with np.errstate(over="ignore"):
            return np.square(rows[..., None, :] - points[..., None, :, :]).sum(-1)
    from scipy.spatial.distance import cdist

    return cdist(rows, points, "sqeuclidean")


class Empirical(Diffusing["Empirical"]):
    """Equal mass on each of the given points: what a network learns that memorises its data.

    Diffused it is the equal mixture of N(sqrt(alpha_bar_t) point, (1 - alpha_bar_t) I) (E6).
    points: (n, dim); repeated points weigh more.

    Undiffused, the measure counts points as in :class:`PointMass`: logpdf is the logarithm of the
    share of points equal to x to rounding, -inf where there is none, and the score is 0 or NaN.
    Driven by the ideal denoiser of this distribution, a sampler ends on training points.

    A query needs a number per pair of point and row. Rows are taken a few at a time, so that an
    array of such numbers holds about 4 million at most (32 MB; a single row's if there are more
    points than that). Distances are sums of squared differences. |x|^2 + |p|^2 - 2 x.p would
    cancel where the noise is small.

    >>> Empirical([[0.0, 1.0], [2.0, 3.0]])
    Empirical(dim=2, points=2)
    """

    def __init__(self, points: ArrayLike) -> None:
        self._place(float_array("points", points, ndim=2), 0.0)

    def _place(self, points: Array, variance: float) -> Empirical:
        """Sets what every constructor has to know."""
        self.dim, self.points, self.variance = points.shape[1], frozen(points), float(variance)
        return self

    def __repr__(self) -> str:
        variance = f", variance={self.variance:.3g}" if self.variance else ""
        return f"Empirical(dim={self.dim}, points={len(self.points)}{variance})"

    @property
    def has_density(self) -> bool:
        """Whether there is noise around the points."""
        return self.variance > 0

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """The mean of the points, (dim,)."""
        return frozen(self.points.mean(0))

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """The covariance, (dim, dim): that of the points (divisor n) plus the noise variance."""
        away = self.points - self.mean
        return frozen(away.T @ away / len(away) + self.variance * np.eye(self.dim))

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws with replacement, (n, dim), float64 or float32."""
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        x = self.points[rng.integers(len(self.points), size=n)].astype(dtype, copy=False)
        if not self.variance:
            return x
        noise = dtype.type(np.sqrt(self.variance)) * rng.standard_normal(x.shape, dtype)
        return np.asarray(x + noise)

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x), (...,) float64, for x (..., dim)."""
        from scipy.special import logsumexp

        x = checked_points(x, self.dim)
        sums = [logsumexp(logs, axis=1) - nearest for _, logs, nearest in self._rows(x)]
        height = np.log(2 * np.pi) + np.log(self.variance) if self.variance else 0.0
        logpdf = np.concatenate(sums).reshape(x.shape[:-1]) - np.log(len(self.points))
        return np.asarray(logpdf - self.dim * height / 2)[()]

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x), (..., dim) in the dtype of x: (sum_i r_i point_i - x) / variance."""
        x = checked_points(x, self.dim)
        score = [self._score(rows, logs) for rows, logs, _ in self._rows(x)]
        return np.concatenate(score).reshape(x.shape).astype(x.dtype)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score, (...,) float64."""
        x = checked_points(x, self.dim)
        divergence = [self._divergence(rows, logs) for rows, logs, _ in self._rows(x)]
        return np.concatenate(divergence).reshape(x.shape[:-1])[()]

    def noised(self, kept: float, noise: float) -> Empirical:
        """The distribution of sqrt(kept) x + sqrt(noise) eps.

        The points are scaled, and there is more variance around each.
        """
        kept, noise = (
            check_positive("kept", kept, zero=True),
            check_positive("noise", noise, zero=True),
        )
        variance = kept * self.variance + noise
        return Empirical.__new__(Empirical)._place(np.sqrt(kept) * self.points, variance)

    def _rows(self, x: Array) -> Iterator[tuple[Array, Array, Array]]:
        """A few rows of x at a time, with the logs of their points, (rows, points).

        -|row - point|^2 / (2 variance) plus its least size, (rows,), the third. Without noise: 0
        where row and point are equal to rounding, else -inf.
        """
        from scipy.spatial.distance import cdist

        eps, flat = np.finfo(x.dtype).eps, x.reshape(-1, self.dim).astype(np.float64)
        lengths = norm(self.points)
        parts = min(len(flat), math.ceil(len(flat) * len(self.points) / BLOCK))
        for rows in np.array_split(flat, parts):
            if not self.variance:
                off = cdist(rows, self.points, "chebyshev") > 100 * self.dim * eps * lengths
                yield rows, np.where(off, -np.inf, 0.0), np.zeros(len(rows))
                continue
            yield rows, *log_weights(rows, self.points, self.variance)

    def _score(self, rows: Array, logs: Array) -> Array:
        """(sum_i r_i point_i - row) / variance, (rows, dim); without noise 0, or NaN elsewhere."""
        from scipy.special import softmax

        if not self.variance:
            zero = np.where(np.any(logs == 0, axis=1), 0.0, np.nan)
            return np.repeat(zero[:, None], self.dim, axis=1)
        return np.asarray((softmax(logs, axis=1) @ self.points - rows) / self.variance)

    def _divergence(self, rows: Array, logs: Array) -> Array:
        """(sum_i r_i |point_i - sum_j r_j point_j|^2 / variance - dim) / variance, (rows,)."""
        from scipy.spatial.distance import cdist
        from scipy.special import softmax

        if not self.variance:
            return self._score(rows, logs)[:, 0]
        r = softmax(logs, axis=1)
        spread = np.einsum("ij,ij->i", r, cdist(r @ self.points, self.points, "sqeuclidean"))
        return np.asarray((spread / self.variance - self.dim) / self.variance)
