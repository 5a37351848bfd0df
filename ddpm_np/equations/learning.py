"""E15 to E20: training, sampling, the notes' schedule and their signals."""

from __future__ import annotations

from ddpm_np.equations.record import Equation, Formula

LEARNING = (
    Equation(
        "E15",
        "N2:426",
        "The loss and its gradient",
        "损失函数及其梯度",
        "The mean squared error of the predicted noise, with the square that the notes leave out. "
        "The gradient is the one of this very number.",
        "预测噪声的均方误差（注意平方不可省略），梯度正是这个数本身的梯度。",
        (
            Formula(
                "loss = mean((eps_hat - eps)^2)",
                "training.denoising_loss(eps_hat, eps)[0]",
                floating=True,
            ),
            Formula(
                "grad loss = 2 (eps_hat - eps) / (n dim)",
                "training.denoising_loss(eps_hat, eps)[1]",
                floating=True,
            ),
        ),
        ("training.denoising_loss", "network.MLP.forward", "network.MLP.backward"),
        ("proved", "property"),
        printed=("N2:442", "N2:448"),
        demo="noise-target",
    ),
    Equation(
        "E16",
        "N2:426",
        "The training algorithm",
        "训练算法",
        "Draw a signal, a step and noise; predict the noise; take one AdamW step; repeat.",
        "抽取信号、时刻与噪声，预测噪声，用 AdamW 更新一步，如此反复。",
        (
            Formula(
                "x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps;"
                " theta -> AdamW(theta, grad (|eps_hat(x_t, t) - eps|^2))"
            ),
        ),
        ("training.train", "training.plain_gradient", "training._loop"),
        ("property", "statistical"),
        printed=("N2:431-436", "N2:448"),
        no_value="it is a loop; a test repeats it with the algorithm written out",
    ),
    Equation(
        "E17",
        "N2:426",
        "The ancestral step",
        "祖先采样的一步",
        "One step of the chain backwards: the mean of E14 with the predicted noise, plus fresh "
        "noise. From t to any s < t, with s..t as one step.",
        "反向走一步：用预测噪声按 E14 求均值，再加入新的噪声；也可把 s 到 t 当作一步。",
        (
            Formula(
                "x_s = (x_t - beta_{t|s} / sqrt(1 - alpha_bar_t) eps_hat) / sqrt(alpha_{t|s})"
                " + sqrt(variance) z",
                "moved(sampling.ancestral_step(schedule, t, s), x_t, eps_hat, z)",
            ),
        ),
        ("sampling.ancestral_step", "sampling.ancestral_sample"),
        ("proved", "property"),
        printed=("N2:454-455", "N2:488"),
        demo="variance",
    ),
    Equation(
        "E18",
        "N2:426",
        "The DDIM step",
        "DDIM 的一步",
        "Beyond the notes: estimate the signal, then noise it to step s with the same predicted "
        "noise. $eta = 0$ adds none, $eta = 1$ is the ancestral step.",
        "笔记之外：先估计信号，再用同一预测噪声加噪到 s；$eta = 0$ 时无随机性，"
        "$eta = 1$ 时即祖先采样。",
        (
            Formula(
                "x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat"
                " + sigma z",
                "moved(sampling.ddim_step(schedule, t, s, eta=eta), x_t, eps_hat, z)",
            ),
            Formula(
                "x0_hat = (x_t - sqrt(1 - alpha_bar_t) eps_hat) / sqrt(alpha_bar_t)",
                "posterior.predict_x0(schedule, x_t, t, eps_hat)",
            ),
            Formula(
                "sigma^2 = eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t)",
                "sampling.ddim_variance(alpha_ts, beta_ts, one_minus_alpha_bar_t, "
                "one_minus_alpha_bar_s, eta)",
            ),
        ),
        (
            "sampling.ddim_step",
            "sampling.ddim_variance",
            "sampling.ddim_direction",
            "sampling.ddim_eps_coef",
            "sampling.ddim_sample",
        ),
        ("proved", "property"),
    ),
    Equation(
        "E19",
        "N2:408",
        "The notes' schedule",
        "笔记所用的噪声序列",
        "$beta_t$ grows along a sigmoid: slowly, quickly, slowly. f is a line from -6 to 6; as "
        "printed, $f(t)$ simplifies to t.",
        "$beta_t$ 沿 S 形曲线上升，先慢、后快、再慢；f 应是从 −6 到 6 的直线，"
        "而笔记所印的式子化简后只是 $f(t) = t$。",
        (
            Formula(
                "beta_t = beta_min + (beta_max - beta_min) sigmoid(f(t))",
                "schedule_of_notes.beta[t]",
                floating=True,
            ),
            Formula("f(t) = span (2 (t - 1) / (T - 1) - 1)"),
        ),
        ("schedule.Schedule.sigmoid",),
        ("property",),
        printed=("N2:413-416", "N2:422"),
        no_value="the logistic function is not algebraic",
    ),
    Equation(
        "E20",
        "N2:408",
        "The signals",
        "多频正弦信号",
        "A sum of a few cosines and sines with random weights: an exactly Gaussian ensemble whose "
        "covariance has rank at most 2 K.",
        "若干余弦与正弦的随机加权和，恰为高斯分布，协方差矩阵的秩不超过 2K。",
        (
            Formula(
                "x = sum_k(a_k cos(2 pi f_k tau) + b_k sin(2 pi f_k tau))",
                "coefficients @ signals.MultiSine(frequencies, scale=1.0, dim=dim).factor",
                floating=True,
            ),
            Formula("x ~ N(0, C); C = factor^T factor; rank(C) <= 2 K"),
        ),
        ("signals.MultiSine", "signals.multi_sine_curve"),
        ("property", "statistical"),
    ),
)
