"""The README is true: its examples, commands and links; and every docstring example runs."""

import ast
import doctest
import importlib
import inspect
import json
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import ddpm_np
from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.notes import N2_ADDRESS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(ddpm_np.__path__, "ddpm_np.")
    if not m.name.endswith("__main__")
)


@pytest.fixture(scope="module")
def docstrings():
    """Every docstring of the package, with the name of what it belongs to."""
    found = []
    for name in MODULES:
        tree = ast.parse(inspect.getsource(importlib.import_module(name)))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (
                text := ast.get_docstring(node)
            ):
                found.append((f"{name}.{getattr(node, 'name', '')}", text))
    return found


def cited(text):
    """Equation numbers in a text, ranges such as "E3 to E6" written out."""
    numbers = {int(n) for n in re.findall(r"\bE(\d+)\b", text)}
    for low, high in re.findall(r"\bE(\d+) to E(\d+)\b", text):
        numbers |= set(range(int(low), int(high) + 1))
    return {f"E{n}" for n in numbers}


def test_equations_cited_in_docstrings_are_in_the_table_and_the_other_way_round(docstrings):
    everywhere = {e for _, text in docstrings for e in cited(text)}
    assert everywhere == set(EQUATIONS)


def test_checks_named_in_docstrings_exist(docstrings):
    for owner, text in docstrings:
        for path in re.findall(r"tests/[\w/]+\.py", text):
            assert (ROOT / path).exists(), f"{owner} names {path}"


def test_docstring_examples_run():
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    tests = [test for test in found if test.examples]
    assert len(tests) >= 40 and [test.name for test in tests if runner.run(test).failed] == []


def test_readme_examples_run():
    with np.printoptions():
        failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert failed == 0 and tried > 0


def test_readme_has_one_command_under_run_and_one_under_test():
    for heading, goal in (("Run", "-m ddpm_np run"), ("Test", "-m pytest")):
        section = re.search(
            rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL
        ).group(1)
        blocks = re.findall(r"```(?:sh|bash)?\n(.*?)```", section, re.DOTALL)
        assert len(blocks) == 1 and goal in blocks[0] and "venv" in blocks[0]


@pytest.mark.parametrize(
    "page",
    sorted(
        str(p.relative_to(ROOT))
        for p in [*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md")]
        if "runs" not in p.parts
    ),
)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
        if not re.match(r"https?:", target):
            assert (path.parent / target).exists(), f"{page} links to {target}"


def test_links_into_the_notes_name_the_commit_whose_lines_they_count():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(
            r"\]\((https://github.com/listenzcc/[^)]+)", page.read_text("utf-8")
        ):
            assert target.startswith(N2_ADDRESS) or "/blob/" not in target, f"{page}: {target}"


@pytest.mark.parametrize("module", ["tables", "learning"])
def test_the_benchmarks_tables_are_those_of_the_saved_results(module):
    results = {"tables": "results.json", "learning": "learning.json"}[module]
    saved = json.loads((ROOT / "benchmarks" / results).read_text(encoding="utf-8"))
    for place in importlib.import_module(f"benchmarks.{module}").places(saved):
        assert place.parts()[1] == place.text, f"{place.page.name}, {place.name}"
