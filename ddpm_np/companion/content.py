"""What the page says about each section, equation and erratum, as plain records."""

from __future__ import annotations

import ast
import runpy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from ddpm_np.companion.sources import ROOT, Source, source
from ddpm_np.equations import EQUATIONS, SECTIONS, Equation, Formula, Section, equations_of
from ddpm_np.equations.notes import NOTES, Heading, Printed, heading_of, notes
from ddpm_np.errata import ERRATA, Erratum
from ddpm_np.proof.formulas import difference
from ddpm_np.proof.verify import rows

SHORT = 20  # lines of code that stand beside a formula without being unfolded


class Bug(NamedTuple):
    """A planted bug: its name, and the line it changes, before and after."""

    name: str
    right: str
    wrong: str
    caught_by: str


class Known(NamedTuple):
    """What is known of an equation: statements that are proved, functions that the proofs run and
    what they cover of each, and the worst float64 error with what is allowed."""

    statements: tuple[str, ...] = ()
    covered: Mapping[str, str] = {}
    error: tuple[float, float] | None = None


class EquationPart(NamedTuple):
    """An equation with all that is known about it.

    compared: its formulas, each with how it was compared: "identity", "floating" or "".
    shown: how many sources are unfolded.
    """

    equation: Equation
    compared: tuple[tuple[Formula, str], ...]
    sources: tuple[Source, ...]
    shown: int
    known: Known
    tests: tuple[str, ...]
    bugs: tuple[Bug, ...]
    errata: tuple[Erratum, ...]
    previous: str
    next: str


class PrintedPart(NamedTuple):
    """A formula as printed, the errata on its lines, and which of its rows are wrong."""

    printed: Printed
    errata: tuple[Erratum, ...]
    wrong_rows: tuple[int, ...]


class SectionPart(NamedTuple):
    """A section: printed formulas, errata that concern sentences, equations, other sources."""

    heading: Heading
    section: Section
    printed: tuple[PrintedPart, ...]
    errata: tuple[Erratum, ...]
    equations: tuple[EquationPart, ...]
    sources: tuple[Source, ...]
    demos: tuple[str, ...]


class NotePart(NamedTuple):
    """A note and its sections."""

    note: str
    title: str
    sections: tuple[SectionPart, ...]


def content() -> tuple[NotePart, ...]:
    """All notes. RuntimeError if a formula differs from its function or a proof fails."""
    parts = defaultdict(list)
    for heading in notes():
        parts[heading.place.note].append(_section(heading))
    return tuple(NotePart(note, title, tuple(parts[note])) for note, title in NOTES.items())


def _section(heading: Heading) -> SectionPart:
    section, own = SECTIONS[heading.place], equations_of(heading.place)
    here = [entry for entry in ERRATA.values() if heading_of(entry.place) == heading]
    printed = tuple(_printed(p) for p in heading.printed)
    placed = {entry.place for p in printed for entry in p.errata}
    named = {name for equation in own for name in equation.functions}
    sources = tuple(source(name) for name in section.functions if name not in named)
    demos = dict.fromkeys([*(e.demo for e in own if e.demo), *section.demos])
    return SectionPart(
        heading,
        section,
        printed,
        tuple(entry for entry in here if entry.place not in placed),
        tuple(_equation(equation) for equation in own),
        sources,
        tuple(demos),
    )


def _printed(printed: Printed) -> PrintedPart:
    found = tuple(
        e for e in ERRATA.values() if any(p.overlaps(printed.place) for p in (e.place, *e.also))
    )
    rows: list[int] = []
    for entry in found:
        if "formula" in entry.kind:
            for place in (entry.place, *entry.also):
                if place.overlaps(printed.place):
                    rows += (line - printed.place.first for line in place.lines)
    return PrintedPart(printed, found, tuple(sorted(set(rows))))


def _equation(equation: Equation) -> EquationPart:
    order = list(EQUATIONS)
    i = order.index(equation.number)
    sources = tuple(source(name) for name in equation.functions)
    return EquationPart(
        equation,
        tuple((formula, _compared(equation, formula)) for formula in equation.formulas),
        sources,
        _shown(sources),
        _proofs().get(equation.number, Known()),
        tuple(_tests().get(equation.number, ())),
        tuple(_bugs(equation)),
        tuple(e for e in ERRATA.values() if e.equation == equation.number),
        order[i - 1] if i else "",
        order[i + 1] if i + 1 < len(order) else "",
    )


def _shown(sources: tuple[Source, ...]) -> int:
    """The first source, and more of them while they stay short."""
    lines = 0
    for i, each in enumerate(sources):
        lines += 2 + sum(piece.count("\n") + 1 for piece, check in each.body if not check)
        if i and lines > SHORT:
            return i
    return len(sources)


def _compared(equation: Equation, formula: Formula) -> str:
    if not formula.call:
        return ""
    if wrong := difference(formula):
        raise RuntimeError(f"{equation.number}: {formula.text!r} is not {formula.call}: {wrong}")
    return "floating" if formula.floating else "identity"


@cache
def _proofs() -> dict[str, Known]:
    """Per equation what the proofs say, and the worst float64 error with what is allowed."""
    found = {}
    for row in rows():
        if row.failures:
            raise RuntimeError(f"{row.equation}: {'; '.join(row.failures)}")
        worst = row.errors.get("float64")
        found[row.equation] = Known(
            tuple(dict.fromkeys(proof.identity.statement for proof in row.proofs)),
            {name: str(coverage) for name, coverage in row.covered.items()},
            (worst.error, worst.allowed) if worst else None,
        )
    return found


@cache
def _tests() -> dict[str, list[str]]:
    """Per equation the tests that carry its marker, as "file::test"."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        marks = [n for n in tree.body if isinstance(n, ast.Assign) and _is_pytestmark(n)]
        everywhere = set(_markers(n.value for n in marks))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in sorted(everywhere | set(_markers(node.decorator_list))):
                    found[number].append(f"{path.stem}::{node.name}")
    return dict(found)


def _is_pytestmark(node: ast.Assign) -> bool:
    return getattr(node.targets[0], "id", "") == "pytestmark"


def _markers(nodes: Iterable[Any]) -> Iterator[str]:
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and part.attr in EQUATIONS:
                yield part.attr


def _bugs(equation: Equation) -> Iterator[Bug]:
    """The planted bugs in the functions of an equation, or caught by its tests."""
    places = {name.replace(".", ":") for name in equation.functions}
    tests = set(_tests().get(equation.number, ()))
    for bug in _all_bugs():
        if bug.where.replace(".", ":") in places or bug.caught_by in tests:
            yield Bug(bug.name, bug.right, bug.wrong, bug.caught_by)


@cache
def _all_bugs() -> list[Any]:
    return list(runpy.run_path(str(ROOT / "tests" / "planted_bugs.py"))["BUGS"])
