"""N0, and "扩散模型对信号的理解" of N2, which repeats it: a signal as a mean, and as a draw."""

from __future__ import annotations

from fractions import Fraction
from math import comb, erf, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import error_of_mean, variance_of_mean
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.errata.record import Numbers, erratum, ulps


@erratum(
    "N0:29-32",
    section="信号及其维度",
    also=("N2:128-131",),
    kind="imprecise",
    printed=(
        "the probability of each blue curve is p(x) = N(x; mu, Sigma)",
        "“每条蓝色曲线出现的概率为” p(x) = N(x; mu, Sigma)",
    ),
    corrected=(
        "p(x) is a density; the probability of a small region is about p(x) times its volume",
        "p(x) 是概率密度；曲线落在一个小区域内的概率约为 p(x) 乘以该区域的体积",
    ),
    latex=(
        r"p(x) = \mathcal{N}(x; \mu, \Sigma)",
        r"P(X \in \mathrm{d}x) = p(x)\,\mathrm{d}x, \quad p(x) = \mathcal{N}(x; \mu, \Sigma)",
    ),
    quantity=(
        'total "probability" of the 201 values -1, -0.99, ..., 1 of one coordinate',
        "一个坐标取 -1, -0.99, ..., 1 这 201 个值的“概率”之和",
    ),
    why=(
        "Each single curve has probability 0. Read as probabilities, the values of the density add "
        "up to more than 1.",
        "连续分布取到任何一条给定曲线的概率都是 0。若把密度值当作概率相加，总和会超过 1。",
    ),
)
def density_called_probability() -> Numbers:
    h = 0.01
    x = h * np.arange(-100, 101)
    density = np.exp(Gaussian([0.0], [[1.0]]).logpdf(x[:, None]))
    # The midpoint rule's error is at most h^2 / 24 times the length times the largest |p''|, p(0).
    bound = h**2 / 24 * 201 * h * float(density.max())
    truth = erf(100.5 * h / sqrt(2))
    return Numbers(float(density.sum()), float(h * density.sum()), truth, bound)


@erratum(
    "N0:44",
    section="信号是方差为零的随机变量",
    also=("N2:143",),
    kind="wrong claim",
    equation="E33",
    printed=(
        "averaging many times reduces the systematic error",
        "“通过多次取平均的方式减少系统误差”",
    ),
    corrected=(
        "averaging reduces the random error: mean squared error = Var(X) / n + bias^2",
        "取平均减少的是随机误差：均方误差 = Var(X) / n + 偏差^2",
    ),
    quantity=(
        "mean squared error of the mean of 100 observations, variance 1, each 1/2 too high",
        "100 次观测均值的均方误差，每次观测方差为 1，且都偏高 1/2",
    ),
    why=(
        "A bias that all observations share is in their mean too. Only the scatter falls as 1/n.",
        "所有观测共有的偏差会原样留在均值里，只有随机起伏的方差按 1/n 减小。",
    ),
)
def systematic_error() -> Numbers:
    truth = float(_second_moment_of_mean(100, Fraction(1, 2)))
    corrected = error_of_mean(1.0, 100, bias=0.5)
    return Numbers(variance_of_mean(1.0, 100), corrected, truth, ulps(4, truth))


@erratum(
    "N0:48",
    section="信号是方差为零的随机变量",
    also=("N2:147",),
    kind="wrong formula",
    equation="E33",
    printed="X_bar = (1/n) sum_{i=1..n} X",
    corrected=(
        "X_bar = (1/n) sum_{i=1..n} X_i with independent X_i",
        "X_bar = (1/n) sum_{i=1..n} X_i，其中各 X_i 相互独立",
    ),
    latex=(r"\bar{X} = \frac{1}{n} \sum_{i=1}^{n} X", r"\bar{X} = \frac{1}{n} \sum_{i=1}^{n} X_i"),
    quantity=("variance of X_bar for n = 10 and Var(X) = 1", "n = 10、Var(X) = 1 时 X_bar 的方差"),
    why=(
        "Without the index all terms are the same X, so that X_bar = X and the variance stays. "
        "Var(X_bar) = Var(X) / n needs independent terms.",
        "缺了下标，各项就是同一个 X，于是 X_bar = X，方差不变。"
        "Var(X_bar) = Var(X) / n 要求各项独立。",
    ),
)
def mean_without_index() -> Numbers:
    fully_correlated = variance_of_mean(1.0, 10, correlation=1.0)
    truth = float(_second_moment_of_mean(10, Fraction(0)))
    return Numbers(fully_correlated, variance_of_mean(1.0, 10), truth, ulps(4, truth))


def _second_moment_of_mean(n: int, bias: Fraction) -> Fraction:
    """E (mean of n fair signs + bias)^2, by counting the signs."""
    terms = (comb(n, k) * (Fraction(2 * k - n, n) + bias) ** 2 for k in range(n + 1))
    return sum(terms, Fraction(0)) / 2**n
