"""N2, "扩散模型的信号生成实践" and "扩散模型的图像生成实践": schedule, loss and chain as they are to be programmed."""

from __future__ import annotations

from math import exp, fsum, log, log1p, pi, sqrt

import numpy as np

from ddpm_np.closed_form.covariance import end_noise_correlation
from ddpm_np.closed_form.distributions import Empirical, Gaussian, GaussianMixture, kl_divergence
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, signs, ulps
from ddpm_np.forward import covariance_at, covariance_step, q_step
from ddpm_np.posterior import posterior_mean_variance
from ddpm_np.schedule import Schedule


@erratum(
    "N2:422", section="信号生成及扩散参数", kind="wrong formula", equation="E19",
    printed="f(t) = (t - t_min) / (t_max - t_min) * (t_max - t_min) + t_min",
    corrected="f(t) = -6 + 12 (t - 1) / (T - 1)",
    quantity="alpha_bar_100 for beta_max = 0.1 (printed: f(t) = t)",
    why="The factor cancels and leaves f(t) = t, so that beta_t is 0.073 at once. Meant is a line from -6 to 6.",
)
def tautology() -> Numbers:
    from scipy.special import expit

    t = np.arange(1.0, 101.0)
    printed = Schedule.from_beta(0.1 * expit((t - 1) / (100 - 1) * (100 - 1) + 1))
    truth = exp(fsum(log1p(-0.1 / (1 + exp(6 - 12 * k / 99))) for k in range(100)))
    return Numbers(float(printed.alpha_bar[-1]), float(notes_schedule().alpha_bar[-1]), truth, ulps(200, truth))


@erratum(
    "N2:439-442", section="扩散模型的训练过程", kind="wrong formula", equation="E15",
    printed='"损失函数为" N_hat = lim x_t = f_theta(x_t, t)',
    corrected="eps_theta(x_t, t) predicts the eps inside x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps",
    quantity="correlation of the eps in x_50 with the noise in the end of the chain x_100 (printed: the same, 1)",
    why="Not a loss, and not the target: the end of the chain is mostly noise that x_t has not met yet.",
)
def end_of_chain_as_target() -> Numbers:
    schedule, t = notes_schedule(), 50
    noise = np.zeros(schedule.T)  # what each step's noise contributes to x_s
    at = {}
    for s in range(1, schedule.T + 1):
        noise = q_step(schedule, noise, s, np.eye(schedule.T)[s - 1])
        at[s] = noise
    truth = float(at[t] @ at[schedule.T] / (np.linalg.norm(at[t]) * np.linalg.norm(at[schedule.T])))
    return Numbers(1.0, float(end_noise_correlation(schedule, t)), truth, ulps(4 * schedule.T, truth))


@erratum(
    "N2:448", section="扩散模型的训练过程", kind="wrong formula", equation="E15",
    printed="theta_hat = argmin_theta |N_hat - N|",
    corrected="theta_hat = argmin_theta E_{t, x_0, eps} |eps_theta(x_t, t) - eps|^2",
    quantity="best prediction of eps at x_t = 0.3, for x_0 = 1 or -1 and alpha_bar_t = 1/2",
    why="The norm without its square is least at the median (in many dimensions the geometric one), not at E[eps | x_t].",
)
def norm_without_square() -> Numbers:
    schedule, x, root = Schedule.from_beta([0.5]), 0.3, sqrt(0.5)
    candidates = np.array([(x - root * x_0) / root for x_0 in (1.0, -1.0)])
    weights = np.array([exp(-((x - root * x_0) ** 2)) for x_0 in (1.0, -1.0)])
    weights /= weights.sum()
    # A weighted sum of distances is least at one of the candidates.
    printed = candidates[np.argmin([weights @ np.abs(candidates - c) for c in candidates])]
    corrected = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)([[x]], 1)[0, 0]
    return Numbers(float(printed), float(corrected), float(weights @ candidates), ulps(64, 1.0))


