"""Plants the bugs of tests/planted_bugs.txt, one at a time, for test_planted_bugs.py and others.

A bug replaces one piece of a function's source, of its docstring too. The new code object and
docstring are put into the function that everybody already holds, so that it is wrong wherever it is
used; afterwards the old ones are put back. Of a class, only the docstring can be wrong.
"""

import __future__

import importlib
import inspect
import re
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ddpm_np.proof import theorems


class Bug(NamedTuple):
    """``where``, "module:name", is a function whose source holds ``right`` once.

    The bug writes ``wrong`` in its place. Each test of ``caught_by``, "file::test", must fail then,
    and for each of ``disproves``, "E10" or "E15 basis", an identity of that equation (with that
    word in its name) must no longer be proved.
    """

    name: str
    where: str
    right: str
    wrong: str
    caught_by: tuple[str, ...] = ()
    disproves: tuple[str, ...] = ()


def read(path):
    """The bugs of a table: a line for the function, and below it three lines for each bug."""
    bugs, where, name, right, caught = [], "", "", "", ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip().replace("\\n", "\n")
        if not text or line.startswith("# "):
            continue
        if line[0] != " ":
            where = text
        elif line.startswith("    - "):
            right = line[6:].replace("\\n", "\n")
        elif line.startswith("    +"):
            wrong = line[6:].replace("\\n", "\n")
            catchers = caught.split(", ")
            tests = tuple(c for c in catchers if "::" in c)
            equations = tuple(c for c in catchers if "::" not in c)
            bugs.append(Bug(name, where, right, wrong, tests, equations))
        elif line.startswith("  ") and ": " in line:
            name, _, caught = text.partition(": ")
        else:
            raise ValueError(f"{path.name}:{number} cannot be read: {line!r}")
    return bugs


BUGS = read(Path(__file__).with_suffix(".txt"))


def function_of(path):
    """The function behind "module:name" or "module:Class.name"."""
    module, _, name = path.partition(":")
    found = importlib.import_module(f"ddpm_np.{module}")
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    return _unwrapped(found)


def _unwrapped(found):
    for wrapper in ("__func__", "func", "fget"):  # classmethod, cached_property, property
        found = getattr(found, wrapper, None) or found
    return found


@contextmanager
def planted(where, right, wrong):
    """The package with ``wrong`` for ``right`` in that function."""
    function = function_of(where)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(right) == 1, (
        f"{where} must hold {right!r} once, found it {source.count(right)} times"
    )
    flags, tree = __future__.annotations.compiler_flag, {}
    code = compile(source.replace(right, wrong), "<planted>", "exec", flags, dont_inherit=True)
    exec(code, vars(sys.modules[function.__module__]), tree)  # it sees the names of its module
    other, parts = _unwrapped(tree[function.__name__]), ("__doc__", "__code__")
    kept = {part: getattr(function, part) for part in parts if hasattr(function, part)}
    try:
        for part in kept:
            setattr(function, part, getattr(other, part))
        forget(where)
        yield
    finally:
        for part in kept:
            setattr(function, part, kept[part])
        forget(where)


def forget(where):
    """Forgets what was found out about charts, and what the function's part of the package keeps
    for speed."""
    theorems.forget()
    part = f"ddpm_np.{re.split('[.:]', where)[0]}"
    for name, module in list(sys.modules.items()):
        if name == part or name.startswith(f"{part}."):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()
