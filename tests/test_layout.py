"""The layout: imports point downward, there is no circle, and the reading order is true."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ddpm_np

PACKAGE = Path(ddpm_np.__file__).parent

# From the bottom up. A part imports only parts that stand before it.
PARTS = [
    "_checks",
    "_files",
    "_measurement",
    "_figure_style",
    "_picture_grid",
    "schedule",
    "forward",
    "learning",
    "posterior",
    "sampling",
    "closed_form",
    "signals",
    "network",
    "training",
    "equations",
    "proof",
    "conformance",
    "errata",
    "demos",
    "experiments",
    "companion",
    "cli",
]
READING = ["schedule", "forward", "posterior", "sampling", "signals", "network", "training"]


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, without ``ddpm_np.``."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts not in (("__init__",), ("__main__",)):
            names[".".join(parts).removesuffix(".__init__")] = path
    return names


def imported(path: Path, *, inside_functions: bool) -> set[str]:
    """The modules of the package that a file imports when it is loaded, or at any time."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if inside_functions:
        nodes = list(ast.walk(tree))
    else:
        nodes = [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))]
    known, found = modules(), set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "ddpm_np":
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ddpm_np."):
            name = node.module.removeprefix("ddpm_np.")
            below = {f"{name}.{alias.name}" for alias in node.names} & known.keys()
            found |= below or {name}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {n.removeprefix("ddpm_np.") for n in names if n.startswith("ddpm_np.")}
    return found


def part(module: str) -> str:
    return module.split(".")[0]


@pytest.mark.parametrize("module", modules())
def test_imports_point_downward(module):
    for other in imported(modules()[module], inside_functions=True):
        below = PARTS.index(part(other)) <= PARTS.index(part(module))
        assert below, f"{module} imports {other}, which stands above it"


def test_no_module_imports_itself_by_a_detour():
    graph = {m: imported(p, inside_functions=False) - {m} for m, p in modules().items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_package_names_its_parts_in_reading_order():
    listed = re.findall(r"^    (\w+) {2}", ddpm_np.__doc__, flags=re.M)
    assert listed[: len(READING)] == READING
    parts = {part(m) for m in modules()}
    assert set(listed) == {p for p in parts if not p.startswith("_")}


def test_the_check_sees_an_import_that_points_upward(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from ddpm_np.cli import main\n    return main\n")
    assert imported(wrong, inside_functions=True) == {"cli"}
    assert imported(wrong, inside_functions=False) == set()
