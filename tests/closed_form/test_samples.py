"""What the distributions have in common: their samples, in either dtype, and what noise does."""

import numpy as np
import pytest

from ddpm_np.closed_form.distributions import Empirical, Gaussian, GaussianMixture
from ddpm_np.forward import covariance_at, q_mean_variance
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

EPS = np.finfo(np.float64).eps
SCHEDULE = Schedule.from_beta([1e-6, 0.3, 0.9])
FACTOR = np.random.default_rng(0).standard_normal((3, 5))
CLEAN = {
    "a Gaussian": Gaussian([1.0, -2.0, 0.0, 3.0, 0.5], FACTOR.T @ FACTOR),
    "a mixture": GaussianMixture(
        [0.25, 0.75, 0.0],
        [[0.0, 4.0], [1.0, 0.0], [9.0, 9.0]],
        [np.eye(2), np.diag([2.0, 0.0]), np.eye(2)],
    ),
    "a coin": GaussianMixture([0.5, 0.5], [[0.0, 1.0], [2.0, -5.0]], np.zeros((2, 2, 2))),
    "points": Empirical([[0.0, 1.0], [2.0, 1.0], [2.0, -5.0]]),
    "an ensemble": MultiSine([1.0, 2.5], [1.0, 0.5], dim=6, noise=0.3),
}
NOISY = {f"{name}, with noise": dist.noised(0.5, 0.2) for name, dist in CLEAN.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CLEAN | NOISY)
def test_samples_have_the_stated_mean_and_covariance_and_a_density(name, dtype):
    dist, n = (CLEAN | NOISY)[name], 40_000
    x = dist.sample(n, rng=np.random.default_rng(0), dtype=dtype)
    assert x.shape == (n, dist.dim) and x.dtype == dtype
    away = x.astype(np.float64) - dist.mean
    products = away[:, :, None] * away[:, None, :]
    assert np.all(np.abs(away.mean(0)) <= 5 * away.std(0) / np.sqrt(n))
    assert np.all(np.abs(products.mean(0) - dist.cov) <= 5 * products.std(0) / np.sqrt(n))
    assert np.isfinite(dist.logpdf(x[:50])).all() and np.isfinite(dist.score(x[:50])).all()
    assert dist.score(x[:50]).dtype == dtype


@pytest.mark.parametrize("name", CLEAN | NOISY)
def test_a_sample_is_what_its_generator_makes_it(name):
    dist = (CLEAN | NOISY)[name]
    one, again, other = (dist.sample(50, rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


@pytest.mark.E4
@pytest.mark.E5
@pytest.mark.E6
@pytest.mark.parametrize("t", [0, 1, 2, 3])
@pytest.mark.parametrize("name", CLEAN)
def test_noise_moves_mean_and_covariance_as_the_forward_process_does_at_once_or_in_stages(name, t):
    dist = CLEAN[name]
    x_t, size = dist.diffuse(SCHEDULE, t), np.abs(dist.cov).max() + np.square(dist.mean).max() + 1
    assert np.abs(x_t.mean - q_mean_variance(SCHEDULE, dist.mean, t)[0]).max() <= 20 * EPS * size
    assert np.abs(x_t.cov - covariance_at(SCHEDULE, dist.cov, t)).max() <= 100 * EPS * size
    if t > 1:
        staged = dist.diffuse(SCHEDULE, 1).noised(*SCHEDULE.between(1, t))
        x = x_t.sample(5, rng=np.random.default_rng(0))
        assert np.abs(staged.logpdf(x) - x_t.logpdf(x)).max() <= 1000 * EPS * size
        assert np.abs(staged.score(x) - x_t.score(x)).max() <= 1000 * EPS * size


@pytest.mark.parametrize("name", ["a Gaussian", "a mixture", "points"])
def test_whole_numbers_become_float64(name):
    big = 2**24 + 1  # no float32
    dist = {
        "a Gaussian": Gaussian([big], [[big]]),
        "a mixture": GaussianMixture([1], [[big]], [[[1]]]),
        "points": Empirical([[big], [big]]),
    }[name]
    assert dist.mean[0] == big and dist.mean.dtype == dist.cov.dtype == np.float64
    assert dist.sample(2, rng=np.random.default_rng(0)).dtype == np.float64
