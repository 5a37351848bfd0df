"""N3: the forward process in short, and why it is reparameterised."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian, PointMass
from ddpm_np.errata.numbers import Numbers, line_integral, notes_schedule, signs, ulps, value
from ddpm_np.forward import q_mean_variance, q_step
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


def n3_43() -> Numbers:
    schedule, t = notes_schedule(), 50
    truth = float(np.mean(q_step(schedule, np.ones((2, 1)), t, signs(1)) ** 2))
    mean = sqrt(1 - schedule.beta[t])
    return Numbers(mean**2, mean**2 + float(schedule.beta[t]), truth, ulps(8, 1.0))


def n3_54() -> Numbers:
    kernel = PointMass([2.0]).diffuse(Schedule.from_beta([0.25]), 1)
    corrected = exp(float(kernel.logpdf(kernel.mean + 1) - kernel.logpdf(kernel.mean)))
    return Numbers(1.0, corrected, exp(-1 / (2 * 0.25)), ulps(16, corrected))


def n3_57() -> Numbers:
    law = Gaussian([0.0], [[1.0]])
    truth = line_integral(lambda x: np.exp(2 * law.logpdf(x[:, None])), -12, 12)
    return Numbers(float(law.mean[0]), 1 / (2 * sqrt(pi)), truth.value, truth.error)


def n3_67() -> Numbers:
    schedule = Schedule.from_beta([0.36, 0.36])

    def path(x_1: np.ndarray) -> np.ndarray:
        return np.exp(-(x_1**2) / 0.72 - (0.8 * x_1) ** 2 / 0.72) / (0.72 * pi)

    truth = line_integral(path, -8, 8)
    corrected = exp(float(PointMass([0.0]).diffuse(schedule, 2).logpdf([0.0])))
    return Numbers(float(path(np.zeros(1))[0]), corrected, truth.value, truth.error)


def n3_87() -> Numbers:
    exact = Schedule.from_beta(np.array([Exact(1, 5), Exact(1, 10)]))
    steps = Schedule.from_beta([0.2, 0.1])
    x = q_step(steps, q_step(steps, [1.0], 1, [0.0]), 2, [0.0])
    corrected = value(exact.between(0, 2)[0])
    return Numbers(value(exact.alpha[2]), corrected, float(x[0] ** 2), ulps(8, 1.0))


def n3_94_96() -> Numbers:
    schedule, theta, h = Schedule.from_beta([0.5]), 0.3, 0.25
    x_0, z = signs(2).T
    mean, variance = q_mean_variance(schedule, x_0[:, None], 1)
    x_t = mean[:, 0] + sqrt(value(variance)) * z

    def loss(theta: float) -> float:
        return float(np.mean((theta * x_t - z) ** 2))

    corrected = 2 * (theta - sqrt(0.5))  # E x_t^2 = 1, E x_t eps = sqrt(1 - alpha_bar_t)
    # A central difference is exact for a quadratic.
    truth = (loss(theta + h) - loss(theta - h)) / (2 * h)
    return Numbers(0.0, corrected, truth, ulps(32, 1.0))


def n3_96() -> Numbers:
    schedule, x = Schedule.from_beta([0.36]), 2.0
    draws = q_step(schedule, np.full((2, 1), x), 1, signs(1))
    slopes = q_step(schedule, [1.0], 1, [0.0])  # d x_t / d x_{t-1}, the same for every eps
    corrected = float(np.mean(2 * draws * slopes))
    # E x_t^2 = 0.64 x^2 + 0.36, whose derivative needs no sampling
    return Numbers(0.0, corrected, 2 * 0.64 * x, ulps(16, corrected))
