"""N2, "扩散模型的图像生成实践": the chain, its reversal, and the loss as a divergence."""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian, GaussianMixture, kl_divergence
from ddpm_np.closed_form.ideal import optimal_loss
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.record import (
    Numbers,
    erratum,
    line_integral,
    notes_schedule,
    signs,
    ulps,
    value,
)
from ddpm_np.forward import covariance_at, covariance_step, q_step
from ddpm_np.posterior import posterior_mean_variance
from ddpm_np.sampling import ancestral_step


@erratum(
    "N2:470",
    section="损失函数与扩散链",
    kind="wrong formula",
    equation="E5",
    printed="X_t ~ Psi",
    corrected="X_0 ~ Psi",
    latex=(r"X_t \sim \Psi", r"X_0 \sim \Psi"),
    quantity=(
        "variance of X_50 when Psi has variance 4, notes' schedule",
        "Psi 的方差为 4 时 X_50 的方差，笔记的 beta 序列",
    ),
    why=(
        "Psi is the initial law, as N2:473 says. If every X_t had the law Psi, nothing would "
        "diffuse.",
        "Psi 是初始分布（见 N2:473）。若每个 X_t 都服从 Psi，就谈不上扩散了。",
    ),
)
def law_of_every_step() -> Numbers:
    schedule = notes_schedule()
    Sigma = np.array([[4.0]])
    for t in range(1, 51):
        Sigma = covariance_step(schedule, Sigma, t)
    corrected = float(covariance_at(schedule, [[4.0]], 50)[0, 0])
    return Numbers(4.0, corrected, float(Sigma[0, 0]), ulps(200, 4.0))


@erratum(
    "N2:476",
    section="损失函数与扩散链",
    kind="imprecise",
    equation="E1",
    printed="X_t = f(X_{t-1})",
    corrected=(
        "X_t = f(X_{t-1}, Z_t) = sqrt(1 - beta_t) X_{t-1} + sqrt(beta_t) Z_t with new noise Z_t",
        "X_t = f(X_{t-1}, Z_t) = sqrt(1 - beta_t) X_{t-1} + sqrt(beta_t) Z_t，"
        "其中 Z_t 是每步新取的噪声",
    ),
    latex=(
        r"X_t = f(X_{t-1})",
        r"X_t = f(X_{t-1}, \mathcal{Z}_t) = \sqrt{1 - \beta_t}\,X_{t-1} + "
        r"\sqrt{\beta_t}\,\mathcal{Z}_t",
    ),
    quantity=(
        "variance of X_50 given X_49, notes' schedule",
        "给定 X_49 时 X_50 的方差，笔记的 beta 序列",
    ),
    why=(
        "A function of X_{t-1} alone has no variance once X_{t-1} is known; no noise would enter.",
        "若 X_t 只是 X_{t-1} 的函数，给定 X_{t-1} 后方差为 0，噪声便无从进入。",
    ),
)
def chain_without_noise() -> Numbers:
    schedule = notes_schedule()
    truth = float(np.var(q_step(schedule, np.ones((2, 1)), 50, signs(1))))
    return Numbers(0.0, float(schedule.beta[50]), truth, ulps(16, 1.0))


@erratum(
    "N2:488",
    section="损失函数与扩散链",
    kind="imprecise",
    equation="E11",
    printed="X_{t-1} = f^{-1}(X_t)",
    corrected=(
        "X_{t-1} ~ q(X_{t-1} | X_t), a law whose variance is at least beta_tilde_t > 0 for t > 1",
        "X_{t-1} ~ q(X_{t-1} | X_t)，这是一个条件分布，t > 1 时其方差至少为 beta_tilde_t > 0",
    ),
    latex=(r"X_{t-1} = f^{-1}(X_t)", r"X_{t-1} \sim q(X_{t-1} | X_t)"),
    quantity=(
        "variance of X_49 given X_50 and X_0, notes' schedule",
        "给定 X_50 和 X_0 时 X_49 的方差，笔记的 beta 序列",
    ),
    why=(
        "A step adds noise, so many X_{t-1} lead to the same X_t and f has no inverse. Even with "
        "X_0 known, X_{t-1} stays random.",
        "每一步都加入噪声，许多不同的 X_{t-1} 会到达同一个 X_t，因此 f 没有逆。"
        "即使已知 X_0，X_{t-1} 仍是随机的。",
    ),
)
def inverse_of_a_random_step() -> Numbers:
    schedule, t = notes_schedule(), 50
    _, corrected = posterior_mean_variance(schedule, [0.0], [0.0], t)
    # Given X_0 the two are jointly normal: Var(X_{t-1}) - Cov^2 / Var(X_t).
    before, now = (float(covariance_at(schedule, [[0.0]], s)[0, 0]) for s in (t - 1, t))
    truth = before - (1 - schedule.beta[t]) * before**2 / now
    return Numbers(0.0, value(corrected), float(truth), ulps(16, before))


