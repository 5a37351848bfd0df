"""Tests that can fail: bugs that other code bases really had, or that the notes print, are planted
one by one, and the named test must catch each.

The test's file is executed anew for every bug, as are the helpers that it imports: what they make
when they are loaded is then made with the bug, and goes with it.
"""

import functools
import importlib.util
import inspect
import itertools
import sys
import tempfile
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from planted_bugs import BUGS, planted

from ddpm_np.equations import EQUATIONS
from ddpm_np.proof import identities_of, prove
from ddpm_np.proof.theorems import theorems

HERE = Path(__file__).parent
HELPERS = {p.stem for p in HERE.glob("*.py")} - {"conftest", "planted_bugs"}

# A bug shows early; caught, it needs no shortest example, and no second one.
ONCE = {
    "max_examples": 15,
    "phases": [Phase.explicit, Phase.generate],
    "report_multiple_bugs": False,
}
settings.register_profile("planted", settings.get_profile("default"), **ONCE)

# What a test says when what it states does not hold. A bug that crashes would say nothing about the
# test.
SAYS_SO = (AssertionError, pytest.fail.Exception)


compiled = functools.cache(SourceFileLoader.get_code)


@pytest.fixture(autouse=True)
def planted_profile():
    before = settings.get_current_profile_name()
    settings.load_profile("planted")
    yield
    settings.load_profile(before)


def run(test, *, first="", all_parameters=True):
    """Runs "file::test" with every one of its parameters, ``first`` before all others."""
    file, _, name = test.partition("::")
    path = next(HERE.rglob(f"{file}.py"))
    spec = importlib.util.spec_from_file_location(file, path)
    module = importlib.util.module_from_spec(spec)
    with helpers_anew():
        spec.loader.exec_module(module)
        function = getattr(module, name)
        choices = sorted(parameters(function), key=lambda given: first not in given.values())
        for given in choices if all_parameters else choices[:1]:
            if "tmp_path" not in inspect.signature(function).parameters:
                function(**given)
                continue
            with tempfile.TemporaryDirectory() as folder:
                function(**given, tmp_path=Path(folder))


def parameters(function):
    """The arguments of each run of a test, as its marks say."""
    sets = []
    for mark in getattr(function, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args
            names = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
            values = [
                v.values if hasattr(v, "marks") else v if len(names) > 1 else (v,) for v in values
            ]
            sets.append([dict(zip(names, v)) for v in values])
    return [dict(item for part in c for item in part.items()) for c in itertools.product(*sets)]


@contextmanager
def helpers_anew():
    """What the tests import from this folder is loaded anew, and forgotten: it is made by code
    with the bug. Each file is compiled once."""
    kept = {name: sys.modules.pop(name, None) for name in HELPERS if name[:5] != "test_"}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SourceFileLoader, "get_code", compiled)
            yield
    finally:
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


def proved(equation, first=""):
    """Whether all identities of "E10", or of "E15 basis" those with the word, are proved.

    Those of the function ``first`` come before the others, if it belongs to the equation.
    """
    number, _, word = equation.partition(" ")
    concerned, own = False, first in EQUATIONS[number].functions
    try:
        for identity in itertools.chain(theorems(first) if own else (), identities_of(number)):
            if word in identity.name and number in identity.equations:
                concerned = True
                if not prove(identity).proved:
                    return False
    except TypeError:  # a symbol was refused where a docstring was read
        return False
    assert concerned, f"no identity is {equation}"
    return True


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_caught(bug):
    function = bug.where.replace(":", ".")
    with planted(bug.where, bug.right, bug.wrong):
        for test in bug.caught_by:
            with pytest.raises(SAYS_SO):
                run(test, first=function)
        assert not any(proved(equation, function) for equation in bug.disproves)


# Otherwise a test that fails because something was planted would seem to catch everything. The last
# bug of each file is enough, with one set of parameters: planting does the same for all. So does
# executing a file anew: one in eight is run by default, and all with --long.
LAST = {test.partition("::")[0]: (test, bug) for bug in BUGS for test in bug.caught_by}


@pytest.mark.parametrize(
    "test, bug",
    [
        pytest.param(*last, marks=pytest.mark.long) if i % 8 != 4 else last
        for i, last in enumerate(LAST.values())
    ],
    ids=lambda test: test if isinstance(test, str) else "",
)
def test_catching_tests_pass_when_what_is_planted_is_no_bug(test, bug):
    with planted(bug.where, bug.right, bug.right):
        run(test, all_parameters=False)


def test_identities_are_proved_when_what_is_planted_is_no_bug():
    with planted("forward:q_step", "signal * x_prev", "signal  * x_prev"):
        assert proved("E1")


def test_the_list_is_long_and_its_names_differ():
    assert len(BUGS) >= 175 and len({bug.name for bug in BUGS}) == len(BUGS)
    assert all(bug.caught_by or bug.disproves for bug in BUGS)
