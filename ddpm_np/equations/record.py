"""What the register holds of an equation and of a section of the notes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ddpm_np.equations.blocks import read_file
from ddpm_np.equations.docstrings import Formula, equation_numbers, formulas, function_at
from ddpm_np.equations.notes import Place
from ddpm_np.equations.words import Words

_KEYS = (
    "title, title zh, sentence, sentence zh, functions, no formula, proved beside, known, printed, "
    "demo, stated, why stated"
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
    no_formula : why some of its functions have no formula of their own
    beside : what proofs run beside its functions
    stated : formulas without a value, beside those in the docstrings
    why_stated : why they have none, where no formula of the equation has
    demo : the demo that shows it
    """

    number: str
    section: Place
    title: Words
    sentence: Words
    functions: tuple[str, ...]
    no_formula: Mapping[str, str]
    beside: tuple[str, ...]
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


def read_equations() -> Iterator[Equation]:
    """The records of equations.txt, in order."""
    for block in read_file("ddpm_np.equations", "equations.txt", _KEYS):
        number, _, section = block.heading.partition(" ")
        yield Equation(
            number,
            Place(section),
            block.words("title"),
            block.words("sentence"),
            tuple(block.listed("functions")),
            dict(text.split(": ") for _, text in block.entries.get("no formula", [])),
            tuple(block.listed("proved beside")),
            tuple(block.listed("known")),
            tuple(map(Place, block.listed("printed"))),
            tuple(text for _, text in block.entries.get("stated", [])),
            block.text("why stated", ""),
            block.text("demo", ""),
        )


def read_sections() -> Iterator[Section]:
    """The records of sections.txt, in the order of the notes."""
    for block in read_file("ddpm_np.equations", "sections.txt", _SECTION_KEYS):
        title, sentence = block.text("title"), block.words("sentence", default="")
        functions, demos = tuple(block.listed("functions")), tuple(block.listed("demos"))
        yield Section(Place(block.heading), title, sentence, functions, demos)
