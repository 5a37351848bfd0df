"""N4: likelihood, the integral over z, and the Gaussian decoder."""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian, kl_divergence
from ddpm_np.closed_form.latent import (
    LinearDecoder,
    decoder_log_likelihood,
    naive_monte_carlo,
    quadrature,
)
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, ulps
from ddpm_np.forward import covariance_at, covariance_step


@erratum(
    "N4:12-13", section="扩散模型的前提", kind="wrong claim", equation="E6",
    printed='"只需要往里面加高斯噪声就可以达成这个目标 ... 可以看作是高斯噪声的均值" (image plus noise is Gaussian)',
    corrected="given one image, yes, N(x_0, s^2 I); over all images a mixture: scale x_0 down as well",
    quantity="excess kurtosis of images 2 and -2 plus noise of variance 1 (a normal law has 0)",
    why="The image is the mean only of its own cloud. The clouds overlap enough only when sqrt(alpha_bar_t) pulls them in.",
)
def image_plus_noise() -> Numbers:
    m = 2.0
    law = Empirical([[-m], [m]]).noised(1.0, 1.0)
    fourth = line_integral(lambda x: x**4 * np.exp(law.logpdf(x[:, None])), -15, 15)
    second = line_integral(lambda x: x**2 * np.exp(law.logpdf(x[:, None])), -15, 15)
    corrected = -2 * m**4 / (m**2 + 1) ** 2
    return Numbers(0.0, corrected, fourth.value / second.value**2 - 3, fourth.error + 6 * second.error)


@erratum(
    "N4:19", section="扩散是什么过程", kind="wrong claim", equation="E6",
    printed='"将标准高斯噪声中的噪声一点一点去除的过程" (diffusion removes the noise bit by bit)',
    corrected="that is the reverse process; diffusion adds noise, from none to 1 - alpha_bar_T",
    quantity="variance of the noise at the end of the diffusion, notes' schedule",
    why="q(x_t | x_0) has variance 1 - alpha_bar_t, which grows with t. Removing is what is learned afterwards.",
)
def diffusion_removes_noise() -> Numbers:
    schedule, Sigma = notes_schedule(), np.zeros((1, 1))
    for t in range(1, schedule.T + 1):
        Sigma = covariance_step(schedule, Sigma, t)
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    return Numbers(0.0, corrected, float(Sigma[0, 0]), ulps(4 * schedule.T, 1.0))


@erratum(
    "N4:43-44", section="如何衡量生成图像满足的分布与真实分布的差距？", kind="wrong formula", equation="E30",
    printed='P_theta(X = x_i), "生成的图像与真实图像一模一样的概率" (the probability of an identical image)',
    corrected="p_theta(x_i), a density; the probability of an identical image is 0",
    quantity="P(X = x_i) for X ~ N(x_i, 0.01^2) (printed: the density there)",
    why="A density may exceed 1. It bounds the probability of a neighbourhood, which goes to 0 with its size.",
)
def probability_of_identity() -> Numbers:
    from scipy.special import erf

    density = exp(float(Gaussian([0.0], [[1e-4]]).logpdf([0.0])))
    half_width = 1e-12
    within = float(erf(half_width / (0.01 * sqrt(2))))
    return Numbers(density, 0.0, within, 2 * half_width * density)


@erratum(
    "N4:45", section="如何衡量生成图像满足的分布与真实分布的差距？", kind="wrong claim", equation="E30",
    printed='"这个概率越大, 就说明这个模型生成的图像与真实图像越像" (likelihood measures likeness)',
    corrected="a model may lose next to no likelihood while nearly all of its images are noise: at most ln 100 for 99 %",
    quantity="nats lost if 99 of 100 images are N(0, 100 I) instead of N(0, I), n = 50 (printed: 99 % of all-noise)",
    why="ln(0.01 p + 0.99 noise) >= ln p - ln 100 in any dimension. Pure noise would lose 90 nats.",
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
    "N4:49", section="如何衡量生成图像满足的分布与真实分布的差距？", kind="wrong claim", equation="E30",
    printed='"KL 散度表示两个分布之间的相似程度" (a degree of similarity)',
    corrected="it measures dissimilarity: 0 for equal laws, larger the less alike, and not symmetric",
    quantity="KL(N(0, 1) || N(2, 1)) - KL(N(0, 1) || N(0, 1)), in nats",
    why="A degree of similarity would be smaller for the pair that differs. Nearest claim: not larger.",
)
def divergence_as_similarity() -> Numbers:
    p, q = Gaussian([0.0], [[1.0]]), Gaussian([2.0], [[1.0]])

    def integrand(x: np.ndarray) -> np.ndarray:
        return np.exp(p.logpdf(x[:, None])) * (p.logpdf(x[:, None]) - q.logpdf(x[:, None]))

    truth = line_integral(integrand, -12, 12)
    return Numbers(0.0, kl_divergence(p, q) - kl_divergence(p, p), truth.value, truth.error)


