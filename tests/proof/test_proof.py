"""The prover: it proves what is true, and refuses what is false or outside its theorem."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ddpm_np import _checks, forward, network, posterior, sampling
from ddpm_np.closed_form import ideal, reverse
from ddpm_np.learning import convolution, layers, unet
from ddpm_np.proof import ANY, IDENTITIES, Chart, Identity, Proof, prove
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
    ("E25", ideal.optimal_loss, ".mean(1)", ".sum(1)"),
    ("E25", ideal.optimal_variance, "schedule.beta,", "schedule.alpha,"),
    ("E25", ideal.variance_from_loss, "** 2 * loss", "* loss"),
    ("E26", reverse.kernel_gain, "np.sqrt(alpha_ts)", "alpha_ts"),
    ("E26", reverse.kernel_variance, "return beta_ts * v_s", "return beta_ts * v_t"),
    ("E26", reverse.reverse_kernel, "(axes * variance) @ axes.T", "(axes * variance) @ axes"),
    ("E27", reverse.step_law, "gain**2 * variance", "gain * variance"),
    ("E27", reverse.noise_kept, "eps_coef * np.sqrt(noise)", "eps_coef * noise"),
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
