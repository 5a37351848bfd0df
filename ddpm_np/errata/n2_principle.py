"""N2, "何为扩散模型" and "扩散过程的简要原理": what diffusion is said to be."""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian, kl_divergence
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.likelihood import vlb_terms
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.record import Numbers, erratum, line_integral, notes_schedule, signs, ulps
from ddpm_np.forward import covariance_at, q_step
from ddpm_np.sampling import ancestral_step
from ddpm_np.schedule import Schedule


@erratum(
    "N2:49", section="何为扩散模型", kind="wrong claim", equation="E1",
    printed='"扩散就是布朗运动 ... 向标准正态分布不断靠拢" (Brownian motion tends to the standard normal)',
    corrected="x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps, Brownian motion drawn back to 0, tends to it",
    quantity="variance at t = 1000 of a signal that starts at 0, linear schedule (standard normal: 1)",
    why="Brownian motion adds beta_t without the factor sqrt(1 - beta_t): its variance grows without limit.",
)
def brownian_motion() -> Numbers:
    schedule = Schedule.linear()
    brownian = float(schedule.beta.sum())
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    return Numbers(brownian, corrected, 1.0, 2 * float(schedule.alpha_bar[-1]))  # at t = T alpha_bar_T is still missing


@erratum(
    "N2:55", section="何为扩散模型", kind="wrong claim", equation="E5",
    printed='"扩散无法避免、熵增无法避免" (diffusion makes entropy grow)',
    corrected="entropy tends to that of N(0, I), from above or from below; what falls is KL(q(x_t) || N(0, I))",
    quantity="entropy of x_100 minus entropy of x_0, in nats, for x_0 ~ N(0, 4)",
    why="Signals wider than the noise lose entropy: lambda_t = 1 + alpha_bar_t (4 - 1) falls. Nearest claim: no change.",
)
def entropy_grows() -> Numbers:
    data, schedule = Gaussian([0.0], [[4.0]]), notes_schedule()
    last = data.diffuse(schedule, schedule.T)
    corrected = 0.5 * log(covariance_at(schedule, data.cov, schedule.T)[0, 0] / data.cov[0, 0])

    def entropy_density(x: np.ndarray, law: Gaussian) -> np.ndarray:
        log_p = law.logpdf(x[:, None])
        return -np.exp(log_p) * log_p

    after = line_integral(lambda x: entropy_density(x, last), -30, 30)
    before = line_integral(lambda x: entropy_density(x, data), -30, 30)
    return Numbers(0.0, corrected, after.value - before.value, after.error + before.error)


@erratum(
    "N2:57", section="何为扩散模型", kind="wrong claim", equation="E1",
    printed='"这个过程是连续的，或局部可微的 ... “可逆的”" (the path is differentiable, hence reversible)',
    corrected="paths are nowhere differentiable: sum |x_t - x_{t-1}|^2 -> sum beta_t; reversal is one of the law, by the score",
    quantity="E sum_t |x_t - x_{t-1}|^2 over 1000 steps of beta = 0.001, for data of variance 1",
    why="Along a differentiable path this sum goes to 0 as the steps get finer. Here each step adds beta_t.",
)
def differentiable_path() -> Numbers:
    n, beta = 1000, 0.001
    schedule = Schedule.from_beta(np.full(n, beta))
    x, eps = signs(2).T[:, :, None]  # all four pairs of signs: exact for this expectation of squares
    one_step = float(np.mean((q_step(schedule, x, 1, eps) - x) ** 2))
    # 2 - 2 sqrt(1 - beta) = beta + beta^2 / 4 + ...: the sum differs from that of beta by n beta^2 / 4, which vanishes as n grows.
    return Numbers(0.0, float(schedule.beta.sum()), n * one_step, n * beta**2 / 2)


