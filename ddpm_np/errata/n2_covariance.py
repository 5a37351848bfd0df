"""N2, "从协方差的角度理解扩散模型": kernels, spectra, and noise reshaped."""

from __future__ import annotations

from itertools import permutations
from math import exp, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import (
    effective_rank,
    kernel_covariance,
    reshape_noise,
    sample_covariance,
)
from ddpm_np.closed_form.distributions import GaussianMixture
from ddpm_np.errata.record import Numbers, erratum, signs, ulps
from ddpm_np.signals import MultiSine


@erratum(
    "N2:172",
    section="从协方差的角度理解扩散模型",
    also=("N2:199",),
    kind="imprecise",
    equation="E22",
    printed=("meaningful signals are in a state of lower rank", "“有意义的信号处于更低秩的状态”"),
    corrected=(
        "the effective rank of that matrix is lower, not its rank, which is full for distinct "
        "values; of low rank, at most 2K, is the covariance of the ensemble of K sines",
        "降低的是这个矩阵的有效秩，而不是秩：只要取值互不相同，它就是满秩的；"
        "真正低秩（秩至多为 2K）的是由 K 个正弦叠加而成的信号总体的协方差矩阵",
    ),
    quantity=(
        "determinant of the kernel matrix of the signal 0, 1, 2, 3, 4 (low rank: 0)",
        "信号 0, 1, 2, 3, 4 的核矩阵的行列式（若低秩则为 0）",
    ),
    why=(
        "A Gaussian kernel matrix of distinct points is positive definite. Its eigenvalues fall "
        "fast, but none is 0.",
        "互不相同的点的高斯核矩阵是正定的：特征值虽然衰减很快，却没有一个等于 0。",
    ),
)
def kernel_of_low_rank() -> Numbers:
    n = 5
    # With q = 1/e, C_ij = q^(i^2) q^(j^2) (q^(-2i))^j: a Vandermonde matrix between two diagonals.
    truth = 1.0
    for k in range(1, n):
        truth *= (1 - exp(-2 * k)) ** (n - k)
    kernel = kernel_covariance(np.arange(float(n)))
    tolerance = ulps(16 * float(np.linalg.cond(kernel)), truth)
    return Numbers(0.0, float(np.linalg.det(kernel)), truth, tolerance)


@erratum(
    "N2:186",
    section="从协方差矩阵看简单与复杂",
    kind="convention",
    equation="E21",
    printed=(
        "take the difference of the dimensions and apply the logistic function",
        "“测量维度之间的差异并取逻辑函数”",
    ),
    corrected=(
        "the function in N2:189 is the Gaussian (radial basis) function exp(-d^2); the logistic "
        "function is 1 / (1 + exp(-d))",
        "N2:189 用的函数 exp(-d^2) 通常称为高斯函数（径向基函数）；"
        "逻辑函数指的是 1 / (1 + exp(-d))",
    ),
    latex=("", r"\exp(-d^2)"),
    quantity=("similarity of two equal values", "两个相等的值之间的相似度"),
    why=(
        "The logistic function is 1/2 at 0 and grows with the difference; a similarity is 1 at 0 "
        "and falls.",
        "逻辑函数在 0 处为 1/2，并随差异增大而增大；相似度应在 0 处为 1，并随差异增大而减小。",
    ),
)
def logistic_function() -> Numbers:
    from scipy.special import expit

    C = MultiSine([1.0, 2.5]).cov
    truth = float(C[3, 3] / sqrt(C[3, 3] ** 2))
    return Numbers(float(expit(0.0)), float(kernel_covariance([0.7, 0.7])[0, 1]), truth, 0.0)


@erratum(
    "N2:189",
    section="从协方差矩阵看简单与复杂",
    kind="wrong formula",
    equation="E21",
    printed="cov(i, j) = exp(-|v_i - v_j|^2)",
    corrected=(
        "Cov(i, j) = E[(x_i - mu_i)(x_j - mu_j)], a mean over signals; the printed matrix is a "
        "Gaussian kernel matrix of one signal",
        "Cov(i, j) = E[(x_i - mu_i)(x_j - mu_j)]，期望对信号总体取；"
        "原文的矩阵是一条信号的高斯核矩阵",
    ),
    latex=(
        r"cov(i, j) = exp(-\lVert v_i - v_j \rVert_2^2)",
        r"Cov(i, j) = \mathbb{E}[(x_i - \mu_i)(x_j - \mu_j)]",
    ),
    quantity=(
        "variance of a coordinate after multiplying signals of variance 1 by 10",
        "把方差为 1 的信号放大 10 倍后，一个坐标的方差",
    ),
    why=(
        "A covariance scales by 100. The kernel compares the values of one curve and has 1 on its "
        "diagonal at every scale, so noise of this covariance (N2:205) has lost the signal's "
        "scale.",
        "协方差会变为 100 倍；核矩阵只比较同一条曲线上的取值，无论怎样缩放，对角线恒为 1。"
        "因此 N2:205 中按它重塑的噪声并不含有信号的尺度。",
    ),
)
def kernel_for_covariance() -> Numbers:
    frequencies, rng = [1.0, 2.5, 4.0], np.random.default_rng(0)
    curve = MultiSine(frequencies).sample(1, rng=rng)[0]
    corrected = float(MultiSine(frequencies, scale=10 / sqrt(3)).cov[7, 7])
    printed = float(kernel_covariance(10 * curve)[7, 7])
    return Numbers(printed, corrected, 100.0, ulps(16, 100.0))


