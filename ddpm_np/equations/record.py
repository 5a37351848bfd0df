"""What the register holds of an equation and of a section of the notes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ddpm_np.equations.blocks import Block, read_file
from ddpm_np.equations.docstrings import Formula, equation_numbers, formulas, function_at
from ddpm_np.equations.notes import Place
from ddpm_np.equations.words import Words

_KEYS = (
    "title, title zh, sentence, sentence zh, functions, known, printed, demo, stated, why stated"
)
_SECTION_KEYS = "title, sentence, sentence zh, functions, demos"


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
    records = map(_equation, read_file("ddpm_np.equations", "equations.txt", _KEYS))
    return {equation.number: equation for equation in records}


def read_sections() -> dict[Place, Section]:
    """The records of sections.txt, by the place of their heading, in the order of the notes."""
    records = map(_section, read_file("ddpm_np.equations", "sections.txt", _SECTION_KEYS))
    return {section.place: section for section in records}


def _equation(block: Block) -> Equation:
    number, _, section = block.heading.partition(" ")
    return Equation(
        number,
        Place(section),
        block.words("title"),
        block.words("sentence"),
        tuple(block.listed("functions")),
        tuple(block.listed("known")),
        tuple(map(Place, block.listed("printed"))),
        tuple(text for _, text in block.entries.get("stated", [])),
        block.text("why stated", ""),
        block.text("demo", ""),
    )


def _section(block: Block) -> Section:
    sentence, functions = block.words("sentence", default=""), tuple(block.listed("functions"))
    title, demos = block.text("title"), tuple(block.listed("demos"))
    return Section(Place(block.heading), title, sentence, functions, demos)
