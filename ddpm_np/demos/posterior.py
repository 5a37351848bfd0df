"""Completing the square on numbers, and the kernel that does not know x_0 (E8 to E12, E26)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, computed
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.demos import Shown
from ddpm_np.demos.points import chain_gap, reverse_mixture
from ddpm_np.forward import q_mean_variance, q_sample, q_step
from ddpm_np.posterior import posterior_exponent, posterior_mean_variance, psi_1, psi_2
from ddpm_np.schedule import Schedule

SCHEDULE, T_SHOWN = Schedule.from_beta([0.25, 0.55, 0.55]), 2  # one coarse step, from t = 2 to 1
X_0, X_T = 1.0, -0.3  # the clean signal and x_t
POINTS = np.array([[-1.0], [1.0]])  # the data when x_0 is not known
CHAIN_LENGTHS = (1, 2, 3, 5, 10, 20, 50, 100)
# alpha_bar_T of the chains with so many steps, and the noise that gives the points a density.
END, BLUR = 0.005, 0.1


class Drawn(NamedTuple):
    x: Array
    densities: dict[str, Array]  # of x_{t-1}, in the order of Bayes' rule
    wide: Array
    kernels: dict[str, Array]  # of x_{t-1} given x_t, two-point data, one coarse step
    steps: Array
    gaps: Array  # what the best Gaussian reverse step loses, by number of steps


def show(*, rng: np.random.Generator, n: int = 200_000) -> Shown:
    """The numbers. n: chains that are simulated."""
    gaps = np.array([_gap(k) for k in CHAIN_LENGTHS])
    rows = [
        *_square_completed(),
        *_simulated_given_x_0(n, rng),
        *_simulated_given_x_t_alone(n, rng),
        *(
            Measurement(f"nats lost by the best Gaussian chain, T = {k}", gap)
            for k, gap in zip(CHAIN_LENGTHS, gaps)
            if k in (1, 10, 100)
        ),
    ]
    x, wide = np.linspace(-1.2, 2.4, 400), np.linspace(-2.6, 2.6, 400)
    densities, kernels = _densities_given_x_0(x), _kernels_given_x_t_alone(wide)
    return Shown(rows, Drawn(x, densities, wide, kernels, np.array(CHAIN_LENGTHS), gaps))


def _square_completed() -> list[Measurement]:
    """psi_1 and psi_2 read off the exponent: three of its values determine a parabola."""
    t, s = T_SHOWN, SCHEDULE
    one, two = psi_1(s, [X_0], [X_T], t)[0], psi_2(s, t)
    mean, variance = posterior_mean_variance(s, [X_0], [X_T], t)

    def exponent(x: float) -> float:
        symbols = s.alpha[t], s.beta[t], s.alpha_bar[t - 1], s.alpha_bar[t]
        return float(posterior_exponent(x, X_T, X_0, *symbols))

    a = (exponent(1.0) - 2 * exponent(0.0) + exponent(-1.0)) / 2
    b = (exponent(1.0) - exponent(-1.0)) / 2
    return [
        computed("psi_2, from three values of the exponent", a, two),
        computed("psi_1, the same way", -b / 2, one),
        computed("mean psi_1 / psi_2", one / two, mean[0]),
        computed("variance 1 / psi_2 = beta_tilde", 1 / two, variance),
        computed("what the exponent leaves when the square is completed", exponent(one / two), 0.0),
    ]


def _simulated_given_x_0(n: int, rng: np.random.Generator) -> list[Measurement]:
    """Mean and variance of x_{t-1} at the given x_t, by regression on a simulated chain.

    Given x_0, (x_{t-1}, x_t) is Gaussian, so the regression of one on the other is the posterior.
    """
    t, s = T_SHOWN, SCHEDULE
    mean, variance = posterior_mean_variance(s, [X_0], [X_T], t)
    before = q_sample(s, [[X_0]], t - 1, rng.standard_normal((n, 1)))
    after = q_step(s, before, t, rng.standard_normal((n, 1)))
    slope, start = np.polyfit(after[:, 0] - X_T, before[:, 0], 1)
    left = before[:, 0] - start - slope * (after[:, 0] - X_T)
    error = np.sqrt(left.var() / n * (1 + (after.mean() - X_T) ** 2 / after.var()))
    what = f"mean of x_{t - 1} where x_{t} = {X_T}, simulated chain"
    spread, its_error = float(left.var(ddof=2)), float(left.var() * np.sqrt(2 / n))
    return [
        Measurement(what, float(start), float(mean[0]), float(error)),
        Measurement("variance there", spread, float(variance), its_error),
    ]


def _simulated_given_x_t_alone(n: int, rng: np.random.Generator) -> list[Measurement]:
    """Mean and variance of x_{t-1} for two-point data: draws weighted by q(x_t | x_{t-1})."""
    t, s = T_SHOWN, SCHEDULE
    kernel = reverse_mixture(POINTS, s, [X_T], t)
    mean, variance = float(kernel.mean[0]), float(kernel.cov[0, 0])
    before = q_sample(s, rng.choice(POINTS, n), t - 1, rng.standard_normal((n, 1)))
    weights = _likelihood(before)
    squares = (before[:, 0] - mean) ** 2
    return [
        _weighted("two points: mean of x_{t-1} given x_t alone", before[:, 0], weights, mean),
        _weighted("... its variance, above beta_tilde", squares, weights, variance),
    ]


def _weighted(what: str, values: Array, weights: Array, exact: float) -> Measurement:
    share = weights / weights.sum()
    mean = float(share @ values)
    error = float(np.sqrt(np.sum((share * (values - mean)) ** 2)))
    return Measurement(what, mean, exact, error)


def _likelihood(before: Array) -> Array:
    """q(x_t | x_{t-1}) at x_t = X_T, for x_{t-1} in rows."""
    step = Gaussian([0.0], [[SCHEDULE.beta[T_SHOWN]]])
    return np.exp(step.logpdf(X_T - np.sqrt(SCHEDULE.alpha[T_SHOWN]) * before))


def _density(x: Array, mean: Array, variance: float) -> Array:
    return np.exp(Gaussian(mean, [[variance]]).logpdf(x[:, None]))


def _densities_given_x_0(x: Array) -> dict[str, Array]:
    t, s = T_SHOWN, SCHEDULE
    return {
        "before: given $x_0$": _density(x, *q_mean_variance(s, [X_0], t - 1)),
        "likelihood of $x_t$": _likelihood(x[:, None]),
        "after: given $x_0$ and $x_t$": _density(x, *posterior_mean_variance(s, [X_0], [X_T], t)),
    }


def _kernels_given_x_t_alone(x: Array) -> dict[str, Array]:
    kernel = reverse_mixture(POINTS, SCHEDULE, [X_T], T_SHOWN)
    parts = [posterior_mean_variance(SCHEDULE, p, [X_T], T_SHOWN) for p in POINTS]
    return {
        "true kernel": np.exp(kernel.logpdf(x[:, None])),
        "best Gaussian": _density(x, kernel.mean, kernel.cov[0, 0]),
        **{f"if $x_0 = {p[0]:.0f}$": _density(x, *part) for p, part in zip(POINTS, parts)},
    }


def _gap(steps: int) -> float:
    """What the best chain of Gaussian steps loses in nats, with equal betas that end at END."""
    schedule = Schedule.from_beta(np.full(steps, 1 - END ** (1 / steps)))
    return float(chain_gap(POINTS, schedule, blur=BLUR))


def draw(drawn: Drawn) -> style.Figure:
    """One step back with and without x_0, and what chains of Gaussian steps lose."""
    figure, axes = style.new_figure(1, 3, "One step back, with and without $x_0$", panel=(3.3, 2.8))
    known, unknown, chain = axes[0]
    styles = (style.SKY, "-"), (style.ORANGE, "--"), (style.EXACT, "-")
    for (which, p), (colour, dashes) in zip(drawn.densities.items(), styles):
        known.plot(drawn.x, p, dashes, color=colour, label=which)
    known.set_ylim(0, 1.65 * max(p.max() for p in drawn.densities.values()))
    style.label(known, "$x_{t-1}$", "density", "$x_0 = 1$ known: one Gaussian")
    style.legend(known, loc="upper right")
    looks = (
        (style.EXACT, "-", 2.2),
        (style.WRONG, "--", 1.6),
        (style.SKY, ":", 1.6),
        (style.SKY, "-.", 1.4),
    )
    for (which, p), (colour, dashes, width) in zip(drawn.kernels.items(), looks):
        unknown.plot(drawn.wide, p, dashes, color=colour, lw=width, label=which)
    unknown.set_ylim(0, 1.75 * max(p.max() for p in drawn.kernels.values()))
    style.label(unknown, "$x_{t-1}$", "density", "$x_0 = \\pm 1$ unknown: a mixture")
    style.legend(unknown, loc="upper right")
    chain.plot(drawn.steps, drawn.gaps, "o-", color=style.EXACT)
    style.plain_log(chain, "x")
    style.plain_log(chain)
    style.label(
        chain, "number of steps $T$", "nats lost by Gaussian steps", "Small steps lose little"
    )
    return figure
