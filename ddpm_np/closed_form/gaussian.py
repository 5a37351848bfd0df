"""The Gaussian on its own axes: regular, singular or a single point, one class for all (E5).

Along the eigenvectors of its covariance the coordinates of a Gaussian are independent, and
diffusion only moves their variances towards 1. A direction of variance 0 is an ordinary direction:
the density is then taken on the support, the plane through the mean along the other directions. No
matrix is jittered to make it invertible. A few axes are often enough: of the many directions that
share one variance, as those without any do, and after diffusion those with noise alone, none needs
an axis of its own.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import (
    Array,
    check_count,
    check_dtype,
    check_generator,
    check_positive,
    check_square,
)
from ddpm_np.closed_form.arguments import ReadOnly, checked_points, eigen, float_array, frozen, norm
from ddpm_np.closed_form.distribution import Diffusing, check_level

_EPS = float(np.finfo(np.float64).eps)
CACHED = 2**16  # numbers, half a megabyte


class Axes(ReadOnly):
    """Some orthonormal columns, (dim, r), which several Gaussians share, and the basis around."""

    def __init__(self, own: Array, basis: Array | None = None) -> None:
        self.own, self.known = frozen(own), basis if basis is None else frozen(basis)

    @property
    def basis(self) -> NDArray[np.float64]:
        """(dim, dim), the r columns first; the others are found when they are first asked for."""
        if self.known is None:
            dim, r = self.own.shape
            others = np.linalg.qr(self.own, mode="complete")[0][:, r:] if r < dim else None
            whole = self.own if others is None else np.hstack([self.own, others])
            self.known = frozen(whole)
        return self.known


class Gaussian(Diffusing["Gaussian"]):
    r"""N(mean, cov), where cov may be singular.

    cov = sum_i spectrum_i axes_i axes_i^T, axes orthonormal, spectrum_i >= 0
    log p(x) = -1/2 sum_i (c_i^2 / spectrum_i + ln(2 pi spectrum_i)),  c_i = axes_i . (x - mean),
    where the sum runs over spectrum_i > 0

    Source: N3, the multivariate normal density (line 63).

    Parameters
    ----------
    mean : (dim,)
    cov : (dim, dim), symmetric and without negative eigenvalues, to the rounding
        10 dim eps max|cov| with the eps of its dtype

    Attributes
    ----------
    spectrum : (dim,) variances along the axes, exactly 0 in the singular directions; the largest
        first, except that :meth:`from_spectrum` keeps the order it is given
    axes : (dim, dim) orthonormal columns
    varies : (dim,) bool, where the spectrum is above 0
    rank : number of directions that vary
    levels, counts : the spectrum without its repeated tail, and how many axes each entry stands for

    Where at least half of the axes, the last ones, have the same variance, only the r others are
    kept, and one level for the rest: densities, scores and diffusions cost dim r, not dim^2. The
    whole of ``axes`` is then found when it is asked for.

    In floating point a matrix determines its eigenvalues to about eps times the largest. Those up
    to 10 dim eps times the largest therefore count as 0. :meth:`from_factor` knows standard
    deviations, not variances, to that accuracy, and keeps far weaker directions.

    The density of a singular Gaussian is with respect to the Lebesgue measure of its support. A
    point off the support has logpdf -inf and score NaN. "Off" means farther than
    100 dim (eps (|x - mean| + |mean|) + e), where eps belongs to the dtype of x and e is the
    accuracy to which the support itself is known: eps sqrt(largest) for a factor,
    eps largest / sqrt(smallest above 0) for a matrix.

    >>> line = Gaussian([0.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    >>> line
    Gaussian(dim=2, rank=1)
    >>> line.logpdf([[0.0, 1.0], [0.0, 1.1]]).round(6)
    array([-0.918939,      -inf])
    """

    dim: int
    mean: NDArray[np.float64]
    levels: NDArray[np.float64]

    def __init__(self, mean: ArrayLike, cov: ArrayLike) -> None:
        mean, given = float_array("mean", mean, ndim=1), check_square("cov", cov)
        cov = float_array("cov", given)
        if cov.shape != (mean.size, mean.size):
            fit = f"must have shape {(mean.size, mean.size)} to fit the mean"
            raise ValueError(f"cov {fit}, got {cov.shape}")
        spectrum, axes, rounding = eigen("cov", cov, np.finfo(given.dtype).eps)
        spectrum = np.where(spectrum > rounding * spectrum[0], spectrum, 0.0)
        smallest = spectrum[spectrum > 0].min(initial=np.inf)
        support_error = _EPS * spectrum[0] / np.sqrt(smallest)
        self._place(mean, *_with_levels(axes, spectrum), support_error)
        self.cov = frozen(cov)

    @classmethod
    def from_factor(cls, mean: ArrayLike, factor: ArrayLike, *, noise: float = 0.0) -> Gaussian:
        """The distribution of mean + z factor + noise eps, with white z and eps.

        factor: (m, dim). The spectrum comes from its singular values; those up to max(m, dim) eps
        times the largest count as 0. noise: a standard deviation, whose square may underflow.
        """
        mean = float_array("mean", mean, ndim=1)
        factor = float_array("factor", factor, ndim=2, dim=mean.size)
        noise = check_positive("noise", noise, zero=True, most=1e150)
        return Gaussian.__new__(Gaussian)._from_factor(mean, factor, noise)

    @classmethod
    def from_spectrum(cls, mean: ArrayLike, axes: ArrayLike, spectrum: ArrayLike) -> Gaussian:
        """The Gaussian with given variances (dim,) along given orthonormal axes.

        axes: (dim, dim), in columns. The order is kept. Read-only axes that own their memory, such
        as those of another Gaussian, are shared: distances between the two are then exact to
        rounding. All other arrays are copied.
        """
        mean, axes, spectrum = _along_axes(mean, axes, spectrum=spectrum)
        support_error = _EPS * np.sqrt(spectrum.max())
        placed = _with_levels(axes, spectrum)
        return Gaussian.__new__(Gaussian)._place(mean, *placed, support_error)

    @classmethod
    def from_deviations(cls, mean: ArrayLike, axes: ArrayLike, deviations: ArrayLike) -> Gaussian:
        """:meth:`from_spectrum`, given the roots of the variances, which may underflow."""
        mean, axes, deviations = _along_axes(mean, axes, deviations=deviations)
        placed, std = _with_levels(axes, deviations)
        support_error = _EPS * deviations.max()
        return Gaussian.__new__(Gaussian)._place(mean, placed, std**2, support_error, std)

    def _from_factor(self, mean: Array, factor: Array, noise: float) -> Gaussian:
        """:meth:`from_factor` for a Gaussian of any class.

        The product factor^T factor is not formed: squaring would push every singular value below
        sqrt(eps) of the largest under the rounding of the largest.
        """
        _, std, axes = np.linalg.svd(factor, full_matrices=False)
        if std[0] > 1e150:
            raise ValueError(f"factor must be small enough for a variance, got {std[0]:.3g}")
        rounding = max(factor.shape) * _EPS * std[0]
        rank, dim = int(np.count_nonzero(std > rounding)), factor.shape[1]
        placed = Axes(axes[:rank].T)
        if 2 * rank > dim:
            placed = Axes(placed.basis)
        std = np.append(std[:rank], np.zeros(dim - rank))[: 1 + placed.own.shape[1]]
        levels = std**2 + noise**2
        return self._place(mean, placed, levels, rounding / dim, np.hypot(std, noise))

    def _place(
        self, mean: Array, axes: Axes, levels: Array, support_error: float, std: Array | None = None
    ) -> Gaussian:
        """Sets what every constructor has to know; everything else follows from it.

        std: the roots of the levels, where squares of them may have underflowed.
        """
        self.dim, self.mean, self.levels = mean.size, frozen(mean), frozen(levels)
        self._axes, self._support_error = axes, float(support_error)
        self._std = frozen(np.sqrt(levels) if std is None else std)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dim={self.dim}, rank={self.rank})"

    # ---- its axes

    @property
    def axes(self) -> NDArray[np.float64]:
        return self._axes.basis

    @cached_property
    def counts(self) -> NDArray[np.int_]:
        counts = np.ones(len(self.levels), dtype=int)
        counts[-1] += self.dim - len(counts)
        return frozen(counts)

    @cached_property
    def spectrum(self) -> NDArray[np.float64]:
        return frozen(np.repeat(self.levels, self.counts))

    @cached_property
    def deviations(self) -> NDArray[np.float64]:
        """sqrt(spectrum), (dim,), also where a square of it would underflow."""
        return frozen(np.repeat(self._std, self.counts))

    @cached_property
    def varies(self) -> NDArray[np.bool_]:
        return frozen(self.deviations > 0)

    @property
    def rank(self) -> int:
        return int(self.counts[self._std > 0].sum())

    def on_axes_of(self, other: Gaussian) -> bool:
        """Whether both have the same array of axes, as a Gaussian and its diffusions have."""
        ours, theirs = self._axes, other._axes
        return ours is theirs or (ours.known is not None and ours.known is theirs.known)

    def equals(self, other: Gaussian) -> bool:
        """Whether mean, axes and variances are the same numbers."""
        same = self.on_axes_of(other) or np.array_equal(self._axes.own, other._axes.own)
        parts = (self.mean, other.mean), (self.levels, other.levels)
        return same and all(np.array_equal(ours, theirs) for ours, theirs in parts)

    def apply(self, x: Array, gain: Array) -> Array:
        """sum_i gain_i axes_i (axes_i . x), (..., dim), for one gain for each level, (..., levels).

        It checks nothing and runs on exact numbers too. Many rows are taken a few at a time, which
        stay in the processor's cache.
        """
        own = self._axes.own
        if own.shape[1] == self.dim:
            return np.asarray((x @ own * gain) @ own.T)
        if x.ndim == 2 and gain.ndim == 1 and x.size > CACHED and len(x) > 1:
            parts = np.array_split(x, min(len(x), x.size // CACHED + 1))
            return np.concatenate([self.apply(rows, gain) for rows in parts])
        others = gain[..., -1:]
        applied = (x @ own * (gain[..., :-1] - others)) @ own.T
        applied += others * x
        return np.asarray(applied)

    def matrix(self, gain: Array) -> Array:
        """sum_i gain_i axes_i axes_i^T, (dim, dim), for one gain for each level, (levels,)."""
        own = self._axes.own
        if own.shape[1] == self.dim:
            matrix = (own * gain) @ own.T
        else:
            matrix = (own * gain[:-1]) @ own.T + gain[-1] * (np.eye(self.dim) - own @ own.T)
        return np.asarray((matrix + matrix.T) / 2)

    # ---- the distribution

    @property
    def has_density(self) -> bool:
        """Whether every direction varies, so that there is a density on the whole space."""
        return self.rank == self.dim

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """The covariance, (dim, dim), float64, read-only."""
        return frozen(self.matrix(self.levels))

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Rows sqrt(spectrum_i) axes_i where spectrum_i > 0, (rank, dim): cov = root^T root."""
        axes = self.axes if self._std[-1] else self._axes.own
        std = self.deviations[: axes.shape[1]]
        return frozen((std * axes)[:, std > 0].T)

    @property
    def entropy(self) -> float:
        """-E log p(x) in nats, on the support: 1/2 sum_i ln(2 pi e spectrum_i); 0 for a point."""
        return self.volume + self.rank / 2

    @cached_property
    def volume(self) -> float:
        """-log p at the mean: 1/2 sum_i ln(2 pi spectrum_i) over the directions that vary."""
        logs = self.counts[self._std > 0] * np.log(self._std[self._std > 0])
        return float(logs.sum() + self.rank * np.log(2 * np.pi) / 2)

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws mean + z root, (n, dim), with z ~ N(0, I) of shape (n, rank).

        With few axes of its own and noise on all others, the root is the symmetric one. dtype:
        float64 or float32.
        """
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        z, mean = rng.standard_normal((n, self.rank), dtype), self.mean.astype(dtype, copy=False)
        if len(self.levels) < self.dim == self.rank:
            return (self.apply(z, self._std) + mean).astype(dtype, copy=False)
        return np.asarray(z @ self.root.astype(dtype, copy=False) + mean)

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x) in nats, (...,) float64, for x (..., dim); -inf off the support.

        Computed in float64 for either dtype of x.
        """
        with np.errstate(over="ignore"):  # a density below exp(-1e308) is 0
            return (-np.square(self.distance(x)) / 2 - self.volume)[()]

    def distance(self, x: ArrayLike) -> NDArray[np.float64]:
        """From the mean, in standard deviations: sqrt(sum_i c_i^2 / spectrum_i), (...,).

        It is inf off the support.
        """
        sizes, on_support = self.sizes(x)
        varies = self._std > 0
        with np.errstate(over="ignore"):
            return np.where(on_support, norm(sizes[..., varies] / self._std[varies]), np.inf)

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x) along the support, (..., dim) in the dtype of x; NaN off the support.

        grad log p(x) = -sum_i c_i / spectrum_i axes_i
        """
        return self._score(x).astype(checked_points(x, self.dim).dtype, copy=False)

    def _score(self, x: ArrayLike) -> NDArray[np.float64]:
        """:meth:`score` before it is rounded to the dtype of x."""
        x, on_support = checked_points(x, self.dim), self.sizes(x)[1]
        # In units of the narrowest axis, as 1 / std^2 may be too large for a float.
        unit = self._std[self._std > 0].min(initial=1.0)
        unit = 1.0 if unit > 1e-140 else np.ldexp(1.0, np.frexp(unit)[1])
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            gain = np.where(self._std > 0, unit / self._std / self._std, 0.0)
            score = self.apply((self.mean - x) / unit, gain)
        return np.where(on_support[..., None], score, np.nan)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score along the support, (...,) float64; NaN off the support.

        It is -sum_i 1 / spectrum_i at every x of the support.
        """
        varies = self._std > 0
        with np.errstate(over="ignore"):
            divergence = -(self.counts[varies] / self._std[varies] / self._std[varies]).sum()
        return np.where(self.sizes(x)[1], divergence, np.nan)[()]

    def noised(self, kept: float, noise: float) -> Gaussian:
        """The distribution of sqrt(kept) x + sqrt(noise) eps, eps ~ N(0, I) (E5).

        The axes stay the same, and each variance becomes kept spectrum_i + noise.
        """
        kept, noise = check_level(kept, noise)
        shrink, levels = np.sqrt(kept), kept * self.levels + noise
        small = levels < 1e-280  # where the root of the square is not the standard deviation
        std = np.where(small, np.hypot(shrink * self._std, np.sqrt(noise)), np.sqrt(levels))
        moved = Gaussian.__new__(Gaussian)
        error = shrink * self._support_error
        return moved._place(shrink * self.mean, self._axes, levels, error, std)

    def on_same_axes(self, mean: Array, levels: Array) -> Gaussian:
        """Another Gaussian on these axes, with a variance for each of these levels."""
        error = _EPS * np.sqrt(levels.max())
        return Gaussian.__new__(Gaussian)._place(mean, self._axes, levels, error)

    def coordinates(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """c_i = axes_i . (x - mean), (..., dim), and whether x is on the support, (...,)."""
        return (checked_points(x, self.dim) - self.mean) @ self.axes, self.sizes(x)[1]

    def sizes(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """How far x is from the mean along each level, and whether x is on the support, (...,).

        (..., levels): c_i, and for the axes that share the last level the length of that part.
        """
        x = checked_points(x, self.dim)
        with np.errstate(over="ignore", invalid="ignore"):
            away = x - self.mean
            sizes = self.lengths(away)
            reach = np.finfo(x.dtype).eps * (norm(away) + norm(self.mean)) + self._support_error
            return sizes, norm(sizes[..., self._std == 0]) <= 100 * self.dim * reach

    def lengths(self, away: Array) -> NDArray[np.float64]:
        """How long vectors (..., dim) are along each level, (..., levels)."""
        c = away @ self._axes.own
        if c.shape[-1] == self.dim:
            return np.asarray(c)
        beside = norm(away - c @ self._axes.own.T)
        return np.concatenate([c, beside[..., None]], axis=-1)


class PointMass(Gaussian):
    """All mass on one point: the notes' single curve as a distribution, a Gaussian of rank 0.

    The support is the point, and its measure counts points: logpdf is 0 there and -inf elsewhere,
    to the rounding stated for :class:`Gaussian`; the score is 0 there and NaN elsewhere. Diffused,
    it is N(sqrt(alpha_bar_t) x, (1 - alpha_bar_t) I) (E6).

    Source: N2 "信号是方差为零的随机变量".
    x: (dim,).
    """

    def __init__(self, x: ArrayLike) -> None:
        x = float_array("x", x, ndim=1)
        self._place(x, Axes(np.empty((x.size, 0))), np.zeros(1), 0.0)


def _along_axes(mean: ArrayLike, axes: ArrayLike, **sizes: ArrayLike) -> tuple[Array, Array, Array]:
    """A mean, orthonormal axes, and what is given for each axis, checked."""
    [(name, given)] = sizes.items()
    mean, along = float_array("mean", mean, ndim=1), float_array(name, given, ndim=1)
    axes = float_array("axes", check_square("axes", axes))
    if axes.shape != 2 * mean.shape or along.shape != mean.shape:
        shapes = f"{mean.shape}, {axes.shape} and {along.shape}"
        raise ValueError(f"mean, axes and {name} must fit together, got shapes {shapes}")
    if along.min() < 0:
        raise ValueError(f"{name} must not be negative, got {along.min():.3g}")
    if np.abs(axes.T @ axes - np.eye(mean.size)).max() > 10 * mean.size * _EPS:
        raise ValueError("axes must have orthonormal columns")
    return mean, axes, along


def _with_levels(axes: Array, spectrum: Array) -> tuple[Axes, Array]:
    """The axes and variances, without the tail of equal ones if that is at least half of them."""
    own = len(spectrum) - int(np.argmax(np.append(spectrum[::-1] != spectrum[-1], True)))
    if 2 * own > len(spectrum):
        return Axes(axes), spectrum
    return Axes(axes[:, :own], axes), spectrum[: own + 1]
