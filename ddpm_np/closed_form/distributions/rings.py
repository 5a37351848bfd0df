"""Pictures of rings: two hidden numbers, and everything about them by quadrature (E24, E31, E32).

N4 writes p(x) as an integral of p(z) p(x | z) over a hidden z, and N2 calls the diffusion model of
pictures a decoder. Here both are concrete. z ~ N(0, I_2) is the place of a ring, the decoder draws
the ring, and x_t = sqrt(alpha_bar_t) ring(z) + sqrt(1 - alpha_bar_t) eps. With so few hidden
numbers each conditional mean is a sum over a grid in z, to many digits.
"""

from __future__ import annotations

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
from ddpm_np.closed_form.distributions.arguments import checked_points, frozen
from ddpm_np.closed_form.distributions.gaussian import Diffusing

OUTSIDE, RIM, INSIDE = -1.0, 1.0, 0.0  # grey values
HALF_RIM, EDGE = 1.0, 0.6  # half the width of the rim, and of an edge's tanh, in pixels
SHIFT = float(np.tanh(HALF_RIM / EDGE))
# What a picture with noise of size 1 tells of its centre's row, as inverse variance, over the
# radius: pi times the integral of the squared slope across the rim.
INFORMATION = np.pi * 4 / 3 * (((RIM - OUTSIDE) / 2) ** 2 + ((INSIDE - RIM) / 2) ** 2) / EDGE
FIXED_FROM = 0.08  # one fixed grid serves all x where z is known no better than to this
GRID_STEP, MOST_STEP = 0.9, 0.12  # the fixed grid's step in units of that, and at most
GRID_REACH = 5.5
WHITE_STEP, WHITE_REACH = 0.9, 7.0  # the grid around the mode, in posterior standard deviations
START_STEP = 0.25  # the grid from which the mode is looked for
ROWS = 8  # rows that get a grid of their own at once


def ring_pictures(place: ArrayLike, radius: ArrayLike, size: int) -> NDArray[np.float64]:
    """Rings as vectors (n, size * size): -1 outside, 1 on the rim, 0 inside.

    place: (n, 2) centres as row and column in pixels, counted from the middle of the picture;
    radius: a number or (n,), of the middle of the rim, in pixels. With d a pixel's distance from
    the centre and S(u) = (1 + tanh u) / 2,

        ring = 2 S((radius + 1 - d) / 0.6) - S((radius - 1 - d) / 0.6) - 1.
    """
    return _rings(np.asarray(place, np.float64), np.asarray(radius, np.float64), size)[0]


def _rings(
    place: Array, radius: Array, size: int, slopes: bool = False
) -> tuple[Array, Array | None]:
    """The pictures (..., pixels) and, where asked, their slopes (..., 3, pixels).

    The slopes are the derivatives with respect to row, column and radius. place: (..., 2).
    """
    pixel = np.arange(size) - (size - 1) / 2
    row = pixel - place[..., :1]
    column = pixel - place[..., 1:]
    d = np.sqrt(row[..., :, None] ** 2 + column[..., None, :] ** 2)
    u = np.tanh((np.broadcast_to(radius, place.shape[:-1])[..., None, None] - d) / EDGE)
    # tanh(s + c) and tanh(s - c) from one tanh each
    outer, inner = (u + SHIFT) / (1 + SHIFT * u), (u - SHIFT) / (1 - SHIFT * u)
    a, b = (RIM - OUTSIDE) / 2, (INSIDE - RIM) / 2
    flat = (*place.shape[:-1], size * size)
    picture = (OUTSIDE + a + b + a * outer + b * inner).reshape(flat)
    if not slopes:
        return picture, None
    by_radius = (a * (1 - outer**2) + b * (1 - inner**2)) / EDGE
    # dd/drow = -(pixel - row) / d; at the very centre, where it has no value, the rim is far
    with np.errstate(invalid="ignore", divide="ignore"):
        by_row = np.nan_to_num(row[..., :, None] / d) * by_radius
        by_column = np.nan_to_num(column[..., None, :] / d) * by_radius
    stacked = np.stack([v.reshape(flat) for v in (by_row, by_column, by_radius)], axis=-2)
    return picture, stacked


class RingFit(NamedTuple):
    """The ring nearest to each picture: the distance, root mean square per pixel, and which."""

    distance: Array
    place: Array
    radius: Array


def nearest_ring(x: ArrayLike, *, radius: float | None = None) -> RingFit:
    """The nearest ring of any place and size, or of the given radius, by least squares.

    x: (n, size * size). Returns arrays of length n, place (n, 2) in pixels from the middle of the
    picture. Levenberg and Marquardt's method from the best of a grid of places and sizes; rings
    whose centre is outside the picture are not looked for.
    """
    x = check_array("x", x, ndim=2).astype(np.float64)
    size = _edge(x.shape[-1])
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
    found = _least_squares(x, starts[best], size, 3 if radius is None else 2)
    pictures = ring_pictures(found[:, :2], found[:, 2], size)
    return RingFit(np.sqrt(np.square(x - pictures).mean(1)), found[:, :2], found[:, 2])


