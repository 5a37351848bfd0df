"""Symbols: the arithmetic against fractions, roots, signs, derivatives, and what is refused."""

import math
import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.proof import polynomials as poly
from ddpm_np.proof.exact import Exact
from ddpm_np.proof.rational import Symbol, same
from ddpm_np.proof.signs import SignPattern
from ddpm_np.proof.symbols import ANY, POSITIVE, UNIT, Domain

OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": lambda a, b: a**b,
}
NAMES = ("x", "y", "z")


@st.composite
def programs(draw):
    """Random steps (operation, operand, operand): each computes from what is there already."""
    steps = []
    for i in range(draw(st.integers(1, 8))):
        op = draw(st.sampled_from("+-*/^"))
        second = st.integers(-2, 3) if op == "^" else st.integers(0, len(NAMES) + i)
        steps.append((op, draw(st.integers(0, len(NAMES) + i)), draw(second)))
    return steps


def run(steps, values):
    numbers = [*values, Fraction(3)]
    for op, a, b in steps:
        left = numbers[a]
        numbers.append(OPERATIONS[op](left, b if op == "^" else numbers[b]))
    return numbers[-1]


def xyz():
    domain = Domain(x=ANY, y=ANY, z=ANY)
    return domain, list(domain.symbols)


POINT = st.fractions(-5, 5, max_denominator=20)


@given(programs(), st.tuples(POINT, POINT, POINT))
def test_a_symbol_has_the_values_of_what_was_computed(steps, point):
    domain, symbols = xyz()
    try:
        value = run(steps, list(point))
        number = run(steps, symbols)
        of_number = number.at(dict(zip(NAMES, point))) if isinstance(number, Symbol) else number
    except ZeroDivisionError:
        return
    assert of_number == value


@given(programs(), programs(), st.lists(st.tuples(POINT, POINT, POINT), min_size=4, max_size=4))
def test_same_is_never_said_of_two_that_differ_somewhere(first, second, points):
    _, symbols = xyz()
    try:
        a, b = run(first, symbols) + symbols[0] * 0, run(second, symbols) + symbols[0] * 0
    except ZeroDivisionError:
        return
    for point in points:
        try:
            values = run(first, list(point)), run(second, list(point))
        except ZeroDivisionError:
            continue
        assert values[0] == values[1] or not same(a, b)
    assert same(a, a * (1 + symbols[1] ** 2) / (1 + symbols[1] ** 2))
    assert not same(a, a + 1)


@given(programs(), st.tuples(POINT, POINT, POINT), st.sampled_from(NAMES))
def test_the_derivative_is_the_limit_of_the_difference_quotient(steps, point, name):
    domain, symbols = xyz()
    dual = Domain(h=ANY)
    h = dual["h"]
    try:
        number = run(steps, symbols) + symbols[0] * 0
        at = dict(zip(NAMES, point))
        shifted = number.at({**at, name: at[name] + h}) + 0 * h
        quotient = (shifted - shifted.at({"h": Fraction(0)})) / h
        slope = (quotient + 0 * h).at({"h": Fraction(0)})
        assert number.derivative(name).at(at) == slope
        assert same(number.derivative(domain[name]), number.derivative(name))
    except ZeroDivisionError:
        return


def test_equal_factors_cancel():
    _, (x, y, _) = xyz()
    assert repr((x**2 - 1) / (x - 1)) == "x + 1" and repr(x / x) == "1"
    assert repr(1 / (1 + x) + x / (1 + x)) == "1"
    assert repr((x + y) ** 3 / (2 * x + 2 * y)) == "(y^2 + 2 x y + x^2)/2"
    assert ((x - x) * y).is_zero() and repr(x * 0) == "0" and same(x**0, 1)


def test_exponents_do_not_run_into_one_another():
    domain, (x, y, _) = xyz()
    big = x ** (2**20)
    for _ in range(10):
        big = big * big
    with pytest.raises(OverflowError, match="an exponent has become too large"):
        poly.multiply({1 << 30: 1}, {1 << 30: 1})
    assert list(poly.exponents(5 + (7 << 64))) == [(0, 5), (2, 7)]
    assert (
        not same(x**3, y)
        and poly.quotient(frozenset({(poly.FIELD - 1, 1)}), frozenset({(1 << poly.BITS, 1)}))
        is None
    )


# ---- arrays -------------------------------------------------------------------------------------


def test_symbols_go_through_arrays():
    _, (x, y, z) = xyz()
    array = np.array([[x, y], [z, x]], dtype=object)
    assert same((array @ array)[0, 0], x * x + y * z) and same(array.sum(), 2 * x + y + z)
    assert same(array.mean(), (2 * x + y + z) / 4) and same((1 - array)[1, 0], 1 - z)
    assert same(np.add.reduce(array, axis=0)[1], x + y) and same(2 * x, x + x)


def test_numbers_of_other_kinds_are_refused():
    _, (x, _, _) = xyz()
    for stranger in (0.5, np.float32(1), 1j, "1", None, float("nan"), Exact(1)):
        for operation in (lambda: x + stranger, lambda: stranger * x, lambda: x / stranger):
            with pytest.raises(TypeError):
                operation()
    with pytest.raises(TypeError, match=r"met the float 0.5: test_symbols.py, line \d+"):
        x * 0.5
    for operation in (lambda: np.int64(2) * x, lambda: x + np.int64(2)):
        with pytest.raises(TypeError, match="may have wrapped"):
            operation()
    with pytest.raises(TypeError, match="whole powers only"):
        x**0.5
    with pytest.raises(TypeError, match="two domains"):
        x + Domain(x=ANY)["x"]
    with pytest.raises(ZeroDivisionError):
        1 / (x - x)


