"""N2, the derivation: the reverse process, and the coefficients in its appendices."""

from fractions import Fraction
from math import sqrt

import numpy as np

from ddpm_np import posterior
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import reverse_kernel, sampler_distribution
from ddpm_np.errata.numbers import NOTES, STANDARD, Numbers, signs, slope, ulps, value
from ddpm_np.forward import q_sample, q_step
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule

AT_50 = NOTES.alpha[50], NOTES.beta[50], NOTES.alpha_bar[49], NOTES.alpha_bar[50]
EXACT = Schedule.from_beta(np.array([Exact(9, 25), Exact(7, 16)]))
"""alpha_bar_1 = (4/5)^2, alpha_bar_2 = (3/5)^2: at t = 2 every root is rational."""


def _n2_558_563() -> Numbers:
    _, printed = posterior.posterior_mean_variance(NOTES, [0.0], [0.0], 2)
    corrected = float(reverse_kernel(STANDARD, NOTES, [0.0], 2).cov[0, 0])
    # x_1 and x_2 both have variance 1 and covariance sqrt(alpha_2), found here from signs.
    x, eps = signs(2).T
    truth = 1 - slope(x, q_step(NOTES, x, 2, eps)) ** 2
    return Numbers(value(printed), corrected, truth, ulps(16, 1.0))


def _n2_579() -> Numbers:
    x = np.linspace(-40, 40, 8001)
    as_printed, density = np.exp(-4 * x**2), np.exp(Gaussian([0.0], [[4.0]]).logpdf(x[:, None]))
    printed, corrected = (float(p @ x**2 / p.sum()) for p in (as_printed, density))
    return Numbers(printed, corrected, 4.0, ulps(64, 4.0))


def _n2_582_585() -> Numbers:
    mean, variance = posterior.posterior_mean_variance(NOTES, [1.0], [0.3], 50)
    truth = value(variance)
    offset = np.linspace(-12, 12, 2001) * sqrt(truth)
    exponent = posterior.posterior_exponent(mean[0] + offset, 0.3, 1.0, *AT_50)
    densities = (np.exp(-scale * exponent) for scale in (1.0, 0.5))
    printed, corrected = (float(p @ offset**2 / p.sum()) for p in densities)
    # The exponent reaches 144. exp makes its rounding, and that of the mean in it, a relative
    # error of the density.
    return Numbers(printed, corrected, truth, ulps(1000, 1.0) * truth)


def _n2_591_594() -> Numbers:
    left, middle, right = (
        float(posterior.posterior_exponent(x, 0.3, 1.0, *AT_50)) for x in (-1.0, 0.0, 1.0)
    )
    corrected = float(posterior.psi_2(NOTES, 50))
    return Numbers(1.0, corrected, (left + right) / 2 - middle, ulps(200, corrected))


def _n2_630() -> Numbers:
    means_only = sampler_distribution(STANDARD, NOTES, variance=np.zeros(NOTES.T + 1))
    with_noise = sampler_distribution(STANDARD, NOTES, variance="kernel")
    printed, corrected = (float(output.cov[0, 0]) for output in (means_only, with_noise))
    return Numbers(printed, corrected, 1.0, ulps(8 * NOTES.T, 1.0))


def _n2_637() -> Numbers:
    schedule = Schedule.from_beta([16 / 25])
    x_t = q_sample(schedule, [1.0], 1, [-0.5])
    eps_theta = IdealDenoiser(STANDARD, schedule)(x_t[None], 1)[0]
    printed = float(q_sample(schedule, [1.0], 1, eps_theta)[0])
    return Numbers(printed, float(x_t[0]), 3 / 5 - 4 / 5 / 2, ulps(4, 1.0))


def _n2_643() -> Numbers:
    first, second = EXACT.alpha[1:]
    corrected = posterior.mean_xt_coef_in_eps_form(second)
    return Numbers(value(1 / first.sqrt()), value(corrected), _xt_coefficient(), 0)


def _n2_666() -> Numbers:
    x_0, x_t, eps = Exact(1), Exact(2), Exact(7, 4)  # 2 = 3/5 + 4/5 * 7/4
    alpha, beta, (before, now) = EXACT.alpha[2], EXACT.beta[2], EXACT.alpha_bar[1:]
    coefficient = posterior.mean_eps_coef(alpha, beta, EXACT.one_minus_alpha_bar[2])
    printed = posterior.mean_xt_coef_in_eps_form(alpha) * x_t - coefficient * eps
    corrected = posterior.posterior_mean_from_eps(EXACT, np.array([x_t]), 2, np.array([eps]))[0]
    # The vertex of the parabola E8, from three of its values.
    left, middle, right = (
        value(posterior.posterior_exponent(Exact(k), x_t, x_0, alpha, beta, before, now))
        for k in (-1, 0, 1)
    )
    truth = (left - right) / (2 * (left + right - 2 * middle))
    return Numbers(value(printed), value(corrected), truth, 0)


def _n2_672() -> Numbers:
    x_t = Exact(2)
    coefficient = posterior.mean_xt_coef_in_eps_form(EXACT.alpha[2])
    return Numbers(value(coefficient), value(coefficient * x_t), 2 * _xt_coefficient(), 0)


def _n2_678() -> Numbers:
    alpha, beta, (before, now) = EXACT.alpha[2], EXACT.beta[2], EXACT.alpha_bar[1:]
    printed = before.sqrt() * (beta + alpha + now) / (now.sqrt() * EXACT.one_minus_alpha_bar[2])
    corrected = posterior.mean_xt_coef_in_eps_form(alpha)
    return Numbers(value(printed), value(corrected), _xt_coefficient(), 0)


def _xt_coefficient() -> float | Fraction:
    """E12 with x_0 = x_t / sqrt(alpha_bar_t) - ... in it: the coefficient of x_2, uncollected."""
    alpha, beta, (before, now) = EXACT.alpha[2], EXACT.beta[2], EXACT.alpha_bar[1:]
    one_minus_before, one_minus_now = EXACT.one_minus_alpha_bar[1:]
    from_x0 = posterior.mean_x0_coef(beta, before, one_minus_now) / now.sqrt()
    return value(from_x0 + posterior.mean_xt_coef(alpha, one_minus_now, one_minus_before))
