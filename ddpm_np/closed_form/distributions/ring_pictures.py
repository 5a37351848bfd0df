"""Pictures of rings as functions of place and radius: their slopes, and least squares.

:mod:`ddpm_np.closed_form.distributions.rings` makes a distribution of them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import Array

OUTSIDE, RIM, INSIDE = -1.0, 1.0, 0.0  # grey values
HALF_RIM, EDGE = 1.0, 0.6  # half the width of the rim, and of an edge's tanh, in pixels
OUTER, INNER = RIM - OUTSIDE, INSIDE - RIM  # the steps at the two edges


def ring_pictures(place: ArrayLike, radius: ArrayLike, size: int) -> NDArray[np.float64]:
    """Rings as vectors (n, size * size): -1 outside, 1 on the rim, 0 inside.

    place: (n, 2) centres as row and column in pixels, counted from the middle of the picture;
    radius: a number or (n,), of the middle of the rim, in pixels. With d a pixel's distance from
    the centre and S(u) = (1 + tanh u) / 2 = 1 / (1 + exp(-2 u)),

        ring = 2 S((radius + 1 - d) / 0.6) - S((radius - 1 - d) / 0.6) - 1.
    """
    return drawn(np.asarray(place, np.float64), np.asarray(radius, np.float64), size)[0]


def drawn(
    place: Array, radius: Array, size: int, slopes: bool = False
) -> tuple[Array, Array | None]:
    """The pictures (..., pixels) and, where asked, their slopes (..., 3, pixels).

    The slopes are the derivatives with respect to row, column and radius. place: (..., 2).
    """
    pixel = np.arange(size) - (size - 1) / 2
    row = pixel - place[..., :1]
    column = pixel - place[..., 1:]
    d = np.square(row)[..., :, None] + np.square(column)[..., None, :]
    np.sqrt(d, out=d)
    outer, inner = _edges(d, radius)
    picture = OUTER * outer
    picture += INNER * inner
    picture += OUTSIDE
    flat = (*place.shape[:-1], size * size)
    picture = picture.reshape(flat)
    if not slopes:
        return picture, None
    by_radius = (OUTER * outer * (1 - outer) + INNER * inner * (1 - inner)) * (2 / EDGE)
    # dd/drow = -(pixel - row) / d; at the very centre, where it has no value, the rim is far
    with np.errstate(invalid="ignore", divide="ignore"):
        by_row = np.nan_to_num(row[..., :, None] / d) * by_radius
        by_column = np.nan_to_num(column[..., None, :] / d) * by_radius
    stacked = np.stack([v.reshape(flat) for v in (by_row, by_column, by_radius)], axis=-2)
    return picture, stacked


def _edges(d: Array, radius: Array) -> tuple[Array, Array]:
    """S at the outer and at the inner edge: both from one exp, which is faster than tanh."""
    e, ratio = d - radius[..., None, None], np.exp(2 * HALF_RIM / EDGE)
    e *= 2 / EDGE
    with np.errstate(over="ignore"):  # far outside e is inf, and S is 0
        np.exp(e, out=e)
        inner = e * ratio
    e /= ratio
    for S in (e, inner):
        S += 1
        np.reciprocal(S, out=S)
    return e, inner


def steepest(place: Array, reach: float, radius: float, size: int) -> Array:
    """No picture moves faster than this, in |picture| per pixel, (...,).

    Whatever the direction, and for every centre within ``reach`` of the place (..., 2).
    """
    pixel = np.arange(size) - (size - 1) / 2
    d = np.hypot(pixel[:, None] - place[..., :1, None], pixel - place[..., 1:, None])
    bound = np.zeros(d.shape)
    for height, edge in ((OUTER, radius + HALF_RIM), (-INNER, radius - HALF_RIM)):
        nearest = np.maximum(np.abs(edge - d) - reach, 0.0) / EDGE
        bound += height / 2 * (1 - np.tanh(nearest) ** 2) / EDGE
    return np.asarray(np.sqrt(np.square(bound).sum((-2, -1))))


def kink(radius: float) -> float:
    """The slope of a pixel's grey at the ring's very centre, where the distance has a kink."""
    edges = (OUTER, radius + HALF_RIM), (INNER, radius - HALF_RIM)
    return float(abs(sum(h / 2 * (1 - np.tanh(edge / EDGE) ** 2) for h, edge in edges)) / EDGE)


def least_squares(
    x: Array, start: Array, size: int, free: int, prior: float = 0.0, updates: int = 40
) -> Array:
    """Row, column and radius (n, 3) that minimise |x - ring|^2 + prior |place|^2, from ``start``.

    The first ``free`` of the three move. Each update is tried with damping, kept where it helps.
    """
    now, damping = start.copy(), np.full(len(x), 1e-3)
    penalty = np.array([prior, prior, 0.0])[:free]

    def residual(at: Array, rows: Array) -> tuple[Array, Array, Array]:
        pictures, slopes = drawn(at[:, :2], at[:, 2], size, slopes=True)
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
