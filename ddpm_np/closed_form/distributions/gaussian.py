"""The Gaussian on its own axes: regular, singular or a single point, one class for all (E5).

Along the eigenvectors of its covariance the coordinates of a Gaussian are independent, and
diffusion only moves their variances towards 1. A direction of variance 0 is an ordinary direction:
the density is then taken on the support, the plane through the mean along the other directions. No
matrix is jittered to make it invertible.
"""

from __future__ import annotations

from functools import cached_property
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import (
    Array,
    check_count,
    check_dtype,
    check_generator,
    check_positive,
    check_square,
    check_step,
)
from ddpm_np.closed_form.distributions.arguments import checked_points, float_array, frozen
from ddpm_np.schedule import Schedule

_Law = TypeVar("_Law")
_EPS = float(np.finfo(np.float64).eps)


class Distribution(Protocol):
    """What every distribution of this package provides."""

    dim: int

    @property
    def has_density(self) -> bool: ...

    @property
    def mean(self) -> Array: ...

    @property
    def cov(self) -> Array: ...

    def sample(
        self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64
    ) -> Array: ...

    def logpdf(self, x: ArrayLike) -> Array: ...

    def score(self, x: ArrayLike) -> Array: ...

    def divergence(self, x: ArrayLike) -> Array: ...

    def diffuse(self, schedule: Schedule, t: int) -> Distribution: ...

    def noised(self, kept: float, noise: float) -> Distribution: ...


