"""What an erratum is, and the few tools that compute its numbers.

Below it: everything the package knows. Above it: one module per chapter of the notes, whose entries :mod:`ddpm_np.errata` collects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.schedule import Schedule

__all__ = ["Erratum", "Integral", "Number", "Numbers", "line_integral", "notes_schedule", "parse_place", "signs", "slip", "ulps"]

Number = float | Fraction

_PLACE = re.compile(r"(N[0-4]):([1-9]\d*)(?:-([1-9]\d*))?([a-z]?)")


class Numbers(NamedTuple):
    """One quantity three times: by what is printed, by what is corrected, and on a way of its own.

    ``tolerance`` is how far the last two may differ: 0, units in the last place, a quadrature's error, or a bound on the rest.
    Where a claim admits a range of values, ``printed`` is the one of them that is nearest to the truth.
    """

    printed: Number
    corrected: Number
    truth: Number
    tolerance: Number


@dataclass(frozen=True)
class Erratum:
    """One slip of the notes: where, what is printed, what should be, and the numbers that decide.

    place : "N2:351" or "N2:439-442", the note and its lines; a letter after it tells two slips of one line apart
    section : the note's own title of the section
    kind : "formula" (wrong as printed) or "claim" (false, and a number shows it)
    printed, corrected, why : one line of text each
    quantity : what the numbers measure
    numbers : computes them
    equation : the number in the derivation that the corrected form carries or uses, "E3", where there is one
    also : other places that print the same
    """

    place: str
    section: str
    kind: str
    printed: str
    corrected: str
    quantity: str
    why: str
    numbers: Callable[[], Numbers] = field(repr=False, compare=False)
    equation: str | None = None
    also: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        return parse_place(self.place)[0]

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line."""
        return parse_place(self.place)[1:3]


def slip(
    place: str, *, section: str, kind: str, printed: str, corrected: str, quantity: str, why: str, equation: str | None = None,
    also: tuple[str, ...] = (),
) -> Callable[[Callable[[], Numbers]], Erratum]:
    """Makes the function below it, which computes the numbers, into the entry of that slip."""
    parse_place(place)

    def entry(numbers: Callable[[], Numbers]) -> Erratum:
        return Erratum(place, section, kind, printed, corrected, quantity, why, numbers, equation, also)

    return entry


def parse_place(place: str) -> tuple[str, int, int, str]:
    """Note, first line, last line, letter; ValueError for anything else.

    >>> parse_place("N2:439-442")
    ('N2', 439, 442, '')
    """
    match = _PLACE.fullmatch(place)
    if match is None or int(match[3] or match[2]) < int(match[2]):
        raise ValueError(f"place must be a note and its line or lines, such as N2:351 or N2:439-442, got {place!r}")
    return match[1], int(match[2]), int(match[3] or match[2]), match[4]


# ---- tools for the counterexamples ----------------------------------------------------------------------------------------------


class Integral(NamedTuple):
    value: float
    error: float


def line_integral(integrand: Callable[[Array], Array], low: float, high: float, *, intervals: int = 4000) -> Integral:
    """The trapezoidal rule, for a smooth integrand that has died out at both ends, where it converges faster than any power of h.

    The error is what leaving out every second point changes, plus the rounding of the sum.
    """
    x, h = np.linspace(low, high, intervals + 1, retstep=True)
    terms = np.asarray(integrand(x), dtype=float) * h
    fine, coarse = terms.sum(), 2 * terms[::2].sum()
    return Integral(float(fine), float(abs(fine - coarse) + 64 * np.finfo(float).eps * np.abs(terms).sum()))


def signs(n: int) -> Array:
    """All 2^n rows of n signs, (2^n, n).

    Equally likely, they have mean 0 and covariance I exactly, as N(0, I) has: their average of a polynomial whose degree in each
    coordinate is at most 3 is its expectation over N(0, I).
    """
    return np.array(np.meshgrid(*[[-1.0, 1.0]] * n, indexing="ij")).reshape(n, -1).T


def ulps(n: float, *values: float) -> float:
    """n units in the last place of the largest of the values."""
    return float(n * np.spacing(max(abs(v) for v in values)))


@cache
def notes_schedule() -> Schedule:
    """The schedule of the notes' experiment: T = 100, beta_max = 0.1 (E19)."""
    return Schedule.sigmoid()
