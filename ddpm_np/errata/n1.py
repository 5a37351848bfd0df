"""N1: walking in a space of images, and back."""

from math import erf, sqrt, tanh

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.numbers import NOTES, Numbers, signs, stepwise, ulps
from ddpm_np.forward import q_mean_variance, q_sample, q_step
from ddpm_np.posterior import predict_x0
from ddpm_np.schedule import Schedule

POINT = np.array([1.0, 2.0])


def _n1_22() -> Numbers:
    density = float(np.exp(Gaussian(POINT, np.eye(2)).logpdf([1.0, 3.0])))
    r = 1e-8  # the square of side 2r around the point has at least the disc's probability
    across = (erf((1 + r) / sqrt(2)) - erf((1 - r) / sqrt(2))) / 2
    return Numbers(density, 0.0, erf(r / sqrt(2)) * across, 4 * r**2)


def _n1_25a() -> Numbers:
    schedule, x = Schedule.linear(), POINT
    for t in range(1, schedule.T + 1):
        x = q_step(schedule, x, t, np.zeros(2))
    corrected = float(np.linalg.norm(q_mean_variance(schedule, POINT, schedule.T)[0]))
    return Numbers(sqrt(5), corrected, float(np.linalg.norm(x)), ulps(2 * schedule.T, corrected))


def _n1_25b() -> Numbers:
    schedule = Schedule.linear()
    mean, _ = q_mean_variance(schedule, POINT, schedule.T)
    restored = predict_x0(schedule, mean, schedule.T, np.zeros(2))
    error = float(np.linalg.norm(restored - POINT) / np.linalg.norm(POINT))
    return Numbers(1.0, error, 0.0, ulps(4, 1.0))


def _n1_31() -> Numbers:
    schedule = Schedule.linear()
    corrected = stepwise(1.0, schedule.T, schedule)
    return Numbers(1 + float(schedule.beta.sum()), corrected, 1.0, ulps(4 * schedule.T, 1.0))


def _n1_32a() -> Numbers:
    output = sampler_distribution(Gaussian([0.0], [[0.25]]), NOTES, variance="kernel")
    # The chain starts at N(0, 1) instead of q(x_T), whose variance is 1 - 3/4 alpha_bar_T: of
    # that difference a factor below 1 reaches the end.
    tolerance = 0.75 * float(NOTES.alpha_bar[-1])
    return Numbers(1.0, float(output.cov[0, 0]), 0.25, tolerance)


def _n1_32b() -> Numbers:
    schedule, x = Schedule.from_beta([0.5]), np.array([[0.3]])
    denoiser = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)
    corrected = float(predict_x0(schedule, x, 1, denoiser(x, 1))[0, 0])
    return Numbers(1.0, corrected, tanh(0.3 * sqrt(0.5) / 0.5), ulps(16, 1.0))


def _n1_34() -> Numbers:
    x_0, now, later = signs(3).T  # all are equally likely, as for training's draws
    pair = q_sample(NOTES, x_0, 50, now), q_sample(NOTES, x_0, 51, later)
    truth = float(np.mean(pair[0] * pair[1]))
    corrected = float(np.sqrt(NOTES.alpha_bar[50] * NOTES.alpha_bar[51]))
    return Numbers(float(np.sqrt(NOTES.alpha[51])), corrected, truth, ulps(16, 1.0))


def _n1_39() -> Numbers:
    place = np.linspace(-1, 1, 16)
    disc = np.hypot(place, place[:, None]) < 0.9
    full = np.where(disc, 1.0, -1.0)
    half = np.where(disc & (place > 0), 1.0, -1.0)

    def roughness(x: Array, y: Array) -> tuple[float, float]:
        """Mean squares of the differences between neighbours, and of those from the mean."""
        across = np.mean(np.diff(x) * np.diff(y)), np.mean((x - x.mean()) * (y - y.mean()))
        return float(across[0]) / 2, float(across[1])

    pairs = np.array([roughness(full, full), roughness(full, half), roughness(half, half)])
    near, far = np.array([1, 2, 1]) / 4 @ pairs  # both are quadratic in the picture
    middle = roughness((full + half) / 2, (full + half) / 2)
    return Numbers(1.0, float(near / far), middle[0] / middle[1], ulps(64, 1.0))
