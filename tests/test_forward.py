"""The noising kernels against decimals, and what they are to one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.conformance.strategies import (
    assert_close,
    exact_numbers,
    exact_schedules,
    gaussians,
    schedules,
    schedules_and_routes,
    schedules_and_steps,
    signals,
)
from ddpm_np.forward import (
    covariance_at,
    covariance_step,
    q_mean_variance,
    q_sample,
    q_skip,
    q_step,
)
from ddpm_np.proof.exact import Exact
from ddpm_np.proof.reference import Reference, Sum
from ddpm_np.schedule import Schedule

# With at most 40 steps alpha_bar stays a normal float; what its underflow does has tests of its
# own.
ROUTES, STEPS_IN, LATER = (
    schedules_and_routes(max_T=40),
    schedules_and_steps(max_T=40),
    schedules_and_routes(stops=3, max_T=40),
)
# sqrt(kept) x + sqrt(noise) eps: 1.5 roundings in a root (half of its argument's and its own), one
# each in product and sum; in float32 one each for coefficient, product and sum.
MIX = 4


def exact(schedule: Schedule) -> Reference:
    return Reference(schedule.beta[1:])


def scale_of(expected: Sum, *arrays: Any) -> Any:
    """The sum's terms, and what a coefficient that underflows in the arrays' dtype costs: up to
    half the smallest number.
    """
    return expected.scale.astype(float) + float(np.finfo(arrays[0].dtype).tiny) * sum(
        np.abs(x.astype(float)) for x in arrays
    )


# ---- each kernel is its formula -----------------------------------------------------------------


@pytest.mark.E1
@given(STEPS_IN, signals(2))
def test_one_step_is_the_formula(case: tuple[Schedule, int], arrays: Any) -> None:
    (schedule, t), (x, eps) = case, arrays
    expected = exact(schedule).q_skip(x, t - 1, t, eps)
    assert_close(
        q_step(schedule, x, t, eps), expected.value, ulp=MIX, scale=scale_of(expected, x, eps)
    )


@pytest.mark.E4
@given(ROUTES, signals(2))
def test_skipping_is_the_formula(case: tuple[Schedule, int, int], arrays: Any) -> None:
    (schedule, s, t), (x, eps) = case, arrays
    expected = exact(schedule).q_skip(x, s, t, eps)
    assert_close(
        q_skip(schedule, x, s, t, eps), expected.value, ulp=MIX, scale=scale_of(expected, x, eps)
    )


@pytest.mark.E6
@given(STEPS_IN, signals(2))
def test_all_steps_at_once_is_the_formula(case: tuple[Schedule, int], arrays: Any) -> None:
    (schedule, t), (x_0, eps) = case, arrays
    expected = exact(schedule).q_skip(x_0, 0, t, eps)
    assert_close(
        q_sample(schedule, x_0, t, eps), expected.value, ulp=MIX, scale=scale_of(expected, x_0, eps)
    )
    mean, variance = q_mean_variance(schedule, x_0, t)
    assert (
        np.array_equal(mean, q_sample(schedule, x_0, t, np.zeros_like(x_0)))
        and mean.dtype == x_0.dtype
    )
    assert_close(variance, exact(schedule).one_minus_alpha_bar[t], ulp=0.501)


@pytest.mark.E3
@pytest.mark.E5
@given(ROUTES, st.sampled_from([np.float64, np.float32]), st.data())
def test_covariances_are_the_formulas(
    case: tuple[Schedule, int, int], dtype: Any, data: st.DataObject
) -> None:
    schedule, _, t = case
    Sigma = data.draw(st.integers(1, 3).flatmap(lambda dim: signals(shape=(dim, dim), dtype=dtype)))
    for actual, s in (
        (covariance_step(schedule, Sigma, t), t - 1),
        (covariance_at(schedule, Sigma, t), 0),
    ):
        expected = exact(schedule).covariance_skip(Sigma, s, t)
        assert_close(actual, expected.value, ulp=3, scale=scale_of(expected, Sigma))


# ---- how they hang together ---------------------------------------------------------------------


@pytest.mark.E4
@given(STEPS_IN, signals(2))
def test_skipping_one_step_is_q_step_and_from_the_signal_q_sample_bit_for_bit(
    case: tuple[Schedule, int], arrays: Any
) -> None:
    (schedule, t), (x, eps) = case, arrays
    assert np.array_equal(q_skip(schedule, x, t - 1, t, eps), q_step(schedule, x, t, eps))
    assert np.array_equal(q_skip(schedule, x, 0, t, eps), q_sample(schedule, x, t, eps))
    assert np.array_equal(q_sample(schedule, x, 1, eps), q_step(schedule, x, 1, eps))


@pytest.mark.E4
@given(LATER)
def test_Chapman_Kolmogorov_for_any_split(case: tuple[Schedule, int, int, int]) -> None:
    schedule, r, s, t = case
    (a, b), (c, d), (kept, noise) = (
        _coefficients(schedule, *route) for route in ((r, s), (s, t), (r, t))
    )
    # 1.5 roundings per root, squared and multiplied; all terms are positive.
    assert_close(c * a, kept, ulp=6)
    assert_close((c * b) ** 2 + d**2, noise**2, ulp=16)


@pytest.mark.E1
@pytest.mark.E3
@given(STEPS_IN, gaussians())
def test_the_covariance_is_that_of_the_step(case: tuple[Schedule, int], dist: Any) -> None:
    (schedule, t), identity = case, np.eye(dist.dim)
    from_x, from_eps = (
        q_step(schedule, a, t, b) for a, b in ((identity, 0 * identity), (0 * identity, identity))
    )
    moved, scale = (
        from_x.T @ cov @ from_x + from_eps.T @ from_eps for cov in (dist.cov, np.abs(dist.cov))
    )
    assert_close(covariance_step(schedule, dist.cov, t), moved, ulp=12 + 2 * dist.dim, scale=scale)


@pytest.mark.E3
@pytest.mark.E5
@given(STEPS_IN, gaussians())
def test_the_recursion_of_the_covariance_is_its_closed_form(
    case: tuple[Schedule, int], dist: Any
) -> None:
    schedule, t = case
    Sigma = dist.cov
    for i in range(1, t + 1):
        Sigma = covariance_step(schedule, Sigma, i)
    expected = exact(schedule).covariance_skip(dist.cov, 0, t)
    assert_close(Sigma, expected.value, ulp=3 * t, scale=expected.scale)


@pytest.mark.E5
@given(STEPS_IN, gaussians())
def test_eigenvectors_stay_and_eigenvalues_move_to_one(
    case: tuple[Schedule, int], dist: Any
) -> None:
    (schedule, t), axes = case, dist.axes
    Sigma = covariance_at(schedule, dist.cov, t)
    assert np.array_equal(Sigma, covariance_at(schedule, dist.cov.T, t).T)
    spectrum = np.diag(axes.T @ Sigma @ axes)[: len(dist.spectrum)]
    size = 1 + dist.spectrum.max(initial=0.0)
    assert (
        np.abs(spectrum - (1 + schedule.alpha_bar[t] * (dist.spectrum - 1))).max()
        <= 8 * dist.dim**2 * np.finfo(float).eps * size
    )


# ---- batches, dtypes, edges ---------------------------------------------------------------------


@pytest.mark.E6
@given(schedules(), signals(2))
def test_at_step_0_everything_is_the_clean_signal(schedule: Schedule, arrays: Any) -> None:
    x_0, eps = arrays
    assert np.array_equal(q_sample(schedule, x_0, 0, eps), x_0)
    mean, variance = q_mean_variance(schedule, x_0, 0)
    assert np.array_equal(mean, x_0) and variance == 0
    Sigma = np.outer(x_0.ravel(), x_0.ravel())
    assert np.array_equal(covariance_at(schedule, Sigma, 0), Sigma)


@pytest.mark.E6
@given(signals(2))
def test_where_alpha_bar_underflows_only_noise_is_left(arrays: Any) -> None:
    schedule, (x_0, eps) = Schedule.from_beta([1 - 1e-6] * 60), arrays
    assert schedule.alpha_bar[-1] == 0 and 0 < schedule.alpha_bar[53] < np.finfo(float).tiny
    assert np.array_equal(q_sample(schedule, x_0, 60, eps), eps)
    assert np.array_equal(covariance_at(schedule, np.ones((2, 2)), 60), np.eye(2))
    # The root of a subnormal has as few digits as that: an absolute error of at most sqrt(5e-324)
    # |x_0|.
    off = q_mean_variance(schedule, np.ones(1), 53)[0] - float(exact(schedule).alpha_bar[53].sqrt())
    assert 0 < abs(off) < 2.3e-162
    assert np.array_equal(q_skip(schedule, x_0, 58, 60, eps), q_skip(schedule, x_0, 1, 3, eps))


@pytest.mark.E6
@given(exact_schedules(), exact_numbers(), exact_numbers())
def test_exact_numbers_stay_exact(schedule: Schedule, x: Exact, eps: Exact) -> None:
    for t in range(1, schedule.T + 1):
        p, c = schedule.alpha_bar[t].sqrt(), schedule.one_minus_alpha_bar[t].sqrt()
        result = q_sample(schedule, [x, eps], t, [eps, x])
        assert result.dtype == object and list(result) == [p * x + c * eps, p * eps + c * x]
        mean, variance = q_mean_variance(schedule, [x], t)
        assert mean[0] == p * x and variance == c * c


def _coefficients(schedule: Schedule, s: int, t: int) -> tuple[Any, Any]:
    """What q_skip multiplies the signal and the noise by."""
    return q_skip(schedule, [1.0], s, t, [0.0])[0], q_skip(schedule, [0.0], s, t, [1.0])[0]
