"""N2, "从协方差的角度理解扩散模型": kernels, spectra, and noise reshaped."""

from __future__ import annotations

from itertools import permutations
from math import exp, log, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import effective_rank, kernel_covariance, sample_covariance
from ddpm_np.closed_form.distributions import Gaussian, GaussianMixture, kl_divergence
from ddpm_np.errata.record import Numbers, erratum, signs, ulps
from ddpm_np.signals import MultiSine, multi_sine_curve


@erratum(
    "N2:172", section="从协方差的角度理解扩散模型", also=("N2:199",), kind="wrong claim", equation="E22",
    printed='"有意义的信号处于更低秩的状态" (shown by the kernel matrix of one signal)',
    corrected="that matrix has full rank for distinct values; of low rank, at most 2K, is the ensemble's covariance",
    quantity="determinant of the kernel matrix of the signal 0, 1, 2, 3, 4 (low rank: 0)",
    why="A Gaussian kernel matrix of distinct points is positive definite. Its eigenvalues fall fast, but none is 0.",
)
def kernel_of_low_rank() -> Numbers:
    n = 5
    # With q = 1/e, C_ij = q^(i^2) q^(j^2) (q^(-2i))^j, a Vandermonde matrix between two diagonal ones.
    truth = 1.0
    for k in range(1, n):
        truth *= (1 - exp(-2 * k)) ** (n - k)
    kernel = kernel_covariance(np.arange(float(n)))
    return Numbers(0.0, float(np.linalg.det(kernel)), truth, ulps(16 * np.linalg.cond(kernel), truth))


@erratum(
    "N2:177", section="基本假设", kind="wrong claim",
    printed='"只要噪声信号的方差足够大，它总有希望“生成”有意义的信号" (a larger variance helps)',
    corrected="the density of a signal x under N(0, s^2 I) is largest at s^2 = |x|^2 / n and then falls as s^-n",
    quantity="nats gained by 100 times the best variance, one 50-dimensional curve",
    why="A wider law reaches x, but spreads over a volume that grows as s^n. Nearest claim: nothing is lost.",
)
def variance_large_enough() -> Numbers:
    x = multi_sine_curve(rng=np.random.default_rng(0))
    best = float(x @ x) / x.size
    at = {k: float(Gaussian(np.zeros(x.size), k * best * np.eye(x.size)).logpdf(x)) for k in (1, 100)}
    corrected = -x.size / 2 * (log(100) - 1 + 1 / 100)
    return Numbers(0.0, corrected, at[100] - at[1], ulps(64, *at.values()))


@erratum(
    "N2:186", section="从协方差矩阵看简单与复杂", kind="wrong formula", equation="E21",
    printed='"测量维度之间的差异并取逻辑函数" (logistic function of the difference)',
    corrected="the Gaussian (radial basis) function exp(-d^2) of the difference, as N2:189 has it",
    quantity="likeness of two equal values",
    why="The logistic function of 0 is 1/2, and it grows with the difference; a likeness is 1 at 0 and falls.",
)
def logistic_function() -> Numbers:
    from scipy.special import expit

    C = MultiSine([1.0, 2.5]).cov
    return Numbers(float(expit(0.0)), float(kernel_covariance([0.7, 0.7])[0, 1]), float(C[3, 3] / sqrt(C[3, 3] ** 2)), 0.0)


@erratum(
    "N2:189", section="从协方差矩阵看简单与复杂", kind="wrong formula", equation="E21",
    printed="cov(i, j) = exp(-|v_i - v_j|^2)",
    corrected="Cov(i, j) = E[(x_i - mu_i)(x_j - mu_j)] over signals; the printed one is a kernel matrix of one signal",
    quantity="variance of a coordinate after multiplying signals of variance 1 by 10",
    why="A covariance scales by 100. The kernel compares the values of one curve and has 1 on its diagonal at any scale.",
)
def kernel_for_covariance() -> Numbers:
    frequencies, rng = [1.0, 2.5, 4.0], np.random.default_rng(0)
    curve = MultiSine(frequencies).sample(1, rng=rng)[0]
    corrected = float(MultiSine(frequencies, scale=10 / sqrt(3)).cov[7, 7])
    return Numbers(float(kernel_covariance(10 * curve)[7, 7]), corrected, 100.0, ulps(16, 100.0))


