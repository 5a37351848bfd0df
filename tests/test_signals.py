"""The notes' curve and the multi-sine ensemble."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.signals import MultiSine, multi_sine_curve

pytestmark = pytest.mark.E20
EPS = np.finfo(np.float64).eps
FREQUENCIES = [0.0826, 0.2049, 1.3489, 3.1848, 4.0664]
seeds = st.integers(0, 2**32)


@given(seeds, st.integers(2, 80), st.integers(1, 7))
def test_a_curve_has_unit_deviation_and_is_the_stated_sum(seed, dim, n_frequencies):
    curve = multi_sine_curve(dim, n_frequencies, rng=np.random.default_rng(seed))
    rng, tau = np.random.default_rng(seed), np.linspace(0, 1, dim)
    frequencies = rng.uniform(0, dim / 10, n_frequencies)
    phases = rng.uniform(0, 2 * np.pi, n_frequencies)
    plain = sum(np.cos(2 * np.pi * f * tau + phi) for f, phi in zip(frequencies, phases))
    assert curve.shape == (dim,) and curve.dtype == np.float64
    assert curve.std() == pytest.approx(1, rel=100 * EPS / plain.std())
    assert np.allclose(
        curve, plain / plain.std(), rtol=0, atol=1000 * n_frequencies * EPS / plain.std() ** 2
    )


def test_phases_cover_the_circle_so_that_curves_average_to_zero():
    rng, n = np.random.default_rng(0), 1000
    curves = np.array([multi_sine_curve(20, 2, rng=rng) for _ in range(n)])
    assert np.all(np.abs(curves.mean(0)) <= 5 * curves.std(0) / np.sqrt(n))


@given(seeds, st.integers(1, 60), st.integers(1, 6), st.floats(0, 2))
def test_covariance_depends_on_the_distance_in_time_alone(seed, dim, k, noise):
    rng = np.random.default_rng(seed)
    frequencies, scale = rng.uniform(0, 5, k), rng.uniform(0, 2, k)
    tau = np.linspace(0, 1, dim)
    distance = tau[:, None] - tau
    expected = sum(
        s**2 * np.cos(2 * np.pi * f * distance) for f, s in zip(frequencies, scale)
    ) + noise**2 * np.eye(dim)
    ensemble = MultiSine(frequencies, scale, dim, noise)
    assert ensemble.factor.shape == (2 * k, dim)
    assert np.allclose(
        ensemble.cov, expected, rtol=0, atol=200 * k * EPS * (np.square(scale).sum() + noise**2)
    )
    on_axes = (ensemble.axes * ensemble.spectrum) @ ensemble.axes.T
    assert np.allclose(on_axes, ensemble.cov, rtol=0, atol=50 * EPS * (ensemble.spectrum.max() + 1))
    assert ensemble.rank == dim if noise > 0 else ensemble.rank <= min(dim, 2 * k)


def test_every_coordinate_has_unit_variance_by_default():
    for ensemble in (
        MultiSine(FREQUENCIES),
        MultiSine(FREQUENCIES, 1 / np.sqrt(5)),
        MultiSine(FREQUENCIES, [1 / np.sqrt(5)] * 5),
    ):
        assert np.allclose(np.diag(ensemble.cov), 1, rtol=4 * EPS)
        assert np.array_equal(ensemble.cov, MultiSine(FREQUENCIES).cov)
    assert not MultiSine(FREQUENCIES).mean.any() and MultiSine(FREQUENCIES).rank == 10


def test_samples_are_the_stated_sums():
    rng, clean = np.random.default_rng(1), MultiSine(FREQUENCIES)
    expected = rng.standard_normal((3, 10)) @ clean.factor
    assert np.array_equal(clean.sample(3, rng=np.random.default_rng(1)), expected)


@given(seeds, st.sampled_from(["random", "slow", "twins", "equal", "zero"]), st.integers(1, 60))
def test_own_samples_always_have_a_density_and_points_beside_the_support_never(seed, kind, dim):
    rng = np.random.default_rng(seed)
    frequencies = {
        "random": rng.uniform(0, 5, 5),
        "slow": rng.uniform(0, 0.5, 5),
        "twins": np.repeat(rng.uniform(0, 5, 2), 2) + [0, 1e-7, 0, 0.01],
        "equal": np.full(3, 2.0),
        "zero": np.array([0.0, 1.0]),
    }[kind]
    ensemble = MultiSine(frequencies, dim=dim)
    x = ensemble.sample(20, rng=rng)
    assert np.isfinite(ensemble.logpdf(x)).all()
    assert np.isfinite(ensemble.score(x)).all()
    assert np.isfinite(ensemble.entropy)
    assert np.isfinite(ensemble.logpdf(ensemble.sample(20, rng=rng, dtype=np.float32))).all()
    if ensemble.rank < dim:
        assert np.all(ensemble.logpdf(x + 1e-6 * ensemble.axes[:, -1]) == -np.inf)


def test_dependent_frequencies_lower_the_rank():
    assert MultiSine([2.0, 2.0, 2.0]).rank == 2
    assert MultiSine([0.0]).rank == 1
    assert MultiSine([1.0, 2.0], scale=[1.0, 0.0]).rank == 2
    assert MultiSine([1.0], dim=1).rank == 1


def test_random_ensembles_draw_frequencies_below_a_tenth_of_the_sampling_rate():
    rng = np.random.default_rng(0)
    drawn = np.concatenate([MultiSine.random(rng=rng).frequencies for _ in range(200)])
    assert len(drawn) == 1000 and 0 < drawn.min() < 0.05 and 4.95 < drawn.max() < 5
    short = MultiSine.random(300, 20, rng=rng)
    assert short.factor.shape == (600, 20) and 1.9 < short.frequencies.max() < 2
    one, again, other = (MultiSine.random(rng=np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(one.cov, again.cov) and not (one.frequencies == other.frequencies).any()
    draws = [one.sample(2, rng=np.random.default_rng(seed)) for seed in (5, 5, 6)]
    assert np.array_equal(draws[0], draws[1]) and not (draws[0] == draws[2]).any()
