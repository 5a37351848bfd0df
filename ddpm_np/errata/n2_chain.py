"""N2 from the chain on: what one step and many steps do, and the experiment."""

from math import exp, fsum, log, log1p, pi, sqrt

import numpy as np

from ddpm_np import posterior
from ddpm_np._checks import Array
from ddpm_np.closed_form.covariance import covariance_of_sum, end_noise_correlation
from ddpm_np.closed_form.distributions import (
    Empirical,
    Gaussian,
    GaussianMixture,
    PointMass,
    kl_divergence,
)
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.closed_form.reverse import reverse_kernel, sampler_distribution
from ddpm_np.errata.numbers import (
    NOTES,
    STANDARD,
    Numbers,
    divergence,
    expectation,
    signs,
    slope,
    stepwise,
    ulps,
    value,
)
from ddpm_np.forward import covariance_at, q_sample, q_step
from ddpm_np.sampling import ancestral_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import multi_sine_curve

TWO_POINTS = Empirical([[-1.0], [1.0]])


def _n2_310_318() -> Numbers:
    plus, minus = (PointMass([x_0]).diffuse(NOTES, 50) for x_0 in (1.0, -1.0))
    truth = divergence(plus, minus)
    return Numbers(0.0, kl_divergence(plus, minus), truth.value, truth.error + ulps(64, 2.0))


def _n2_336() -> Numbers:
    u = signs(1)
    X_1, X_2 = u * [1, 0], u * [0, 1]
    Sigma_1, Sigma_2, cross, truth = (
        a.T @ b / 2 for a, b in ((X_1, X_1), (X_2, X_2), (X_1, X_2), (X_1 + X_2, X_1 + X_2))
    )
    corrected = covariance_of_sum(1.0, Sigma_1, 1.0, Sigma_2, cross)
    printed = Sigma_1 + Sigma_2 + 2 * cross
    return Numbers(float(printed[1, 0]), float(corrected[1, 0]), float(truth[1, 0]), 0.0)


def _n2_351() -> Numbers:
    printed = 0.0
    for beta in NOTES.beta[1:51]:
        printed = (1 - beta) * printed + beta**2
    truth = 1 - exp(fsum(log1p(-beta) for beta in NOTES.beta[1:51]))
    return Numbers(printed, stepwise(0.0, 50), truth, ulps(150, truth))


def _n2_387() -> Numbers:
    truth = 1 - 0.1 / (1 + exp(-6))
    return Numbers(0.0, float(NOTES.alpha[100]), truth, ulps(2, truth))


def _n2_393_397() -> Numbers:
    schedule = Schedule.from_beta([0.5, 0.5])
    first, second = signs(2).T
    x = q_step(schedule, q_step(schedule, np.zeros_like(first), 1, first), 2, second)
    truth = float(np.mean(x**4) / np.mean(x**2) ** 2 - 3)
    shares = np.array([schedule.alpha[2] * schedule.beta[1], schedule.beta[2]])
    shares = shares / covariance_at(schedule, [[0.0]], 2)[0, 0]  # of the variance, by step
    return Numbers(0.0, float(-2 * np.sum(shares**2)), truth, ulps(16, 1.0))


def _n2_400() -> Numbers:
    schedule = Schedule.from_beta([0.5])
    denoiser, marginal = IdealDenoiser(TWO_POINTS, schedule), TWO_POINTS.diffuse(schedule, 1)
    explained = expectation(marginal, lambda x: denoiser(x[:, None], 1)[:, 0] ** 2)
    # Independently: the loss is SNR times the least squared error of x_0, which for two points
    # is 1 - E tanh(SNR + sqrt(SNR) z), here at SNR = 1.
    remembered = expectation(STANDARD, lambda z: np.tanh(1 + z))
    printed = float(optimal_loss(STANDARD, schedule)[1])
    tolerance = explained.error + remembered.error
    return Numbers(printed, 1 - explained.value, 1 - remembered.value, tolerance)


