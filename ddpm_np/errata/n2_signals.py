"""N2, "扩散模型的信号生成实践": the signal, the schedule and the loss."""

from __future__ import annotations

from math import exp, fsum, log1p, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import end_noise_correlation
from ddpm_np.closed_form.distributions import Empirical
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.errata.record import Numbers, erratum, notes_schedule, ulps
from ddpm_np.forward import q_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import multi_sine_curve


@erratum(
    "N2:410",
    section="信号生成及扩散参数",
    kind="imprecise",
    equation="E20",
    printed=(
        "the signal is a weighted sum of sines; their frequencies and their weights are random",
        "“若干个单一频率信号的加权求和，这些频率值和加权系数是随机的”",
    ),
    corrected=(
        "the notes' program gives all sines the same weight; random are frequencies and phases",
        "笔记的程序中各正弦的权重相同，随机的是频率和相位",
    ),
    latex=("", r"x = \frac{1}{s} \sum_k \cos(2 \pi f_k \tau + \phi_k)"),
    quantity=(
        "largest over smallest amplitude of the five sines of one signal (printed: weights drawn "
        "uniformly from (0, 1))",
        "一条信号的五个正弦中最大与最小振幅之比（按原文：权重在 (0, 1) 上均匀抽取）",
    ),
    why=(
        "The program sums cos(2 pi f_k tau + phi_k) and divides by the standard deviation s of the "
        "sum. Text and program describe different sets of signals.",
        "程序把各个 cos(2 pi f_k tau + phi_k) 直接相加，再除以总和的标准差 s。"
        "文字与程序描述的是两种不同的信号总体。",
    ),
)
def random_weights() -> Numbers:
    x = multi_sine_curve(rng=np.random.default_rng(2))
    frequencies = np.random.default_rng(2).uniform(0, 5, 5)  # those of x, drawn again
    angle = 2 * np.pi * np.outer(np.linspace(0, 1, len(x)), frequencies)
    waves = np.hstack([np.cos(angle), np.sin(angle)])
    a, b = np.linalg.lstsq(waves, x, rcond=None)[0].reshape(2, 5)
    amplitude = np.hypot(a, b)
    weights = np.random.default_rng(2).uniform(0, 1, 5)
    printed, truth = (float(w.max() / w.min()) for w in (weights, amplitude))
    return Numbers(printed, 1.0, truth, ulps(64 * float(np.linalg.cond(waves)), 1.0))


@erratum(
    "N2:422",
    section="信号生成及扩散参数",
    kind="wrong formula",
    equation="E19",
    printed="f(t) = (t - t_min) / (t_max - t_min) * (t_max - t_min) + t_min",
    corrected=(
        "f(t) = -6 + 12 (t - 1) / (T - 1)",
        "f(t) = -6 + 12 (t - 1) / (T - 1)（笔记的程序所用）",
    ),
    latex=(
        r"f(t) = \frac{t-t_{min}}{t_{max} - t{min}} * (t_{max} - t_{min}) + t_{min}",
        r"f(t) = -6 + 12 \cdot \frac{t - 1}{T - 1}",
    ),
    quantity=(
        "alpha_bar_100 for beta_max = 0.1 (printed: f(t) = t)",
        "beta_max = 0.1 时的 alpha_bar_100（按原文：f(t) = t）",
    ),
    why=(
        "The factor cancels and leaves f(t) = t, so that beta_t is close to beta_max almost at "
        "once. The notes' program takes a line from -6 to 6.",
        "分子与分母约去后只剩 f(t) = t，于是 beta_t 几乎一开始就接近 beta_max。"
        "程序中 f(t) 是从 -6 到 6 的直线。",
    ),
)
def tautology() -> Numbers:
    from scipy.special import expit

    t = np.arange(1.0, 101.0)
    printed = Schedule.from_beta(0.1 * expit((t - 1) / (100 - 1) * (100 - 1) + 1))
    truth = exp(fsum(log1p(-0.1 / (1 + exp(6 - 12 * k / 99))) for k in range(100)))
    corrected = float(notes_schedule().alpha_bar[-1])
    return Numbers(float(printed.alpha_bar[-1]), corrected, truth, ulps(200, truth))


