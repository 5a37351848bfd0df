"""Exact rational numbers: they compute as fractions do, and refuse what is not exact."""

import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.proof.exact import Exact, Root

FRACTIONS = st.fractions(-10, 10, max_denominator=30)


@given(FRACTIONS, FRACTIONS)
def test_exact_numbers_compute_as_fractions_do(a, b):
    x, y = Exact(a), Exact(b)
    operations = [operator.add, operator.sub, operator.mul, *([operator.truediv] if b else [])]
    for operation in operations:
        found = operation(x, y), operation(x, b), operation(a, y)
        assert [number.fraction for number in found] == [operation(a, b)] * 3
    for comparison in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq):
        assert comparison(x, y) == comparison(a, b)
    assert ((-x).fraction, (x**3).fraction, bool(x), hash(x)) == (-a, a**3, bool(a), hash(a))
    assert (a * x).sqrt().fraction == abs(a)
    assert not b or (y**-1).fraction == 1 / b


@given(st.lists(FRACTIONS, min_size=1, max_size=4))
def test_exact_numbers_work_in_arrays(values):
    array, c = np.array([Exact(v) for v in values], dtype=object), Exact(2, 3)
    for result in (c * array, array * c, c + array, array / c, c - array, np.sqrt(array * array)):
        assert result.dtype == object and all(type(v) is Exact for v in result)
    assert [v.fraction for v in c - array] == [Fraction(2, 3) - v for v in values]


@pytest.mark.parametrize("stranger", [0.5, np.float32(1), 1j, "1", None, float("nan")])
def test_exact_numbers_refuse_anything_inexact(stranger):
    one = Exact(1)
    for operation in (
        lambda: one + stranger,
        lambda: stranger * one,
        lambda: one < stranger,
        lambda: Exact(stranger),
    ):
        with pytest.raises(TypeError):
            operation()


def test_roots_are_exact_or_refused():
    assert Exact(49, 64).sqrt() == Exact(7, 8)
    for value in (Exact(2), Exact(1, 2), Exact(-4), Exact(10**40 + 1)):
        with pytest.raises(ValueError, match="is not the square of a rational number"):
            value.sqrt()
    with pytest.raises(TypeError, match="whole powers"):
        Exact(4) ** 0.5
    with pytest.raises(ValueError, match="only the square"):
        Root(Exact(2)) ** 3
