"""N4: images as draws, likelihood, the integral over z, and the Gaussian decoder."""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian, kl_divergence
from ddpm_np.closed_form.latent import (
    LinearDecoder,
    decoder_log_likelihood,
    naive_monte_carlo,
    quadrature,
)
from ddpm_np.errata.numbers import Numbers, line_integral, notes_schedule, ulps
from ddpm_np.forward import covariance_at, covariance_step


def n4_12_13() -> Numbers:
    m = 2.0
    law = Empirical([[-m], [m]]).noised(1.0, 1.0)
    fourth = line_integral(lambda x: x**4 * np.exp(law.logpdf(x[:, None])), -15, 15)
    second = line_integral(lambda x: x**2 * np.exp(law.logpdf(x[:, None])), -15, 15)
    corrected = -2 * m**4 / (m**2 + 1) ** 2
    truth = fourth.value / second.value**2 - 3
    return Numbers(0.0, corrected, truth, fourth.error + 6 * second.error)


def n4_19() -> Numbers:
    schedule, Sigma = notes_schedule(), np.zeros((1, 1))
    for t in range(1, schedule.T + 1):
        Sigma = covariance_step(schedule, Sigma, t)
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    return Numbers(0.0, corrected, float(Sigma[0, 0]), ulps(4 * schedule.T, 1.0))


def n4_43_44() -> Numbers:
    from scipy.special import erf

    density = exp(float(Gaussian([0.0], [[1e-4]]).logpdf([0.0])))
    half_width = 1e-12
    within = float(erf(half_width / (0.01 * sqrt(2))))
    return Numbers(density, 0.0, within, 2 * half_width * density)


def n4_45() -> Numbers:
    from scipy.stats import chi2

    n = 50
    p, noise = Gaussian(np.zeros(n), np.eye(n)), Gaussian(np.zeros(n), 100 * np.eye(n))

    def loss(r_squared: np.ndarray) -> np.ndarray:
        x = np.sqrt(r_squared)[:, None] * np.eye(n)[0]
        model = np.logaddexp(log(0.01) + p.logpdf(x), log(0.99) + noise.logpdf(x))
        return chi2.pdf(r_squared, n) * (p.logpdf(x) - model)

    truth = line_integral(loss, 0, 400)
    return Numbers(0.99 * kl_divergence(p, noise), log(100), truth.value, truth.error)


def n4_46() -> Numbers:
    x = np.array([[0.0], [2.0]])

    def total(mu: float) -> float:
        return float(Gaussian([mu], [[1.0]]).logpdf(x).sum())

    printed = 2 * float(Gaussian([0.0], [[1.0]]).logpdf([0.0]))
    truth = max(total(mu) for mu in np.linspace(-1, 3, 401))
    return Numbers(printed, total(float(x.mean())), truth, ulps(16, truth))


def n4_49() -> Numbers:
    p, q = Gaussian([0.0], [[1.0]]), Gaussian([2.0], [[1.0]])

    def integrand(x: np.ndarray) -> np.ndarray:
        log_p = p.logpdf(x[:, None])
        return np.exp(log_p) * (log_p - q.logpdf(x[:, None]))

    truth = line_integral(integrand, -12, 12)
    corrected = kl_divergence(p, q) - kl_divergence(p, p)
    return Numbers(0.0, corrected, truth.value, truth.error)


def n4_57() -> Numbers:
    decoder, x = LinearDecoder([[1.5]], [0.0], 0.5), [0.7]

    def twice(z: np.ndarray) -> np.ndarray:
        prior = np.exp(-(z**2) / 2) / sqrt(2 * pi)
        return prior**2 * np.exp(decoder_log_likelihood(x, decoder(z[:, None]), 0.5))

    printed = line_integral(twice, -12, 12)
    corrected = exp(quadrature(decoder, x, 0.5, 1))
    truth = exp(float(decoder.marginal.logpdf(x)))
    return Numbers(printed.value, corrected, truth, ulps(256, corrected))


def n4_74() -> Numbers:
    decoder, x = LinearDecoder([[1.5]], [0.0], 0.5), [0.7]

    def joint(z: np.ndarray) -> np.ndarray:
        prior = np.exp(-(z**2) / 2) / sqrt(2 * pi)
        return prior * np.exp(decoder_log_likelihood(x, decoder(z[:, None]), 0.5))

    printed = float(joint(np.array([0.7 / 1.5]))[0])
    truth = line_integral(joint, -12, 12)
    corrected = exp(float(decoder.marginal.logpdf(x)))
    return Numbers(printed, corrected, truth.value, truth.error)


def n4_130() -> Numbers:
    def square(x: np.ndarray) -> np.ndarray:
        return np.exp(2 * decoder_log_likelihood(x[:, None], [3.0], 1.0))

    truth = line_integral(square, -12, 18)
    return Numbers(3.0, 1 / (2 * sqrt(pi)), truth.value, truth.error)


def n4_134() -> Numbers:
    sigma = 0.5

    def as_printed(x: np.ndarray) -> np.ndarray:
        return np.exp(-((x / sigma) ** 2) / 2) / (sqrt(2 * pi) * sigma**2)

    def density(x: np.ndarray) -> np.ndarray:
        return np.exp(decoder_log_likelihood(x[:, None], [0.0], sigma))

    corrected = line_integral(density, -8, 8)
    printed = line_integral(as_printed, -8, 8)
    return Numbers(printed.value, corrected.value, 1.0, corrected.error)


def n4_139() -> Numbers:
    near, far = decoder_log_likelihood([[0.0], [1.0]], [0.0], 2.0)
    corrected = exp(far - near)
    return Numbers(exp(-1), corrected, exp(-1 / 8), ulps(16, corrected))


def n4_153() -> Numbers:
    n, s = 20, 0.1
    decoder, x = LinearDecoder(np.eye(n), np.zeros(n), s), np.ones(n)
    rng = np.random.default_rng(0)
    printed = naive_monte_carlo(decoder, x, s, n, n=10_000, rng=rng).log_p
    # The coordinates are independent.
    truth = n * quadrature(LinearDecoder([[1.0]], [0.0], s), [1.0], s, 1)
    return Numbers(printed, float(decoder.marginal.logpdf(x)), truth, ulps(256, truth))
