"""N2: diffusion, signals and their covariance, the chain, the experiment, the derivation."""

from math import exp, fsum, log, log1p, pi, sqrt

import numpy as np

from ddpm_np import posterior
from ddpm_np._checks import Array
from ddpm_np.closed_form import covariance
from ddpm_np.closed_form.distributions import Gaussian, GaussianMixture, PointMass, kl_divergence
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.closed_form.probability_flow import probability_flow_logpdf
from ddpm_np.closed_form.reverse import reverse_kernel, sampler_distribution
from ddpm_np.errata.numbers import (
    HALF,
    NARROW,
    NOTES,
    STANDARD,
    TWO_POINTS,
    Numbers,
    density,
    divergence,
    expectation,
    line_integral,
    signs,
    slope,
    stepwise,
    ulps,
)
from ddpm_np.forward import covariance_at, q_sample, q_step
from ddpm_np.proof.exact import Exact
from ddpm_np.sampling import ancestral_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve

# ---- diffusion and its principle ----------------------------------------------------------------


def _n2_49() -> Numbers:
    schedule = Schedule.linear()
    corrected = covariance_at(schedule, [[0.0]], schedule.T)
    # The limit is 1; at t = T alpha_bar_T is still missing.
    return Numbers.of(schedule.beta.sum(), corrected, 1.0, 2 * schedule.alpha_bar[-1])


def _n2_55() -> Numbers:
    data = Gaussian([0.0], [[4.0]])
    corrected = data.diffuse(NOTES, NOTES.T).entropy - data.entropy
    return Numbers.of(0.0, corrected, log(stepwise(4.0, NOTES.T) / 4) / 2, ulps(200, 1.0))


def _n2_57() -> Numbers:
    n, beta = 1000, 0.001
    schedule = Schedule.from_beta(np.full(n, beta))
    x, eps = signs(2).T  # all four pairs of signs: exact for this mean of squares
    one_step = np.mean((q_step(schedule, x, 1, eps) - x) ** 2)
    # 2 - 2 sqrt(1 - beta) = beta + beta^2 / 4 + ...: the sum differs from that of beta by
    # n beta^2 / 4, which vanishes as n grows.
    return Numbers.of(0.0, schedule.beta.sum(), n * one_step, n * beta**2 / 2)


def _n2_59() -> Numbers:
    end = NARROW.diffuse(NOTES, NOTES.T)
    ln_p = probability_flow_logpdf(IdealDenoiser(NARROW, NOTES), NOTES, [1.0], terminal=end)
    return Numbers.of(0.0, ln_p, -log(pi / 2) / 2 - 2, 1e-7)  # the solver's error


def _n2_96_99() -> Numbers:
    def joint(x_0: Array) -> Array:
        return density(STANDARD, x_0) * np.exp(-0.9 * x_0**2 / 0.2) / sqrt(0.2 * pi)

    corrected = density(STANDARD.diffuse(Schedule.from_beta([0.1]), 1), 0.0)
    return Numbers.of(joint(np.zeros(1)), corrected, line_integral(joint))


# ---- signals, covariances and noise -------------------------------------------------------------


def _n2_177() -> Numbers:
    n = 50
    narrow, wide = (Gaussian(np.zeros(n), v * np.eye(n)).logpdf(np.ones(n)) for v in (1, 100))
    truth = n * ((1 - 1 / 100) - log(100)) / 2
    return Numbers.of(0.0, wide - narrow, truth, ulps(16, truth))


def _n2_186() -> Numbers:
    from scipy.special import expit

    C = MultiSine([1.0, 2.5]).cov
    corrected = covariance.kernel_covariance([0.7, 0.7])[0, 1]
    return Numbers.of(expit(0.0), corrected, C[3, 3] / sqrt(C[3, 3] ** 2))


def _n2_189() -> Numbers:
    frequencies, rng = [1.0, 2.5, 4.0], np.random.default_rng(0)
    curve = MultiSine(frequencies).sample(1, rng=rng)[0]
    corrected = MultiSine(frequencies, scale=10 / sqrt(3)).cov[7, 7]
    printed = covariance.kernel_covariance(10 * curve)[7, 7]
    return Numbers.of(printed, corrected, 100.0, ulps(16, 100.0))


