"""N3: the forward process in short, and why it is reparameterised."""

from math import exp, pi, sqrt

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import PointMass
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.errata.numbers import (
    HALF,
    NARROW,
    NOTES,
    STANDARD,
    Numbers,
    density,
    expectation,
    line_integral,
    signs,
    slope,
    ulps,
)
from ddpm_np.forward import q_mean_variance, q_sample, q_step
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


def _n3_43() -> Numbers:
    truth = np.mean(q_step(NOTES, np.ones(2), 50, signs(1)[:, 0]) ** 2)
    square = 1 - NOTES.beta[50]  # of the mean
    return Numbers.of(square, square + NOTES.beta[50], truth, ulps(8, 1.0))


def _n3_54() -> Numbers:
    kernel = PointMass([2.0]).diffuse(Schedule.from_beta([0.25]), 1)
    corrected = density(kernel, kernel.mean + 1) / density(kernel, kernel.mean)
    return Numbers.of(1.0, corrected, exp(-1 / (2 * 0.25)), ulps(16, corrected))


def _n3_57() -> Numbers:
    truth = expectation(STANDARD, lambda x: density(STANDARD, x))
    return Numbers.of(STANDARD.mean, 1 / (2 * sqrt(pi)), truth)


def _n3_67() -> Numbers:
    def path(x_1: Array) -> Array:
        return np.exp(-(x_1**2) / 0.72 - (0.8 * x_1) ** 2 / 0.72) / (0.72 * pi)

    end = PointMass([0.0]).diffuse(Schedule.from_beta([0.36, 0.36]), 2)
    return Numbers.of(path(np.zeros(1)), density(end, 0.0), line_integral(path))


def _n3_87() -> Numbers:
    exact = Schedule.from_beta(np.array([Exact(1, 5), Exact(1, 10)]))
    steps = Schedule.from_beta([0.2, 0.1])
    x = q_step(steps, q_step(steps, [1.0], 1, [0.0]), 2, [0.0])
    return Numbers.of(exact.alpha[2], exact.between(0, 2)[0], x**2, ulps(8, 1.0))


def _n3_94_96() -> Numbers:
    theta, h = 0.3, 0.25
    x_0, z = signs(2).T
    mean, variance = q_mean_variance(HALF, x_0, 1)
    x_t = mean + np.sqrt(variance) * z
    # A central difference is exact for a quadratic.
    right, left = (np.mean(((theta + d) * x_t - z) ** 2) for d in (h, -h))
    corrected = 2 * (theta - sqrt(0.5))  # E x_t^2 = 1, E x_t eps = sqrt(1 - alpha_bar_t)
    return Numbers.of(0.0, corrected, (right - left) / (2 * h), ulps(32, 1.0))


def _n3_96() -> Numbers:
    schedule, x = Schedule.from_beta([0.36]), 2.0
    draws = q_step(schedule, np.full(2, x), 1, signs(1)[:, 0])
    slopes = q_step(schedule, [1.0], 1, [0.0])  # d x_t / d x_{t-1}, the same for every eps
    corrected = np.mean(2 * draws * slopes)
    # E x_t^2 = 0.64 x^2 + 0.36, whose derivative needs no sampling
    return Numbers.of(0.0, corrected, 2 * 0.64 * x, ulps(16, corrected))


def _n3_102() -> Numbers:
    def guess(deviation: float) -> float:
        """The best eps_hat at x_50 = 1, from signs."""
        x_0, eps = signs(2).T
        return slope(q_sample(NOTES, deviation * x_0, 50, eps), eps)

    narrow, wide = (IdealDenoiser(dist, NOTES)([[1.0]], 50) for dist in (NARROW, STANDARD))
    return Numbers.of(0.0, narrow - wide, guess(0.5) - guess(1.0), ulps(32, 1.0))
