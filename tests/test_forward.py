"""What the noising kernels are to one another, and their edges.

That each is its formula, and how much it rounds, is in tests/proof/test_theorems.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from ddpm_np.conformance.strategies import (
    assert_close,
    gaussians,
    schedules,
    schedules_and_routes,
    schedules_and_steps,
    signals,
)
from ddpm_np.equations.values import ExactTables, exact
from ddpm_np.forward import (
    covariance_at,
    covariance_step,
    q_mean_variance,
    q_sample,
    q_skip,
    q_step,
)
from ddpm_np.schedule import Schedule

# With at most 40 steps alpha_bar stays a normal float; what its underflow does has tests of its
# own.
STEPS_IN, LATER = schedules_and_steps(max_T=40), schedules_and_routes(stops=3, max_T=40)


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
    expected = exact("forward.covariance_at", schedule.beta[1:], t, Sigma_0=dist.cov)
    value, scale = ([[getattr(x, w) for x in row] for row in expected] for w in ("value", "scale"))
    assert_close(Sigma, np.array(value), ulp=3 * t, scale=np.array(scale))


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


@pytest.mark.parametrize("x", [np.float32, np.float64, np.int32, np.float16, np.longdouble, ">f8"])
@pytest.mark.parametrize("eps", [np.float32, np.float64])
def test_the_result_has_the_arrays_dtype(x: Any, eps: Any) -> None:
    schedule, ones = Schedule.linear(3), np.ones((2, 3))
    expected = np.float32 if x == eps == np.float32 else np.float64
    for result in (
        q_step(schedule, ones.astype(x), 2, ones.astype(eps)),
        q_sample(schedule, ones.astype(eps), 3, ones.astype(x)),
    ):
        assert result.dtype == expected and result.dtype.isnative
    assert (
        covariance_at(schedule, np.eye(2, dtype=eps), 1).dtype
        == q_mean_variance(schedule, ones.astype(eps), 1)[0].dtype
        == eps
    )


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
    off = q_mean_variance(schedule, np.ones(1), 53)[0] - float(
        ExactTables(schedule.beta[1:]).alpha_bar[53].value.sqrt()
    )
    assert 0 < abs(off) < 2.3e-162
    assert np.array_equal(q_skip(schedule, x_0, 58, 60, eps), q_skip(schedule, x_0, 1, 3, eps))


def _coefficients(schedule: Schedule, s: int, t: int) -> tuple[Any, Any]:
    """What q_skip multiplies the signal and the noise by."""
    return q_skip(schedule, [1.0], s, t, [0.0])[0], q_skip(schedule, [0.0], s, t, [1.0])[0]


def test_a_step_for_each_row_does_not_make_the_batch_larger() -> None:
    """t of shape (4, 1) beside (4, 3) would give (4, 4, 3) without a word."""
    schedule, x, t = Schedule.linear(9), np.zeros((4, 3)), np.full((4, 1), 2)
    for call in (
        lambda: q_sample(schedule, x, t, x + 1),
        lambda: q_step(schedule, x, t, x),
        lambda: q_skip(schedule, x, 1, t, x),
        lambda: q_mean_variance(schedule, x, t),
        lambda: q_mean_variance(schedule, x[0], t[:, 0]),
        lambda: covariance_at(schedule, np.eye(3), t[:, 0]),
    ):
        with pytest.raises(ValueError, match=r"^t of shape \(4.* must fit a batch of shape"):
            call()
    assert q_sample(schedule, np.zeros((4, 2, 3)), t, np.ones((2, 3))).shape == (4, 2, 3)
    assert q_sample(schedule, x[0], t[:, 0], x).shape == (4, 3)


@pytest.mark.E6
def test_the_variance_multiplies_the_mean() -> None:
    schedule, x = Schedule.from_beta([0.1, 0.2, 0.3]), np.ones((3, 3), np.float32)
    mean, variance = q_mean_variance(schedule, x, np.array([1, 2, 3]))
    assert variance.shape == (3, 1) and variance.dtype == np.float64 and mean.dtype == np.float32
    assert np.array_equal((variance * mean)[:, 0], schedule.one_minus_alpha_bar[1:] * mean[:, 0])
    assert np.ndim(q_mean_variance(schedule, x, 2)[1]) == 0
