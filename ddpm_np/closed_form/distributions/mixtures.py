"""Mixtures: of a few Gaussians, or of very many points, both closed under diffusion (E6).

With log-weights l_k(x) = ln w_k + ln p_k(x) and responsibilities r_k = exp(l_k - ln sum_j exp l_j), the mixture has

    score s = sum_k r_k s_k,    divergence of the score = sum_k r_k (div s_k + |s_k|^2) - |s|^2.

Everything goes through the log-weights, so a point far from all components is as good as any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import Array, count, generator, positive
from ddpm_np.closed_form.distributions.arguments import (
    checked_points,
    float_array,
    float_dtype,
    frozen,
)
from ddpm_np.closed_form.distributions.gaussian import Diffusing, Gaussian

__all__ = ["Empirical", "GaussianMixture"]

BLOCK = 2**22  # pairs of row and point held at once: 32 MB


class GaussianMixture(Diffusing):
    """sum_k weights_k N(means_k, covs_k).

    Checked by: tests/closed_form/test_distributions.py.
    weights: (K,), not negative, summing to 1 to 10 K eps of their dtype. means: (K, dim). covs: (K, dim, dim), also singular.

    Components may have supports of different dimension, say a point and a plane. The density is with respect to the sum of the
    supports' own measures, under which a point of several supports belongs to those of the least dimension alone: the others give
    it no mass. With regular components this is the ordinary density.

    >>> GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.25]], [[0.25]]])
    GaussianMixture(dim=1, components=2)
    """

    def __init__(self, weights: ArrayLike, means: ArrayLike, covs: ArrayLike) -> None:
        given, means, covs = np.asarray(weights), float_array("means", means, ndim=2), float_array("covs", covs, ndim=3)
        weights = float_array("weights", weights, ndim=1)
        if not len(weights) == len(means) == len(covs):
            raise ValueError(f"weights, means and covs must be equally many, got {len(weights)}, {len(means)} and {len(covs)}")
        eps = np.finfo(given.dtype if given.dtype == np.float32 else np.float64).eps
        if weights.min() < 0 or abs(weights.sum() - 1) > 10 * weights.size * eps:
            got = f"got least {weights.min():.6g} and sum {weights.sum():.6g}"
            raise ValueError(f"weights must not be negative and must sum to 1, {got}")
        self._set(weights, [Gaussian(mean, cov) for mean, cov in zip(means, covs)])

    def _set(self, weights: Array, components: list[Gaussian]) -> None:
        self.dim, self.weights, self.components = components[0].dim, frozen(weights), tuple(components)

    def __repr__(self) -> str:
        return f"GaussianMixture(dim={self.dim}, components={len(self.components)})"

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """sum_k w_k mean_k, (dim,)."""
        return frozen(self.weights @ [c.mean for c in self.components])

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """Within plus between: sum_k w_k (cov_k + (mean_k - mean)(mean_k - mean)^T), (dim, dim)."""
        away = [c.mean - self.mean for c in self.components]
        return frozen(sum(w * (c.cov + np.outer(a, a)) for w, c, a in zip(self.weights, self.components, away)))

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws, (n, dim), float64 or float32: first the component of each, then the point."""
        n, rng, dtype = count("n", n), generator(rng), float_dtype(dtype)
        which = rng.choice(len(self.components), n, p=self.weights)
        x = np.empty((n, self.dim), dtype)
        for k in np.unique(which):
            x[which == k] = self.components[k].sample(np.count_nonzero(which == k), rng=rng, dtype=dtype)
        return x

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x), (...,) float64, for x (..., dim); -inf off every support."""
        from scipy.special import logsumexp

        return logsumexp(self._log_weights(x), axis=0)[()]

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x), (..., dim) in the dtype of x; NaN off every support."""
        return self._scores(x)[0].astype(checked_points(x, self.dim).dtype)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score, (...,) float64; NaN off every support."""
        score, second = self._scores(x)
        return (second - np.square(score).sum(-1))[()]

    def noised(self, kept: float, noise: float) -> GaussianMixture:
        """The law of sqrt(kept) x + sqrt(noise) eps: the same weights, each component noised."""
        mixture = object.__new__(GaussianMixture)
        mixture._set(self.weights, [c.noised(kept, noise) for c in self.components])
        return mixture

    def _log_weights(self, x: ArrayLike) -> Array:
        """l_k(x), (K, ...): -inf where x is off component k, or on another of lesser dimension."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        logs = np.stack([w + c.logpdf(x) for w, c in zip(log_weights, self.components)])
        rank = np.array([c.rank for c in self.components]).reshape(-1, *(logs.ndim - 1) * [1])
        least = np.where(logs > -np.inf, rank, self.dim).min(0)
        return np.where(rank <= least, logs, -np.inf)

    def _scores(self, x: ArrayLike) -> tuple[Array, Array]:
        """s and sum_k r_k (div s_k + |s_k|^2)."""
        from scipy.special import softmax

        x, logs = checked_points(x, self.dim), self._log_weights(x)
        nowhere = np.all(logs == -np.inf, axis=0)
        r = softmax(np.where(nowhere, 0.0, logs), axis=0)
        score, second = np.zeros(x.shape), np.zeros(x.shape[:-1])
        for r_k, component in zip(r, self.components):
            here = r_k > 0  # elsewhere the component's score may be NaN
            s = np.where(here[..., None], component._score(x), 0.0)
            score += r_k[..., None] * s
            second += r_k * np.where(here, component.divergence(x) + np.square(s).sum(-1), 0.0)
        return np.where(nowhere[..., None], np.nan, score), np.where(nowhere, np.nan, second)


