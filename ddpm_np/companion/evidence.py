"""What is known of each equation: its formulas compared, its proofs, tests and planted bugs."""

import ast
import runpy
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import Any

from ddpm_np.equations import EQUATIONS, Equation
from ddpm_np.equations.table import ROOT
from ddpm_np.proof.verify import Evidence, evidence


def compared(equation: Equation) -> tuple[int, int]:
    """How many formulas are their functions as identities, and how many in floating point; where
    one is not, its proof fails."""
    exact = sum(formula.exact for formula in equation.formulas)
    return exact, sum(not formula.stated for formula in equation.formulas) - exact


@cache
def proofs() -> dict[str, Evidence]:
    """Per equation what the proofs say. RuntimeError for one that fails."""
    found = {known.equation: known for known in evidence()}
    for known in found.values():
        if known.failures:
            raise RuntimeError(f"{known.equation}: {'; '.join(known.failures)}")
    return found


@cache
def tests() -> dict[str, list[str]]:
    """Per equation the tests that carry its marker, as "file::test"."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        everywhere = {
            number
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "pytestmark"
            for number in _markers(node.value)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                own = {number for mark in node.decorator_list for number in _markers(mark)}
                for number in everywhere | own:
                    found[number].append(f"{path.stem}::{node.name}")
    return dict(found)


def _markers(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and part.attr in EQUATIONS:
            yield part.attr


def listed(names: list[str]) -> str:
    """Names of tests, each file named once."""
    by_file = defaultdict(list)
    for name in names:
        file, _, test = name.partition("::")
        by_file[file].append(test)
    return "; ".join(f"{file}::{', '.join(tests)}" for file, tests in by_file.items())


def bugs(equation: Equation) -> list[Any]:
    """The planted bugs in the functions of an equation, or caught by its tests or its proofs."""
    number, own = equation.number, set(tests().get(equation.number, ()))
    places = {name.replace(".", ":") for name in equation.functions}
    return [
        bug
        for bug in _bugs()
        if bug.where.replace(".", ":") in places
        or own.intersection(bug.caught_by)
        or number in (proof.split()[0] for proof in bug.disproves)
    ]


@cache
def _bugs() -> list[Any]:
    return list(runpy.run_path(str(ROOT / "tests" / "planted_bugs.py"))["BUGS"])
