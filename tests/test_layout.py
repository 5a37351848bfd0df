"""The layout: imports point downward, there is no circle, and the reading order is true."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import ddpm_np

PACKAGE = Path(ddpm_np.__file__).parent

# From the bottom up. A part imports only parts that stand before it.
PARTS = (
    "_checks _files _console _measurement _figure_style schedule forward learning "
    "posterior sampling closed_form signals network training learning.fast equations proof "
    "conformance errata demos experiments companion commands cli"
).split()
# These look modules up by the names that the register, a list of demos or a caller gives them.
LOOK_UP = {
    "companion.sources",
    "conformance.command",
    "demos",
    "equations.docstrings",
    "equations.table",
}
READING = ["schedule", "forward", "posterior", "sampling", "signals", "network", "training"]


@cache
def modules():
    """Every module of the package by its dotted name, without ``ddpm_np.``."""
    names = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts not in (("__init__",), ("__main__",)):
            names[".".join(parts).removesuffix(".__init__")] = path
    return names


def scanned(path):
    """The modules of the package that a file imports at any time, and whether it imports by a name
    that is only known when it runs.

    What only a type checker reads counts, too: a reader follows it as well.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    by_name = {"import_module", "resolve_name", "__import__", "spec_from_file_location"}
    known, found, looks_up = modules(), set(), False
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = re.fullmatch(r"ddpm_np\.([\w.]+):\w+", node.value)  # what a look-up takes
            found |= {named[1]} & known.keys() if named else set()
        elif isinstance(node, ast.ImportFrom) and node.module == "ddpm_np":
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ddpm_np."):
            name = node.module.removeprefix("ddpm_np.")
            below = {f"{name}.{alias.name}" for alias in node.names} & known.keys()
            found |= below or {name}
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            found |= {n.removeprefix("ddpm_np.") for n in names if n.startswith("ddpm_np.")}
        elif isinstance(node, (ast.Name, ast.Attribute)):
            looks_up |= (node.id if isinstance(node, ast.Name) else node.attr) in by_name
    return found, looks_up


@cache
def scans():
    return {name: scanned(path) for name, path in modules().items()}


def imports():
    """What each module imports at any time."""
    return {name: found for name, (found, _) in scans().items()}


def part(module):
    return module if module in PARTS else module.split(".")[0]


def test_imports_point_downward():
    place = {module: PARTS.index(part(module)) for module in modules()}
    pairs = [(module, other) for module, names in imports().items() for other in names]
    assert [(a, b) for a, b in pairs if place[b] > place[a]] == []


def test_only_what_stands_above_all_it_names_looks_modules_up():
    assert {module for module, (_, looks_up) in scans().items() if looks_up} <= LOOK_UP


CORE = """
import pickle, sys
import numpy as np
import {imports}
from ddpm_np import MLP, MultiSine, Schedule, sampling, training
network = MLP(4, 3, hidden=(2,), rng=np.random.default_rng(0))
settings = dict(steps=2, batch_size=2, learning_rate=1e-3, rng=np.random.default_rng(0))
schedule = Schedule.sigmoid(3)
list(training.train(network, MultiSine([1.0], dim=4), schedule, **settings))
for sample in (sampling.ancestral_sample, sampling.ddim_sample):
    sample(pickle.loads(pickle.dumps(network)).copy(), schedule, 2, 4, rng=np.random.default_rng(0))
print(*(name for name in sys.modules if name.startswith("ddpm_np.")))
"""


def test_the_core_loads_nothing_at_run_time_but_what_its_files_import():
    closure, new = set(), set(READING)
    while new:
        closure |= new
        new = {m for name in new for m in imports()[name]}
        new = {m for name in new for m in (name, *packages(name))} - closure
    script = CORE.format(imports=", ".join(f"ddpm_np.{name}" for name in READING))
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    loaded = {name.removeprefix("ddpm_np.") for name in run.stdout.split()}
    assert run.returncode == 0 and loaded and loaded <= closure, run.stderr


def packages(module):
    """The packages that a module lies in, which are loaded with it."""
    parts = module.split(".")[:-1]
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def test_no_module_imports_itself_by_a_detour():
    graph = {module: names - {module} for module, names in imports().items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_package_names_its_parts_in_reading_order():
    listed = re.findall(r"^    (\w+) {2}", ddpm_np.__doc__, flags=re.M)
    assert listed[: len(READING)] == READING
    parts = {m.split(".")[0] for m in modules()}
    assert set(listed) == {p for p in parts if not p.startswith("_")}


def test_the_check_sees_an_import_that_points_upward(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def f():\n    from ddpm_np.cli import main\n    return main\n")
    assert scanned(wrong) == ({"cli"}, False)
    wrong.write_text("if TYPE_CHECKING:\n    from ddpm_np.cli import main\n")
    assert scanned(wrong) == ({"cli"}, False)
    wrong.write_text("from pkgutil import resolve_name\nresolve_name('ddpm_np.cli:main')\n")
    assert scanned(wrong) == ({"cli"}, True)
