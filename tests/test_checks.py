"""The argument checks: what they let through, and the one line in which they refuse the rest."""

from __future__ import annotations

import sys
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from bad_input import refuses

from ddpm_np._checks import (
    check_array,
    check_choice,
    check_count,
    check_dtype,
    check_flag,
    check_fraction,
    check_function,
    check_generator,
    check_instance,
    check_methods,
    check_positive,
    check_real,
    check_step,
    check_steps,
)
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule

HUGE = 10**400  # no float64, and no length of an array
MASKED = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "values",
    [
        [2**24 + 1],
        np.array([2**24 + 1], np.int64),
        np.array([2**24 + 1], np.uint64),
        np.array([0.1], np.longdouble),
        np.array([0.5], np.float16),
        [10**30],
        [10**30, 0.5],
    ],
)
def test_whole_numbers_and_other_floats_become_float64(values):
    array = check_array("x", values)
    assert array.dtype == np.float64 and float(array[0]) == float(values[0])


def test_float32_float64_and_exact_numbers_stay_as_they_are():
    for values in (np.float32([0.1]), np.array([0.1]), np.array([Exact(1, 3)], dtype=object)):
        assert check_array("x", values) is values


@pytest.mark.parametrize(
    "error, values",
    [
        (TypeError, MASKED),
        (TypeError, [MASKED]),
        (TypeError, (MASKED, MASKED)),
        (TypeError, np.ma.masked),
        (TypeError, [np.ma.masked]),
        (TypeError, [True]),
        (TypeError, [Fraction(1, 2)]),
        (TypeError, [1j]),
        (TypeError, [10**30, None]),
        (ValueError, [HUGE]),
        (ValueError, [1.0, -HUGE]),
        (ValueError, np.array([HUGE, 1])),
        (ValueError, [[1.0], [1.0, 2.0]]),
        (ValueError, []),
        (ValueError, 1.0),
    ],
)
def test_arrays_that_are_refused(error, values):
    refuses(lambda: check_array("x", values), error, "x")


@pytest.mark.parametrize(
    "value, error",
    [
        (HUGE, ValueError),
        (-HUGE, ValueError),
        (Fraction(HUGE), ValueError),
        (np.inf, ValueError),
        (np.nan, ValueError),
        (True, TypeError),
        ("1", TypeError),
        (1j, TypeError),
        (None, TypeError),
        (np.ma.masked, TypeError),
        (Unprintable(), TypeError),
        (np.array([1.0]), TypeError),
    ],
)
@pytest.mark.parametrize("check", [check_real, check_positive, check_fraction])
def test_numbers_that_are_refused(check, value, error):
    refuses(lambda: check("value", value), error, "value")


@pytest.mark.parametrize(
    "value, error",
    [
        (0, ValueError),
        (-HUGE, ValueError),
        (HUGE, ValueError),
        (sys.maxsize + 1, ValueError),
        (1.0, TypeError),
        (True, TypeError),
        (np.bool_(True), TypeError),
    ],
)
def test_counts_that_are_refused(value, error):
    refuses(lambda: check_count("n", value), error, "n")


@pytest.mark.parametrize(
    "value, error",
    [
        (0, ValueError),
        (4, ValueError),
        (HUGE, ValueError),
        ([1, HUGE], ValueError),
        ([2**64], ValueError),
        (np.ma.masked_array([1, 2], [0, 1]), TypeError),
        ([1, None], TypeError),
        (True, TypeError),
        ([True], TypeError),
        (1.0, TypeError),
        ([[1], [1, 2]], ValueError),
        ([], TypeError),
        (np.array([], int), ValueError),
    ],
)
def test_steps_that_are_refused(value, error):
    refuses(lambda: check_steps("t", value, 1, 3), error, "t")


def test_a_single_step_is_an_int():
    for t in (2, np.int8(2), np.array(2)):
        assert check_step("t", t, 1, 3) == 2 and type(check_step("t", t, 1, 3)) is int
    for wrong in ([2], np.array([2]), np.array([1, 2]), 2.0, True, "2", None, MASKED):
        refuses(partial(check_step, "t", wrong, 1, 3), TypeError, "t")
    for wrong in (0, 4, HUGE, np.array(4)):
        refuses(partial(check_step, "t", wrong, 1, 3), ValueError, "t")


def test_a_flag_is_a_bool():
    assert check_flag("f", True) is True and check_flag("f", np.bool_(False)) is False
    for wrong in (0, 1, "yes", None, [], np.array([True])):
        refuses(partial(check_flag, "f", wrong), TypeError, "f")


def test_objects_are_checked_by_what_they_are():
    schedule = Schedule.from_beta([0.1])
    assert check_instance("schedule", schedule, Schedule) is schedule
    assert check_function("denoiser", len) is len
    assert check_methods("law", schedule, "T", "between") is schedule
    calls = [
        ("schedule", lambda: check_instance("schedule", [0.1], Schedule)),
        ("schedule", lambda: check_instance("schedule", Schedule, Schedule)),
        ("denoiser", lambda: check_function("denoiser", None)),
        ("denoiser", lambda: check_function("denoiser", Schedule)),
        ("law", lambda: check_methods("law", 3, "dim", "sample")),
        ("law", lambda: check_methods("law", Schedule, "between")),
        ("rng", lambda: check_generator(np.random.RandomState(0))),
        ("rng", lambda: check_generator(0)),
    ]
    for name, call in calls:
        refuses(call, TypeError, name)


def test_a_choice_is_one_of_the_words():
    assert check_choice("c", "a", "a", "b") == "a"
    for wrong in ("c", None, [], np.ones(2), Unprintable()):
        refuses(partial(check_choice, "c", wrong, "a", "b"), ValueError, "c")


def test_a_dtype_is_float32_or_float64():
    assert check_dtype("float32") == np.float32 and check_dtype(float) == np.float64
    for wrong in ("int", np.int64, complex, object, "abc", 3, Unprintable()):
        refuses(partial(check_dtype, wrong), TypeError, "dtype")


def test_messages_are_short():
    calls: list[Any] = [
        lambda: check_real("x", "a" * 10_000),
        lambda: check_count("x", [[0] * 10] * 10),
        lambda: check_steps("x", 10**5000, 1, 2),
        lambda: check_count("x", 10**5000),
        lambda: check_real("x", 10**5000),
        lambda: check_real("x", Unprintable()),
    ]
    for call in calls:
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        assert len(str(caught.value)) < 100
