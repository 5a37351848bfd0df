"""N1: walking in a space of images, and back."""

from __future__ import annotations

from math import exp, factorial, sqrt, tanh

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.errata.record import Numbers, erratum, notes_schedule, ulps
from ddpm_np.forward import covariance_at, q_mean_variance, q_step
from ddpm_np.posterior import predict_x0
from ddpm_np.sampling import Denoiser, ddim_step
from ddpm_np.schedule import Schedule


@erratum(
    "N1:22-23", section="图像的概率分布", kind="wrong claim",
    printed='"我们可以直接取均值的到图像 ... 它是这幅图的概率最高" (the mean is the most probable image)',
    corrected="the mean has the highest density, but in many dimensions hardly any draw is near it",
    quantity="P(|x - mean|^2 < n/2) for N(mean, I) in n = 50 dimensions",
    why="Volume grows as r^(n-1) and beats the density: draws lie near |x - mean| = sqrt(n). Nearest claim: one half.",
)
def most_probable_point() -> Numbers:
    from scipy.stats import chi2

    # For an even number of dimensions the chi-square law is a Poisson tail: 1 - e^-y (1 + y + ... + y^24 / 24!), y = 25/2.
    truth = sum(exp(-12.5) * 12.5**k / factorial(k) for k in range(25, 120))
    return Numbers(0.5, float(chi2.cdf(25, 50)), truth, 1e-12 * truth)


@erratum(
    "N1:24-25", section="图像的概率分布", kind="wrong claim", equation="E6",
    printed='"距离就会更远一些，概率分布更分散一些 ... 弥散的广阔的" (each step adds distance, without end)',
    corrected="variance of x_t given x_0 = 1 - alpha_bar_t, never above 1",
    quantity="variance of a coordinate of x_1000, linear schedule from 0.0001 to 0.02",
    why="The factor sqrt(1 - beta_t) shrinks what is there while beta_t is added. Adding alone would give sum beta_t.",
)
def spread_without_end() -> Numbers:
    schedule, variance = Schedule.linear(), 0.0
    for beta in schedule.beta[1:]:
        variance = variance - beta * variance + beta
    corrected = float(covariance_at(schedule, [[0.0]], schedule.T)[0, 0])
    return Numbers(float(schedule.beta.sum()), corrected, float(variance), ulps(2 * schedule.T, 1.0))


@erratum(
    "N1:25a", section="图像的概率分布", kind="wrong claim", equation="E6",
    printed='"以原图为圆心" (after 1000 steps the cloud is centred on the original image)',
    corrected="the centre is sqrt(alpha_bar_t) x_0, which goes to 0 (as N1:26 says itself)",
    quantity="distance of the centre from 0 after 1000 steps, starting at (1, 2)",
    why="Every step multiplies the mean by sqrt(1 - beta_t). A cloud that stays centred belongs to another process.",
)
def centre_of_the_cloud() -> Numbers:
    schedule, x = Schedule.linear(), np.array([1.0, 2.0])
    for t in range(1, schedule.T + 1):
        x = q_step(schedule, x, t, np.zeros(2))
    corrected = np.linalg.norm(q_mean_variance(schedule, [1.0, 2.0], schedule.T)[0])
    return Numbers(sqrt(5), float(corrected), float(np.linalg.norm(x)), ulps(2 * schedule.T, float(corrected)))


@erratum(
    "N1:25b", section="图像的概率分布", kind="wrong claim", equation="E13",
    printed='"停在一个噪点上，是指从最终的分布中取均值或者随机采样" (the mean of the last law is a noise image)',
    corrected="the mean is sqrt(alpha_bar_T) x_0, a faded copy: divided by sqrt(alpha_bar_T) it is x_0",
    quantity="share of x_0 = (1, 2) missing from the restored mean, |x_0 - x0_hat| / |x_0|",
    why="Only a draw is noise. Of a noise image nothing could be restored (share 1); of the mean all is.",
)
def mean_is_a_faded_copy() -> Numbers:
    schedule, x_0 = Schedule.linear(), np.array([1.0, 2.0])
    mean, _ = q_mean_variance(schedule, x_0, schedule.T)
    restored = predict_x0(schedule, mean, schedule.T, np.zeros(2))
    return Numbers(1.0, float(np.linalg.norm(restored - x_0) / np.linalg.norm(x_0)), 0.0, ulps(4, 1.0))


@erratum(
    "N1:32", section="回到起点", kind="wrong claim", equation="E24",
    printed='"那我上一步最有可能是从哪里来的？我要回到那个地方去" (back to the most probable origin)',
    corrected="the network learns the conditional mean E[eps | x_t], hence E[x_0 | x_t], not the mode",
    quantity="origin of x_1 = 0.3 when x_0 is 1 or -1 and alpha_bar_1 = 1/2",
    why="A squared error is least at the mean. The origin 1 has probability 0.70, so the mean is 0.40, where no data lies.",
)
def most_probable_origin() -> Numbers:
    schedule = Schedule.from_beta([0.5])
    denoiser = IdealDenoiser(Empirical([[-1.0], [1.0]]), schedule)
    x = np.array([[0.3]])
    corrected = float(predict_x0(schedule, x, 1, denoiser(x, 1))[0, 0])
    return Numbers(1.0, corrected, tanh(0.3 * sqrt(0.5) / 0.5), ulps(16, 1.0))


@erratum(
    "N1:39", section="神奇的语意融合", kind="wrong claim", equation="E18",
    printed='"可以走回起点之间的有意义的点 ... 满月和半月，可以生成3/4月" (the way back ends between the data)',
    corrected="the exact way back ends on the data only; what lies between comes from what a network has not learned",
    quantity="share of outputs |x_0| < 1/2 for images at -1 and 1 (printed: with a Gaussian fit)",
    why="The true x_0 given x_t is one of the images. A denoiser that generalises, as the Gaussian fit does, interpolates.",
)
def between_the_images() -> Numbers:
    images = Empirical([[-1.0], [1.0]])
    return Numbers(_share_between(Gaussian(images.mean, images.cov)), _share_between(images), 0.0, 0.0)


def _share_between(distribution: Empirical | Gaussian) -> float:
    """Share of DDIM outputs with |x_0| < 1/2, started on 1000 equally likely values of N(0, 1)."""
    from scipy.special import ndtri

    schedule = notes_schedule()
    denoiser: Denoiser = IdealDenoiser(distribution, schedule)
    x: Array = ndtri((np.arange(1000) + 0.5) / 1000)[:, None]
    for t in range(schedule.T, 0, -1):
        step = ddim_step(schedule, t)
        x = step.xt_coef * x + step.eps_coef * denoiser(x, t)
    return float(np.mean(np.abs(x) < 0.5))