def _n2_199() -> Numbers:
    rng = np.random.default_rng(0)
    curves = [multi_sine_curve(100, rng=rng) for _ in range(100)]
    noises = rng.standard_normal((100, 100))
    kernels = [[covariance.kernel_covariance(v) for v in rows] for rows in (curves, noises)]
    rank, rank_of_noise = (np.mean([*map(covariance.effective_rank, each)]) for each in kernels)
    # 50 white noises of 100 samples, as in the notes' program; its curves have 100 samples too.
    printed = covariance.effective_rank(noises[:50].T @ noises[:50]) / rank
    # Shuffled, a curve is noise to the eye. Its kernel has the same eigenvalues.
    shuffled = covariance.kernel_covariance(rng.permutation(curves[0]))
    corrected = covariance.effective_rank(shuffled) / covariance.effective_rank(kernels[0][0])
    return Numbers.of(printed, corrected, rank_of_noise / rank, 0.05)


def _n2_205() -> Numbers:
    from scipy.special import ndtr

    m, s = 0.95, sqrt(1 - 0.95**2)
    mixture = GaussianMixture([0.5, 0.5], [[-m], [m]], [[[s**2]], [[s**2]]])
    x, w = np.polynomial.legendre.leggauss(80)
    truth = w @ density(mixture, x / 2) / 2
    corrected = ndtr((0.5 - m) / s) - ndtr((-0.5 - m) / s)
    return Numbers.of(ndtr(0.5) - ndtr(-0.5), corrected, truth, 1e-13)


def _n2_207() -> Numbers:
    rng = np.random.default_rng(0)
    C = covariance.kernel_covariance(multi_sine_curve(100, rng=rng))
    X = rng.standard_normal((50, 100))
    # So that Y^T Y = C, the covariance by the notes' definition.
    Y = covariance.reshape_noise(X, C / len(X))
    rows = (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)
    # The picture shows the transpose as it was before times the rows as they are after that line.
    printed, corrected = (np.linalg.norm(Y.T @ y - C) / np.linalg.norm(C) for y in (rows, Y))
    return Numbers.of(printed, corrected, 0.0, 1e-13)


def _n2_220() -> Numbers:
    X = signs(3)
    return Numbers.of((X.T @ X)[0, 0], covariance.sample_covariance(X)[0, 0], 1.0)


def _n2_226_233() -> Numbers:
    X = np.random.default_rng(0).standard_normal((50, 100))
    rank = np.linalg.matrix_rank(X.T @ X / 50)
    return Numbers.of(np.linalg.matrix_rank(np.eye(100)), min(X.shape), rank)


def _n2_267() -> Numbers:
    X, wanted = np.array([[1.0], [3.0]]), 4.0
    made = X * sqrt(wanted / float((X.T @ X)[0, 0] / 2)), covariance.reshape_noise(X, [[wanted]])
    printed, corrected = map(covariance.sample_covariance, made)
    return Numbers.of(printed, corrected, wanted, ulps(8, wanted))


# ---- the chain: what one step and many steps do -------------------------------------------------


def _n2_310_318() -> Numbers:
    plus, minus = (PointMass([x_0]).diffuse(NOTES, 50) for x_0 in (1.0, -1.0))
    return Numbers.of(0.0, kl_divergence(plus, minus), divergence(plus, minus), ulps(64, 2.0))


def _n2_336() -> Numbers:
    u = signs(1)
    X_1, X_2 = u * [1, 0], u * [0, 1]
    Sigma_1, Sigma_2, cross, truth = (
        a.T @ b / 2 for a, b in ((X_1, X_1), (X_2, X_2), (X_1, X_2), (X_1 + X_2, X_1 + X_2))
    )
    corrected = covariance.covariance_of_sum(1.0, Sigma_1, 1.0, Sigma_2, cross)
    printed = Sigma_1 + Sigma_2 + 2 * cross
    return Numbers.of(printed[1, 0], corrected[1, 0], truth[1, 0])


def _n2_351() -> Numbers:
    printed = 0.0
    for beta in NOTES.beta[1:51]:
        printed = (1 - beta) * printed + beta**2
    truth = 1 - exp(fsum(log1p(-beta) for beta in NOTES.beta[1:51]))
    return Numbers.of(printed, stepwise(0.0, 50), truth, ulps(150, truth))


def _n2_387() -> Numbers:
    truth = 1 - 0.1 / (1 + exp(-6))
    return Numbers.of(0.0, NOTES.alpha[100], truth, ulps(2, truth))


def _n2_393_397() -> Numbers:
    schedule = Schedule.from_beta([0.5, 0.5])
    first, second = signs(2).T
    x = q_step(schedule, q_step(schedule, np.zeros_like(first), 1, first), 2, second)
    shares = np.array([schedule.alpha[2] * schedule.beta[1], schedule.beta[2]])
    shares = shares / covariance_at(schedule, [[0.0]], 2)[0, 0]  # of the variance, by step
    truth = np.mean(x**4) / np.mean(x**2) ** 2 - 3
    return Numbers.of(0.0, -2 * np.sum(shares**2), truth, ulps(16, 1.0))