@erratum(
    "N2:470", section="损失函数与扩散链", kind="wrong formula", equation="E5",
    printed="X_t ~ Psi",
    corrected="X_0 ~ Psi",
    quantity="variance of X_50 when Psi has variance 4, notes' schedule",
    why="Psi is the initial law, as the next line says. Under it for every t nothing would diffuse.",
)
def law_of_every_step() -> Numbers:
    schedule = notes_schedule()
    Sigma = np.array([[4.0]])
    for t in range(1, 51):
        Sigma = covariance_step(schedule, Sigma, t)
    corrected = float(covariance_at(schedule, [[4.0]], 50)[0, 0])
    return Numbers(4.0, corrected, float(Sigma[0, 0]), ulps(200, 4.0))


@erratum(
    "N2:476", section="损失函数与扩散链", kind="wrong formula", equation="E1",
    printed="X_t = f(X_{t-1})",
    corrected="X_t = f(X_{t-1}, Z_t) = sqrt(1 - beta_t) X_{t-1} + sqrt(beta_t) Z_t with fresh Z_t",
    quantity="variance of X_50 given X_49, notes' schedule",
    why="A function of X_{t-1} alone has no variance once X_{t-1} is known; then nothing random would ever enter.",
)
def chain_without_noise() -> Numbers:
    schedule = notes_schedule()
    truth = float(np.var(q_step(schedule, np.ones((2, 1)), 50, signs(1))))
    return Numbers(0.0, float(schedule.beta[50]), truth, ulps(16, 1.0))


@erratum(
    "N2:488", section="损失函数与扩散链", kind="wrong formula", equation="E11",
    printed="X_{t-1} = f^{-1}(X_t)",
    corrected="X_{t-1} ~ q(X_{t-1} | X_t), a law with variance at least beta_tilde_t > 0 for t > 1",
    quantity="variance of X_49 given X_50 and even X_0, notes' schedule",
    why="A step mixes in noise and has no inverse: many X_{t-1} lead to the same X_t.",
)
def inverse_of_a_random_step() -> Numbers:
    schedule, t = notes_schedule(), 50
    _, corrected = posterior_mean_variance(schedule, [0.0], [0.0], t)
    # Given X_0 the two are jointly normal: Var(X_{t-1}) - Cov^2 / Var(X_t).
    before, now = (float(covariance_at(schedule, [[0.0]], s)[0, 0]) for s in (t - 1, t))
    truth = before - (1 - schedule.beta[t]) * before**2 / now
    return Numbers(0.0, float(corrected), float(truth), ulps(16, before))


@erratum(
    "N2:491a", section="损失函数与扩散链", kind="wrong claim", equation="E29",
    printed='"但它不再有简单版本" (the way back has no one-line version)',
    corrected="the probability flow is one; for N(0, lambda): x_0 = sqrt(lambda / (alpha_bar_t lambda + 1 - alpha_bar_t)) x_t",
    quantity="x_0 from x_100 = 1 for N(0, 1/4) data (printed: the chain's one line turned round, x_T / sqrt(alpha_bar_T))",
    why="A deterministic map carries the law of x_T into that of x_0. Solving N2:482 for X_0 without its noise does not.",
)
def no_simple_version() -> Numbers:
    from scipy.integrate import solve_ivp

    schedule, data = notes_schedule(), Gaussian([0.0], [[0.25]])
    kept = float(schedule.alpha_bar[-1])
    denoiser = IdealDenoiser(data, schedule)
    sigma_T = sqrt(float(schedule.one_minus_alpha_bar[-1]) / kept)
    # d(x / sqrt(alpha_bar)) / d sigma = eps_star, sigma^2 = (1 - alpha_bar) / alpha_bar; at sigma = 0 the slope is 0 here
    flow = solve_ivp(
        lambda sigma, y: denoiser.at(y[None], 1.0, sigma**2)[0] if sigma > 0 else 0 * y, (sigma_T, 0.0), [1 / sqrt(kept)],
        method="DOP853", rtol=1e-10, atol=1e-12,
    )
    corrected = sqrt(0.25 / data.diffuse(schedule, schedule.T).cov[0, 0])
    return Numbers(1 / sqrt(kept), corrected, float(flow.y[0, -1]), 1e-8)