@pytest.mark.parametrize(
    "branch",
    [
        lambda x: x == 0,
        lambda x: x != 0,
        lambda x: x < 1,
        lambda x: x <= 1,
        lambda x: x > 0,
        lambda x: x >= 0,
        lambda x: 0 < x,
        bool,
        hash,
        abs,
        float,
        int,
        math.floor,
        lambda x: max(x, 0),
        lambda x: {1: 2}.get(x),
        lambda x: x in [1, 2],
        np.abs,
        np.sign,
        lambda x: np.maximum(x, 0),
        lambda x: np.minimum(x, 1),
        lambda x: np.clip(x, 0, 1),
        lambda x: np.where(x > 0, x, 0),
        lambda x: sorted([x, -x]),
        lambda x: not x,
        np.isfinite,
        lambda x: np.max(np.array([x, -x])),
        lambda x: round(x),
        lambda x: x // 1,
        np.exp,
    ],
)
@pytest.mark.parametrize("interval", [ANY, UNIT, POSITIVE])
def test_branches_on_a_value_are_refused(branch, interval):
    with pytest.raises(TypeError):
        branch(Domain(x=interval)["x"])


# ---- domains and roots --------------------------------------------------------------------------


def test_roots_must_be_declared_and_not_negative():
    domain = Domain(u=UNIT, x=ANY)
    u, x = domain.symbols
    for radicand in (u * u, u, 4 * u * u, -u * u, u * u + 1, domain.constant(2)):
        with pytest.raises(ValueError, match="is not the square of a declared root"):
            np.sqrt(radicand)
    assert same(np.sqrt(u - u), 0) and same(np.sqrt(u / u), 1)
    domain.declare(u, (1 - u) / (1 + u))
    assert same(np.sqrt(u**2), u)
    assert same(np.sqrt((1 - 2 * u + u * u) / (1 + 2 * u + u * u)), (1 - u) / (1 + u))
    for root in (x, -u, u - 1, u - Fraction(1, 2), x * x, -1 + 0 * u):
        with pytest.raises(ValueError, match="is not shown to be 0 or more"):
            domain.declare(root)


@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3), st.integers(-3, 3))
def test_what_is_shown_to_be_positive_is_positive(a, b, c, d):
    domain = Domain(u=UNIT, v=("u", 1), w=(Fraction(-1, 2), 2), far=(3, None))
    u, v, w, far = domain.symbols
    number = a * u * v + b * (v - u) + c * w * far + d + 0 * u
    if domain.positive(number):
        for i in range(1, 5):
            for j in range(1, 5):
                at_u = Fraction(i, 5)
                at_v = at_u + (1 - at_u) * Fraction(j, 5)
                point = {
                    "u": at_u,
                    "v": at_v,
                    "w": Fraction(j, 2) - Fraction(9, 20),
                    "far": Fraction(3 + i),
                }
                if point["w"] < 2:
                    assert number.at(point) > 0


def test_ends_of_variables_that_do_not_occur_are_replaced_by_their_own():
    domain = Domain(a=UNIT, b=("a", 1), c=("b", 2))
    a, b, c = domain.symbols
    assert domain.positive(c) and domain.positive(c - b) and domain.positive(c - a)
    assert domain.positive(2 - c) and not domain.positive(1 - c) and not domain.positive(c - 1)


@pytest.mark.parametrize("interval", [("y", 1), (None, 1), (0, "x"), (0.5, 1), ("free", 1)])
def test_wrong_intervals_are_refused(interval):
    with pytest.raises(ValueError, match="the ends of x must be numbers or bounded variables"):
        Domain(free=ANY, x=interval)


def test_only_the_guard_of_a_schedule_is_answered():
    domain = Domain(u=UNIT, x=ANY)
    u, x = domain.symbols
    schedule = domain.schedule([u, u / 2])
    beta = schedule.beta[1]
    assert 0 < beta < 1 and same(schedule.alpha_bar[2], (1 - u) * (1 - u / 2))
    for branch in (
        lambda: beta > Fraction(1, 2),
        lambda: beta < 2,
        lambda: beta >= 0,
        lambda: beta * 1 > 0,
        lambda: -beta < 1,
        lambda: 0 < u,
        lambda: beta == 0,
        lambda: hash(beta),
        lambda: np.maximum(beta, 0),
    ):
        with pytest.raises(TypeError):
            branch()
    for wrong in (x, 2 * u, -u, u - u, u - u + 1):
        with pytest.raises(ValueError, match="is not shown to lie between 0 and 1"):
            domain.schedule([u, wrong])


# ---- tanh and signs -----------------------------------------------------------------------------


def test_tanh_is_a_variable_with_a_derivative():
    x, y = Domain(x=ANY, y=ANY).symbols
    tanh = np.tanh(np.array([x * y, y * x, x]))
    assert same(tanh[0], tanh[1]) and not same(tanh[0], tanh[2])
    assert same(tanh[0].derivative("x"), (1 - tanh[0] ** 2) * y)
    inner = np.tanh(tanh[2] * x)
    slope = (1 - inner**2) * ((1 - tanh[2] ** 2) * x + tanh[2])
    assert same(inner.derivative(x), slope) and inner.derivative("y").is_zero()


def test_a_pattern_of_signs_answers_comparisons_once_for_every_multiple():
    domain = SignPattern([1, -1], x=ANY, y=ANY)
    x, y = domain.symbols
    assert same(np.maximum(x - y, (x - y) / 10), x - y)
    assert same(np.maximum(y, y / 10), y / 10) and domain.unused == 0
    assert x - y > 0 and y - x < 0 and y < 0 and -y >= 0
    for unknown in (lambda: x > 0, lambda: x - x > 0, lambda: x / x > 2, lambda: x == y):
        with pytest.raises(TypeError, match="since the answer depends on its value"):
            unknown()
