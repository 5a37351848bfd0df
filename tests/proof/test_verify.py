"""What ``verify`` prints, that it fails when a formula is wrong, and the decimals it measures against."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ddpm_np import forward, posterior, sampling
from ddpm_np.conformance.strategies import schedules_and_routes
from ddpm_np.proof import ANY, Chart, Identity, verify
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.reference import Reference, ulp_error
from ddpm_np.schedule import Schedule

DRAWS = list(verify._draws(np.random.default_rng(0)))


# ---- the table ------------------------------------------------------------------------------------------------------------------


def test_everything_is_proved_and_within_what_rounding_allows() -> None:
    lines: list[str] = []
    assert verify.verify(out=lines.append) is True, "\n".join(lines)
    assert lines[0].split() == ["equation", "proved", "float64", "error", "allowed", "time"] and lines[-1] == "Everything holds."
    table = {line.split()[0]: line for line in lines[1:-1]}
    assert list(table) == sorted(table, key=lambda e: int(e[1:]))
    assert {f"E{n}" for n in range(1, 20)} - {"E16"} <= set(table)
    for equation, line in table.items():
        total = sum(equation in i.equations for i in IDENTITIES)
        assert (f"{total} of {total} " in line) == (total > 0) and ("ulp" in line) == (equation in verify.MEASURES)


@pytest.fixture
def few_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "IDENTITIES", [i for i in IDENTITIES if "E10" in i.equations])
    monkeypatch.setattr(verify, "MEASURES", {e: verify.MEASURES[e] for e in ("E1", "E18")})


@pytest.mark.usefixtures("few_proofs")
def test_the_same_seed_gives_the_same_errors_and_another_seed_others() -> None:
    def errors(seed: int) -> list[Any]:
        return [row[:5] for row in verify.rows(seed=seed)]

    assert errors(1) == errors(1) != errors(2)


@pytest.mark.usefixtures("few_proofs")
def test_a_wrong_identity_and_a_formula_that_raises_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Identity("a slip", ("E10",), "x = 2 x", Chart({"x": ANY}), lambda v: (v.x, 2 * v.x))
    broken = Identity("a crash", ("E9",), "nothing", Chart({"x": ANY}), lambda v: [][1])
    monkeypatch.setattr(verify, "IDENTITIES", [*verify.IDENTITIES, wrong, broken])
    monkeypatch.setattr(forward, "_mix", lambda *arguments: 1 / 0)
    lines: list[str] = []
    assert verify.verify(out=lines.append) is False
    assert lines[-1] == "Not everything holds."
    failed = [line.strip() for line in lines if "FAILED" in line]
    assert "FAILED a slip: x = 2 x; at x = 1: left 1, right 2" in failed
    assert "FAILED a crash: nothing; IndexError: list index out of range" in failed
    assert any(line.startswith("FAILED ZeroDivisionError: division by zero, for beta = ") for line in failed)
    assert any(line.startswith("E10 ") and "4 of 5" in line for line in lines)


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="^seed must be "):
        list(verify.rows(seed=seed))


def test_the_random_schedules_are_wide() -> None:
    beta = np.concatenate([d.schedule.beta[1:] for d in DRAWS])
    assert beta.min() < 1e-10 and beta.max() > 1 - 1e-4 and np.ptp(np.log(beta / (1 - beta))) > 30
    assert {d.schedule.T for d in DRAWS} == {1, 2, 3, 10}
    assert {d.t - d.s == 1 for d in DRAWS} == {d.s == 0 for d in DRAWS} == {d.t == d.schedule.T for d in DRAWS} == {True, False}


# ---- a sign error in a formula is measured (that it is also disproved is in test_proof.py) --------------------------------------

SIGNS = [
    ("E1", forward, "_mix", lambda f: lambda x, eps, kept, noise: f(x, -eps, kept, noise)),
    ("E3", forward, "_replace", lambda f: lambda Sigma, kept, noise: f(Sigma, kept, -noise)),
    ("E4", forward, "q_skip", lambda f: lambda schedule, x, s, t, eps: f(schedule, x, s, t, np.negative(eps))),
    ("E5", forward, "_replace", lambda f: lambda Sigma, kept, noise: f(Sigma, -kept, noise)),
    ("E6", forward, "q_mean_variance", lambda f: lambda schedule, x, t: (f(schedule, x, t)[0], -f(schedule, x, t)[1])),
    ("E8", posterior, "posterior_exponent", lambda f: lambda x, x_t, x_0, *of: f(x, -x_t, x_0, *of)),
    ("E9", posterior, "psi_1_xt_coef", lambda f: lambda *of: -f(*of)),
    ("E9", posterior, "psi_1_x0_coef", lambda f: lambda *of: -f(*of)),
    ("E10", posterior, "psi_2_expanded", lambda f: lambda alpha, beta, before: f(-alpha, beta, before)),
    ("E10", posterior, "psi_2_collected", lambda f: lambda alpha, beta, now, before: f(alpha, beta, -now, before)),
    ("E10", posterior, "psi_2_simplified", lambda f: lambda *of: -f(*of)),
    ("E11", posterior, "posterior_variance", lambda f: lambda *of: -f(*of)),
    ("E12", posterior, "mean_x0_coef", lambda f: lambda *of: -f(*of)),
    ("E12", posterior, "mean_xt_coef", lambda f: lambda *of: -f(*of)),
    ("E13", posterior, "predict_x0", lambda f: lambda schedule, x, t, eps: f(schedule, x, t, -eps)),
    ("E13", posterior, "predict_eps", lambda f: lambda schedule, x, t, x_0: f(schedule, x, t, -x_0)),
    ("E14", posterior, "mean_eps_coef", lambda f: lambda *of: -f(*of)),
    ("E14", posterior, "mean_xt_coef_in_eps_form", lambda f: lambda alpha: -f(alpha)),
    ("E17", sampling, "mean_eps_coef", lambda f: lambda *of: -f(*of)),
    ("E17", sampling, "posterior_variance", lambda f: lambda *of: -f(*of)),
    ("E17", sampling, "ReverseStep", lambda f: lambda a, b, std: f(a, b, -std)),
    ("E18", sampling, "ddim_variance", lambda f: lambda *of: -f(*of)),
    ("E18", sampling, "ddim_direction", lambda f: lambda alpha, beta, now, before, eta: f(alpha, -beta, now, before, eta)),
    ("E18", sampling, "ddim_eps_coef", lambda f: lambda *of: -f(*of)),
    ("E18", sampling, "step_sequence", lambda f: lambda schedule, steps: f(schedule, None)),
]


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")
@pytest.mark.parametrize("equation, room, name, change", [pytest.param(*s, id=f"{s[0]} {s[2]}") for s in SIGNS])
def test_a_sign_error_is_measured(equation: str, room: Any, name: str, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, name, change(getattr(room, name)))
    worst, allowed, failures = verify._worst(verify.MEASURES[equation], DRAWS)
    assert failures and not worst <= allowed


def test_one_unit_too_many_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schedule, "between", lambda self, s, t: tuple(np.nextafter(v, 2) for v in BETWEEN(self, s, t)))
    assert verify._worst(verify.MEASURES["E4"], DRAWS)[2]


BETWEEN = Schedule.between


# ---- the decimals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.E2
@given(schedules_and_routes(max_T=8))
def test_the_reference_tables_are_those_of_exact_fractions(case: tuple[Schedule, int, int]) -> None:
    beta = [Fraction(float(b)) for b in case[0].beta[1:]]
    exact, alpha_bar, before = Reference(case[0].beta[1:]), Fraction(1), Fraction(1)
    for t, b in enumerate(beta, 1):
        before, alpha_bar = alpha_bar, alpha_bar * (1 - b)
        fractions = b, 1 - b, alpha_bar, 1 - alpha_bar, b * (1 - before) / (1 - alpha_bar)
        tables = exact.beta, exact.alpha, exact.alpha_bar, exact.one_minus_alpha_bar, exact.beta_tilde
        assert all(close(table[t], value) for table, value in zip(tables, fractions))


@pytest.mark.E12
@given(schedules_and_routes(max_T=8))
def test_the_reference_formulas_agree_with_one_another(case: tuple[Schedule, int, int]) -> None:
    schedule, s, t = case
    exact, x_t, eps, x = Reference(schedule.beta[1:]), [0.3], [-1.7], [0.9]
    x_0 = exact.predict_x0(x_t, t, eps).value
    assert close(exact.q_skip(x_0, 0, t, eps).value[0], x_t[0]) and close(exact.predict_eps(x_t, t, x_0).value[0], eps[0])
    assert close(exact.posterior_mean(x_0, x_t, t).value[0], exact.mean_from_eps(x_t, t, eps).value[0])
    on_path = exact.ddim_mean(x_t, t, eps, s, 0.0).value[0]
    assert close(on_path, exact.q_skip(x_0, 0, s, eps).value[0] if s else x_0[0])
    assert close(exact.reverse_variance(t, t - 1), exact.beta_tilde[t])
    if t > 1:
        with localcontext(Context(prec=120)):
            square = exact.psi_2(t).value * (Decimal(x[0]) - exact.posterior_mean(x_0, x_t, t).value[0]) ** 2
        assert close(exact.exponent(x, x_t, x_0, t).value[0], square, digits=60)


def close(a: Any, b: Any, digits: int = 70) -> bool:
    """Equal to so many digits; betas of 1e-12 cost 120 digits at most four times twelve."""
    a, b = (Fraction(v) if isinstance(v, (float, Decimal)) else v for v in (a, b))
    return abs(a - b) <= Fraction(1, 10**digits) * max(abs(a), abs(b), Fraction(1, 10**12))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ulp_error_counts_floats(dtype: Any) -> None:
    for value in (1.0, 0.1, 3e5, np.finfo(dtype).tiny):
        x = dtype(value)
        for n in range(5):
            assert ulp_error(x, value if dtype == np.float64 else float(dtype(value))) == n
            x = np.nextafter(x, dtype(np.inf))


def test_ulp_error_at_the_edges() -> None:
    errors = ulp_error([np.inf, -np.inf, np.inf, np.nan, 0.0], [np.inf, np.inf, 1.0, np.nan, 5e-324])
    assert errors.tolist() == [0, np.inf, np.inf, np.inf, 1]
    assert ulp_error([[1.0], [2.0]], Fraction(1), scale=[[2.0**52], [2.0**53]]).tolist() == [[0], [0.5]]
    assert ulp_error(np.float32(1), Decimal(1) + Decimal(2) ** -24) == 0.5
