"""N0, and the chapter "扩散模型对信号的理解" of N2, which repeats it: a signal as a mean, and as a draw."""

from __future__ import annotations

from fractions import Fraction
from math import comb, erf, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import error_of_mean, variance_of_mean
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.errata.record import Numbers, erratum, ulps


@erratum(
    "N0:29-32", section="信号及其维度", also=("N2:128-131",), kind="wrong formula",
    printed='"每条蓝色曲线出现的概率为" p(x) = N(x; mu, Sigma)',
    corrected="p(x) is a density; a region has a probability, about p(x) times its volume",
    quantity='total "probability" of the 201 values -1, -0.99, ..., 1 of one coordinate',
    why="Each single curve has probability 0. Taken as probabilities, the values of the density add up to more than 1.",
)
def density_called_probability() -> Numbers:
    h = 0.01
    x = h * np.arange(-100, 101)
    density = np.exp(Gaussian([0.0], [[1.0]]).logpdf(x[:, None]))
    # The midpoint rule's error is at most h^2 / 24 times the length times the largest |p''|, which is p(0).
    bound = h**2 / 24 * 201 * h * float(density.max())
    return Numbers(float(density.sum()), float(h * density.sum()), erf(100.5 * h / sqrt(2)), bound)


@erratum(
    "N0:44", section="信号是方差为零的随机变量", also=("N2:143",), kind="wrong claim", equation="E33",
    printed='"通过多次取平均的方式减少系统误差" (averaging reduces the systematic error)',
    corrected="averaging reduces the random error; mean squared error = Var(X) / n + bias^2",
    quantity="mean squared error of a mean of 100 observations, variance 1, each 1/2 too high",
    why="A bias that all observations share is in their mean too. Only the scatter goes down as 1/n.",
)
def systematic_error() -> Numbers:
    truth = float(_second_moment_of_mean(100, Fraction(1, 2)))
    return Numbers(variance_of_mean(1.0, 100), error_of_mean(1.0, 100, bias=0.5), truth, ulps(4, truth))


@erratum(
    "N0:48", section="信号是方差为零的随机变量", also=("N2:147",), kind="wrong formula", equation="E33",
    printed="X_bar = (1/n) sum_{i=1..n} X",
    corrected="X_bar = (1/n) sum_{i=1..n} X_i with independent X_i",
    quantity="variance of X_bar for n = 10 and Var(X) = 1",
    why="Without the index all summands are one and the same X, so X_bar = X and nothing is averaged.",
)
def mean_without_index() -> Numbers:
    fully_correlated = variance_of_mean(1.0, 10, correlation=1.0)
    truth = float(_second_moment_of_mean(10, Fraction(0)))
    return Numbers(fully_correlated, variance_of_mean(1.0, 10), truth, ulps(4, truth))


def _second_moment_of_mean(n: int, bias: Fraction) -> Fraction:
    """E (mean of n fair signs + bias)^2, by counting the signs."""
    return sum((comb(n, k) * (Fraction(2 * k - n, n) + bias) ** 2 for k in range(n + 1)), Fraction(0)) / 2**n