@erratum(
    "N2:491",
    section="损失函数与扩散链",
    kind="wrong claim",
    equation="E28",
    printed=(
        "the loss is the KL divergence between the laws",
        "“易见，该损失就是分布之间的 KL 散度”",
    ),
    corrected=(
        "the loss that is trained is the mean square of eps_theta - eps; with weights and up to a "
        "constant it is an upper bound on that divergence",
        "实际训练的损失是 eps_theta - eps 的均方；乘以适当的权重并加上一个常数后，"
        "它是该 KL 散度的上界",
    ),
    latex=(
        r"D_{KL}(\Psi, \Phi) = \mathbb{E}(log(\Psi) - log(\Phi))",
        r"L = \mathbb{E}_{t, x_0, \epsilon} \Vert \epsilon_\theta(x_t, t) - \epsilon \Vert^2",
    ),
    quantity=(
        "mean eps-loss per step (printed) and KL(data || output) in nats, N(0, 1) data, ideal "
        "denoiser",
        "每步平均的噪声预测损失（按原文）与 KL(数据 || 输出)，数据为 N(0, 1)，使用理想去噪器",
    ),
    why=(
        "The least loss is not 0, because x_t does not determine eps. The law of the output can "
        "still be nearly exact, and then the divergence is almost 0.",
        "x_t 不能唯一确定 eps，所以损失的最小值不是 0；而此时输出的分布可以几乎精确，"
        "KL 散度接近 0。",
    ),
)
def loss_is_the_divergence() -> Numbers:
    data, schedule = Gaussian([0.0], [[1.0]]), notes_schedule()
    output = sampler_distribution(data, schedule)
    v = float(output.cov[0, 0])

    def integrand(x: np.ndarray) -> np.ndarray:
        return np.exp(-(x**2) / 2) / sqrt(2 * pi) * (x**2 / v + log(v) - x**2) / 2

    truth = line_integral(integrand, -12, 12)
    loss = float(np.mean(optimal_loss(data, schedule)[1:]))
    tolerance = truth.error + ulps(8, 1.0)
    return Numbers(loss, kl_divergence(data, output), truth.value, tolerance)


@erratum(
    "N2:497",
    section="损失函数与扩散链",
    kind="imprecise",
    equation="E30",
    printed=(
        "in D_KL(Psi, Phi), Phi is the empirical law of the observed data",
        "D_KL(Psi, Phi)，“其中，Y_t ~ Phi 代表观测到数据的经验分布”",
    ),
    corrected=(
        "Phi must be the law of the model's output, which has a density",
        "Phi 应取模型生成数据的分布，它具有概率密度",
    ),
    quantity=(
        "KL(N(0, 1) || two observations at -1 and 1, each widened to a normal of deviation 0.1), "
        "in nats (printed: near 0)",
        "KL(N(0, 1) || 位于 -1 和 1 的两个观测值，各展宽成标准差 0.1 的正态分布)（按原文：接近 0）",
    ),
    why=(
        "An empirical law is a set of points. The divergence of a continuous Psi from it is "
        "infinite: here it grows as E(|x| - 1)^2 / (2 h^2) when the width h falls.",
        "经验分布只是一组点，连续分布 Psi 相对它的 KL 散度为无穷大："
        "这里随着宽度 h 减小，它按 E(|x| - 1)^2 / (2 h^2) 增大。",
    ),
)
def divergence_from_points() -> Numbers:
    h = 0.1
    data = Gaussian([0.0], [[1.0]])
    points = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[h**2]], [[h**2]]])

    def integrand(x: np.ndarray) -> np.ndarray:
        log_p = data.logpdf(x[:, None])
        return np.exp(log_p) * (log_p - points.logpdf(x[:, None]))

    truth = line_integral(integrand, -12, 12)
    corrected = (2 - 2 * sqrt(2 / pi)) / (2 * h**2) + log(2 * h) - 0.5
    # Only the nearer point counted: the other one's share is at most p(0) h^2 pi^2 / 12.
    tolerance = truth.error + h**2 * pi**2 / 12 / sqrt(2 * pi)
    return Numbers(0.0, corrected, truth.value, tolerance)


