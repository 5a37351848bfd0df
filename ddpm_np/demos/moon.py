"""Full moon and half moon: what lies between them, by four denoisers (E24, E27).

The pictures are drawn here. A moon with the lit fraction k is a disc whose shadow ends in half an
ellipse: in each row of half-width h, the part to the right of (1 - 2 k) h is lit. So exactly the
fraction k of every row is lit, and of the disc. Full is k = 1, half is k = 1/2.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array, check_array, check_count
from ddpm_np._measurement import Measurement, computed
from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.demos import Shown
from ddpm_np.demos.interpolation import (
    affine_distribution,
    line_position,
    linear_weights,
    mix,
    spherical_weights,
)
from ddpm_np.demos.learned import SCHEDULE, trained_on
from ddpm_np.demos.points import nearest
from ddpm_np.sampling import Denoiser, ancestral_sample

STARTS = (40, 60, 80)
PHASES = 64
MIDDLE = 0.5
COLUMNS = 13  # results shown of each denoiser

SKY, DARK, LIT = -1.0, -0.7, 1.0  # the dark side is a little brighter than the sky
_RADIUS = 0.44  # of the picture's width
_SUPERSAMPLING = 8  # per pixel and axis


def moon(lit: ArrayLike, size: int = 16) -> NDArray[np.float64]:
    """Pictures of the moon as flat vectors, row by row from the top, with values from SKY to LIT.

    (n,) lit fractions in [0, 1] give (n, size * size), one fraction gives (size * size,). Edges are
    smooth: each pixel is the mean of 8 x 8 points. ValueError for fractions outside [0, 1].
    """
    size = check_count("size", size)
    fractions = check_array("lit", np.atleast_1d(lit), ndim=1)
    if np.any((fractions < 0) | (fractions > 1)):
        low, high = fractions.min(), fractions.max()
        raise ValueError(f"lit must be in [0, 1], got values from {low} to {high}")
    fine = size * _SUPERSAMPLING
    place = (np.arange(fine) + 0.5) / fine - 0.5
    # Half the width of each row; 0 above and below the disc.
    half_width = np.sqrt(np.maximum(_RADIUS**2 - place**2, 0.0))[:, None]
    on_disc = np.abs(place) < half_width
    pictures = np.empty((len(fractions), size * size))
    for picture, k in zip(pictures, fractions):
        values = np.where(on_disc, np.where(place >= (1 - 2 * k) * half_width, LIT, DARK), SKY)
        blocks = values.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING)
        picture[:] = blocks.mean(axis=(1, 3)).ravel()
    return pictures if np.ndim(lit) else pictures[0]


class Drawn(NamedTuple):
    gallery: dict[str, Array]  # some results of each denoiser, from the last start
    positions: dict[str, dict[int, Array]]  # along the line from half to full
    phases: Array
    weights: Array
    variances: dict[str, Array]  # of mixed noise, exact
    measured: dict[str, Array]


def show(*, rng: np.random.Generator, n: int = 200, steps: int = 2500) -> Shown:
    """The numbers. n: pictures of each denoiser from each start; steps: of each training."""
    half, full = ends = moon([0.5, 1.0])
    phases = moon(np.linspace(0.5, 1.0, PHASES))
    any_moon = moon(np.linspace(0.5, 1, 501))
    # For points, eps = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t): with this skip only
    # the picture is left to learn.
    skip = np.append(1.0, 1 / np.sqrt(SCHEDULE.one_minus_alpha_bar[1:]))
    off_centre = (ends - ends.mean(axis=0)) / np.sqrt(2)
    fit = IdealDenoiser(Gaussian.from_factor(ends.mean(axis=0), off_centre), SCHEDULE)
    denoisers: dict[str, Denoiser] = {
        "ideal denoiser of the two": IdealDenoiser(Empirical(ends), SCHEDULE),
        "Gaussian fit to the two": fit,
        "network, trained on the two": trained_on(ends, skip=skip, steps=steps, rng=rng),
        f"network, trained on {PHASES} phases": trained_on(phases, skip=skip, steps=steps, rng=rng),
    }
    rows: list[Measurement] = []
    positions: dict[str, dict[int, Array]] = {name: {} for name in denoisers}
    gallery: dict[str, Array] = {}
    for name, denoiser in denoisers.items():
        for t in STARTS:
            x_t = mix(SCHEDULE, half, full, MIDDLE, t, *rng.standard_normal((2, n, half.size)))
            x = ancestral_sample(
                denoiser, SCHEDULE, n, half.size, rng=rng, start=(x_t, t), dtype=x_t.dtype
            )
            w, off = line_position(x, half, full)
            positions[name][t] = w
            what = f"{name}, from t = {t}"
            if name == "ideal denoiser of the two":
                rows += _share_at_an_end(what, w, off)
            elif denoiser is fit:
                rows += _against_the_affine_distribution(what, fit, t, half, full, w)
            elif t == STARTS[-1]:
                near_end = np.minimum(abs(w), abs(1 - w)) < 0.1
                distance = float(np.median(nearest(x, any_moon)[0]))
                rows += [
                    Measurement(f"{what}: share near an end", float(near_end.mean())),
                    Measurement("... distance to the nearest moon, median", distance),
                ]
        gallery[name] = x[np.argsort(w)[np.linspace(0, n - 1, COLUMNS).astype(int)]]
    blend = float(nearest([(half + full) / 2], any_moon)[0][0, 0])
    rows.append(Measurement("distance of the even blend to the nearest moon", blend))
    mixed, weights, variances, measured = _mixed_noise(200 * n, rng)
    drawn = Drawn(gallery, positions, any_moon, weights, variances, measured)
    return Shown(rows + mixed, drawn)


def _share_at_an_end(what: str, w: Array, off: Array) -> list[Measurement]:
    """The ideal denoiser of two points must return one of them, each half of the time."""
    at_end = (np.minimum(abs(w), abs(1 - w)) < 1e-6) & (off < 1e-6)
    error = float(0.5 / np.sqrt(len(w)))
    return [
        computed(f"{what}: share at an end", at_end.mean(), 1.0),
        Measurement("... of them the full moon", float(np.mean(w > 0.5)), 0.5, error),
    ]


def _against_the_affine_distribution(
    what: str, fit: IdealDenoiser, t: int, half: Array, full: Array, w: Array
) -> list[Measurement]:
    """Positions on the line from half to full, for the affine denoiser: normally distributed."""
    along = (full - half) / np.sum((full - half) ** 2)
    centre = np.sqrt(SCHEDULE.alpha_bar[t]) * (half + full) / 2
    noise = SCHEDULE.one_minus_alpha_bar[t] * np.eye(half.size)
    mean, cov = affine_distribution(fit, SCHEDULE, centre, noise, t)
    place, sd, n = float(along @ (mean - half)), float(np.sqrt(along @ cov @ along)), len(w)
    measured, error = float(w.std(ddof=1)), sd / np.sqrt(2 * (n - 1))
    return [
        Measurement(f"{what}: mean position", float(w.mean()), place, sd / np.sqrt(n)),
        Measurement("... its standard deviation", measured, sd, error),
    ]


def _mixed_noise(
    n: int, rng: np.random.Generator
) -> tuple[list[Measurement], Array, dict[str, Array], dict[str, Array]]:
    """The variance of two mixed noises by the weight of the second, for both rules of mixing."""
    weights, eps = np.linspace(0, 1, 21), rng.standard_normal((2, n))
    rows, variances, measured = [], {}, {}
    for name, rule in (("linear", linear_weights), ("spherical", spherical_weights)):
        pairs = np.array([rule(w) for w in weights])
        variances[name] = np.square(pairs).sum(axis=1)
        measured[name] = np.square(pairs @ eps).mean(axis=1)
        half, exact = float(measured[name][10]), float(variances[name][10])
        what, error = f"variance of half-and-half noise, {name}", float(exact * np.sqrt(2 / n))
        rows.append(Measurement(what, half, exact, error))
    return rows, weights, variances, measured


def draw(drawn: Drawn) -> style.Figure:
    """Pictures between the two moons, their positions, and the variance of mixed noise."""
    figure, axes = style.new_figure(
        2, 2, "Between half moon and full moon", panel=(4.9, 3.1), height_ratios=(1.35, 1)
    )
    grid = axes[0, 0].get_gridspec()
    for ax in axes[0]:
        ax.remove()
    _gallery(figure.add_subplot(grid[0, :]), drawn)
    positions, mixing = axes[1]
    for k, per_start in enumerate(drawn.positions.values()):
        w = per_start[max(per_start)]
        jitter = 0.3 * np.sin(np.arange(len(w)) * 2.4)  # so that equal values show as many
        positions.plot(w, k + jitter, ".", color=style.LEARNED, ms=3, alpha=0.6)
    names = "ideal, two", "Gaussian fit", "network, two", "network, phases"
    positions.set_yticks(range(4), names)
    positions.invert_yaxis()
    positions.set(xlim=(-0.8, 1.8), xticks=[0, 1], xticklabels=["half", "full"])
    title = "From two pictures: an end, or a blend"
    style.label(positions, "position on the line from half to full", "", title)
    for (which, exact), colour in zip(drawn.variances.items(), (style.WRONG, style.EXACT)):
        mixing.plot(drawn.weights, exact, color=colour)
        mixing.plot(drawn.weights, drawn.measured[which], "o", ms=3, color=style.LEARNED)
    mixing.set_ylim(0, 1.3)
    style.name_line(mixing, 0.5, 1.1, "weights on a quarter circle", style.EXACT, ha="center")
    style.name_line(mixing, 0.5, 0.32, "weights on a line", style.WRONG, ha="center")
    title = "Mixing on a line loses noise"
    style.label(mixing, "weight of the second noise", "variance of the mixture", title)
    return figure


def _gallery(axes: style.Axes, drawn: Drawn) -> None:
    """One row of moons for each denoiser, below a row of true phases."""
    size = int(np.sqrt(drawn.phases.shape[1]))
    reference = drawn.phases[np.linspace(0, len(drawn.phases) - 1, COLUMNS).astype(int)]
    rows = {"true phases": reference, **drawn.gallery}
    tiles = [np.concatenate([_framed(v, size) for v in row], axis=1) for row in rows.values()]
    axes.imshow(np.concatenate(tiles), cmap="gray", vmin=-1, vmax=1)
    axes.grid(False)
    axes.set_xticks([])
    breaks = {" trained on": "\ntrained on", " of the": "\nof the", " to the": "\nto the"}
    names = list(rows)
    for old, new in breaks.items():
        names = [text.replace(old, new) for text in names]
    axes.set_yticks((np.arange(len(rows)) + 0.5) * (size + 1), names)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title("Only the network that has seen moons in between draws them")


def _framed(values: Array, size: int) -> Array:
    """A moon with a light grey line to its right and below."""
    picture = np.full((size + 1, size + 1), 0.6)
    picture[:size, :size] = values.reshape(size, size)
    return picture
