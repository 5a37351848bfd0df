"""Data that is a handful of points: posterior weights, the true reverse kernel, and distances to the nearest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.distributions import Empirical, Gaussian, GaussianMixture
from ddpm_np.closed_form.reverse import reverse_kernel
from ddpm_np.demos import points as room
from ddpm_np.demos.points import (
    chain_gap,
    nearest,
    posterior_weights,
    reverse_mixture,
    share_at_points,
)
from ddpm_np.forward import q_step
from ddpm_np.posterior import posterior_mean_variance
from ddpm_np.schedule import Schedule

SCHEDULE = Schedule.sigmoid(20)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.E26
@given(seed=seeds, n=st.integers(1, 6), dim=st.integers(1, 4), t=st.integers(1, 20))
def test_weights_are_bayes_rule_on_the_forward_densities(seed: int, n: int, dim: int, t: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, dim))
    x_t = rng.standard_normal((3, dim))
    weights = posterior_weights(points, SCHEDULE, x_t, t)
    logs = -np.sum((x_t[:, None] - np.sqrt(SCHEDULE.alpha_bar[t]) * points) ** 2, axis=-1) / (2 * SCHEDULE.one_minus_alpha_bar[t])
    assert np.all(np.abs(weights.sum(axis=1) - 1) <= 8 * n * np.finfo(float).eps)
    odds = np.log(np.maximum(weights, 1e-300)) - np.log(weights.max(axis=1, keepdims=True))
    expected = np.maximum(logs - logs.max(axis=1, keepdims=True), np.log(1e-300) - np.log(weights.max(axis=1, keepdims=True)))
    assert np.max(np.abs(odds - expected)) <= 64 * np.finfo(float).eps * (1 + np.abs(logs).max())


@pytest.mark.E26
def test_weights_survive_exponents_that_underflow() -> None:
    weights = posterior_weights([[0.0], [1000.0]], SCHEDULE, [1e4], 1)
    assert weights.tolist() == [0.0, 1.0]


@pytest.mark.E26
@pytest.mark.parametrize("t", [2, 10, 20])
def test_reverse_mixture_is_bayes_rule_pointwise(t: int) -> None:
    # q(x_{t-1} | x_t) q(x_t) = q(x_t | x_{t-1}) q(x_{t-1}), each side a density of known form.
    points, x_t = np.array([[-1.0], [1.0], [2.5]]), np.array([0.3])
    kernel = reverse_mixture(points, SCHEDULE, x_t, t)
    x = np.linspace(-3, 3, 401)[:, None]

    data = Empirical(points)
    forward = Gaussian([0.0], [[SCHEDULE.beta[t]]])
    left = kernel.logpdf(x) + data.diffuse(SCHEDULE, t).logpdf(x_t)
    right = forward.logpdf(x_t - np.sqrt(SCHEDULE.alpha[t]) * x) + data.diffuse(SCHEDULE, t - 1).logpdf(x)
    condition = (np.abs(x).max() + 3) ** 2 / SCHEDULE.beta_tilde[t]
    held = right > right.max() - 700  # below that, weights of 1e-304 and less are 0
    assert held.sum() >= 3 and np.max(np.abs(left - right)[held]) <= 16 * np.finfo(float).eps * condition
    assert np.all(left[~held] < right.max() - 700)


@pytest.mark.E26
def test_reverse_mixture_at_the_first_step_is_the_points_themselves() -> None:
    kernel = reverse_mixture([[-1.0], [1.0]], SCHEDULE, [0.0], 1)
    assert kernel.mean.tolist() == [0.0] and kernel.cov.tolist() == [[1.0]]
    assert np.isfinite(kernel.logpdf([[-1.0], [1.0]])).all() and kernel.logpdf([0.0]) == -np.inf


@pytest.mark.E26
@pytest.mark.parametrize("t", [1, 5, 20])
def test_one_point_has_the_posterior_as_its_kernel_and_one_blurred_point_the_gaussian_one(t: int) -> None:
    point, x_t, blur = np.array([0.7, -1.2]), np.array([0.1, 0.4]), 0.3
    mean, variance = posterior_mean_variance(SCHEDULE, point, x_t, t)
    kernel = reverse_mixture([point], SCHEDULE, x_t, t)
    assert np.max(np.abs(kernel.mean - mean)) <= 64 * np.finfo(float).eps
    assert np.max(np.abs(kernel.cov - variance * np.eye(2))) <= 8 * np.finfo(float).eps
    blurred = reverse_mixture([point], SCHEDULE, x_t, t, blur=blur)
    exact = reverse_kernel(Gaussian(point, blur**2 * np.eye(2)), SCHEDULE, x_t, t)
    assert np.max(np.abs(blurred.mean - exact.mean)) <= 64 * np.finfo(float).eps
    assert np.max(np.abs(blurred.cov - exact.cov)) <= 8 * np.finfo(float).eps


@pytest.mark.E28
def test_chain_gap_agrees_with_simulation() -> None:
    points, blur, n = np.array([[-1.0], [1.0]]), 0.3, 400
    schedule, rng = Schedule.from_beta([0.5, 0.6]), np.random.default_rng(7)
    data = GaussianMixture([0.5, 0.5], points, np.full((2, 1, 1), blur**2))
    before, total, squared_error = data.sample(n, rng=rng), 0.0, 0.0
    for t in (1, 2):
        after = q_step(schedule, before, t, rng.standard_normal((n, 1)))
        lost = np.empty(n)
        for i in range(n):
            kernel = reverse_mixture(points, schedule, after[i], t, blur=blur)
            lost[i] = kernel.logpdf(before[i]) - Gaussian(kernel.mean, kernel.cov).logpdf(before[i])
        total, squared_error, before = total + lost.mean(), squared_error + lost.var(ddof=1) / n, after
    assert abs(total - chain_gap(points, schedule, blur=blur)) <= 5 * np.sqrt(squared_error)


@pytest.mark.E28
def test_chain_gap_is_0_for_one_point_and_falls_with_the_number_of_steps() -> None:
    schedules = [Schedule.from_beta(np.full(k, 1 - 0.005 ** (1 / k))) for k in (1, 4, 16)]
    assert abs(chain_gap([[0.4]], schedules[1], blur=0.3)) <= 1e-12
    gaps = [chain_gap([[-1.0], [1.0]], s, blur=0.2) for s in schedules]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    with pytest.raises(ValueError, match="points must have a last axis of length 1"):
        chain_gap([[0.0, 1.0]], schedules[0], blur=0.1)
    with pytest.raises(ValueError, match="blur must be above 0"):
        chain_gap([[0.0]], schedules[0], blur=0.0)


@given(seed=seeds, m=st.integers(1, 6), n=st.integers(1, 6), dim=st.integers(1, 3))
def test_nearest_is_what_a_double_loop_finds(seed: int, m: int, n: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    x, points = rng.standard_normal((m, dim)), rng.standard_normal((n, dim))
    distances, indices = nearest(x, points, k=n)
    for i in range(m):
        by_hand = np.array([np.sqrt(np.mean((x[i] - p) ** 2)) for p in points])
        assert np.array_equal(distances[i], np.sort(by_hand)) and np.array_equal(by_hand[indices[i]], distances[i])


def test_nearest_in_blocks_is_nearest_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, points = rng.standard_normal((23, 4)), rng.standard_normal((7, 4))
    whole = nearest(x, points, k=2)
    monkeypatch.setattr(room, "_BLOCK", 3 * points.size)
    for a, b in zip(whole, nearest(x, points, k=2)):
        assert np.array_equal(a, b)
    assert nearest(points, points)[0].max() == 0.0


def test_share_counts_what_lies_within() -> None:
    assert share_at_points([[0.0], [0.9], [2.0], [3.0]], [[0.0], [3.0]], within=0.95) == 0.75
    with pytest.raises(ValueError, match="k must be in 1..2"):
        nearest([[0.0]], [[0.0], [1.0]], k=3)
    with pytest.raises(ValueError, match="same last axis"):
        nearest([[0.0]], [[0.0, 1.0]])
    with pytest.raises(TypeError, match="t must be a single integer here"):
        posterior_weights([[0.0]], SCHEDULE, [[0.0]], np.array([1, 2]))