def _n2_400() -> Numbers:
    denoiser, marginal = IdealDenoiser(TWO_POINTS, HALF), TWO_POINTS.diffuse(HALF, 1)
    explained = expectation(marginal, lambda x: denoiser(x[:, None], 1)[:, 0] ** 2)
    # Independently: the loss is SNR times the least squared error of x_0, which for two points
    # is 1 - E tanh(SNR + sqrt(SNR) z), here at SNR = 1.
    remembered = expectation(STANDARD, lambda z: np.tanh(1 + z))
    tolerance = explained.error + remembered.error
    printed = optimal_loss(STANDARD, HALF)[1]
    return Numbers.of(printed, 1 - explained.value, 1 - remembered.value, tolerance)


def _n2_410() -> Numbers:
    x = multi_sine_curve(rng=np.random.default_rng(2))
    frequencies = np.random.default_rng(2).uniform(0, 5, 5)  # those of x, drawn again
    angle = 2 * np.pi * np.outer(np.linspace(0, 1, len(x)), frequencies)
    waves = np.hstack([np.cos(angle), np.sin(angle)])
    a, b = np.linalg.lstsq(waves, x, rcond=None)[0].reshape(2, 5)
    weights = np.random.default_rng(2).uniform(0, 1, 5)
    printed, truth = (w.max() / w.min() for w in (weights, np.hypot(a, b)))
    return Numbers.of(printed, 1.0, truth, ulps(64 * float(np.linalg.cond(waves)), 1.0))


def _n2_422() -> Numbers:
    from scipy.special import expit

    t = np.arange(1.0, 101.0)
    printed = Schedule.from_beta(0.1 * expit((t - 1) / (100 - 1) * (100 - 1) + 1))
    truth = exp(fsum(log1p(-0.1 / (1 + exp(6 - 12 * k / 99))) for k in range(100)))
    return Numbers.of(printed.alpha_bar[-1], NOTES.alpha_bar[-1], truth, ulps(200, truth))


def _n2_439_442() -> Numbers:
    noise = [np.zeros(NOTES.T)]  # what the noise of each step contributes to x_s
    for s, own in enumerate(np.eye(NOTES.T), 1):
        noise.append(q_step(NOTES, noise[-1], s, own))
    now, end = noise[50], noise[-1]
    truth = now @ end / (np.linalg.norm(now) * np.linalg.norm(end))
    corrected = covariance.end_noise_correlation(NOTES, 50)
    return Numbers.of(1.0, corrected, truth, ulps(4 * NOTES.T, truth))


def _n2_442() -> Numbers:
    x_0, eps = signs(2).T
    x_t = q_sample(HALF, x_0, 1, eps)
    truth = np.mean((slope(x_t, eps) * x_t - eps) ** 2)  # of the best linear prediction
    return Numbers.of(0.0, optimal_loss(STANDARD, HALF)[1], truth, ulps(16, 1.0))


def _n2_448() -> Numbers:
    x, root = 0.3, sqrt(0.5)
    candidates = np.array([(x - root * x_0) / root for x_0 in (1.0, -1.0)])
    weights = np.exp(-((x - root * np.array([1.0, -1.0])) ** 2))
    weights /= weights.sum()
    # A weighted sum of distances is least at one of the candidates.
    printed = candidates[np.argmin([weights @ np.abs(candidates - c) for c in candidates])]
    corrected = IdealDenoiser(TWO_POINTS, HALF)([[x]], 1)
    return Numbers.of(printed, corrected, weights @ candidates, ulps(64, 1.0))


def _n2_470() -> Numbers:
    return Numbers.of(4.0, covariance_at(NOTES, [[4.0]], 50), stepwise(4.0, 50), ulps(200, 4.0))


def _n2_476() -> Numbers:
    truth = np.var(q_step(NOTES, np.ones(2), 50, signs(1)[:, 0]))
    return Numbers.of(0.0, NOTES.beta[50], truth, ulps(16, 1.0))


def _n2_488() -> Numbers:
    _, corrected = posterior.posterior_mean_variance(NOTES, [0.0], [0.0], 50)
    # Given X_0 the two are jointly normal: Var(X_{t-1}) - Cov^2 / Var(X_t).
    before, now = (covariance_at(NOTES, [[0.0]], s)[0, 0] for s in (49, 50))
    truth = before - (1 - NOTES.beta[50]) * before**2 / now
    return Numbers.of(0.0, corrected, truth, ulps(16, before))


