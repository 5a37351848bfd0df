"""N2, "何为扩散模型" and "扩散过程的简要原理": what diffusion is."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, signs
from ddpm_np.forward import covariance_at, q_step
from ddpm_np.schedule import Schedule


@erratum(
    "N2:49",
    section="何为扩散模型",
    kind="imprecise",
    equation="E1",
    printed=(
        "diffusion is Brownian motion; it brings the data ever closer to the standard normal law",
        "“所谓扩散就是布朗运动……数据样本点的分布向标准正态分布不断靠拢的过程”",
    ),
    corrected=(
        "x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps: Brownian motion with a pull to 0 "
        "(an Ornstein-Uhlenbeck process)",
        "x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps：带有向 0 回复力的布朗运动"
        "（Ornstein-Uhlenbeck 过程）",
    ),
    latex=("", r"x_t = \sqrt{1 - \beta_t}\,x_{t-1} + \sqrt{\beta_t}\,\epsilon"),
    quantity=(
        "variance at t = 1000 of a signal that starts at 0, linear schedule",
        "从 0 出发的信号在 t = 1000 时的方差，线性 beta 序列",
    ),
    why=(
        "Brownian motion alone adds beta_t at every step and its variance grows without bound. The "
        "factor sqrt(1 - beta_t) makes it tend to 1.",
        "单纯的布朗运动每步增加方差 beta_t，方差会无限增大；有了因子 sqrt(1 - beta_t)，"
        "方差才趋于 1。",
    ),
)
def brownian_motion() -> Numbers:
    schedule = Schedule.linear()
    brownian = float(schedule.beta.sum())
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    # The limit is 1; at t = T alpha_bar_T is still missing.
    return Numbers(brownian, corrected, 1.0, 2 * float(schedule.alpha_bar[-1]))


@erratum(
    "N2:57",
    section="何为扩散模型",
    kind="wrong claim",
    equation="E1",
    printed=(
        "the process is continuous or locally differentiable, and therefore reversible",
        "“这个过程是连续的，或局部可微的。因此，……这个过程是‘可逆的’”",
    ),
    corrected=(
        "the paths are continuous in the limit but nowhere differentiable: "
        "sum |x_t - x_{t-1}|^2 -> sum beta_t; what is reversed is the law, by its score",
        "取极限后路径连续，但处处不可微：sum |x_t - x_{t-1}|^2 -> sum beta_t；"
        "能够逆转的是分布，靠的是它的得分函数",
    ),
    quantity=(
        "E sum_t |x_t - x_{t-1}|^2 over 1000 steps of beta = 0.001, for data of variance 1",
        "方差为 1 的数据走 1000 步、每步 beta = 0.001 时的 E sum_t |x_t - x_{t-1}|^2",
    ),
    why=(
        "Along a differentiable path this sum goes to 0 as the steps get finer. Here every step "
        "adds beta_t.",
        "沿可微的路径，步长越细这个和越接近 0；而这里每一步都贡献 beta_t。",
    ),
)
def differentiable_path() -> Numbers:
    n, beta = 1000, 0.001
    schedule = Schedule.from_beta(np.full(n, beta))
    x, eps = signs(2).T[:, :, None]  # all four pairs of signs: exact for this mean of squares
    one_step = float(np.mean((q_step(schedule, x, 1, eps) - x) ** 2))
    # 2 - 2 sqrt(1 - beta) = beta + beta^2 / 4 + ...: the sum differs from that of beta by
    # n beta^2 / 4, which vanishes as n grows.
    return Numbers(0.0, float(schedule.beta.sum()), n * one_step, n * beta**2 / 2)


@erratum(
    "N2:75-78",
    section="扩散过程的简要原理",
    kind="imprecise",
    equation="E6",
    printed=(
        "after some time of diffusion the law is normal, x_T ~ N(mu, Sigma)",
        "“经过一段时间的随机扩散后，新分布属于正态分布” x_T ~ N(mu, Sigma)",
    ),
    corrected=(
        "x_T is a mixture of N(sqrt(alpha_bar_T) x_0, (1 - alpha_bar_T) I) over x_0, close to "
        "N(0, I) for large T",
        "x_T 服从以 x_0 为混合变量的混合分布，各成分为 N(sqrt(alpha_bar_T) x_0, (1 - "
        "alpha_bar_T) I)；"
        "T 很大时它接近 N(0, I)",
    ),
    latex=(
        r"x_T \sim \mathcal{N}(\mu, \Sigma)",
        r"x_T \sim \int \Psi(x_0)\, \mathcal{N}(\sqrt{\bar{\alpha}_T}\,x_0, "
        r"(1 - \bar{\alpha}_T) I)\, \mathrm{d}x_0 \approx \mathcal{N}(0, I)",
    ),
    quantity=(
        "excess kurtosis of x_100 when x_0 is 5 or -5, notes' schedule (a normal law has 0)",
        "x_0 取 5 或 -5 时 x_100 的超额峰度，笔记的 beta 序列（正态分布为 0）",
    ),
    why=(
        "For x_0 = +-m it is -2 (m^2 alpha_bar_T / Var(x_T))^2: small, but 0 only in the limit.",
        "x_0 = ±m 时，超额峰度等于 -2 (m^2 alpha_bar_T / Var(x_T))^2：很小，但只在极限下为 0。",
    ),
)
def normal_at_the_end() -> Numbers:
    schedule, m = notes_schedule(), 5.0
    variance = float(covariance_at(schedule, [[m**2]], schedule.T)[0, 0])
    corrected = -2 * (m**2 * float(schedule.alpha_bar[-1]) / variance) ** 2
    last = Empirical([[-m], [m]]).diffuse(schedule, schedule.T)
    fourth = line_integral(lambda x: x**4 * np.exp(last.logpdf(x[:, None])), -15, 15)
    second = line_integral(lambda x: x**2 * np.exp(last.logpdf(x[:, None])), -15, 15)
    truth = fourth.value / second.value**2 - 3
    return Numbers(0.0, corrected, truth, fourth.error + 6 * second.error)


@erratum(
    "N2:96-99",
    section="扩散过程的简要原理",
    kind="wrong formula",
    equation="E1",
    printed=(
        "the transition probability is p(x_t) = p(x_{t-1}) p(x_t | x_{t-1})",
        "“其转移概率为” p(x_t) = p(x_{t-1}) p(x_t | x_{t-1})",
    ),
    corrected=(
        "p(x_t) = integral of p(x_{t-1}) p(x_t | x_{t-1}) over x_{t-1}; the transition density is "
        "the second factor alone",
        "p(x_t) 等于 p(x_{t-1}) p(x_t | x_{t-1}) 对 x_{t-1} 的积分；"
        "转移概率密度只是其中的第二个因子",
    ),
    latex=(
        r"p(x_t) = p(x_{t-1}) \cdot p(x_t|x_{t-1})",
        r"p(x_t) = \int p(x_{t-1}) \, p(x_t|x_{t-1}) \, \mathrm{d}x_{t-1}",
    ),
    quantity=(
        "p(x_1 = 0) for x_0 ~ N(0, 1), beta_1 = 0.1 (printed: at x_0 = 0)",
        "x_0 ~ N(0, 1)、beta_1 = 0.1 时的 p(x_1 = 0)（按原文：取 x_0 = 0）",
    ),
    why=(
        "The product is the joint density p(x_{t-1}, x_t). It depends on x_{t-1}, so it cannot be "
        "the density of x_t.",
        "这个乘积是联合密度 p(x_{t-1}, x_t)，它依赖于 x_{t-1}，因此不可能是 x_t 的密度。",
    ),
)
def joint_for_marginal() -> Numbers:
    data, schedule = Gaussian([0.0], [[1.0]]), Schedule.from_beta([0.1])

    def joint(x_0: np.ndarray) -> np.ndarray:
        transition = np.exp(-((sqrt(0.9) * x_0) ** 2) / 0.2) / sqrt(0.2 * pi)
        return np.exp(-(x_0**2) / 2) / sqrt(2 * pi) * transition

    truth = line_integral(joint, -12, 12)
    corrected = exp(float(data.diffuse(schedule, 1).logpdf([0.0])))
    return Numbers(float(joint(np.zeros(1))[0]), corrected, truth.value, truth.error)
