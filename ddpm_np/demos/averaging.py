"""A signal as one vector with noise around it, and as what is left when noise is averaged (E33)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, sampled
from ddpm_np.closed_form.covariance import chi_mean, error_of_mean
from ddpm_np.demos import Shown
from ddpm_np.signals import multi_sine_curve

EDGE = 10  # of the picture whose pixels are the numbers of the signal
DEVIATIONS = (1.0, 0.5, 0.1)
NUMBERS = (1, 3, 10, 30, 100, 300, 1000)
# Correlation between the observations, and their common bias.
CASES = {"independent": (0.0, 0.0), "shared noise": (0.02, 0.0), "bias": (0.0, 0.3)}


class Drawn(NamedTuple):
    curve: Array
    noisy: dict[float, Array]  # by the standard deviation of the noise
    means: dict[int, Array]  # of n independent observations of the curve
    numbers: Array
    errors: dict[str, tuple[Array, Array, Array]]  # per case: measured, standard error, exact


def show(
    *, rng: np.random.Generator, repeats: int = 100, numbers: tuple[int, ...] = NUMBERS
) -> Shown:
    """The numbers. repeats: means that are taken; numbers: of how many observations each."""
    curve, n = multi_sine_curve(EDGE**2, rng=rng), np.array(numbers)
    noisy = {sd: curve + sd * rng.standard_normal((50, curve.size)) for sd in DEVIATIONS}
    rows = [
        sampled(f"distance to the signal, noise of s.d. {sd}", _distance(x, curve), sd * mean)
        for mean in [chi_mean(curve.size)]
        for sd, x in noisy.items()
    ]
    noise = rng.standard_normal((repeats, n[-1], curve.size))
    shared = rng.standard_normal((repeats, 1, curve.size))
    # The means of the first n observations, for all n.
    own = np.stack([noise[:, :k].mean(axis=1) for k in n], axis=1)
    errors = {}
    for case, (correlation, bias) in CASES.items():
        off = bias + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        squares = np.square(off).transpose(1, 0, 2).reshape(len(n), -1)
        measured = squares.mean(axis=1)
        error = squares.std(axis=1, ddof=1) / np.sqrt(squares.shape[1])
        exact = np.array([error_of_mean(1, int(k), correlation=correlation, bias=bias) for k in n])
        errors[case] = measured, error, exact
        rows += [
            Measurement(f"squared error of the mean of {k}, {case}", float(m), float(x), float(e))
            for k, m, x, e in zip(n, measured, exact, error)
            if k in (1, 10, 100, 1000)
        ]
    distance, expected = np.linalg.norm(own[:, -1], axis=1), chi_mean(curve.size) / np.sqrt(n[-1])
    rows.append(sampled(f"distance of the mean of {n[-1]} to the signal", distance, expected))
    means = {int(k): curve + own[0, i] for i, k in enumerate(n) if k in (1, 10, n[-1])}
    return Shown(rows, Drawn(curve, noisy, means, n, errors))


def _distance(x: Array, curve: Array) -> Array:
    return np.linalg.norm(x - curve, axis=1)


def draw(drawn: Drawn) -> style.Figure:
    """Noisy observations of a signal, their means, and the error of a mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    title = "A signal, noise around it, and what averaging removes"
    figure, axes = style.new_figure(2, 3, title, panel=(3.5, 2.6))
    (picture, *clouds), (last, left, right) = axes
    picture.imshow(drawn.curve.reshape(EDGE, EDGE), cmap="Greys")
    picture.grid(False)
    style.label(picture, "column", "row", "A picture of 10 x 10 pixels ...")
    colours = ScalarMappable(Normalize(-5, 18), cmap="Blues")
    titles = "... is a vector of 100 numbers", "Half the noise", "A tenth: the signal shows"
    for panel, (sd, x), text in zip((*clouds, last), drawn.noisy.items(), titles):
        distance = _distance(x, drawn.curve)
        for k in np.argsort(-distance):  # the farthest first
            panel.plot(x[k], color=colours.to_rgba(distance[k]), lw=0.5)
        panel.plot(drawn.curve, color=style.DATA, lw=1.4)
        panel.set_ylim(-5, 5.8)
        style.label(panel, "pixel", f"value, $\\sigma = {sd:g}$", text)
    style.colour_bar(colours, last, "distance to it").ax.set_ylim(0, 12)
    style.name_line(clouds[0], 2, 4.7, "the signal", style.DATA)
    for (n, mean), shade in zip(drawn.means.items(), ("0.8", "0.5", style.LEARNED)):
        left.plot(mean, color=shade, lw=1.2, label=f"mean of {n}")
    left.plot(drawn.curve, color=style.DATA, lw=1, ls="--", label="the signal")
    left.set_ylim(-5, 7.5)
    style.label(left, "pixel", "value", "The mean of 1000 is the signal")
    style.legend(left, loc="upper center", ncols=2)
    for (case, (measured, error, exact)), marker in zip(drawn.errors.items(), "os^"):
        right.plot(drawn.numbers, exact, color=style.EXACT, lw=1.2)
        style.measured(right, drawn.numbers, measured, error, marker)
        style.name_line(right, drawn.numbers[-1] * 1.3, exact[-1], case, style.EXACT, va="center")
    right.set(xscale="log", yscale="log", xlim=(0.8, drawn.numbers[-1] * 30))
    right.plot([], [], color=style.EXACT, label="exact")
    style.measured(right, [], [], [], label="simulated, 5 s.e.")
    style.legend(right, loc="lower left")
    what = "squared error of the mean"
    style.label(right, "observations $n$", what, "Only independent noise goes away")
    return figure
