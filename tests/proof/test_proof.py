"""The prover: it proves what is true, refutes what is wrong, and refuses what it cannot judge. And the identities themselves."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import comb, prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ddpm_np.proof.degree import Degree, Trace, Traced
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np import forward, posterior, sampling
from ddpm_np.closed_form import ideal
from ddpm_np.proof import ANY, UNIT, Chart, Identity, Proof, prove
from ddpm_np.proof.exact import Exact, Root
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.schedule import Schedule

V = SimpleNamespace


def identity(chart: Chart, sides: Callable[[V], tuple[Any, Any]]) -> Proof:
    return prove(Identity("test", ("E8",), "a test", chart, sides))


def marked(equations: tuple[str, ...]) -> list[pytest.MarkDecorator]:
    return [getattr(pytest.mark, e) for e in equations]


# ---- the identities of the derivation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [pytest.param(i, marks=marked(i.equations), id=i.name) for i in IDENTITIES])
def test_identity_is_proved(entry: Identity) -> None:
    proof = prove(entry)
    assert proof.proved, proof
    assert proof.points == np.prod([d + 1 for d in proof.degrees.values()])


def test_names_are_unique_and_every_equation_of_the_derivation_is_there() -> None:
    assert len({i.name for i in IDENTITIES}) == len(IDENTITIES)
    assert {e for i in IDENTITIES for e in i.equations} >= {f"E{n}" for n in [*range(1, 16), 17, 18, 24]}


# ---- wrong identities are refuted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("degree", range(13))
def test_a_polynomial_with_as_many_zeros_as_it_can_have_is_not_taken_for_zero(degree: int) -> None:
    # It vanishes on 1, 2, .., degree: at every point of the grid but the last.
    proof = identity(Chart({"x": ANY}), lambda v: (np.prod([v.x - k for k in range(1, degree + 1)] + [v.x - v.x + 1]), 0))
    assert proof.degrees == {"x": degree} and proof.points == degree + 1
    assert proof.failure.startswith(f"at x = {degree + 1}: left ") and proof.failure.endswith(", right 0")


@pytest.mark.parametrize("degrees", [d for d in product(range(4), repeat=3) if any(d)])
def test_in_several_variables_too(degrees: tuple[int, int, int]) -> None:
    def almost_zero(v: V) -> tuple[Any, Any]:
        return np.prod([x - k for x, d in zip((v.x, v.y, v.z), degrees) for k in range(1, d + 1)]), 0

    proof = identity(Chart({"x": ANY, "y": ANY}).also(z=ANY), almost_zero)
    assert proof.degrees == dict(zip("xyz", degrees))
    assert proof.failure.startswith("at " + ", ".join(f"{n} = {d + 1}" for n, d in zip("xyz", degrees)))


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=6), st.lists(st.integers(-3, 3), min_size=1, max_size=6))
def test_it_agrees_with_comparing_coefficients(left: list[int], right: list[int]) -> None:
    def polynomial(coefficients: list[int], x: Any) -> Any:
        total = 0
        for c in reversed(coefficients):
            total = total * x + c
        return total

    width = max(len(left), len(right))
    same = left + [0] * (width - len(left)) == right + [0] * (width - len(right))
    proof = identity(Chart({"x": UNIT}), lambda v: (polynomial(left, v.x) / (1 + v.x), polynomial(right, v.x) / (1 + v.x)))
    assert proof.proved == same


def test_every_side_of_an_identity_is_compared() -> None:
    chart = Chart({"x": ANY})
    assert "left 1, right 2" in identity(chart, lambda v: ([v.x, np.array([v.x, v.x])], (v.x, [v.x, 2 * v.x]))).failure
    assert "the sides have 2 and 1 numbers" in identity(chart, lambda v: ([v.x, v.x], v.x)).failure


# ---- square roots ---------------------------------------------------------------------------------------------------------------


def test_a_declared_root_is_accepted_and_enters_the_degree() -> None:
    chart = Chart({"x": UNIT}, roots=lambda v: [v.x * v.x * v.x])
    proof = identity(chart, lambda v: (np.sqrt(v.x**6), v.x**3))
    assert proof.proved and proof.degrees == {"x": 6}


@pytest.mark.parametrize("radicand", [lambda x: x * x + 1, lambda x: 1 - x * x, lambda x: x, lambda x: -x * x, lambda x: 4 * x * x])
def test_a_root_that_is_not_declared_is_refused(radicand: Callable[[Any], Any]) -> None:
    proof = identity(Chart({"x": UNIT}, roots=lambda v: [v.x]), lambda v: (np.sqrt(radicand(v.x)), v.x))
    assert "is not the square of a declared root" in proof.failure and not proof.proved


@pytest.mark.parametrize("zeros", range(1, 6))
def test_a_radicand_that_is_a_square_only_here_and_there_is_refused(zeros: int) -> None:
    first = Fraction(1009, 2003)  # where the first run looks, and finds the root right

    def sides(v: V) -> tuple[Any, Any]:
        off = v.x - first
        for k in range(1, zeros):
            off = off * (v.x - Fraction(k, zeros + 3))
        return np.sqrt(v.x * v.x + off * off), v.x

    failure = identity(Chart({"x": UNIT}, roots=lambda v: [v.x]), sides).failure
    assert "is not the square of the declared root" in failure


def test_a_root_of_the_wrong_sign_is_refused() -> None:
    chart = Chart({"x": UNIT}, lambda x: V(y=x - Fraction(1, 2)), lambda v: [v.y])
    proof = identity(chart, lambda v: (np.sqrt(v.y * v.y), v.y))
    assert "is not the square of the declared root" in proof.failure


def test_zero_and_one_need_not_be_declared() -> None:
    assert identity(Chart({"x": ANY}), lambda v: ([np.sqrt(v.x - v.x), np.sqrt(v.x / v.x)], [0, 1])).proved


# ---- what lies outside the theorem is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula, why",
    [
        (lambda x: 0.5 * x, "met the float 0.5"),
        (lambda x: np.float64(2) * x, "met the float"),
        (lambda x: x * np.array([1.0, 2.0]), "met the float 1.0"),
        (lambda x: x**0.5, "whole powers only"),
        (lambda x: 1 / (x - x), "Fraction"),
        (lambda x: float(x.fraction), "met the float"),
        (np.exp, "exp"),
    ],
)
def test_floats_roots_in_disguise_and_divisions_by_zero_are_refused(formula: Callable[[Any], Any], why: str) -> None:
    proof = identity(Chart({"x": UNIT}), lambda v: (formula(v.x), v.x))
    assert not proof.proved and why in proof.failure and proof.points == 0


def test_a_division_by_zero_on_the_grid_is_refused() -> None:
    failure = identity(Chart({"x": ANY}), lambda v: ((v.x * v.x - 1) / (v.x - 1), v.x + 1)).failure
    assert failure.startswith("at x = 1: Fraction(")


@pytest.mark.parametrize("branch", [lambda x: x if x > Fraction(1, 2) else x * 1, lambda x: x if x != Fraction(1, 4) else x + 0])
def test_a_change_of_branch_is_refused(branch: Callable[[Any], Any]) -> None:
    # Both branches are right, but the degree was found on one of them only.
    assert "takes another branch" in identity(Chart({"x": UNIT}), lambda v: (branch(v.x) ** 2, v.x**2)).failure


def test_a_run_that_ends_early_or_takes_more_roots_is_refused() -> None:
    seen: list[int] = []

    def shorter(v: V) -> tuple[Any, Any]:
        seen.append(1)
        return [bool(v.x > 0) for _ in range(3 - len(seen))] and v.x, v.x

    assert "ends earlier" in identity(Chart({"x": UNIT}), shorter).failure
    seen.clear()

    def longer(v: V) -> tuple[Any, Any]:
        seen.append(1)
        return sum(np.sqrt(v.x * v.x) for _ in seen) / len(seen), v.x

    assert "more square roots" in identity(Chart({"x": UNIT}, roots=lambda v: [v.x]), longer).failure


# ---- degrees --------------------------------------------------------------------------------------------------------------------

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": lambda a, b: a**b}


def program(rng: np.random.Generator, length: int) -> list[tuple[str, int, int]]:
    """Random steps (operation, operand, operand): each computes from what is there, so that numbers meet again and again."""
    choices = [("+-*/^"[rng.integers(5)], int(rng.integers(2 + i)), int(rng.integers(3 + i))) for i in range(length)]
    return [(op, a, int(rng.integers(-2, 4)) if op == "^" else b) for op, a, b in choices]


def run(steps: list[tuple[str, int, int]], x: Any, y: Any) -> Any:
    numbers = [x, y, 3]
    for op, a, b in steps:
        numbers.append(OPERATIONS[op](numbers[a] if a < 2 else numbers[a + 1], b if op == "^" else numbers[b]))
    return numbers[-1]


def numerator(number: Degree) -> Fraction:
    """Its value, by the denominator that the number says it has."""
    return number.fraction * prod(numerator(factor) ** power for factor, power in number.bottom.items())


def test_the_numerator_is_a_polynomial_of_no_higher_degree_than_the_bound() -> None:
    tried = 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        steps, name = program(rng, int(rng.integers(2, 9))), "xy"[seed % 2]

        def point(k: int) -> dict[str, Fraction]:
            return {"x": Fraction(50, 7) + k * (name == "x"), "y": Fraction(31, 9) + k * (name == "y")}

        def at(k: int) -> Degree:
            trace = Trace({"x": 0, "y": 0})
            return run(steps, **{n: Degree.variable(v, n, trace) for n, v in point(k).items()})

        try:
            bound = at(0).top["xy".index(name)]
            if bound > 20:
                continue
            # A polynomial of degree at most d is one whose d + 1st differences are 0.
            differences = [numerator(at(k)) * comb(bound + 1, k) * (-1) ** k for k in range(bound + 2)]
        except ZeroDivisionError:
            continue
        assert sum(differences) == 0, (seed, steps)
        assert at(0).fraction == run(steps, **point(0))
        tried += bound > 0 and bool(at(0).bottom)
    assert tried > 100


def test_a_divisor_that_is_the_same_number_counts_once() -> None:
    trace = Trace({"x": 0})
    x = Degree.variable(Fraction(1, 3), "x", trace)
    divisor = 1 + x
    assert (1 / divisor + x / divisor).top == (1,)
    assert (1 / divisor + x / (1 + x)).top == (2,)  # equal, but not known to be
    assert (x / divisor / (1 / divisor)).top == (1,)
    assert (x - x).top == (0,) and ((x - x) * x**5 + 1).top == (0,)
    assert (x**0).top == (0,) and (x**0).fraction == 1 and (x**-2).fraction == 9
    assert (divisor**2 / divisor / (x / divisor)).top == (2,)
    assert (x**3 / divisor**2 + 1).top == (3,) and (divisor**-2).top == (0,) and (1 + divisor**-2).top == (2,)


def test_a_value_of_zero_at_the_first_point_is_not_taken_for_zero() -> None:
    x = Degree.variable(Fraction(0), "x", Trace({"x": 0}))
    assert (x + 1).top == (1,) and (x * x).top == (2,) and (x * 3 + x / 2).top == (1,) and (x / (1 + x) + 1).top == (1,)


@pytest.mark.parametrize("operation", ["+", "-", "*", "/"])
def test_a_plain_exact_number_on_the_left_does_not_hide_the_degree(operation: str) -> None:
    x = Degree.variable(Fraction(1, 3), "x", Trace({"x": 0}))
    for left in (Exact(1, 2), 2, Fraction(1, 2), np.int64(2)):
        result = OPERATIONS[operation](left, x)
        traced = OPERATIONS[operation](left, Traced.variable(Fraction(1, 3), Trace({"x": 0})))
        plain = Exact(0) + OPERATIONS[operation](left, Exact(1, 3))
        assert type(traced) is Traced and traced.fraction == result.fraction == plain.fraction
        assert type(result) is Degree and (1 + result).top == (1,)


# ---- exact numbers --------------------------------------------------------------------------------------------------------------

FRACTIONS = st.fractions(-10, 10, max_denominator=30)


@given(FRACTIONS, FRACTIONS)
def test_exact_numbers_compute_as_fractions_do(a: Fraction, b: Fraction) -> None:
    x, y = Exact(a), Exact(b)
    assert [(x + y).fraction, (x - y).fraction, (x * y).fraction, (-x).fraction] == [a + b, a - b, a * b, -a]
    assert [(x + b).fraction, (b - x).fraction, (b * x).fraction, (x**3).fraction] == [a + b, b - a, a * b, a**3]
    assert (x < y, x <= y, x > y, x >= y, x == y, bool(x)) == (a < b, a <= b, a > b, a >= b, a == b, bool(a))
    assert hash(x) == hash(a) and (a * x).sqrt().fraction == abs(a)
    if b:
        assert (x / y).fraction == a / b and (a / y).fraction == a / b and (y**-1).fraction == 1 / b


@given(st.lists(FRACTIONS, min_size=1, max_size=4))
def test_exact_numbers_work_in_arrays(values: list[Fraction]) -> None:
    array, c = np.array([Exact(v) for v in values], dtype=object), Exact(2, 3)
    for result in (c * array, array * c, c + array, array / c, c - array, np.sqrt(array * array)):
        assert result.dtype == object and all(type(v) is Exact for v in result)
    assert [v.fraction for v in c - array] == [Fraction(2, 3) - v for v in values]


@pytest.mark.parametrize("stranger", [0.5, np.float32(1), 1j, "1", None, float("nan")])
def test_exact_numbers_refuse_anything_inexact(stranger: object) -> None:
    one = Exact(1)
    for operation in (lambda: one + stranger, lambda: stranger * one, lambda: one < stranger, lambda: Exact(stranger)):
        with pytest.raises(TypeError):
            operation()


def test_roots_are_exact_or_refused() -> None:
    assert Exact(49, 64).sqrt() == Exact(7, 8)
    for value in (Exact(2), Exact(1, 2), Exact(-4), Exact(10**40 + 1)):
        with pytest.raises(ValueError, match="is not the square of a rational number"):
            value.sqrt()
    with pytest.raises(TypeError, match="whole powers"):
        Exact(4) ** 0.5
    with pytest.raises(ValueError, match="only the square"):
        Root(Exact(2)) ** 3


# ---- a slip in the running code is found ----------------------------------------------------------------------------------------

SLIPS = [
    ("E9", posterior, "psi_1_xt_coef", lambda alpha, beta: alpha / beta),
    ("E9", posterior, "psi_1_x0_coef", lambda before, one_minus: np.sqrt(before) / (1 + before)),
    ("E10", posterior, "psi_2_expanded", lambda alpha, beta, one_minus: 1 / one_minus - alpha / beta),
    ("E10", posterior, "psi_2_collected", lambda alpha, beta, now, one_minus: (beta + alpha + now) / (beta * one_minus)),
    ("E10", posterior, "psi_2_simplified", lambda beta, now, before: before / (beta * now)),
    ("E11", posterior, "posterior_variance", lambda beta, now, before: beta),
    ("E12", posterior, "mean_x0_coef", lambda beta, before, now: beta * before / now),
    ("E12", posterior, "mean_xt_coef", lambda alpha, now, before: alpha * before / now),
    ("E14", posterior, "mean_eps_coef", lambda alpha, beta, now: beta / (np.sqrt(alpha) * np.sqrt(now))),
    ("E14", posterior, "mean_xt_coef_in_eps_form", lambda alpha: np.sqrt(alpha)),
    ("E8", posterior, "posterior_exponent", lambda x, x_t, x_0, alpha, beta, before, now: (x_t - np.sqrt(alpha) * x) ** 2 / beta),
    ("E17", sampling, "posterior_variance", lambda beta, now, before: beta * now / before),
    ("E18", sampling, "ddim_variance", lambda alpha, beta, now, before, eta: eta**2 * beta),
    ("E18", sampling, "ddim_direction", lambda alpha, beta, now, before, eta: before * (alpha * before + beta) / now),
    ("E6", forward, "_mix", lambda x, eps, kept, noise: kept * x + noise * eps),
    ("E3", forward, "_replace", lambda Sigma, kept, noise: kept * Sigma - noise * np.eye(len(Sigma), dtype=int)),
    ("E24", ideal, "score_from_eps", lambda schedule, eps, t: np.array(eps) / np.sqrt(schedule.one_minus_alpha_bar[t])),
    ("E4", Schedule, "between", lambda self, s, t: (self.alpha[t], self.beta[t])),
]


@pytest.mark.parametrize("equation, room, name, slip", [pytest.param(*s, id=f"{s[0]} {s[2]}") for s in SLIPS])
def test_a_slip_in_a_formula_leaves_an_identity_unproved(
    equation: str, room: Any, name: str, slip: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, name, slip)
    assert any(not prove(i).proved for i in IDENTITIES if equation in i.equations)