def _n2_491a() -> Numbers:
    def back(deviation: float) -> float:
        """The best guess of x_49 at x_50 = 1, from signs."""
        x_0, now, step = signs(3).T
        before = q_sample(NOTES, deviation * x_0, 49, now)
        return slope(q_step(NOTES, before, 50, step), before)

    narrow, wide = (reverse_kernel(dist, NOTES, [1.0], 50).mean for dist in (NARROW, STANDARD))
    return Numbers.of(0.0, narrow - wide, back(0.5) - back(1.0), ulps(64, 1.0))


def _n2_491b() -> Numbers:
    output = sampler_distribution(STANDARD, NOTES)
    loss = np.mean(optimal_loss(STANDARD, NOTES)[1:])
    corrected, truth = kl_divergence(STANDARD, output), divergence(STANDARD, output)
    return Numbers.of(loss, corrected, truth, ulps(8, 1.0))


def _n2_497() -> Numbers:
    h = 0.1
    points = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[h**2]], [[h**2]]])
    corrected = (2 - 2 * sqrt(2 / pi)) / (2 * h**2) + log(2 * h) - 0.5
    # Only the nearer point counted: the other one's share is at most p(0) h^2 pi^2 / 12.
    share = h**2 * pi**2 / 12 / sqrt(2 * pi)
    return Numbers.of(0.0, corrected, divergence(STANDARD, points), share)


def _n2_500() -> Numbers:
    Psi, Phi = STANDARD, Gaussian([sqrt(1.5 * log(4 / 3))], [[0.5]])

    printed = expectation(Psi, lambda x: density(Psi, x) - density(Phi, x))
    return Numbers.of(printed, kl_divergence(Psi, Phi), divergence(Psi, Phi))


def _n2_517() -> Numbers:
    gain = 1.0
    for t in range(NOTES.T, 0, -1):
        # The ideal denoiser of N(0, 1) data is eps_star = sqrt(1 - alpha_bar_t) x_t.
        step = ancestral_step(NOTES, t, variance="beta")
        gain *= float(step.xt_coef + step.eps_coef * sqrt(NOTES.one_minus_alpha_bar[t]))
    truth = gain**2  # with the noise of the exact kernels x_T and x_0 both have variance 1
    return Numbers.of(1.0, NOTES.alpha_bar[-1], truth, ulps(8 * NOTES.T, truth))


def _n2_533() -> Numbers:
    x, eps = signs(2).T
    truth = np.mean((q_step(NOTES, x, NOTES.T, eps) - x) ** 2)
    return Numbers.of(0.0, 2 - 2 * sqrt(NOTES.alpha[-1]), truth, ulps(16, 2.0))


def _n2_550_553() -> Numbers:
    gain = np.ones(1)
    for t in range(51, NOTES.T + 1):
        gain = q_step(NOTES, gain, t, np.zeros(1))
    corrected, _ = NOTES.between(50, NOTES.T)
    return Numbers.of(1.0, corrected, gain**2, ulps(4 * 50, corrected))


def _n2_553() -> Numbers:
    gain = IdealDenoiser(STANDARD, HALF)([[1.0]], 1)
    x_0, eps = signs(2).T
    x_t = q_sample(HALF, x_0, 1, eps)
    truth = np.mean((slope(x_t, eps) * x_t) ** 2)
    return Numbers.of(1.0, gain**2 * STANDARD.diffuse(HALF, 1).cov, truth, ulps(16, 1.0))


# ---- the derivation: the step back, and the coefficients in the appendices ----------------------

AT_50 = NOTES.alpha[50], NOTES.beta[50], NOTES.alpha_bar[49], NOTES.alpha_bar[50]
EXACT = Schedule.from_beta(np.array([Exact(9, 25), Exact(7, 16)]))
"""alpha_bar_1 = (4/5)^2, alpha_bar_2 = (3/5)^2: at t = 2 every root is rational."""
AT_2 = EXACT.alpha[2], EXACT.beta[2], EXACT.alpha_bar[1], EXACT.alpha_bar[2]


def _n2_558_563() -> Numbers:
    _, printed = posterior.posterior_mean_variance(NOTES, [0.0], [0.0], 2)
    corrected = reverse_kernel(STANDARD, NOTES, [0.0], 2).cov
    # x_1 and x_2 both have variance 1 and covariance sqrt(alpha_2), found here from signs.
    x, eps = signs(2).T
    return Numbers.of(
        printed, corrected, 1 - slope(x, q_step(NOTES, x, 2, eps)) ** 2, ulps(16, 1.0)
    )


