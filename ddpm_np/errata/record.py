"""The record of one erratum, and the tools that compute its numbers.

Below it: everything the package knows. Above it: one module per part of the notes, whose entries
:mod:`ddpm_np.errata` collects.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array, Number
from ddpm_np.equations.notes import Place
from ddpm_np.equations.words import Words
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule

Text = Words
KINDS = {
    "wrong formula": Text("the formula is false as it is printed", "公式有误"),
    "wrong claim": Text("the sentence is false", "论断有误"),
    "imprecise": Text("right as it is meant, but a condition or a word is missing", "不够严谨"),
    "convention": Text("right under the notes' own convention, not the usual one", "约定不同"),
}
"""The kinds of errata: what each means, and its Chinese name."""


class Numbers(NamedTuple):
    """One quantity three times: as printed, as corrected, and computed independently.

    ``tolerance`` is how far the last two may differ: 0, units in the last place, the error of a
    quadrature, or a bound on the rest. Where a claim admits a range of values, ``printed`` is the
    value in that range nearest to the truth.
    """

    printed: float | Fraction
    corrected: float | Fraction
    truth: float | Fraction
    tolerance: float | Fraction

    def texts(self) -> tuple[str, str, str]:
        """Printed, corrected and truth as four digits; what is within the tolerance of 0 is 0."""

        def text(number: float | Fraction) -> str:
            if isinstance(number, Fraction):
                return str(number)
            return f"{number:.4g}" if abs(number) > self.tolerance else "0"

        return text(self.printed), text(self.corrected), text(self.truth)


@dataclass(frozen=True)
class Erratum:
    """One error of the notes: where it is, what is printed, what is right, and a counterexample.

    place : "N2:351" or "N2:439-442", the note and its lines; a letter tells two errors of the
        same lines apart
    section : the note's own title of the section
    kind : one of :data:`KINDS`
    printed : in Chinese the note's own words or its formula, in English a translation of them
    corrected, why : one line of text each
    quantity : what the numbers measure
    numbers : computes them
    latex : the formula as printed there and as corrected, in LaTeX; the first is empty where the
        note says it in words, and latex is None where the correction is no formula
    equation : the equation that the corrected form carries or uses, "E3", where there is one
    also : other places with the same error
    """

    place: Place
    section: str
    kind: str
    printed: Text
    corrected: Text
    quantity: Text
    why: Text
    numbers: Callable[[], Numbers] = field(repr=False, compare=False)
    latex: tuple[str, str] | None = None
    equation: str | None = None
    also: tuple[Place, ...] = ()

    @property
    def note(self) -> str:
        return self.place.note

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line."""
        return self.place.first, self.place.last


def erratum(
    place: str,
    *,
    section: str,
    kind: str,
    printed: str | tuple[str, str],
    corrected: str | tuple[str, str],
    quantity: str | tuple[str, str],
    why: str | tuple[str, str],
    latex: tuple[str, str] | None = None,
    equation: str | None = None,
    also: tuple[str, ...] = (),
) -> Callable[[Callable[[], Numbers]], Erratum]:
    """A decorator: the function below it computes the numbers, the result is the entry.

    A text is a pair, English and Chinese, or one string where both are the same (a formula).
    """
    where, repeated = Place(place), tuple(map(Place, also))
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")

    def pair(text: str | tuple[str, str]) -> Text:
        return Text(text, text) if isinstance(text, str) else Text(*text)

    def entry(numbers: Callable[[], Numbers]) -> Erratum:
        return Erratum(
            where,
            section,
            kind,
            pair(printed),
            pair(corrected),
            pair(quantity),
            pair(why),
            numbers,
            latex,
            equation,
            repeated,
        )

    return entry


# ---- tools for the counterexamples ----------------------------------------------------------


class Integral(NamedTuple):
    value: float
    error: float


def line_integral(
    integrand: Callable[[Array], Array], low: float, high: float, *, intervals: int = 4000
) -> Integral:
    """The trapezoidal rule, for a smooth integrand that is negligible at both ends.

    There it converges faster than any power of the step. The error is what leaving out every
    second point changes, plus the rounding of the sum.
    """
    x, h = np.linspace(low, high, intervals + 1, retstep=True)
    terms = np.asarray(integrand(x), dtype=float) * h
    fine, coarse = terms.sum(), 2 * terms[::2].sum()
    rounding = 64 * np.finfo(float).eps * np.abs(terms).sum()
    return Integral(float(fine), float(abs(fine - coarse) + rounding))


def signs(n: int) -> Array:
    """All 2^n rows of n signs, (2^n, n).

    Equally likely, they have mean 0 and covariance I exactly, as N(0, I) has. Their average of a
    polynomial of degree at most 3 in each coordinate is its expectation over N(0, I).
    """
    return np.array(np.meshgrid(*[[-1.0, 1.0]] * n, indexing="ij")).reshape(n, -1).T


def value(number: Number) -> float | Fraction:
    """The result of a scalar formula as a plain number, a Fraction where it is exact."""
    return number.fraction if isinstance(number, Exact) else float(np.asarray(number))


def ulps(n: float, *values: float) -> float:
    """n units in the last place of the largest of the values."""
    return float(n * np.spacing(max(abs(v) for v in values)))


@cache
def notes_schedule() -> Schedule:
    """The schedule of the notes' experiment: T = 100, beta_max = 0.1 (E19)."""
    return Schedule.sigmoid()
