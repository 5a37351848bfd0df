"""E21 to E33: what is known in closed form."""

from __future__ import annotations

from ddpm_np.equations.record import Equation, Formula

CLOSED_FORM = (
    Equation(
        "E21",
        "N2:184",
        "The notes' kernel matrix",
        "笔记中的核矩阵",
        "It compares the values of one curve with each other: a Gaussian kernel matrix, not a "
        "covariance.",
        "它比较同一条曲线上各点取值的差异，是高斯核矩阵，而不是协方差矩阵。",
        (
            Formula(
                "C_{ij} = exp(-(v_i - v_j)^2)",
                "closed_form.covariance.kernel_covariance(v)",
                floating=True,
            ),
        ),
        ("closed_form.covariance.kernel_covariance",),
        ("property",),
        printed=("N2:189",),
        demo="covariance",
        no_value="the exponential function is not algebraic",
    ),
    Equation(
        "E22",
        "N2:184",
        "Spectrum and effective rank",
        "谱与有效秩",
        "The effective rank counts the directions that hold the variance: 1 if one holds all, n "
        "if all hold the same.",
        "有效秩衡量方差集中在几个方向上：全部集中于一个方向时为 1，均匀分布时为 n。",
        (
            Formula(
                "r = sum_k(lambda_k)^2 / sum_k(lambda_k^2)",
                "closed_form.covariance.effective_rank(C)",
                floating=True,
            ),
        ),
        ("closed_form.covariance.effective_rank", "closed_form.covariance.spectrum"),
        ("property",),
        demo="covariance",
        no_value="eigenvalues are computed in floating point",
    ),
    Equation(
        "E23",
        "N2:211",
        "Noise given a covariance",
        "把噪声变换为给定协方差",
        "Turn the noise into its own axes, stretch each, turn it into the target's axes. Centring "
        "and 1/m belong to it.",
        "先转到噪声自身的主轴，逐轴拉伸，再转到目标的主轴；去均值和 1/m 都不可省略。",
        (
            Formula("Y = (X - mean) V Psi V_1^T; Psi = sqrt(Lambda_1 / Lambda)"),
            Formula("Y^T Y / m = C_1"),
            Formula("A C A = C_1"),
        ),
        (
            "closed_form.covariance.reshape_noise",
            "closed_form.covariance.sample_covariance",
            "closed_form.covariance.transport_map",
        ),
        ("property",),
        printed=("N2:220", "N2:226-233", "N2:239", "N2:262", "N2:266-272", "N2:276"),
        demo="reshape",
        no_value="products of matrices of eigenvectors, in floating point",
    ),
    Equation(
        "E24",
        "N2:426",
        "The ideal prediction",
        "最优预测",
        "Beyond the notes: the best prediction of the noise is its mean given $x_t$, and that is "
        "the score up to a factor.",
        "笔记之外：噪声的最优预测是给定 $x_t$ 时的条件均值，与得分函数只差一个系数。",
        (
            Formula("E(eps | x_t) = -sqrt(1 - alpha_bar_t) grad ln(q_t(x_t))"),
            Formula(
                "score = -eps / sqrt(1 - alpha_bar_t)",
                "closed_form.ideal.score_from_eps(schedule, eps, t)",
            ),
            Formula(
                "eps = -sqrt(1 - alpha_bar_t) score",
                "closed_form.ideal.eps_from_score(schedule, score, t)",
            ),
        ),
        (
            "closed_form.ideal.IdealDenoiser",
            "closed_form.ideal.eps_star_gain",
            "closed_form.ideal.score_from_eps",
            "closed_form.ideal.eps_from_score",
        ),
        ("proved", "property", "statistical"),
        printed=("N2:553",),
        demo="noise-target",
    ),
    Equation(
        "E25",
        "N2:426",
        "The Bayes floor",
        "贝叶斯下界",
        "Beyond the notes: the lowest loss any predictor can reach is the variance of the noise "
        "that $x_t$ leaves open.",
        "笔记之外：任何预测器的损失都不低于噪声在给定 $x_t$ 之后剩余的方差。",
        (
            Formula(
                "floor_t = mean_i(alpha_bar_t lambda_i / (alpha_bar_t lambda_i + 1 - alpha_bar_t))",
                "closed_form.ideal.optimal_loss(gaussian, schedule)[t]",
                floating=True,
            ),
            Formula(
                "variance_t = beta_tilde_t + beta_t^2 / (alpha_t (1 - alpha_bar_t)) floor_t",
                "closed_form.ideal.variance_from_loss(alpha_t, beta_t, "
                "one_minus_alpha_bar_t, beta_tilde_t, floor_t)",
            ),
        ),
        (
            "closed_form.ideal.optimal_loss",
            "closed_form.ideal.bayes_floor",
            "closed_form.ideal.optimal_variance",
            "closed_form.ideal.variance_from_loss",
        ),
        ("proved", "property", "statistical"),
        demo="noise-target",
    ),
    Equation(
        "E26",
        "N2:556",
        "The true reverse kernel",
        "真实的反向核",
        "The step back when the signal is not known. The notes state this one and then derive "
        "E7; it is wider.",
        "不知道 $x_0$ 时的反向一步；笔记写的是它，推导的却是 E7，而它的方差更大。",
        (
            Formula("v_{s|t} = beta_{t|s} v_s / v_t; v_t = alpha_bar_t lambda + 1 - alpha_bar_t"),
            Formula(
                "variance_s = beta_{t|s} (alpha_bar_s lambda_i + 1 - alpha_bar_s)"
                " / (alpha_bar_t lambda_i + 1 - alpha_bar_t)",
                "closed_form.reverse.reverse_variance(gaussian, schedule, t, s)",
                floating=True,
            ),
        ),
        (
            "closed_form.reverse.reverse_kernel",
            "closed_form.reverse.kernel_gain",
            "closed_form.reverse.kernel_variance",
            "closed_form.reverse.reverse_variance",
        ),
        ("proved", "property", "statistical"),
        printed=("N2:573",),
        demo="posterior",
    ),
    Equation(
        "E27",
        "N2:556",
        "What a sampler puts out",
        "采样器输出的精确分布",
        "Beyond the notes: a sampler driven by the ideal denoiser of a Gaussian is a chain of "
        "linear steps, so the law of its output is known.",
        "笔记之外：用高斯数据的最优去噪器采样，每一步都是线性的，输出分布因此可精确求得。",
        (
            Formula(
                "gain = a + b sqrt(1 - alpha_bar_t) / v_t; variance_s = gain^2 variance_t + std^2"
            ),
        ),
        (
            "closed_form.reverse.sampler_distribution",
            "closed_form.reverse.step_gain",
            "closed_form.reverse.sampler_moments",
        ),
        ("proved", "property", "statistical"),
        demo="variance",
        no_value="a recursion over all steps; compared with it written out in the tests",
    ),
    Equation(
        "E28",
        "N2:46",
        "The variational bound",
        "变分下界",
        "A bound on $-ln(p(x_0))$ as a sum over the steps. For Gaussian data and the true kernel "
        "its gap is the KL of the start alone.",
        "$-ln(p(x_0))$ 的上界可按步分解；对高斯数据取真实反向核时，差距只剩起始分布的 KL 散度。",
        (
            Formula(
                "-ln(p(x_0)) <= KL(q(x_T | x_0), N(0, I))"
                " + sum_t(E(KL(q(x_{t-1} | x_t, x_0), p(x_{t-1} | x_t))))"
                " - E(ln(p(x_0 | x_1)))"
            ),
        ),
        ("closed_form.likelihood.vlb_terms",),
        ("property", "statistical"),
        demo="likelihood",
        no_value="an inequality between expectations",
    ),
    Equation(
        "E29",
        "N2:46",
        "The probability flow",
        "概率流",
        "Beyond the notes: a differential equation without noise that carries the same densities, "
        "and with them the likelihood.",
        "笔记之外：不含噪声的常微分方程，各时刻的分布与扩散相同，并由此给出对数似然。",
        (Formula("ln(p(x)) = ln(p_T(x_T)) + sum_u(div(x_u))"),),
        (
            "closed_form.probability_flow.probability_flow_sample",
            "closed_form.probability_flow.probability_flow_logpdf",
        ),
        ("property",),
        no_value="an integral along the solution of a differential equation",
    ),
    Equation(
        "E30",
        "N4:33",
        "Maximum likelihood is least divergence",
        "极大似然即最小 KL 散度",
        "The mean of $-ln(p)$ over the data is its entropy plus the divergence from the model, so "
        "the model of largest likelihood is the nearest one.",
        "数据上 $-ln(p)$ 的均值等于数据的熵加 KL 散度，所以似然最大的模型就是 KL 散度最小的模型。",
        (Formula("E(-ln(p(x))) = entropy(q) + KL(q, p)"),),
        ("closed_form.likelihood.nll", "closed_form.distributions.kl_divergence"),
        ("property",),
        printed=("N4:47", "N2:494", "N2:500"),
        demo="likelihood",
        no_value="logarithms; checked against numerical integration",
    ),
    Equation(
        "E31",
        "N4:52",
        "P(x) as an integral",
        "把 P(x) 写成积分",
        "The law of total probability: weigh every z by the prior. Four ways to compute it, one "
        "of them exact.",
        "全概率公式：按先验对所有 z 加权积分；这里给出四种算法，其中一种是精确的。",
        (Formula("p(x) = int_z(p(z) p(x | z))"),),
        (
            "closed_form.latent.quadrature",
            "closed_form.latent.importance_sampling",
            "closed_form.latent.naive_monte_carlo",
        ),
        ("property", "statistical"),
        printed=("N4:57", "N4:88-89"),
        demo="likelihood",
        no_value="an integral; compared with the exact one of the linear decoder",
    ),
    Equation(
        "E32",
        "N4:104",
        "The Gaussian decoder",
        "高斯解码器",
        "The image $G(z)$ is the mean of a Gaussian. If G is linear, everything is solved: "
        "probabilistic PCA.",
        "生成的图像 G(z) 是高斯分布的均值；若 G 是线性的，一切都有闭式解，即概率 PCA。",
        (
            Formula("p(x | z) = N(G(z), s^2 I)"),
            Formula("ln(p(x | z)) = -|x - G(z)|^2 / (2 s^2) - dim / 2 ln(2 pi s^2)"),
            Formula("x ~ N(mu, W W^T + s^2 I)"),
        ),
        (
            "closed_form.latent.decoder_log_likelihood",
            "closed_form.latent.LinearDecoder",
            "closed_form.latent.ppca",
        ),
        ("property",),
        printed=("N4:130", "N4:134", "N4:139"),
        no_value="logarithms; checked against the density written out",
    ),
    Equation(
        "E33",
        "N2:136",
        "The variance of a mean",
        "均值的方差",
        "Averaging n uncorrelated observations divides their variance by n. It removes neither a "
        "bias nor what they have in common.",
        "n 次不相关观测取平均，方差降为 1/n；但偏差以及各次共有的误差，平均并不能消除。",
        (
            Formula(
                "Var(mean) = variance (1 + (n - 1) correlation) / n",
                "closed_form.covariance.variance_of_mean(variance, n, correlation=correlation)",
                floating=True,
            ),
        ),
        ("closed_form.covariance.variance_of_mean", "closed_form.covariance.error_of_mean"),
        ("property", "statistical"),
        printed=("N0:47-54", "N2:146-149", "N2:153-155"),
        demo="averaging",
    ),
)
