"""The rounding errors that ``verify`` prints, and the decimals they are measured against."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from planted_bugs import planted

from ddpm_np import forward, posterior, sampling
from ddpm_np.conformance.strategies import schedules_and_routes
from ddpm_np.proof import errors
from ddpm_np.proof.reference import Reference, ulp_error
from ddpm_np.schedule import Schedule

DRAWS = list(errors.draws(np.random.default_rng(0)))


def test_the_random_schedules_are_wide() -> None:
    beta = np.concatenate([d.schedule.beta[1:] for d in DRAWS])
    assert beta.min() < 1e-10 and beta.max() > 1 - 1e-4 and np.ptp(np.log(beta / (1 - beta))) > 30
    assert {d.schedule.T for d in DRAWS} == {1, 2, 3, 10, 1000}
    for holds in (lambda d: d.t - d.s == 1, lambda d: d.s == 0, lambda d: d.t == d.schedule.T):
        assert {holds(d) for d in DRAWS} == {True, False}


# ---- a sign error in a formula is measured (test_proof.py shows that it is also disproved) -------


def minus(right: str) -> tuple[str, str]:
    return right, f"-{right}"


SIGNS = [
    ("E1", forward.q_step, *minus("noise * eps")),
    ("E3", forward.covariance_step, "+ beta * _identity", "- beta * _identity"),
    ("E4", forward.q_skip, *minus("noise * eps")),
    ("E5", forward.covariance_at, "return alpha_bar", "return -alpha_bar"),
    ("E6", forward.q_sample, *minus("noise * eps")),
    ("E6", forward.q_mean_variance, "mean, schedule", "-mean, schedule"),
    ("E8", posterior.posterior_exponent, "(x_t - np.sqrt(alpha_t)", "(-x_t - np.sqrt(alpha_t)"),
    ("E9", posterior.psi_1_xt_coef, "return np", "return -np"),
    ("E9", posterior.psi_1_x0_coef, "return np", "return -np"),
    ("E10", posterior.psi_2_expanded, "return 1 /", "return -1 /"),
    ("E10", posterior.psi_2_simplified, "return one", "return -one"),
    ("E11", posterior.posterior_variance, "return beta", "return -beta"),
    ("E12", posterior.mean_x0_coef, "return beta", "return -beta"),
    ("E12", posterior.mean_xt_coef, "return np", "return -np"),
    ("E13", posterior.predict_x0, "x_t - noise", "x_t + noise"),
    ("E13", posterior.predict_eps, "x_t - signal", "x_t + signal"),
    ("E14", posterior.mean_eps_coef, "return -beta", "return beta"),
    ("E17", sampling.ancestral_step, "std=np", "std=-np"),
    ("E18", sampling.ddim_variance, "eta**2", "eta**3"),
    ("E18", sampling.ddim_eps_coef, "return -(", "return ("),
]


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")
@pytest.mark.parametrize(
    ("equation", "function", "right", "wrong"),
    [pytest.param(*s, id=f"{s[0]} {s[1].__qualname__}") for s in SIGNS],
)
def test_a_sign_error_is_measured(equation: str, function: Any, right: str, wrong: str) -> None:
    where = f"{function.__module__.removeprefix('ddpm_np.')}:{function.__qualname__}"
    with planted(where, right, wrong):
        assert errors.worst_of(errors.MEASURES[equation], DRAWS).failure


def test_one_unit_too_many_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    between = Schedule.between
    monkeypatch.setattr(
        Schedule,
        "between",
        lambda self, s, t: tuple(np.nextafter(v, 2) for v in between(self, s, t)),
    )
    assert errors.worst_of(errors.MEASURES["E4"], DRAWS).failure


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("equation", errors.ROWS)
def test_batches_are_within_what_rounding_allows(equation: str, dtype: Any) -> None:
    worst = errors.worst_in_batches(errors.ROWS[equation], dtype, np.random.default_rng(1))
    assert not worst.failure and worst.error > 0.1, worst


@pytest.mark.parametrize(
    "wrong",
    ["-7 * c[..., None] if c.ndim", "c[..., None] * (1 + (c.dtype == np.float32)) if c.ndim"],
)
def test_a_coefficient_that_is_wrong_for_arrays_of_t_or_for_float32_is_measured(wrong: str) -> None:
    with planted("_checks:per_row", "c[..., None] if c.ndim", wrong):
        for rows in errors.ROWS.values():
            assert errors.worst_in_batches(rows, np.float32, np.random.default_rng(0)).failure


@pytest.mark.parametrize(
    "table", ["beta", "alpha", "alpha_bar", "one_minus_alpha_bar", "beta_tilde"]
)
def test_a_table_that_is_wrong_at_the_end_of_a_long_schedule_is_measured(table: str) -> None:
    draw = DRAWS[-1]
    schedule = Schedule.from_beta(draw.schedule.beta[1:])
    entries = getattr(schedule, table).copy()
    entries[-1] = np.nextafter(entries[-1], 0) * (1 - 1e-15)
    schedule.__dict__[table] = entries
    assert draw.schedule.T == 1000
    assert not errors.worst_of(errors.MEASURES["E2"], [draw]).failure
    assert errors.worst_of(errors.MEASURES["E2"], [draw._replace(schedule=schedule)]).failure


# ---- the decimals -------------------------------------------------------------------------------


@pytest.mark.E2
@given(schedules_and_routes(max_T=8))
def test_the_reference_tables_are_those_of_exact_fractions(case: tuple[Schedule, int, int]) -> None:
    beta = [Fraction(float(b)) for b in case[0].beta[1:]]
    exact, alpha_bar, before = Reference(case[0].beta[1:]), Fraction(1), Fraction(1)
    for t, b in enumerate(beta, 1):
        before, alpha_bar = alpha_bar, alpha_bar * (1 - b)
        fractions = b, 1 - b, alpha_bar, 1 - alpha_bar, b * (1 - before) / (1 - alpha_bar)
        names = "beta", "alpha", "alpha_bar", "one_minus_alpha_bar", "beta_tilde"
        tables = [getattr(exact, name) for name in names]
        assert all(close(table[t], value) for table, value in zip(tables, fractions))


@pytest.mark.E12
@given(schedules_and_routes(max_T=8))
def test_the_reference_formulas_agree_with_one_another(case: tuple[Schedule, int, int]) -> None:
    schedule, s, t = case
    exact, x_t, eps, x = Reference(schedule.beta[1:]), [0.3], [-1.7], [0.9]
    x_0 = exact.predict_x0(x_t, t, eps).value
    assert close(exact.q_skip(x_0, 0, t, eps).value[0], x_t[0]) and close(
        exact.predict_eps(x_t, t, x_0).value[0], eps[0]
    )
    assert close(
        exact.posterior_mean(x_0, x_t, t).value[0], exact.mean_from_eps(x_t, t, eps).value[0]
    )
    on_path = exact.ddim_mean(x_t, t, eps, s, 0.0).value[0]
    assert close(on_path, exact.q_skip(x_0, 0, s, eps).value[0] if s else x_0[0])
    assert close(exact.reverse_variance(t, t - 1), exact.beta_tilde[t])
    if t > 1:
        with localcontext(Context(prec=120)):
            square = (
                exact.psi_2(t).value
                * (Decimal(x[0]) - exact.posterior_mean(x_0, x_t, t).value[0]) ** 2
            )
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
    errors = ulp_error(
        [np.inf, -np.inf, np.inf, np.nan, 0.0], [np.inf, np.inf, 1.0, np.nan, 5e-324]
    )
    assert errors.tolist() == [0, np.inf, np.inf, np.inf, 1]
    assert ulp_error([[1.0], [2.0]], Fraction(1), scale=[[2.0**52], [2.0**53]]).tolist() == [
        [0],
        [0.5],
    ]
    assert ulp_error(np.float32(1), Decimal(1) + Decimal(2) ** -24) == 0.5
