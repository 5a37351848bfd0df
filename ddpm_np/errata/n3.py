"""N3: the forward process in short, and why it is reparameterised."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian, PointMass
from ddpm_np.errata.record import (
    Numbers,
    erratum,
    line_integral,
    notes_schedule,
    signs,
    ulps,
    value,
)
from ddpm_np.forward import q_mean_variance, q_step
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


@erratum(
    "N3:43",
    section="forward",
    kind="imprecise",
    equation="E1",
    printed=(
        "the mean x_t is the last state scaled by sqrt(1 - beta_t)",
        "“均值x_t是上一时刻的缩放版本” sqrt(1 - beta_t) x_{t-1}",
    ),
    corrected=(
        "the mean is mu_t = sqrt(1 - beta_t) x_{t-1}; x_t is a draw around it",
        "均值是 mu_t = sqrt(1 - beta_t) x_{t-1}；x_t 是围绕该均值的一次采样",
    ),
    latex=("", r"\mu_t = \sqrt{1-\beta_t}x_{t-1}"),
    quantity=(
        "E x_t^2 given x_{t-1} = 1, t = 50, notes' schedule",
        "给定 x_{t-1} = 1 时的 E x_t^2，t = 50，笔记的 beta 序列",
    ),
    why=(
        "Without the noise of variance beta_t the chain would shrink to 0. N3:54 calls the mean "
        "mu_t, as it should be.",
        "若没有方差为 beta_t 的噪声，链会收缩到 0。N3:54 中均值记作 mu_t，那才是对的。",
    ),
)
def mean_called_x() -> Numbers:
    schedule, t = notes_schedule(), 50
    truth = float(np.mean(q_step(schedule, np.ones((2, 1)), t, signs(1)) ** 2))
    mean = sqrt(1 - schedule.beta[t])
    return Numbers(mean**2, mean**2 + float(schedule.beta[t]), truth, ulps(8, 1.0))


@erratum(
    "N3:54",
    section="forward",
    also=("N2:305",),
    kind="imprecise",
    equation="E1",
    printed="q(x_t | x_{t-1}) = N(x; mu_t, Sigma_t)",
    corrected="q(x_t | x_{t-1}) = N(x_t; mu_t, Sigma_t)",
    latex=(
        r"q(x_t|x_{t-1}) = \mathcal{N}(\mathbf{x}; \mu_t, \Sigma_t)",
        r"q(x_t|x_{t-1}) = \mathcal{N}(x_t; \mu_t, \Sigma_t)",
    ),
    quantity=(
        "density at x_t = mean + 1 over that at the mean, beta_t = 1/4",
        "beta_t = 1/4 时，x_t = 均值 + 1 处的密度与均值处的密度之比",
    ),
    why=(
        "The argument of the density is x_t. With another letter the right side does not depend on "
        "x_t, and the ratio would be 1.",
        "密度的自变量是 x_t。换成别的字母，右边就与 x_t 无关，这个比值会等于 1。",
    ),
)
def argument_of_the_density() -> Numbers:
    kernel = PointMass([2.0]).diffuse(Schedule.from_beta([0.25]), 1)
    corrected = exp(float(kernel.logpdf(kernel.mean + 1) - kernel.logpdf(kernel.mean)))
    return Numbers(1.0, corrected, exp(-1 / (2 * 0.25)), ulps(16, corrected))


@erratum(
    "N3:57",
    section="forward",
    kind="imprecise",
    printed=(
        "N(x; mu, Sigma) and x ~ N(mu, Sigma) are equivalent",
        "N(x; mu, Sigma) 和 x ~ N(mu, Sigma) “是等价的”",
    ),
    corrected=(
        "N(x; mu, Sigma) is a number, the density at x; x ~ N(mu, Sigma) says that x has this "
        "density",
        "N(x; mu, Sigma) 是一个数，即密度在 x 处的值；x ~ N(mu, Sigma) 说的是随机变量 x 具有这个"
        "密度",
    ),
    latex=(
        "",
        r"\mathbf{x} \sim \mathcal{N}(\mu, \Sigma) \Leftrightarrow "
        r"p(\mathbf{x}) = \mathcal{N}(\mathbf{x}; \mu, \Sigma)",
    ),
    quantity=(
        "mean of the number N(x; 0, 1) over x ~ N(0, 1) (printed: mean of x)",
        "x ~ N(0, 1) 时数值 N(x; 0, 1) 的均值（按原文：x 的均值）",
    ),
    why=(
        "The one is a function of x, the other a statement about x. The mean of the number is "
        "1 / (2 sqrt(pi)), that of x is 0.",
        "前者是 x 的函数，后者是关于 x 的陈述。前者的均值为 1 / (2 sqrt(pi))，而 x 的均值为 0。",
    ),
)
def density_and_law() -> Numbers:
    law = Gaussian([0.0], [[1.0]])
    truth = line_integral(lambda x: np.exp(2 * law.logpdf(x[:, None])), -12, 12)
    return Numbers(float(law.mean[0]), 1 / (2 * sqrt(pi)), truth.value, truth.error)


@erratum(
    "N3:67",
    section="forward",
    kind="wrong claim",
    equation="E4",
    printed=(
        "the final law is obtained by multiplying the kernels",
        "“从输入的x_0一直到x_T, 只需要连乘就能得到最终的分布”",
    ),
    corrected=(
        "the product is the joint law of the path x_1, ..., x_T; integrate it over x_1 .. x_{T-1} "
        "to get the law of x_T",
        "连乘得到的是整条路径 x_1, ..., x_T 的联合分布；再对 x_1 .. x_{T-1} 积分，才是 x_T 的分布",
    ),
    latex=(
        "",
        r"q(x_{1:T}|x_0) = \prod_{t=1}^{T} q(x_t|x_{t-1}), \quad "
        r"q(x_T|x_0) = \int q(x_{1:T}|x_0)\, \mathrm{d}x_{1:T-1}",
    ),
    quantity=(
        "q(x_2 = 0 | x_0 = 0) for beta = 0.36 twice (printed: at x_1 = 0)",
        "两步 beta 都为 0.36 时的 q(x_2 = 0 | x_0 = 0)（按原文：取 x_1 = 0）",
    ),
    why=(
        "The product still depends on x_1. Integrated over x_1 it is the normal law of E6.",
        "连乘的结果仍依赖 x_1；对 x_1 积分后，就是 E6 的正态分布。",
    ),
)
def product_for_marginal() -> Numbers:
    schedule = Schedule.from_beta([0.36, 0.36])

    def path(x_1: np.ndarray) -> np.ndarray:
        return np.exp(-(x_1**2) / 0.72 - (0.8 * x_1) ** 2 / 0.72) / (0.72 * pi)

    truth = line_integral(path, -8, 8)
    corrected = exp(float(PointMass([0.0]).diffuse(schedule, 2).logpdf([0.0])))
    return Numbers(float(path(np.zeros(1))[0]), corrected, truth.value, truth.error)


@erratum(
    "N3:87",
    section="Reparameterization (重参数化)",
    kind="wrong formula",
    equation="E4",
    printed="x_t = sqrt(alpha_t) x_{t-2} + sqrt(1 - alpha_t) eps_{t-2}",
    corrected="x_t = sqrt(alpha_t alpha_{t-1}) x_{t-2} + sqrt(1 - alpha_t alpha_{t-1}) eps",
    latex=(
        r"\mathbf{x}_t = \sqrt{\alpha_t} \mathbf{x}_{t-2} + \sqrt{1 - \alpha_t} "
        r"\boldsymbol{\epsilon}_{t-2}",
        r"\mathbf{x}_t = \sqrt{\alpha_t \alpha_{t-1}} \mathbf{x}_{t-2} + "
        r"\sqrt{1 - \alpha_t \alpha_{t-1}} \boldsymbol{\epsilon}",
    ),
    quantity=(
        "squared coefficient of x_{t-2} for alpha_t = 9/10, alpha_{t-1} = 4/5",
        "alpha_t = 9/10、alpha_{t-1} = 4/5 时 x_{t-2} 系数的平方",
    ),
    why=(
        "Two steps multiply their factors; alpha_t alone belongs to one step. The last line, with "
        "alpha_bar_t, is right.",
        "走两步，系数应相乘；单独一个 alpha_t 只对应一步。最后一行（含 alpha_bar_t）是对的。",
    ),
)
def two_steps_for_one() -> Numbers:
    exact = Schedule.from_beta(np.array([Exact(1, 5), Exact(1, 10)]))
    steps = Schedule.from_beta([0.2, 0.1])
    x = q_step(steps, q_step(steps, [1.0], 1, [0.0]), 2, [0.0])
    corrected = value(exact.between(0, 2)[0])
    return Numbers(value(exact.alpha[2]), corrected, float(x[0] ** 2), ulps(8, 1.0))


@erratum(
    "N3:94-96",
    section="Reparameterization (重参数化)",
    kind="wrong claim",
    equation="E15",
    printed=(
        "sampling from the law of step t, instead of computing x_t directly, would stop the "
        "gradient",
        "“直接计算第t步的分布，对该分布采样……会影响梯度传播”",
    ),
    corrected=(
        "both are the same: x_t = mean + std eps; in training x_t is an input, and no gradient "
        "passes through the draw",
        "两种做法是一回事：x_t = 均值 + 标准差 × eps；训练时 x_t 只是网络的输入，"
        "梯度并不经过采样这一步",
    ),
    quantity=(
        "gradient of E (theta x_t - eps)^2 at theta = 0.3 for x_t drawn from its law, data of "
        "variance 1, alpha_bar_t = 1/2 (printed: none)",
        "x_t 由其分布采样得到时，E (theta x_t - eps)^2 在 theta = 0.3 处的梯度，"
        "数据方差为 1，alpha_bar_t = 1/2（按原文：没有梯度）",
    ),
    why=(
        "The parameters enter only after x_t has been drawn. A gradient through the draw is needed "
        "in a VAE, where the law itself depends on the parameters.",
        "参数只在 x_t 抽好之后才起作用。需要让梯度穿过采样的是 VAE：那里的采样分布本身依赖于参数。",
    ),
)
def gradient_past_the_draw() -> Numbers:
    schedule, theta, h = Schedule.from_beta([0.5]), 0.3, 0.25
    x_0, z = signs(2).T
    mean, variance = q_mean_variance(schedule, x_0[:, None], 1)
    x_t = mean[:, 0] + sqrt(value(variance)) * z

    def loss(theta: float) -> float:
        return float(np.mean((theta * x_t - z) ** 2))

    corrected = 2 * (theta - sqrt(0.5))  # E x_t^2 = 1, E x_t eps = sqrt(1 - alpha_bar_t)
    # A central difference is exact for a quadratic.
    truth = (loss(theta + h) - loss(theta - h)) / (2 * h)
    return Numbers(0.0, corrected, truth, ulps(32, 1.0))


@erratum(
    "N3:96",
    section="Reparameterization (重参数化)",
    kind="wrong claim",
    equation="E1",
    printed=(
        "random sampling has no derivative, because it is a discrete operation",
        "“随机采样操作本身是不可导的，因为他本身是一个离散的操作”",
    ),
    corrected=(
        "a normal draw is continuous: x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps is smooth "
        "in x_{t-1} for given eps",
        "从正态分布采样是连续的：eps 给定时，x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps "
        "是 x_{t-1} 的光滑函数",
    ),
    latex=("", r"\frac{\partial x_t}{\partial x_{t-1}} = \sqrt{1-\beta_t}"),
    quantity=(
        "gradient of E x_t^2 with respect to x_{t-1} = 2 through the draw, beta_t = 0.36",
        "E x_t^2 经由采样对 x_{t-1} 的梯度，x_{t-1} = 2，beta_t = 0.36",
    ),
    why=(
        "Written with eps, the draw passes the gradient on. A draw from a discrete law, such as a "
        "class, would not (0).",
        "写成 eps 的形式后，梯度可以穿过采样。从离散分布（如类别）采样才无法传递梯度（为 0）。",
    ),
)
def sampling_is_discrete() -> Numbers:
    schedule, x = Schedule.from_beta([0.36]), 2.0
    draws = q_step(schedule, np.full((2, 1), x), 1, signs(1))
    slopes = q_step(schedule, [1.0], 1, [0.0])  # d x_t / d x_{t-1}, the same for every eps
    corrected = float(np.mean(2 * draws * slopes))
    # E x_t^2 = 0.64 x^2 + 0.36, whose derivative needs no sampling
    return Numbers(0.0, corrected, 2 * 0.64 * x, ulps(16, corrected))