class Empirical(Diffusing):
    """Equal mass on each of the given points, and diffused the equal mixture of N(sqrt(alpha_bar_t) point, (1 - alpha_bar_t) I).

    Checked by: tests/closed_form/test_distributions.py. points: (n, dim); repeated points weigh more.

    Undiffused, the measure counts points as in :class:`PointMass`: logpdf is the logarithm of the share of points equal to x to
    rounding, -inf where there is none, and the score is 0 or NaN. Driven by the ideal denoiser of this distribution, a sampler ends
    on training points: it is what a network would become that learned its training set by heart.

    A query needs a number per pair of point and row. Rows are taken a few at a time, so that an array of such numbers holds about 4
    million at most (32 MB; a single row's if there are more points than that). Distances are squared differences, never
    |x|^2 + |p|^2 - 2 x.p, which cancels where the noise is small.

    >>> Empirical([[0.0, 1.0], [2.0, 3.0]])
    Empirical(dim=2, points=2)
    """

    def __init__(self, points: ArrayLike) -> None:
        self._set(float_array("points", points, ndim=2), 0.0)

    def _set(self, points: Array, variance: float) -> None:
        self.dim, self.points, self.variance = points.shape[1], frozen(points), float(variance)

    def __repr__(self) -> str:
        variance = f", variance={self.variance:.3g}" if self.variance else ""
        return f"Empirical(dim={self.dim}, points={len(self.points)}{variance})"

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """The mean of the points, (dim,)."""
        return frozen(self.points.mean(0))

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """The covariance of this distribution, (dim, dim): the points' with divisor n, plus the noise's."""
        away = self.points - self.mean
        return frozen(away.T @ away / len(away) + self.variance * np.eye(self.dim))

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws with replacement, (n, dim), float64 or float32."""
        n, rng, dtype = count("n", n), generator(rng), float_dtype(dtype)
        x = self.points[rng.integers(len(self.points), size=n)].astype(dtype, copy=False)
        return x + dtype.type(np.sqrt(self.variance)) * rng.standard_normal(x.shape, dtype) if self.variance else x

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x), (...,) float64, for x (..., dim)."""
        from scipy.special import logsumexp

        x = checked_points(x, self.dim)
        logpdf = [logsumexp(logs, axis=1) for _, logs in self._rows(x)]
        volume = self.dim * np.log(2 * np.pi * self.variance) / 2 if self.variance else 0.0
        return (np.concatenate(logpdf).reshape(x.shape[:-1]) - np.log(len(self.points)) - volume)[()]

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x), (..., dim) in the dtype of x: (sum_i r_i point_i - x) / variance."""
        x = checked_points(x, self.dim)
        score = [self._scores(rows, logs)[0] for rows, logs in self._rows(x)]
        return np.concatenate(score).reshape(x.shape).astype(x.dtype)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score, (...,) float64."""
        x = checked_points(x, self.dim)
        divergence = [self._scores(rows, logs)[1] for rows, logs in self._rows(x)]
        return np.concatenate(divergence).reshape(x.shape[:-1])[()]

    def noised(self, kept: float, noise: float) -> Empirical:
        """The law of sqrt(kept) x + sqrt(noise) eps: the points shrink, the variance around each grows."""
        kept, noise = positive("kept", kept, zero=True), positive("noise", noise, zero=True)
        empirical = object.__new__(Empirical)
        empirical._set(np.sqrt(kept) * self.points, kept * self.variance + noise)
        return empirical

    def _rows(self, x: Array) -> Iterator[tuple[Array, Array]]:
        """A few rows of x at a time, with minus half their squared distances over the variance, (rows, points)."""
        from scipy.spatial.distance import cdist

        eps, flat = np.finfo(x.dtype).eps, x.reshape(-1, self.dim).astype(np.float64)
        for rows in np.array_split(flat, min(len(flat), -(-len(flat) * len(self.points) // BLOCK))):
            squares = cdist(rows, self.points, "sqeuclidean")
            if self.variance:
                yield rows, squares / (-2 * self.variance)
            else:
                reach = 100 * self.dim * eps * np.linalg.norm(self.points, axis=1)
                yield rows, np.where(np.sqrt(squares) <= reach, 0.0, -np.inf)

    def _scores(self, rows: Array, logs: Array) -> tuple[Array, Array]:
        """Score and its divergence: with d_i = point_i - x, sum_i r_i d_i / v and (sum_i r_i |d_i|^2 / v - dim) / v - |s|^2."""
        from scipy.special import softmax

        if not self.variance:
            zero = np.where(np.any(logs == 0, axis=1), 0.0, np.nan)
            return np.repeat(zero[:, None], self.dim, axis=1), zero
        r = softmax(logs, axis=1)
        score = (r @ self.points - rows) / self.variance
        second = (-2 * np.einsum("ij,ij->i", r, logs) - self.dim) / self.variance
        return score, second - np.square(score).sum(-1)
