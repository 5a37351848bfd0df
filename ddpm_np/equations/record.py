"""What the register holds of an equation and of a section of the notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import groupby

from ddpm_np.equations.docstrings import Formula, equation_numbers, formulas, function_at
from ddpm_np.equations.notes import Place
from ddpm_np.equations.words import Words

_KEYS = ("title", "sentence", "functions", "known", "printed", "demo", "stated", "why stated")
_SECTION_KEYS = ("title", "sentence", "functions", "demos")


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

    place: Place
    title: str
    sentence: Words
    functions: tuple[str, ...]
    demos: tuple[str, ...]


def read_equations() -> dict[str, Equation]:
    """The records of equations.txt, by number, in order."""
    return {heading.split()[0]: _equation(heading, e) for heading, e in _read("equations", _KEYS)}


def read_sections() -> dict[Place, Section]:
    """The records of sections.txt, by the place of their heading, in the order of the notes."""
    return {Place(heading): _section(heading, e) for heading, e in _read("sections", _SECTION_KEYS)}


def _equation(heading: str, entries: _Entries) -> Equation:
    number, _, section = heading.partition(" ")
    return Equation(
        number,
        Place(section),
        entries.words("title"),
        entries.words("sentence"),
        tuple(entries.listed("functions")),
        tuple(entries.listed("known")),
        tuple(map(Place, entries.listed("printed"))),
        tuple(entries.get("stated", ())),
        " ".join(entries.get("why stated", ())),
        " ".join(entries.get("demo", ())),
    )


def _section(heading: str, entries: _Entries) -> Section:
    sentence = entries.words("sentence") if "sentence" in entries else Words("", "")
    functions, demos = tuple(entries.listed("functions")), tuple(entries.listed("demos"))
    return Section(Place(heading), entries["title"][0], sentence, functions, demos)


class _Entries(dict[str, list[str]]):
    """What stands in a block, by its key: the lines with this key."""

    def words(self, key: str) -> Words:
        return Words(self[key][0], self[f"{key} zh"][0])

    def listed(self, key: str) -> list[str]:
        return " ".join(self.get(key, [])).split()


def _read(name: str, keys: Sequence[str]) -> Iterator[tuple[str, _Entries]]:
    """The blocks of a text file after its first: their heading and their entries."""
    text = files("ddpm_np.equations").joinpath(f"{name}.txt").read_text(encoding="utf-8")
    for block in text.strip().split("\n\n")[1:]:
        heading, *lines = block.replace("\n    ", " ").split("\n")
        entries = _Entries()
        for key, group in groupby(lines, lambda line: line.partition(":")[0]):
            if key.removesuffix(" zh") not in keys:
                raise ValueError(f"{name}.txt, {heading}: cannot read {key!r}")
            entries[key] = [line.partition(": ")[2] for line in group]
        yield heading, entries
