"""N2, "扩散逆过程的数值求解" and its appendices: the mean in terms of eps."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.errata.record import Numbers, erratum, ulps, value
from ddpm_np.forward import q_sample
from ddpm_np.posterior import (
    mean_eps_coef,
    mean_x0_coef,
    mean_xt_coef,
    mean_xt_coef_in_eps_form,
    posterior_exponent,
    posterior_mean_from_eps,
    posterior_mean_variance,
)
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule


def _exact_schedule() -> Schedule:
    """alpha_bar_1 = (4/5)^2, alpha_bar_2 = (3/5)^2: at t = 2 every root is rational."""
    return Schedule.from_beta(np.array([Exact(9, 25), Exact(7, 16)]))


@erratum(
    "N2:637",
    section="扩散逆过程的数值求解",
    also=("N2:651",),
    kind="imprecise",
    equation="E13",
    printed="x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps_theta",
    corrected=(
        "x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps; with eps_theta the equation "
        "defines the estimate x0_hat, not x_0",
        "x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps；"
        "换成 eps_theta 后，该式确定的是估计值 x0_hat，而不是 x_0",
    ),
    latex=(
        r"x_t = \sqrt{\bar{\alpha}_t} x_0 + \sqrt{1 - \bar{\alpha}_t} \cdot \epsilon_\theta",
        r"x_t = \sqrt{\bar{\alpha}_t} x_0 + \sqrt{1 - \bar{\alpha}_t} \cdot \epsilon = "
        r"\sqrt{\bar{\alpha}_t} \hat{x}_0 + \sqrt{1 - \bar{\alpha}_t} \cdot \epsilon_\theta",
    ),
    quantity=(
        "x_t for x_0 = 1, eps = -1/2, alpha_bar_t = 9/25 (printed: with the best eps_theta for "
        "N(0, 1) data)",
        "x_0 = 1、eps = -1/2、alpha_bar_t = 9/25 时的 x_t（按原文："
        "用 N(0, 1) 数据的最优 eps_theta）",
    ),
    why=(
        "x_t was made with the noise that was drawn. The prediction eps_theta is another number.",
        "x_t 是用实际抽到的噪声生成的，预测值 eps_theta 与它并不相等。",
    ),
)
def predicted_noise_in_the_forward_process() -> Numbers:
    schedule = Schedule.from_beta([16 / 25])
    x_t = q_sample(schedule, [1.0], 1, [-0.5])
    eps_theta = IdealDenoiser(Gaussian([0.0], [[1.0]]), schedule)(x_t[None], 1)[0]
    printed = float(q_sample(schedule, [1.0], 1, eps_theta)[0])
    truth = float(Fraction(3, 5) - Fraction(4, 5) / 2)
    return Numbers(printed, float(x_t[0]), truth, ulps(4, 1.0))


@erratum(
    "N2:666",
    section="附录：扩散逆过程的数值求解推导",
    kind="wrong formula",
    equation="E14",
    printed="mu = eps_theta beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t)) + f(x_t)",
    corrected="mu = -eps_theta beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t)) + f(x_t)",
    latex=(
        r"\mu = \epsilon_\theta \cdot \frac{\beta_t}{\sqrt{\alpha_t}\sqrt{1-\bar{\alpha}_t} } "
        r"+ f(x_t)",
        r"\mu = -\epsilon_\theta \cdot \frac{\beta_t}{\sqrt{\alpha_t}\sqrt{1-\bar{\alpha}_t} } "
        r"+ f(x_t)",
    ),
    quantity=(
        "mu at t = 2 for alpha_bar = 16/25, 9/25, x_0 = 1, x_2 = 2, exactly",
        "alpha_bar = 16/25, 9/25、x_0 = 1、x_2 = 2 时 t = 2 处的 mu，精确值",
    ),
    why=(
        "The minus of N2:657 is lost here. It is back in N2:684.",
        "N2:657 中的负号在这里丢失了，到 N2:684 又恢复。",
    ),
)
def sign_of_the_noise() -> Numbers:
    schedule = _exact_schedule()
    alpha, beta, now = schedule.alpha[2], schedule.beta[2], schedule.alpha_bar[2]
    x_0, x_t, eps = Exact(1), Exact(2), Exact(7, 4)  # 2 = 3/5 + 4/5 * 7/4
    coefficient = mean_eps_coef(alpha, beta, schedule.one_minus_alpha_bar[2])
    printed = mean_xt_coef_in_eps_form(alpha) * x_t - coefficient * eps
    corrected = posterior_mean_from_eps(schedule, np.array([x_t]), 2, np.array([eps]))[0]
    # The vertex of the parabola E8, from three of its values.
    before = schedule.alpha_bar[1]
    left, middle, right = (
        value(posterior_exponent(Exact(k), x_t, x_0, alpha, beta, before, now)) for k in (-1, 0, 1)
    )
    truth = (left - right) / (2 * (left + right - 2 * middle))
    return Numbers(value(printed), value(corrected), truth, 0)


@erratum(
    "N2:672",
    section="附录：扩散逆过程的数值求解推导",
    kind="imprecise",
    equation="E14",
    printed=(
        "f(x_t), which is added to mu in N2:666, is set equal to the coefficient of x_t",
        "“而 x_t 系数为” f(x_t) = ...，但 N2:666 中 f(x_t) 是直接加在 mu 上的一项",
    ),
    corrected=("f(x_t) = (that coefficient) x_t", "f(x_t) = （该系数） x_t"),
    latex=(
        r"f(x_t) = \frac{\beta_t\sqrt{\bar{\alpha}_{t-1}} + \alpha_t\sqrt{\bar{\alpha}_{t-1}}"
        r"(1-\bar{\alpha}_{t-1})}{\sqrt{\bar{\alpha}_t}(1-\bar{\alpha}_t)}",
        r"f(x_t) = \frac{\beta_t\sqrt{\bar{\alpha}_{t-1}} + \alpha_t\sqrt{\bar{\alpha}_{t-1}}"
        r"(1-\bar{\alpha}_{t-1})}{\sqrt{\bar{\alpha}_t}(1-\bar{\alpha}_t)} \cdot x_t",
    ),
    quantity=(
        "f(x_2) at x_2 = 2 for alpha_bar = 16/25, 9/25, exactly",
        "alpha_bar = 16/25, 9/25 时 f(x_2) 在 x_2 = 2 处的值，精确值",
    ),
    why=(
        "Read literally, mu would not depend on x_t. The factor is back in N2:684.",
        "照字面理解，mu 就与 x_t 无关了；到 N2:684 这个因子又恢复。",
    ),
)
def coefficient_for_term() -> Numbers:
    schedule, x_t = _exact_schedule(), Exact(2)
    coefficient = mean_xt_coef_in_eps_form(schedule.alpha[2])
    # With eps = 0 the mean is f(x_t) alone; x_0 is then x_t / sqrt(alpha_bar_t).
    mean, _ = posterior_mean_variance(
        schedule, np.array([x_t / schedule.alpha_bar[2].sqrt()]), np.array([x_t]), 2
    )
    corrected = coefficient * x_t
    return Numbers(value(coefficient), value(corrected), value(mean[0]), 0)


@erratum(
    "N2:678",
    section="附录：扩散逆过程的数值求解推导",
    kind="wrong formula",
    equation="E14",
    printed=(
        "f(x_t) = sqrt(alpha_bar_{t-1}) (beta_t + alpha_t + alpha_bar_t) / "
        "(sqrt(alpha_bar_t) (1 - alpha_bar_t))"
    ),
    corrected=(
        "f(x_t) = sqrt(alpha_bar_{t-1}) (beta_t + alpha_t - alpha_bar_t) / "
        "(sqrt(alpha_bar_t) (1 - alpha_bar_t)) x_t"
    ),
    latex=(
        r"f(x_t) = \frac{\sqrt{\bar{\alpha}_{t-1}} (\beta_t + \alpha_t + \bar{\alpha}_t)}"
        r"{\sqrt{\bar{\alpha}_t}(1-\bar{\alpha}_t)} = \frac{1}{\sqrt{\alpha_t}}",
        r"f(x_t) = \frac{\sqrt{\bar{\alpha}_{t-1}} (\beta_t + \alpha_t - \bar{\alpha}_t)}"
        r"{\sqrt{\bar{\alpha}_t}(1-\bar{\alpha}_t)} \cdot x_t = \frac{1}{\sqrt{\alpha_t}} x_t",
    ),
    quantity=(
        "coefficient of x_2 for alpha_bar = 16/25, 9/25, exactly",
        "alpha_bar = 16/25, 9/25 时 x_2 的系数，精确值",
    ),
    why=(
        "alpha_t (1 - alpha_bar_{t-1}) = alpha_t - alpha_bar_t. Only with the minus does the "
        "fraction reduce to 1/sqrt(alpha_t).",
        "alpha_t (1 - alpha_bar_{t-1}) = alpha_t - alpha_bar_t。取负号，"
        "分式才能化为 1/sqrt(alpha_t)。",
    ),
)
def sign_of_alpha_bar() -> Numbers:
    schedule = _exact_schedule()
    alpha, beta = schedule.alpha[2], schedule.beta[2]
    before, now = schedule.alpha_bar[1], schedule.alpha_bar[2]
    one_minus_before, one_minus_now = schedule.one_minus_alpha_bar[1:]
    printed = before.sqrt() * (beta + alpha + now) / (now.sqrt() * one_minus_now)
    corrected = mean_xt_coef_in_eps_form(alpha)
    # E12 with x_0 = x_t / sqrt(alpha_bar_t) - ..., before anything is collected
    from_x0 = mean_x0_coef(beta, before, one_minus_now) / now.sqrt()
    truth = from_x0 + mean_xt_coef(alpha, one_minus_now, one_minus_before)
    return Numbers(value(printed), value(corrected), value(truth), 0)