@erratum(
    "N2:199", section="从协方差矩阵看简单与复杂", kind="wrong claim", equation="E22",
    printed='"信号的连续性限制了它的复杂性" (shown by the spectrum of that kernel)',
    corrected="that spectrum knows nothing of order; the covariance of the ensemble does",
    quantity="factor by which shuffling each signal on its own raises the effective rank, dim = 6",
    why="Shuffling destroys all continuity. It only permutes the kernel's rows and columns: same eigenvalues.",
)
def continuity_in_the_kernel() -> Numbers:
    ensemble = MultiSine([0.4], dim=6)
    curve = ensemble.sample(1, rng=np.random.default_rng(0))[0]
    kernel = effective_rank(kernel_covariance(curve[[3, 0, 5, 1, 4, 2]])) / effective_rank(kernel_covariance(curve))
    C = ensemble.cov
    apart = (C.sum() - np.trace(C)) / 30  # every off-diagonal entry becomes the mean of all 30, every diagonal one that of all 6
    shuffled = np.full((6, 6), apart) + (np.trace(C) / 6 - apart) * np.eye(6)
    every = np.mean([C[np.ix_(p, p)] for p in permutations(range(6))], axis=0)
    truth = effective_rank(every) / effective_rank(C)
    return Numbers(kernel, effective_rank(shuffled) / effective_rank(C), truth, ulps(1000, truth))


@erratum(
    "N2:205a", section="利用协方差重塑噪声", kind="wrong claim",
    printed='"由于噪声与信号具有相同的协方差矩阵 ... 相似的分布" (equal covariance, hence similar laws)',
    corrected="equal covariance and mean fix the law only if both are normal",
    quantity="P(|x| < 1/2) for signals near 0.95 or -0.95 with mean 0 and variance 1 (printed: N(0, 1))",
    why="A mixture of two narrow normals and one wide one agree in mean and covariance and in little else.",
)
def equal_covariance() -> Numbers:
    from scipy.special import ndtr

    m = 0.95
    s = sqrt(1 - m**2)
    law = GaussianMixture([0.5, 0.5], [[-m], [m]], [[[s**2]], [[s**2]]])
    x, w = np.polynomial.legendre.leggauss(80)
    truth = float(w @ np.exp(law.logpdf(x[:, None] / 2))) / 2
    return Numbers(float(ndtr(0.5) - ndtr(-0.5)), float(ndtr((0.5 - m) / s) - ndtr((-0.5 - m) / s)), truth, 1e-13)


@erratum(
    "N2:205b", section="利用协方差重塑噪声", kind="wrong claim", equation="E23",
    printed='"采样得到目标信号的概率无疑得到了提升" (reshaped noise surely makes the target more likely)',
    corrected="only with a covariance that includes the target: its own kernel is circular, the ensemble's C is right",
    quantity="mean gain in log density of a signal over white noise, in nats (printed: another signal's kernel)",
    why="Built from the target itself, the kernel knows the answer; built from another signal, it makes things worse.",
)
def target_more_likely() -> Numbers:
    ensemble, rng = MultiSine([0.3, 1.1, 1.9, 3.2, 4.4], noise=sqrt(0.1)), np.random.default_rng(0)
    white = Gaussian(np.zeros(50), np.eye(50))
    signals = ensemble.sample(8, rng=rng)
    others = []
    for i, v in enumerate(signals):
        rest = np.delete(signals, i, axis=0)
        shaped = Gaussian(np.zeros(50), kernel_covariance(v) + 0.1 * np.eye(50))
        others.append(np.mean(shaped.logpdf(rest) - white.logpdf(rest)))
    draws = ensemble.sample(4000, rng=rng)
    gain = ensemble.logpdf(draws) - white.logpdf(draws)
    five_standard_errors = 5 * gain.std(ddof=1) / sqrt(len(gain))
    # The mean gain of the true law over another is the definition of their KL.
    return Numbers(float(np.mean(others)), kl_divergence(ensemble, white), float(gain.mean()), float(five_standard_errors))


@erratum(
    "N2:220", section="附录：协方差矩阵及其变换", kind="wrong formula", equation="E23",
    printed="Cov(X) = (X - mu)^T (X - mu)",
    corrected="Cov(X) = (X - mu)^T (X - mu) / m for the m rows of X",
    quantity="variance of a column of X, whose 8 rows are the 8 combinations of three signs",
    why="Without 1/m the result grows with the number of rows: for white noise it is about m I, not I.",
)
def covariance_without_m() -> Numbers:
    X = signs(3)
    return Numbers(float((X.T @ X)[0, 0]), float(sample_covariance(X)[0, 0]), 1.0, 0.0)


@erratum(
    "N2:226-233", section="附录：协方差矩阵及其变换", kind="wrong formula", equation="E23",
    printed="X i.i.d., sigma = 1  ->  Cov(X) = I",
    corrected="E Cov(X) = I; the matrix of one X in R^{m x n} is off by O(sqrt(n / m)), with rank at most min(m, n)",
    quantity="rank of X^T X / m for white noise with m = 50 rows, n = 100 columns",
    why="Fifty rows span fifty dimensions at most. Then Lambda has zeros, and Psi = sqrt(Lambda_1 / Lambda) does not exist.",
)
def sample_covariance_is_identity() -> Numbers:
    X = np.random.default_rng(0).standard_normal((50, 100))
    return Numbers(float(np.linalg.matrix_rank(np.eye(100))), float(min(X.shape)), float(np.linalg.matrix_rank(X.T @ X / 50)), 0.0)
