"""Pictures of rings: two hidden numbers, and everything about them by quadrature (E24, E31, E32).

N4 writes p(x) as an integral of p(z) p(x | z) over a hidden z, and N2 calls the diffusion model of
pictures a decoder. Here both are concrete. z ~ N(0, I_2) is the place of a ring, the decoder draws
the ring, and x_t = sqrt(alpha_bar_t) ring(z) + sqrt(1 - alpha_bar_t) eps. With so few hidden
numbers each conditional mean is a sum over a grid in z, to many digits.
"""

from functools import cached_property
from typing import NamedTuple

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
from ddpm_np.closed_form.arguments import checked_points, frozen
from ddpm_np.closed_form.distribution import Diffusing, check_level
from ddpm_np.closed_form.distributions.ring_integrals import RingIntegrals
from ddpm_np.closed_form.distributions.ring_pictures import least_squares, ring_pictures


class RingFit(NamedTuple):
    """The ring nearest to each picture: the distance, root mean square per pixel, and which."""

    distance: Array
    place: Array
    radius: Array


def nearest_ring(x: ArrayLike, *, radius: float | None = None) -> RingFit:
    """The nearest ring of any place and size, or of the given radius, by least squares.

    x: (n, size * size), size at least 3. Returns arrays of length n, place (n, 2) in pixels from
    the middle of the picture. Levenberg and Marquardt's method from the best of a grid of places
    and sizes; rings whose centre is outside the picture are not looked for.
    """
    x = check_array("x", x, ndim=2).astype(np.float64)
    size = _edge(x.shape[-1])
    if size < 3:
        raise ValueError(f"x must hold pictures of at least 3 x 3 pixels, got {size} x {size}")
    half = size / 2
    along = np.arange(-half + 0.5, half, 1.0)
    every = np.arange(1.0, half, 0.5)
    radii = every if radius is None else np.array([check_positive("radius", radius)])
    starts = np.stack(np.meshgrid(along, along, radii, indexing="ij"), axis=-1).reshape(-1, 3)
    pictures = ring_pictures(starts[:, :2], starts[:, 2], size)
    best = np.concatenate(
        [
            np.argmax(rows @ pictures.T - np.square(pictures).sum(1) / 2, axis=1)
            for rows in np.array_split(x, -(-len(x) // 256))
        ]
    )
    found = least_squares(x, starts[best], size, 3 if radius is None else 2)
    pictures = ring_pictures(found[:, :2], found[:, 2], size)
    return RingFit(np.sqrt(np.square(x - pictures).mean(1)), found[:, :2], found[:, 2])


class Rings(Diffusing["Rings"]):
    r"""The family of rings of one size at a random place, and its diffusions (E31, E6).

    x = sqrt(kept) ring(spread z) + sqrt(noise) eps,    z ~ N(0, I_2)
    p(x) = integral of N(z; 0, I_2) N(x; sqrt(kept) ring(spread z), noise I) over z

    Source: N4's P(x) as an integral over z; N2 "反扩散的样例".

    Parameters
    ----------
    size : pixels along an edge, at least 4; a picture is a vector of length size * size
    radius : of the middle of the rim, in pixels
    spread : standard deviation of the centre's row and column, in pixels

    Conditional means are sums over z, on a grid where that is known to do, else on cells that are
    divided until they do (:mod:`ddpm_np.closed_form.distributions.ring_integrals`). eps_star and
    the log density are within 1e-6 for every x, with one mode or several, or ArithmeticError is
    raised: where the noise is so small that rounding alone is more than that, or x so far away that
    its rings are not within 8 standard deviations. Without noise the distribution lives on a
    surface of two dimensions: ``logpdf``, ``score`` and ``divergence`` then raise ValueError.

    >>> Rings(8, radius=2.0)
    Rings(size=8, radius=2, spread=1.2)
    """

    def __init__(self, size: int = 16, *, radius: float = 4.4, spread: float = 1.2) -> None:
        self.size = check_count("size", size, low=4)
        self.dim = self.size**2
        self.radius = check_positive("radius", radius)
        self.spread = check_positive("spread", spread, most=1e100)
        self.kept, self.noise = 1.0, 0.0
        self._integrals = RingIntegrals(self.size, self.radius, self.spread)

    def __repr__(self) -> str:
        noised = (
            ""
            if (self.kept, self.noise) == (1, 0)
            else (f", kept={self.kept:.3g}, noise={self.noise:.3g}")
        )
        return f"Rings(size={self.size}, radius={self.radius:g}, spread={self.spread:g}{noised})"

    def decode(self, z: ArrayLike) -> NDArray[np.float64]:
        """The ring (n, dim) of each hidden z (n, 2)."""
        z = checked_points(z, 2).astype(np.float64)
        return ring_pictures(self.spread * z, self.radius, self.size)

    @property
    def has_density(self) -> bool:
        """Whether there is noise on the pictures."""
        return self.noise > 0

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """The mean picture, (dim,)."""
        pictures, _, log_prior, *_ = self._integrals.prior
        return frozen(np.sqrt(self.kept) * (np.exp(log_prior) @ pictures))

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """The covariance of the pixels, (dim, dim)."""
        pictures, _, log_prior, *_ = self._integrals.prior
        weights = np.exp(log_prior)
        away = np.sqrt(weights)[:, None] * (pictures - weights @ pictures)
        return frozen(self.kept * away.T @ away + self.noise * np.eye(self.dim))

    @cached_property
    def mean_square(self) -> float:
        """E |x|^2 / dim."""
        _, squares, log_prior, *_ = self._integrals.prior
        return float(self.kept * (np.exp(log_prior) @ squares) / self.dim + self.noise)

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n pictures, (n, dim), float64 or float32."""
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        x = np.sqrt(self.kept) * self.decode(rng.standard_normal((n, 2)))
        if self.noise:
            x += np.sqrt(self.noise) * rng.standard_normal(x.shape)
        return x.astype(dtype, copy=False)

    def noised(self, kept: float, noise: float) -> "Rings":
        """The distribution of sqrt(kept) x + sqrt(noise) eps."""
        kept, noise = check_level(kept, noise)
        rings = Rings(self.size, radius=self.radius, spread=self.spread)
        rings.kept, rings.noise = kept * self.kept, kept * self.noise + noise
        rings._integrals = self._integrals
        return rings

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x), (...,) float64, for x (..., dim)."""
        x = checked_points(x, self.dim)
        volume = self.dim * np.log(2 * np.pi * self._noise()) / 2
        return (self._posterior(x)[2].reshape(x.shape[:-1]) - volume)[()]

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x), (..., dim) in the dtype of x: (sqrt(kept) E[ring | x] - x) / noise."""
        x = checked_points(x, self.dim)
        noise = self._noise()
        mean = self.posterior(x)[0]
        return ((np.sqrt(self.kept) * mean - x) / noise).astype(x.dtype, copy=False)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score: (kept tr Cov[ring | x] / noise - dim) / noise, float64."""
        x = checked_points(x, self.dim)
        noise = self._noise()
        spread = self.posterior(x)[1]
        return ((self.kept * spread / noise - self.dim) / noise)[()]

    def posterior(self, x: ArrayLike) -> tuple[Array, Array]:
        """Of the ring behind x (..., dim): its mean E[ring | x] (..., dim), and tr Cov (...,)."""
        x = checked_points(x, self.dim)
        self._noise()
        mean, spread, _ = self._posterior(x)
        return mean.reshape(x.shape), spread.reshape(x.shape[:-1])

    def _noise(self) -> float:
        if not self.noise:
            raise ValueError("rings without noise have no density; take .noised(kept, noise) first")
        return self.noise

    def _posterior(self, x: Array) -> tuple[Array, Array, Array]:
        """Of the ring given x: its mean (n, dim) and tr Cov (n,); and the log of the integral.

        The integral is that of p(z) exp(-|x - sqrt(kept) ring|^2 / (2 noise)) over z.
        """
        rows = x.reshape(-1, self.dim).astype(np.float64)
        return self._integrals.moments(rows, self.kept, self.noise)


def _edge(pixels: int) -> int:
    size = round(pixels**0.5)
    if size * size != pixels:
        raise ValueError(f"x must hold square pictures, got vectors of length {pixels}")
    return size
