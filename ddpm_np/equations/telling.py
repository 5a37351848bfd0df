"""The derivation told once: the nine steps back, and what comes before and after them.

A step names its equation, the function that computes it, why it follows from what came before, and
the numbers that show it (telling.txt). Its formulas are those of the register, which has them from
the docstrings. The page, the README's tables and the notebook of :mod:`ddpm_np.companion` are three
ways to read it.
"""

from functools import cache
from typing import NamedTuple

from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.blocks import read_file
from ddpm_np.equations.formula import Node
from ddpm_np.equations.words import Words

IDENTITY = "beta_t + alpha_t - alpha_bar_t = 1 - alpha_bar_t"
"""What does all the work: the numerator of psi_2, and what cancels in the coefficient of x_t."""


class Step(NamedTuple):
    """One step of the telling.

    equation : "E10"
    function : what computes it, below ``ddpm_np``
    code, line : the function whose statement is shown, by default the same, and a piece of that
        statement; empty for the last return
    own : why it follows, where the equation's sentence does not say it; {constant} and {kept} stand
        for numbers that are computed
    forms : which of the equation's formulas belong here, counted from 1; -1 is the first,
        with its right-hand sides in reverse order
    shows : pairs of a symbol and a Python expression for its value, for the arrays of one signal
    """

    equation: str
    function: str
    code: str
    line: str
    own: Words | None
    forms: tuple[int, ...]
    shows: tuple[tuple[str, str], ...]

    @property
    def pieces(self) -> tuple[Node, ...]:
        """The formulas, one piece for each right-hand side; what goes on with the left-hand side of
        the piece before has an empty name in its place."""
        found: list[Node] = []
        before: Node | None = None
        for form in self.forms:
            tree = EQUATIONS[self.equation].formulas[abs(form) - 1].tree
            if set(tree.text.split()) != {"="}:
                found.append(tree)
                continue
            left, *rights = tree.parts
            for right in rights if form > 0 else rights[::-1]:
                found.append(Node("chain", "=", (Node("name") if left == before else left, right)))
                before = left
        return tuple(found)

    @property
    def because(self) -> Words:
        """Why the step follows: its own words, else the equation's sentence."""
        return self.own or EQUATIONS[self.equation].sentence


class Chapter(NamedTuple):
    """Steps that belong together: "forward", "back", "training" or "sampling"."""

    name: str
    title: Words
    steps: tuple[Step, ...]


def _chapters() -> tuple[Chapter, ...]:
    parts: list[tuple[str, Words, list[Step]]] = []
    keys = "title, title zh, why, why zh, forms, line, show"
    for block in read_file("ddpm_np.equations", "telling.txt", keys):
        first, _, name = block.heading.partition(" ")
        if first == "#":
            parts.append((name, block.words("title"), []))
            continue
        own = block.words("why") if "why" in block.entries else None
        forms = tuple(map(int, block.text("forms", "1").split()))
        shows = [text.split(" := ") for _, text in block.entries.get("show", [])]
        pairs = tuple((symbol, expression) for symbol, expression in shows)
        code, _, line = block.text("line", "").rpartition(": ")
        parts[-1][2].append(Step(first, name, code or name, line, own, forms, pairs))
    return tuple(Chapter(name, title, tuple(steps)) for name, title, steps in parts)


def told(text: str) -> str:
    """A text of the telling with the computed numbers in it."""
    for name, value in facts().items():
        text = text.replace(f"{{{name}}}", value)
    return text


@cache
def facts() -> dict[str, str]:
    """The numbers in the words of the telling, computed under the notes' schedule."""
    import numpy as np

    from ddpm_np.closed_form.distributions import Gaussian
    from ddpm_np.closed_form.reverse import sampler_distribution
    from ddpm_np.schedule import Schedule

    schedule, data = Schedule.sigmoid(), Gaussian([0.0], [[1.0]])
    means = sampler_distribution(data, schedule, variance=np.zeros(schedule.T + 1))
    constant, kept = np.log(2 * np.pi * schedule.beta_tilde[50]), 100 * means.cov[0, 0]
    return {"constant": f"{constant:.2f}".replace("-", "−"), "kept": f"{kept:.1f} %"}


CHAPTERS = _chapters()
"""The whole telling, in the order of the derivation."""

STEPS = next(part.steps for part in CHAPTERS if part.name == "back")
"""The nine steps from Bayes' rule to the line that samples."""
