"""A signal as what remains when noise is averaged away (E33)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._figure_style import (
    DATA,
    EXACT,
    FAINT,
    LEARNED,
    NOISE,
    label,
    legend,
    name_line,
    new_figure,
    styled,
)
from ddpm_np._measurement import Measurement, sampled
from ddpm_np.closed_form.covariance import chi_mean, error_of_mean
from ddpm_np.demos.shown import Shown
from ddpm_np.signals import multi_sine_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS = (1, 3, 10, 30, 100, 300, 1000)
# Correlation between the observations, and their common bias.
CASES = {"independent": (0.0, 0.0), "correlated": (0.02, 0.0), "biased": (0.0, 0.3)}


class Drawn(NamedTuple):
    curve: Array
    means: dict[int, Array]  # of n independent observations of the curve
    numbers: Array
    errors: dict[str, tuple[Array, Array, Array]]  # per case: measured, standard error, exact


def show(
    *, rng: np.random.Generator, repeats: int = 100, numbers: tuple[int, ...] = NUMBERS
) -> Shown:
    curve, n = multi_sine_curve(rng=rng), np.array(numbers)
    noise = rng.standard_normal((repeats, n[-1], curve.size))
    shared = rng.standard_normal((repeats, 1, curve.size))
    # The means of the first n observations, for all n.
    own = np.stack([noise[:, :k].mean(axis=1) for k in n], axis=1)
    errors, rows = {}, []
    for case, (correlation, bias) in CASES.items():
        off = bias + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        squares = np.square(off).transpose(1, 0, 2).reshape(len(n), -1)
        measured = squares.mean(axis=1)
        error = squares.std(axis=1, ddof=1) / np.sqrt(squares.shape[1])
        exact = np.array(
            [error_of_mean(1.0, int(k), correlation=correlation, bias=bias) for k in n]
        )
        errors[case] = measured, error, exact
        rows += [
            Measurement(f"squared error of the mean of {k}, {case}", float(m), float(x), float(e))
            for k, m, x, e in zip(n, measured, exact, error)
            if k in (1, 10, 100, 1000)
        ]
    distance = np.linalg.norm(own[:, -1], axis=1)
    expected = chi_mean(curve.size) / np.sqrt(n[-1])
    rows.append(sampled(f"distance of the mean of {n[-1]} from the curve", distance, expected))
    means = {int(k): curve + own[0, i] for i, k in enumerate(n) if k in (1, 10, n[-1])}
    return Shown(rows, Drawn(curve, means, n, errors))


@styled
def draw(drawn: Drawn) -> Figure:
    figure, axes = new_figure(1, 2, "What averaging removes", panel=(4.6, 2.8))
    left, right = axes[0]
    for (n, mean), colour in zip(drawn.means.items(), (FAINT, NOISE, LEARNED)):
        left.plot(mean, color=colour, lw=1.2, label=f"mean of {n}")
    left.plot(drawn.curve, color=DATA, lw=1, ls="--", label="the signal")
    label(left, "sample", "value", "The mean of 1000 observations is the signal")
    low, high = left.get_ylim()
    left.set_ylim(low, high + 0.3 * (high - low))  # room for the legend
    legend(left, loc="upper center", ncols=4, columnspacing=1)
    names = {"independent": "independent", "correlated": "shared noise", "biased": "bias"}
    for (case, (measured, error, exact)), marker in zip(drawn.errors.items(), "os^"):
        right.plot(drawn.numbers, exact, color=EXACT, lw=1.2)
        right.errorbar(drawn.numbers, measured, 5 * error, color=LEARNED, fmt=marker, capsize=2)
        name_line(right, drawn.numbers[-1] * 1.2, exact[-1], names[case], EXACT, va="center")
    right.set(xscale="log", yscale="log", xlim=(0.8, drawn.numbers[-1] * 9))
    right.plot([], [], color=EXACT, label="exact")
    right.errorbar([], [], [], color=LEARNED, fmt="o", capsize=2, label="simulated, 5 s.e.")
    legend(right, loc="lower left")
    label(
        right, "observations $n$", "squared error of the mean", "Only independent noise goes away"
    )
    return figure
