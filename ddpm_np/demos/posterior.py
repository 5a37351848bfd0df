"""Completing the square on real numbers, and the kernel that does not know x_0 (E8 to E12, E26)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.demos.points import chain_gap, reverse_mixture
from ddpm_np.demos.table import Row, Shown
from ddpm_np.forward import q_mean_variance, q_sample, q_step
from ddpm_np.posterior import posterior_exponent, posterior_mean_variance, psi_1, psi_2
from ddpm_np.schedule import Schedule

NOTE = 'N2 "逆扩散过程", "附录：一次项系数推导" and "附录：二次项系数推导"'
STEPS = (1, 2, 3, 5, 10, 20, 50, 100)
END, BLUR = 0.005, 0.1  # alpha_bar_T of those chains, and the blur that gives the two points a density


class Drawn(NamedTuple):
    x: Array
    densities: dict[str, Array]  # of x_{t-1}, in the order of Bayes' rule
    wide: Array
    kernels: dict[str, Array]  # of x_{t-1} given x_t, two-point data, one coarse step
    steps: Array
    gaps: Array  # what the best Gaussian reverse step loses, by number of steps


def show(*, rng: np.random.Generator, n: int = 200_000) -> Shown:
    schedule, t, x_0, x_t = Schedule.from_beta([0.25, 0.55, 0.55]), 2, 1.0, -0.3
    one = psi_1(schedule, [x_0], [x_t], t)[0]
    two = psi_2(schedule, t)
    mean, variance = posterior_mean_variance(schedule, [x_0], [x_t], t)
    symbols = schedule.alpha[t], schedule.beta[t], schedule.alpha_bar[t - 1], schedule.alpha_bar[t]

    def quadratic(x: float) -> float:
        return float(posterior_exponent(x, x_t, x_0, *symbols))

    # A parabola is known from three of its values.
    a = (quadratic(1.0) - 2 * quadratic(0.0) + quadratic(-1.0)) / 2
    b = (quadratic(1.0) - quadratic(-1.0)) / 2
    rows = [
        Row("psi_2, from three values of the exponent", a, float(two), 0.0),
        Row("psi_1, the same way", -b / 2, float(one), 0.0),
        Row("mean psi_1 / psi_2", one / two, float(mean[0]), 0.0),
        Row("variance 1 / psi_2 = beta_tilde", 1 / two, float(variance), 0.0),
        Row("what the exponent leaves when the square is completed", quadratic(one / two), 0.0, 0.0),
    ]
    # The chain itself, from x_0 = 1: given x_0, (x_{t-1}, x_t) is Gaussian, so the regression of one on the other is the posterior.
    before = q_sample(schedule, [[x_0]], t - 1, rng.standard_normal((n, 1)))
    after = q_step(schedule, before, t, rng.standard_normal((n, 1)))
    slope, start = np.polyfit(after[:, 0] - x_t, before[:, 0], 1)
    left = before[:, 0] - start - slope * (after[:, 0] - x_t)
    spread = np.sqrt(left.var() / n * (1 + (after.mean() - x_t) ** 2 / after.var()))
    rows += [
        Row(f"mean of x_{t - 1} where x_{t} = {x_t}, simulated chain", float(start), float(mean[0]), float(spread)),
        Row("variance there", float(left.var(ddof=2)), float(variance), float(left.var() * np.sqrt(2 / n))),
    ]
    # Without x_0: two points, +1 and -1. Draws of x_{t-1}, weighted by q(x_t | x_{t-1}).
    points = np.array([[-1.0], [1.0]])
    kernel = reverse_mixture(points, schedule, [x_t], t)
    before = q_sample(schedule, rng.choice(points, n), t - 1, rng.standard_normal((n, 1)))
    step = Gaussian([0.0], [[schedule.beta[t]]])
    weights = np.exp(step.logpdf(x_t - np.sqrt(schedule.alpha[t]) * before))
    rows += [
        _weighted("two points: mean of x_{t-1} given x_t alone", before[:, 0], weights, float(kernel.mean[0])),
        _weighted("... its variance, beyond beta_tilde", (before[:, 0] - kernel.mean[0]) ** 2, weights, float(kernel.cov[0, 0])),
    ]
    gaps = np.array([chain_gap(points, Schedule.from_beta(np.full(k, 1 - END ** (1 / k))), blur=BLUR) for k in STEPS])
    rows += [Row(f"nats lost by the best Gaussian chain, T = {k}", gap) for k, gap in zip(STEPS, gaps) if k in (1, 10, 100)]
    notice = (
        "Knowing x_0, the way back is one Gaussian of variance beta_tilde. Not knowing it, it is a mixture, and the Gaussian that "
        "a sampler uses in its place is wrong for large steps and right for small ones."
    )
    x, wide = np.linspace(-1.2, 2.4, 400)[:, None], np.linspace(-2.6, 2.6, 400)[:, None]
    centre, width = q_mean_variance(schedule, [x_0], t - 1)
    densities = {
        "before: x_{t-1} given x_0": np.exp(Gaussian(centre, [[width]]).logpdf(x)),
        "likelihood of x_t": np.exp(step.logpdf(x_t - np.sqrt(schedule.alpha[t]) * x)),
        "after: given x_0 and x_t": np.exp(Gaussian(mean, [[variance]]).logpdf(x)),
    }
    parts = [posterior_mean_variance(schedule, p, [x_t], t) for p in points]
    kernels = {
        "true kernel": np.exp(kernel.logpdf(wide)), "best Gaussian": np.exp(Gaussian(kernel.mean, kernel.cov).logpdf(wide)),
        **{f"if x_0 = {p[0]:+.0f}": np.exp(Gaussian(m, [[v]]).logpdf(wide)) for p, (m, v) in zip(points, parts)},
    }
    return Shown(rows, notice, Drawn(x[:, 0], densities, wide[:, 0], kernels, np.array(STEPS), gaps))


def _weighted(what: str, values: Array, weights: Array, exact: float) -> Row:
    share = weights / weights.sum()
    mean = float(share @ values)
    return Row(what, mean, exact, float(np.sqrt(np.sum((share * (values - mean)) ** 2))))
