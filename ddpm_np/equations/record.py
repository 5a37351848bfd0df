"""What the register holds of an equation and of a section of the notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import groupby

from ddpm_np.equations.docstrings import Formula, equation_numbers, formulas, function_at
from ddpm_np.equations.notes import Place
from ddpm_np.equations.words import Words

_KEYS = ("title", "sentence", "functions", "known", "printed", "demo", "stated", "why stated")


@dataclass(frozen=True)
class Equation:
    """One equation of the table.

    number : "E1" to "E33"
    section : place of the heading in the notes under which it stands, such as "N2:289"
    functions : what computes it, below ``ddpm_np``, the first one first
    known : how it is known, of "proved", "property" and "statistical"
    printed : places of the notes that print it, right or wrong; none if it is beyond the notes
    stated : formulas without a value, beside those in the docstrings
    why_stated : why they have none, where no formula of the equation has
    demo : the demo that shows it
    """

    number: str
    section: Place
    title: Words
    sentence: Words
    functions: tuple[str, ...]
    known: tuple[str, ...]
    printed: tuple[Place, ...] = ()
    stated: tuple[str, ...] = ()
    why_stated: str = ""
    demo: str = ""

    @cached_property
    def formulas(self) -> tuple[Formula, ...]:
        """The formulas in the docstrings of its functions, the main one first, then the others."""
        found: dict[str, Formula] = {}
        for path in self.functions:
            if self.number in equation_numbers(function_at(path)):
                for formula in formulas(path):
                    found.setdefault(formula.text, formula)
        return (*found.values(), *(Formula(text, without_value=True) for text in self.stated))


@dataclass(frozen=True)
class Section:
    """A section of the notes: an English title, and where it has no equation of its own, what
    covers it here: functions, a demo, or only a sentence. Errata are found by their lines."""

    place: str
    title: str
    sentence: str = ""
    sentence_zh: str = ""
    functions: tuple[str, ...] = ()
    demos: tuple[str, ...] = ()


def read_equations() -> dict[str, Equation]:
    """The records of equations.txt, by number, in order."""
    text = files("ddpm_np.equations").joinpath("equations.txt").read_text(encoding="utf-8")
    return {e.number: e for e in map(_equation, text.strip().split("\n\n")[1:])}


def _equation(block: str) -> Equation:
    heading, *lines = block.replace("\n    ", " ").split("\n")
    number, _, section = heading.partition(" ")
    entries = dict(_entries(number, lines))

    def words(key: str) -> Words:
        return Words(entries[key][0], entries[f"{key} zh"][0])

    def listed(key: str) -> list[str]:
        return " ".join(entries.get(key, [])).split()

    return Equation(
        number,
        Place(section),
        words("title"),
        words("sentence"),
        tuple(listed("functions")),
        tuple(listed("known")),
        tuple(map(Place, listed("printed"))),
        tuple(entries.get("stated", ())),
        " ".join(entries.get("why stated", ())),
        " ".join(entries.get("demo", ())),
    )


def _entries(number: str, lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    for key, group in groupby(lines, lambda line: line.partition(":")[0]):
        if key.removesuffix(" zh") not in _KEYS:
            raise ValueError(f"equations.txt, {number}: cannot read {key!r}")
        yield key, [line.partition(": ")[2] for line in group]
