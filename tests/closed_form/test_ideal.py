"""The ideal denoiser, its loss and variance, and the forms of a prediction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddpm_np.closed_form.distributions import Empirical, Gaussian, GaussianMixture, PointMass
from ddpm_np.closed_form.ideal import (
    IdealDenoiser,
    eps_from_score,
    eps_from_v,
    estimate_excess,
    estimate_floor,
    estimate_loss,
    optimal_loss,
    optimal_variance,
    score_from_eps,
    v_from_x0_eps,
    x0_from_v,
)
from ddpm_np.conformance.strategies import gaussians, schedules
from ddpm_np.forward import q_sample
from ddpm_np.posterior import posterior_mean_from_eps, predict_eps
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve

EPS = np.finfo(np.float64).eps
GAUSSIANS, SCHEDULES = gaussians(low=1e-3, high=1e2), schedules(low=1e-6, high=1 - 1e-6, max_T=6)
FREQUENCIES = [0.0826, 0.2049, 1.3489, 3.1848, 4.0664]
NOTES = Schedule.sigmoid(beta_min=1e-5)
Array = NDArray[np.float64]


def draw_level(dist, schedule, t, n, seed):
    rng = np.random.default_rng(seed)
    x_0, eps = dist.sample(n, rng=rng), rng.standard_normal((n, dist.dim))
    return x_0, eps, q_sample(schedule, x_0, t, eps)


# ---- the ideal denoiser -------------------------------------------------------------------------


@pytest.mark.E24
@given(GAUSSIANS, SCHEDULES, st.integers(0, 2**32))
def test_for_gaussians_it_is_the_regression_of_eps_on_x(g, schedule, seed):
    denoiser = IdealDenoiser(g, schedule)
    for t in range(1, schedule.T + 1):
        _, _, x_t = draw_level(g, schedule, t, 3, seed)
        kept, noise = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
        cov_t = kept * g.cov + noise * np.eye(g.dim)
        expected = (
            np.sqrt(noise) * np.linalg.solve(cov_t, (x_t - np.sqrt(kept) * g.mean).T).T
        )  # Cov[eps, x_t] Cov[x_t]^-1
        size = np.abs(x_t).max() + np.abs(g.mean).max()
        assert np.abs(denoiser(x_t, t) - expected).max() <= 50 * g.dim * EPS * np.linalg.cond(
            cov_t
        ) * size / np.sqrt(noise)


@pytest.mark.E24
@pytest.mark.parametrize(
    "dist",
    [
        Gaussian([1.0, 2.0], [[2.0, 0.3], [0.3, 0.5]]),
        PointMass([0.5, -1.0]),
        Empirical([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]),
        GaussianMixture([0.3, 0.7], [[0.0, 1.0], [2.0, -1.0]], [np.eye(2), np.diag([1.0, 0.0])]),
    ],
    ids=lambda dist: type(dist).__name__,
)
def test_it_is_the_best_predictor(dist):
    # Orthogonality: the error eps - eps_star is uncorrelated with every function of x_t, here with
    # a few very different ones.
    schedule, n = Schedule.from_beta([0.01, 0.3, 0.5]), 20_000
    for t in (1, 2, 3):
        _, eps, x_t = draw_level(dist, schedule, t, n, t)
        error = eps - IdealDenoiser(dist, schedule)(x_t, t)
        for probe in (
            np.ones_like(x_t),
            x_t,
            np.sin(3 * x_t),
            x_t[:, ::-1] ** 2,
            np.sign(x_t - 0.5),
        ):
            products = error * probe
            assert np.all(np.abs(products.mean(0)) <= 5 * products.std(0) / np.sqrt(n) + 1e3 * EPS)


@pytest.mark.E24
def test_two_points_give_the_hyperbolic_tangent():
    schedule, x = Schedule.from_beta([0.36]), np.linspace(-3, 3, 7)[:, None]
    expected = predict_eps(schedule, x, 1, np.tanh(0.8 * x / 0.36))
    for dist in (
        Empirical([[-1.0], [1.0]]),
        GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], np.zeros((2, 1, 1))),
    ):
        assert np.allclose(IdealDenoiser(dist, schedule)(x, 1), expected, rtol=0, atol=100 * EPS)


@pytest.mark.E24
def test_for_a_point_it_finds_the_noise_that_was_added():
    schedule, curve = Schedule.sigmoid(), multi_sine_curve(rng=np.random.default_rng(0))
    denoiser = IdealDenoiser(PointMass(curve), schedule)
    for t in (1, 2, 50, 100):
        _, eps, x_t = draw_level(PointMass(curve), schedule, t, 4, t)
        allowed = 10 * EPS * np.abs(curve).max() / np.sqrt(schedule.one_minus_alpha_bar[t])
        assert np.abs(denoiser(x_t, t) - eps).max() <= allowed


@pytest.mark.parametrize(
    "dist",
    [
        MultiSine([1.0, 2.0], dim=6),
        PointMass(np.arange(6.0)),
        Empirical(np.random.default_rng(0).standard_normal((5, 6))),
        GaussianMixture([0.4, 0.6], np.zeros((2, 6)), [np.eye(6), 4 * np.eye(6)]),
    ],
    ids=lambda dist: type(dist).__name__,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_row_may_have_its_own_step(dist, dtype):
    denoiser, t = IdealDenoiser(dist, NOTES), np.array([1, 100, 7, 7, 1, 50])
    x_t = np.random.default_rng(0).standard_normal((6, 6)).astype(dtype)
    together = denoiser(x_t, t)
    assert together.shape == x_t.shape and together.dtype == dtype
    for i in range(6):
        assert np.allclose(
            together[i],
            denoiser(x_t[i], int(t[i])),
            rtol=100 * np.finfo(dtype).eps,
            atol=100 * np.finfo(dtype).eps,
        )
    assert denoiser(x_t.reshape(2, 3, 6), t.reshape(2, 3)).shape == (2, 3, 6)
    assert np.array_equal(denoiser(x_t.reshape(2, 3, 6), t.reshape(2, 3)).reshape(6, 6), together)
    assert np.array_equal(denoiser(x_t, np.array([7])), denoiser(x_t, 7))


@pytest.mark.E24
@given(GAUSSIANS, st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_between_the_steps_and_in_the_flows_coordinates_it_is_the_same(g, noise, seed):
    points = Empirical(np.random.default_rng(seed).standard_normal((4, g.dim)))
    for dist in (g, points):
        schedule = Schedule.from_beta([noise])
        denoiser = IdealDenoiser(dist, schedule)
        _, _, x_t = draw_level(dist, schedule, 1, 3, seed)
        kept, noise = schedule.alpha_bar[1], schedule.one_minus_alpha_bar[1]
        tolerance = 1000 * g.dim * EPS * (np.abs(x_t).max() + 1) / noise**1.5
        assert np.array_equal(denoiser.at(x_t, kept, noise), denoiser(x_t, 1))
        flow = denoiser.at(x_t / np.sqrt(kept), 1.0, noise / kept)
        assert np.allclose(flow, denoiser(x_t, 1), rtol=0, atol=tolerance / kept)
        divergence = np.sqrt(kept) * denoiser.divergence(x_t, kept, noise)
        flow = denoiser.divergence(x_t / np.sqrt(kept), 1.0, noise / kept)
        assert np.allclose(flow, divergence, rtol=0, atol=tolerance / (kept * noise))


@given(GAUSSIANS, st.floats(0.01, 0.99))
def test_divergence_is_the_trace_of_its_jacobian(g, noise):
    denoiser, origin = IdealDenoiser(g, NOTES), np.zeros(g.dim)
    jacobian = denoiser.at(np.eye(g.dim), 1 - noise, noise) - denoiser.at(
        origin, 1 - noise, noise
    )  # it is affine
    size = 1 + np.abs(g.mean).max()
    assert abs(
        denoiser.divergence(origin, 1 - noise, noise) - np.trace(jacobian)
    ) <= 100 * g.dim**2 * EPS * size / np.sqrt(noise)


# ---- its loss -----------------------------------------------------------------------------------


@pytest.mark.E25
def test_floor_of_the_ensemble_on_the_notes_schedule():
    floor = optimal_loss(MultiSine(FREQUENCIES), NOTES)
    assert floor.shape == (101,) and np.isnan(floor[0])
    assert [round(v, 4) for v in (floor[1:].mean(), floor[1], floor[100])] == [
        0.1075,
        0.1792,
        0.0051,
    ]
    assert np.all(np.diff(floor[1:]) < 0)


@pytest.mark.E25
@pytest.mark.parametrize(
    "dist", [MultiSine(FREQUENCIES), Gaussian([3.0], [[4.0]])], ids=["ensemble", "line"]
)
def test_the_ideal_denoisers_loss_is_the_floor(dist):
    schedule = Schedule.sigmoid(20, beta_max=0.5, beta_min=1e-5)
    loss, error = estimate_loss(
        IdealDenoiser(dist, schedule), dist, schedule, n=2000, rng=np.random.default_rng(0)
    )
    floor = optimal_loss(dist, schedule)
    assert loss.shape == error.shape == (21,) and np.isnan(loss[0]) and np.isnan(error[0])
    assert np.all(error[1:] > 0) and np.all(np.abs(loss - floor)[1:] <= 5 * error[1:])


@pytest.mark.E25
def test_no_noise_is_left_to_guess_for_a_point():
    dist = PointMass(multi_sine_curve(rng=np.random.default_rng(0)))
    assert np.array_equal(
        optimal_loss(dist, NOTES), np.append(np.nan, np.zeros(100)), equal_nan=True
    )
    loss, _ = estimate_loss(
        IdealDenoiser(dist, NOTES), dist, NOTES, n=2, rng=np.random.default_rng(0)
    )
    rounding = np.square(10 * EPS * np.abs(dist.mean).max())
    assert np.all(loss[1:] <= rounding / NOTES.one_minus_alpha_bar[1:])


@pytest.mark.E25
def test_the_floor_by_the_divergence_is_the_closed_form_of_a_gaussian():
    dist, schedule = MultiSine(FREQUENCIES, dim=8), Schedule.sigmoid(12)
    floor, error = estimate_floor(dist, schedule, n=2, rng=np.random.default_rng(0))
    np.testing.assert_allclose(floor, optimal_loss(dist, schedule), rtol=0, atol=1e-12)
    assert np.isnan(error[0]) and np.all(error[1:] <= 1e-12)


@pytest.mark.E25
def test_the_floor_by_the_divergence_is_the_loss_of_the_ideal_denoiser():
    dist = Empirical([[-1.0, 0.5], [1.0, 0.0], [0.3, 2.0]])
    schedule = Schedule.linear(6, beta_max=0.5)
    floor, error = estimate_floor(dist, schedule, n=2000, rng=np.random.default_rng(0))
    loss, scatter = estimate_loss(
        IdealDenoiser(dist, schedule), dist, schedule, n=4000, rng=np.random.default_rng(1)
    )
    # At t = 1 the points are known: both are 0 to rounding.
    assert np.all(np.abs(loss - floor)[1:] <= 5 * np.hypot(error, scatter)[1:] + 8 * EPS)


@pytest.mark.E25
def test_excess_over_the_floor_of_points():
    dist, schedule = Empirical([[-1.0, 0.5], [1.0, 0.0]]), Schedule.linear(6, beta_max=0.5)
    ideal = IdealDenoiser(dist, schedule)
    floor, _ = estimate_floor(dist, schedule, n=4000, rng=np.random.default_rng(2))
    # adding 0.1 to every coordinate adds 0.01 to the loss at every t
    excess, error = estimate_excess(
        lambda x, t: ideal(x, t) + 0.1, dist, schedule, n=2000, rng=np.random.default_rng(0)
    )
    assert 0 < error < 0.1 * excess and abs(excess - 0.01 / floor[1:].mean()) <= 5 * error


def test_losses_are_measured_in_the_denoisers_own_dtype():
    class Half:
        dtype, dim = np.dtype(np.float32), 3

        def __call__(self, x, t):
            assert x.dtype == np.float32 and isinstance(t, int)
            return x / 2

    loss, _ = estimate_loss(
        Half(), PointMass(np.zeros(3)), Schedule.from_beta([0.5]), n=5, rng=np.random.default_rng(0)
    )
    assert loss.dtype == np.float64


# ---- the reverse variance -----------------------------------------------------------------------


def test_optimal_variance_is_what_is_left_around_the_ideal_mean():
    dist = Gaussian(np.zeros(3), np.diag([9.0, 0.1, 0.0]))
    schedule = Schedule.from_beta([0.2, 0.5])
    n = 40_000
    rng, variance = np.random.default_rng(0), optimal_variance(dist, schedule)
    x = dist.sample(n, rng=rng)
    for t in (1, 2):
        noise = np.sqrt(schedule.beta[t]) * rng.standard_normal(x.shape)
        before, x = x, np.sqrt(schedule.alpha[t]) * x + noise
        left = np.square(
            before - posterior_mean_from_eps(schedule, x, t, IdealDenoiser(dist, schedule)(x, t))
        ).mean(1)
        assert abs(left.mean() - variance[t]) <= 5 * left.std() / np.sqrt(n)


# ---- the forms of a prediction ------------------------------------------------------------------


@pytest.mark.E24
@given(SCHEDULES, st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]))
def test_forms_convert_into_each_other_and_back(schedule, seed, dtype):
    rng = np.random.default_rng(seed)
    t = rng.integers(1, schedule.T + 1, 4)
    x_0, eps = rng.standard_normal((2, 4, 3)).astype(dtype)
    x_t = q_sample(schedule, x_0, t, eps)
    v = v_from_x0_eps(schedule, x_0, t, eps)
    tolerance = {
        "rtol": 0,
        "atol": 10 * np.finfo(dtype).eps * (np.abs(x_0).max() + np.abs(eps).max()),
    }
    assert v.dtype == x0_from_v(schedule, x_t, t, v).dtype == dtype
    assert np.allclose(x0_from_v(schedule, x_t, t, v), x_0, **tolerance)
    assert np.allclose(eps_from_v(schedule, x_t, t, v), eps, **tolerance)
    assert np.allclose(
        np.square(x_t) + np.square(v),
        np.square(x_0) + np.square(eps),
        rtol=20 * np.finfo(dtype).eps,
    )
    assert np.allclose(
        eps_from_score(schedule, score_from_eps(schedule, eps, t), t),
        eps,
        rtol=4 * np.finfo(dtype).eps,
        atol=0,
    )


def test_v_needs_no_signal_to_be_left():
    schedule = Schedule.from_beta(np.full(400, 0.99))
    assert schedule.alpha_bar[400] == 0
    assert np.array_equal(x0_from_v(schedule, [[1.0]], 400, [[-2.0]]), [[2.0]])
    assert np.array_equal(IdealDenoiser(Gaussian([1.0], [[3.0]]), schedule)([[1.5]], 400), [[1.5]])
    assert optimal_loss(Gaussian([1.0], [[3.0]]), schedule)[400] == 0
