"""N1: walking in a space of images, and back."""

from __future__ import annotations

from math import erf, sqrt, tanh

import numpy as np

from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.errata.record import Numbers, erratum, notes_schedule, ulps
from ddpm_np.forward import covariance_step, q_mean_variance, q_step
from ddpm_np.posterior import predict_x0
from ddpm_np.schedule import Schedule


@erratum(
    "N1:22",
    section="图像的概率分布",
    kind="imprecise",
    printed=(
        "from the distribution we can tell the probability that the image is (1, 3)",
        "“比如我们可以确定他是（1，3）的概率是多少”",
    ),
    corrected=(
        "the distribution gives the density at (1, 3), and the probability of a region around it",
        "由分布可以得到（1，3）处的概率密度，以及落在它附近一个区域内的概率",
    ),
    quantity=(
        "probability of the point (1, 3) under N((1, 2), I), bounded by a disc of radius 1e-8 "
        "(printed: the density)",
        "N((1, 2), I) 下取到点（1，3）的概率，以半径 1e-8 的圆盘为上界（按原文：取密度值）",
    ),
    why=(
        "Under a continuous law each single point has probability 0. Densities still compare "
        "points: "
        "(1, 2) has the largest one, as the note says.",
        "连续分布取到任何单个点的概率都是 0。密度仍可用来比较各点：如原文所说，（1，"
        "2）处的密度最大。",
    ),
)
def probability_of_a_point() -> Numbers:
    density = float(np.exp(Gaussian([1.0, 2.0], np.eye(2)).logpdf([1.0, 3.0])))
    # The square of side 2e-8 around the point has at least the disc's probability.
    r = 1e-8
    along = erf(r / sqrt(2))
    across = (erf((1 + r) / sqrt(2)) - erf((1 - r) / sqrt(2))) / 2
    return Numbers(density, 0.0, along * across, 4 * r**2)


@erratum(
    "N1:25a",
    section="图像的概率分布",
    kind="wrong claim",
    equation="E6",
    printed=(
        "after a thousand steps the law is a wide cloud with the original image at its centre",
        "“以原图为圆心的弥散的广阔的类似球的概率分布”",
    ),
    corrected=(
        "the centre is sqrt(alpha_bar_t) x_0; after a thousand steps it is near 0, as N1:26 says",
        "圆心是 sqrt(alpha_bar_t) x_0；走完一千步后它已在 0 附近，正如 N1:26 所说",
    ),
    quantity=(
        "distance of the centre from 0 after 1000 steps, starting at (1, 2), linear schedule",
        "从（1，2）出发走 1000 步（线性 beta 序列）后，圆心到 0 的距离",
    ),
    why=(
        "Every step multiplies the mean by sqrt(1 - beta_t), so the centre moves from x_0 to 0.",
        "每走一步，均值都要乘以 sqrt(1 - beta_t)，圆心因此从 x_0 逐步移向 0。",
    ),
)
def centre_of_the_cloud() -> Numbers:
    schedule, x = Schedule.linear(), np.array([1.0, 2.0])
    for t in range(1, schedule.T + 1):
        x = q_step(schedule, x, t, np.zeros(2))
    corrected = float(np.linalg.norm(q_mean_variance(schedule, [1.0, 2.0], schedule.T)[0]))
    return Numbers(sqrt(5), corrected, float(np.linalg.norm(x)), ulps(2 * schedule.T, corrected))


@erratum(
    "N1:25b",
    section="图像的概率分布",
    kind="wrong claim",
    equation="E13",
    printed=(
        "a noise image is the mean of the final law or a random draw from it",
        "“停在一个噪点上，是指从最终的分布中取均值或者随机采样得到一个点”",
    ),
    corrected=(
        "only a draw is a noise image; the mean sqrt(alpha_bar_T) x_0 is the original, faded",
        "只有随机采样得到的才是噪声图；均值 sqrt(alpha_bar_T) x_0 是按比例变淡的原图",
    ),
    quantity=(
        "|x_0 - x0_hat| / |x_0| for the mean divided by sqrt(alpha_bar_T), x_0 = (1, 2)",
        "把均值除以 sqrt(alpha_bar_T) 复原后的相对误差 |x_0 - x0_hat| / |x_0|，x_0 = (1, 2)",
    ),
    why=(
        "The mean holds no noise: rescaled, it is x_0 again (error 0). From a noise image nothing "
        "can be restored (error 1).",
        "均值中不含噪声，重新放大就得到 x_0（误差为 0）；"
        "而从一张纯噪声图什么也恢复不出来（误差为 1）。",
    ),
)
def mean_is_a_faded_copy() -> Numbers:
    schedule, x_0 = Schedule.linear(), np.array([1.0, 2.0])
    mean, _ = q_mean_variance(schedule, x_0, schedule.T)
    restored = predict_x0(schedule, mean, schedule.T, np.zeros(2))
    error = float(np.linalg.norm(restored - x_0) / np.linalg.norm(x_0))
    return Numbers(1.0, error, 0.0, ulps(4, 1.0))


