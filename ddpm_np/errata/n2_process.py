"""N2, lines 280 to 517: the chain, the signal experiment, images and the loss."""

from __future__ import annotations

from math import exp, fsum, log, log1p, pi, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import end_noise_correlation
from ddpm_np.closed_form.distributions import Empirical, Gaussian, GaussianMixture, kl_divergence
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.numbers import Numbers, line_integral, notes_schedule, signs, ulps, value
from ddpm_np.forward import covariance_at, covariance_step, q_step
from ddpm_np.posterior import posterior_mean_variance
from ddpm_np.sampling import ancestral_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import multi_sine_curve


def n2_336() -> Numbers:
    u = signs(1)
    X_1, X_2 = u * [1, 0], u * [0, 1]
    Sigma_1, Sigma_2, cross = X_1.T @ X_1 / 2, X_2.T @ X_2 / 2, X_1.T @ X_2 / 2
    Y = X_1 + X_2
    printed = Sigma_1 + Sigma_2 + 2 * cross
    corrected = Sigma_1 + Sigma_2 + cross + cross.T
    truth = Y.T @ Y / 2
    return Numbers(float(printed[1, 0]), float(corrected[1, 0]), float(truth[1, 0]), 0.0)


def n2_351() -> Numbers:
    schedule = notes_schedule()
    printed, corrected = 0.0, np.zeros((1, 1))
    for t in range(1, 51):
        printed = (1 - schedule.beta[t]) * printed + schedule.beta[t] ** 2
        corrected = covariance_step(schedule, corrected, t)
    truth = 1 - exp(fsum(log1p(-b) for b in schedule.beta[1:51]))
    return Numbers(float(printed), float(corrected[0, 0]), truth, ulps(150, truth))


def n2_387() -> Numbers:
    truth = 1 - 0.1 / (1 + exp(-6))
    return Numbers(0.0, float(notes_schedule().alpha[100]), truth, ulps(2, truth))


def n2_400() -> Numbers:
    schedule, data = Schedule.from_beta([0.5]), Empirical([[-1.0], [1.0]])
    denoiser, law = IdealDenoiser(data, schedule), data.diffuse(schedule, 1)

    def explained_density(x: np.ndarray) -> np.ndarray:
        return np.exp(law.logpdf(x[:, None])) * denoiser(x[:, None], 1)[:, 0] ** 2

    def remembered_density(z: np.ndarray) -> np.ndarray:
        return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * np.tanh(1 + z)

    explained = line_integral(explained_density, -12, 12)
    # Independently: the loss is SNR times the least squared error of x_0, which for two points
    # is 1 - E tanh(SNR + sqrt(SNR) z), here at SNR = 1.
    remembered = line_integral(remembered_density, -12, 12)
    printed = float(optimal_loss(Gaussian([0.0], [[1.0]]), schedule)[1])
    tolerance = explained.error + remembered.error
    return Numbers(printed, 1 - explained.value, 1 - remembered.value, tolerance)


def n2_410() -> Numbers:
    x = multi_sine_curve(rng=np.random.default_rng(2))
    frequencies = np.random.default_rng(2).uniform(0, 5, 5)  # those of x, drawn again
    angle = 2 * np.pi * np.outer(np.linspace(0, 1, len(x)), frequencies)
    waves = np.hstack([np.cos(angle), np.sin(angle)])
    a, b = np.linalg.lstsq(waves, x, rcond=None)[0].reshape(2, 5)
    amplitude = np.hypot(a, b)
    weights = np.random.default_rng(2).uniform(0, 1, 5)
    printed, truth = (float(w.max() / w.min()) for w in (weights, amplitude))
    return Numbers(printed, 1.0, truth, ulps(64 * float(np.linalg.cond(waves)), 1.0))


def n2_422() -> Numbers:
    from scipy.special import expit

    t = np.arange(1.0, 101.0)
    printed = Schedule.from_beta(0.1 * expit((t - 1) / (100 - 1) * (100 - 1) + 1))
    truth = exp(fsum(log1p(-0.1 / (1 + exp(6 - 12 * k / 99))) for k in range(100)))
    corrected = float(notes_schedule().alpha_bar[-1])
    return Numbers(float(printed.alpha_bar[-1]), corrected, truth, ulps(200, truth))


def n2_439_442() -> Numbers:
    schedule, t = notes_schedule(), 50
    noise = np.zeros(schedule.T)  # what the noise of each step contributes to x_s
    at = {}
    for s in range(1, schedule.T + 1):
        noise = q_step(schedule, noise, s, np.eye(schedule.T)[s - 1])
        at[s] = noise
    now, end = at[t], at[schedule.T]
    truth = float(now @ end / (np.linalg.norm(now) * np.linalg.norm(end)))
    corrected = float(end_noise_correlation(schedule, t))
    return Numbers(1.0, corrected, truth, ulps(4 * schedule.T, truth))


