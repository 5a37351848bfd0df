"""Mixtures of noised signals, and the exact distribution of the chain of an affine denoiser."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.gaussian import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.demos.interpolation import (
    affine_distribution,
    line_position,
    linear_weights,
    mix,
    spherical_weights,
)
from ddpm_np.forward import q_sample
from ddpm_np.sampling import ancestral_sample, ancestral_step
from ddpm_np.schedule import Schedule

SCHEDULE = Schedule.sigmoid(40)
EPS = np.finfo(float).eps


class Affine:
    """The ideal denoiser of N(m, C): sqrt(1 - ab) (ab C + (1 - ab) I)^{-1} (x - sqrt(ab) m)."""

    def __init__(self, m, C):
        self.m, self.C = m, C

    def __call__(self, x, t):
        alpha_bar, rest = SCHEDULE.alpha_bar[t], SCHEDULE.one_minus_alpha_bar[t]
        V, away = alpha_bar * self.C + rest * np.eye(len(self.m)), x - np.sqrt(alpha_bar) * self.m
        return np.sqrt(rest) * np.linalg.solve(V, away.T).T


@given(w=st.floats(0, 1))
def test_a_quarter_circle_keeps_the_variance_and_a_line_loses_it(w):
    u, v = spherical_weights(w)
    assert abs(u**2 + v**2 - 1) <= 4 * EPS
    a, b = linear_weights(w)
    assert a**2 + b**2 <= 1 and a + b == pytest.approx(1, abs=EPS)
    assert linear_weights(0.5)[0] ** 2 * 2 == 0.5


@pytest.mark.E6
@pytest.mark.parametrize(("spherical", "expected"), [(True, 1.0), (False, 0.3**2 + 0.7**2)])
def test_noise_of_a_mixture_has_the_stated_variance(spherical, expected):
    rng, n, t = np.random.default_rng(0), 40000, 25
    eps = rng.standard_normal((2, n, 1))
    x = mix(SCHEDULE, np.ones((1, 1)), np.full((1, 1), 3.0), 0.3, t, *eps, spherical=spherical)
    centre = np.sqrt(SCHEDULE.alpha_bar[t]) * 1.6
    squares = (x - centre)[:, 0] ** 2 / SCHEDULE.one_minus_alpha_bar[t]
    assert abs(squares.mean() - expected) <= 5 * squares.std(ddof=1) / np.sqrt(n)


@pytest.mark.E6
def test_noises_are_mixed_on_the_circle_unless_told_otherwise():
    x_a, x_b, eps_a, eps_b = np.random.default_rng(4).standard_normal((4, 3, 5))
    mixed = mix(SCHEDULE, x_a, x_b, 0.3, 7, eps_a, eps_b)
    expected = mix(SCHEDULE, x_a, x_b, 0.3, 7, eps_a, eps_b, spherical=True)
    assert np.array_equal(mixed, expected)
    for weights in (linear_weights, spherical_weights):
        for w in (-0.1, 1.1, np.nan):
            with pytest.raises(ValueError, match="w must be"):
                weights(w)


@pytest.mark.E6
def test_the_ends_of_a_mixture_are_the_noised_signals():
    rng = np.random.default_rng(1)
    x_a, x_b, eps_a, eps_b = rng.standard_normal((4, 3, 5))
    assert np.array_equal(
        mix(SCHEDULE, x_a, x_b, 0.0, 7, eps_a, eps_b), q_sample(SCHEDULE, x_a, 7, eps_a)
    )
    assert (
        np.max(
            np.abs(
                mix(SCHEDULE, x_a, x_b, 1.0, 7, eps_a, eps_b) - q_sample(SCHEDULE, x_b, 7, eps_b)
            )
        )
        <= 4 * EPS
    )


@pytest.mark.E17
def test_from_the_end_of_the_chain_it_is_the_ancestral_sampler():
    denoiser = Affine(np.ones(3), np.diag([2.0, 1.0, 0.0]))
    x_T = np.random.default_rng(2).standard_normal((6, 3))
    rng = np.random.default_rng(2)
    whole = ancestral_sample(denoiser, SCHEDULE, 6, 3, rng=rng)
    rng = np.random.default_rng(2)
    rng.standard_normal((6, 3))
    for t, expected in ((SCHEDULE.T, whole), (0, x_T)):
        again = ancestral_sample(denoiser, SCHEDULE, 6, 3, rng=rng, start=(x_T, t))
        assert np.array_equal(again, expected)


@pytest.mark.E27
@pytest.mark.parametrize("variance, t", [("posterior", 40), ("beta", 10)])
@pytest.mark.parametrize(
    "C", [[[1.0, 0.6], [0.6, 2.0]], [[1.0, 0.6], [-0.9, 2.0]]], ids=["ideal", "turning"]
)
def test_affine_distribution_agrees_with_simulation(variance, t, C):
    rng, n = np.random.default_rng(3), 20000
    denoiser = Affine(
        np.array([0.5, -1.0]), np.array(C)
    )  # one that turns is affine, but no Gaussian's
    start_mean, start_cov = np.array([1.0, 0.0]), np.array([[0.5, 0.1], [0.1, 0.4]])
    mean, cov = affine_distribution(denoiser, SCHEDULE, start_mean, start_cov, t, variance=variance)
    start = rng.multivariate_normal(start_mean, start_cov, n), t
    x = ancestral_sample(denoiser, SCHEDULE, n, 2, rng=rng, variance=variance, start=start)
    assert np.all(np.abs(x.mean(axis=0) - mean) <= 5 * np.sqrt(np.diag(cov) / n))
    # Wishart: the variance of a sample covariance entry is (C_ij^2 + C_ii C_jj) / n.
    error = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / n)
    assert np.all(np.abs(np.cov(x, rowvar=False) - cov) <= 5 * error)


@pytest.mark.E27
def test_affine_distribution_of_one_step_is_that_step():
    M, b = np.array([[0.3, 0.1], [-0.2, 0.5]]), np.array([1.0, -2.0])
    step, start = ancestral_step(SCHEDULE, 1, variance="beta"), np.array([0.5, 2.0])
    mean, cov = affine_distribution(
        lambda x, t: x @ M + b, SCHEDULE, start, np.eye(2), 1, variance="beta"
    )
    A = step.xt_coef * np.eye(2) + step.eps_coef * M.T
    assert np.abs(mean - (A @ start + step.eps_coef * b)).max() <= 16 * EPS
    assert np.abs(cov - (A @ A.T + step.std**2 * np.eye(2))).max() <= 16 * EPS


@pytest.mark.E27
def test_affine_distribution_of_a_constant_is_the_constant():
    point = np.array([2.0, -1.0])
    mean, cov = affine_distribution(
        Affine(point, np.zeros((2, 2))), SCHEDULE, np.zeros(2), np.eye(2), SCHEDULE.T
    )
    assert np.max(np.abs(mean - point)) <= 1e3 * EPS and np.max(np.abs(cov)) <= 1e3 * EPS


@pytest.mark.E27
def test_a_denoiser_that_is_not_affine_is_found_out():
    with pytest.raises(
        ValueError, match="denoiser must be affine in x_t, got one that is not at t = 5"
    ):
        affine_distribution(lambda x, t: np.tanh(x) + (x**2), SCHEDULE, np.zeros(2), np.eye(2), 5)
    with pytest.raises(ValueError, match="cov must have shape"):
        affine_distribution(lambda x, t: x, SCHEDULE, np.zeros(2), np.eye(3), 5)
    with pytest.raises(ValueError, match=r"denoiser must return shape \(7, 2\), got \(2,\)"):
        affine_distribution(lambda x, t: x[0], SCHEDULE, np.zeros(2), np.eye(2), 5)
    with pytest.raises(ValueError, match="the denoiser's eps_hat must be finite"):
        affine_distribution(lambda x, t: x + np.nan, SCHEDULE, np.zeros(2), np.eye(2), 5)
    with pytest.raises(TypeError, match="t must be a single integer"):
        affine_distribution(lambda x, t: x, SCHEDULE, np.zeros(2), np.eye(2), np.array([1, 2]))
    ideal = IdealDenoiser(Gaussian(np.zeros(2), np.eye(2)), Schedule.linear(5))
    with pytest.raises(ValueError, match="schedule must be that of the denoiser"):
        affine_distribution(ideal, SCHEDULE, np.zeros(2), np.eye(2), 5)


@pytest.mark.E27
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_maps_that_look_affine_at_whole_numbers_or_near_zero_are_found_out(dim):
    maps = {
        "x^3": lambda x, t: x**3,
        "rounded": lambda x, t: np.round(x),
        "|x|": lambda x, t: np.abs(x),
        "clipped": lambda x, t: np.clip(x, -3, 3),
        "x + sin 2 pi x": lambda x, t: x + np.sin(2 * np.pi * x),
    }
    for name, wrong in maps.items():
        with pytest.raises(ValueError, match="denoiser must be affine in x_t"):
            affine_distribution(wrong, SCHEDULE, np.zeros(dim), np.eye(dim), 5)
            pytest.fail(name)
    M = np.random.default_rng(dim).standard_normal((dim, dim))
    affine_distribution(lambda x, t: 1e6 * (x @ M - 3), SCHEDULE, np.zeros(dim), np.eye(dim), 5)


@pytest.mark.E27
def test_affine_distribution_takes_whole_numbers_and_float32():
    big = 2**24 + 1  # no float32
    for mean, cov in (([big], [[big]]), (np.float32([3]), np.float32([[5]]))):
        found = affine_distribution(lambda x, t: 0 * x, SCHEDULE, mean, cov, 0)
        assert found[0].dtype == found[1].dtype == np.float64
        assert found[0][0] == mean[0] and found[1][0, 0] == cov[0][0]


@given(w=st.floats(-2, 3), away=st.floats(-3, 3))
def test_positions_along_and_away_from_a_line(w, away):
    x_a, x_b = np.array([1.0, 1.0]), np.array([4.0, 5.0])
    across = np.array([-4.0, 3.0])
    position, distance = line_position(x_a + w * (x_b - x_a) + away * across, x_a, x_b)
    assert abs(position - w) <= 64 * EPS and abs(distance - abs(away)) <= 64 * EPS
    with pytest.raises(ValueError, match="x_a and x_b must differ"):
        line_position(x_a, x_a, x_a)