@erratum(
    "N1:31",
    section="回到起点",
    kind="imprecise",
    equation="E1",
    printed=(
        "step 501 leads to a law with x_500 at its centre",
        "“我们走下一步，就是走到500为圆心的一个概率分布上”",
    ),
    corrected=(
        "the centre of q(x_501 | x_500) is sqrt(1 - beta_501) x_500, a little nearer to 0",
        "q(x_501 | x_500) 的圆心是 sqrt(1 - beta_501) x_500，比 x_500 略靠近 0",
    ),
    latex=("", r"\mathcal{N}(x_{501}; \sqrt{1 - \beta_{501}}\, x_{500}, \beta_{501} I)"),
    quantity=(
        "variance after 1000 steps for data of variance 1, linear schedule",
        "方差为 1 的数据走 1000 步（线性 beta 序列）后的方差",
    ),
    why=(
        "In one step the factor is close to 1, but it is what keeps the variance at 1. Without it "
        "each step only adds beta_t.",
        "单看一步，这个因子接近 1；但正是它使方差保持为 1。没有它，每一步只会让方差增加 beta_t。",
    ),
)
def centre_of_one_step() -> Numbers:
    schedule, Sigma = Schedule.linear(), np.eye(1)
    for t in range(1, schedule.T + 1):
        Sigma = covariance_step(schedule, Sigma, t)
    printed = 1 + float(schedule.beta.sum())
    return Numbers(printed, float(Sigma[0, 0]), 1.0, ulps(4 * schedule.T, 1.0))


@erratum(
    "N1:32a",
    section="回到起点",
    kind="imprecise",
    equation="E26",
    printed=(
        "going back, the steps cannot all be Gaussian, or one ends at a meaningless point",
        "“当然不能以每一步都是高斯走，那最终走到的还是无意义的点”",
    ),
    corrected=(
        "the reverse steps of DDPM are Gaussian too; what is learned is their mean",
        "DDPM 的每一步逆过程同样是高斯的，需要学习的是它的均值",
    ),
    quantity=(
        "variance at the end of 100 Gaussian reverse steps for N(0, 1/4) data, ideal denoiser "
        "(printed: still that of noise)",
        "数据为 N(0, 1/4)、使用理想去噪器时，走完 100 步高斯逆过程后的方差（按原文："
        "仍是噪声的方差）",
    ),
    why=(
        "Only the forward steps, repeated blindly, would stay in the noise. A Gaussian step with "
        "the right mean and variance is exact for Gaussian data, and nearly so for any data if "
        "beta_t is small.",
        "只有照搬前向的高斯步才会停留在噪声里。均值和方差正确的高斯步，对高斯数据是精确的；"
        "对一般数据，只要 beta_t 足够小，也近似精确。",
    ),
)
def gaussian_steps_back() -> Numbers:
    schedule, data = notes_schedule(), Gaussian([0.0], [[0.25]])
    output = sampler_distribution(data, schedule, variance="kernel")
    # The chain starts at N(0, 1) instead of q(x_T), whose variance is 1 - 3/4 alpha_bar_T: of
    # that difference a factor below 1 reaches the end.
    tolerance = 0.75 * float(schedule.alpha_bar[-1])
    return Numbers(1.0, float(output.cov[0, 0]), 0.25, tolerance)


@erratum(
    "N1:32b",
    section="回到起点",
    kind="imprecise",
    equation="E24",
    printed=(
        "where am I most likely to have come from? That is where I want to return to",
        "“那我上一步最有可能是从哪里来的？我要回到那个地方去”",
    ),
    corrected=(
        "the network learns the mean of all possible origins, E[eps | x_t] and so E[x_0 | x_t]",
        "网络学到的是所有可能来处的均值，即 E[eps | x_t]，从而是 E[x_0 | x_t]，而不是最可能的来处",
    ),
    latex=("", r"\mathbb{E}[x_0 | x_t]"),
    quantity=(
        "origin of x_1 = 0.3 when x_0 is 1 or -1 and alpha_bar_1 = 1/2",
        "x_0 取 1 或 -1、alpha_bar_1 = 1/2 时，x_1 = 0.3 的来处",
    ),
    why=(
        "A squared error is least at the mean. Here 1 is the likelier origin, but the mean lies "
        "between 1 and -1. For one very small step the two nearly agree.",
        "平方误差在均值处最小。这里最可能的来处是 1，而均值落在 1 与 -1 之间。"
        "只有步长很小时，单步的均值与最可能的来处才几乎重合。",
    ),
)
def most_probable_origin() -> Numbers:
    schedule = Schedule.from_beta([0.5])
    denoiser = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)
    x = np.array([[0.3]])
    corrected = float(predict_x0(schedule, x, 1, denoiser(x, 1))[0, 0])
    return Numbers(1.0, corrected, tanh(0.3 * sqrt(0.5) / 0.5), ulps(16, 1.0))