@erratum(
    "N4:57", section="如何计算 P_theta(X=x_i)", kind="wrong formula", equation="E31",
    printed="P(X = x_i) = integral over z_i ~ N(0, 1) of P(Z = z_i) P(X = x_i | Z = z_i) dz",
    corrected="p(x) = integral over all z of p(z) p(x | z) dz, or the mean of p(x | z) over z ~ N(0, I)",
    quantity="p(x = 0.7) for x | z ~ N(1.5 z, 1/4) (printed: z drawn, and weighted again)",
    why="Draws z ~ N(0, I) carry p(z) already; with the factor p(z) it counts twice. And z is not paired with i.",
)
def prior_counted_twice() -> Numbers:
    decoder, x = LinearDecoder([[1.5]], [0.0], 0.5), [0.7]

    def twice(z: np.ndarray) -> np.ndarray:
        return np.exp(-(z**2)) / (2 * pi) * np.exp(decoder_log_likelihood(x, decoder(z[:, None]), 0.5))

    printed = line_integral(twice, -12, 12)
    corrected = exp(quadrature(decoder, x, 0.5, 1))
    return Numbers(printed.value, corrected, exp(float(decoder.marginal.logpdf(x))), ulps(256, corrected))


@erratum(
    "N4:88", section="一个符合直觉的定义", kind="wrong formula", equation="E31",
    printed="P(X = x_i | Z = z_i) = 1 if G(z_i) = x_i, 0 otherwise",
    corrected="p(x | z) = delta(x - G(z)), whose integral is the density by change of variables",
    quantity="p(x = 0) for G(z) = 2z",
    why="The value 1 on a set of measure 0 integrates to 0 for every G, good or bad (N4:102). A delta does not.",
)
def zero_or_one() -> Numbers:
    decoder = LinearDecoder([[2.0]], [0.0], 0.0)
    # The integrand p(z) P(x | z) differs from 0 at one z only, and that changes no integral.
    corrected = exp(float(decoder.marginal.logpdf([0.0])))
    return Numbers(0.0, corrected, 1 / sqrt(2 * pi) / 2, ulps(16, corrected))


@erratum(
    "N4:130", section="VAE (变分自编码器)中的假设", kind="wrong formula", equation="E32",
    printed="P(X | Z) ~ N(G(z), sigma^2)",
    corrected="X | Z = z  ~  N(G(z), sigma^2 I)",
    quantity="mean over X of the number p(X | z), for G(z) = 3, sigma = 1",
    why="The random variable X has that law, not the value of its density, whose mean is 1 / (2 sqrt(pi) sigma).",
)
def density_called_normal() -> Numbers:
    truth = line_integral(lambda x: np.exp(2 * decoder_log_likelihood(x[:, None], [3.0], 1.0)), -12, 18)
    return Numbers(3.0, 1 / (2 * sqrt(pi)), truth.value, truth.error)


@erratum(
    "N4:134", section="VAE (变分自编码器)中的假设", kind="wrong formula", equation="E32",
    printed="P(X | Z) = 1 / (sqrt(2 pi) sigma^2) exp(-((X - G(Z)) / sigma)^2 / 2)",
    corrected="p(x | z) = (2 pi sigma^2)^{-n/2} exp(-|x - G(z)|^2 / (2 sigma^2))",
    quantity="integral of that density for sigma = 1/2, n = 1",
    why="As printed it integrates to 1 / sigma: 2 here, 1/2 for sigma = 2. The root covers sigma^2.",
)
def normaliser() -> Numbers:
    sigma = 0.5
    printed = line_integral(lambda x: np.exp(-((x / sigma) ** 2) / 2) / (sqrt(2 * pi) * sigma**2), -8, 8)
    corrected = line_integral(lambda x: np.exp(decoder_log_likelihood(x[:, None], [0.0], sigma)), -8, 8)
    return Numbers(printed.value, corrected.value, 1.0, corrected.error)


@erratum(
    "N4:139", section="VAE (变分自编码器)中的假设", kind="wrong formula", equation="E32",
    printed="P(X | Z) proportional to exp(-|X - G(Z)|^2)",
    corrected="p(x | z) proportional to exp(-|x - G(z)|^2 / (2 sigma^2))",
    quantity="density at distance 1 over that at 0, sigma = 2",
    why="The factor 1 / (2 sigma^2) is in the exponent and may not be dropped: 1 only for sigma^2 = 1/2.",
)
def scale_in_the_exponent() -> Numbers:
    near, far = decoder_log_likelihood([[0.0], [1.0]], [0.0], 2.0)
    corrected = exp(far - near)
    return Numbers(exp(-1), corrected, exp(-1 / 8), ulps(16, corrected))


@erratum(
    "N4:153", section="VAE (变分自编码器)中的假设", kind="wrong claim", equation="E31",
    printed='P_theta(X) "也可以直接计算了" (once p(x | z) is known, P(X) is computed directly)',
    corrected="the integral over z remains: sampled directly it fails in high dimension; exact for a linear decoder",
    quantity="ln p(x) at x = (1, ..., 1), x | z ~ N(z, 0.01 I), n = 20 (printed: mean over 10,000 draws of z)",
    why="No draw comes near the z that explains x, so the mean misses nearly all of the integral.",
)
def integral_computed_directly() -> Numbers:
    n, s = 20, 0.1
    decoder, x = LinearDecoder(np.eye(n), np.zeros(n), s), np.ones(n)
    printed = naive_monte_carlo(decoder, x, s, n, n=10_000, rng=np.random.default_rng(0)).log_p
    truth = n * quadrature(LinearDecoder([[1.0]], [0.0], s), [1.0], s, 1)  # coordinates are independent
    return Numbers(printed, float(decoder.marginal.logpdf(x)), truth, ulps(256, truth))