@erratum(
    "N2:500",
    section="损失函数与扩散链",
    kind="wrong formula",
    equation="E30",
    printed=("ideally E(Psi - Phi) = 0", "“在理想条件下” E(Psi - Phi) = 0"),
    corrected=(
        "ideally Psi = Phi, that is D_KL(Psi || Phi) = 0",
        "理想条件应为 Psi = Phi，即 D_KL(Psi || Phi) = 0",
    ),
    latex=(r"\mathbb{E}(\Psi - \Phi) = 0", r"D_{KL}(\Psi \,\Vert\, \Phi) = 0"),
    quantity=(
        "divergence of N(0, 1) from N(m, 1/2), m^2 = 3/2 ln(4/3) (printed: E_Psi[Psi - Phi])",
        "N(0, 1) 相对 N(m, 1/2) 的 KL 散度，m^2 = 3/2 ln(4/3)（按原文：E_Psi[Psi - Phi]）",
    ),
    why=(
        "The integral of Psi - Phi is 0 for any two laws. Its mean under Psi is 0 for these two, "
        "which differ.",
        "任意两个分布的 Psi - Phi 的积分都是 0；对这两个不同的分布，它在 Psi 下的均值也是 0。",
    ),
)
def mean_difference_zero() -> Numbers:
    Psi, Phi = Gaussian([0.0], [[1.0]]), Gaussian([sqrt(1.5 * log(4 / 3))], [[0.5]])

    def difference(x: np.ndarray) -> np.ndarray:
        psi, phi = np.exp(Psi.logpdf(x[:, None])), np.exp(Phi.logpdf(x[:, None]))
        return psi * (psi - phi)

    def divergence(x: np.ndarray) -> np.ndarray:
        log_psi, log_phi = Psi.logpdf(x[:, None]), Phi.logpdf(x[:, None])
        return np.exp(log_psi) * (log_psi - log_phi)

    printed = line_integral(difference, -12, 12)
    truth = line_integral(divergence, -12, 12)
    return Numbers(printed.value, kl_divergence(Psi, Phi), truth.value, truth.error)


@erratum(
    "N2:517",
    section="反扩散的样例",
    kind="imprecise",
    equation="E18",
    printed=(
        "the model works like the decoder of a VAE; it learns to invert the code",
        "“它的功能类似 VAE 的 decoder。……学习到‘中间’层编码的逆变换结果”",
    ),
    corrected=(
        "with a deterministic sampler (DDIM, eta = 0) x_T is a code and the model its decoder; "
        "with the ancestral sampler x_T determines almost nothing of x_0",
        "用确定性采样（DDIM，eta = 0）时，x_T 才是编码，模型才相当于它的 decoder；"
        "若采样时每步都加入噪声（ancestral），x_T 对 x_0 几乎没有决定作用",
    ),
    quantity=(
        "share of the variance of x_0 that x_T determines in the exact reverse chain, N(0, 1) "
        "data, notes' schedule (printed: a code determines all of it)",
        "精确的逆过程中 x_0 的方差由 x_T 决定的比例，数据为 N(0, 1)，笔记的 beta 序列"
        "（按原文：编码决定全部）",
    ),
    why=(
        "The ancestral sampler adds new noise at every step, so the same x_T leads to different "
        "images. And x_T has the size of the image, while the code of a VAE is smaller.",
        "后一种采样每步都加入新的噪声，同一个 x_T 会走到不同的图像。"
        "此外，x_T 与图像维数相同，而 VAE 的编码维数通常更低。",
    ),
)
def starting_noise_as_code() -> Numbers:
    schedule = notes_schedule()
    gain = 1.0
    for t in range(schedule.T, 0, -1):
        # The ideal denoiser of N(0, 1) data is eps_star = sqrt(1 - alpha_bar_t) x_t.
        step = ancestral_step(schedule, t, variance="beta")
        root = sqrt(schedule.one_minus_alpha_bar[t])
        gain *= float(value(step.xt_coef)) + float(value(step.eps_coef)) * root
    truth = gain**2  # with the noise of the exact kernels x_T and x_0 both have variance 1
    return Numbers(1.0, float(schedule.alpha_bar[-1]), float(truth), ulps(8 * schedule.T, truth))
