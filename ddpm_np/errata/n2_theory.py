"""N2, "扩散模型的理论推导": the reverse process and its appendices."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import reverse_kernel, sampler_distribution
from ddpm_np.errata.record import Numbers, erratum, notes_schedule, signs, ulps
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
    """alpha_bar_1 = (4/5)^2, alpha_bar_2 = (3/5)^2: every root of the derivation is rational at t = 2."""
    return Schedule.from_beta([Exact(9, 25), Exact(7, 16)])


@erratum(
    "N2:533", section="内容铺垫", kind="wrong formula", equation="E6",
    printed="lim x_t ~ N(x; 0, I)",
    corrected="lim q(x_t) = N(0, I): the law converges, x_t itself does not",
    quantity="E |x_t - x_{t-1}|^2 per coordinate at t = 100 for x_{t-1} of variance 1",
    why="A sequence that has a limit comes to rest. x_t moves on by 2 - 2 sqrt(1 - beta_t) in the mean square for ever.",
)
def limit_of_x() -> Numbers:
    schedule = notes_schedule()
    x, eps = signs(2).T[:, :, None]
    truth = float(np.mean((q_step(schedule, x, schedule.T, eps) - x) ** 2))
    return Numbers(0.0, 2 - 2 * sqrt(schedule.alpha[-1]), truth, ulps(16, 2.0))


@erratum(
    "N2:550-553", section="内容铺垫", kind="wrong formula", equation="E24",
    printed='lim x_t := eps_theta = f_theta(x_t, t) ("推知最终噪声")',
    corrected="eps_theta(x_t, t) approximates E[eps | x_t] for the eps that is in x_t",
    quantity="share of the variance of x_100 that x_50 determines, N(0, 1) data (printed: all)",
    why="From x_t the end of the chain cannot be inferred: alpha_bar_T / alpha_bar_t of it is known, the rest is still to come.",
)
def final_noise_inferred() -> Numbers:
    schedule, gain = notes_schedule(), np.ones(1)
    for t in range(51, schedule.T + 1):
        gain = q_step(schedule, gain, t, np.zeros(1))
    corrected = float(schedule.between(50, schedule.T)[0])
    return Numbers(1.0, corrected, float(gain[0] ** 2), ulps(4 * 50, corrected))


@erratum(
    "N2:553", section="内容铺垫", kind="wrong claim", equation="E24",
    printed="eps_theta ~ N(0, I)",
    corrected="Cov(eps_theta) = (1 - alpha_bar_t) (alpha_bar_t C + (1 - alpha_bar_t) I)^-1, never above I, for Gaussian data",
    quantity="variance of the best prediction for N(0, 1) data and alpha_bar_t = 1/2",
    why="A conditional mean varies less than what it predicts. Only for data that is one point is eps known exactly.",
)
def predicted_noise_is_standard() -> Numbers:
    schedule, data = Schedule.from_beta([0.5]), Gaussian([0.0], [[1.0]])
    gain = float(IdealDenoiser(data, schedule)([[1.0]], 1)[0, 0])
    x_0, eps = signs(2).T[:, :, None]
    x_t = q_sample(schedule, x_0, 1, eps)
    truth = float(np.mean(x_t * eps) ** 2 / np.mean(x_t**2))  # what a linear prediction explains of Var(eps) = 1
    return Numbers(1.0, gain**2 * float(data.diffuse(schedule, 1).cov[0, 0]), truth, ulps(16, 1.0))


@erratum(
    "N2:570-573", section="逆扩散过程", kind="wrong formula", equation="E26",
    printed='"简化式" p(x_{t-1} | x_t) = p(x_t | x_{t-1}) p(x_{t-1}) / p(x_t), x_0 dropped',
    corrected="q(x_{t-1} | x_t, x_0) = q(x_t | x_{t-1}) q(x_{t-1} | x_0) / q(x_t | x_0), x_0 kept (E7)",
    quantity="variance of x_1 given x_2 for N(0, 1) data, notes' schedule (printed: beta_tilde_2)",
    why="What follows has x_0 given. Without it the kernel is another one, with variance beta_t for this data.",
)
def posterior_without_x0() -> Numbers:
    schedule, data = notes_schedule(), Gaussian([0.0], [[1.0]])
    _, printed = posterior_mean_variance(schedule, [0.0], [0.0], 2)
    # x_1 and x_2 both have variance 1 and covariance sqrt(alpha_2), found here from signs.
    x, eps = signs(2).T[:, :, None]
    truth = 1 - float(np.mean(x * q_step(schedule, x, 2, eps))) ** 2
    return Numbers(float(printed), float(reverse_kernel(data, schedule, [0.0], 2).cov[0, 0]), truth, ulps(16, 1.0))


@erratum(
    "N2:579", section="逆扩散过程", kind="wrong formula",
    printed="p(x) = C exp(-(x - mu)^T Sigma (x - mu))",
    corrected="p(x) = C exp(-(x - mu)^T Sigma^-1 (x - mu) / 2), C = (2 pi)^{-n/2} |Sigma|^{-1/2}",
    quantity="variance of that density for Sigma = 4",
    why="Inverse and 1/2 are missing (N3:63 has both). As printed the variance is Sigma^-1 / 2.",
)
def normal_density() -> Numbers:
    def variance(log_p: np.ndarray, x: np.ndarray) -> float:
        p = np.exp(log_p)
        return float(p @ x**2 / p.sum())

    x = np.linspace(-40, 40, 8001)
    corrected = variance(Gaussian([0.0], [[4.0]]).logpdf(x[:, None]), x)
    return Numbers(variance(-4 * x**2, x), corrected, 4.0, ulps(64, 4.0))


@erratum(
    "N2:582-585", section="逆扩散过程", kind="wrong formula", equation="E8",
    printed='"条件概率的指数项为" (x_t - ...)^2 / beta_t + (x_{t-1} - ...)^2 / (1 - alpha_bar_{t-1}) - ...',
    corrected="the exponent is -1/2 times that sum",
    quantity="variance of x_49 given x_50 and x_0, from the density exp(exponent)",
    why="With exp(-sum), as the density of N2:579 has it, the variance would be 1 / (2 psi_2), against N2:606.",
)
def exponent_without_half() -> Numbers:
    schedule, t, x_t, x_0 = notes_schedule(), 50, 0.3, 1.0
    mean, variance = posterior_mean_variance(schedule, [x_0], [x_t], t)
    offset = np.linspace(-12, 12, 2001) * sqrt(variance)
    before, now = schedule.alpha_bar[t - 1], schedule.alpha_bar[t]
    exponent = posterior_exponent(mean[0] + offset, x_t, x_0, schedule.alpha[t], schedule.beta[t], before, now)

    def spread(scale: float) -> float:
        p = np.exp(-scale * exponent)
        return float(p @ offset**2 / p.sum())

    # The exponent reaches 144; exp makes its rounding, and that of the mean in it, a relative error of the density.
    return Numbers(spread(1.0), spread(0.5), float(variance), ulps(1000, float(variance)))


@erratum(
    "N2:630", section="逆扩散过程", kind="wrong claim", equation="E17",
    printed='"该均值即为x_{t-1}的估计" (x_{t-1} taken to be the mean)',
    corrected="x_{t-1} = mean + noise of the kernel's variance; the mean alone is the best guess, not a draw",
    quantity="variance of the output for N(0, 1) data, T = 100, ideal denoiser (printed: means only)",
    why="Guesses vary less than what they guess. Step by step of means, the output collapses to variance alpha_bar_T.",
)
def mean_for_draw() -> Numbers:
    schedule, data = notes_schedule(), Gaussian([0.0], [[1.0]])
    means_only = sampler_distribution(data, schedule, variance=np.zeros(schedule.T + 1))
    corrected = sampler_distribution(data, schedule, variance="kernel")
    return Numbers(float(means_only.cov[0, 0]), float(corrected.cov[0, 0]), 1.0, ulps(8 * schedule.T, 1.0))


@erratum(
    "N2:637", section="扩散逆过程的数值求解", kind="wrong formula", equation="E13",
    printed="x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps_theta",
    corrected="x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps; with eps_theta it defines x0_hat, not x_0",
    quantity="x_t for x_0 = 1, eps = -1/2, alpha_bar_t = 9/25 (printed: with the best eps_theta for N(0, 1) data)",
    why="x_t was made with the noise that was drawn. The prediction eps_theta is another number.",
)
def predicted_noise_in_the_forward_process() -> Numbers:
    schedule = Schedule.from_beta([16 / 25])
    x_t = q_sample(schedule, [1.0], 1, [-0.5])
    eps_theta = IdealDenoiser(Gaussian([0.0], [[1.0]]), schedule)(x_t[None], 1)[0]
    truth = float(Fraction(3, 5) - Fraction(4, 5) / 2)
    return Numbers(float(q_sample(schedule, [1.0], 1, eps_theta)[0]), float(x_t[0]), truth, ulps(4, 1.0))


@erratum(
    "N2:666", section="附录：扩散逆过程的数值求解推导", kind="wrong formula", equation="E14",
    printed="mu = eps_theta beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t)) + f(x_t)",
    corrected="mu = -eps_theta beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t)) + f(x_t)",
    quantity="mu at t = 2 for alpha_bar = 16/25, 9/25, x_0 = 1, x_2 = 2, exactly",
    why="The sign is lost between N2:657 and N2:666 and is back in N2:684.",
)
def sign_of_the_noise() -> Numbers:
    schedule = _exact_schedule()
    x_0, x_t, eps = Exact(1), Exact(2), Exact(7, 4)  # 2 = 3/5 + 4/5 * 7/4
    coefficient = mean_eps_coef(schedule.alpha[2], schedule.beta[2], schedule.one_minus_alpha_bar[2])
    printed = mean_xt_coef_in_eps_form(schedule.alpha[2]) * x_t - coefficient * eps
    corrected = posterior_mean_from_eps(schedule, np.array([x_t]), 2, np.array([eps]))[0]
    # The vertex of the parabola E8, from three of its values.
    numbers = schedule.alpha[2], schedule.beta[2], schedule.alpha_bar[1], schedule.alpha_bar[2]
    left, middle, right = (posterior_exponent(Exact(k), x_t, x_0, *numbers).fraction for k in (-1, 0, 1))
    return Numbers(printed.fraction, corrected.fraction, (left - right) / (2 * (left + right - 2 * middle)), Fraction(0))


@erratum(
    "N2:678", section="附录：扩散逆过程的数值求解推导", kind="wrong formula", equation="E14",
    printed="f(x_t) = sqrt(alpha_bar_{t-1}) (beta_t + alpha_t + alpha_bar_t) / (sqrt(alpha_bar_t) (1 - alpha_bar_t))",
    corrected="f(x_t) = sqrt(alpha_bar_{t-1}) (beta_t + alpha_t - alpha_bar_t) / (sqrt(alpha_bar_t) (1 - alpha_bar_t)) x_t",
    quantity="coefficient of x_2 for alpha_bar = 16/25, 9/25, exactly",
    why="alpha_t (1 - alpha_bar_{t-1}) = alpha_t - alpha_bar_t. Only with the minus does the fraction reduce to 1/sqrt(alpha_t).",
)
def sign_of_alpha_bar() -> Numbers:
    schedule = _exact_schedule()
    alpha, beta, before, now = schedule.alpha[2], schedule.beta[2], schedule.alpha_bar[1], schedule.alpha_bar[2]
    one_minus_before, one_minus_now = schedule.one_minus_alpha_bar[1], schedule.one_minus_alpha_bar[2]
    printed = before.sqrt() * (beta + alpha + now) / (now.sqrt() * one_minus_now)
    # E12 with x_0 = x_t / sqrt(alpha_bar_t) - ..., before anything is collected
    truth = mean_x0_coef(beta, before, one_minus_now) / now.sqrt() + mean_xt_coef(alpha, one_minus_now, one_minus_before)
    return Numbers(printed.fraction, mean_xt_coef_in_eps_form(alpha).fraction, truth.fraction, Fraction(0))
