"""Data that is a handful of points: posterior weights, the true kernel, distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.reverse import reverse_kernel
from ddpm_np.demos.points import (
    chain_gap,
    nearest,
    posterior_weights,
    reverse_mixture,
    share_at_points,
)
from ddpm_np.posterior import posterior_mean_variance
from ddpm_np.schedule import Schedule

SCHEDULE = Schedule.sigmoid(20)
EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.E26
@given(seed=seeds, n=st.integers(1, 6), dim=st.integers(1, 4), t=st.integers(1, 20))
def test_weights_are_bayes_rule_on_the_forward_densities(seed, n, dim, t):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((n, dim))
    x_t = rng.standard_normal((3, dim))
    weights = posterior_weights(points, SCHEDULE, x_t, t)
    logs = -np.sum((x_t[:, None] - np.sqrt(SCHEDULE.alpha_bar[t]) * points) ** 2, axis=-1) / (
        2 * SCHEDULE.one_minus_alpha_bar[t]
    )
    assert np.all(np.abs(weights.sum(axis=1) - 1) <= 8 * n * np.finfo(float).eps)
    odds = np.log(np.maximum(weights, 1e-300)) - np.log(weights.max(axis=1, keepdims=True))
    expected = np.maximum(
        logs - logs.max(axis=1, keepdims=True),
        np.log(1e-300) - np.log(weights.max(axis=1, keepdims=True)),
    )
    assert np.max(np.abs(odds - expected)) <= 64 * np.finfo(float).eps * (1 + np.abs(logs).max())


@pytest.mark.E26
@pytest.mark.parametrize("far", [1e8, 1e160, -1e160])
def test_weights_of_an_x_far_from_all_points(far):
    # The odds of 0 and 1 are exp(-Delta (2 x - Delta) / (2 v)) with Delta = sqrt(alpha_bar_t).
    points, t = [[0.0], [1.0]], 3
    assert posterior_weights(points, SCHEDULE, [far], t).tolist() == [far < 0, far > 0]
    near = [1e-9], [1 + 1e-9]
    root, v = np.sqrt(SCHEDULE.alpha_bar[t]), SCHEDULE.one_minus_alpha_bar[t]
    x = abs(min(far, 1e8))
    weights = posterior_weights(near, SCHEDULE, [x], t)
    close = posterior_weights([[0.0], [v / root / x]], SCHEDULE, [x], t)
    assert weights.tolist() == [0.0, 1.0]
    assert np.log(close[1] / close[0]) == pytest.approx(1.0, rel=1e-6)
    # One far row does not change the others of its batch.
    both = posterior_weights(points, SCHEDULE, [[far], [0.3]], t)
    assert np.array_equal(both[1], posterior_weights(points, SCHEDULE, [0.3], t))


@pytest.mark.E26
@pytest.mark.parametrize("t", [2, 10, 20])
def test_reverse_mixture_is_bayes_rule_pointwise(t):
    # q(x_{t-1} | x_t) q(x_t) = q(x_t | x_{t-1}) q(x_{t-1}), each side a density of known form.
    points, x_t = np.array([[-1.0], [1.0], [2.5]]), np.array([0.3])
    kernel = reverse_mixture(points, SCHEDULE, x_t, t)
    x = np.linspace(-3, 3, 401)[:, None]

    data = Empirical(points)
    forward = Gaussian([0.0], [[SCHEDULE.beta[t]]])
    left = kernel.logpdf(x) + data.diffuse(SCHEDULE, t).logpdf(x_t)
    right = forward.logpdf(x_t - np.sqrt(SCHEDULE.alpha[t]) * x) + data.diffuse(
        SCHEDULE, t - 1
    ).logpdf(x)
    condition = (np.abs(x).max() + 3) ** 2 / SCHEDULE.beta_tilde[t]
    held = right > right.max() - 700  # below that, weights of 1e-304 and less are 0
    assert held.sum() >= 3
    assert np.max(np.abs(left - right)[held]) <= 16 * np.finfo(float).eps * condition
    assert np.all(left[~held] < right.max() - 700)


@pytest.mark.E26
def test_reverse_mixture_at_the_first_step_is_the_points_themselves():
    kernel = reverse_mixture([[-1.0], [1.0]], SCHEDULE, [0.0], 1)
    assert kernel.mean.tolist() == [0.0] and kernel.cov.tolist() == [[1.0]]
    assert np.isfinite(kernel.logpdf([[-1.0], [1.0]])).all() and kernel.logpdf([0.0]) == -np.inf


@pytest.mark.E26
@pytest.mark.parametrize("t", [1, 5, 20])
def test_one_point_has_the_posterior_as_its_kernel_and_one_blurred_point_the_gaussian_one(t):
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
def test_chain_gap_is_the_sum_of_the_integrals_that_define_it():
    from scipy.integrate import quad

    points, blur, schedule = np.array([[-1.0], [1.0], [1.5]]), 0.4, Schedule.from_beta([0.9, 0.2])
    data, total = Empirical(points).noised(1.0, blur**2), 0.0
    for t in range(1, schedule.T + 1):

        def lost(x_t, t=t):
            kernel = reverse_mixture(points, schedule, [x_t], t, blur=blur)
            gaussian = Gaussian(kernel.mean, kernel.cov)
            # Over all components: one of weight 1e-3 is 30 standard deviations from the mean.
            means = [c.mean[0] for c in kernel.components]
            beyond = 8 * np.sqrt(kernel.components[0].cov[0, 0])
            x = np.linspace(min(means) - beyond, max(means) + beyond, 401)[:, None]
            p = kernel.logpdf(x)
            density = np.exp(data.diffuse(schedule, t).logpdf([x_t]))
            return density * (np.exp(p) @ (p - gaussian.logpdf(x))) * (x[1, 0] - x[0, 0])

        total += quad(lost, -7, 7, epsabs=1e-7, epsrel=1e-6, limit=100)[0]
    assert chain_gap(points, schedule, blur=blur) == pytest.approx(total, abs=1e-7)


@pytest.mark.E28
def test_chain_gap_of_narrow_points_and_of_integers():
    # Reference values: 5601 nodes instead of 321.
    schedule = Schedule.from_beta(np.full(16, 1 - 0.005 ** (1 / 16)))
    for blur, expected in ((0.1, 0.73396816599), (0.05, 1.18826583634), (0.02, 1.92337784822)):
        assert chain_gap([[-1.0], [1.0]], schedule, blur=blur) == pytest.approx(expected, rel=1e-9)
    big, blur = 2**24 + 1, 0.3  # no float32
    # x is rounded by EPS big, and two entropies and 16 steps are averages of logarithms whose
    # slopes are near 1 / blur.
    assert chain_gap([[big], [big + 2]], schedule, blur=blur) == pytest.approx(
        chain_gap([[-1], [1]], schedule, blur=blur), abs=18 * EPS * big / blur
    )


@pytest.mark.E28
def test_chain_gap_is_0_for_one_point_and_falls_with_the_number_of_steps():
    schedules = [Schedule.from_beta(np.full(k, 1 - 0.005 ** (1 / k))) for k in (1, 4, 16)]
    assert abs(chain_gap([[0.4]], schedules[1], blur=0.3)) <= 1e-12
    gaps = [chain_gap([[-1.0], [1.0]], s, blur=0.2) for s in schedules]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    with pytest.raises(ValueError, match="points must have a last axis of length 1"):
        chain_gap([[0.0, 1.0]], schedules[0], blur=0.1)
    with pytest.raises(ValueError, match="blur must be above 0"):
        chain_gap([[0.0]], schedules[0], blur=0.0)


@given(seed=seeds, m=st.integers(1, 6), n=st.integers(1, 6), dim=st.integers(1, 3))
def test_nearest_is_what_a_double_loop_finds(seed, m, n, dim):
    rng = np.random.default_rng(seed)
    x, points = rng.standard_normal((m, dim)), rng.standard_normal((n, dim))
    distances, indices = nearest(x, points, k=n)
    for i in range(m):
        by_hand = np.array([np.sqrt(np.mean((x[i] - p) ** 2)) for p in points])
        assert np.allclose(distances[i], np.sort(by_hand), rtol=16 * EPS, atol=0)
        assert np.allclose(by_hand[indices[i]], distances[i], rtol=16 * EPS, atol=0)


def test_nearest_to_itself_is_at_distance_0():
    points = 1e6 + np.random.default_rng(0).standard_normal((7, 4))
    distances, indices = nearest(points, points)
    assert distances.max() == 0.0 and indices[:, 0].tolist() == list(range(7))
    with pytest.raises(ValueError, match="k must be at least 1"):
        nearest(points, points, k=0)


def test_share_counts_what_lies_within():
    assert share_at_points([[0.0], [0.9], [2.0], [3.0]], [[0.0], [3.0]], within=0.95) == 0.75
    with pytest.raises(ValueError, match="k must be in 1..2"):
        nearest([[0.0]], [[0.0], [1.0]], k=3)
    with pytest.raises(ValueError, match="same last axis"):
        nearest([[0.0]], [[0.0, 1.0]])
    with pytest.raises(TypeError, match="t must be a single integer"):
        posterior_weights([[0.0]], SCHEDULE, [[0.0]], np.array([1, 2]))


def test_a_mixture_is_that_of_a_single_vector():
    with pytest.raises(ValueError, match=r"^x_t must be a single vector, got shape \(1, 1\)$"):
        reverse_mixture([[-1.0], [1.0]], SCHEDULE, [[0.0]], 2)