def n2_448() -> Numbers:
    schedule, x, root = Schedule.from_beta([0.5]), 0.3, sqrt(0.5)
    candidates = np.array([(x - root * x_0) / root for x_0 in (1.0, -1.0)])
    weights = np.array([exp(-((x - root * x_0) ** 2)) for x_0 in (1.0, -1.0)])
    weights /= weights.sum()
    # A weighted sum of distances is least at one of the candidates.
    printed = candidates[np.argmin([weights @ np.abs(candidates - c) for c in candidates])]
    corrected = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)([[x]], 1)[0, 0]
    return Numbers(float(printed), float(corrected), float(weights @ candidates), ulps(64, 1.0))


def n2_470() -> Numbers:
    schedule = notes_schedule()
    Sigma = np.array([[4.0]])
    for t in range(1, 51):
        Sigma = covariance_step(schedule, Sigma, t)
    corrected = float(covariance_at(schedule, [[4.0]], 50)[0, 0])
    return Numbers(4.0, corrected, float(Sigma[0, 0]), ulps(200, 4.0))


def n2_476() -> Numbers:
    schedule = notes_schedule()
    truth = float(np.var(q_step(schedule, np.ones((2, 1)), 50, signs(1))))
    return Numbers(0.0, float(schedule.beta[50]), truth, ulps(16, 1.0))


def n2_488() -> Numbers:
    schedule, t = notes_schedule(), 50
    _, corrected = posterior_mean_variance(schedule, [0.0], [0.0], t)
    # Given X_0 the two are jointly normal: Var(X_{t-1}) - Cov^2 / Var(X_t).
    before, now = (float(covariance_at(schedule, [[0.0]], s)[0, 0]) for s in (t - 1, t))
    truth = before - (1 - schedule.beta[t]) * before**2 / now
    return Numbers(0.0, value(corrected), float(truth), ulps(16, before))


def n2_491() -> Numbers:
    data, schedule = Gaussian([0.0], [[1.0]]), notes_schedule()
    output = sampler_distribution(data, schedule)
    v = float(output.cov[0, 0])

    def integrand(x: np.ndarray) -> np.ndarray:
        return np.exp(-(x**2) / 2) / sqrt(2 * pi) * (x**2 / v + log(v) - x**2) / 2

    truth = line_integral(integrand, -12, 12)
    loss = float(np.mean(optimal_loss(data, schedule)[1:]))
    tolerance = truth.error + ulps(8, 1.0)
    return Numbers(loss, kl_divergence(data, output), truth.value, tolerance)


def n2_497() -> Numbers:
    h = 0.1
    data = Gaussian([0.0], [[1.0]])
    points = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[h**2]], [[h**2]]])

    def integrand(x: np.ndarray) -> np.ndarray:
        log_p = data.logpdf(x[:, None])
        return np.exp(log_p) * (log_p - points.logpdf(x[:, None]))

    truth = line_integral(integrand, -12, 12)
    corrected = (2 - 2 * sqrt(2 / pi)) / (2 * h**2) + log(2 * h) - 0.5
    # Only the nearer point counted: the other one's share is at most p(0) h^2 pi^2 / 12.
    tolerance = truth.error + h**2 * pi**2 / 12 / sqrt(2 * pi)
    return Numbers(0.0, corrected, truth.value, tolerance)


def n2_500() -> Numbers:
    Psi, Phi = Gaussian([0.0], [[1.0]]), Gaussian([sqrt(1.5 * log(4 / 3))], [[0.5]])

    def difference(x: np.ndarray) -> np.ndarray:
        psi, phi = np.exp(Psi.logpdf(x[:, None])), np.exp(Phi.logpdf(x[:, None]))
        return psi * (psi - phi)

    def divergence(x: np.ndarray) -> np.ndarray:
        log_psi, log_phi = Psi.logpdf(x[:, None]), Phi.logpdf(x[:, None])
        return np.exp(log_psi) * (log_psi - log_phi)

    printed = line_integral(difference, -12, 12)
    truth = line_integral(divergence, -12, 12)
    return Numbers(printed.value, kl_divergence(Psi, Phi), truth.value, truth.error)


def n2_517() -> Numbers:
    schedule = notes_schedule()
    gain = 1.0
    for t in range(schedule.T, 0, -1):
        # The ideal denoiser of N(0, 1) data is eps_star = sqrt(1 - alpha_bar_t) x_t.
        step = ancestral_step(schedule, t, variance="beta")
        root = sqrt(schedule.one_minus_alpha_bar[t])
        gain *= float(value(step.xt_coef)) + float(value(step.eps_coef)) * root
    truth = gain**2  # with the noise of the exact kernels x_T and x_0 both have variance 1
    return Numbers(1.0, float(schedule.alpha_bar[-1]), float(truth), ulps(8 * schedule.T, truth))
