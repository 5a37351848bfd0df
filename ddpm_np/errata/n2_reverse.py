"""N2 from line 521: the reverse process, and the mean in terms of eps."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import reverse_kernel
from ddpm_np.errata.numbers import Numbers, notes_schedule, signs, ulps, value
from ddpm_np.forward import q_sample, q_step
from ddpm_np.posterior import (
    mean_eps_coef,
    mean_x0_coef,
    mean_xt_coef,
    mean_xt_coef_in_eps_form,
    posterior_exponent,
    posterior_mean_from_eps,
    posterior_mean_variance,
)
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


def _exact_schedule() -> Schedule:
    """alpha_bar_1 = (4/5)^2, alpha_bar_2 = (3/5)^2: at t = 2 every root is rational."""
    return Schedule.from_beta(np.array([Exact(9, 25), Exact(7, 16)]))


def n2_533() -> Numbers:
    schedule = notes_schedule()
    x, eps = signs(2).T[:, :, None]
    truth = float(np.mean((q_step(schedule, x, schedule.T, eps) - x) ** 2))
    return Numbers(0.0, 2 - 2 * sqrt(schedule.alpha[-1]), truth, ulps(16, 2.0))


def n2_550_553() -> Numbers:
    schedule, gain = notes_schedule(), np.ones(1)
    for t in range(51, schedule.T + 1):
        gain = q_step(schedule, gain, t, np.zeros(1))
    corrected = float(value(schedule.between(50, schedule.T)[0]))
    return Numbers(1.0, corrected, float(gain[0] ** 2), ulps(4 * 50, corrected))


def n2_553() -> Numbers:
    schedule, data = Schedule.from_beta([0.5]), Gaussian([0.0], [[1.0]])
    gain = float(IdealDenoiser(data, schedule)([[1.0]], 1)[0, 0])
    corrected = gain**2 * float(data.diffuse(schedule, 1).cov[0, 0])
    x_0, eps = signs(2).T[:, :, None]
    x_t = q_sample(schedule, x_0, 1, eps)
    # What a linear prediction explains of Var(eps) = 1.
    truth = float(np.mean(x_t * eps) ** 2 / np.mean(x_t**2))
    return Numbers(1.0, corrected, truth, ulps(16, 1.0))


def n2_558_563() -> Numbers:
    schedule, data = notes_schedule(), Gaussian([0.0], [[1.0]])
    _, printed = posterior_mean_variance(schedule, [0.0], [0.0], 2)
    corrected = float(reverse_kernel(data, schedule, [0.0], 2).cov[0, 0])
    # x_1 and x_2 both have variance 1 and covariance sqrt(alpha_2), found here from signs.
    x, eps = signs(2).T[:, :, None]
    truth = 1 - float(np.mean(x * q_step(schedule, x, 2, eps))) ** 2
    return Numbers(value(printed), corrected, truth, ulps(16, 1.0))


def n2_579() -> Numbers:
    def variance(log_p: np.ndarray, x: np.ndarray) -> float:
        p = np.exp(log_p)
        return float(p @ x**2 / p.sum())

    x = np.linspace(-40, 40, 8001)
    corrected = variance(Gaussian([0.0], [[4.0]]).logpdf(x[:, None]), x)
    return Numbers(variance(-4 * x**2, x), corrected, 4.0, ulps(64, 4.0))


def n2_582_585() -> Numbers:
    schedule, t, x_t, x_0 = notes_schedule(), 50, 0.3, 1.0
    mean, variance = posterior_mean_variance(schedule, [x_0], [x_t], t)
    offset = np.linspace(-12, 12, 2001) * sqrt(value(variance))
    exponent = posterior_exponent(
        mean[0] + offset,
        x_t,
        x_0,
        schedule.alpha[t],
        schedule.beta[t],
        schedule.alpha_bar[t - 1],
        schedule.alpha_bar[t],
    )

    def spread(scale: float) -> float:
        p = np.exp(-scale * exponent)
        return float(p @ offset**2 / p.sum())

    # The exponent reaches 144. exp makes its rounding, and that of the mean in it, a relative
    # error of the density.
    return Numbers(spread(1.0), spread(0.5), value(variance), ulps(1000, 1.0) * value(variance))


def n2_637() -> Numbers:
    schedule = Schedule.from_beta([16 / 25])
    x_t = q_sample(schedule, [1.0], 1, [-0.5])
    eps_theta = IdealDenoiser(Gaussian([0.0], [[1.0]]), schedule)(x_t[None], 1)[0]
    printed = float(q_sample(schedule, [1.0], 1, eps_theta)[0])
    truth = float(Fraction(3, 5) - Fraction(4, 5) / 2)
    return Numbers(printed, float(x_t[0]), truth, ulps(4, 1.0))


def n2_666() -> Numbers:
    schedule = _exact_schedule()
    alpha, beta, now = schedule.alpha[2], schedule.beta[2], schedule.alpha_bar[2]
    x_0, x_t, eps = Exact(1), Exact(2), Exact(7, 4)  # 2 = 3/5 + 4/5 * 7/4
    coefficient = mean_eps_coef(alpha, beta, schedule.one_minus_alpha_bar[2])
    printed = mean_xt_coef_in_eps_form(alpha) * x_t - coefficient * eps
    corrected = posterior_mean_from_eps(schedule, np.array([x_t]), 2, np.array([eps]))[0]
    # The vertex of the parabola E8, from three of its values.
    before = schedule.alpha_bar[1]
    left, middle, right = (
        value(posterior_exponent(Exact(k), x_t, x_0, alpha, beta, before, now)) for k in (-1, 0, 1)
    )
    truth = (left - right) / (2 * (left + right - 2 * middle))
    return Numbers(value(printed), value(corrected), truth, 0)


def n2_672() -> Numbers:
    schedule, x_t = _exact_schedule(), Exact(2)
    coefficient = mean_xt_coef_in_eps_form(schedule.alpha[2])
    # With eps = 0 the mean is f(x_t) alone; x_0 is then x_t / sqrt(alpha_bar_t).
    mean, _ = posterior_mean_variance(
        schedule, np.array([x_t / schedule.alpha_bar[2].sqrt()]), np.array([x_t]), 2
    )
    corrected = coefficient * x_t
    return Numbers(value(coefficient), value(corrected), value(mean[0]), 0)


def n2_678() -> Numbers:
    schedule = _exact_schedule()
    alpha, beta = schedule.alpha[2], schedule.beta[2]
    before, now = schedule.alpha_bar[1], schedule.alpha_bar[2]
    one_minus_before, one_minus_now = schedule.one_minus_alpha_bar[1:]
    printed = before.sqrt() * (beta + alpha + now) / (now.sqrt() * one_minus_now)
    corrected = mean_xt_coef_in_eps_form(alpha)
    # E12 with x_0 = x_t / sqrt(alpha_bar_t) - ..., before anything is collected
    from_x0 = mean_x0_coef(beta, before, one_minus_now) / now.sqrt()
    truth = from_x0 + mean_xt_coef(alpha, one_minus_now, one_minus_before)
    return Numbers(value(printed), value(corrected), value(truth), 0)
