"""What the noising kernels are to one another, and their edges.

That each is its formula, and how much it rounds, is in tests/proof/test_theorems.py.
"""

import numpy as np
import pytest
from hypothesis import given

from ddpm_np.conformance.strategies import schedules, schedules_and_steps, signals
from ddpm_np.equations.values import ExactTables
from ddpm_np.forward import covariance_at, q_mean_variance, q_sample, q_skip, q_step
from ddpm_np.schedule import Schedule

# With at most 40 steps alpha_bar stays a normal float; what its underflow does has tests of its
# own.
STEPS_IN = schedules_and_steps(max_T=40)


@pytest.mark.E4
@given(STEPS_IN, signals(2))
def test_skipping_one_step_is_q_step_and_from_the_signal_q_sample_bit_for_bit(case, arrays):
    (schedule, t), (x, eps) = case, arrays
    assert np.array_equal(q_skip(schedule, x, t - 1, t, eps), q_step(schedule, x, t, eps))
    assert np.array_equal(q_skip(schedule, x, 0, t, eps), q_sample(schedule, x, t, eps))
    assert np.array_equal(q_sample(schedule, x, 1, eps), q_step(schedule, x, 1, eps))


# ---- batches, dtypes, edges ---------------------------------------------------------------------


@pytest.mark.E6
@given(schedules(), signals(2))
def test_at_step_0_everything_is_the_clean_signal(schedule, arrays):
    x_0, eps = arrays
    assert np.array_equal(q_sample(schedule, x_0, 0, eps), x_0)
    mean, variance = q_mean_variance(schedule, x_0, 0)
    assert np.array_equal(mean, x_0) and variance == 0
    Sigma = np.outer(x_0.ravel(), x_0.ravel())
    assert np.array_equal(covariance_at(schedule, Sigma, 0), Sigma)


@pytest.mark.E6
@given(signals(2))
def test_where_alpha_bar_underflows_only_noise_is_left(arrays):
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


@pytest.mark.E6
def test_the_variance_multiplies_the_mean():
    schedule, x = Schedule.from_beta([0.1, 0.2, 0.3]), np.ones((3, 3), np.float32)
    mean, variance = q_mean_variance(schedule, x, np.array([1, 2, 3]))
    assert variance.shape == (3, 1) and variance.dtype == np.float64 and mean.dtype == np.float32
    assert np.array_equal((variance * mean)[:, 0], schedule.one_minus_alpha_bar[1:] * mean[:, 0])
    assert np.ndim(q_mean_variance(schedule, x, 2)[1]) == 0