@erratum(
    "N2:199",
    section="从协方差矩阵看简单与复杂",
    kind="wrong claim",
    equation="E22",
    printed=(
        "that continuity limits a signal's complexity is seen by comparing this matrix with that "
        "of noise",
        "“之所以说‘信号的连续性限制了它的复杂性’，这是因为我还计算了随机噪声的协方差矩阵”",
    ),
    corrected=(
        "the conclusion is right, the reason is not: the spectrum of this matrix does not depend "
        "on the order of the values; that of the ensemble's covariance shows continuity",
        "结论成立，但理由不成立：这个核矩阵的谱与取值的先后次序无关，反映不了连续性；"
        "能反映连续性的是信号总体的协方差矩阵的谱",
    ),
    quantity=(
        "factor by which shuffling each signal at random raises the effective rank, dim = 6",
        "把每条信号各自随机打乱次序后，有效秩增大的倍数，维数为 6",
    ),
    why=(
        "Shuffling destroys all continuity. It only permutes rows and columns of the kernel "
        "matrix: "
        "the eigenvalues stay.",
        "打乱次序会彻底破坏连续性，但对核矩阵只是行与列的重排，特征值不变。",
    ),
)
def continuity_in_the_kernel() -> Numbers:
    ensemble = MultiSine([0.4], dim=6)
    curve = ensemble.sample(1, rng=np.random.default_rng(0))[0]
    shuffled_curve = curve[[3, 0, 5, 1, 4, 2]]
    kernel, shuffled_kernel = kernel_covariance(curve), kernel_covariance(shuffled_curve)
    printed = effective_rank(shuffled_kernel) / effective_rank(kernel)
    C = ensemble.cov
    # Every off-diagonal entry becomes the mean of all 30, every diagonal entry that of all 6.
    apart = (C.sum() - np.trace(C)) / 30
    shuffled = np.full((6, 6), apart) + (np.trace(C) / 6 - apart) * np.eye(6)
    corrected = effective_rank(shuffled) / effective_rank(C)
    every = np.mean([C[np.ix_(p, p)] for p in permutations(range(6))], axis=0)
    truth = effective_rank(every) / effective_rank(C)
    return Numbers(printed, corrected, truth, ulps(1000, truth))


@erratum(
    "N2:205",
    section="利用协方差重塑噪声",
    kind="imprecise",
    printed=(
        "noise and signal have the same covariance matrix, so their laws are similar",
        "“由于噪声与信号具有相同的协方差矩阵，因此我们可以说它们具有相似的分布”",
    ),
    corrected=(
        "equal means and covariances make two normal laws equal; other laws then agree in these "
        "two "
        "moments only",
        "若两者都是正态分布，均值和协方差相同就意味着分布相同；一般情形下，只是前两阶矩相同",
    ),
    quantity=(
        "P(|x| < 1/2) for signals near 0.95 or -0.95 with mean 0 and variance 1 (printed: N(0, 1))",
        "信号集中在 ±0.95 附近、均值为 0、方差为 1 时的 P(|x| < 1/2)（按原文：N(0, 1)）",
    ),
    why=(
        "A mixture of two narrow normals can have the mean and the covariance of a wide normal and "
        "still put its mass elsewhere.",
        "两个窄正态分布的混合，可以与一个宽正态分布有相同的均值和协方差，而概率质量却落在别处。",
    ),
)
def equal_covariance() -> Numbers:
    from scipy.special import ndtr

    m = 0.95
    s = sqrt(1 - m**2)
    law = GaussianMixture([0.5, 0.5], [[-m], [m]], [[[s**2]], [[s**2]]])
    x, w = np.polynomial.legendre.leggauss(80)
    truth = float(w @ np.exp(law.logpdf(x[:, None] / 2))) / 2
    corrected = float(ndtr((0.5 - m) / s) - ndtr((-0.5 - m) / s))
    return Numbers(float(ndtr(0.5) - ndtr(-0.5)), corrected, truth, 1e-13)


