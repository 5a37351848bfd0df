"""Mixtures of Gaussians and of points."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddpm_np.closed_form.distributions import (
    Empirical,
    Gaussian,
    GaussianMixture,
    PointMass,
    empirical,
)
from ddpm_np.closed_form.distributions.empirical import log_weights
from ddpm_np.conformance.strategies import gaussian_mixtures
from ddpm_np.schedule import Schedule

EPS = np.finfo(np.float64).eps
Array = NDArray[np.float64]


def plain_density(m, x):
    """The sum of the weighted densities, as in a textbook; analytic, so that x may be complex."""
    density = 0.0
    for w, c in zip(m.weights, m.components):
        away = x - c.mean
        density += (
            w
            * np.exp(-0.5 * away @ np.linalg.solve(c.cov, away))
            / np.sqrt(np.linalg.det(2 * np.pi * c.cov))
        )
    return density


@given(gaussian_mixtures(), st.integers(0, 2**32))
def test_log_density_and_score_are_the_plain_formulas(m, seed):
    x = m.sample(3, rng=np.random.default_rng(seed))
    # Condition number of the covariances: 1e3 at most; squared distances of order 100.
    tolerance = 1e3 * 100 * m.dim * EPS
    for row, logpdf, score in zip(x, m.logpdf(x), m.score(x)):
        assert abs(logpdf - np.log(plain_density(m, row))) <= tolerance
        for i in range(m.dim):
            step = row.astype(complex)
            step[i] += 1e-30j
            derivative = np.log(plain_density(m, step)).imag / 1e-30
            assert abs(score[i] - derivative) <= tolerance * (1 + np.abs(score).max())


@given(gaussian_mixtures(), st.integers(0, 2**32))
def test_divergence_is_the_trace_of_the_scores_jacobian(m, seed):
    x, h = m.sample(1, rng=np.random.default_rng(seed))[0], 1e-3
    stencil, at = np.array([1, -8, 8, -1]) / (12 * h), np.array([-2, -1, 1, 2]) * h  # fourth order
    axes = list(enumerate(np.eye(m.dim)))
    fine, coarse = (
        sum(stencil / k @ m.score(x + np.outer(k * at, e))[:, i] for i, e in axes) for k in (1, 2)
    )
    # The truncation error of the fine stencil is a sixteenth of the coarse one's, so it is bounded
    # by their difference.
    rounding = 1e3 * 100 * m.dim * EPS * (1 + np.abs(m.score(x)).max()) / h
    assert abs(m.divergence(x) - fine) <= abs(fine - coarse) + rounding


@pytest.mark.parametrize("x", [0.3, 1e4, 1e8, -1e8])
def test_divergence_keeps_its_digits_far_from_everything(x):
    one = GaussianMixture([1.0], [[0.0]], [[[1.0]]])
    two = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    assert one.divergence([x]) == -1
    # Var of the scores under the responsibilities, here a Bernoulli variable, comes on top of -1.
    p = 1 / (1 + np.exp(-min(max(x - 0.5, -700.0), 700.0)))
    for dist in (two, Empirical([[0.0], [1.0]]).noised(1.0, 1.0)):
        assert dist.divergence([x]) == pytest.approx(-1 + p * (1 - p), rel=1e-13)
    near = GaussianMixture([0.5, 0.5], [[0.0], [1 / x]], [[[1.0]], [[1.0]]])
    assert near.divergence([x]) == pytest.approx(-1, abs=1 / x**2 + 1e-13)
    narrow = Empirical([[0.0, 0.0]]).noised(1.0, 1e-12)
    assert narrow.divergence([x, 1.0]) == pytest.approx(-2e12, rel=1e-14)


def test_weights_are_divided_by_their_sum():
    thirds = np.float32([1 / 3] * 3)
    m = GaussianMixture(thirds, [[0.0], [1.0], [2.0]], 3 * [[[1.0]]])
    assert m.weights.sum() == pytest.approx(1, abs=2 * EPS) and m.weights.dtype == np.float64
    assert m.sample(100, rng=np.random.default_rng(0)).shape == (100, 1)
    assert GaussianMixture([1], [[0]], [[[1]]]).weights.dtype == np.float64


def test_sampled_noise_has_the_stated_variance_to_three_per_cent():
    # The variance of n numbers is known to sqrt(2 / n) = 0.35 %: five of these are 1.8 %.
    n = 160_000
    dist, rng = Empirical([[2.0]]).noised(0.25, 0.09), np.random.default_rng(3)
    for dtype in (np.float64, np.float32):
        away = dist.sample(n, rng=rng, dtype=dtype).astype(np.float64) - 1
        assert abs(np.square(away).mean() / 0.09 - 1) <= 5 * np.sqrt(2 / n)
        assert abs(away.mean()) <= 5 * 0.3 / np.sqrt(n)
    mixture = GaussianMixture([0.5, 0.5], [[1.0], [-1.0]], [[[0.04]], [[1.0]]])
    squares = np.square(mixture.sample(n, rng=rng))
    assert abs(squares.mean() / 1.52 - 1) <= 5 * np.sqrt(np.var(squares) / n) / 1.52 < 0.03


def test_a_density_on_the_whole_space_needs_variance_everywhere():
    line = np.diag([1.0, 0.0])
    assert not GaussianMixture([0.5, 0.5], np.zeros((2, 2)), [np.eye(2), line]).has_density
    assert GaussianMixture([1.0, 0.0], np.zeros((2, 2)), [np.eye(2), line]).has_density
    assert not Empirical([[0.0]]).has_density and Empirical([[0.0]]).noised(1.0, 0.1).has_density
    assert Gaussian([0.0], [[1.0]]).has_density and not PointMass([0.0]).has_density


@given(
    st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 6), st.sampled_from([1e-6, 0.1, 0.9])
)
def test_diffused_points_are_the_mixture_of_equal_gaussians(seed, dim, n, beta):
    rng, schedule = np.random.default_rng(seed), Schedule.from_beta([beta])
    points = rng.standard_normal((n, dim))
    kernel = Empirical(points).diffuse(schedule, 1)
    mixture = GaussianMixture(np.full(n, 1 / n), points, np.zeros((n, dim, dim))).diffuse(
        schedule, 1
    )
    x = kernel.sample(4, rng=rng).reshape(2, 2, dim)
    # A squared distance of about dim beta, from coordinates of size 1: relative error eps /
    # sqrt(beta).
    tolerance = 1000 * dim * EPS / np.sqrt(beta)
    assert np.allclose(kernel.logpdf(x), mixture.logpdf(x), rtol=0, atol=tolerance)
    assert np.allclose(
        kernel.score(x), mixture.score(x), rtol=0, atol=tolerance / np.sqrt(beta) * 10
    )
    assert np.allclose(
        kernel.divergence(x), mixture.divergence(x), rtol=0, atol=tolerance / beta * 100
    )


def test_one_component_is_its_gaussian():
    g = Gaussian([1.0, 2.0], [[2.0, 0.5], [0.5, 1.0]])
    m, x = GaussianMixture([1.0], [g.mean], [g.cov]), [[0.0, 0.0], [3.0, -1.0]]
    assert np.array_equal(m.logpdf(x), g.logpdf(x)) and np.array_equal(m.score(x), g.score(x))
    assert np.allclose(m.divergence(x), g.divergence(x), rtol=8 * EPS)


def test_far_from_everything_the_nearest_component_answers():
    m = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    e = Empirical([[-1.0], [1.0]]).noised(1.0, 1.0)
    for dist in (m, e):
        assert dist.score([1e6]) == pytest.approx([1 - 1e6], rel=4 * EPS)
        assert dist.logpdf([1e6]) == pytest.approx(-0.5 * (1e6 - 1) ** 2, rel=1e-9)


def test_a_point_of_several_supports_belongs_to_the_thinnest():
    line, point = np.diag([1.0, 0.0]), np.zeros((2, 2))
    m = GaussianMixture(
        [0.25, 0.5, 0.25], [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]], [line, point, np.eye(2)]
    )
    plane, on_line = Gaussian([1.0, 1.0], np.eye(2)), Gaussian([0.0, 0.0], line)
    x = np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 0.5]])
    expected = [np.log(0.5), np.log(0.25) + on_line.logpdf(x[1]), np.log(0.25) + plane.logpdf(x[2])]
    assert m.logpdf(x) == pytest.approx(expected, rel=8 * EPS)
    assert np.allclose(m.score(x), [[0, 0], [-0.5, 0], [0.5, 0.5]], rtol=0, atol=8 * EPS)
    assert np.allclose(m.divergence(x), [0, -1, -2], rtol=0, atol=8 * EPS)


def test_off_every_support_there_is_no_density():
    m = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [0.0, 1.0]], 2 * [np.diag([1.0, 0.0])])
    e, p = Empirical([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), PointMass([0.0, 1.0])
    for dist in (m, e, p):
        assert dist.logpdf([1.0, 0.5]) == -np.inf
        assert np.isnan(dist.score([1.0, 0.5])).all() and np.isnan(dist.divergence([1.0, 0.5]))
    assert m.logpdf([1.0, 1.0]) == pytest.approx(np.log(0.5) - 0.5 - 0.5 * np.log(2 * np.pi))
    assert e.logpdf([[0.0, 0.0], [0.0, 1.0]]) == pytest.approx(np.log([1 / 3, 2 / 3]))
    assert np.array_equal(e.score([[0.0, 1.0]]), [[0, 0]]) and np.array_equal(
        e.divergence([[0.0, 1.0]]), [0]
    )


def test_many_points_are_answered_in_bounded_memory_and_in_the_same_numbers(monkeypatch):
    rng = np.random.default_rng(0)
    dist = Empirical(rng.standard_normal((2000, 3))).noised(0.9, 0.1)
    x = dist.sample(1000, rng=rng)
    at_once = dist.score(x)
    monkeypatch.setattr(empirical, "BLOCK", 2**14)
    dist.score(x[:1])  # imports
    tracemalloc.start()
    in_blocks = dist.score(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (
        peak < 2_000_000 < x.shape[0] * 2000 * 8
    )  # the 2 million distances alone would take 16 MB
    assert np.allclose(in_blocks, at_once, rtol=1000 * EPS, atol=1000 * EPS)
    assert dist.logpdf(x).shape == (1000,)


def test_a_stack_of_rows_is_weighed_as_each_is_alone():
    rng = np.random.default_rng(0)
    # also where squares overflow or vanish, with points near by and far away
    rows = rng.standard_normal((5, 3, 4)) * np.array([1, 1e200, 1e-170, 1, 1])[:, None, None]
    points = rng.standard_normal((5, 2, 4)) * np.array([1, 1, 1e-170, 1e200, 1])[:, None, None]
    logs, least = log_weights(rows, points, 0.3)
    for k in range(5):
        alone = log_weights(rows[k], points[k], 0.3)
        np.testing.assert_allclose(logs[k], alone[0], rtol=1e-13)
        np.testing.assert_allclose(least[k], alone[1], rtol=1e-13)
