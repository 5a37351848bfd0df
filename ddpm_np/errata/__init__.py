"""The notes' slips: each as printed and as corrected, with a counterexample that code computes.

To be read beside the notes N0..N4: ``python -m ddpm_np errata`` prints :func:`errata_table`, in the order of their lines. Here
stand the formulas that are wrong and those claims that a number decides; typing slips and loose wording are left out. For each
entry one quantity is computed three times: by what is printed, by what is corrected (with the package's own functions wherever
there is one), and on a way of its own. Above all rooms of the theory, below the command line. Checked by: tests/test_errata.py.

>>> [entry.corrected for entry in lookup("N2:351")]
['b = sqrt(beta_t)']
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from types import ModuleType
from unicodedata import east_asian_width

from ddpm_np.errata import (
    n0,
    n1,
    n2_covariance,
    n2_forward,
    n2_practice,
    n2_principle,
    n2_theory,
    n3,
    n4,
)
from ddpm_np.errata.record import Erratum, Number, Numbers, parse_place

__all__ = ["ERRATA", "Erratum", "Numbers", "errata_table", "lookup"]

_WIDTH = 110


def _entries(*chapters: ModuleType) -> tuple[Erratum, ...]:
    found = [entry for chapter in chapters for entry in vars(chapter).values() if isinstance(entry, Erratum)]
    return tuple(sorted(found, key=lambda entry: parse_place(entry.place)))


ERRATA: tuple[Erratum, ...] = _entries(n0, n1, n2_principle, n2_covariance, n2_forward, n2_practice, n2_theory, n3, n4)
"""All entries, sorted by note and line."""


def lookup(place: str) -> tuple[Erratum, ...]:
    """The entries that concern a place of the notes, such as "N2:351" or "N2:439-442": any that share a line with it, in order.

    Places that repeat a slip count too. Empty where nothing is known to be wrong; ValueError for what is not a place.
    """
    note, first, last, letter = parse_place(place)

    def concerns(other: str) -> bool:
        n, a, b, c = parse_place(other)
        return n == note and a <= last and first <= b and letter in ("", c)

    return tuple(entry for entry in ERRATA if any(concerns(p) for p in (entry.place, *entry.also)))


def errata_table() -> Iterator[str]:
    """The lines of the table that a reader follows beside the notes, at most 110 columns wide; numbers are computed as it goes.

    Places that repeat a slip get a line of their own that points to the entry.
    """
    rows: list[tuple[str, Erratum, bool]] = [(entry.place, entry, True) for entry in ERRATA]
    rows += [(place, entry, False) for entry in ERRATA for place in entry.also]
    rows.sort(key=lambda row: parse_place(row[0]))
    for place, entry, is_first in rows:
        if is_first:
            yield from _lines(entry)
        else:
            yield f"{place}  see {entry.place}"
        yield ""
    formulas = sum(entry.kind == "formula" for entry in ERRATA)
    yield f"{len(ERRATA)} slips: {formulas} formulas, {len(ERRATA) - formulas} claims"


def _lines(entry: Erratum) -> Iterator[str]:
    printed, corrected, truth, tolerance = entry.numbers()

    def text(number: Number) -> str:
        if isinstance(number, Fraction):
            return str(number)
        return f"{number:.4g}" if abs(number) > tolerance else "0"

    equation = f"  ({entry.equation})" if entry.equation else ""
    yield f"{entry.place}  {entry.section}{equation}"
    yield from _wrapped("printed", entry.printed)
    yield from _wrapped("corrected", entry.corrected)
    yield from _wrapped("numbers", f"printed {text(printed)}, corrected {text(corrected)}, truth {text(truth)}")
    yield from _wrapped("of what", entry.quantity)
    yield from _wrapped("why", entry.why)


def _wrapped(label: str, text: str) -> Iterator[str]:
    """The text beside its label, broken at spaces; textwrap does not know that Chinese characters take two columns."""
    line = f"  {label:<10}"
    for word in text.split():
        if _columns(line) + 1 + _columns(word) > _WIDTH and line.strip():
            yield line
            line = " " * 12
        line += " " + word
    yield line


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
