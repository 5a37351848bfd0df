"""Rings: the decoder and its slopes, the quadrature against finer ones, the nearest ring."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_np.closed_form.distributions import Rings, rings
from ddpm_np.closed_form.distributions.gaussian import Gaussian
from ddpm_np.closed_form.distributions.rings import nearest_ring, ring_pictures
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_floor
from ddpm_np.schedule import Schedule

Array = NDArray[np.float64]
SMALL = Rings(8, radius=2.2, spread=0.8)


def at_level(sigma: float, dist: Rings = SMALL) -> Rings:
    """The distribution of (x_0 + sigma eps) / sqrt(1 + sigma^2)."""
    return dist.noised(1 / (1 + sigma**2), sigma**2 / (1 + sigma**2))


def test_a_ring_is_dark_outside_bright_on_the_rim_and_grey_inside() -> None:
    picture = ring_pictures(np.array([[1.0, 0.0]]), 4.4, 17).reshape(17, 17)
    # the centre is one row below the middle pixel, which is (8, 8)
    assert abs(picture[9, 8]) < 1e-3 and abs(picture[0, 0] + 1) < 1e-3
    assert picture[9, 12] > 0.7 and picture[9, 4] > 0.7 and picture[13, 8] > 0.7
    np.testing.assert_allclose(picture, picture[:, ::-1], rtol=0, atol=1e-15)
    u = (4.4 - np.hypot(3 - 1, -8 + 8)) / 0.6, 1 / 0.6
    expected = np.tanh(u[0] + u[1]) - np.tanh(u[0] - u[1]) / 2 - 0.5
    assert abs(picture[11, 8] - expected) < 1e-14


def test_slopes_are_the_derivatives_of_the_picture() -> None:
    place, radius = np.array([[0.3, -0.7]]), np.array([2.5])
    _, slopes = rings._rings(place, radius, 8, slopes=True)
    h, moves = 1e-6, [([[1, 0]], 0), ([[0, 1]], 0), ([[0, 0]], 1)]
    assert slopes is not None
    for slope, (along, wider) in zip(slopes[0], moves):
        step = h * np.array(along)
        up = ring_pictures(place + step, radius + h * wider, 8)
        down = ring_pictures(place - step, radius - h * wider, 8)
        np.testing.assert_allclose(slope, (up - down)[0] / (2 * h), rtol=0, atol=1e-8)


def test_moments_and_samples_agree() -> None:
    for dist in (SMALL, at_level(0.5)):
        x = dist.sample(4000, rng=np.random.default_rng(0))
        error = x.std(0, ddof=1) / np.sqrt(4000)
        assert np.all(np.abs(x.mean(0) - dist.mean) <= 5 * error + 1e-12)
        squares = np.square(x).mean(1)
        assert abs(squares.mean() - dist.mean_square) <= 5 * squares.std() / np.sqrt(4000)
        along = (x - dist.mean) @ np.ones(64)
        expected = dist.cov.sum()
        assert abs(np.square(along).mean() / expected - 1) <= 5 * np.sqrt(2 / 4000) * 2


@pytest.mark.E24
@pytest.mark.parametrize("sigma", [0.016, 0.26, 0.29, 1.5])
def test_the_quadrature_is_that_of_a_finer_grid(
    sigma: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = at_level(sigma)
    x = dist.sample(6, rng=np.random.default_rng(0))
    coarse = dist.score(x), dist.logpdf(x), dist.divergence(x)
    monkeypatch.setattr(rings, "GRID_STEP", 0.6)
    monkeypatch.setattr(rings, "MOST_STEP", 0.08)
    monkeypatch.setattr(rings, "GRID_REACH", 6.5)
    monkeypatch.setattr(rings, "WHITE_STEP", 0.5)
    monkeypatch.setattr(rings, "WHITE_REACH", 8.0)
    dist = at_level(sigma)
    # in eps, -sqrt(noise) score, and its divergence
    scale = np.sqrt(dist.noise)
    assert scale * np.abs(coarse[0] - dist.score(x)).max() <= 1e-6
    assert np.abs(coarse[1] - dist.logpdf(x)).max() <= 1e-6
    assert scale * np.abs(coarse[2] - dist.divergence(x)).max() <= 1e-4


@pytest.mark.E24
@pytest.mark.parametrize("sigma", [0.26, 0.3])
def test_both_grids_give_the_same(sigma: float) -> None:
    dist = at_level(sigma)
    x = dist.sample(6, rng=np.random.default_rng(0))
    around, fixed = dist._around_the_mode(x), dist._on_the_fixed_grid(x)
    for one, other in zip(around, fixed):
        # sums over the pixels in the spread and in the logarithm
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.E24
@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_score_and_divergence_are_derivatives_of_the_density(sigma: float) -> None:
    dist, h = at_level(sigma), 1e-4
    x = dist.sample(1, rng=np.random.default_rng(1))
    steps = h * np.eye(dist.dim)
    slope = (dist.logpdf(x + steps) - dist.logpdf(x - steps)) / (2 * h)
    np.testing.assert_allclose(dist.score(x)[0], slope, rtol=0, atol=2e-4)
    second = np.trace(dist.score(x + steps) - dist.score(x - steps)) / (2 * h)
    assert abs(dist.divergence(x)[0] / second - 1) < 1e-4


@pytest.mark.E25
def test_two_unknown_numbers_cost_two_shares_of_the_loss() -> None:
    """While the noise hides only where exactly the ring is, the floor is 2 / dim."""
    schedule = Schedule.from_beta([1e-4, 1e-3])
    floor, error = estimate_floor(SMALL, schedule, n=8, rng=np.random.default_rng(0))
    np.testing.assert_allclose(floor[1:], 2 / SMALL.dim, rtol=0.02)


@pytest.mark.E24
def test_it_serves_the_ideal_denoiser_in_any_shape_and_dtype() -> None:
    schedule = Schedule.from_beta([0.01, 0.6])
    ideal = IdealDenoiser(SMALL, schedule)
    x = SMALL.diffuse(schedule, 2).sample(6, rng=np.random.default_rng(0))
    whole = ideal(x, 2)
    assert np.array_equal(ideal(x.reshape(2, 3, 64), 2), whole.reshape(2, 3, 64))
    assert ideal(x.astype(np.float32), 1).dtype == np.float32
    assert SMALL.logpdf is not None and np.shape(at_level(1.0).logpdf(x[0])) == ()
    assert SMALL.sample(3, rng=np.random.default_rng(0), dtype=np.float32).dtype == np.float32


def test_noise_adds_up() -> None:
    once = SMALL.noised(0.5, 0.25).noised(0.8, 0.1)
    assert once.kept == 0.5 * 0.8 and once.noise == 0.25 * 0.8 + 0.1
    assert repr(once) == "Rings(size=8, radius=2.2, spread=0.8, kept=0.4, noise=0.3)"
    nothing = SMALL.noised(0.0, 1.0)
    x = np.random.default_rng(0).standard_normal((2, 64))
    np.testing.assert_allclose(nothing.score(x), -x, rtol=0, atol=1e-12)


def test_the_nearest_ring_is_found_from_a_noisy_one() -> None:
    rng = np.random.default_rng(0)
    place, radius = rng.uniform(-1.5, 1.5, (20, 2)), rng.uniform(2.5, 5.5, 20)
    clean = ring_pictures(place, radius, 16)
    fit = nearest_ring(clean)
    assert fit.distance.max() < 1e-9 and np.abs(fit.radius - radius).max() < 1e-8
    assert np.abs(fit.place - place).max() < 1e-8
    noisy = clean + 0.1 * rng.standard_normal(clean.shape)
    fit = nearest_ring(noisy)
    assert np.all(fit.distance <= np.sqrt(np.square(noisy - clean).mean(1)))
    assert np.abs(fit.radius - radius).max() < 0.1
    same_size = nearest_ring(noisy, radius=4.4)
    assert np.all(same_size.radius == 4.4) and np.all(same_size.distance >= fit.distance - 1e-9)


@pytest.mark.E24
def test_where_no_trace_of_the_rings_is_left_they_are_white_noise() -> None:
    white = Gaussian(np.zeros(64), 0.7 * np.eye(64))
    x = white.sample(5, rng=np.random.default_rng(0))
    for kept in (0.0, 1e-30):
        noise = SMALL.noised(kept, 0.7)
        np.testing.assert_allclose(noise.logpdf(x), white.logpdf(x), rtol=1e-12)
        np.testing.assert_allclose(noise.score(x), white.score(x), rtol=0, atol=1e-12)
        np.testing.assert_allclose(noise.divergence(x), white.divergence(x), rtol=1e-12)
