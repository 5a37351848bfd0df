"""The helpers for testing diffusion code: the strategies are wide, and the checks can fail."""

import importlib.util
import re
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ddpm_np.conformance import strategies as testing
from ddpm_np.conformance.strategies import (
    assert_close,
    betas,
    gaussians,
    rotations,
    schedules,
    schedules_and_routes,
    schedules_and_steps,
    shapes,
    signals,
    steps,
)
from ddpm_np.equations.values import ExactTables, decimals, exact
from ddpm_np.forward import q_sample
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


def examples(strategy, n=60):
    drawn = []

    @settings(max_examples=n, phases=[Phase.generate])
    @given(strategy)
    def collect(value):
        drawn.append(value)

    collect()
    assert len(drawn) > n / 4
    return drawn


# ---- the strategies are wide --------------------------------------------------------------------


def test_betas_come_from_both_ends_and_the_middle():
    drawn = np.array(examples(betas(), 300))
    assert 0.99e-12 < drawn.min() <= 1e-12 and 1 - 1e-6 <= drawn.max() < 1 - 0.99e-6
    logits = np.log(drawn / (1 - drawn))
    occupied = np.histogram(logits, bins=8, range=(-27.7, 13.9))[0]
    assert np.all(occupied > 0)


def test_schedules_are_short_and_long_constant_rising_and_falling():
    drawn = examples(schedules(), 200)
    lengths = [s.T for s in drawn]
    assert {1, 2, 3, 60} <= set(lengths) and len({4, 5, 6, 7, 8} & set(lengths)) > 2
    assert lengths.count(1) > 5 and lengths.count(60) > 5
    long = [s for s in drawn if s.T > 8]
    assert {int(np.sign(s.beta[-1] - s.beta[1])) for s in long} == {-1, 0, 1}
    assert any(s.alpha_bar[-1] == 0 for s in drawn)
    assert any(s.alpha_bar[-1] < 1e-3 for s in drawn if s.T == 1)
    assert any(s.alpha_bar[-1] > 1 - 1e-9 for s in drawn)


def test_betas_and_schedules_stay_in_a_range_that_is_given():
    drawn = np.array(examples(betas(1e-4, 0.02), 100))
    assert drawn.min() == 1e-4 and drawn.max() == 0.02 and len(set(drawn)) > 20
    assert set(examples(betas(0.5, 0.5), 8)) == {0.5}
    made = examples(schedules(low=1e-4, high=0.02, max_T=20), 100)
    table = np.concatenate([s.beta[1:] for s in made])
    assert 1e-4 <= table.min() < 1.1e-4 and 0.019 < table.max() <= 0.02
    assert {1, 20} <= {s.T for s in made}
    pairs = examples(schedules_and_steps(low_beta=0.1, high_beta=0.2, max_T=9), 30)
    assert all(0.1 <= s.beta[1:].min() and s.beta[1:].max() <= 0.2 for s, _ in pairs)


@pytest.mark.parametrize("low, high", [(0, 0.1), (0.2, 0.1), (0.1, 1), (-1, 0.1), (np.nan, 0.5)])
def test_a_range_that_is_none_is_refused(low, high):
    with pytest.raises(ValueError, match="between 0 and 1|finite"):
        betas(low, high)


def test_steps_are_first_and_last_and_between_and_come_in_batches():
    drawn = examples(schedules_and_steps())
    assert sum(t == 1 < s.T for s, t in drawn) > 5 and sum(t == s.T > 1 for s, t in drawn) > 5
    assert any(1 < t < s.T for s, t in drawn)
    assert all(type(t) is int and 1 <= t <= s.T for s, t in drawn)
    assert any(t == 0 for _, t in examples(schedules_and_steps(low=0)))
    assert min(s.T for s, _ in examples(schedules_and_steps(low=2))) == 2
    batches = examples(steps(Schedule.linear(5), (2, 3)))
    assert all(t.shape == (2, 3) and t.dtype == np.intp for t in batches)
    assert all(t.min() >= 1 and t.max() <= 5 for t in batches)
    assert any(len(set(t.flat)) > 2 for t in batches)
    assert any(len(set(t.flat)) < 6 for t in batches)


@pytest.mark.parametrize("stops", [2, 3])
def test_routes_increase_from_zero_on(stops):
    drawn = examples(schedules_and_routes(stops=stops))
    for s, *route in drawn:
        assert len(route) == stops and sorted(set(route)) == route and route[-1] <= s.T
    assert {route[0] == 0 for _, *route in drawn} == {True, False}
    assert {route[-1] == s.T for s, *route in drawn} == {True, False}
    assert {route[1] - route[0] == 1 for _, *route in drawn} == {True, False}


def test_signals_have_every_shape_dtype_sign_and_size():
    drawn = examples(signals())
    assert {x.dtype for x in drawn} == {np.dtype(np.float32), np.dtype(np.float64)}
    assert {x.ndim for x in drawn} == {1, 2, 3}
    assert any(x.shape[-1] == 1 for x in drawn)
    assert any(x.ndim > 1 and x.shape[0] == 1 for x in drawn)
    values = np.concatenate([x.ravel() for x in drawn])
    assert values.max() > 100 and values.min() < -100 and np.any(values == 0)
    assert np.abs(values).max() <= 1e3
    assert 1e-7 < np.abs(values[values != 0]).min() < 1e-3
    assert {len(s) for s in examples(shapes())} == {1, 2, 3}


def test_signals_drawn_together_have_one_shape_and_dtype():
    for x, y, z in examples(signals(3)):
        assert x.shape == y.shape == z.shape and x.dtype == y.dtype == z.dtype
    narrow = examples(signals(shape=(2, 5), dtype=np.float32), 20)
    assert all(x.shape == (2, 5) and x.dtype == np.float32 for x in narrow)