def _least_squares(
    x: Array, start: Array, size: int, free: int, prior: float = 0.0, updates: int = 40
) -> Array:
    """Row, column and radius (n, 3) that minimise |x - ring|^2 + prior |place|^2, from ``start``.

    The first ``free`` of the three move. Each update is tried with damping, kept where it helps.
    """
    now, damping = start.copy(), np.full(len(x), 1e-3)
    penalty = np.array([prior, prior, 0.0])[:free]

    def residual(at: Array, rows: Array) -> tuple[Array, Array, Array]:
        pictures, slopes = _rings(at[:, :2], at[:, 2], size, slopes=True)
        assert slopes is not None
        off = rows - pictures
        cost = np.square(off).sum(1) + prior * np.square(at[:, :2]).sum(1)
        return cost, off, slopes[:, :free]

    active = np.arange(len(x))
    cost, off, slopes = residual(now, x)
    for _ in range(updates):
        J = slopes[active]
        normal = J @ J.transpose(0, 2, 1) + np.diag(penalty)
        downhill = np.einsum("nkp,np->nk", J, off[active]) - penalty * now[active, :free]
        # A blank picture has no slope: the tiny term keeps its matrix regular, and it stays put.
        scale = np.einsum("nkk->nk", normal) + 1e-12
        damped = normal + (damping[active, None] * scale)[:, :, None] * np.eye(free)
        update = np.linalg.solve(damped, downhill[..., None])[..., 0]
        length = np.abs(update).max(1, keepdims=True)
        update *= np.minimum(1, 1 / np.maximum(length, 1e-300))  # at most one pixel; 0 stays 0
        tried = now[active].copy()
        tried[:, :free] += update
        new_cost, new_off, new_slopes = residual(tried, x[active])
        better = new_cost <= cost[active]
        kept = active[better]
        now[kept], cost[kept] = tried[better], new_cost[better]
        off[kept], slopes[kept] = new_off[better], new_slopes[better]
        damping[kept] *= 0.1
        damping[active[~better]] *= 10
        done = (length[:, 0] < 1e-9) | (damping[active] > 1e9)
        active = active[~done]
        if not active.size:
            break
    return now


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

    Conditional means are sums over z on a grid, whose error falls exponentially in its step, as the
    integrand is smooth. Where the noise leaves z a standard deviation of 0.08 or more, one fixed
    grid serves all x. Below, each x gets a grid around the mode of its posterior, in units of the
    posterior's standard deviations. eps_star is then within 1e-6 of finer grids. That
    holds for x that the noised law itself draws; an x far from every ring may have several modes,
    of which the highest counts alone. Without noise the law lives on a surface of two dimensions:
    ``logpdf``, ``score`` and ``divergence`` then raise ValueError.

    >>> Rings(8, radius=2.0)
    Rings(size=8, radius=2, spread=1.2)
    """

    def __init__(self, size: int = 16, *, radius: float = 4.4, spread: float = 1.2) -> None:
        self.size = check_count("size", size, low=4)
        self.dim = self.size**2
        self.radius, self.spread = (
            check_positive("radius", radius),
            check_positive("spread", spread),
        )
        self.kept, self.noise = 1.0, 0.0
        self._shared: dict[str, tuple[Array, ...]] = {}  # grids that all noised copies use

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
        pictures, _, log_prior = self._grid
        return frozen(np.sqrt(self.kept) * (np.exp(log_prior) @ pictures))

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """The covariance of the pixels, (dim, dim)."""
        pictures, _, log_prior = self._grid
        weights = np.exp(log_prior)
        away = np.sqrt(weights)[:, None] * (pictures - weights @ pictures)
        return frozen(self.kept * away.T @ away + self.noise * np.eye(self.dim))

    @cached_property
    def mean_square(self) -> float:
        """E |x|^2 / dim."""
        _, squares, log_prior = self._grid
        return float(self.kept * (np.exp(log_prior) @ squares) / self.dim + self.noise)

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n pictures, (n, dim), float64 or float32."""
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        x = np.sqrt(self.kept) * self.decode(rng.standard_normal((n, 2)))
        if self.noise:
            x += np.sqrt(self.noise) * rng.standard_normal(x.shape)
        return x.astype(dtype, copy=False)

    def noised(self, kept: float, noise: float) -> Rings:
        """The law of sqrt(kept) x + sqrt(noise) eps."""
        kept, noise = (
            check_positive("kept", kept, zero=True),
            check_positive("noise", noise, zero=True),
        )
        rings = Rings(self.size, radius=self.radius, spread=self.spread)
        rings.kept, rings.noise = kept * self.kept, kept * self.noise + noise
        rings._shared = self._shared
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

    # ---- the quadrature

    def _posterior(self, x: Array) -> tuple[Array, Array, Array]:
        """Of the ring given x: its mean (n, dim) and tr Cov (n,); and the log of the integral.

        The integral is that of p(z) exp(-|x - sqrt(kept) ring|^2 / (2 noise)) over z.
        """
        rows = x.reshape(-1, self.dim).astype(np.float64)
        if self._resolution >= FIXED_FROM:
            at_once, moments = max(1, 2**22 // len(self._grid[0])), self._on_the_fixed_grid
        else:
            at_once, moments = ROWS, self._around_the_mode
        parts = [moments(rows[i : i + at_once]) for i in range(0, len(rows), at_once)]
        mean, spread, log = (np.concatenate(part) for part in zip(*parts))
        return mean, spread, log

    @property
    def _resolution(self) -> float:
        """The standard deviation of z given x, where the prior plays no part."""
        if not self.kept:
            return np.inf
        return float(np.sqrt(self.noise / self.kept / INFORMATION / self.radius) / self.spread)

    @cached_property
    def _grid(self) -> tuple[Array, ...]:
        """Rings on a grid in z, their squared lengths, the logs of weights that sum to 1."""
        step = GRID_STEP * self._resolution if self.noise else MOST_STEP
        if step < MOST_STEP:
            return self._weighted(_disc(step, GRID_REACH))
        if "grid" not in self._shared:
            self._shared["grid"] = self._weighted(_disc(MOST_STEP, GRID_REACH))
        return self._shared["grid"]

    def _weighted(self, z: Array) -> tuple[Array, ...]:
        pictures, log_prior = self.decode(z), -np.square(z).sum(1) / 2
        squares = np.einsum("jp,jp->j", pictures, pictures)
        return pictures, squares, log_prior - np.log(np.exp(log_prior).sum())

    def _on_the_fixed_grid(self, x: Array) -> tuple[Array, Array, Array]:
        pictures, squares, log_prior = self._grid
        signal = np.sqrt(self.kept) * x
        r, log = _normalised(
            log_prior + (signal @ pictures.T - self.kept / 2 * squares) / self.noise
        )
        mean = r @ pictures
        log -= np.square(x).sum(1) / (2 * self.noise)
        return mean, r @ squares - np.square(mean).sum(1), log

    def _around_the_mode(self, x: Array) -> tuple[Array, Array, Array]:
        signal = x / np.sqrt(self.kept)
        variance = self.noise / self.kept
        mode = self._mode(signal, variance)
        _, slopes = _rings(self.spread * mode, np.asarray(self.radius), self.size, slopes=True)
        assert slopes is not None
        J = self.spread * slopes[:, :2]
        precision = J @ J.transpose(0, 2, 1) / variance + np.eye(2)
        # z = mode + L^-T w has the posterior covariance for white w, with precision = L L^T
        root = np.linalg.inv(np.linalg.cholesky(precision))
        w = _disc(WHITE_STEP, WHITE_REACH)
        z = mode[:, None] + w @ root
        pictures, _ = _rings(self.spread * z, np.asarray(self.radius), self.size)
        away = pictures - signal[:, None]
        logs = -(np.einsum("njp,njp->nj", away, away) / variance + np.square(z).sum(-1)) / 2
        r, log = _normalised(logs)
        mean_away = np.einsum("nj,njp->np", r, away)
        # about the mean, as the spread is far smaller than the pictures themselves
        second = np.einsum("nj,njp,njp->n", r, away, away)
        cell = WHITE_STEP**2 * np.abs(np.linalg.det(root)) / (2 * np.pi)
        return mean_away + signal, second - np.square(mean_away).sum(1), log + np.log(cell)

    def _mode(self, signal: Array, variance: float) -> Array:
        """The z of highest posterior density: the best of a grid, then least squares from there."""
        if "starts" not in self._shared:
            z = _disc(START_STEP, GRID_REACH)
            self._shared["starts"] = z, self.decode(z)
        z, pictures = self._shared["starts"]
        costs = -2 * signal @ pictures.T + np.square(pictures).sum(1)
        best = z[np.argmin(costs + variance * np.square(z).sum(1), axis=1)]
        start = np.column_stack([self.spread * best, np.full(len(best), self.radius)])
        found = _least_squares(signal, start, self.size, 2, variance / self.spread**2)
        return found[:, :2] / self.spread


def _disc(step: float, reach: float) -> Array:
    """The points of a square grid within a distance, (points, 2), the origin among them."""
    along = step * np.arange(-np.floor(reach / step), np.floor(reach / step) + 1)
    grid = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid[np.square(grid).sum(1) <= reach**2]


def _normalised(logs: Array) -> tuple[Array, Array]:
    """Weights exp(logs) that sum to 1 along each row, and the logarithm of their sum before."""
    top = logs.max(axis=1, keepdims=True)
    r = np.exp(logs - top)
    total = r.sum(axis=1, keepdims=True)
    return r / total, (np.log(total) + top)[:, 0]


def _edge(pixels: int) -> int:
    size = round(pixels**0.5)
    if size * size != pixels:
        raise ValueError(f"x must hold square pictures, got vectors of length {pixels}")
    return size