@erratum(
    "N2:439-442",
    section="扩散模型的训练过程",
    kind="wrong formula",
    equation="E15",
    printed=(
        "the network predicts the end of the diffusion; the loss is "
        "N_hat = lim x_t = f_theta(x_t, t)",
        "“通过模型预测扩散终点，即噪声。因此，其损失函数为” N_hat = lim x_t = f_theta(x_t, t)",
    ),
    corrected=(
        "eps_theta(x_t, t) predicts the eps in x_t = sqrt(alpha_bar_t) x_0 + "
        "sqrt(1 - alpha_bar_t) eps",
        "eps_theta(x_t, t) 预测的是 x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps 中的 "
        "eps",
    ),
    latex=(
        r"\hat{N} = \lim_{t \rightarrow \infty} x_t = f_{\theta, x_0}(x_t, t)",
        r"\hat{\epsilon} = f_{\theta}(x_t, t) \approx \epsilon, \quad "
        r"x_t = \sqrt{\bar{\alpha}_t}\,x_0 + \sqrt{1 - \bar{\alpha}_t}\,\epsilon",
    ),
    quantity=(
        "correlation of the eps in x_50 with the noise in x_100, the end of the chain "
        "(printed: the same, 1)",
        "x_50 中的 eps 与扩散终点 x_100 中的噪声的相关系数（按原文：两者相同，为 1）",
    ),
    why=(
        "The end of the chain consists mostly of noise that is added after step t. It cannot be "
        "predicted from x_t. The formula is also a prediction, not a loss.",
        "扩散终点主要由第 t 步之后才加入的噪声构成，无法由 x_t 预测。"
        "另外，这个式子给出的是预测值，并不是损失函数。",
    ),
)
def end_of_chain_as_target() -> Numbers:
    schedule, t = notes_schedule(), 50
    noise = np.zeros(schedule.T)  # what the noise of each step contributes to x_s
    at = {}
    for s in range(1, schedule.T + 1):
        noise = q_step(schedule, noise, s, np.eye(schedule.T)[s - 1])
        at[s] = noise
    now, end = at[t], at[schedule.T]
    truth = float(now @ end / (np.linalg.norm(now) * np.linalg.norm(end)))
    corrected = float(end_noise_correlation(schedule, t))
    return Numbers(1.0, corrected, truth, ulps(4 * schedule.T, truth))


@erratum(
    "N2:448",
    section="扩散模型的训练过程",
    kind="imprecise",
    equation="E15",
    printed="theta_hat = argmin_theta |N_hat - N|",
    corrected=(
        "theta_hat = argmin_theta E_{t, x_0, eps} |eps_theta(x_t, t) - eps|^2",
        "theta_hat = argmin_theta E_{t, x_0, eps} |eps_theta(x_t, t) - eps|^2（程序用的也是均方误"
        "差）",
    ),
    latex=(
        r"\hat{\theta} = argmin_{\theta} \Vert \hat{N} - N \Vert",
        r"\hat{\theta} = argmin_{\theta}\, \mathbb{E}_{t, x_0, \epsilon} "
        r"\Vert \epsilon_\theta(x_t, t) - \epsilon \Vert^2",
    ),
    quantity=(
        "best prediction of eps at x_t = 0.3, for x_0 = 1 or -1 and alpha_bar_t = 1/2",
        "x_0 取 1 或 -1、alpha_bar_t = 1/2 时，在 x_t = 0.3 处对 eps 的最优预测",
    ),
    why=(
        "The mean and the square are missing; the notes' program has both. The mean of the norm "
        "itself is least at the median (in many dimensions the geometric one), not at E[eps | "
        "x_t].",
        "缺少期望和平方。若对范数本身取期望，最优解是中位数（高维时为几何中位数），"
        "而不是 E[eps | x_t]。",
    ),
)
def norm_without_square() -> Numbers:
    schedule, x, root = Schedule.from_beta([0.5]), 0.3, sqrt(0.5)
    candidates = np.array([(x - root * x_0) / root for x_0 in (1.0, -1.0)])
    weights = np.array([exp(-((x - root * x_0) ** 2)) for x_0 in (1.0, -1.0)])
    weights /= weights.sum()
    # A weighted sum of distances is least at one of the candidates.
    printed = candidates[np.argmin([weights @ np.abs(candidates - c) for c in candidates])]
    corrected = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)([[x]], 1)[0, 0]
    return Numbers(float(printed), float(corrected), float(weights @ candidates), ulps(64, 1.0))
