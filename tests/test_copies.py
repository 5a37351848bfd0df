"""Copies of every object are equal to it, independent of it, and as read-only as it is."""

import copy
import functools
import inspect
import pickle

import numpy as np
import pytest
from refusals import CASES

MAKERS = {"Schedule.from_beta", "Gaussian.from_factor", "Gaussian.from_spectrum"}
ALONE = {"AdamW"}  # copied with its state only
MADE = [
    n for n, case in CASES.items() if inspect.isclass(case.call) or n in MAKERS if n not in ALONE
]
COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "its own": lambda thing: getattr(thing, "copy", lambda: copy.copy(thing))(),
}


def made(name):
    return CASES[name].call(**copy.deepcopy(CASES[name].values))


def content(thing, path=""):
    """Every array in an object, and what else it holds, each with its place."""
    if isinstance(thing, np.random.Generator):
        yield path, str(thing.bit_generator.state)
    elif isinstance(thing, (tuple, list)):
        for i, part in enumerate(thing):
            yield from content(part, f"{path}[{i}]")
    elif isinstance(thing, dict):
        for key, part in thing.items():
            yield from content(part, f"{path}[{key}]")
    elif hasattr(thing, "__dict__") and not inspect.isroutine(thing):
        for name, member in inspect.getmembers(type(thing)):
            if isinstance(member, functools.cached_property) and name != "log_snr":
                getattr(thing, name)
        yield from content(vars(thing), path)
    else:
        yield path, thing


def arrays(thing):
    return {path: part for path, part in content(thing) if isinstance(part, np.ndarray)}


def shared(thing):
    """Which of its arrays are views of one another."""
    parts = arrays(thing)
    return {(a, b) for a in parts for b in parts if np.shares_memory(parts[a], parts[b])}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("name", MADE)
def test_a_copy_holds_the_same_numbers_is_as_read_only_and_shares_nothing_that_can_change(
    name, copied
):
    thing = made(name)
    other = copied(thing)
    before, after = dict(content(thing)), dict(content(other))
    assert before.keys() == after.keys() and shared(thing) == shared(other)
    for path, part in before.items():
        if isinstance(part, np.ndarray):
            assert np.array_equal(part, after[path], equal_nan=True), path
            assert part.dtype == after[path].dtype, path
            assert part.flags.writeable == after[path].flags.writeable, path
            if part.flags.writeable and "_integrals" not in path:  # what rings keep for speed
                assert not np.shares_memory(part, after[path]), path
        elif isinstance(part, (int, float, str)):
            assert part == after[path], path


@pytest.mark.parametrize("name", [n for n in MADE if n not in ("MLP", "UNet", "TrainingState")])
def test_what_it_holds_cannot_be_changed(name):
    writeable = [path for path, array in arrays(made(name)).items() if array.flags.writeable]
    assert not [path for path in writeable if "_integrals" not in path]


@pytest.mark.parametrize("name", MADE)
def test_what_was_passed_in_can_change_without_harm(name):
    values = copy.deepcopy(CASES[name].values)
    floats = {k: v for k, v in values.items() if np.ndim(v) and np.asarray(v).dtype.kind == "f"}
    given = {key: np.array(value) for key, value in floats.items()}
    views = {key: base[:] for key, base in given.items()}
    for view in views.values():
        view.flags.writeable = False  # it can change all the same
    thing = CASES[name].call(**values | views)
    before = {path: array.copy() for path, array in arrays(thing).items()}
    for base in given.values():
        base[...] = 5
    for path, array in arrays(thing).items():
        assert np.array_equal(array, before[path], equal_nan=True), path