@erratum(
    "N2:59-64", section="何为扩散模型", kind="wrong claim", equation="E28",
    printed='"the model log likelihood ... to be cheaply evaluated" (what is cheap, the bound, taken for it)',
    corrected="-ln p(x_0) <= negative VLB: cheap is a bound; the likelihood itself takes the probability-flow ODE",
    quantity="nats per signal for N(0, 1) data, T = 100, posterior variance, ideal denoiser",
    why="The bound pays for every step's kernel that is not the true one. For a Gaussian the likelihood is closed form.",
)
def bound_for_likelihood() -> Numbers:
    data, schedule = Gaussian([0.0], [[1.0]]), notes_schedule()
    bound = vlb_terms(IdealDenoiser(data, schedule), data, schedule).total
    variances = schedule.beta_tilde.copy()
    variances[1] = schedule.beta[1]  # the decoder's, as in the bound
    model = sampler_distribution(data, schedule, variance=variances)
    # The chain's output once more, by its steps: for this data eps_star = sqrt(1 - alpha_bar_t) x_t.
    v = 1.0
    for t in range(schedule.T, 0, -1):
        step = ancestral_step(schedule, t, variance=variances)
        v = (step.xt_coef + step.eps_coef * sqrt(schedule.one_minus_alpha_bar[t])) ** 2 * v + step.std**2
    truth = line_integral(lambda x: np.exp(-(x**2) / 2) / sqrt(2 * pi) * (x**2 / v + log(2 * pi * v)) / 2, -12, 12)
    return Numbers(bound, data.entropy + kl_divergence(data, model), truth.value, truth.error + ulps(8 * schedule.T, 1.0))


@erratum(
    "N2:75-78", section="扩散过程的简要原理", kind="wrong claim", equation="E6",
    printed='"新分布属于正态分布" x_T ~ N(mu, Sigma)',
    corrected="x_T is a mixture of N(sqrt(alpha_bar_T) x_0, (1 - alpha_bar_T) I) over x_0; normal only in the limit",
    quantity="excess kurtosis of x_100 when x_0 is 5 or -5, notes' schedule (a normal law has 0)",
    why="It is -2 m^4 alpha_bar_T^2 / Var^2 for x_0 = +-m: small at T = 100, but 0 only if alpha_bar_T is.",
)
def normal_at_the_end() -> Numbers:
    schedule, m = notes_schedule(), 5.0
    variance = float(covariance_at(schedule, [[m**2]], schedule.T)[0, 0])
    corrected = -2 * (m**2 * float(schedule.alpha_bar[-1]) / variance) ** 2
    last = Empirical([[-m], [m]]).diffuse(schedule, schedule.T)
    fourth = line_integral(lambda x: x**4 * np.exp(last.logpdf(x[:, None])), -15, 15)
    second = line_integral(lambda x: x**2 * np.exp(last.logpdf(x[:, None])), -15, 15)
    return Numbers(0.0, corrected, fourth.value / second.value**2 - 3, fourth.error + 6 * second.error)


@erratum(
    "N2:96-99", section="扩散过程的简要原理", kind="wrong formula", equation="E1",
    printed='"转移概率为" p(x_t) = p(x_{t-1}) p(x_t | x_{t-1})',
    corrected="p(x_t) = integral of p(x_{t-1}) p(x_t | x_{t-1}) over x_{t-1}; the transition is the second factor alone",
    quantity="p(x_1 = 0) for x_0 ~ N(0, 1), beta_1 = 0.1 (printed: at x_0 = 0)",
    why="The product is the joint density of both. It still depends on x_{t-1}, so it cannot be the density of x_t.",
)
def joint_for_marginal() -> Numbers:
    data, schedule = Gaussian([0.0], [[1.0]]), Schedule.from_beta([0.1])

    def joint(x_0: np.ndarray) -> np.ndarray:
        transition = np.exp(-(sqrt(0.9) * x_0) ** 2 / 0.2) / sqrt(0.2 * pi)
        return np.exp(-(x_0**2) / 2) / sqrt(2 * pi) * transition

    truth = line_integral(joint, -12, 12)
    corrected = exp(float(data.diffuse(schedule, 1).logpdf([0.0])))
    return Numbers(float(joint(np.zeros(1))[0]), corrected, truth.value, truth.error)
