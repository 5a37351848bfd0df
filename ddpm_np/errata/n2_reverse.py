"""N2, "内容铺垫" and "逆扩散过程": the reverse process."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import reverse_kernel
from ddpm_np.errata.record import Numbers, erratum, notes_schedule, signs, ulps, value
from ddpm_np.forward import q_sample, q_step
from ddpm_np.posterior import posterior_exponent, posterior_mean_variance
from ddpm_np.schedule import Schedule


@erratum(
    "N2:533",
    section="内容铺垫",
    kind="imprecise",
    equation="E6",
    printed="lim x_t ~ N(x; 0, I)",
    corrected=(
        "lim q(x_t) = N(0, I): the law converges, x_t itself does not",
        "lim q(x_t) = N(0, I)：收敛的是分布，x_t 本身并不收敛",
    ),
    latex=(
        r"\lim_{t \rightarrow \infty} x_t \sim \mathcal{N}(x; 0, I)",
        r"\lim_{t \rightarrow \infty} q(x_t) = \mathcal{N}(x_t; 0, I)",
    ),
    quantity=(
        "E |x_t - x_{t-1}|^2 per coordinate at t = 100 for x_{t-1} of variance 1",
        "x_{t-1} 方差为 1 时，t = 100 处每个坐标的 E |x_t - x_{t-1}|^2",
    ),
    why=(
        "A sequence with a limit comes to rest. x_t keeps moving by 2 - 2 sqrt(1 - beta_t) in the "
        "mean square. N2:305 states the limit of the law.",
        "有极限的序列最终会稳定下来，而 x_t 每步的均方位移始终是 2 - 2 sqrt(1 - beta_t)。"
        "N2:305 写的就是分布的极限。",
    ),
)
def limit_of_x() -> Numbers:
    schedule = notes_schedule()
    x, eps = signs(2).T[:, :, None]
    truth = float(np.mean((q_step(schedule, x, schedule.T, eps) - x) ** 2))
    return Numbers(0.0, 2 - 2 * sqrt(schedule.alpha[-1]), truth, ulps(16, 2.0))


@erratum(
    "N2:550-553",
    section="内容铺垫",
    kind="wrong formula",
    equation="E24",
    printed=(
        "from the state at step t the network infers the final noise: "
        "lim x_t := eps_theta = f_theta(x_t, t)",
        "“通过 t 次扩散的状态推知最终噪声” lim x_t := eps_theta = f_theta(x_t, t)",
    ),
    corrected=(
        "eps_theta(x_t, t) approximates E[eps | x_t], eps being the noise that is in x_t",
        "eps_theta(x_t, t) 逼近 E[eps | x_t]，其中 eps 是 x_t 中已含有的噪声",
    ),
    latex=(
        r"\lim_{t \rightarrow \infty} x_t:=\epsilon_\theta = f_\theta(x_t, t)",
        r"\epsilon_\theta = f_\theta(x_t, t) \approx \mathbb{E}[\epsilon | x_t]",
    ),
    quantity=(
        "share of the variance of x_100 that x_50 determines, N(0, 1) data, notes' schedule "
        "(printed: all)",
        "x_100 的方差中由 x_50 决定的比例，数据为 N(0, 1)，笔记的 beta 序列（按原文：全部）",
    ),
    why=(
        "The end of the chain is sqrt(alpha_bar_T / alpha_bar_t) x_t plus noise that is still to "
        "come, which x_t does not know.",
        "扩散终点等于 sqrt(alpha_bar_T / alpha_bar_t) x_t 加上此后才加入的噪声，"
        "后者无法由 x_t 得知。",
    ),
)
def final_noise_inferred() -> Numbers:
    schedule, gain = notes_schedule(), np.ones(1)
    for t in range(51, schedule.T + 1):
        gain = q_step(schedule, gain, t, np.zeros(1))
    corrected = float(value(schedule.between(50, schedule.T)[0]))
    return Numbers(1.0, corrected, float(gain[0] ** 2), ulps(4 * 50, corrected))


@erratum(
    "N2:553",
    section="内容铺垫",
    kind="wrong formula",
    equation="E24",
    printed="eps_theta ~ N(0, I)",
    corrected=(
        "Cov(eps_theta) = (1 - alpha_bar_t) (alpha_bar_t C + (1 - alpha_bar_t) I)^-1 for Gaussian "
        "data of covariance C",
        "Cov(eps_theta) = (1 - alpha_bar_t) (alpha_bar_t C + (1 - alpha_bar_t) I)^-1，"
        "其中数据服从协方差为 C 的高斯分布",
    ),
    latex=(
        r"\epsilon_\theta \sim \mathcal{N}(0, I)",
        r"Cov(\epsilon_\theta) = (1 - \bar{\alpha}_t)"
        r"\left(\bar{\alpha}_t C + (1 - \bar{\alpha}_t) I\right)^{-1} \preceq I",
    ),
    quantity=(
        "variance of the best prediction for N(0, 1) data and alpha_bar_t = 1/2",
        "数据为 N(0, 1)、alpha_bar_t = 1/2 时最优预测的方差",
    ),
    why=(
        "The noise eps has covariance I. Its conditional mean varies less; only if the data is one "
        "single point is eps known exactly.",
        "噪声 eps 的协方差为 I，而它的条件均值方差更小；只有数据只含一个点时，eps 才能被精确预测。",
    ),
)
def predicted_noise_is_standard() -> Numbers:
    schedule, data = Schedule.from_beta([0.5]), Gaussian([0.0], [[1.0]])
    gain = float(IdealDenoiser(data, schedule)([[1.0]], 1)[0, 0])
    corrected = gain**2 * float(data.diffuse(schedule, 1).cov[0, 0])
    x_0, eps = signs(2).T[:, :, None]
    x_t = q_sample(schedule, x_0, 1, eps)
    # What a linear prediction explains of Var(eps) = 1.
    truth = float(np.mean(x_t * eps) ** 2 / np.mean(x_t**2))
    return Numbers(1.0, corrected, truth, ulps(16, 1.0))


@erratum(
    "N2:558-563",
    section="逆扩散过程",
    kind="imprecise",
    equation="E26",
    printed=(
        "to reverse the diffusion from x_t is to find p(x_{t-1} | x_t, x_0)",
        "“从 t 次扩散的结果反推其原因……则等价于求解条件概率” p(x_{t-1} | x_t, x_0)",
    ),
    corrected=(
        "the reverse step needs q(x_{t-1} | x_t), the mean of q(x_{t-1} | x_t, x_0) over "
        "q(x_0 | x_t)",
        "逆过程需要的是 q(x_{t-1} | x_t)，即 q(x_{t-1} | x_t, x_0) 对 q(x_0 | x_t) 的平均",
    ),
    latex=(
        r"p(x_{t-1} | x_t, x_0)",
        r"q(x_{t-1} | x_t) = \int q(x_{t-1} | x_t, x_0)\, q(x_0 | x_t)\, \mathrm{d}x_0",
    ),
    quantity=(
        "variance of x_1 given x_2 for N(0, 1) data, notes' schedule (printed: beta_tilde_2)",
        "给定 x_2 时 x_1 的方差，数据为 N(0, 1)，笔记的 beta 序列（按原文：beta_tilde_2）",
    ),
    why=(
        "When going back, x_0 is unknown. The two kernels agree if the data is one single signal, "
        "as in the notes' curve experiment. N2:565-566 leave out x_0 in writing only; E7 is right.",
        "逆向进行时 x_0 是未知的。若数据只有一条信号（如笔记的曲线实验），两者相同。"
        "N2:565-566 约定省略 x_0 的写法，N2:573 在此约定下成立。",
    ),
)
def posterior_without_x0() -> Numbers:
    schedule, data = notes_schedule(), Gaussian([0.0], [[1.0]])
    _, printed = posterior_mean_variance(schedule, [0.0], [0.0], 2)
    corrected = float(reverse_kernel(data, schedule, [0.0], 2).cov[0, 0])
    # x_1 and x_2 both have variance 1 and covariance sqrt(alpha_2), found here from signs.
    x, eps = signs(2).T[:, :, None]
    truth = 1 - float(np.mean(x * q_step(schedule, x, 2, eps))) ** 2
    return Numbers(value(printed), corrected, truth, ulps(16, 1.0))


@erratum(
    "N2:579",
    section="逆扩散过程",
    kind="wrong formula",
    printed="p(x) = C exp(-(x - mu)^T Sigma (x - mu))",
    corrected="p(x) = C exp(-(x - mu)^T Sigma^-1 (x - mu) / 2)",
    latex=(
        r"p(x) = C \cdot exp(-(x - \mu)^T \Sigma (x - \mu))",
        r"p(x) = C \cdot exp\left(-\frac{1}{2} (x - \mu)^T \Sigma^{-1} (x - \mu)\right), \quad "
        r"C = (2 \pi)^{-n/2} |\Sigma|^{-1/2}",
    ),
    quantity=("variance of that density for Sigma = 4", "Sigma = 4 时该密度的方差"),
    why=(
        "The inverse and the 1/2 are missing; N3:63 has both. As printed the covariance is "
        "Sigma^-1 / 2.",
        "缺少逆矩阵和系数 1/2（N3:63 两者都有）。照原式，协方差为 Sigma^-1 / 2。",
    ),
)
def normal_density() -> Numbers:
    def variance(log_p: np.ndarray, x: np.ndarray) -> float:
        p = np.exp(log_p)
        return float(p @ x**2 / p.sum())

    x = np.linspace(-40, 40, 8001)
    corrected = variance(Gaussian([0.0], [[4.0]]).logpdf(x[:, None]), x)
    return Numbers(variance(-4 * x**2, x), corrected, 4.0, ulps(64, 4.0))


@erratum(
    "N2:582-585",
    section="逆扩散过程",
    kind="convention",
    equation="E8",
    printed=(
        "the exponent is (x_t - ...)^2 / beta_t + (x_{t-1} - ...)^2 / (1 - alpha_bar_{t-1}) - ...",
        "“条件概率的指数项为” (x_t - ...)^2 / beta_t + (x_{t-1} - ...)^2 / (1 - alpha_bar_{t-1}) "
        "- ...",
    ),
    corrected=("the exponent is -1/2 times that sum", "指数项是该式乘以 -1/2"),
    latex=(
        r"(x_t - \sqrt{1 - \beta_t}\cdot x_{t-1})^T \beta_t^{-1} "
        r"(x_t - \sqrt{1 - \beta_t}\cdot x_{t-1}) + \cdots",
        r"-\frac{1}{2} \left[ (x_t - \sqrt{1 - \beta_t}\cdot x_{t-1})^T \beta_t^{-1} "
        r"(x_t - \sqrt{1 - \beta_t}\cdot x_{t-1}) + \cdots \right]",
    ),
    quantity=(
        "variance of x_49 given x_50 and x_0, from the density exp(exponent)",
        "由密度 exp(指数项) 算出的、给定 x_50 和 x_0 时 x_49 的方差",
    ),
    why=(
        "The notes leave out the common factor -1/2, and psi_1, psi_2 and N2:606 come out right. "
        "Put into the density of N2:579 as it stands, the sum would give the variance 1/(2 psi_2).",
        "笔记省略了公共因子 -1/2，由此得到的 psi_1、psi_2 和 N2:606 都是对的。"
        "但若把该式原样代入 N2:579 的密度，方差会变成 1/(2 psi_2)。",
    ),
)
def exponent_without_half() -> Numbers:
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