@erratum(
    "N2:220",
    section="附录：协方差矩阵及其变换",
    also=("N2:323-324",),
    kind="wrong formula",
    equation="E23",
    printed="Cov(X) = (X - mu)^T (X - mu)",
    corrected=(
        "Cov(X) = (X - mu)^T (X - mu) / m for the m rows of X",
        "Cov(X) = (X - mu)^T (X - mu) / m，其中 m 是 X 的行数",
    ),
    latex=(r"Cov(X) = (X-\mu)^T (X - \mu)", r"Cov(X) = \frac{1}{m} (X-\mu)^T (X - \mu)"),
    quantity=(
        "variance of a column of X, whose 8 rows are the 8 combinations of three signs",
        "X 的 8 行取遍三个正负号的 8 种组合时，一列的方差",
    ),
    why=(
        "Without 1/m the result grows with the number of rows: for white noise it is about m I, "
        "not the I of N2:233.",
        "缺少 1/m 时结果随行数增长：对白噪声约为 m I，而不是 N2:233 中的 I。",
    ),
)
def covariance_without_m() -> Numbers:
    X = signs(3)
    return Numbers(float((X.T @ X)[0, 0]), float(sample_covariance(X)[0, 0]), 1.0, 0.0)


@erratum(
    "N2:226-233",
    section="附录：协方差矩阵及其变换",
    kind="imprecise",
    equation="E23",
    printed="X i.i.d., sigma = 1  ->  Cov(X) = I",
    corrected=(
        "E Cov(X) = I; the matrix of one X in R^{m x n} is off by about sqrt(n / m), and its rank "
        "is at most min(m, n)",
        "E Cov(X) = I；由一个 X（m 行 n 列）算出的矩阵与 I 的偏差约为 sqrt(n / m)，"
        "秩至多为 min(m, n)",
    ),
    latex=(r"Cov(X) = I", r"\mathbb{E}\,Cov(X) = I"),
    quantity=(
        "rank of X^T X / m for white noise with m = 50 rows, n = 100 columns",
        "m = 50 行、n = 100 列的白噪声的 X^T X / m 的秩",
    ),
    why=(
        "Fifty rows span fifty dimensions at most. Then Lambda has zeros, and N2:262 cannot be "
        "solved for Psi.",
        "50 行至多张成 50 维子空间。此时 Lambda 含有零元，由 N2:262 解不出 Psi。",
    ),
)
def sample_covariance_is_identity() -> Numbers:
    X = np.random.default_rng(0).standard_normal((50, 100))
    rank = float(np.linalg.matrix_rank(X.T @ X / 50))
    return Numbers(float(np.linalg.matrix_rank(np.eye(100))), float(min(X.shape)), rank, 0.0)


@erratum(
    "N2:267",
    section="附录：协方差矩阵及其变换",
    also=("N2:276",),
    kind="imprecise",
    equation="E23",
    printed="X^T X = U Lambda V^T,  f(X) = X V Psi V_1^T",
    corrected=(
        "(X - mu)^T (X - mu) / m = U Lambda V^T,  f(X) = (X - mu) V Psi V_1^T: X must be centred",
        "(X - mu)^T (X - mu) / m = U Lambda V^T，f(X) = (X - mu) V Psi V_1^T：X 须先减去均值",
    ),
    latex=(
        r"X^TX = U\Lambda V^T, \quad f_{C \rightarrow C_1}(X) =  X V \Psi V_1^T",
        r"\frac{1}{m}(X-\mu)^T(X-\mu) = U\Lambda V^T, \quad "
        r"f_{C \rightarrow C_1}(X) = (X-\mu) V \Psi V_1^T",
    ),
    quantity=(
        "variance of f(X) for X = (1, 3) with mean 2, where 4 is wanted",
        "X = (1, 3)（均值为 2）变换后 f(X) 的方差，目标值为 4",
    ),
    why=(
        "N2:229 allows any mean mu. X^T X / m is then Cov(X) + mu mu^T, and the result keeps a "
        "mean, so that its variance is too small.",
        "N2:229 允许任意均值 mu。这时 X^T X / m 等于 Cov(X) + mu mu^T，"
        "变换后的结果仍带有均值，方差便达不到目标值。",
    ),
)
def mean_left_in() -> Numbers:
    X, wanted = np.array([[1.0], [3.0]]), 4.0
    printed = X * sqrt(wanted / float((X.T @ X)[0, 0] / 2))
    corrected = float(sample_covariance(reshape_noise(X, [[wanted]]))[0, 0])
    return Numbers(float(sample_covariance(printed)[0, 0]), corrected, wanted, ulps(8, wanted))
