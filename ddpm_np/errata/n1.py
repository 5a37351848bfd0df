"""N1: walking in a space of images, and back."""

from math import erf, sqrt, tanh

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.numbers import HALF, NARROW, NOTES, TWO_POINTS, Numbers, signs, stepwise, ulps
from ddpm_np.forward import q_mean_variance, q_sample, q_step
from ddpm_np.posterior import predict_x0
from ddpm_np.schedule import Schedule

POINT = np.array([1.0, 2.0])
LINEAR = Schedule.linear()


def _n1_22() -> Numbers:
    printed = np.exp(Gaussian(POINT, np.eye(2)).logpdf([1.0, 3.0]))
    r = 1e-8  # the square of side 2r around the point has at least the disc's probability
    across = (erf((1 + r) / sqrt(2)) - erf((1 - r) / sqrt(2))) / 2
    return Numbers.of(printed, 0.0, erf(r / sqrt(2)) * across, 4 * r**2)


def _n1_25a() -> Numbers:
    x = POINT
    for t in range(1, LINEAR.T + 1):
        x = q_step(LINEAR, x, t, np.zeros(2))
    corrected = np.linalg.norm(q_mean_variance(LINEAR, POINT, LINEAR.T)[0])
    return Numbers.of(sqrt(5), corrected, np.linalg.norm(x), ulps(2 * LINEAR.T, corrected))


def _n1_25b() -> Numbers:
    mean, _ = q_mean_variance(LINEAR, POINT, LINEAR.T)
    restored = predict_x0(LINEAR, mean, LINEAR.T, np.zeros(2))
    error = np.linalg.norm(restored - POINT) / np.linalg.norm(POINT)
    return Numbers.of(1.0, error, 0.0, ulps(4, 1.0))


def _n1_31() -> Numbers:
    corrected = stepwise(1.0, LINEAR.T, LINEAR)
    return Numbers.of(1 + LINEAR.beta.sum(), corrected, 1.0, ulps(4 * LINEAR.T, 1.0))


def _n1_32a() -> Numbers:
    output = sampler_distribution(NARROW, NOTES, variance="kernel")
    # The chain starts at N(0, 1) instead of q(x_T), whose variance is 1 - 3/4 alpha_bar_T: of
    # that difference a factor below 1 reaches the end.
    return Numbers.of(1.0, output.cov, 0.25, 0.75 * NOTES.alpha_bar[-1])


def _n1_32b() -> Numbers:
    x = np.array([[0.3]])
    corrected = predict_x0(HALF, x, 1, IdealDenoiser(TWO_POINTS, HALF)(x, 1))
    return Numbers.of(1.0, corrected, tanh(0.3 * sqrt(0.5) / 0.5), ulps(16, 1.0))


def _n1_34() -> Numbers:
    x_0, now, later = signs(3).T  # all are equally likely, as for training's draws
    truth = np.mean(q_sample(NOTES, x_0, 50, now) * q_sample(NOTES, x_0, 51, later))
    corrected = sqrt(NOTES.alpha_bar[50] * NOTES.alpha_bar[51])
    return Numbers.of(sqrt(NOTES.alpha[51]), corrected, truth, ulps(16, 1.0))


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
    return Numbers.of(1.0, near / far, middle[0] / middle[1], ulps(64, 1.0))
