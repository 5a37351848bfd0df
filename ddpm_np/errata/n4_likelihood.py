"""N4, up to "如何衡量生成图像满足的分布与真实分布的差距？": images as draws, and likelihood."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian, kl_divergence
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, ulps
from ddpm_np.forward import covariance_at, covariance_step


@erratum(
    "N4:12-13",
    section="扩散模型的前提",
    kind="imprecise",
    equation="E6",
    printed=(
        "adding Gaussian noise to an image turns the complex law into a Gaussian, with the image "
        "as its mean",
        "“只需要往里面加高斯噪声就可以达成这个目标……可以看作是高斯噪声的均值”",
    ),
    corrected=(
        "given one image the result is Gaussian, N(x_0, s^2 I); over all images it is a mixture, "
        "which becomes Gaussian only if x_0 is scaled down as well",
        "对单独一张图像，结果确是高斯分布 N(x_0, s^2 I)；对所有图像则是混合分布，"
        "只有同时把 x_0 按比例缩小，它才趋于高斯分布",
    ),
    latex=(
        "",
        r"x_t = \sqrt{\bar{\alpha}_t}\,x_0 + \sqrt{1-\bar{\alpha}_t}\,\epsilon, \quad "
        r"\bar{\alpha}_t \rightarrow 0",
    ),
    quantity=(
        "excess kurtosis of images 2 and -2 plus noise of variance 1 (a normal law has 0)",
        "图像取 2 和 -2、加上方差为 1 的噪声后的超额峰度（正态分布为 0）",
    ),
    why=(
        "The image is the mean of its own cloud only. The clouds of different images merge when "
        "sqrt(alpha_bar_t) draws them to 0.",
        "一张图像只是它自己那团分布的均值。要靠 sqrt(alpha_bar_t) 把各团都拉向 0，"
        "它们才会合为一体。",
    ),
)
def image_plus_noise() -> Numbers:
    m = 2.0
    law = Empirical([[-m], [m]]).noised(1.0, 1.0)
    fourth = line_integral(lambda x: x**4 * np.exp(law.logpdf(x[:, None])), -15, 15)
    second = line_integral(lambda x: x**2 * np.exp(law.logpdf(x[:, None])), -15, 15)
    corrected = -2 * m**4 / (m**2 + 1) ** 2
    truth = fourth.value / second.value**2 - 3
    return Numbers(0.0, corrected, truth, fourth.error + 6 * second.error)


@erratum(
    "N4:19",
    section="扩散是什么过程",
    kind="wrong claim",
    equation="E6",
    printed=(
        "diffusion removes the noise from Gaussian noise bit by bit",
        "“将标准高斯噪声中的噪声一点一点去除的过程”",
    ),
    corrected=(
        "that is the reverse process; diffusion adds noise, as N4:10-14 says",
        "那是逆扩散过程；扩散过程是逐步加入噪声，正如 N4:10-14 所说",
    ),
    quantity=(
        "variance of the noise at the end of the diffusion, notes' schedule",
        "扩散结束时噪声的方差，笔记的 beta 序列",
    ),
    why=(
        "The noise in q(x_t | x_0) has variance 1 - alpha_bar_t, which grows with t. Its removal "
        "is "
        "what the network learns.",
        "q(x_t | x_0) 中噪声的方差为 1 - alpha_bar_t，随 t 增大；去除噪声是网络要学习的逆过程。",
    ),
)
def diffusion_removes_noise() -> Numbers:
    schedule, Sigma = notes_schedule(), np.zeros((1, 1))
    for t in range(1, schedule.T + 1):
        Sigma = covariance_step(schedule, Sigma, t)
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    return Numbers(0.0, corrected, float(Sigma[0, 0]), ulps(4 * schedule.T, 1.0))


@erratum(
    "N4:43-44",
    section="如何衡量生成图像满足的分布与真实分布的差距？",
    also=("N4:63", "N4:77"),
    kind="imprecise",
    equation="E30",
    printed=(
        "P_theta(X = x_i) is the probability that the generated image is identical to the real one",
        "P_theta(X = x_i) “的含义为：生成模型生成的图像与真实图像一模一样的概率”",
    ),
    corrected=(
        "p_theta(x_i) is a density; for continuous pixels an identical image has probability 0",
        "p_theta(x_i) 是概率密度；像素值连续时，生成一模一样的图像的概率为 0",
    ),
    latex=(r"P_\theta(X=x_i)", r"p_\theta(x_i)"),
    quantity=(
        "P(X = x_i) for X ~ N(x_i, 0.01^2) (printed: the density there)",
        "X ~ N(x_i, 0.01^2) 时的 P(X = x_i)（按原文：该处的密度）",
    ),
    why=(
        "A density can exceed 1. It gives the probability of a small region around x_i, which goes "
        "to 0 with the region. The same holds for P(Z = z_i): easy to compute is the density.",
        "密度可以大于 1。它给出的是 x_i 附近一个小区域的概率，区域缩小时概率趋于 0。"
        "对 P(Z = z_i) 也是如此：容易计算的是密度。",
    ),
)
def probability_of_identity() -> Numbers:
    from scipy.special import erf

    density = exp(float(Gaussian([0.0], [[1e-4]]).logpdf([0.0])))
    half_width = 1e-12
    within = float(erf(half_width / (0.01 * sqrt(2))))
    return Numbers(density, 0.0, within, 2 * half_width * density)


@erratum(
    "N4:45",
    section="如何衡量生成图像满足的分布与真实分布的差距？",
    kind="wrong claim",
    equation="E30",
    printed=(
        "the greater this probability, the more the generated images resemble real ones",
        "“这个概率越大, 就说明这个模型生成的图像与真实图像越像”",
    ),
    corrected=(
        "a high likelihood does not guarantee good samples: with 99 of 100 images pure noise it "
        "falls by at most ln 100 nats per image",
        "似然高并不保证样本逼真：即使 100 张里有 99 张是纯噪声，每张图像的对数似然至多下降 ln 100",
    ),
    latex=("", r"\log\left(\tfrac{1}{100}\, p + \tfrac{99}{100}\, r\right) \ge \log p - \log 100"),
    quantity=(
        "nats lost if 99 of 100 images are N(0, 100 I) instead of N(0, I), n = 50 "
        "(printed: 99 % of the loss of pure noise)",
        "100 张中有 99 张由 N(0, I) 换成 N(0, 100 I) 时对数似然的损失，n = 50"
        "（按原文：纯噪声损失的 99 %）",
    ),
    why=(
        "The bound ln 100 does not grow with the dimension, while likelihoods do. Pure noise alone "
        "would lose far more.",
        "上界 ln 100 不随维数增长，而对数似然本身随维数增长；若全部是纯噪声，损失会大得多。",
    ),
)
def likelihood_measures_likeness() -> Numbers:
    from scipy.stats import chi2

    n = 50
    p, noise = Gaussian(np.zeros(n), np.eye(n)), Gaussian(np.zeros(n), 100 * np.eye(n))

    def loss(r_squared: np.ndarray) -> np.ndarray:
        x = np.sqrt(r_squared)[:, None] * np.eye(n)[0]
        model = np.logaddexp(log(0.01) + p.logpdf(x), log(0.99) + noise.logpdf(x))
        return chi2.pdf(r_squared, n) * (p.logpdf(x) - model)

    truth = line_integral(loss, 0, 400)
    return Numbers(0.99 * kl_divergence(p, noise), log(100), truth.value, truth.error)


@erratum(
    "N4:46",
    section="如何衡量生成图像满足的分布与真实分布的差距？",
    kind="imprecise",
    equation="E30",
    printed=(
        "the probabilities P_theta(X = x_i), i = 1, 2, 3, ..., should all take their maximum",
        "“应该概率 P_theta(X = x_i), i = 1, 2, 3, ... 都取最大值”",
    ),
    corrected=(
        "their product is maximised, as N4:47 says; they cannot all be at their maximum at once",
        "取最大值的是它们的乘积（见 N4:47）；各个概率一般不能同时取到最大值",
    ),
    latex=("", r"\max_\theta \prod_i p_\theta(x_i)"),
    quantity=(
        "largest ln p(x_1) + ln p(x_2) for x = 0, 2 and the model N(mu, 1) (printed: the sum of "
        "the two maxima)",
        "x = 0, 2、模型为 N(mu, 1) 时 ln p(x_1) + ln p(x_2) 的最大值（按原文：两个最大值之和）",
    ),
    why=(
        "A density integrates to 1: what is gained at one image is lost at another. Here mu = 0 is "
        "best for the one and mu = 2 for the other; the product is largest at mu = 1.",
        "密度的积分为 1，在一张图像处增大，就要在别处减小。这里 mu = 0 对前者最优，"
        "mu = 2 对后者最优，乘积则在 mu = 1 处最大。",
    ),
)
def all_at_their_maximum() -> Numbers:
    x = np.array([[0.0], [2.0]])

    def total(mu: float) -> float:
        return float(Gaussian([mu], [[1.0]]).logpdf(x).sum())

    printed = 2 * float(Gaussian([0.0], [[1.0]]).logpdf([0.0]))
    truth = max(total(mu) for mu in np.linspace(-1, 3, 401))
    return Numbers(printed, total(float(x.mean())), truth, ulps(16, truth))


@erratum(
    "N4:49",
    section="如何衡量生成图像满足的分布与真实分布的差距？",
    kind="imprecise",
    equation="E30",
    printed=(
        "the KL divergence is the degree of similarity of two laws",
        "“KL 散度表示两个分布之间的相似程度”",
    ),
    corrected=(
        "it measures how much they differ: 0 for equal laws, the larger the less alike; it is not "
        "symmetric; the greatest likelihood belongs to the smallest divergence",
        "它衡量的是差异程度：分布相同时为 0，差异越大其值越大，且不对称。似然最大对应 KL 散度最小",
    ),
    quantity=(
        "KL(N(0, 1) || N(2, 1)) - KL(N(0, 1) || N(0, 1)), in nats (printed: not above 0)",
        "KL(N(0, 1) || N(2, 1)) - KL(N(0, 1) || N(0, 1))（按原文：不大于 0）",
    ),
    why=(
        "A degree of similarity would be smaller for the two laws that differ.",
        "若它表示相似程度，则不相同的那一对分布应当取较小的值。",
    ),
)
def divergence_as_similarity() -> Numbers:
    p, q = Gaussian([0.0], [[1.0]]), Gaussian([2.0], [[1.0]])

    def integrand(x: np.ndarray) -> np.ndarray:
        log_p = p.logpdf(x[:, None])
        return np.exp(log_p) * (log_p - q.logpdf(x[:, None]))

    truth = line_integral(integrand, -12, 12)
    corrected = kl_divergence(p, q) - kl_divergence(p, p)
    return Numbers(0.0, corrected, truth.value, truth.error)