@erratum(
    "N2:491b", section="损失函数与扩散链", kind="wrong claim", equation="E28",
    printed='"该损失就是分布之间的 KL 散度" (what is trained is the KL divergence between the laws)',
    corrected="the trained eps-loss is, weighted and up to a constant, a bound on KL(data || model), not that KL",
    quantity="mean loss against KL(data || output), N(0, 1) data, ideal denoiser, beta_tilde_t",
    why="The best loss is not 0, since eps cannot be known from x_t; the output's law may still be nearly exact.",
)
def loss_is_the_divergence() -> Numbers:
    data, schedule = Gaussian([0.0], [[1.0]]), notes_schedule()
    output = sampler_distribution(data, schedule)
    v = float(output.cov[0, 0])

    def integrand(x: np.ndarray) -> np.ndarray:
        return np.exp(-(x**2) / 2) / sqrt(2 * pi) * (x**2 / v + log(v) - x**2) / 2

    truth = line_integral(integrand, -12, 12)
    loss = float(np.mean(optimal_loss(data, schedule)[1:]))
    return Numbers(loss, kl_divergence(data, output), truth.value, truth.error + ulps(8, 1.0))


@erratum(
    "N2:497", section="损失函数与扩散链", kind="wrong claim", equation="E30",
    printed='D_KL(Psi, Phi), Phi "代表观测到数据的经验分布" (the empirical law), ideally 0',
    corrected="KL(Psi || Phi) is infinite for an empirical Phi, a sum of points, whatever continuous Psi is",
    quantity="KL(N(0, 1) || two observations at -1 and 1, each widened to a normal of deviation h = 0.1), in nats",
    why="It grows as E(|x| - 1)^2 / (2 h^2) when the points sharpen. Finite is KL(Psi || model), which likelihood minimises.",
)
def divergence_from_points() -> Numbers:
    h = 0.1
    data, points = Gaussian([0.0], [[1.0]]), GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[h**2]], [[h**2]]])

    def integrand(x: np.ndarray) -> np.ndarray:
        log_p = data.logpdf(x[:, None])
        return np.exp(log_p) * (log_p - points.logpdf(x[:, None]))

    truth = line_integral(integrand, -12, 12)
    corrected = (2 - 2 * sqrt(2 / pi)) / (2 * h**2) + log(2 * h) - 0.5
    # Only the nearer point counted: the other one's share is at most p(0) h^2 pi^2 / 12.
    return Numbers(0.0, corrected, truth.value, truth.error + h**2 * pi**2 / 12 / sqrt(2 * pi))


@erratum(
    "N2:500", section="损失函数与扩散链", kind="wrong formula", equation="E30",
    printed="E(Psi - Phi) = 0 as the ideal",
    corrected="Psi = Phi, that is D_KL(Psi || Phi) = 0",
    quantity="distance of N(0, 1) from N(m, 1/2), m^2 = 3/2 ln(4/3) (printed: E_Psi[Psi - Phi])",
    why="The integral of Psi - Phi is 0 for any two laws, and its mean under Psi is 0 for these two, which differ.",
)
def mean_difference_zero() -> Numbers:
    Psi, Phi = Gaussian([0.0], [[1.0]]), Gaussian([sqrt(1.5 * log(4 / 3))], [[0.5]])

    def mean_over_Psi(f: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.exp(Psi.logpdf(x[:, None])) * f

    printed = line_integral(lambda x: mean_over_Psi(np.exp(Psi.logpdf(x[:, None])) - np.exp(Phi.logpdf(x[:, None])), x), -12, 12)
    truth = line_integral(lambda x: mean_over_Psi(Psi.logpdf(x[:, None]) - Phi.logpdf(x[:, None]), x), -12, 12)
    return Numbers(printed.value, kl_divergence(Psi, Phi), truth.value, truth.error)
