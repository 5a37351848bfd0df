"""The prover: it proves what is true, and refuses what is false or outside its theorem."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np import _checks, forward, network, posterior, sampling, schedule
from ddpm_np.closed_form import ideal, reverse
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.learning import convolution, layers, unet
from ddpm_np.proof import ANY, IDENTITIES, POSITIVE, UNIT, Chart, Identity, Proof, prove
from ddpm_np.schedule import Schedule

V = SimpleNamespace
X = Chart({"x": ANY})


def proof_of(chart: Chart, sides: Callable[[V], tuple[Any, Any]]) -> Proof:
    return prove(Identity("test", ("E8",), "a test", chart, sides))


def marked(equations: tuple[str, ...]) -> list[pytest.MarkDecorator]:
    return [getattr(pytest.mark, e) for e in equations]


# ---- the identities of the derivation -----------------------------------------------------------

FAMILIES: dict[tuple[str, tuple[str, ...]], list[Identity]] = {}
for _identity in IDENTITIES:
    FAMILIES.setdefault((_identity.statement, _identity.equations), []).append(_identity)


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=marked(equations), id=family[0].name)
        for (_, equations), family in FAMILIES.items()
    ],
)
def test_identities_are_proved(family: list[Identity]) -> None:
    for identity in family:
        proof = prove(identity)
        assert proof.proved and proof.equal > 0, proof


def test_names_are_unique_and_every_equation_of_the_derivation_is_there() -> None:
    assert len({i.name for i in IDENTITIES}) == len(IDENTITIES)
    proved = {e for i in IDENTITIES for e in i.equations}
    assert proved >= {f"E{n}" for n in [*range(1, 16), 17, 18, *range(24, 28)]}


# ---- true identities are proved -----------------------------------------------------------------


def test_a_true_identity_is_proved_where_both_sides_are_defined() -> None:
    proof = proof_of(X, lambda v: ((v.x**2 - 1) / (v.x - 1), v.x + 1))
    assert proof.proved and proof.equal == 1
    assert "proved: 1 pair of numbers equal where both sides are defined" in str(proof)


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=6),
    st.lists(st.integers(-3, 3), min_size=1, max_size=6),
)
def test_it_agrees_with_comparing_coefficients(left: list[int], right: list[int]) -> None:
    def polynomial(coefficients: list[int], x: Any) -> Any:
        total = 0 * x
        for c in reversed(coefficients):
            total = total * x + c
        return total

    width = max(len(left), len(right))
    same = left + [0] * (width - len(left)) == right + [0] * (width - len(right))
    proof = proof_of(
        Chart({"x": UNIT}),
        lambda v: (polynomial(left, v.x) / (1 + v.x), polynomial(right, v.x) / (1 + v.x)),
    )
    assert proof.proved == same


def test_roots_and_their_signs() -> None:
    chart = Chart({"x": UNIT}, roots=lambda v: [v.x**3])
    assert proof_of(chart, lambda v: (np.sqrt(v.x**6), v.x**3)).proved
    assert proof_of(X, lambda v: ([np.sqrt(v.x - v.x), np.sqrt(v.x / v.x)], [0, 1])).proved


def test_arrays_of_variables() -> None:
    chart = X.with_arrays(a=(2, 3), b=())
    assert proof_of(chart, lambda v: (v.a * v.b - v.x, -(v.x - v.b * v.a))).proved
    assert not proof_of(chart, lambda v: (v.a, v.a[:, ::-1])).proved
    assert proof_of(X.also(y=POSITIVE), lambda v: (v.x * v.y, v.y * v.x)).proved


# ---- false statements are refused ---------------------------------------------------------------

FALSE: dict[str, tuple[Chart, Callable[[V], tuple[Any, Any]], str]] = {
    "|x| = x": (X, lambda v: (np.abs(v.x), v.x), "no magnitude"),
    "max(x, 0) = x": (X, lambda v: (np.maximum(v.x, 0), v.x), "cannot be compared"),
    "max(x, 0) = x, in Python": (X, lambda v: (max(v.x, 0), v.x), "cannot be compared"),
    "max(x, 0) = x, in an array": (
        X,
        lambda v: (np.maximum(np.array([v.x]), 0), [v.x]),
        "cannot be compared",
    ),
    "sign(x) = 1": (X, lambda v: (np.sign(v.x), 1), "cannot be compared"),
    "min(x, 99/100) = x": (
        Chart({"x": UNIT}),
        lambda v: (min(v.x, Fraction(99, 100)), v.x),
        "cannot be compared",
    ),
    "sqrt(x^2) = x": (
        Chart({"x": ANY}, roots=lambda v: [v.x]),
        lambda v: (np.sqrt(v.x**2), v.x),
        "is not shown to be 0 or more",
    ),
    "sqrt(y^2) = y for y = x - 1/2": (
        Chart({"x": UNIT}, lambda x: V(y=x - Fraction(1, 2)), lambda v: [v.y]),
        lambda v: (np.sqrt(v.y**2), v.y),
        "is not shown to be 0 or more",
    ),
    "a dictionary look-up": (X, lambda v: ({1: v.x}.get(v.x, v.x), v.x), "cannot be looked up"),
    "a set": (X, lambda v: (list({v.x}), v.x), "cannot be looked up"),
    "nothing": (X, lambda v: ([], []), "no symbols"),
    "numbers alone": (X, lambda v: (1, 1), "no symbols"),
    "x or 1": (X, lambda v: (v.x or 1, v.x), "no truth value"),
    "x if x != 1/4": (
        X,
        lambda v: (v.x if v.x != Fraction(1, 4) else 0, v.x),
        "cannot be compared",
    ),
    "(x + y)^2 = x^2 + y^2": (
        X.also(y=ANY),
        lambda v: ((v.x + v.y) ** 2, v.x**2 + v.y**2),
        "the sides differ: left ",
    ),
    "two numbers and one": (X, lambda v: ([v.x, v.x], v.x), "the sides have 2 and 1 numbers"),
    "other shapes": (
        X.with_arrays(a=(2, 3)),
        lambda v: (v.a, v.a.reshape(6)),
        "the sides have the shapes",
    ),
    "the second number": (X, lambda v: ([v.x, v.x], (v.x, 2 * v.x)), "left x, right 2 x"),
    "a float": (X, lambda v: (0.5 * v.x, v.x / 2), "met the float 0.5"),
    "a float on its own": (X, lambda v: ([v.x, 1.0], [v.x, 1]), "holds the float 1.0"),
    "a rounded root": (X, lambda v: (v.x**0.5, v.x), "whole powers only"),
    "exp(x) = x": (X, lambda v: (np.exp(v.x), v.x), "exp"),
    "division by 0": (X, lambda v: (1 / (v.x - v.x), v.x), "division by a symbol that is 0"),
    "a float out of it": (X, lambda v: (float(v.x), v.x), "cannot be rounded"),
    "another type": (X, lambda v: ("x", v.x), "holds the str"),
    "a crash": (X, lambda v: [][1], "IndexError"),
    "a missing name": (X, lambda v: (v.y, v.x), "AttributeError"),
    "no pair": (X, lambda v: v.x, "TypeError"),
    "None": (X, lambda v: None, "TypeError"),
    "a comparison caught": (X, lambda v: (_positive_part(v.x), v.x), "cannot be compared"),
    "a root caught": (X, lambda v: (_root_or(v.x), v.x), "not the square of a declared root"),
    "deep recursion": (X, lambda v: _deeper(v), "RecursionError"),
    "a chart that crashes": (
        Chart({"x": ANY}, lambda x: [][0]),
        lambda v: (v.x, v.x),
        "IndexError",
    ),
    "a beta above 1": (
        Chart({"x": POSITIVE}, lambda x: V(s=x.domain.schedule([x]))),
        lambda v: (v.s.beta[1], 1),
        "is not shown to lie between 0 and 1",
    ),
}


def _positive_part(x: Any) -> Any:
    try:
        return x if x > 0 else 0
    except TypeError:
        return x


def _root_or(x: Any) -> Any:
    try:
        return np.sqrt(x)
    except (ValueError, TypeError):
        return x


def _deeper(v: V) -> Any:
    return _deeper(v)


@pytest.mark.parametrize("name", FALSE)
def test_what_is_false_or_outside_the_theorem_is_refused(name: str) -> None:
    chart, sides, why = FALSE[name]
    proof = proof_of(chart, sides)
    assert not proof.proved and why in proof.failure and "NOT PROVED" in str(proof)
    assert proof.equal == 0


@pytest.mark.parametrize(
    "name", [name for name, (_, _, why) in FALSE.items() if "compared" in why or "looked" in why]
)
def test_the_refusal_names_the_line(name: str) -> None:
    chart, sides, _ = FALSE[name]
    assert "test_proof.py, line " in proof_of(chart, sides).failure


# ---- what the theorem supposes of the code ------------------------------------------------------

# Where the package asks whether numbers are exact. Everywhere else it cannot treat symbols in
# another way than floats. In each of these places floats are only rounded, checked or refused.
ASKED = {
    "_checks": {"real_array", "per_row"},
    "schedule": {"from_beta", "log_snr", "__eq__", "__hash__", "__repr__", "_rounded"},
    "posterior": {"predict_x0"},
    "sampling": {"ddim_step", "_variance_table", "_between", "_single"},
    "closed_form.ideal": {"_points"},
}


def test_the_derivation_asks_for_exact_numbers_in_known_places_only() -> None:
    modules = (
        schedule,
        forward,
        posterior,
        sampling,
        ideal,
        reverse,
        network,
        layers,
        convolution,
        unet,
    )
    for module in modules:
        name = module.__name__.removeprefix("ddpm_np.")
        asking = set()
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.FunctionDef):
                text = ast.dump(node)
                if "ExactNumber" in text or "id='object'" in text or "value='O'" in text:
                    asking.add(node.name)
        assert asking <= ASKED.get(name, set()), f"{name}: {asking - ASKED.get(name, set())}"


# ---- a wrong formula leaves an identity unproved ------------------------------------------------


def planted(function: Any, right: str, wrong: str) -> Any:
    """The code object of a function with one piece of its source replaced."""
    import __future__

    import textwrap

    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(right) == 1, f"{function.__qualname__} must hold {right!r} once"
    flag = __future__.annotations.compiler_flag
    code = compile(source.replace(right, wrong), "<planted>", "exec", flags=flag, dont_inherit=True)
    names: dict[str, Any] = {}
    exec(code, dict(function.__globals__), names)
    planted = names[function.__name__]
    return getattr(planted, "__func__", planted).__code__


FROM_BETA = Schedule.from_beta.__func__
WRONG = [
    # the schedule's own tables, E2
    ("E2", FROM_BETA, "alpha.append(1 - b)", "alpha.append(1 - b * b)"),
    ("E2", FROM_BETA, "alpha_bar[-1] * alpha[-1])\n", "alpha_bar[-1] * alpha[-2])\n"),
    ("E2", FROM_BETA, "* alpha[-1] + b)", "* alpha[-1] + b * b)"),
    ("E2", FROM_BETA, "zero = betas[0] - betas[0]", "zero = betas[0]"),
    (
        "E11",
        FROM_BETA,
        "b * one_minus_alpha_bar[-2] / one_minus_alpha_bar[-1]",
        "b * one_minus_alpha_bar[-2]",
    ),
    # E4
    ("E4", Schedule.between, "alpha_bar[j] / alpha_bar[i]", "alpha_bar[i] / alpha_bar[j]"),
    ("E4", Schedule.between, "- alpha[-1] * one_minus_alpha_bar[i]", "- one_minus_alpha_bar[i]"),
    ("E4", forward.q_skip, "np.sqrt(beta_ts)", "beta_ts"),
    # what a prover that only looks at some points would take: clipping on exact numbers
    (
        "E6",
        forward.q_sample,
        "signal * x_0",
        "signal * (np.maximum(x_0, 0) if x_0.dtype == object else x_0)",
    ),
    (
        "E6",
        forward.q_sample,
        "noise * eps",
        "noise * (np.maximum(eps, 0) if eps.dtype == object else eps)",
    ),
    ("E1", forward.q_step, "np.sqrt(schedule.beta[t])", "schedule.beta[t]"),
    ("E3", forward.covariance_step, "+ beta * _identity", "- beta * _identity"),
    ("E5", forward.covariance_at, "+ one_minus_alpha_bar *", "- one_minus_alpha_bar *"),
    ("E6", forward.q_mean_variance, "np.sqrt(schedule.alpha_bar[t])", "schedule.alpha_bar[t]"),
    # arrays of t
    ("E6", _checks.per_row, "c[..., None] if c.ndim", "-7 * c[..., None] if c.ndim"),
    ("E3", _checks.per_matrix, "c[..., None, None] if c.ndim", "-7 * c[..., None, None] if c.ndim"),
    # the posterior
    ("E7", posterior.posterior_mean_variance, "schedule.beta_tilde[t]", "schedule.beta[t]"),
    (
        "E8",
        posterior.posterior_exponent,
        "- (x_t - np.sqrt(alpha_bar_t)",
        "+ (x_t - np.sqrt(alpha_bar_t)",
    ),
    ("E9", posterior.psi_1_xt_coef, "np.sqrt(alpha_t)", "alpha_t"),
    ("E9", posterior.psi_1_x0_coef, "np.sqrt(alpha_bar_prev)", "alpha_bar_prev"),
    (
        "E10",
        posterior.psi_2_expanded,
        "return 1 / one_minus_alpha_bar_prev +",
        "return 1 / one_minus_alpha_bar_prev -",
    ),
    (
        "E10",
        posterior.psi_2_collected,
        "return (beta_t + alpha_t - alpha_bar_t)",
        "return (beta_t + alpha_t + alpha_bar_t)",
    ),
    (
        "E10",
        posterior.psi_2_simplified,
        "return one_minus_alpha_bar_t",
        "return one_minus_alpha_bar_prev",
    ),
    ("E11", posterior.posterior_variance, "/ one_minus_alpha_bar_t", ""),
    ("E12", posterior.mean_x0_coef, "np.sqrt(alpha_bar_prev)", "alpha_bar_prev"),
    ("E12", posterior.mean_xt_coef, "np.sqrt(alpha_t)", "alpha_t"),
    ("E13", posterior.predict_x0, "x_t - noise", "x_t + noise"),
    ("E13", posterior.predict_eps, "x_t - signal", "x_t + signal"),
    ("E14", posterior.mean_eps_coef, "return -beta_t", "return beta_t"),
    ("E14", posterior.mean_xt_coef_in_eps_form, "1 / np.sqrt(alpha_t)", "np.sqrt(alpha_t)"),
    ("E14", posterior.mean_xt_coef_expanded, "(1 - alpha_bar_prev)", "(1 + alpha_bar_prev)"),
    ("E14", posterior.mean_xt_coef_collected, "= np.sqrt(alpha_bar_prev)", "= alpha_bar_prev"),
    # the reverse steps
    ("E17", sampling.ancestral_step, "np.sqrt(step_variance)", "step_variance"),
    ("E17", sampling.ancestral_step, "elif s == 0:", "elif s < 0:"),
    ("E18", sampling.ddim_variance, "eta**2", "eta**2 * eta**2"),
    ("E18", sampling.ddim_direction, "(1 - eta**2)", "(1 + eta**2)"),
    ("E18", sampling.ddim_eps_coef, "return -(", "return ("),
    # the Gaussian world
    ("E24", ideal.score_from_eps, "-eps / noise", "eps / noise"),
    ("E24", ideal.eps_star_gain, "np.sqrt(noise) /", "noise /"),
    ("E24", ideal.IdealDenoiser._eps_star, "x - np.sqrt(kept)", "x - kept"),
    ("E25", ideal.bayes_floor, "kept * variance /", "noise /"),
    ("E25", ideal.optimal_loss, " / distribution.dim", ""),
    ("E25", ideal.optimal_variance, "schedule.beta,", "schedule.alpha,"),
    ("E25", ideal.variance_from_loss, "** 2 * loss", "* loss"),
    ("E26", reverse.kernel_gain, "np.sqrt(alpha_ts)", "alpha_ts"),
    ("E26", reverse.kernel_variance, "return beta_ts * v_s", "return beta_ts * v_t"),
    ("E26", Gaussian.matrix, "(own * gain) @ own.T", "(own * gain) @ own"),
    ("E27", reverse.step_moments, "gain**2 * variance", "gain * variance"),
    ("E27", reverse.noise_kept, "* np.sqrt(noise)", "* noise"),
    ("E27", reverse.step_gain, "xt_coef * kept", "xt_coef"),
    # back-propagation
    ("E15", network.MLP._backward, "d_eps_hat.sum(axis=0)", "d_eps_hat.mean(axis=0)"),
    ("E15", network.MLP._backward, "sum_by_step(u * d_z", "sum_by_step(d_z"),
    ("E15", network.MLP._backward, 'rows_at(p[f"gate{l}"], t, self.basis) * d_z', "d_z"),
    (
        "E15 two layers",
        network.MLP._backward,
        'd_h = d_u @ p[f"W{l}"].T',
        "d_h = d_u @ d_u.T @ d_h",
    ),
    ("E15 basis", layers.sum_by_step, "basis[t].T @ rows", "basis[t] @ rows"),
    ("E15", layers.sum_by_step, "np.add.at(table, t, rows)", "table[t] += rows"),
    (
        "E15 leaky",
        layers.activation_slope,
        "np.where(z > 0, 1, layer.leak)",
        "np.where(z > 0, layer.leak, 1)",
    ),
    ("E15 SiLU", layers.activation_slope, "s * (1 + z * (1 - s))", "s * (1 + z * s)"),
    ("E15 U Net", unet.UNet._backward, "d_z = 1 - s", "d_z = 1 + s"),
    (
        "E15 convolution",
        convolution.kernel_backward,
        "wide[k : k + rows].re",
        "wide[2 - k : 2 - k + rows].re",
    ),
    ("E15 convolution", convolution.turned, "[::-1, ::-1]", ""),
    ("E15 transpose", convolution.halve_backward, "d / 4", "d"),
]


@pytest.mark.parametrize(
    ("equation", "function", "right", "wrong"),
    [pytest.param(*bug, id=f"{bug[0]} {bug[1].__qualname__}: {bug[3][:30]}") for bug in WRONG],
)
def test_a_wrong_formula_leaves_an_identity_unproved(
    equation: str, function: Any, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "__code__", planted(function, right, wrong))
    equation, _, part = equation.partition(" ")  # and a word of the identity's name
    concerned = [i for i in IDENTITIES if equation in i.equations and part in i.name]
    assert any(not prove(i).proved for i in concerned)


def test_with_nothing_planted_the_same_identities_are_proved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = planted(forward.q_step, "signal * x_prev", "signal  * x_prev")
    monkeypatch.setattr(forward.q_step, "__code__", same)
    assert all(prove(i).proved for i in IDENTITIES if "E1" in i.equations)


@pytest.mark.parametrize(
    ("equation", "owner", "name"),
    [
        ("E15", network.MLP, "_backward"),
        ("E15", network.MLP, "_forward"),
        ("E26", reverse, "reverse_kernel"),
        ("E25", ideal, "optimal_loss"),
        ("E25", ideal, "optimal_variance"),
        ("E24", ideal, "IdealDenoiser"),
        ("E6", forward, "q_sample"),
        ("E10", posterior, "psi_2"),
        ("E18", sampling, "ddim_step"),
    ],
)
def test_a_missing_function_leaves_an_identity_unproved(
    equation: str, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, None)
    failures = (prove(i).failure for i in IDENTITIES if equation in i.equations)
    assert any("NoneType" in failure for failure in failures)
