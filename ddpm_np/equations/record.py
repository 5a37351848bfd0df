"""What the register holds of an equation and of a section of the notes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """A formula in the notation of :mod:`ddpm_np.equations.formula`.

    call : the Python expression that the package has for its right-hand side, such as
        "forward.q_step(schedule, x_prev, t, eps)"; empty where there is none
    floating : compared in floating point, because it has no value in exact numbers
    """

    text: str
    call: str = ""
    floating: bool = False

    @property
    def right(self) -> str:
        """The right-hand side, as the docstrings have it."""
        return self.text.partition(" = ")[2] or self.text


@dataclass(frozen=True)
class Equation:
    """One equation of the table.

    number : "E1" to "E33"
    section : place of the heading in the notes under which it stands, such as "N2:289"
    title, sentence : in English; title_zh, sentence_zh in Chinese
    formulas : as corrected, the main one first
    printed : places of the notes that print it, right or wrong; none if it is beyond the notes
    functions : what computes it, below ``ddpm_np``, the first one first
    known : how it is known, of "proved", "property" and "statistical"
    no_value : why its formulas have no value that could be compared, where none has
    demo : the demo that shows it
    """

    number: str
    section: str
    title: str
    title_zh: str
    sentence: str
    sentence_zh: str
    formulas: tuple[Formula, ...]
    functions: tuple[str, ...]
    known: tuple[str, ...]
    printed: tuple[str, ...] = ()
    no_value: str = ""
    demo: str = ""


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
