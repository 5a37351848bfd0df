"""Very many points, each as likely as the others: the mixture that training data are (E6)."""

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import Array, check_count, check_dtype, check_generator
from ddpm_np.closed_form.arguments import checked_points, float_array, frozen, norm
from ddpm_np.closed_form.distribution import Diffusing, check_level

BLOCK = 2**22  # pairs of row and point held at once: 32 MB


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

    def _place(self, points: Array, variance: float) -> "Empirical":
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

    def noised(self, kept: float, noise: float) -> "Empirical":
        """The distribution of sqrt(kept) x + sqrt(noise) eps.

        The points are scaled, and there is more variance around each.
        """
        kept, noise = check_level(kept, noise)
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