def _n2_410() -> Numbers:
    x = multi_sine_curve(rng=np.random.default_rng(2))
    frequencies = np.random.default_rng(2).uniform(0, 5, 5)  # those of x, drawn again
    angle = 2 * np.pi * np.outer(np.linspace(0, 1, len(x)), frequencies)
    waves = np.hstack([np.cos(angle), np.sin(angle)])
    a, b = np.linalg.lstsq(waves, x, rcond=None)[0].reshape(2, 5)
    amplitude = np.hypot(a, b)
    weights = np.random.default_rng(2).uniform(0, 1, 5)
    printed, truth = (float(w.max() / w.min()) for w in (weights, amplitude))
    return Numbers(printed, 1.0, truth, ulps(64 * float(np.linalg.cond(waves)), 1.0))


def _n2_422() -> Numbers:
    from scipy.special import expit

    t = np.arange(1.0, 101.0)
    printed = Schedule.from_beta(0.1 * expit((t - 1) / (100 - 1) * (100 - 1) + 1))
    truth = exp(fsum(log1p(-0.1 / (1 + exp(6 - 12 * k / 99))) for k in range(100)))
    corrected = float(NOTES.alpha_bar[-1])
    return Numbers(float(printed.alpha_bar[-1]), corrected, truth, ulps(200, truth))


def _n2_439_442() -> Numbers:
    noise = [np.zeros(NOTES.T)]  # what the noise of each step contributes to x_s
    for s, own in enumerate(np.eye(NOTES.T), 1):
        noise.append(q_step(NOTES, noise[-1], s, own))
    now, end = noise[50], noise[-1]
    truth = float(now @ end / (np.linalg.norm(now) * np.linalg.norm(end)))
    return Numbers(1.0, float(end_noise_correlation(NOTES, 50)), truth, ulps(4 * NOTES.T, truth))


def _n2_442() -> Numbers:
    schedule = Schedule.from_beta([0.5])
    x_0, eps = signs(2).T
    x_t = q_sample(schedule, x_0, 1, eps)
    truth = float(np.mean((slope(x_t, eps) * x_t - eps) ** 2))  # of the best linear prediction
    return Numbers(0.0, float(optimal_loss(STANDARD, schedule)[1]), truth, ulps(16, 1.0))


def _n2_448() -> Numbers:
    x, root = 0.3, sqrt(0.5)
    candidates = np.array([(x - root * x_0) / root for x_0 in (1.0, -1.0)])
    weights = np.exp(-((x - root * np.array([1.0, -1.0])) ** 2))
    weights /= weights.sum()
    # A weighted sum of distances is least at one of the candidates.
    printed = candidates[np.argmin([weights @ np.abs(candidates - c) for c in candidates])]
    corrected = IdealDenoiser(TWO_POINTS, Schedule.from_beta([0.5]))([[x]], 1)[0, 0]
    return Numbers(float(printed), float(corrected), float(weights @ candidates), ulps(64, 1.0))


def _n2_470() -> Numbers:
    corrected = float(covariance_at(NOTES, [[4.0]], 50)[0, 0])
    return Numbers(4.0, corrected, stepwise(4.0, 50), ulps(200, 4.0))


def _n2_476() -> Numbers:
    truth = float(np.var(q_step(NOTES, np.ones(2), 50, signs(1)[:, 0])))
    return Numbers(0.0, float(NOTES.beta[50]), truth, ulps(16, 1.0))


def _n2_488() -> Numbers:
    _, corrected = posterior.posterior_mean_variance(NOTES, [0.0], [0.0], 50)
    # Given X_0 the two are jointly normal: Var(X_{t-1}) - Cov^2 / Var(X_t).
    before, now = (float(covariance_at(NOTES, [[0.0]], s)[0, 0]) for s in (49, 50))
    truth = before - (1 - NOTES.beta[50]) * before**2 / now
    return Numbers(0.0, value(corrected), float(truth), ulps(16, before))


