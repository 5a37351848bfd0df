"""One step back when the signal is known: Bayes' rule, how the forms hang together, the edges.

That each function is its formula, and how much it rounds, is in tests/proof/test_theorems.py.
"""

import numpy as np
import pytest

from ddpm_np.posterior import (
    posterior_mean_from_eps,
    posterior_mean_variance,
    predict_eps,
    predict_x0,
    psi_1,
    psi_2,
)
from ddpm_np.schedule import Schedule

S, X = Schedule.from_beta([0.5, 0.5, 0.5]), np.ones((2, 3))


@pytest.mark.parametrize("t", [1, np.array([2, 1]), np.array([1])])
def test_psi_is_refused_at_the_first_step(t):
    why = r"^t must be in 2\.\.3 for psi_., got t = 1, where x_0 is known exactly and psi_."
    for call in (lambda: psi_1(S, X, X, t), lambda: psi_2(S, t)):
        with pytest.raises(ValueError, match=why):
            call()
    with pytest.raises(ValueError, match="^t must be in 2"):
        psi_2(Schedule.from_beta([0.5]), 1)


@pytest.mark.E13
@pytest.mark.E14
def test_where_no_trace_of_the_signal_is_left_only_the_signal_is_refused():
    schedule, x = Schedule.from_beta([1 - 1e-6] * 60), np.ones((3, 2))
    why = r"^t must have sqrt\(alpha_bar_t\) above 0 in {} to recover x_0, got 0 at t = {}$"
    for t, first in ((60, 60), (np.array([1, 59, 60]), 59)):
        with pytest.raises(ValueError, match=why.format("float64", first)):
            predict_x0(schedule, x, t, x)
    assert np.array_equal(predict_eps(schedule, x, 60, x), x)
    mean, variance = posterior_mean_variance(schedule, x, x, 60)
    assert np.all(np.isfinite([mean, posterior_mean_from_eps(schedule, x, 60, x)]))
    assert variance == schedule.beta[60]
    # In float32 the root is 0 long before alpha_bar_t is.
    assert np.all(np.isfinite(predict_x0(schedule, x, 20, x)))
    with pytest.raises(ValueError, match=why.format("float32", 20)):
        predict_x0(schedule, x.astype(np.float32), 20, x.astype(np.float32))
