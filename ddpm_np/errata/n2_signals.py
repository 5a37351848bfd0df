"""N2 up to line 278: what diffusion is, and signals seen through covariances."""

from __future__ import annotations

from itertools import permutations
from math import exp, pi, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import (
    effective_rank,
    kernel_covariance,
    reshape_noise,
    sample_covariance,
)
from ddpm_np.closed_form.distributions import Empirical, Gaussian, GaussianMixture
from ddpm_np.errata.numbers import Numbers, line_integral, notes_schedule, signs, ulps
from ddpm_np.forward import covariance_at, q_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine


def n2_49() -> Numbers:
    schedule = Schedule.linear()
    brownian = float(schedule.beta.sum())
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    # The limit is 1; at t = T alpha_bar_T is still missing.
    return Numbers(brownian, corrected, 1.0, 2 * float(schedule.alpha_bar[-1]))


def n2_57() -> Numbers:
    n, beta = 1000, 0.001
    schedule = Schedule.from_beta(np.full(n, beta))
    x, eps = signs(2).T[:, :, None]  # all four pairs of signs: exact for this mean of squares
    one_step = float(np.mean((q_step(schedule, x, 1, eps) - x) ** 2))
    # 2 - 2 sqrt(1 - beta) = beta + beta^2 / 4 + ...: the sum differs from that of beta by
    # n beta^2 / 4, which vanishes as n grows.
    return Numbers(0.0, float(schedule.beta.sum()), n * one_step, n * beta**2 / 2)


def n2_75_78() -> Numbers:
    schedule, m = notes_schedule(), 5.0
    variance = float(covariance_at(schedule, [[m**2]], schedule.T)[0, 0])
    corrected = -2 * (m**2 * float(schedule.alpha_bar[-1]) / variance) ** 2
    last = Empirical([[-m], [m]]).diffuse(schedule, schedule.T)
    fourth = line_integral(lambda x: x**4 * np.exp(last.logpdf(x[:, None])), -15, 15)
    second = line_integral(lambda x: x**2 * np.exp(last.logpdf(x[:, None])), -15, 15)
    truth = fourth.value / second.value**2 - 3
    return Numbers(0.0, corrected, truth, fourth.error + 6 * second.error)


def n2_96_99() -> Numbers:
    data, schedule = Gaussian([0.0], [[1.0]]), Schedule.from_beta([0.1])

    def joint(x_0: np.ndarray) -> np.ndarray:
        transition = np.exp(-((sqrt(0.9) * x_0) ** 2) / 0.2) / sqrt(0.2 * pi)
        return np.exp(-(x_0**2) / 2) / sqrt(2 * pi) * transition

    truth = line_integral(joint, -12, 12)
    corrected = exp(float(data.diffuse(schedule, 1).logpdf([0.0])))
    return Numbers(float(joint(np.zeros(1))[0]), corrected, truth.value, truth.error)


def n2_172() -> Numbers:
    n = 5
    # With q = 1/e, C_ij = q^(i^2) q^(j^2) (q^(-2i))^j: a Vandermonde matrix between two diagonals.
    truth = 1.0
    for k in range(1, n):
        truth *= (1 - exp(-2 * k)) ** (n - k)
    kernel = kernel_covariance(np.arange(float(n)))
    tolerance = ulps(16 * float(np.linalg.cond(kernel)), truth)
    return Numbers(0.0, float(np.linalg.det(kernel)), truth, tolerance)


def n2_186() -> Numbers:
    from scipy.special import expit

    C = MultiSine([1.0, 2.5]).cov
    truth = float(C[3, 3] / sqrt(C[3, 3] ** 2))
    return Numbers(float(expit(0.0)), float(kernel_covariance([0.7, 0.7])[0, 1]), truth, 0.0)


def n2_189() -> Numbers:
    frequencies, rng = [1.0, 2.5, 4.0], np.random.default_rng(0)
    curve = MultiSine(frequencies).sample(1, rng=rng)[0]
    corrected = float(MultiSine(frequencies, scale=10 / sqrt(3)).cov[7, 7])
    printed = float(kernel_covariance(10 * curve)[7, 7])
    return Numbers(printed, corrected, 100.0, ulps(16, 100.0))


def n2_199() -> Numbers:
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


def n2_205() -> Numbers:
    from scipy.special import ndtr

    m = 0.95
    s = sqrt(1 - m**2)
    law = GaussianMixture([0.5, 0.5], [[-m], [m]], [[[s**2]], [[s**2]]])
    x, w = np.polynomial.legendre.leggauss(80)
    truth = float(w @ np.exp(law.logpdf(x[:, None] / 2))) / 2
    corrected = float(ndtr((0.5 - m) / s) - ndtr((-0.5 - m) / s))
    return Numbers(float(ndtr(0.5) - ndtr(-0.5)), corrected, truth, 1e-13)


def n2_220() -> Numbers:
    X = signs(3)
    return Numbers(float((X.T @ X)[0, 0]), float(sample_covariance(X)[0, 0]), 1.0, 0.0)


def n2_226_233() -> Numbers:
    X = np.random.default_rng(0).standard_normal((50, 100))
    rank = float(np.linalg.matrix_rank(X.T @ X / 50))
    return Numbers(float(np.linalg.matrix_rank(np.eye(100))), float(min(X.shape)), rank, 0.0)


def n2_267() -> Numbers:
    X, wanted = np.array([[1.0], [3.0]]), 4.0
    printed = X * sqrt(wanted / float((X.T @ X)[0, 0] / 2))
    corrected = float(sample_covariance(reshape_noise(X, [[wanted]]))[0, 0])
    return Numbers(float(sample_covariance(printed)[0, 0]), corrected, wanted, ulps(8, wanted))
