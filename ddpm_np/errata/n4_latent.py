"""N4, from "如何计算 P_theta(X=x_i)" on: the integral over z, and the Gaussian decoder."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np

from ddpm_np.closed_form.latent import (
    LinearDecoder,
    decoder_log_likelihood,
    naive_monte_carlo,
    quadrature,
)
from ddpm_np.errata.record import Numbers, erratum, line_integral, ulps


@erratum(
    "N4:57",
    section="如何计算 P_theta(X=x_i)",
    kind="imprecise",
    equation="E31",
    printed=(
        "P(X = x_i) = integral over z_i ~ N(0, 1) of P(Z = z_i) P(X = x_i | Z = z_i) dz",
        "P(X = x_i) = ∫_{z_i ~ N(0, 1)} P(Z = z_i) P(X = x_i | Z = z_i) dz",
    ),
    corrected=(
        "p(x) = integral over all z of p(z) p(x | z) dz, or the mean of p(x | z) over z ~ N(0, I)",
        "p(x) = p(z) p(x | z) 对所有 z 的积分，或写作 p(x | z) 对 z ~ N(0, I) 的期望",
    ),
    latex=(
        r"P_\theta(X=x_i)=\int\limits_{z_i\sim\mathcal{N}(0,1)} "
        r"P(Z=z_i)P_\theta(X=x_i | Z=z_i)dz",
        r"p_\theta(x_i) = \int p(z)\, p_\theta(x_i | z)\, \mathrm{d}z = "
        r"\mathbb{E}_{z \sim \mathcal{N}(0, I)}\, p_\theta(x_i | z)",
    ),
    quantity=(
        "p(x = 0.7) for x | z ~ N(1.5 z, 1/4) (printed: z drawn from N(0, 1) and weighted with "
        "p(z) again)",
        "x | z ~ N(1.5 z, 1/4) 时的 p(x = 0.7)（按原文：z 从 N(0, 1) 采样后又乘以 p(z)）",
    ),
    why=(
        "The sign combines an integral and a mean. Draws of z carry the weight p(z) already; with "
        "the factor it counts twice. And z has no index: it is not tied to x_i.",
        "原式把积分与期望两种写法混在了一起。采样得到的 z 已带有权重 p(z)，再乘一次就重复计算了。"
        "此外 z 不应带下标 i，它与 x_i 并不一一对应。",
    ),
)
def prior_counted_twice() -> Numbers:
    decoder, x = LinearDecoder([[1.5]], [0.0], 0.5), [0.7]

    def twice(z: np.ndarray) -> np.ndarray:
        prior = np.exp(-(z**2) / 2) / sqrt(2 * pi)
        return prior**2 * np.exp(decoder_log_likelihood(x, decoder(z[:, None]), 0.5))

    printed = line_integral(twice, -12, 12)
    corrected = exp(quadrature(decoder, x, 0.5, 1))
    truth = exp(float(decoder.marginal.logpdf(x)))
    return Numbers(printed.value, corrected, truth, ulps(256, corrected))


@erratum(
    "N4:74",
    section="如何计算 P_theta(X=x_i)",
    kind="imprecise",
    equation="E31",
    printed=(
        "the probability of image x_i is that of drawing z_i and that of getting x_i from z_i",
        "“能够生成图像 x_i 的概率, 等于, ……P(Z = z_i) 与……P_theta(X = x_i | Z = z_i)”",
    ),
    corrected=(
        "it is the product of the two densities, integrated over all z",
        "等于这两个密度的乘积对所有 z 的积分",
    ),
    latex=(r"P(Z=z_i)P_\theta(X=x_i | Z=z_i)", r"\int p(z)\, p_\theta(x_i | z)\, \mathrm{d}z"),
    quantity=(
        "p(x = 0.7) for x | z ~ N(1.5 z, 1/4) (printed: the product at the z with G(z) = x)",
        "x | z ~ N(1.5 z, 1/4) 时的 p(x = 0.7)（按原文：取满足 G(z) = x 的 z 处的乘积）",
    ),
    why=(
        "Many z can lead to x_i, and all of them count. The product at one z is the joint density "
        "p(z, x).",
        "许多不同的 z 都可能生成 x_i，都应计入。单个 z 处的乘积只是联合密度 p(z, x)。",
    ),
)
def one_term_of_the_integral() -> Numbers:
    decoder, x = LinearDecoder([[1.5]], [0.0], 0.5), [0.7]

    def joint(z: np.ndarray) -> np.ndarray:
        prior = np.exp(-(z**2) / 2) / sqrt(2 * pi)
        return prior * np.exp(decoder_log_likelihood(x, decoder(z[:, None]), 0.5))

    printed = float(joint(np.array([0.7 / 1.5]))[0])
    truth = line_integral(joint, -12, 12)
    corrected = exp(float(decoder.marginal.logpdf(x)))
    return Numbers(printed, corrected, truth.value, truth.error)


@erratum(
    "N4:130",
    section="VAE (变分自编码器)中的假设",
    also=("N4:118", "N4:151"),
    kind="imprecise",
    equation="E32",
    printed="P(X | Z) ~ N(G(z), sigma^2)",
    corrected="X | Z = z  ~  N(G(z), sigma^2 I)",
    latex=(
        r"P_\theta(X|Z) \sim N\left(G(z),\sigma^2\right)",
        r"X \,|\, Z = z \;\sim\; N\left(G(z),\sigma^2 I\right)",
    ),
    quantity=(
        "mean over X of the number p(X | z), for G(z) = 3, sigma = 1 (printed: G(z))",
        "G(z) = 3、sigma = 1 时数值 p(X | z) 对 X 的均值（按原文：G(z)）",
    ),
    why=(
        "The random variable X has this law, given z. The value of its density does not.",
        "给定 z 时服从该分布的是随机变量 X，而不是它的密度值。",
    ),
)
def density_called_normal() -> Numbers:
    def square(x: np.ndarray) -> np.ndarray:
        return np.exp(2 * decoder_log_likelihood(x[:, None], [3.0], 1.0))

    truth = line_integral(square, -12, 18)
    return Numbers(3.0, 1 / (2 * sqrt(pi)), truth.value, truth.error)


@erratum(
    "N4:134",
    section="VAE (变分自编码器)中的假设",
    kind="wrong formula",
    equation="E32",
    printed="P(X | Z) = 1 / (sqrt(2 pi) sigma^2) exp(-((X - G(Z)) / sigma)^2 / 2)",
    corrected="p(x | z) = (2 pi sigma^2)^{-n/2} exp(-|x - G(z)|^2 / (2 sigma^2))",
    latex=(
        r"P_\theta(X|Z) = \frac{1}{\sqrt{2\pi}\sigma^2}\exp\left[-\frac{1}{2}\cdot"
        r"\left(\frac{X-G(Z)}{\sigma}\right)^2\right]",
        r"p_\theta(x|z) = \frac{1}{(2\pi\sigma^2)^{n/2}}\exp\left[-\frac{1}{2}\cdot"
        r"\frac{\Vert x-G(z)\Vert_2^2}{\sigma^2}\right]",
    ),
    quantity=(
        "integral of that density for sigma = 1/2, n = 1",
        "sigma = 1/2、n = 1 时该密度的积分",
    ),
    why=(
        "As printed it integrates to 1 / sigma. The root must cover sigma^2: sqrt(2 pi sigma^2).",
        "照原式，积分等于 1 / sigma。根号应当盖住 sigma^2，即 sqrt(2 pi sigma^2)。",
    ),
)
def normaliser() -> Numbers:
    sigma = 0.5

    def as_printed(x: np.ndarray) -> np.ndarray:
        return np.exp(-((x / sigma) ** 2) / 2) / (sqrt(2 * pi) * sigma**2)

    def density(x: np.ndarray) -> np.ndarray:
        return np.exp(decoder_log_likelihood(x[:, None], [0.0], sigma))

    corrected = line_integral(density, -8, 8)
    printed = line_integral(as_printed, -8, 8)
    return Numbers(printed.value, corrected.value, 1.0, corrected.error)


@erratum(
    "N4:139",
    section="VAE (变分自编码器)中的假设",
    kind="wrong formula",
    equation="E32",
    printed=("P(X | Z) is proportional to exp(-|X - G(Z)|^2)", "P(X | Z) ∝ exp(-|X - G(Z)|^2)"),
    corrected=(
        "p(x | z) is proportional to exp(-|x - G(z)|^2 / (2 sigma^2))",
        "p(x | z) ∝ exp(-|x - G(z)|^2 / (2 sigma^2))",
    ),
    latex=(
        r"P_\theta(X|Z)\propto \exp(-\Vert X-G(Z)\Vert_2^2)",
        r"p_\theta(x|z)\propto \exp\left(-\frac{\Vert x-G(z)\Vert_2^2}{2\sigma^2}\right)",
    ),
    quantity=(
        "density at distance 1 over that at 0, sigma = 2",
        "sigma = 2 时，距离 1 处的密度与距离 0 处的密度之比",
    ),
    why=(
        "The factor 1 / (2 sigma^2) is in the exponent and cannot be dropped as a constant factor.",
        "系数 1 / (2 sigma^2) 位于指数之中，不能当作比例常数略去。",
    ),
)
def scale_in_the_exponent() -> Numbers:
    near, far = decoder_log_likelihood([[0.0], [1.0]], [0.0], 2.0)
    corrected = exp(far - near)
    return Numbers(exp(-1), corrected, exp(-1 / 8), ulps(16, corrected))


@erratum(
    "N4:153",
    section="VAE (变分自编码器)中的假设",
    kind="wrong claim",
    equation="E31",
    printed=(
        "once P(X | Z) can be computed, P(X) can be computed directly",
        "“在 P(X | Z) 可计算后, P(X) 也可以直接计算了”",
    ),
    corrected=(
        "the integral over z remains; direct sampling of z fails in high dimension, and only a "
        "linear decoder has a closed form",
        "还要对 z 积分：维数高时直接对 z 采样求平均会失败，只有线性 decoder 才有闭式解",
    ),
    quantity=(
        "ln p(x) at x = (1, ..., 1), x | z ~ N(z, 0.01 I), n = 20 (printed: mean over 10,000 draws "
        "of z)",
        "x | z ~ N(z, 0.01 I)、n = 20 时 ln p(x) 在 x = (1, ..., 1) 处的值"
        "（按原文：对 10,000 个 z 取平均）",
    ),
    why=(
        "No draw comes near the z that explains x, so the mean misses nearly all of the integral. "
        "This is why a VAE has an encoder and a bound.",
        "没有一个采样落在能解释 x 的 z 附近，平均值漏掉了积分的绝大部分。"
        "VAE 正因此才需要 encoder 和下界。",
    ),
)
def integral_computed_directly() -> Numbers:
    n, s = 20, 0.1
    decoder, x = LinearDecoder(np.eye(n), np.zeros(n), s), np.ones(n)
    rng = np.random.default_rng(0)
    printed = naive_monte_carlo(decoder, x, s, n, n=10_000, rng=rng).log_p
    # The coordinates are independent.
    truth = n * quadrature(LinearDecoder([[1.0]], [0.0], s), [1.0], s, 1)
    return Numbers(printed, float(decoder.marginal.logpdf(x)), truth, ulps(256, truth))