def _n2_579() -> Numbers:
    x = np.linspace(-40, 40, 8001)
    densities = np.exp(-4 * x**2), density(Gaussian([0.0], [[4.0]]), x)
    printed, corrected = (p @ x**2 / p.sum() for p in densities)
    return Numbers.of(printed, corrected, 4.0, ulps(64, 4.0))


def _n2_582_585() -> Numbers:
    mean, truth = posterior.posterior_mean_variance(NOTES, [1.0], [0.3], 50)
    offset = np.linspace(-12, 12, 2001) * sqrt(truth)
    exponent = posterior.posterior_exponent(mean[0] + offset, 0.3, 1.0, *AT_50)
    densities = (np.exp(-scale * exponent) for scale in (1.0, 0.5))
    # The exponent reaches 144. exp makes its rounding, and that of the mean in it, a relative
    # error of the density.
    tolerance = ulps(1000, 1.0) * truth
    printed, corrected = (p @ offset**2 / p.sum() for p in densities)
    return Numbers.of(printed, corrected, truth, tolerance)


def _n2_591_594() -> Numbers:
    left, middle, right = posterior.posterior_exponent(np.array([-1, 0, 1]), 0.3, 1.0, *AT_50)
    corrected = posterior.psi_2(NOTES, 50)
    return Numbers.of(1.0, corrected, (left + right) / 2 - middle, ulps(200, corrected))


def _n2_630() -> Numbers:
    variances = np.zeros(NOTES.T + 1), "kernel"
    printed, corrected = (sampler_distribution(STANDARD, NOTES, variance=v).cov for v in variances)
    return Numbers.of(printed, corrected, 1.0, ulps(8 * NOTES.T, 1.0))


def _n2_637() -> Numbers:
    schedule = Schedule.from_beta([16 / 25])
    x_t = q_sample(schedule, [1.0], 1, [-0.5])
    eps_theta = IdealDenoiser(STANDARD, schedule)(x_t[None], 1)[0]
    printed = q_sample(schedule, [1.0], 1, eps_theta)
    return Numbers.of(printed, x_t, 3 / 5 - 4 / 5 / 2, ulps(4, 1.0))


def _n2_643() -> Numbers:
    first, second = EXACT.alpha[1:]
    corrected = posterior.mean_xt_coef_in_eps_form(second)
    return Numbers.of(1 / first.sqrt(), corrected, _xt_coefficient())


def _n2_666() -> Numbers:
    x_0, x_t, eps = Exact(1), Exact(2), Exact(7, 4)  # 2 = 3/5 + 4/5 * 7/4
    alpha, beta, *_ = AT_2
    coefficient = posterior.mean_eps_coef(alpha, beta, EXACT.one_minus_alpha_bar[2])
    printed = posterior.mean_xt_coef_in_eps_form(alpha) * x_t - coefficient * eps
    corrected = posterior.posterior_mean_from_eps(EXACT, np.array([x_t]), 2, np.array([eps]))
    # The vertex of the parabola E8, from three of its values.
    left, middle, right = (
        posterior.posterior_exponent(Exact(k), x_t, x_0, *AT_2) for k in (-1, 0, 1)
    )
    return Numbers.of(printed, corrected, (left - right) / (2 * (left + right - 2 * middle)))


def _n2_672() -> Numbers:
    coefficient = posterior.mean_xt_coef_in_eps_form(EXACT.alpha[2])
    return Numbers.of(coefficient, coefficient * 2, 2 * _xt_coefficient())


def _n2_678() -> Numbers:
    alpha, beta, before, now = AT_2
    printed = before.sqrt() * (beta + alpha + now) / (now.sqrt() * EXACT.one_minus_alpha_bar[2])
    return Numbers.of(printed, posterior.mean_xt_coef_in_eps_form(alpha), _xt_coefficient())


def _xt_coefficient() -> Exact:
    """E12 with x_0 = x_t / sqrt(alpha_bar_t) - ... in it: the coefficient of x_2, uncollected."""
    alpha, beta, before, now = AT_2
    one_minus_before, one_minus_now = EXACT.one_minus_alpha_bar[1:]
    from_x0 = posterior.mean_x0_coef(beta, before, one_minus_now) / now.sqrt()
    return from_x0 + posterior.mean_xt_coef(alpha, one_minus_now, one_minus_before)
