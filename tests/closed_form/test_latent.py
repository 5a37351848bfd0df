"""P(x) as an integral over z: quadrature and sampling against the linear decoder's answer; PPCA."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.distributions import Empirical, Gaussian, kl_divergence
from ddpm_np.closed_form.latent import (
    LinearDecoder,
    decoder_log_likelihood,
    importance_sampling,
    naive_monte_carlo,
    ppca,
    quadrature,
    zero_one,
)

pytestmark = pytest.mark.E31

EPS = np.finfo(float).eps


def linear_decoder(dim, k, noise, seed=0):
    rng = np.random.default_rng(seed)
    return LinearDecoder(rng.standard_normal((dim, k)), rng.standard_normal(dim), noise)


@pytest.mark.E32
@given(st.floats(0.05, 3.0), st.floats(-3.0, 3.0))
def test_the_gaussian_decoders_density_integrates_to_one(noise, mean):
    u = np.linspace(-12, 12, 2001)
    density = np.exp(decoder_log_likelihood((mean + noise * u)[:, None], [mean], noise))
    # The trapezoidal rule is exact here; x - mean is known to the rounding of the mean, in units of
    # the noise.
    assert abs(density.sum() * noise * 0.012 - 1) <= 100 * EPS * (1 + abs(mean) / noise)


@pytest.mark.E32
def test_as_a_function_of_the_mean_it_is_the_same_curve_mirrored():
    offsets = np.linspace(-2, 2, 41)[:, None]
    of_x = decoder_log_likelihood(0.7 + offsets, [0.7], 0.4)
    of_mean = decoder_log_likelihood([0.7], 0.7 - offsets, 0.4)
    # Both differ from the offset itself by the rounding of 0.7 + offset, at most 2 * 2.7 EPS, times
    # the slope 2 / 0.4^2.
    assert np.abs(of_x - of_mean).max() <= 2 * 2.7 * EPS * 2 / 0.4**2 + 4 * EPS * np.abs(of_x).max()


@pytest.mark.parametrize("k", [1, 2])
def test_quadrature_gives_the_linear_decoders_marginal(k):
    decoder = linear_decoder(4, k, 0.8)
    x = decoder.mu + np.array([0.5, -1.0, 0.2, 0.7])
    # All three are sums of terms of size |log p| and of node logarithms up to 1e3; the rule itself
    # is exact here (see its docstring).
    assert abs(quadrature(decoder, x, 0.8, k) - decoder.marginal.logpdf(x)) <= 1e3 * EPS * 50


def test_quadrature_and_importance_sampling_agree_for_a_curved_decoder():
    def curved(z):
        return np.concatenate([z, z**2, np.sin(3 * z)], axis=-1)

    x = np.array([0.6, 0.5, 0.9])
    exact = quadrature(curved, x, 0.3, 1, nodes=2001)
    estimate = importance_sampling(
        curved, x, 0.3, Gaussian([0.5], [[0.5]]), n=20000, rng=np.random.default_rng(1)
    )
    assert abs(estimate.log_p - exact) <= 5 * estimate.standard_error
    assert estimate.standard_error < 0.05


def test_with_the_exact_posterior_every_draw_has_the_same_weight():
    decoder = linear_decoder(12, 3, 0.5)
    x = decoder.marginal.sample(1, rng=np.random.default_rng(3))[0]
    estimate = importance_sampling(
        decoder, x, 0.5, decoder.posterior(x), n=100, rng=np.random.default_rng(4)
    )
    condition = np.linalg.cond(decoder.posterior(x).cov) * np.linalg.cond(decoder.marginal.cov)
    assert abs(estimate.log_p - decoder.marginal.logpdf(x)) <= 100 * EPS * condition
    assert estimate.standard_error <= 100 * EPS * condition
    assert estimate.effective_draws == pytest.approx(100, rel=100 * EPS * condition)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_broadened_posterior_is_right_within_five_standard_errors(k):
    decoder = linear_decoder(30, k, 0.5)
    x = decoder.marginal.sample(1, rng=np.random.default_rng(5))[0]
    proposal = decoder.posterior(x, broaden=1.5)
    estimate = importance_sampling(decoder, x, 0.5, proposal, n=4000, rng=np.random.default_rng(6))
    assert abs(estimate.log_p - decoder.marginal.logpdf(x)) <= 5 * estimate.standard_error
    assert 0 < estimate.standard_error < 0.1


def test_naive_monte_carlo_is_right_in_one_dimension_and_hopeless_in_fifty():
    rng = np.random.default_rng(7)
    low, high = linear_decoder(1, 1, 0.5), linear_decoder(50, 50, 0.5)
    x = low.marginal.sample(1, rng=rng)[0]
    estimate = naive_monte_carlo(low, x, 0.5, 1, n=10000, rng=rng)
    assert abs(estimate.log_p - low.marginal.logpdf(x)) <= 5 * estimate.standard_error
    x = high.marginal.sample(1, rng=rng)[0]
    estimate = naive_monte_carlo(high, x, 0.5, 50, n=10000, rng=rng)
    assert estimate.log_p < high.marginal.logpdf(x) - 100
    assert estimate.effective_draws < 2


@pytest.mark.E32
def test_the_zero_one_decoder_gives_zero_for_any_continuous_decoder_and_one_for_a_constant():
    decoder = linear_decoder(2, 2, 0.0)
    rng = np.random.default_rng(8)
    assert zero_one(decoder, decoder(np.array([0.3, 0.1])), 2, n=1000, rng=rng) == 0.0
    assert zero_one(lambda z: np.zeros((len(z), 2)), [0.0, 0.0], 2, n=10, rng=rng) == 1.0
    assert zero_one(lambda z: z * [0.0, 1.0], [0.0, 0.5], 2, n=10, rng=rng) == 0.0
    # What is meant: the density by change of variables, finite and not 0.
    doubled = LinearDecoder([[2.0]], [0.0], 0.0)
    assert np.exp(doubled.marginal.logpdf([0.0])) == pytest.approx(
        1 / (2 * np.sqrt(2 * np.pi)), rel=4 * EPS
    )


@pytest.mark.E30
@given(st.integers(0, 1000), st.integers(1, 3))
def test_ppca_has_no_better_neighbour(seed, k):
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((40, 5)) * [3, 2, 1, 0.7, 0.5] @ rng.standard_normal((5, 5))
    truth = Gaussian(data.mean(0), np.cov(data.T, bias=True))
    best = ppca(truth.mean, truth.cov, k)
    least = kl_divergence(truth, best.marginal)
    for _ in range(5):
        W = best.W + 0.05 * rng.standard_normal(best.W.shape)
        other = LinearDecoder(W, best.mu, best.noise * np.exp(0.05 * rng.standard_normal()))
        assert kl_divergence(truth, other.marginal) >= least - 100 * EPS * np.linalg.cond(truth.cov)


@pytest.mark.E30
def test_ppca_recovers_a_linear_decoder_from_its_own_marginal():
    decoder = linear_decoder(8, 3, 0.4)
    found = ppca(decoder.mu, decoder.marginal.cov, 3)
    assert found.noise == pytest.approx(0.4, rel=100 * EPS * np.linalg.cond(decoder.marginal.cov))
    assert np.allclose(
        found.W @ found.W.T,
        decoder.W @ decoder.W.T,
        rtol=0,
        atol=100 * EPS * np.linalg.norm(decoder.marginal.cov),
    )


def test_ppca_of_a_covariance_of_lower_rank_has_no_noise():
    W = np.array([[1.0], [2.0], [0.5]])
    found = ppca(np.zeros(3), W @ W.T, 1)
    assert found.noise <= np.sqrt(100 * EPS * 5.25)
    assert np.allclose(found.W @ found.W.T, W @ W.T, rtol=0, atol=100 * EPS * 5.25)


@pytest.mark.parametrize("W", [[[0.3, 0.7]], [[1.0], [0.0]], [[1.0, 1.0], [1.0, 1.0], [0.0, 2.0]]])
@pytest.mark.parametrize("noise", [1e-2, 1e-6, 1e-8, 1e-11])
def test_small_noise_is_lost_neither_in_the_marginal_nor_in_the_posterior(W, noise):
    decoder = LinearDecoder(W, np.zeros(len(W)), noise)
    x = decoder(np.full(len(W[0]), 0.4))
    marginal, posterior = decoder.marginal, decoder.posterior(x)
    assert marginal.has_density and posterior.has_density
    estimate = importance_sampling(
        decoder, x, noise, posterior, n=500, rng=np.random.default_rng(1)
    )
    # x - G(z) is of size noise and known to the rounding of x.
    rounding = 100 * EPS * (1 + np.abs(W).max()) / noise
    assert abs(estimate.log_p - marginal.logpdf(x)) <= rounding * (1 + 1e3 * noise)
    assert estimate.standard_error <= rounding and estimate.effective_draws >= 499
    # det(W W^T + s^2 I) = s^(2 (dim - rank)) prod (S^2 + s^2), from the singular values.
    S = np.zeros(len(W))
    values = np.linalg.svd(np.array(W), compute_uv=False)
    S[: len(values)] = values
    assert np.allclose(np.sort(marginal.spectrum), np.sort(S**2 + noise**2), rtol=1e-12, atol=0)


def test_any_proposal_with_a_density_gives_the_evidence():
    decoder, rng = LinearDecoder([[1.0]], [0.0], 1.0), np.random.default_rng(0)
    blurred = Empirical([[0.3], [-0.6]]).noised(1.0, 1.0)
    estimate = importance_sampling(decoder, [0.5], 1.0, blurred, n=20000, rng=rng)
    assert abs(estimate.log_p - decoder.marginal.logpdf([0.5])) <= 5 * estimate.standard_error


@pytest.mark.parametrize(
    "k, z", [*((1, z) for z in (0.0, 0.025, 0.0125, 0.333)), (2, 0.0125), (2, 0.333)]
)
def test_quadrature_gives_the_integral_or_refuses(k, z):
    # z on a node, between two, and elsewhere; on the second axis the integrand stays wide.
    refused = 0
    for noise in (1.0, 0.1, 0.07, 0.055, 0.05, 0.03, 1e-2, 1e-5):
        decoder, x = LinearDecoder(np.eye(1, k), [0.0], noise), [z]
        try:
            found = quadrature(decoder, x, noise, k)
        except ValueError as error:
            assert "nodes must be enough to resolve the integrand, got 401" in str(error)
            refused += 1
        else:
            assert refused == 0 and abs(found - decoder.marginal.logpdf(x)) <= 1e-9
    assert 3 <= refused <= 5
    assert quadrature(LinearDecoder([[1.0]], [0.0], 0.03), x, 0.03, 1, nodes=1001) == pytest.approx(
        Gaussian([0.0], [[1 + 0.03**2]]).logpdf(x), abs=1e-12
    )
    with pytest.raises(ValueError, match=r"x must have its latents inside \[-10, 10\]"):
        quadrature(lambda z: 0.01 * z[:, :1], [1.0], 0.001, k)


def test_the_standard_error_is_the_delta_method():
    decoder, x = LinearDecoder([[1.0]], [0.0], 0.5), [0.7]
    estimate = naive_monte_carlo(decoder, x, 0.5, 1, n=300, rng=np.random.default_rng(12))
    z = np.random.default_rng(12).standard_normal((300, 1))
    w = np.exp(decoder_log_likelihood(x, decoder(z), 0.5))
    assert estimate.log_p == pytest.approx(np.log(w.mean()), rel=1e-12)
    error = np.sqrt(np.square(w - w.mean()).sum() / 299 / 300) / w.mean()
    assert estimate.standard_error == pytest.approx(error, rel=1e-12)
    assert estimate.effective_draws == pytest.approx(w.sum() ** 2 / np.square(w).sum(), rel=1e-12)


def test_integers_count_as_float64():
    # 2^24 + 1 is no float32.
    big = 2**24 + 1
    decoder = LinearDecoder([[big]], [big], 1)
    assert decoder.W.dtype == decoder.mu.dtype == np.float64 and decoder.W[0, 0] == big
    single = LinearDecoder(np.float32([[3]]), np.float32([1]), 1)
    assert single.W.dtype == single.mu.dtype == np.float64
    posterior = LinearDecoder([[1]], [0], 1e-8).posterior([big])
    assert posterior.mean[0] == pytest.approx(big, rel=1e-15)
