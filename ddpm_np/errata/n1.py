"""N1: walking in a space of images, and back."""

from __future__ import annotations

from math import erf, sqrt, tanh

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.numbers import Numbers, notes_schedule, ulps
from ddpm_np.forward import covariance_step, q_mean_variance, q_step
from ddpm_np.posterior import predict_x0
from ddpm_np.schedule import Schedule


def n1_22() -> Numbers:
    density = float(np.exp(Gaussian([1.0, 2.0], np.eye(2)).logpdf([1.0, 3.0])))
    # The square of side 2e-8 around the point has at least the disc's probability.
    r = 1e-8
    along = erf(r / sqrt(2))
    across = (erf((1 + r) / sqrt(2)) - erf((1 - r) / sqrt(2))) / 2
    return Numbers(density, 0.0, along * across, 4 * r**2)


def n1_25a() -> Numbers:
    schedule, x = Schedule.linear(), np.array([1.0, 2.0])
    for t in range(1, schedule.T + 1):
        x = q_step(schedule, x, t, np.zeros(2))
    corrected = float(np.linalg.norm(q_mean_variance(schedule, [1.0, 2.0], schedule.T)[0]))
    return Numbers(sqrt(5), corrected, float(np.linalg.norm(x)), ulps(2 * schedule.T, corrected))


def n1_25b() -> Numbers:
    schedule, x_0 = Schedule.linear(), np.array([1.0, 2.0])
    mean, _ = q_mean_variance(schedule, x_0, schedule.T)
    restored = predict_x0(schedule, mean, schedule.T, np.zeros(2))
    error = float(np.linalg.norm(restored - x_0) / np.linalg.norm(x_0))
    return Numbers(1.0, error, 0.0, ulps(4, 1.0))


def n1_31() -> Numbers:
    schedule, Sigma = Schedule.linear(), np.eye(1)
    for t in range(1, schedule.T + 1):
        Sigma = covariance_step(schedule, Sigma, t)
    printed = 1 + float(schedule.beta.sum())
    return Numbers(printed, float(Sigma[0, 0]), 1.0, ulps(4 * schedule.T, 1.0))


def n1_32a() -> Numbers:
    schedule, data = notes_schedule(), Gaussian([0.0], [[0.25]])
    output = sampler_distribution(data, schedule, variance="kernel")
    # The chain starts at N(0, 1) instead of q(x_T), whose variance is 1 - 3/4 alpha_bar_T: of
    # that difference a factor below 1 reaches the end.
    tolerance = 0.75 * float(schedule.alpha_bar[-1])
    return Numbers(1.0, float(output.cov[0, 0]), 0.25, tolerance)


def n1_32b() -> Numbers:
    schedule = Schedule.from_beta([0.5])
    denoiser = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)
    x = np.array([[0.3]])
    corrected = float(predict_x0(schedule, x, 1, denoiser(x, 1))[0, 0])
    return Numbers(1.0, corrected, tanh(0.3 * sqrt(0.5) / 0.5), ulps(16, 1.0))
