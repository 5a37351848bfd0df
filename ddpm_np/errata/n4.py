"""N4: images as draws, likelihood, the integral over z, and the Gaussian decoder."""

from math import erf, exp, log, pi, sqrt

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Empirical, Gaussian, kl_divergence
from ddpm_np.closed_form.latent import (
    LinearDecoder,
    decoder_log_likelihood,
    naive_monte_carlo,
    quadrature,
)
from ddpm_np.errata.numbers import (
    NOTES,
    STANDARD,
    Numbers,
    density,
    divergence,
    expectation,
    line_integral,
    stepwise,
    ulps,
)
from ddpm_np.forward import covariance_at

DECODER = LinearDecoder([[1.5]], [0.0], 0.5)


def _n4_12_13() -> Numbers:
    m = 2.0
    noised = Empirical([[-m], [m]]).noised(1.0, 1.0)
    fourth, second = expectation(noised, lambda x: x**4), expectation(noised, lambda x: x**2)
    truth = fourth.value / second.value**2 - 3
    corrected = -2 * m**4 / (m**2 + 1) ** 2
    return Numbers.of(0.0, corrected, truth, fourth.error + 6 * second.error)


def _n4_19() -> Numbers:
    corrected = covariance_at(NOTES, [[0.0]], NOTES.T)
    return Numbers.of(0.0, corrected, stepwise(0.0, NOTES.T), ulps(4 * NOTES.T, 1.0))


def _n4_43_44() -> Numbers:
    [printed] = density(Gaussian([0.0], [[1e-4]]), 0.0)
    half_width = 1e-12
    within = erf(half_width / (0.01 * sqrt(2)))
    return Numbers.of(printed, 0.0, within, 2.01 * half_width * printed)


def _n4_45() -> Numbers:
    from scipy.stats import chi2

    n = 50
    p, noise = Gaussian(np.zeros(n), np.eye(n)), Gaussian(np.zeros(n), 100 * np.eye(n))

    def loss(r_squared: Array) -> Array:
        x = np.sqrt(r_squared)[:, None] * np.eye(n)[0]
        model = np.logaddexp(log(0.01) + p.logpdf(x), log(0.99) + noise.logpdf(x))
        return chi2.pdf(r_squared, n) * (p.logpdf(x) - model)

    return Numbers.of(0.99 * kl_divergence(p, noise), log(100), line_integral(loss, 0, 400))


def _n4_46() -> Numbers:
    x = np.array([[0.0], [2.0]])
    totals = [Gaussian([mu], [[1.0]]).logpdf(x).sum() for mu in np.linspace(-1, 3, 401)]
    printed = 2 * STANDARD.logpdf([0.0])
    corrected = Gaussian(x.mean(axis=0), [[1.0]]).logpdf(x).sum()
    return Numbers.of(printed, corrected, max(totals), ulps(16, corrected))


def _n4_49() -> Numbers:
    other = Gaussian([2.0], [[1.0]])
    corrected = kl_divergence(STANDARD, other) - kl_divergence(STANDARD, STANDARD)
    return Numbers.of(0.0, corrected, divergence(STANDARD, other))


def _n4_57() -> Numbers:
    twice = expectation(STANDARD, lambda z: density(STANDARD, z) * _decoded(z))
    corrected = exp(quadrature(DECODER, [0.7], 0.5, 1))
    return Numbers.of(twice, corrected, density(DECODER.marginal, 0.7), ulps(256, corrected))


def _n4_74() -> Numbers:
    z = np.array([0.7 / 1.5])
    printed, corrected = density(STANDARD, z) * _decoded(z), density(DECODER.marginal, 0.7)
    return Numbers.of(printed, corrected, expectation(STANDARD, _decoded))


def _decoded(z: Array) -> Array:
    """p(x = 0.7 | z)"""
    return np.exp(decoder_log_likelihood([0.7], DECODER(z[:, None]), 0.5))


def _n4_130() -> Numbers:
    def density(x: Array) -> Array:
        return np.exp(decoder_log_likelihood(x[:, None], [3.0], 1.0))

    truth = expectation(Gaussian([3.0], [[1.0]]), density)
    return Numbers.of(3.0, 1 / (2 * sqrt(pi)), truth)


def _n4_134() -> Numbers:
    sigma = 0.5
    corrected = line_integral(lambda x: np.exp(decoder_log_likelihood(x[:, None], [0.0], sigma)))
    printed = line_integral(lambda x: np.exp(-((x / sigma) ** 2) / 2) / (sqrt(2 * pi) * sigma**2))
    return Numbers.of(printed, corrected, 1.0)


def _n4_139() -> Numbers:
    near, far = decoder_log_likelihood([[0.0], [1.0]], [0.0], 2.0)
    corrected = exp(far - near)
    return Numbers.of(exp(-1), corrected, exp(-1 / 8), ulps(16, corrected))


def _n4_153() -> Numbers:
    n, s = 20, 0.1
    decoder, x = LinearDecoder(np.eye(n), np.zeros(n), s), np.ones(n)
    rng = np.random.default_rng(0)
    printed = naive_monte_carlo(decoder, x, s, n, n=10_000, rng=rng).log_p
    # The coordinates are independent.
    truth = n * quadrature(LinearDecoder([[1.0]], [0.0], s), [1.0], s, 1)
    return Numbers.of(printed, decoder.marginal.logpdf(x), truth, ulps(256, truth))
