"""Every refusal that follows from the table of tests/refusals.py."""

import copy
import inspect
import pkgutil
import re
import warnings
from importlib import import_module

import pytest
import refusals
from refusals import CASES, rows

import ddpm_np

CORE = "schedule", "forward", "posterior", "sampling", "signals", "network", "training"
# Asked through those that use them, or in tests/learning/test_checkpoint.py.
ELSEWHERE = {
    "Network",
    "float_array",
    "checked_points",
    "check_level",
    "Diffusing",
    "save_checkpoint",
    "load_checkpoint",
}


def refused(call, error):
    """The one line in which a call is refused, without a warning before it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            call()
        except Exception as refusal:
            assert type(refusal) is error and "\n" not in str(refusal), repr(refusal)
            return str(refusal)
    raise AssertionError("it is taken")


@pytest.mark.parametrize("name", CASES)
def test_what_makes_no_sense_is_refused_in_one_line_that_names_the_argument(name):
    case = CASES[name]
    for argument, good in case.arguments.items():
        named = {argument, argument.removesuffix("s"), *case.also_named}
        for error, all_wrong in ((TypeError, good.types), (ValueError, good.values)):
            for wrong in all_wrong:
                given = copy.deepcopy(case.values) | {argument: wrong}
                message = refused(lambda: case.call(**given), error)
                assert named & {*re.findall(r"\w+", message)} and len(message) < 200, message


@pytest.mark.parametrize("call, error, message", rows())
def test_arguments_that_do_not_fit_each_other_are_refused(call, error, message):
    assert message in refused(lambda: eval(call, vars(refusals)), error)


@pytest.mark.parametrize("name", CASES)
def test_what_is_good_or_just_good_is_taken(name):
    case = CASES[name]
    case.call(**copy.deepcopy(case.values))
    for argument, good in case.arguments.items():
        for edge in good.edges:
            try:
                case.call(**copy.deepcopy(case.values) | {argument: edge})
            except ValueError as refusal:  # of another argument, which it does not fit
                assert str(refusal).split()[0] != argument


@pytest.mark.parametrize(
    "made, shown",
    [
        ("EXACT", "Schedule(T=1, exact)"),
        ("IDEAL", "IdealDenoiser(Gaussian(dim=3, rank=3), Schedule(T=4, beta=0.1..0.4, "),
        ("patches.PatchDenoiser(np.eye(9), SCHEDULE, patch=3)", "PatchDenoiser(k=9, patch=3, any"),
        ("patches.PatchDenoiser(np.eye(9), SCHEDULE, patch=5, placed=True)", "patch=5, placed)"),
    ],
)
def test_an_object_tells_what_it_is_made_of(made, shown):
    assert shown in repr(eval(made, vars(refusals)))


def test_every_public_function_that_checks_its_arguments_is_in_the_table():
    known = ELSEWHERE | {name.partition(".")[0] for name in CASES}
    for module in pkgutil.walk_packages(ddpm_np.__path__, "ddpm_np."):
        part = module.name.split(".")[1]
        if part in ("closed_form", "learning") or part in CORE:
            for name, found in vars(import_module(module.name)).items():
                ours = getattr(found, "__module__", None) == module.name and not name[0] == "_"
                if ours and callable(found) and "check_" in inspect.getsource(found):
                    assert name in known, f"{module.name}.{name}"
