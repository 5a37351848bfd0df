"""How much of a space of many dimensions is signal: random points near one (N1:17)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, sampled
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.moon import moon
from ddpm_np.signals import MultiSine

DIMS = (20, 50, 100, 256)
NEAR = 0.5  # root mean square difference to the nearest signal
RADII = np.linspace(0.1, 1.0, 91)


class Drawn(NamedTuple):
    noises: Array  # random points as pictures
    moons: Array
    exact: dict[int, Array]  # the share of random points within each of RADII, by dimension
    counted: dict[int, tuple[Array, Array]]  # some radii and the share of draws within


def show(*, rng: np.random.Generator, n: int = 100_000) -> Shown:
    """The numbers. n: random points that are counted."""
    rows, exact, counted = [], {}, {}
    for dim in DIMS:
        signals = MultiSine(FREQUENCIES, dim=dim)
        exact[dim] = _share(RADII, dim, signals.rank)
        if dim > 50:
            continue
        x = rng.standard_normal((n, dim))
        # Of a random point to the nearest sum of the five sines, whatever their amplitudes.
        axes = signals.axes[:, : signals.rank]
        off = x - (x @ axes) @ axes.T
        distance = np.sqrt(np.square(off).mean(axis=1))
        within = distance[:, None] < RADII[::10]
        counted[dim] = RADII[::10], within.mean(axis=0)
        hits = (distance < 0.7).astype(float)
        what = f"share of random points within 0.7 of a signal, {dim} numbers"
        rows.append(sampled(what, hits, float(_share(0.7, dim, signals.rank))))
    for dim in DIMS:
        share = float(np.interp(NEAR, RADII, exact[dim]))
        rows.append(Measurement(f"... within {NEAR}, {dim} numbers, exact: log10", np.log10(share)))
    noises = np.clip(rng.standard_normal((5, 256)), -1, 1)
    return Shown(rows, Drawn(noises, moon(np.linspace(0.2, 1, 5)), exact, counted))


def _share(radius: Array | float, dim: int, rank: int) -> Array:
    """The share of N(0, I) within a root mean square distance of a subspace: a chi-square."""
    from scipy.special import gammainc

    left = dim - rank  # directions in which there is no signal
    return gammainc(left / 2, dim * np.square(radius) / 2)


def draw(drawn: Drawn) -> style.Figure:
    """Moons beside random points, and the share of points near a signal."""
    title = "Most of the space is noise"
    figure, axes = style.new_figure(1, 2, title, panel=(4.9, 2.7), width_ratios=(1.15, 1))
    pictures, share = axes[0]
    framed = [
        np.hstack([np.pad(x.reshape(16, 16), 1, constant_values=1) for x in row])
        for row in (drawn.moons, drawn.noises)
    ]
    pictures.imshow(np.vstack(framed), cmap="gray", vmin=-1, vmax=1)
    pictures.set_yticks([9, 27], ["five moons", "five random\npoints"])
    pictures.set_xticks([])
    pictures.grid(False)
    style.label(pictures, "pictures of 16 x 16 pixels", "", "Points of one space")
    for dim, values in drawn.exact.items():
        share.plot(RADII, np.maximum(values, 1e-300), color=style.EXACT, lw=1.2)
        low = np.interp(-19, np.log10(np.maximum(values, 1e-300)), RADII)
        style.name_line(share, low + 0.012, 1e-19, f"{dim}", style.EXACT)
    for radii, values in drawn.counted.values():
        share.plot(radii[values > 0], values[values > 0], "o", color=style.LEARNED, ms=3)
    share.set(yscale="log", ylim=(1e-20, 5), xlim=(0.1, 1))
    style.name_line(
        share, 0.99, 1e-16, "numbers in a point:\n20, 50, 100, 256", style.EXACT, ha="right"
    )
    style.label(
        share, "distance to the nearest signal", "share of points", "The larger, the emptier"
    )
    return figure
