"""E1 to E14: the noising kernels, and one step back when the signal is known."""

from __future__ import annotations

from ddpm_np.equations.record import Equation, Formula

BOTH = ("proved", "property")

FORWARD = (
    Equation(
        "E1",
        "N2:289",
        "One noising step",
        "一步加噪",
        "Each step shrinks the signal a little and adds a little independent Gaussian noise, so "
        "that data of variance 1 keeps the variance 1.",
        "每一步先把信号略微缩小，再加上少量独立的高斯噪声；方差为 1 的数据，方差始终保持为 1。",
        (
            Formula("q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I)"),
            Formula(
                "x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps",
                "forward.q_step(schedule, x_prev, t, eps)",
            ),
        ),
        ("forward.q_step",),
        BOTH,
        printed=("N2:303-304", "N2:454-455", "N2:531-532", "N3:43", "N3:47", "N3:54"),
        demo="forward",
    ),
    Equation(
        "E2",
        "N2:357",
        "What follows from the schedule alone",
        "由噪声序列直接得到的量",
        "$alpha_t$ is the share of the variance that a step keeps, $alpha_bar_t$ what all steps up "
        "to t have kept.",
        "$alpha_t$ 是一步之后保留下来的方差比例，$alpha_bar_t$ 是前 t 步累计保留的比例。",
        (
            Formula("alpha_t = 1 - beta_t; alpha_bar_t = alpha_1 alpha_2 ... alpha_t"),
            Formula("alpha_t = 1 - beta_t", "schedule.alpha[t]"),
            Formula("alpha_bar_t = alpha_t alpha_bar_{t-1}", "schedule.alpha_bar[t]"),
            Formula(
                "1 - alpha_bar_t = alpha_t (1 - alpha_bar_{t-1}) + beta_t",
                "schedule.one_minus_alpha_bar[t]",
            ),
        ),
        ("schedule.Schedule.from_beta",),
        BOTH,
        printed=("N2:381-384", "N2:431-436", "N2:539-542", "N3:110"),
    ),
    Equation(
        "E3",
        "N2:316",
        "The covariance after one more step",
        "协方差的一步递推",
        "A step moves the covariance towards the identity by the fraction $beta_t$.",
        "每加噪一步，协方差矩阵就向单位矩阵靠近一点，靠近的比例恰为 $beta_t$。",
        (
            Formula(
                "Sigma_t = (1 - beta_t) Sigma_{t-1} + beta_t I",
                "forward.covariance_step(schedule, Sigma_prev, t)",
            ),
        ),
        ("forward.covariance_step",),
        BOTH,
        printed=("N2:348-352", "N2:336", "N2:342", "N2:362-365"),
        demo="forward",
    ),
    Equation(
        "E4",
        "N2:357",
        "Several steps at once",
        "一次跨越多步",
        "From s to t the chain is one Gaussian step again; $alpha_bar_t / alpha_bar_s$ takes the "
        "place of $alpha_t$.",
        "从第 s 步到第 t 步仍然是一步高斯转移，只需用 $alpha_bar_t / alpha_bar_s$ 代替 $alpha_t$。",
        (
            Formula(
                "x_t = sqrt(alpha_bar_t / alpha_bar_s) x_s"
                " + sqrt(1 - alpha_bar_t / alpha_bar_s) eps",
                "forward.q_skip(schedule, x_s, s, t, eps)",
            ),
            Formula("alpha_{t|s} = alpha_bar_t / alpha_bar_s", "schedule.between(s, t)[0]"),
            Formula("beta_{t|s} = 1 - alpha_{t|s}", "schedule.between(s, t)[1]"),
        ),
        ("forward.q_skip", "schedule.Schedule.between"),
        BOTH,
        printed=("N2:371-375",),
    ),
    Equation(
        "E5",
        "N2:357",
        "The covariance at any step",
        "任意时刻的协方差",
        "The recursion solved: the data's covariance fades with $alpha_bar_t$, and the identity "
        "takes its place. The eigenvectors stay.",
        "递推的闭式解：数据的协方差按 $alpha_bar_t$ 衰减，由单位矩阵逐步取代，而特征向量始终不变。",
        (
            Formula(
                "Sigma_t = alpha_bar_t Sigma_0 + (1 - alpha_bar_t) I",
                "forward.covariance_at(schedule, Sigma_0, t)",
            ),
        ),
        ("forward.covariance_at", "closed_form.covariance.spectrum_at"),
        BOTH,
        printed=("N2:390",),
        demo="forward",
    ),
    Equation(
        "E6",
        "N2:357",
        "From the signal to any step",
        "由原始信号直达任意时刻",
        "All noise up to t adds up to one Gaussian. This is what makes training cheap: any $x_t$ "
        "is one line away from $x_0$.",
        "前 t 步的噪声合并为一个高斯噪声，因此训练时由 $x_0$ 一步即可得到任意时刻的 $x_t$。",
        (
            Formula(
                "x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps",
                "forward.q_sample(schedule, x_0, t, eps)",
            ),
            Formula("q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I)"),
            Formula(
                "E(x_t | x_0) = sqrt(alpha_bar_t) x_0",
                "forward.q_mean_variance(schedule, x_0, t)[0]",
            ),
            Formula(
                "Var(x_t | x_0) = 1 - alpha_bar_t", "forward.q_mean_variance(schedule, x_0, t)[1]"
            ),
        ),
        ("forward.q_sample", "forward.q_mean_variance"),
        BOTH,
        printed=(
            "N2:396-397",
            "N2:431-436",
            "N2:482",
            "N2:546-547",
            "N2:637",
            "N3:86-89",
            "N3:105",
        ),
        demo="forward",
    ),
)

