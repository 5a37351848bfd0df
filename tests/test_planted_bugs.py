"""Tests that can fail: bugs that other code bases really had are planted one by one, and the named
test must catch each.

A bug replaces one piece of a function's source. The new code object is put into the function that
everybody already holds, so that it is wrong wherever it is used; afterwards the old one is put
back. The test's file is executed anew for every bug: what it makes when it is loaded is then made
with the bug, and goes with it.
"""

from __future__ import annotations
import __future__

import importlib
import importlib.util
import inspect
import itertools
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType

import pytest
from hypothesis import Phase, settings
from planted_bugs import BUGS, Bug

# A bug shows early; caught, it needs no shortest example, and no second one.
ONCE = {
    "max_examples": 20,
    "phases": [Phase.explicit, Phase.generate],
    "report_multiple_bugs": False,
}
settings.register_profile("planted", settings.get_profile("default"), **ONCE)

# What a test says when what it states does not hold. A bug that crashes would say nothing about the
# test.
SAYS_SO = (AssertionError, pytest.fail.Exception)


@pytest.fixture(autouse=True)
def planted_profile() -> Iterator[None]:
    before = settings.get_current_profile_name()
    settings.load_profile("planted")
    yield
    settings.load_profile(before)


def function_of(path: str) -> FunctionType:
    """The function behind "module:name" or "module:Class.name"."""
    module, _, name = path.partition(":")
    found = importlib.import_module(f"ddpm_np.{module}")
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    return _unwrapped(found)


def _unwrapped(found: object) -> FunctionType:
    for wrapper in ("__func__", "func", "fget"):  # classmethod, cached_property, property
        found = getattr(found, wrapper, None) or found
    return found


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The package with the bug in it."""
    function = function_of(bug.where)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(bug.right) == 1, (
        f"{bug.where} must hold {bug.right!r} once, found it {source.count(bug.right)} times"
    )
    code = compile(
        source.replace(bug.right, bug.wrong),
        f"<planted: {bug.name}>",
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    tree: dict[str, object] = {}
    exec(
        code, function.__globals__, tree
    )  # where the original stands, so that it sees the names of its module
    kept, function.__code__ = function.__code__, _unwrapped(tree[function.__name__]).__code__
    try:
        yield
    finally:
        function.__code__ = kept


def run(test: str) -> None:
    """Runs "file::test", with every one of its parameters."""
    file, _, name = test.partition("::")
    spec = importlib.util.spec_from_file_location(
        file, next(Path(__file__).parent.rglob(f"{file}.py"))
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, name)
    sets = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args
            names = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
            values = [
                v.values if hasattr(v, "marks") else v if len(names) > 1 else (v,) for v in values
            ]
            sets.append([dict(zip(names, v)) for v in values])
    for choice in itertools.product(*sets):
        arguments = {key: value for part in choice for key, value in part.items()}
        with tempfile.TemporaryDirectory() as folder:
            if "tmp_path" in inspect.signature(function).parameters:
                arguments["tmp_path"] = Path(folder)
            function(**arguments)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_caught(bug):
    with planted(bug), pytest.raises(SAYS_SO):
        run(bug.caught_by)


@pytest.mark.parametrize(
    "bug",
    {bug.caught_by.partition("::")[0]: bug for bug in BUGS}.values(),
    ids=lambda bug: bug.caught_by,
)
def test_catching_tests_pass_when_what_is_planted_is_no_bug(bug):
    # Otherwise a test that fails because something was planted would seem to catch everything. One
    # test of each file is enough: planting does the same for all of them.
    with planted(bug._replace(wrong=bug.right)):
        run(bug.caught_by)


def test_the_list_is_long_and_its_names_differ():
    assert len(BUGS) >= 45 and len({bug.name for bug in BUGS}) == len(BUGS)
