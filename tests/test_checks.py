"""The argument checks: what they let through. What they refuse is in test_refusals.py."""

import numpy as np
import pytest
from refusals import Odd

from ddpm_np._checks import (
    check_array,
    check_choice,
    check_count,
    check_dtype,
    check_flag,
    check_function,
    check_instance,
    check_methods,
    check_real,
    check_step,
    check_steps,
)
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


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


def test_what_is_let_through():
    for t in (2, np.int8(2), np.array(2)):
        assert check_step("t", t, 1, 3) == 2 and type(check_step("t", t, 1, 3)) is int
    assert check_flag("f", True) is True and check_flag("f", np.bool_(False)) is False
    schedule = Schedule.from_beta([0.1])
    assert check_instance("schedule", schedule, Schedule) is schedule
    assert check_methods("distribution", schedule, "T", "between") is schedule
    assert check_function("denoiser", len) is len and check_choice("c", "a", "a", "b") == "a"
    assert check_dtype("float32") == np.float32 and check_dtype(float) == np.float64


def test_messages_are_short():
    for call in (
        lambda: check_real("x", "a" * 10_000),
        lambda: check_count("x", [[0] * 10] * 10),
        lambda: check_steps("x", 10**5000, 1, 2),
        lambda: check_count("x", 10**5000),
        lambda: check_real("x", 10**5000),
        lambda: check_real("x", Odd()),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        assert len(str(caught.value)) < 100
