"""N2, "扩散模型的扩散过程": the chain and what it does to means and covariances."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import comb, exp, fsum, log1p, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, signs, ulps
from ddpm_np.forward import covariance_step, q_step
from ddpm_np.schedule import Schedule


@erratum(
    "N2:310-312", section="扩散过程的递归表示", kind="wrong claim", equation="E4",
    printed='"这种规律需要“巧合地”将原始信号回归到噪声" (the rule must fit the signal by coincidence)',
    corrected="any start is forgotten: |x_t - y_t| = sqrt(alpha_bar_t) |x_0 - y_0| under the same noise",
    quantity="distance at t = 100 of two signals that start 1 apart and meet the same noise",
    why="Each step contracts by sqrt(1 - beta_t), whatever the signal is. The rule knows nothing of the data.",
)
def coincidence() -> Numbers:
    schedule, rng = notes_schedule(), np.random.default_rng(0)
    pair = np.array([[0.0], [1.0]])
    for t in range(1, schedule.T + 1):
        pair = q_step(schedule, pair, t, rng.standard_normal(1))
    # The two positions are of order 1 and are subtracted, after some 4 roundings per step.
    return Numbers(1.0, sqrt(schedule.alpha_bar[-1]), float(pair[1, 0] - pair[0, 0]), ulps(4 * schedule.T, 1.0))


@erratum(
    "N2:323-324", section="从方差的角度理解扩散递归", kind="wrong formula", equation="E3",
    printed="Sigma = (X - mu)^T (X - mu)  ->  Sigma = X^T X",
    corrected="Sigma = E[(x - mu)(x - mu)^T]; E3 holds for it with any mean, which need not be removed",
    quantity="variance of x_1 for x_0 = 2 or 4 (variance 1) and beta_1 = 0.36",
    why="Without 1/m and the mean, X^T X is 20 here and becomes 13.16. The variance is 1 before and after.",
)
def second_moment_for_covariance() -> Numbers:
    X, schedule = np.array([[2.0], [4.0]]), Schedule.from_beta([0.36])
    a, b = Fraction(8, 10), Fraction(6, 10)
    values = [a * x_0 + b * eps for x_0, eps in product((2, 4), (-1, 1))]
    mean = sum(values, Fraction(0)) / 4
    truth = float(sum((x_1 - mean) ** 2 for x_1 in values) / 4)
    printed, corrected = (float(covariance_step(schedule, Sigma, 1)[0, 0]) for Sigma in (X.T @ X, [[1.0]]))
    return Numbers(printed, corrected, truth, ulps(4, truth))


@erratum(
    "N2:336", section="从方差的角度理解扩散递归", kind="wrong formula", equation="E3",
    printed="Sigma_Y = a^2 Sigma_1 + b^2 Sigma_2 + 2ab Cov(X_1, X_2)",
    corrected="Sigma_Y = a^2 Sigma_1 + b^2 Sigma_2 + ab (Cov(X_1, X_2) + Cov(X_1, X_2)^T)",
    quantity="lower left entry of Sigma_Y for X_1 = (u, 0), X_2 = (0, u), a = b = 1, Var(u) = 1",
    why="A cross-covariance need not be symmetric, Sigma_Y must be. Here Y = (u, u), whose entries are all 1.",
)
def cross_term() -> Numbers:
    u = signs(1)
    X_1, X_2 = u * [1, 0], u * [0, 1]
    Sigma_1, Sigma_2, cross = X_1.T @ X_1 / 2, X_2.T @ X_2 / 2, X_1.T @ X_2 / 2
    Y = X_1 + X_2
    printed, corrected, truth = Sigma_1 + Sigma_2 + 2 * cross, Sigma_1 + Sigma_2 + cross + cross.T, Y.T @ Y / 2
    return Numbers(float(printed[1, 0]), float(corrected[1, 0]), float(truth[1, 0]), 0.0)


@erratum(
    "N2:351", section="从方差的角度理解扩散递归", kind="wrong formula", equation="E3",
    printed="b = beta_t",
    corrected="b = sqrt(beta_t)",
    quantity="variance of x_50 for a fixed x_0, notes' schedule",
    why="Sigma has b^2, and the result beside it (N2:352) has beta_t. With b = beta_t variances tend to beta, not to 1.",
)
def noise_factor() -> Numbers:
    schedule = notes_schedule()
    printed, corrected = 0.0, np.zeros((1, 1))
    for t in range(1, 51):
        printed = (1 - schedule.beta[t]) * printed + schedule.beta[t] ** 2
        corrected = covariance_step(schedule, corrected, t)
    truth = 1 - exp(fsum(log1p(-b) for b in schedule.beta[1:51]))
    return Numbers(float(printed), float(corrected[0, 0]), truth, ulps(150, truth))


@erratum(
    "N2:355", section="从方差的角度理解扩散递归", kind="wrong claim",
    printed='"独立采样多次的高维变量，其取值概率等同于其原始分布" (many draws have the original law)',
    corrected="their empirical law tends to it as the number of draws grows (Glivenko-Cantelli)",
    quantity="probability that the shares among 10 draws of a fair coin equal its law",
    why="Each single draw has the law. The shares in a finite sample agree with it in 252 of 1024 cases only.",
)
def draws_equal_their_law() -> Numbers:
    cases = list(product((0, 1), repeat=10))
    equal = sum(sum(case) == 5 for case in cases)
    return Numbers(Fraction(1), Fraction(comb(10, 5), 2**10), Fraction(equal, len(cases)), Fraction(0))


@erratum(
    "N2:387", section="通过链式推导实现状态跨越", kind="wrong claim", equation="E2",
    printed='"序列是缓慢降低的序列" alpha: 1 -> 0',
    corrected="alpha_t falls from 1 to 1 - beta_T only; it is alpha_bar_t that goes from 1 to 0",
    quantity="alpha_100 of the notes' schedule",
    why="alpha_t = 1 - beta_t >= 1 - beta_max = 0.9. Were alpha_t near 0, one step alone would erase the signal.",
)
def alpha_to_zero() -> Numbers:
    truth = 1 - 0.1 / (1 + exp(-6))
    return Numbers(0.0, float(notes_schedule().alpha[100]), truth, ulps(2, truth))


@erratum(
    "N2:400", section="通过链式推导实现状态跨越", kind="wrong claim", equation="E25",
    printed='"它是从协方差矩阵未知的高维正态分布采样得来的" (x_0 is drawn from a normal law)',
    corrected="x_0 ~ Psi, any law (as N2:72 has it)",
    quantity="least eps-loss at alpha_bar = 1/2 for x_0 = 1 or -1 (printed: for the normal law of same covariance)",
    why="Were x_0 normal, the best prediction would be linear and its loss known: no network could do better. One does.",
)
def normal_signals() -> Numbers:
    schedule = Schedule.from_beta([0.5])
    denoiser = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)
    law = Empirical([[-1.0], [1.0]]).diffuse(schedule, 1)
    explained = line_integral(lambda x: np.exp(law.logpdf(x[:, None])) * denoiser(x[:, None], 1)[:, 0] ** 2, -12, 12)
    # On its own way: the loss is SNR times the least error of x_0, here 1 - E tanh(SNR + sqrt(SNR) z) at SNR = 1.
    remembered = line_integral(lambda z: np.exp(-(z**2) / 2) / sqrt(2 * np.pi) * np.tanh(1 + z), -12, 12)
    printed = float(optimal_loss(Gaussian([0.0], [[1.0]]), schedule)[1])
    return Numbers(printed, 1 - explained.value, 1 - remembered.value, explained.error + remembered.error)
