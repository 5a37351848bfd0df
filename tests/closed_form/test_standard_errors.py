"""Estimates and their standard errors by simulation, against the same draws written out."""

import numpy as np
import pytest

from ddpm_np.closed_form.distributions import Gaussian, GaussianMixture
from ddpm_np.closed_form.ideal import (
    IdealDenoiser,
    estimate_excess,
    estimate_floor,
    estimate_loss,
    optimal_loss,
)
from ddpm_np.schedule import Schedule

pytestmark = pytest.mark.E25

SCHEDULE = Schedule.from_beta([0.1, 0.3, 0.6])
LAW = Gaussian([1.0, -0.5], [[2.0, 0.5], [0.5, 0.3]])
N = 30


def draws(seed):
    """x_t and eps at t = 1, 2, 3, in the order in which the estimates draw them."""
    rng, pairs = np.random.default_rng(seed), []
    for t in range(1, 4):
        x_0, eps = LAW.sample(N, rng=rng), rng.standard_normal((N, 2))
        alpha_bar, rest = SCHEDULE.alpha_bar[t], SCHEDULE.one_minus_alpha_bar[t]
        pairs.append((np.sqrt(alpha_bar) * x_0 + np.sqrt(rest) * eps, eps))
    return pairs


def mean_and_error(values):
    mean = values.sum() / N
    return mean, np.sqrt(np.square(values - mean).sum() / (N - 1) / N)


def test_the_loss_and_its_error_are_those_of_the_draws():
    loss, error = estimate_loss(
        lambda x, t: 0.3 * x, LAW, SCHEDULE, n=N, rng=np.random.default_rng(1)
    )
    for t, (x_t, eps) in enumerate(draws(1), start=1):
        expected = mean_and_error(np.square(0.3 * x_t - eps).sum(1) / 2)
        assert (loss[t], error[t]) == pytest.approx(expected, rel=1e-12)


def test_the_excess_and_its_error_are_those_of_the_draws():
    ideal = IdealDenoiser(LAW, SCHEDULE)
    excess, error = estimate_excess(
        lambda x, t: ideal(x, t) + 0.1 * x, LAW, SCHEDULE, n=N, rng=np.random.default_rng(2)
    )
    terms = [mean_and_error(np.square(0.1 * x_t).sum(1) / 2) for x_t, _ in draws(2)]
    means, errors = np.array(terms).T
    floor = optimal_loss(LAW, SCHEDULE)[1:].mean()
    assert excess == pytest.approx(means.mean() / floor, rel=1e-12)
    assert error == pytest.approx(np.sqrt(np.square(errors).sum()) / 3 / floor, rel=1e-12)


def test_the_floor_and_its_error_are_those_of_the_draws():
    dist = GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.5]], [np.eye(2), 0.1 * np.eye(2)])
    floor, error = estimate_floor(dist, SCHEDULE, n=N, rng=np.random.default_rng(3))
    rng = np.random.default_rng(3)
    for t in range(1, 4):
        x_t = dist.diffuse(SCHEDULE, t)
        left = 1 + SCHEDULE.one_minus_alpha_bar[t] * x_t.divergence(x_t.sample(N, rng=rng)) / 2
        assert (floor[t], error[t]) == pytest.approx(mean_and_error(left), rel=1e-12)
