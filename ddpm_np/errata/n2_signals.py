"""N2 up to the chain: diffusion and its principle, signals, covariances and noise."""

from math import exp, log, pi, sqrt

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form import covariance
from ddpm_np.closed_form.distributions import Gaussian, GaussianMixture
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.probability_flow import probability_flow_logpdf
from ddpm_np.errata.numbers import NOTES, STANDARD, Numbers, line_integral, signs, stepwise, ulps
from ddpm_np.forward import covariance_at, q_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve


def _n2_49() -> Numbers:
    schedule = Schedule.linear()
    brownian = float(schedule.beta.sum())
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    # The limit is 1; at t = T alpha_bar_T is still missing.
    return Numbers(brownian, corrected, 1.0, 2 * float(schedule.alpha_bar[-1]))


def _n2_55() -> Numbers:
    data = Gaussian([0.0], [[4.0]])
    corrected = data.diffuse(NOTES, NOTES.T).entropy - data.entropy
    return Numbers(0.0, corrected, log(stepwise(4.0, NOTES.T) / 4) / 2, ulps(200, 1.0))


def _n2_57() -> Numbers:
    n, beta = 1000, 0.001
    schedule = Schedule.from_beta(np.full(n, beta))
    x, eps = signs(2).T  # all four pairs of signs: exact for this mean of squares
    one_step = float(np.mean((q_step(schedule, x, 1, eps) - x) ** 2))
    # 2 - 2 sqrt(1 - beta) = beta + beta^2 / 4 + ...: the sum differs from that of beta by
    # n beta^2 / 4, which vanishes as n grows.
    return Numbers(0.0, float(schedule.beta.sum()), n * one_step, n * beta**2 / 2)


def _n2_59() -> Numbers:
    data, flow = Gaussian([0.0], [[0.25]]), probability_flow_logpdf
    end = data.diffuse(NOTES, NOTES.T)
    ln_p = flow(IdealDenoiser(data, NOTES), NOTES, [1.0], terminal=end)
    return Numbers(0.0, float(ln_p), -log(pi / 2) / 2 - 2, 1e-7)  # the solver's error


def _n2_96_99() -> Numbers:
    schedule = Schedule.from_beta([0.1])

    def joint(x_0: Array) -> Array:
        return np.exp(STANDARD.logpdf(x_0[:, None]) - 0.9 * x_0**2 / 0.2) / sqrt(0.2 * pi)

    truth = line_integral(joint)
    corrected = exp(float(STANDARD.diffuse(schedule, 1).logpdf([0.0])))
    return Numbers(float(joint(np.zeros(1))[0]), corrected, truth.value, truth.error)


def _n2_177() -> Numbers:
    n = 50
    narrow, wide = (Gaussian(np.zeros(n), v * np.eye(n)).logpdf(np.ones(n)) for v in (1, 100))
    truth = n * ((1 - 1 / 100) - log(100)) / 2
    return Numbers(0.0, float(wide - narrow), truth, ulps(16, truth))


def _n2_186() -> Numbers:
    from scipy.special import expit

    C = MultiSine([1.0, 2.5]).cov
    truth = float(C[3, 3] / sqrt(C[3, 3] ** 2))
    return Numbers(
        float(expit(0.0)), float(covariance.kernel_covariance([0.7, 0.7])[0, 1]), truth, 0.0
    )


def _n2_189() -> Numbers:
    frequencies, rng = [1.0, 2.5, 4.0], np.random.default_rng(0)
    curve = MultiSine(frequencies).sample(1, rng=rng)[0]
    corrected = float(MultiSine(frequencies, scale=10 / sqrt(3)).cov[7, 7])
    printed = float(covariance.kernel_covariance(10 * curve)[7, 7])
    return Numbers(printed, corrected, 100.0, ulps(16, 100.0))


def _n2_199() -> Numbers:
    rng = np.random.default_rng(0)
    curves = [multi_sine_curve(100, rng=rng) for _ in range(100)]
    noises = rng.standard_normal((100, 100))
    kernels = [[covariance.kernel_covariance(v) for v in rows] for rows in (curves, noises)]
    rank, rank_of_noise = (
        float(np.mean([covariance.effective_rank(C) for C in each])) for each in kernels
    )
    # 50 white noises of 100 samples, as in the notes' program; its curves have 100 samples too.
    printed = covariance.effective_rank(noises[:50].T @ noises[:50]) / rank
    # Shuffled, a curve is noise to the eye. Its kernel has the same eigenvalues.
    shuffled = covariance.kernel_covariance(rng.permutation(curves[0]))
    corrected = covariance.effective_rank(shuffled) / covariance.effective_rank(kernels[0][0])
    return Numbers(printed, corrected, rank_of_noise / rank, 0.05)


def _n2_205() -> Numbers:
    from scipy.special import ndtr

    m, s = 0.95, sqrt(1 - 0.95**2)
    mixture = GaussianMixture([0.5, 0.5], [[-m], [m]], [[[s**2]], [[s**2]]])
    x, w = np.polynomial.legendre.leggauss(80)
    truth = float(w @ np.exp(mixture.logpdf(x[:, None] / 2))) / 2
    corrected = float(ndtr((0.5 - m) / s) - ndtr((-0.5 - m) / s))
    return Numbers(float(ndtr(0.5) - ndtr(-0.5)), corrected, truth, 1e-13)


def _n2_207() -> Numbers:
    rng = np.random.default_rng(0)
    C, X = (
        covariance.kernel_covariance(multi_sine_curve(100, rng=rng)),
        rng.standard_normal((50, 100)),
    )
    Y = covariance.reshape_noise(
        X, C / len(X)
    )  # so that Y^T Y = C, the covariance by the notes' definition
    rows = (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)
    # The picture shows the transpose as it was before times the rows as they are after that line.
    printed, corrected = (float(np.linalg.norm(Y.T @ y - C) / np.linalg.norm(C)) for y in (rows, Y))
    return Numbers(printed, corrected, 0.0, 1e-13)


def _n2_220() -> Numbers:
    X = signs(3)
    return Numbers(float((X.T @ X)[0, 0]), float(covariance.sample_covariance(X)[0, 0]), 1.0, 0.0)


def _n2_226_233() -> Numbers:
    X = np.random.default_rng(0).standard_normal((50, 100))
    rank = float(np.linalg.matrix_rank(X.T @ X / 50))
    return Numbers(float(np.linalg.matrix_rank(np.eye(100))), float(min(X.shape)), rank, 0.0)


def _n2_267() -> Numbers:
    X, wanted = np.array([[1.0], [3.0]]), 4.0
    printed = X * sqrt(wanted / float((X.T @ X)[0, 0] / 2))
    corrected = float(covariance.sample_covariance(covariance.reshape_noise(X, [[wanted]]))[0, 0])
    return Numbers(
        float(covariance.sample_covariance(printed)[0, 0]), corrected, wanted, ulps(8, wanted)
    )
