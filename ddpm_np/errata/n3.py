"""N3: the forward process in short, and why it is reparameterised."""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian, PointMass, kl_divergence
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, signs, ulps
from ddpm_np.forward import q_mean_variance, q_sample, q_step
from ddpm_np.posterior import predict_eps
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


@erratum(
    "N3:24", section="base idea of diffusion model", kind="wrong claim", equation="E15",
    printed='"将这T步每一步的结果作为输入，最初完整的画作为gt监督即可" (x_0 is the target)',
    corrected="DDPM regresses the noise eps at random t; the loss in x_0 differs by the factor SNR_t",
    quantity="eps-loss over x_0-loss of the guess x0_hat = 0.3 x_t at t = 10, notes' schedule",
    why="An error of x_0 is one of eps times sqrt(alpha_bar_t / (1 - alpha_bar_t)): the two weigh the steps differently.",
)
def signal_as_target() -> Numbers:
    schedule, t = notes_schedule(), 10
    x_0, eps = signs(2).T[:, :, None]
    x_t = q_sample(schedule, x_0, t, eps)
    guess = 0.3 * x_t
    truth = np.mean((eps - predict_eps(schedule, x_t, t, guess)) ** 2) / np.mean((x_0 - guess) ** 2)
    return Numbers(1.0, exp(schedule.log_snr[t]), float(truth), ulps(256, float(truth)))


@erratum(
    "N3:43", section="forward", kind="wrong formula", equation="E1",
    printed='"均值x_t是上一时刻的缩放版本" sqrt(1 - beta_t) x_{t-1}',
    corrected="the mean mu_t = sqrt(1 - beta_t) x_{t-1}; x_t is the draw",
    quantity="E x_t^2 given x_{t-1} = 1, t = 50, notes' schedule (printed: x_t = its mean)",
    why="Without the noise beta_t, chains would shrink to 0 instead of keeping variance 1.",
)
def mean_called_x() -> Numbers:
    schedule, t = notes_schedule(), 50
    truth = float(np.mean(q_step(schedule, np.ones((2, 1)), t, signs(1)) ** 2))
    mean = sqrt(1 - schedule.beta[t])
    return Numbers(mean**2, mean**2 + float(schedule.beta[t]), truth, ulps(8, 1.0))


@erratum(
    "N3:54", section="forward", kind="wrong formula", equation="E1",
    printed="q(x_t | x_{t-1}) = N(x; mu_t, Sigma_t)",
    corrected="q(x_t | x_{t-1}) = N(x_t; mu_t, Sigma_t)",
    quantity="density at x_t = mean + 1 over that at the mean, beta_t = 1/4",
    why="With x in it the right side does not depend on x_t, so the ratio would be 1.",
)
def argument_of_the_density() -> Numbers:
    kernel = PointMass([2.0]).diffuse(Schedule.from_beta([0.25]), 1)
    corrected = exp(float(kernel.logpdf(kernel.mean + 1) - kernel.logpdf(kernel.mean)))
    return Numbers(1.0, corrected, exp(-1 / (2 * 0.25)), ulps(16, corrected))


@erratum(
    "N3:67", section="forward", kind="wrong formula", equation="E4",
    printed='"只需要连乘就能得到最终的分布" (the last law is the product of the kernels)',
    corrected="the product is the joint law of the path; integrate over x_1 .. x_{T-1} for that of x_T",
    quantity="q(x_2 = 0 | x_0 = 0) for beta = 0.36 twice (printed: at x_1 = 0)",
    why="The product still depends on x_1. Integrated, it is the one normal law of E6.",
)
def product_for_marginal() -> Numbers:
    schedule = Schedule.from_beta([0.36, 0.36])

    def path(x_1: np.ndarray) -> np.ndarray:
        return np.exp(-(x_1**2) / 0.72 - (0.8 * x_1) ** 2 / 0.72) / (0.72 * pi)

    truth = line_integral(path, -8, 8)
    corrected = exp(float(PointMass([0.0]).diffuse(schedule, 2).logpdf([0.0])))
    return Numbers(float(path(np.zeros(1))[0]), corrected, truth.value, truth.error)


@erratum(
    "N3:87", section="Reparameterization (重参数化)", kind="wrong formula", equation="E4",
    printed="x_t = sqrt(alpha_t) x_{t-2} + sqrt(1 - alpha_t) eps_{t-2}",
    corrected="x_t = sqrt(alpha_t alpha_{t-1}) x_{t-2} + sqrt(1 - alpha_t alpha_{t-1}) eps",
    quantity="squared coefficient of x_{t-2} for alpha_t = 9/10, alpha_{t-1} = 4/5 (corrected exactly)",
    why="Two steps multiply their factors. One alpha_t is one step; the last line, with alpha_bar_t, is right again.",
)
def two_steps_for_one() -> Numbers:
    exact = Schedule.from_beta([Exact(1, 5), Exact(1, 10)])
    steps = Schedule.from_beta([0.2, 0.1])
    x = q_step(steps, q_step(steps, [1.0], 1, [0.0]), 2, [0.0])
    corrected = exact.between(0, 2)[0].fraction
    return Numbers(exact.alpha[2].fraction, corrected, float(x[0] ** 2), ulps(8, 1.0))


@erratum(
    "N3:96", section="Reparameterization (重参数化)", kind="wrong claim", equation="E1",
    printed='"随机采样操作本身是不可导的，因为他本身是一个离散的操作" (sampling is discrete: no gradient)',
    corrected="x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps is smooth in x_{t-1} for given eps",
    quantity="gradient of E x_t^2 with respect to x_{t-1} = 2 through the draw, beta_t = 0.36",
    why="A normal draw is continuous, and written with eps it has a derivative; a discrete draw would pass on none (0).",
)
def sampling_is_discrete() -> Numbers:
    schedule, x = Schedule.from_beta([0.36]), 2.0
    draws = q_step(schedule, np.full((2, 1), x), 1, signs(1))
    slopes = q_step(schedule, [1.0], 1, [0.0])  # d x_t / d x_{t-1}, for every eps the same
    corrected = float(np.mean(2 * draws * slopes))
    # E x_t^2 = 0.64 x^2 + 0.36, whose derivative needs no sampling
    return Numbers(0.0, corrected, 2 * 0.64 * x, ulps(16, corrected))


@erratum(
    "N3:102", section="Reparameterization (重参数化)", kind="wrong claim", equation="E28",
    printed='"至于原始图像x_0的分布，我们并不关心" (the law of x_0 does not matter)',
    corrected="KL(q(x_T | x_0) || N(0, I)) grows with |x_0|^2; T must be large enough for the data at hand",
    quantity="that KL for 50 values 1 (|x_0|^2 = 50), in nats, notes' schedule (printed: as for x_0 = 0)",
    why="alpha_bar_100 = 0.0054 leaves a trace of the signal. And the reverse kernels depend on the law of x_0 throughout.",
)
def signal_does_not_matter() -> Numbers:
    schedule, n = notes_schedule(), 50
    normal = Gaussian(np.zeros(n), np.eye(n))
    printed, corrected = (kl_divergence(PointMass(x * np.ones(n)).diffuse(schedule, schedule.T), normal) for x in (0.0, 1.0))
    mean, v = q_mean_variance(schedule, [1.0], schedule.T)

    def integrand(x: np.ndarray) -> np.ndarray:
        square = (x - mean) ** 2 / v
        return np.exp(-square / 2) / sqrt(2 * pi * v) * (x**2 - square - log(v)) / 2

    truth = line_integral(integrand, -12, 12)
    return Numbers(printed, corrected, n * truth.value, n * truth.error)