POSTERIOR = (
    Equation(
        "E7",
        "N2:556",
        "Bayes' rule for one step back",
        "用贝叶斯公式反推一步",
        "Given the signal, the step back is the forward step turned round by Bayes' rule. The "
        "condition on $x_0$ stays in every factor.",
        "已知 $x_0$ 时，用贝叶斯公式把前向一步反过来；每个因子都必须保留对 $x_0$ 的条件。",
        (Formula("q(x_{t-1} | x_t, x_0) = q(x_t | x_{t-1}) q(x_{t-1} | x_0) / q(x_t | x_0)"),),
        ("posterior.posterior_mean_variance",),
        BOTH,
        printed=("N2:561-567", "N2:573"),
        demo="posterior",
        no_value="it relates densities; their exponents are compared in E8, and Bayes' rule itself "
        "is one of the proved identities",
    ),
    Equation(
        "E8",
        "N2:556",
        "The exponent, a quadratic with its square completed",
        "指数部分：二次式与配方",
        "Minus twice the exponent is a quadratic in $x_{t-1}$. Once the square is completed, "
        "nothing is left over.",
        "指数的 −2 倍是 $x_{t-1}$ 的二次式；配方之后，剩余的常数恰好为 0。",
        (
            Formula(
                "-2 ln(q) = (x_t - sqrt(alpha_t) x_{t-1})^2 / beta_t"
                " + (x_{t-1} - sqrt(alpha_bar_{t-1}) x_0)^2 / (1 - alpha_bar_{t-1})"
                " - (x_t - sqrt(alpha_bar_t) x_0)^2 / (1 - alpha_bar_t)",
                "posterior.posterior_exponent(x_prev, x_t, x_0, alpha_t, beta_t, "
                "alpha_bar_prev, alpha_bar_t)",
            ),
            Formula(
                "-2 ln(q) = psi_2 (x_{t-1} - psi_1 / psi_2)^2",
                "posterior.posterior_exponent(x_prev, x_t, x_0, alpha_t, beta_t, "
                "alpha_bar_prev, alpha_bar_t)",
            ),
        ),
        ("posterior.posterior_exponent",),
        BOTH,
        printed=("N2:579", "N2:585", "N2:600", "N2:591-594"),
        demo="posterior",
    ),
    Equation(
        "E9",
        "N2:687",
        "$psi_1$, from the linear term",
        "一次项系数 $psi_1$",
        "Half the coefficient of $-x_{t-1}$: each of the two Gaussians votes with its precision.",
        "$psi_1$ 是 $-x_{t-1}$ 系数的一半：两个高斯分布各按自己的精度加权。",
        (
            Formula(
                "psi_1 = sqrt(alpha_t) / beta_t x_t"
                " + sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_{t-1}) x_0",
                "posterior.psi_1(schedule, x_0, x_t, t)",
            ),
        ),
        ("posterior.psi_1", "posterior.psi_1_xt_coef", "posterior.psi_1_x0_coef"),
        BOTH,
        printed=("N2:692", "N2:698", "N2:702", "N2:612-615"),
        demo="posterior",
    ),
    Equation(
        "E10",
        "N2:707",
        "$psi_2$, from the quadratic term",
        "二次项系数 $psi_2$",
        "The precision of the step back is the sum of two precisions; $alpha_t + beta_t = 1$ "
        "makes one fraction of it.",
        "反向一步的精度等于两个精度之和，再由 $alpha_t + beta_t = 1$ 化为一个分式。",
        (
            Formula(
                "psi_2 = 1 / (1 - alpha_bar_{t-1}) + alpha_t / beta_t",
                "posterior.psi_2_expanded(alpha_t, beta_t, one_minus_alpha_bar_prev)",
            ),
            Formula(
                "psi_2 = (beta_t + alpha_t - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1}))",
                "posterior.psi_2_collected(alpha_t, beta_t, alpha_bar_t, one_minus_alpha_bar_prev)",
            ),
            Formula(
                "psi_2 = (1 - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1}))",
                "posterior.psi_2(schedule, t)",
            ),
        ),
        (
            "posterior.psi_2",
            "posterior.psi_2_expanded",
            "posterior.psi_2_collected",
            "posterior.psi_2_simplified",
        ),
        BOTH,
        printed=("N2:712", "N2:718-720", "N2:612-615"),
        demo="posterior",
    ),
    Equation(
        "E11",
        "N2:556",
        "The variance of the step back",
        "反向一步的方差",
        "One over the precision. It is smaller than $beta_t$, because $x_0$ is known.",
        "精度的倒数就是方差；由于已知 $x_0$，它比 $beta_t$ 更小。",
        (
            Formula(
                "beta_tilde_t = beta_t (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t)",
                "posterior.posterior_variance(beta_t, one_minus_alpha_bar_t, "
                "one_minus_alpha_bar_prev)",
            ),
            Formula("beta_tilde_t = 1 / psi_2", "schedule.beta_tilde[t]"),
        ),
        ("posterior.posterior_variance",),
        BOTH,
        printed=("N2:606", "N2:621"),
        demo="variance",
    ),
    Equation(
        "E12",
        "N2:556",
        "The mean of the step back",
        "反向一步的均值",
        "A weighted sum of the signal and of where the chain stands.",
        "均值是原始信号 $x_0$ 与当前状态 $x_t$ 的加权和。",
        (
            Formula(
                "mean = beta_t sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_t) x_0"
                " + sqrt(alpha_t) (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) x_t",
                "posterior.posterior_mean_variance(schedule, x_0, x_t, t)[0]",
            ),
            Formula(
                "mean = psi_1 / psi_2",
                "posterior.posterior_mean_variance(schedule, x_0, x_t, t)[0]",
            ),
        ),
        ("posterior.posterior_mean_variance", "posterior.mean_x0_coef", "posterior.mean_xt_coef"),
        BOTH,
        printed=("N2:606", "N2:627"),
        demo="posterior",
    ),
    Equation(
        "E13",
        "N2:646",
        "The signal from its noise, and the noise from its signal",
        "由噪声解出信号，由信号解出噪声",
        "E6 solved for $x_0$. With a predicted $eps_hat$ it gives the estimate $x0_hat$.",
        "由 E6 解出 $x_0$；若代入预测的噪声，得到的只是 $x_0$ 的估计值。",
        (
            Formula(
                "x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)",
                "posterior.predict_x0(schedule, x_t, t, eps)",
            ),
            Formula(
                "eps = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t)",
                "posterior.predict_eps(schedule, x_t, t, x_0)",
            ),
        ),
        ("posterior.predict_x0", "posterior.predict_eps"),
        BOTH,
        printed=("N2:651", "N2:637"),
    ),
    Equation(
        "E14",
        "N2:632",
        "The mean without the signal",
        "不含 $x_0$ 的均值",
        "With $x_0$ replaced by the noise, the two coefficients of $x_t$ collapse to "
        "$1 / sqrt(alpha_t)$.",
        "用噪声代换 $x_0$ 之后，$x_t$ 的两项系数合并，化简为 $1 / sqrt(alpha_t)$。",
        (
            Formula(
                "mean = (x_t - beta_t / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t)",
                "posterior.posterior_mean_from_eps(schedule, x_t, t, eps)",
            ),
            Formula(
                "f = (beta_t sqrt(alpha_bar_{t-1}) + alpha_t sqrt(alpha_bar_{t-1})"
                " (1 - alpha_bar_{t-1})) / (sqrt(alpha_bar_t) (1 - alpha_bar_t))",
                "posterior.mean_xt_coef_expanded(alpha_t, beta_t, alpha_bar_t, alpha_bar_prev)",
            ),
            Formula(
                "f = sqrt(alpha_bar_{t-1}) (beta_t + alpha_t - alpha_bar_t)"
                " / (sqrt(alpha_bar_t) (1 - alpha_bar_t))",
                "posterior.mean_xt_coef_collected(alpha_t, beta_t, alpha_bar_t, alpha_bar_prev)",
            ),
            Formula("f = 1 / sqrt(alpha_t)", "posterior.mean_xt_coef_in_eps_form(alpha_t)"),
            Formula(
                "g = -beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t))",
                "posterior.mean_eps_coef(alpha_t, beta_t, one_minus_alpha_bar_t)",
            ),
        ),
        (
            "posterior.posterior_mean_from_eps",
            "posterior.mean_eps_coef",
            "posterior.mean_xt_coef_expanded",
            "posterior.mean_xt_coef_collected",
            "posterior.mean_xt_coef_in_eps_form",
        ),
        BOTH,
        printed=("N2:643", "N2:657-658", "N2:664-666", "N2:672", "N2:678", "N2:684"),
    ),
)
