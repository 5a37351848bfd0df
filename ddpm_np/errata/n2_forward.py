"""N2, "扩散模型的扩散过程": the chain and what it does to covariances."""

from __future__ import annotations

from math import exp, fsum, log1p

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, signs, ulps
from ddpm_np.forward import covariance_step
from ddpm_np.schedule import Schedule


@erratum(
    "N2:336",
    section="从方差的角度理解扩散递归",
    kind="wrong formula",
    equation="E3",
    printed="Sigma_Y = a^2 Sigma_1 + b^2 Sigma_2 + 2ab Cov(X_1, X_2)",
    corrected="Sigma_Y = a^2 Sigma_1 + b^2 Sigma_2 + ab (Cov(X_1, X_2) + Cov(X_1, X_2)^T)",
    latex=(
        r"a^2 \Sigma_1 + b^2 \Sigma_2 + 2ab \cdot \mathcal{Cov}(X_1, X_2)",
        r"a^2 \Sigma_1 + b^2 \Sigma_2 + ab\,(\mathcal{Cov}(X_1, X_2) + "
        r"\mathcal{Cov}(X_1, X_2)^T)",
    ),
    quantity=(
        "lower left entry of Sigma_Y for X_1 = (u, 0), X_2 = (0, u), a = b = 1, Var(u) = 1",
        "X_1 = (u, 0)、X_2 = (0, u)、a = b = 1、Var(u) = 1 时 Sigma_Y 左下角的元素",
    ),
    why=(
        "Sigma_Y is symmetric; a cross-covariance need not be. Here Y = (u, u), and all entries of "
        "its covariance are 1. For independent X_1, X_2 the term is 0 either way.",
        "Sigma_Y 必须对称，互协方差矩阵却不一定对称。这里 Y = (u, u)，其协方差矩阵的元素全为 1。"
        "X_1 与 X_2 独立时这一项为 0，后文不受影响。",
    ),
)
def cross_term() -> Numbers:
    u = signs(1)
    X_1, X_2 = u * [1, 0], u * [0, 1]
    Sigma_1, Sigma_2, cross = X_1.T @ X_1 / 2, X_2.T @ X_2 / 2, X_1.T @ X_2 / 2
    Y = X_1 + X_2
    printed = Sigma_1 + Sigma_2 + 2 * cross
    corrected = Sigma_1 + Sigma_2 + cross + cross.T
    truth = Y.T @ Y / 2
    return Numbers(float(printed[1, 0]), float(corrected[1, 0]), float(truth[1, 0]), 0.0)


@erratum(
    "N2:351",
    section="从方差的角度理解扩散递归",
    kind="wrong formula",
    equation="E3",
    printed="b = beta_t",
    corrected="b = sqrt(beta_t)",
    latex=(r"b = \beta_t", r"b = \sqrt{\beta_t}"),
    quantity=(
        "variance of x_50 for a fixed x_0, notes' schedule",
        "x_0 固定时 x_50 的方差，笔记的 beta 序列",
    ),
    why=(
        "Sigma_Y contains b^2, and the result in N2:352 contains beta_t. With b = beta_t the "
        "variance would tend to about beta_t instead of 1.",
        "Sigma_Y 中出现的是 b^2，而 N2:352 的结果中是 beta_t。若 b = beta_t，方差会趋于约 beta_t，"
        "而不是 1。",
    ),
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
    "N2:387",
    section="通过链式推导实现状态跨越",
    kind="wrong claim",
    equation="E2",
    printed=(
        "the sequence alpha falls slowly from 1 to 0",
        "“α序列是缓慢降低的序列” alpha: 1 -> 0",
    ),
    corrected=(
        "alpha_t falls from 1 to 1 - beta_T; it is alpha_bar_t that goes from 1 to 0",
        "alpha_t 只从 1 降到 1 - beta_T；从 1 降到 0 的是 alpha_bar_t",
    ),
    latex=(r"\alpha: 1 \rightarrow 0", r"\bar{\alpha}: 1 \rightarrow 0"),
    quantity=("alpha_100 of the notes' schedule", "笔记的 beta 序列中的 alpha_100"),
    why=(
        "alpha_t = 1 - beta_t stays above 1 - beta_max = 0.9. With alpha_t near 0 one step alone "
        "would erase the signal.",
        "alpha_t = 1 - beta_t 始终大于 1 - beta_max = 0.9。若 alpha_t 接近 0，"
        "仅仅一步就会把信号抹掉。",
    ),
)
def alpha_to_zero() -> Numbers:
    truth = 1 - 0.1 / (1 + exp(-6))
    return Numbers(0.0, float(notes_schedule().alpha[100]), truth, ulps(2, truth))


@erratum(
    "N2:400",
    section="通过链式推导实现状态跨越",
    kind="wrong claim",
    equation="E25",
    printed=(
        "the signal x_0 is drawn from a high-dimensional normal law of unknown covariance",
        "“它是从协方差矩阵未知的高维正态分布采样得来的”",
    ),
    corrected=(
        "x_0 ~ Psi, any law, as N2:72 has it; the chain needs no normal x_0",
        "x_0 ~ Psi，可以是任意分布（见 N2:72）；扩散过程的各公式都不要求 x_0 服从正态分布",
    ),
    latex=("", r"x_0 \sim \Psi"),
    quantity=(
        "least eps-loss at alpha_bar = 1/2 for x_0 = 1 or -1 (printed: for the normal law of the "
        "same covariance)",
        "x_0 取 1 或 -1、alpha_bar = 1/2 时噪声预测损失的最小值（按原文："
        "用协方差相同的正态分布计算）",
    ),
    why=(
        "For normal x_0 the best prediction of eps is linear in x_t. For other laws a nonlinear "
        "one "
        "has a smaller loss; this is what a network is for.",
        "若 x_0 服从正态分布，对 eps 的最优预测是 x_t 的线性函数；对其他分布，"
        "非线性的预测损失更小，"
        "这正是使用神经网络的理由。",
    ),
)
def normal_signals() -> Numbers:
    schedule, data = Schedule.from_beta([0.5]), Empirical([[-1.0], [1.0]])
    denoiser, law = IdealDenoiser(data, schedule), data.diffuse(schedule, 1)

    def explained_density(x: np.ndarray) -> np.ndarray:
        return np.exp(law.logpdf(x[:, None])) * denoiser(x[:, None], 1)[:, 0] ** 2

    def remembered_density(z: np.ndarray) -> np.ndarray:
        return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * np.tanh(1 + z)

    explained = line_integral(explained_density, -12, 12)
    # Independently: the loss is SNR times the least squared error of x_0, which for two points
    # is 1 - E tanh(SNR + sqrt(SNR) z), here at SNR = 1.
    remembered = line_integral(remembered_density, -12, 12)
    printed = float(optimal_loss(Gaussian([0.0], [[1.0]]), schedule)[1])
    tolerance = explained.error + remembered.error
    return Numbers(printed, 1 - explained.value, 1 - remembered.value, tolerance)
