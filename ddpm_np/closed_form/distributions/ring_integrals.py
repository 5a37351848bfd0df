"""Integrals over the place of a ring, whose error is known: three ways, from fast to safe.

The integrand is N(z; 0, I_2) exp(-|signal - ring(spread z)|^2 / (2 variance)), with signal and
variance in units in which the ring has its own grey values. Asked for are its integral and, under
it, the mean of the pictures and the trace of their covariance.

1. Where z is known poorly, one fixed grid serves all rows.
2. Where it is known well, each row gets a grid around the mode of its posterior, in units of the
   posterior's standard deviations.
3. Where these two do not hold, cells are divided until each is resolved.

Sums over a grid of step h have an error of some 4 exp(-2 (pi sd / h)^2) for a smooth integrand of
standard deviation sd. The step follows from the largest slope that a picture of these rings has,
and so no posterior is narrower than the grid supposes. A pixel at the very centre of a ring sees a
distance with a kink, whose share of the error falls as h^3 only; its size follows from the radius,
and makes the step smaller. What cannot be known beforehand is measured for each row: whether every
other point of the grid alone gives the same, whether anything stands at the grid's rim, and whether
there are other modes. A row that fails goes to the cells.

A cell is left out where a bound on the slopes within it proves that it holds nothing, and divided
until its four quarters give what it gave alone. Their differences are the measured error.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions.ring_pictures import drawn, kink, least_squares, steepest

TOLERANCE = 1e-6  # of means in units of the noise, and of the integral's logarithm
MOST_NUMBERS = 2**23  # of the pictures of one grid for all rows, 64 MB
# A grid's step: in standard deviations; at most, in z and in pixels.
STEP, MOST_STEP, PIXELS = 0.9, 0.12, 0.36
SMALL_KINK = 0.01  # in grey values per pixel; a larger one makes the steps smaller
GRID_REACH, WHITE_REACH = 6.0, 7.0  # in z; in standard deviations of the posterior
START_STEP = 0.25  # the grid from which modes are looked for, in z, and at most in pixels
EMPTY = 50.0  # twice the logarithm of what counts as nothing
ROWS = 8  # rows that get a grid of their own at once
CELL_REACH, NODES = 8, 5  # the cells cover |z_i| < 8; Gauss-Legendre nodes along an edge
MOST_CELLS, MOST_LEVELS = 5_000, 40

Moments = tuple[Array, Array, Array]


class RingIntegrals:
    """The integrals for rings of one size, radius and spread; its grids are made once."""

    def __init__(self, size: int, radius: float, spread: float) -> None:
        self.size, self.radius, self.spread, self.dim = size, radius, spread, size**2
        self.kink = kink(radius)
        self._asked: tuple[Array, float, float] | None = None

    def pictures(self, z: Array) -> NDArray[np.float64]:
        """The ring (..., dim) of each z (..., 2)."""
        return drawn(self.spread * z, np.asarray(self.radius), self.size)[0]

    def moments(self, x: Array, kept: float, noise: float) -> Moments:
        """Means (n, dim), traces of the covariance (n,), logarithms of the integral (n,).

        Of the rings behind x = sqrt(kept) ring + sqrt(noise) eps. The last answer is kept, as score
        and divergence ask for the same. ArithmeticError where the error cannot be brought below
        1e-6.
        """
        last = self._asked
        if last is None or last[1:] != (kept, noise) or not np.array_equal(last[0], x):
            self._moments = self._integrate(x, kept, noise)
            self._asked = x.copy(), kept, noise
        mean, spread, log = (kept.copy() for kept in self._moments)  # the caller's own
        return mean, spread, log

    def _integrate(self, x: Array, kept: float, noise: float) -> Moments:
        if np.finfo(float).eps * np.sqrt(kept / noise) > TOLERANCE:
            raise ArithmeticError(
                f"the rings behind x cannot be integrated to {TOLERANCE:g} at a noise of "
                f"{np.sqrt(noise / kept):.3g} in units of the rings, which rounding hides"
            )
        grid = self.grid(kept, noise)
        at_once = ROWS if grid is None else max(1, 2**22 // len(grid[0]))
        parts = []
        for i in range(0, len(x), at_once):
            rows = x[i : i + at_once]
            if grid is None:
                *found, sound = self._around_the_mode(rows / np.sqrt(kept), noise / kept)
            else:
                *found, sound = self._on_the_grid(grid, rows, kept, noise)
            for row in np.flatnonzero(~sound):
                values = self._by_cells(rows[row] / np.sqrt(kept), noise / kept)
                for array, value in zip(found, values):
                    array[row] = value
            parts.append(found)
        mean, spread, log = (np.concatenate(part) for part in zip(*parts))
        return mean, spread, log

    # ---- one grid for all

    @cached_property
    def slope(self) -> float:
        """The largest |d picture / d z| anywhere, to the 10 % that a grid of places may miss."""
        end, step = self.size + self.radius, min(0.2, max(self.spread / 4, 0.01))
        along = np.arange(0.0, min(6 * self.spread, end) + 0.2, step)
        along = along[along <= end]
        place = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
        largest = 0.0
        for some in np.array_split(place, 1 + len(place) * self.dim // 2**20):
            slopes = drawn(some, np.asarray(self.radius), self.size, slopes=True)[1]
            assert slopes is not None
            J = slopes[:, :2]
            largest = max(largest, np.linalg.eigvalsh(J @ J.transpose(0, 2, 1)).max())
        return float(1.1 * self.spread * np.sqrt(largest))

    @cached_property
    def finer(self) -> float:
        """By what the kink makes the step of a grid smaller."""
        return float(min(1.0, (SMALL_KINK / max(self.kink, 1e-300)) ** (1 / 3)))

    @cached_property
    def prior(self) -> tuple[Array, ...]:
        """The widest grid: pictures, their squared lengths, logs of weights that sum to 1, ..."""
        return self._grid(self.finer * min(MOST_STEP, PIXELS / self.spread))

    def grid(self, kept: float, noise: float) -> tuple[Array, ...] | None:
        """A grid that resolves every posterior, or None where that would be too fine.

        No posterior of z is narrower than 1 / resolution, up to the noise in its curvature.
        """
        resolution = np.sqrt(1 + self.slope**2 * kept / noise)
        widest = min(MOST_STEP, PIXELS / self.spread)
        step = self.finer * min(STEP / resolution, widest)
        points = np.pi * (GRID_REACH / step) ** 2
        if STEP / resolution >= widest:
            return self.prior
        return self._grid(step) if points * self.dim <= MOST_NUMBERS else None

    def _refuse_finer(self, step: float, most: int) -> None:
        if np.pi * (GRID_REACH / step) ** 2 * self.dim > most:
            raise ArithmeticError(
                f"rings of radius {self.radius:g} at a spread of {self.spread:g} need a grid of "
                f"step {step:.2g}, which is too fine"
            )

    def _grid(self, step: float) -> tuple[Array, ...]:
        self._refuse_finer(step, 4 * MOST_NUMBERS)
        z, even = disc(step, GRID_REACH)
        pictures, log_prior = self.pictures(z), -np.square(z).sum(1) / 2
        squares = np.einsum("jp,jp->j", pictures, pictures)
        log_prior -= np.log(np.exp(log_prior).sum())
        rim = np.square(z).sum(1) > (GRID_REACH - 2 * step) ** 2
        return pictures, squares, log_prior, even, rim, self._kinks(z, self.spread * step)

    def _on_the_grid(
        self, grid: tuple[Array, ...], x: Array, kept: float, noise: float
    ) -> tuple[Array, ...]:
        pictures, squares, log_prior, even, rim, kinks = grid
        r, log = normalised(
            log_prior + (np.sqrt(kept) * x @ pictures.T - kept / 2 * squares) / noise
        )
        mean = r @ pictures
        log -= np.square(x).sum(1) / (2 * noise)
        kinks = kinks * r * np.sqrt(kept / noise)
        sound = self._sound(r, even, kinks) & (r[:, rim].sum(1) <= TOLERANCE)
        return mean, r @ squares - np.square(mean).sum(1), log, sound

    def _kinks(self, z: Array, step: Array | float) -> Array:
        """How much of a point's weight (..., points) a kink makes an error of the mean.

        The sum of h^2 |p| over a grid of step h in the plane is off by at most 0.16 h^3. A pixel
        next to the point sees that much, times the slope at the kink and the weight over h^2. step:
        in pixels.
        """
        off = self.spread * z + (self.size - 1) / 2
        off -= np.clip(np.round(off), 0, self.size - 1)  # the nearest pixel of the picture
        return 0.16 * self.kink * step * (np.square(off).sum(-1) <= np.square(step))

    def _sound(self, r: Array, even: Array, kinks: Array) -> Array:
        """Which rows of weights (n, points) their grid resolves.

        Half of its points give an error whose square is that of the whole; kinks add theirs.
        """
        apart = np.abs(2 * r[:, even].sum(1) - 1)
        return np.asarray((apart <= 3e-4) & (kinks.max(1) <= TOLERANCE / 2))

    # ---- a grid around each row's mode

    def _around_the_mode(self, signal: Array, variance: float) -> tuple[Array, ...]:
        mode, alone = self._mode(signal, variance)
        _, slopes = drawn(self.spread * mode, np.asarray(self.radius), self.size, slopes=True)
        assert slopes is not None
        J = self.spread * slopes[:, :2]
        precision = J @ J.transpose(0, 2, 1) / variance + np.eye(2)
        # z = mode + L^-T w has the posterior covariance for white w, with precision = L L^T
        root = np.linalg.inv(np.linalg.cholesky(precision))
        step = STEP * self.finer
        w, even = disc(step, WHITE_REACH)
        z = mode[:, None] + w @ root
        away = self.pictures(z) - signal[:, None]
        r, log = normalised(
            -(np.einsum("njp,njp->nj", away, away) / variance + np.square(z).sum(-1)) / 2
        )
        mean_away = np.einsum("nj,njp->np", r, away)
        half = np.einsum("nj,njp->np", r[:, even], away[:, even]) / r[:, even].sum(1)[:, None]
        off = np.abs(half - mean_away).max(1) / np.sqrt(variance)
        rim = r[:, np.square(w).sum(1) > (WHITE_REACH - step) ** 2].sum(1)
        # about the mean, as the spread is far smaller than the pictures themselves
        second = np.einsum("nj,njp,njp->n", r, away, away)
        cell = step**2 * np.abs(np.linalg.det(root)) / (2 * np.pi)
        trace = second - np.square(mean_away).sum(1)
        widest = step * self.spread * np.linalg.norm(root, 2, axis=(1, 2))
        kinks = r * self._kinks(z, widest[:, None]) / np.sqrt(variance)
        sound = alone & (off <= 3e-4) & (rim <= TOLERANCE / 10) & self._sound(r, even, kinks)
        return mean_away + signal, trace, log + np.log(cell), sound

    @cached_property
    def _starts(self) -> tuple[Array, ...]:
        """Places z (G, G, 2), their rings, and how far a picture moves within half a mesh."""
        step = min(START_STEP, 0.3 / self.spread)
        self._refuse_finer(step, 64 * MOST_NUMBERS)
        along = step * np.arange(-np.floor(GRID_REACH / step), np.floor(GRID_REACH / step) + 1)
        z = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1)
        reach = self.spread * step / np.sqrt(2)
        pictures = self.pictures(z)
        moves = reach * steepest(self.spread * z, reach, self.radius, self.size)
        return z, pictures.reshape(-1, self.dim), moves

    def _mode(self, signal: Array, variance: float) -> tuple[Array, Array]:
        """The z of highest posterior density (n, 2), and whether there can be no other (n,).

        The best of a grid, then least squares from there. Other modes begin at other points of the
        grid that are lower than all around them.
        """
        z, pictures, moves = self._starts
        n, G = len(signal), len(z)
        away = -2 * signal @ pictures.T + np.square(pictures).sum(1)
        away = (away + np.square(signal).sum(1)[:, None]).reshape(n, G, G)
        prior = variance * np.square(z).sum(-1)
        cost = away + prior
        best = np.argmin(cost.reshape(n, -1), axis=1)
        start = self.spread * z.reshape(-1, 2)[best]
        start = np.column_stack([start, np.full(n, self.radius)])
        found = least_squares(signal, start, self.size, 2, variance / self.spread**2)
        mode = found[:, :2] / self.spread
        reached = np.square(signal - self.pictures(mode)).sum(1) + variance * np.square(mode).sum(1)
        padded = np.pad(cost, ((0, 0), (1, 1), (1, 1)), constant_values=np.inf)
        around = [
            padded[:, i : i + G, j : j + G] for i in range(3) for j in range(3) if (i, j) != (1, 1)
        ]
        minima = cost <= np.minimum.reduce(around)
        # A distance is at least 0: its square lost that by rounding, its lower bound by the move.
        least = np.square(np.maximum(np.sqrt(np.maximum(away, 0)) - moves, 0)) + prior
        rival = minima & (least <= (reached + variance * EMPTY)[:, None, None])
        apart = np.abs(z - mode[:, None, None]).max(-1) > 2 * (z[1, 0, 0] - z[0, 0, 0])
        return mode, ~(rival & apart).any((1, 2))

    # ---- cells, divided where it is needed

    def _by_cells(self, signal: Array, variance: float) -> tuple[Array, float, float]:
        """The moments of one row."""
        # about the picture of the mode, next to which the spread is not lost
        about = self.pictures(self._mode(signal[None], variance)[0][0])
        edge = np.arange(-CELL_REACH, CELL_REACH) + 0.5
        cells = np.stack(np.meshgrid(edge, edge, indexing="ij"), axis=-1).reshape(-1, 2)
        half, error, done = 0.5, 0.0, np.empty((0, 3 + self.dim))
        kept, _, least = self._bounds(cells, half, signal, variance, -np.inf)
        cells = cells[kept]
        whole = self._sums(cells, half, signal, about, variance)
        scale = np.concatenate([[1.0, 1 / variance], np.full(self.dim, 1 / np.sqrt(variance))])
        for _ in range(MOST_LEVELS):
            half /= 2
            corners = half * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
            quarters, parent = (cells[:, None] + corners).reshape(-1, 2), np.arange(4 * len(cells))
            kept, resolved, least = self._bounds(quarters, half, signal, variance, least)
            quarters, parent, resolved = quarters[kept], parent[kept] // 4, resolved[kept]
            if len(quarters) > MOST_CELLS:
                break
            sums = self._sums(quarters, half, signal, about, variance)
            top = np.concatenate([done, sums])[:, 0].max()
            # A whole may be far above its quarters; exp(600) divides it again and still fits.
            shares, apart = (
                np.exp(np.minimum(v[:, :1] - top, 600)) * v[:, 1:] for v in (sums, whole)
            )
            total = shares[:, 0].sum() + (np.exp(done[:, 0] - top) * done[:, 1]).sum()
            np.subtract.at(apart, parent, shares)
            apart = np.abs(apart * scale).max(1) / total
            apart[parent[~resolved]] = np.inf
            ready = apart <= TOLERANCE / 100
            border = np.abs(quarters).max(1) + half >= CELL_REACH
            error += apart[ready].sum() + shares[border & ready[parent], 0].sum() / total
            done = np.concatenate([done, sums[ready[parent]]])
            cells, whole = quarters[~ready[parent]], sums[~ready[parent]]
            if not len(cells):
                break
        if len(cells) or error > TOLERANCE:
            raise ArithmeticError(
                f"the rings behind x cannot be integrated to {TOLERANCE:g} at a noise of "
                f"{np.sqrt(variance):.3g} in units of the rings, got an error of {error:.2g} "
                f"and {len(cells)} cells left"
            )
        shares = np.exp(done[:, :1] - done[:, 0].max()) * done[:, 1:]
        total, second, *first = shares.sum(0)
        mean = np.array(first) / total
        return about + mean, second / total - mean @ mean, np.log(total) + done[:, 0].max()

    def _bounds(
        self, cells: Array, half: float, signal: Array, variance: float, least: float
    ) -> tuple[Array, Array, float]:
        """Which cells may hold something, in which of them no feature can hide, and ``least``.

        That is the largest lower bound of the integral's logarithm so far.
        """
        reach, size = half * np.sqrt(2), np.sqrt(np.square(cells).sum(1))
        away = np.sqrt(np.square(self.pictures(cells) - signal).sum(1))
        place, within = self.spread * cells, self.spread * reach
        slope = self.spread * steepest(place, within, self.radius, self.size) + 1e-300
        nearest, least_size = np.maximum(away - slope * reach, 0), np.maximum(size - reach, 0)
        upper = np.log(4 * half**2) - (nearest**2 / variance + least_size**2) / 2
        # within this radius the logarithm of the integrand falls by 2 at most
        near = np.minimum(0.5 * variance / (away + 1e-300), np.sqrt(variance)) / slope
        near = np.minimum(np.minimum(near, half), 0.5 / (size + 1))
        lower = np.log(np.pi * near**2) - 2 - (away**2 / variance + size**2) / 2
        least = max(least, lower.max(initial=-np.inf))
        return upper > least - EMPTY / 2, slope * reach <= 3 * np.sqrt(variance), least

    def _sums(
        self, cells: Array, half: float, signal: Array, about: Array, variance: float
    ) -> Array:
        """Of each cell the largest logarithm, and relative to it the integrals of 1, of
        |picture - about|^2 and of picture - about: (cells, 3 + dim).
        """
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        offsets = half * np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
        areas = half**2 * np.outer(weights, weights).ravel() / (2 * np.pi)
        sums = [np.empty((0, 3 + self.dim))]
        for some in np.array_split(cells, 1 + cells.size * len(areas) * self.dim // 2**21):
            z = some[:, None] + offsets
            pictures = self.pictures(z)
            squares = np.square(pictures - signal).sum(-1)
            logs = -(squares / variance + np.square(z).sum(-1)) / 2
            top = logs.max(1, keepdims=True)
            weight, away = np.exp(logs - top) * areas, pictures - about
            second = (weight * np.square(away).sum(-1)).sum(1, keepdims=True)
            first = np.einsum("cn,cnp->cp", weight, away)
            sums.append(np.hstack([top, weight.sum(1, keepdims=True), second, first]))
        return np.concatenate(sums)


def disc(step: float, reach: float) -> tuple[Array, Array]:
    """The points of a square grid within a distance, (points, 2), the origin among them.

    Also which of them are every other one, as the black squares of a chessboard are.
    """
    along = np.arange(-np.floor(reach / step), np.floor(reach / step) + 1)
    grid = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    grid = grid[np.square(step * grid).sum(1) <= reach**2]
    return step * grid, grid.sum(1) % 2 == 0


def normalised(logs: Array) -> tuple[Array, Array]:
    """Weights exp(logs) that sum to 1 along each row, and the logarithm of their sum before."""
    top = logs.max(axis=1, keepdims=True)
    r = np.exp(logs - top)
    total = r.sum(axis=1, keepdims=True)
    return r / total, (np.log(total) + top)[:, 0]