class Diffusing(Generic[_Law]):
    """Gives a distribution that knows :meth:`noised` its law at every step of a schedule."""

    dim: int

    @property
    def has_density(self) -> bool:
        """Whether there is a density on the whole space; False for a singular distribution."""
        return True

    def noised(self, kept: float, noise: float) -> _Law:
        """The law of sqrt(kept) x + sqrt(noise) eps, eps ~ N(0, I)."""
        raise NotImplementedError

    def diffuse(self, schedule: Schedule, t: int) -> _Law:
        """The law of x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps, 0 <= t <= T (E6).

        t is a single integer.
        """
        t = check_step("t", t, 0, of=schedule)
        return self.noised(schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t])

    def __setstate__(self, state: dict[str, object]) -> None:
        # Copies and pickles come with arrays that can be written to.
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        self.__dict__.update(state)


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
    rank: int
    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    varies: NDArray[np.bool_]

    def __init__(self, mean: ArrayLike, cov: ArrayLike) -> None:
        mean, given = float_array("mean", mean, ndim=1), check_square("cov", cov)
        cov = float_array("cov", given)
        if cov.shape != (mean.size, mean.size):
            fit = f"must have shape {(mean.size, mean.size)} to fit the mean"
            raise ValueError(f"cov {fit}, got {cov.shape}")
        rounding = 10 * mean.size * np.finfo(given.dtype).eps
        asymmetry = np.abs(cov - cov.T).max()
        if asymmetry > rounding * np.abs(cov).max():
            differ = f"entries that differ from their mirror image by {asymmetry:.3g}"
            raise ValueError(f"cov must be symmetric, got {differ}")
        try:
            spectrum, axes = np.linalg.eigh(cov / 2 + cov.T / 2)
        except np.linalg.LinAlgError:
            spectrum, axes = np.full(len(cov), np.inf), cov
        if not np.isfinite(spectrum).all():
            raise ValueError("cov must have finite eigenvalues in float64")
        if -spectrum[0] > rounding * np.abs(spectrum).max():
            raise ValueError(f"cov must have no negative eigenvalue, got {spectrum[0]:.3g}")
        spectrum = np.where(spectrum > rounding * spectrum[-1], spectrum, 0.0)[::-1]
        smallest = spectrum[spectrum > 0].min(initial=np.inf)
        self._place(mean, axes[:, ::-1], spectrum, _EPS * spectrum[0] / np.sqrt(smallest))
        self.cov = frozen(cov)

    @classmethod
    def from_factor(cls, mean: ArrayLike, factor: ArrayLike) -> Gaussian:
        """The law of mean + z factor, z ~ N(0, I), of covariance factor^T factor.

        factor: (m, dim). The spectrum comes from its singular values; those up to max(m, dim) eps
        times the largest count as 0.
        """
        mean = float_array("mean", mean, ndim=1)
        factor = float_array("factor", factor, ndim=2, dim=mean.size)
        return Gaussian.__new__(Gaussian)._place(mean, *spectrum_of_factor(factor))

    @classmethod
    def from_spectrum(cls, mean: ArrayLike, axes: ArrayLike, spectrum: ArrayLike) -> Gaussian:
        """The Gaussian with given variances (dim,) along given orthonormal axes.

        axes: (dim, dim), in columns. The order is kept. Read-only axes that own their memory, such
        as those of another Gaussian, are shared: distances between the two are then exact to
        rounding. All other arrays are copied.
        """
        mean = float_array("mean", mean, ndim=1)
        spectrum = float_array("spectrum", spectrum, ndim=1)
        axes = float_array("axes", check_square("axes", axes))
        if axes.shape != 2 * mean.shape or spectrum.shape != mean.shape:
            shapes = f"{mean.shape}, {axes.shape} and {spectrum.shape}"
            raise ValueError(f"mean, axes and spectrum must fit together, got shapes {shapes}")
        if spectrum.min() < 0:
            raise ValueError(f"spectrum must not be negative, got {spectrum.min():.3g}")
        if np.abs(axes.T @ axes - np.eye(mean.size)).max() > 10 * mean.size * _EPS:
            raise ValueError("axes must have orthonormal columns")
        support_error = _EPS * np.sqrt(spectrum.max())
        return Gaussian.__new__(Gaussian)._place(mean, axes, spectrum, support_error)

    def _place(self, mean: Array, axes: Array, spectrum: Array, support_error: float) -> Gaussian:
        """Sets what every constructor has to know; everything else follows from it."""
        self.dim = mean.size
        self.mean, self.axes, self.spectrum = frozen(mean), frozen(axes), frozen(spectrum)
        self.varies = frozen(spectrum > 0)
        self.rank = int(np.count_nonzero(self.varies))
        self._support_error = float(support_error)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(dim={self.dim}, rank={self.rank})"

    @property
    def has_density(self) -> bool:
        """Whether every direction varies, so that there is a density on the whole space."""
        return self.rank == self.dim

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """The covariance, (dim, dim), float64, read-only."""
        cov = self.root.T @ self.root
        return frozen((cov + cov.T) / 2)

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """Rows sqrt(spectrum_i) axes_i where spectrum_i > 0, (rank, dim): cov = root^T root."""
        return frozen((np.sqrt(self.spectrum) * self.axes)[:, self.varies].T)

    @property
    def entropy(self) -> float:
        """-E log p(x) in nats, on the support: 1/2 sum_i ln(2 pi e spectrum_i); 0 for a point."""
        return float(0.5 * np.log(2 * np.pi * np.e * self.spectrum[self.varies]).sum())

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws mean + z root, (n, dim), with z ~ N(0, I) of shape (n, rank).

        dtype: float64 or float32.
        """
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        z = rng.standard_normal((n, self.rank), dtype)
        x = z @ self.root.astype(dtype, copy=False) + self.mean.astype(dtype, copy=False)
        return np.asarray(x)

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x) in nats, (...,) float64, for x (..., dim); -inf off the support.

        Computed in float64 for either dtype of x.
        """
        c, on_support = self.coordinates(x)
        c, spectrum = c[..., self.varies], self.spectrum[self.varies]
        squares = np.square(c / np.sqrt(spectrum)).sum(-1)
        logpdf = 0.0 - 0.5 * (squares + np.log(2 * np.pi * spectrum).sum())
        return np.where(on_support, logpdf, -np.inf)[()]

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x) along the support, (..., dim) in the dtype of x; NaN off the support.

        grad log p(x) = -sum_i c_i / spectrum_i axes_i
        """
        return self._score(x).astype(checked_points(x, self.dim).dtype, copy=False)

    def _score(self, x: ArrayLike) -> NDArray[np.float64]:
        """:meth:`score` before it is rounded to the dtype of x."""
        c, on_support = self.coordinates(x)
        score = -(c[..., self.varies] / self.spectrum[self.varies]) @ self.axes.T[self.varies]
        return np.where(on_support[..., None], score, np.nan)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score along the support, (...,) float64; NaN off the support.

        It is -sum_i 1 / spectrum_i at every x of the support.
        """
        _, on_support = self.coordinates(x)
        return np.where(on_support, -np.sum(1 / self.spectrum[self.varies]), np.nan)[()]

    def noised(self, kept: float, noise: float) -> Gaussian:
        """The law of sqrt(kept) x + sqrt(noise) eps, eps ~ N(0, I) (E5).

        The axes stay the same, and each variance becomes kept spectrum_i + noise.
        """
        kept, noise = (
            check_positive("kept", kept, zero=True),
            check_positive("noise", noise, zero=True),
        )
        shrink = np.sqrt(kept)
        return Gaussian.__new__(Gaussian)._place(
            shrink * self.mean,
            self.axes,
            kept * self.spectrum + noise,
            shrink * self._support_error,
        )

    def coordinates(self, x: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """c_i = axes_i . (x - mean), (..., dim), and whether x is on the support, (...,)."""
        x = checked_points(x, self.dim)
        away = x - self.mean
        c = away @ self.axes
        size = np.linalg.norm(away, axis=-1) + np.linalg.norm(self.mean)
        reach = np.finfo(x.dtype).eps * size + self._support_error
        return c, np.linalg.norm(c[..., ~self.varies], axis=-1) <= 100 * self.dim * reach


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
        self._place(x, np.eye(x.size), np.zeros(x.size), 0.0)


def spectrum_of_factor(factor: Array) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Axes, spectrum and accuracy of the support of factor^T factor, factor (m, dim).

    The product is not formed: squaring would push every singular value below sqrt(eps) of the
    largest under the rounding of the largest.
    """
    _, singular, axes = np.linalg.svd(factor, full_matrices=True)
    rounding = max(factor.shape) * _EPS * singular[0]
    std = np.zeros(factor.shape[1])
    std[: singular.size] = np.where(singular > rounding, singular, 0.0)
    return axes.T, std**2, rounding / factor.shape[1]
