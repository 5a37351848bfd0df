"""One step back when the signal is known: Bayes' rule, how the forms hang together, the edges.

That each function is its formula, and how much it rounds, is in tests/proof/test_theorems.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ddpm_np import posterior
from ddpm_np.conformance.strategies import assert_close, gaussians, schedules_and_steps, signals
from ddpm_np.equations.values import exact
from ddpm_np.forward import q_mean_variance, q_sample
from ddpm_np.posterior import (
    posterior_mean_from_eps,
    posterior_mean_variance,
    predict_eps,
    predict_x0,
    psi_1,
    psi_2,
)
from ddpm_np.schedule import Schedule

# With at most 40 steps alpha_bar stays a normal float; what its underflow does has tests of its
# own.
STEPS_IN, FROM_2 = schedules_and_steps(max_T=40), schedules_and_steps(low=2, max_T=40)
EPS = np.finfo(float).eps


@pytest.mark.E10
@given(FROM_2)
def test_the_three_forms_of_psi_2_agree_as_far_as_they_cancel(case: tuple[Schedule, int]) -> None:
    schedule, t = case
    alpha, beta, now = schedule.alpha[t], schedule.beta[t], schedule.one_minus_alpha_bar[t]
    before, expected = (
        schedule.one_minus_alpha_bar[t - 1],
        exact("posterior.psi_2", schedule.beta[1:], t).value,
    )
    assert_close(posterior.psi_2_expanded(alpha, beta, before), expected, ulp=4)
    assert_close(posterior.psi_2_simplified(beta, now, before), expected, ulp=4)
    # The numerator of this one is 1 - alpha_bar_t as a difference of numbers near 1.
    assert_close(
        posterior.psi_2_collected(alpha, beta, schedule.alpha_bar[t], before),
        expected,
        ulp=4,
        condition=1 / float(now),
    )


# ---- Bayes' rule --------------------------------------------------------------------------------


def log_density(x: Any, mean: Any, variance: Any, mean_scale: Any) -> tuple[Any, Any]:
    """ln N(x; mean, variance) per coordinate, and a scale for its error: the mean's is that of its
    terms.
    """
    log = np.log(2 * np.pi * variance)
    return (
        -((x - mean) ** 2 / variance + log) / 2,
        (np.abs(x) + mean_scale) ** 2 / variance + np.abs(log),
    )


@pytest.mark.E7
@given(FROM_2, signals(3, dtype=np.float64, size=30.0))
def test_Bayes_rule_holds_for_log_densities_at_any_point(
    case: tuple[Schedule, int], arrays: Any
) -> None:
    (s, t), (x_prev, x_t, x_0) = case, arrays
    back, beta_tilde = posterior_mean_variance(s, x_0, x_t, t)
    size = posterior_mean_variance(s, np.abs(x_0), np.abs(x_t), t)[0]
    (now, noise), (before, noise_before) = (
        q_mean_variance(s, x_0, t),
        q_mean_variance(s, x_0, t - 1),
    )
    step = np.sqrt(s.alpha[t]) * x_prev
    left = [log_density(x_prev, back, beta_tilde, size), log_density(x_t, now, noise, np.abs(now))]
    right = [
        log_density(x_t, step, s.beta[t], np.abs(step)),
        log_density(x_prev, before, noise_before, np.abs(before)),
    ]
    difference = sum(d[0] for d in left) - sum(d[0] for d in right)
    assert np.all(np.abs(difference) <= 16 * EPS * sum(d[1] for d in left + right))


@pytest.mark.E11
@pytest.mark.E12
@given(STEPS_IN)
def test_pushed_through_the_posterior_the_marginal_at_t_becomes_that_at_t_minus_1(
    case: tuple[Schedule, int],
) -> None:
    schedule, t = case
    mean_t, variance_t = q_mean_variance(schedule, [1.0], t)
    mean, variance = posterior_mean_variance(schedule, [1.0], mean_t, t)
    from_xt = posterior_mean_variance(schedule, [0.0], [1.0], t)[0][0]
    expected_mean, expected_variance = q_mean_variance(schedule, [1.0], t - 1)
    # All terms are positive, so the roundings just add up.
    assert_close(mean, expected_mean, ulp=12)
    assert_close(from_xt**2 * variance_t + variance, expected_variance, ulp=16)


@pytest.mark.E12
@given(STEPS_IN, gaussians())
def test_pushed_through_the_posterior_a_covariance_loses_one_step(
    case: tuple[Schedule, int], dist: Any
) -> None:
    (schedule, t), identity, zero = case, np.eye(dist.dim), np.zeros((dist.dim, dist.dim))
    from_x0, from_xt = (
        posterior_mean_variance(schedule, a, b, t)[0]
        for a, b in ((identity, zero), (zero, identity))
    )
    signal, noise = np.sqrt(schedule.alpha_bar[t]), schedule.one_minus_alpha_bar[t]
    # x_t = signal x_0 + noise: Cov of from_x0 x_0 + from_xt x_t + posterior noise.
    gain = from_x0 + signal * from_xt
    moved = (
        gain @ dist.cov @ gain.T + noise * from_xt @ from_xt.T + schedule.beta_tilde[t] * identity
    )
    expected = schedule.alpha_bar[t - 1] * dist.cov + schedule.one_minus_alpha_bar[t - 1] * identity
    assert_close(
        moved,
        expected,
        ulp=40 + 4 * dist.dim,
        scale=np.abs(expected) + schedule.alpha_bar[t - 1] * np.abs(dist.cov).max(),
    )


# ---- how the forms hang together ----------------------------------------------------------------


@pytest.mark.E13
@given(STEPS_IN, signals(2, dtype=np.float64))
def test_signal_and_noise_are_recovered(case: tuple[Schedule, int], arrays: Any) -> None:
    (schedule, t), (x_0, eps) = case, arrays
    x_t, signal, noise = (
        q_sample(schedule, x_0, t, eps),
        np.sqrt(schedule.alpha_bar[t]),
        np.sqrt(schedule.one_minus_alpha_bar[t]),
    )
    size = 2 * (signal * np.abs(x_0) + noise * np.abs(eps))
    assert_close(predict_x0(schedule, x_t, t, eps), x_0, ulp=8, scale=size / signal)
    assert_close(predict_eps(schedule, x_t, t, x_0), eps, ulp=8, scale=size / noise)


@pytest.mark.E14
@given(STEPS_IN, signals(2, dtype=np.float64))
def test_the_mean_from_eps_is_the_mean_at_the_predicted_signal(
    case: tuple[Schedule, int], arrays: Any
) -> None:
    (schedule, t), (x_t, eps) = case, arrays

    def both(x_t: Any, eps: Any) -> tuple[Any, Any]:
        x_0 = predict_x0(schedule, x_t, t, eps)
        return posterior_mean_from_eps(schedule, x_t, t, eps), posterior_mean_variance(
            schedule, x_0, x_t, t
        )[0]

    assert_close(*both(x_t, eps), ulp=16, scale=sum(both(np.abs(x_t), -np.abs(eps))))


# ---- batches, dtypes, edges ---------------------------------------------------------------------


@pytest.mark.parametrize("x", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("y", [np.float32, np.float64])
def test_the_result_has_the_arrays_dtype(x: Any, y: Any) -> None:
    schedule, x, y = Schedule.linear(3), np.ones((2, 3), x), np.ones((2, 3), y)
    expected = np.float32 if x.dtype == y.dtype == np.float32 else np.float64
    mean, variance = posterior_mean_variance(schedule, x, y, np.array([2, 3]))
    assert variance.shape == (2, 1)
    results = (
        mean,
        psi_1(schedule, x, y, 2),
        predict_x0(schedule, x, 2, y),
        predict_eps(schedule, y, 2, x),
    )
    assert {r.dtype for r in (*results, posterior_mean_from_eps(schedule, x, 2, y))} == {
        np.dtype(expected)
    }
    assert np.asarray(variance).dtype == np.asarray(psi_2(schedule, 2)).dtype == np.float64


@pytest.mark.parametrize("t", [1, np.array([2, 1]), np.array([1])])
def test_psi_is_refused_at_the_first_step(t: Any) -> None:
    why = r"^t must be in 2\.\.3 for psi_., got t = 1, where x_0 is known exactly and psi_."
    for call in (lambda: psi_1(S, X, X, t), lambda: psi_2(S, t)):
        with pytest.raises(ValueError, match=why):
            call()
    with pytest.raises(ValueError, match="^t must be in 2"):
        psi_2(Schedule.from_beta([0.5]), 1)


@pytest.mark.E13
@pytest.mark.E14
def test_where_no_trace_of_the_signal_is_left_only_the_signal_is_refused() -> None:
    schedule, x = Schedule.from_beta([1 - 1e-6] * 60), np.ones((3, 2))
    why = r"^t must have sqrt\(alpha_bar_t\) above 0 in {} to recover x_0, got 0 at t = {}$"
    for t, first in ((60, 60), (np.array([1, 59, 60]), 59)):
        with pytest.raises(ValueError, match=why.format("float64", first)):
            predict_x0(schedule, x, t, x)
    assert np.array_equal(predict_eps(schedule, x, 60, x), x)
    mean, variance = posterior_mean_variance(schedule, x, x, 60)
    assert (
        np.all(np.isfinite([mean, posterior_mean_from_eps(schedule, x, 60, x)]))
        and variance == schedule.beta[60]
    )
    # In float32 the root is 0 long before alpha_bar_t is.
    assert np.all(np.isfinite(predict_x0(schedule, x, 20, x)))
    with pytest.raises(ValueError, match=why.format("float32", 20)):
        predict_x0(schedule, x.astype(np.float32), 20, x.astype(np.float32))


S, X = Schedule.from_beta([0.5, 0.5, 0.5]), np.ones((2, 3))