def test_gaussians_have_every_rank_and_rotations_either_determinant():
    drawn = examples(gaussians(), 150)
    assert {g.dim for g in drawn} == {1, 2, 3, 4, 5}
    assert {g.rank for g in drawn} == {0, 1, 2, 3, 4, 5}
    assert {g.rank < g.dim for g in drawn} == {True, False}
    assert all(g.rank == g.dim == 3 for g in examples(gaussians(dim=3, regular=True), 20))
    variances = np.concatenate([g.spectrum for g in drawn])
    assert variances.max() > 100 and variances[variances > 0].min() < 1e-4
    turned = examples(rotations(3), 30)
    assert {round(np.linalg.det(r)) for r in turned} == {-1, 1}
    assert all(np.abs(r @ r.T - np.eye(3)).max() < 12 * np.finfo(float).eps for r in turned)


# ---- the comparison can fail --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(data=st.data())
def test_the_bound_is_sharp_and_elementwise(dtype, data):
    expected = np.abs(data.draw(signals(shape=(3, 2), dtype=dtype))) + dtype(1)
    off = data.draw(st.integers(1, 5))
    at = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 1)))
    actual = expected.copy()
    actual[at] += off * np.spacing(actual[at])
    other = (at[0], 1 - at[1])
    # Errors of both signs do not cancel.
    actual[other] -= (off - 1) * np.spacing(np.nextafter(actual[other], dtype(0)))
    assert_close(actual, expected, ulp=off)
    message = f"off by {off} ulp, {off - 0.5} allowed, at index {at}: "
    with pytest.raises(AssertionError, match=re.escape(message)):
        assert_close(actual, expected, ulp=off - 0.5)


def test_condition_and_scale_widen_it_element_by_element():
    expected = np.array([1.0, 1.0])
    actual = expected + np.array([0.0, 8 * np.spacing(1.0)])
    assert_close(actual, expected, ulp=1, condition=[1, 8])
    assert_close(actual, expected, ulp=1, scale=[1.0, 8.0])
    for widened in ({"condition": [8, 1]}, {"scale": [8.0, 1.0]}, {"condition": 7.9}):
        with pytest.raises(AssertionError, match=re.escape("at index (1,)")):
            assert_close(actual, expected, ulp=1, **widened)


@pytest.mark.parametrize(
    "actual, expected, why",
    [
        (np.zeros((2, 1)), np.zeros(2), "shape"),
        (np.zeros(1), np.float64(0), "shape"),
        (np.zeros(2, np.float32), np.zeros(2), "dtype float32, expected float64"),
        (np.zeros(2), np.zeros(2, np.float32), "dtype float64, expected float32"),
        (np.zeros(2, int), np.zeros(2, int), "not an array of floats"),
        (np.array([np.nan]), np.array([np.nan]), "off by inf"),
        (np.array([np.inf]), np.array([1.0]), "off by inf"),
        (np.array([1.0]), np.array([np.inf]), "off by inf"),
        (np.array([-np.inf]), np.array([np.inf]), "off by inf"),
        (np.array([5e-324]), np.array([0.0]), "off by 1 ulp"),
        (np.float64(1.5), Fraction(3, 2) + Fraction(1, 10**9), "off by"),
        # Small beside large is not excused.
        (np.array([1e9, 1 + 2e-16 * 5]), np.array([1e9, 1.0]), "off by 5 ulp"),
    ],
)
def test_it_is_strict(actual, expected, why):
    with pytest.raises(AssertionError, match=why):
        assert_close(actual, expected, ulp=0.9)


def test_exact_values_are_compared_without_rounding_them():
    third = Fraction(1, 3)
    assert_close(np.float64(1 / 3), third, ulp=0.5)
    exact = np.array([Exact(1, 3), Exact(1, 2)], dtype=object)
    assert_close(np.array([1 / 3, 0.5]), exact, ulp=0.5)
    assert_close(np.array([np.inf]), np.array([np.inf]), ulp=0)
    assert_close(np.float32(1 / 3), third, ulp=0.5)
    with pytest.raises(AssertionError, match="off by"):
        assert_close(np.float64(np.float32(1 / 3)), third, ulp=1)


def test_it_prints_twenty_digits_of_an_exact_value():
    third = ExactTables([0.1]).one_minus_alpha_bar[1].value / 3
    for expected in (third, Fraction(1, 30)):
        with pytest.raises(AssertionError) as caught:
            assert_close(np.float64(0.04), expected, ulp=1)
        printed = str(caught.value).split("expected ")[1]
        assert 20 <= len(printed.lstrip("0.")) + 1 <= 22 and printed.startswith("0.03333333333")


@settings(max_examples=20)
@given(schedules_and_steps(low_beta=1e-4, high_beta=0.1, max_T=50), signals())
def test_the_example_of_the_docstring_works_here(case, x_0):
    (schedule, t), zero = case, np.zeros_like(x_0)
    expected = decimals(exact("forward.q_sample", schedule.beta[1:], t, x_0=x_0, eps=zero))
    assert_close(q_sample(schedule, x_0, t, zero), expected, ulp=4)


# ---- it needs hypothesis, and says so -----------------------------------------------------------


def test_without_hypothesis_it_names_the_extra_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    spec = importlib.util.spec_from_file_location("testing_without_hypothesis", testing.__file__)
    with pytest.raises(ImportError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert str(caught.value) == (
        "ddpm_np.conformance.strategies needs hypothesis, which comes with the extra: "
        "pip install '.[test]'"
    )
