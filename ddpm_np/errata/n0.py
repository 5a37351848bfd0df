"""N0, and "扩散模型对信号的理解" of N2, which repeats it: a signal as a mean, and as a draw."""

from fractions import Fraction
from math import comb, erf, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import error_of_mean, variance_of_mean
from ddpm_np.errata.numbers import STANDARD, Numbers, density, ulps


def _n0_29_32() -> Numbers:
    h = 0.01
    p = density(STANDARD, h * np.arange(-100, 101))
    # The midpoint rule's error is at most h^2 / 24 times the length times the largest |p''|, p(0).
    bound = h**2 / 24 * 201 * h * p.max()
    return Numbers.of(p.sum(), h * p.sum(), erf(100.5 * h / sqrt(2)), bound)


def _n0_44() -> Numbers:
    truth = _second_moment_of_mean(100, Fraction(1, 2))
    corrected = error_of_mean(1.0, 100, bias=0.5)
    return Numbers.of(variance_of_mean(1.0, 100), corrected, truth, ulps(4, truth))


def _n0_48() -> Numbers:
    fully_correlated = variance_of_mean(1.0, 10, correlation=1.0)
    truth = _second_moment_of_mean(10, Fraction(0))
    return Numbers.of(fully_correlated, variance_of_mean(1.0, 10), truth, ulps(4, truth))


def _second_moment_of_mean(n: int, bias: Fraction) -> float:
    """E (mean of n fair signs + bias)^2, by counting the signs."""
    terms = (comb(n, k) * (Fraction(2 * k - n, n) + bias) ** 2 for k in range(n + 1))
    return float(sum(terms, Fraction(0)) / 2**n)
