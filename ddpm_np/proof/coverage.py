"""What a proof covers of a function: the arguments that it was called with, the lines that ran."""

import ast
import dis
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from ddpm_np.schedule import Schedule

# Instructions that belong to no statement.
_SILENT = {"CACHE", "COPY_FREE_VARS", "EXTENDED_ARG", "MAKE_CELL", "NOP", "RESUME"}


@dataclass
class Coverage:
    """On what a function was run: T of the schedules, kinds of t, shapes of the arrays.

    places : the instructions that ran, each with the first line of its code object
    """

    T: set[int] = field(default_factory=set)
    t: set[str] = field(default_factory=set)
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    places: set[tuple[int, int]] = field(default_factory=set)

    def __str__(self) -> str:
        parts = []
        if self.T:
            low, high = min(self.T), max(self.T)
            parts.append(f"T = {low}" if low == high else f"T = {low} to {high}")
        if self.t:
            parts.append("t " + " and ".join(sorted(self.t, reverse=True)))
        shapes = sorted(self.shapes, key=lambda shape: (len(shape), shape))
        if shapes:
            parts.append(f"shapes {' '.join(str(shape) for shape in shapes)}")
        return ", ".join(parts) or "scalars"

    def add(self, arguments: dict[str, Any]) -> None:
        """One more call, with these arguments."""
        for name, value in arguments.items():
            if name == "self" and not isinstance(value, Schedule):
                value = getattr(value, "schedule", None)
            if isinstance(value, Schedule):
                self.T |= {value.T} if "beta" in vars(value) else set()
            elif name in ("t", "steps"):
                self.t.add("as an array" if isinstance(value, np.ndarray) else "as an int")
            elif isinstance(value, np.ndarray) and value.ndim:
                self.shapes.add(value.shape)

    def join(self, other: "Coverage") -> None:
        """Also what the other covers."""
        for name, mine in vars(self).items():
            mine.update(vars(other)[name])


def lines_not_run(function: Any, covered: Coverage) -> list[str]:
    """Where a function has lines of which nothing ran, as "lines 5 to 8: text"; refusals aside.

    The text is that of the first line. Then the lines of which one side of a conditional
    expression did not run, as "a side of line 5: text".
    """
    source, first = inspect.getsourcelines(function)
    refusals: set[int] = set()
    choices: set[int] = set()
    for node in ast.walk(ast.parse(textwrap.dedent("".join(source)))):
        if isinstance(node, ast.Raise):
            refusals |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        elif isinstance(node, ast.IfExp):
            choices.add(node.lineno)
    ran: dict[bool, set[int]] = {True: set(), False: set()}
    for code in codes_in(function.__code__):
        for step in dis.get_instructions(code):
            if step.opname not in _SILENT:
                has_run = (code.co_firstlineno, step.offset) in covered.places
                ran[has_run].add(lines_of(code)[step.offset])
    aside = {line + first - 1 for line in refusals}
    missing = sorted(ran[False] - ran[True] - aside)
    starts = [line for line in missing if not {line - 1, line - 2} & set(missing)]
    ends = [line for line in missing if not {line + 1, line + 2} & set(missing)]
    found = [
        (f"line {a}" if a == b else f"lines {a} to {b}") + f": {source[a - first].strip()}"
        for a, b in zip(starts, ends)
    ]
    sides = ran[False] & ran[True] & {line + first - 1 for line in choices} - aside
    return found + [f"a side of line {a}: {source[a - first].strip()}" for a in sorted(sides)]


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """A code object and those of the comprehensions and functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


@cache
def lines_of(code: CodeType) -> dict[int, int]:
    """The line of each place in a code object."""
    found = code.co_firstlineno
    lines: dict[int, int] = {}
    for start, end, line in code.co_lines():
        found = line or found
        lines |= dict.fromkeys(range(start, end, 2), found)
    return lines