def _n2_491a() -> Numbers:
    def back(deviation: float) -> float:
        """The best guess of x_49 at x_50 = 1, from signs."""
        x_0, now, step = signs(3).T
        before = q_sample(NOTES, deviation * x_0, 49, now)
        return slope(q_step(NOTES, before, 50, step), before)

    narrow, wide = (
        float(reverse_kernel(Gaussian([0.0], [[v]]), NOTES, [1.0], 50).mean[0]) for v in (0.25, 1.0)
    )
    return Numbers(0.0, narrow - wide, back(0.5) - back(1.0), ulps(64, 1.0))


def _n2_491b() -> Numbers:
    output = sampler_distribution(STANDARD, NOTES)
    truth = divergence(STANDARD, output)
    loss = float(np.mean(optimal_loss(STANDARD, NOTES)[1:]))
    return Numbers(loss, kl_divergence(STANDARD, output), truth.value, truth.error + ulps(8, 1.0))


def _n2_497() -> Numbers:
    h = 0.1
    points = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[h**2]], [[h**2]]])
    truth = divergence(STANDARD, points)
    corrected = (2 - 2 * sqrt(2 / pi)) / (2 * h**2) + log(2 * h) - 0.5
    # Only the nearer point counted: the other one's share is at most p(0) h^2 pi^2 / 12.
    tolerance = truth.error + h**2 * pi**2 / 12 / sqrt(2 * pi)
    return Numbers(0.0, corrected, truth.value, tolerance)


def _n2_500() -> Numbers:
    Psi, Phi = STANDARD, Gaussian([sqrt(1.5 * log(4 / 3))], [[0.5]])

    def difference(x: Array) -> Array:
        return np.exp(Psi.logpdf(x[:, None])) - np.exp(Phi.logpdf(x[:, None]))

    truth = divergence(Psi, Phi)
    printed = expectation(Psi, difference).value
    return Numbers(printed, kl_divergence(Psi, Phi), truth.value, truth.error)


def _n2_517() -> Numbers:
    gain = 1.0
    for t in range(NOTES.T, 0, -1):
        # The ideal denoiser of N(0, 1) data is eps_star = sqrt(1 - alpha_bar_t) x_t.
        step = ancestral_step(NOTES, t, variance="beta")
        gain *= float(step.xt_coef + step.eps_coef * sqrt(NOTES.one_minus_alpha_bar[t]))
    truth = gain**2  # with the noise of the exact kernels x_T and x_0 both have variance 1
    return Numbers(1.0, float(NOTES.alpha_bar[-1]), truth, ulps(8 * NOTES.T, truth))


def _n2_533() -> Numbers:
    x, eps = signs(2).T
    truth = float(np.mean((q_step(NOTES, x, NOTES.T, eps) - x) ** 2))
    return Numbers(0.0, 2 - 2 * sqrt(NOTES.alpha[-1]), truth, ulps(16, 2.0))


def _n2_550_553() -> Numbers:
    gain = np.ones(1)
    for t in range(51, NOTES.T + 1):
        gain = q_step(NOTES, gain, t, np.zeros(1))
    corrected = float(NOTES.between(50, NOTES.T)[0])
    return Numbers(1.0, corrected, float(gain[0] ** 2), ulps(4 * 50, corrected))


def _n2_553() -> Numbers:
    schedule = Schedule.from_beta([0.5])
    gain = float(IdealDenoiser(STANDARD, schedule)([[1.0]], 1)[0, 0])
    corrected = gain**2 * float(STANDARD.diffuse(schedule, 1).cov[0, 0])
    x_0, eps = signs(2).T
    x_t = q_sample(schedule, x_0, 1, eps)
    return Numbers(1.0, corrected, float(np.mean((slope(x_t, eps) * x_t) ** 2)), ulps(16, 1.0))
