"""The identities of the Gaussian world: Bayes' rule along one axis, and the functions of it.

They belong to E24 to E27. The kernels are proved on one axis. The public functions are then run on
a Gaussian in two dimensions whose mean, axes and variances are symbols, and must be the kernels on
those axes.
"""

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpm_np import posterior, sampling
from ddpm_np._checks import Array
from ddpm_np.closed_form import ideal, reverse
from ddpm_np.closed_form.gaussian import Axes, Gaussian
from ddpm_np.proof.identities.charts import STEP, circle, ddim_step, levels
from ddpm_np.proof.identities.entry import (
    BATCH,
    Sides,
    V,
    at,
    each_route,
    each_T,
    identity,
    of,
    steps_in_batch,
)
from ddpm_np.proof.prover import Chart, derivative
from ddpm_np.proof.rational import Symbol
from ddpm_np.proof.symbols import POSITIVE, UNIT

ONE_AXIS = STEP.also(variance=POSITIVE)


def _with_distribution(T: int) -> Chart:
    """The levels of a schedule, and a Gaussian in two dimensions on axes turned by any angle."""
    chart = levels(T).also(turn=UNIT, variance_1=POSITIVE, variance_2=POSITIVE)
    return chart.with_arrays(mean=(2,))


def _distribution(v: V) -> Gaussian:
    cos, sin = circle(v.turn)
    axes = np.array([[cos, -sin], [sin, cos]])
    return on_axes(v.mean, axes, [v.variance_1, v.variance_2])


def on_axes(mean: Array, axes: Array, spectrum: list[Symbol]) -> Gaussian:
    """The Gaussian itself; its constructors take floats only, because they look for the axes."""
    dist = object.__new__(Gaussian)
    variances: Array = np.array(spectrum)
    dist.__dict__.update(dim=len(mean), mean=mean, _axes=Axes(axes), levels=variances)
    return dist


# ---- E24, E25: the noise, given x_t -------------------------------------------------------------


@identity("E24 E25", ONE_AXIS, x=(), eps=(), mean=())
def _Bayes_rule_for_the_noise(v: V) -> Sides:
    """p(eps|x) p(x) = p(x|eps) p(eps) along an axis, with mean eps_star and variance floor.

    The exponents are equal as polynomials in x and eps, and the products of the variances.
    """
    kept, noise = v.q**2, v.c**2
    away = v.x - v.q * v.mean
    eps_star = ideal.eps_star_gain(kept, noise, v.variance) * away
    floor = ideal.bayes_floor(kept, noise, v.variance)
    marginal = ideal.marginal_variance(kept, noise, v.variance)
    left = (v.eps - eps_star) ** 2 / floor + away**2 / marginal
    right = (away - v.c * v.eps) ** 2 / (kept * v.variance) + v.eps**2
    return [left, floor * marginal], [right, kept * v.variance]


@identity("E5 E24", ONE_AXIS, x=(), mean=())
def _the_noise_is_a_score(v: V) -> Sides:
    """eps_star = -sqrt(1 - alpha_bar_t) d/dx log q(x), q = N(sqrt(alpha_bar_t) mean, v_t)."""
    marginal = ideal.marginal_variance(v.q**2, v.c**2, v.variance)
    log_density = -((v.x - v.q * v.mean) ** 2) / (2 * marginal)
    eps_star = ideal.eps_star_gain(v.q**2, v.c**2, v.variance) * (v.x - v.q * v.mean)
    return eps_star, -v.c * derivative(log_density, "x")


@identity("E24", each_T(_with_distribution), x=BATCH)
def _the_ideal_denoiser(v: V, T: int) -> Sides:
    """Along each axis it is the gain times the distance from the mean, t for each row and t = T."""
    dist, t = _distribution(v), steps_in_batch(T)
    denoiser = ideal.IdealDenoiser(dist, v.schedule)
    left, right = [], []
    for t in (steps_in_batch(T), np.full(BATCH[0], T)):
        p, c = at(v.p, t), at(v.c, t)
        left.append(denoiser(v.x, t) @ dist.axes)
        right.append(c / (p**2 * dist.spectrum + c**2) * ((v.x - p * v.mean) @ dist.axes))
    return [*left, denoiser(v.x, T)], [*right, right[-1] @ dist.axes.T]


@identity("E25 E26", each_T(_with_distribution))
def _the_optimal_variance(v: V, T: int) -> Sides:
    """optimal_variance is the mean over the axes of the true kernel's variances, for every t."""
    variances = [reverse.reverse_variance(_distribution(v), v.schedule, t) for t in range(1, T + 1)]
    expected = [of_axes.sum() / 2 for of_axes in variances]
    return ideal.optimal_variance(_distribution(v), v.schedule)[1:], expected


@identity("E25 E26", ONE_AXIS)
def _the_best_variance_of_a_reverse_step(v: V) -> Sides:
    """beta_tilde_t + (eps coefficient)^2 floor_t = beta_t v_{t-1} / v_t."""
    beta_tilde = of(posterior.posterior_variance, v)
    floor = ideal.bayes_floor(v.alpha_bar_t, v.one_minus_alpha_bar_t, v.variance)
    best = ideal.variance_from_loss(v.alpha_t, v.beta_t, v.one_minus_alpha_bar_t, beta_tilde, floor)
    return best, reverse.kernel_variance(v.beta_t, *_variances(v))


# ---- E26: the true reverse kernel ---------------------------------------------------------------


@identity("E26", ONE_AXIS, x_s=(), x_t=(), mean=())
def _Bayes_rule_without_the_signal(v: V) -> Sides:
    """q(x_s|x_t) q(x_t) = q(x_t|x_s) q(x_s) along an axis.

    The exponents are equal as polynomials in x_s and x_t, and the products of the variances.
    """
    v_s, v_t = _variances(v)
    m_s, m_t = v.p * v.mean, v.q * v.mean
    mean = m_s + reverse.kernel_gain(v.alpha_t, v_s, v_t) * (v.x_t - m_t)
    variance = reverse.kernel_variance(v.beta_t, v_s, v_t)
    left = (v.x_s - mean) ** 2 / variance + (v.x_t - m_t) ** 2 / v_t
    right = (v.x_t - v.a * v.x_s) ** 2 / v.beta_t + (v.x_s - m_s) ** 2 / v_s
    return [left, variance * v_t], [right, v.beta_t * v_s]


@identity("E26", each_route(lambda T, s, t: _with_distribution(T), (1, 2, 3)), x=(3, 2))
def _the_reverse_kernel(v: V, route: tuple[int, int]) -> Sides:
    """Along each axis, mean m_s + sqrt(alpha_{t|s}) v_s / v_t (x_t - m_t), variance beta v_s / v_t.

    Across the axes the covariance is 0.
    """
    s, t = route
    dist = _distribution(v)
    v_s, v_t = (v.p[i] ** 2 * dist.spectrum + v.c[i] ** 2 for i in route)
    alpha = (v.p[t] / v.p[s]) ** 2
    gain, variance = v.p[t] / v.p[s] * v_s / v_t, (1 - alpha) * v_s / v_t
    mean, cov = reverse.reverse_kernel(dist, v.schedule, v.x, t, s)
    along = reverse.reverse_variance(dist, v.schedule, t, s)
    expected = v.p[s] * v.mean @ dist.axes + gain * ((v.x - v.p[t] * v.mean) @ dist.axes)
    on_axes = [[variance[0], 0], [0, variance[1]]]
    return [mean @ dist.axes, dist.axes.T @ cov @ dist.axes, along], [expected, on_axes, variance]


# ---- E27: a sampler's step ----------------------------------------------------------------------


@identity("E27", ONE_AXIS, a=(), b=(), noise=(), x=(), mean=(), start=(), spread=())
def _the_distribution_of_a_step(v: V) -> Sides:
    """x_s = a x_t + b eps_star(x_t) + noise, x_t ~ N(start, spread).

    Its mean is x_s at the mean of x_t, its variance the squared slope times spread, plus noise.
    """
    kept, noise = v.q**2, v.c**2
    eps_star = ideal.eps_star_gain(kept, noise, v.variance) * (v.x - v.q * v.mean)
    moved = v.a * v.x + v.b * eps_star
    rest = v.a * noise + v.b * v.c
    gain = reverse.step_gain(v.a, rest, kept, noise, v.variance)
    dist = reverse.step_moments(gain, v.a, v.q * v.mean, v.start, v.spread, v.noise)
    slope = derivative(moved, "x")
    return dist, [moved - slope * (v.x - v.start), slope**2 * v.spread + v.noise]


@identity("E17 E18 E27", each_route(lambda T, s, t: levels(T), (1, 2, 3)))
def _what_a_step_keeps_of_the_noise(v: V, route: tuple[int, int]) -> Sides:
    """xt_coef noise + eps_coef sqrt(noise) of both samplers, exactly 0 in the step to s = 0.

    For the ancestral one its square, as its root is none of the chart's.
    """
    s, t = route
    alpha, beta = v.schedule.between(s, t)
    without_noise = v.schedule.beta - v.schedule.beta
    ancestral = sampling.ancestral_step(v.schedule, t, s, variance=without_noise)
    steps = ancestral, sampling.ddim_step(v.schedule, t, s, eta=0)
    of_mean, of_ddim = (step.xt_coef * v.c[t] ** 2 + step.eps_coef * v.c[t] for step in steps)
    squared, direction = (
        sampling.ddim_direction(alpha, beta, v.c[t] ** 2, v.c[s] ** 2, eta) for eta in (1, 0)
    )
    expected = squared * v.c[t] ** 2, reverse.noise_kept(direction, v.c[t] ** 2)
    return [of_mean**2, of_ddim], expected


def _on_a_line(T: int) -> Chart:
    return levels(T).also(variance=POSITIVE).with_arrays(mean=(1,))


def _moments(v: V, name: str, eta: Any, steps: list[Any], added: list[Any]) -> Sides:
    """What sampler_moments says, and the moments found by running the steps T .. 1 on symbols.

    Each step stretches the noise that those before it have added, and adds some.
    """
    dist = on_axes(v.mean, np.eye(1, dtype=int), [v.variance])
    denoiser, start, T = ideal.IdealDenoiser(dist, v.schedule), np.array([v.start]), len(steps)
    x, slope, spread = start, 1, v.spread
    for t, step, more in zip(range(T, 0, -1), steps, added):
        x = step.xt_coef * x + step.eps_coef * denoiser(x, t)
        before, slope = slope, derivative(x[0], "start")
        spread = (slope / before) ** 2 * spread + more
    visited, at_start = list(range(1, T + 1)), np.array([v.spread])
    moments = reverse.sampler_moments(
        dist, v.schedule, visited, start, at_start, name, eta, centre=v.mean
    )
    return moments, [x, [spread]]


@identity("E27", {f"T = {T}": (_on_a_line(T), T) for T in (1, 2, 3)}, start=(), spread=())
def _the_distribution_of_a_sampler(v: V, T: int) -> Sides:
    """With DDIM, eta = 0, all steps together are a linear map of the start, along one axis.

    The moments are those of that map, found by running the steps on symbols.
    """
    steps = [sampling.ddim_step(v.schedule, t, t - 1, eta=0) for t in range(T, 0, -1)]
    return _moments(v, "posterior", 0, steps, [0] * T)


def _two_steps() -> Chart:
    """A DDIM step with any eta and the one to the signal, along one axis."""
    chart = ddim_step(2, 1, 2).also(variance=POSITIVE).with_arrays(mean=(1,))
    return replace(chart, roots=lambda v: [*v.roots, v.c_s / v.p_s])


@identity("E27", _two_steps(), start=(), spread=())
def _the_distribution_of_a_sampler_with_fresh_noise(v: V) -> Sides:
    """With DDIM and any eta the noise of the first of two steps is added to its variance.

    The last step stretches it, and adds none.
    """
    steps = [sampling.ddim_step(v.schedule, t, t - 1, eta=v.eta) for t in (2, 1)]
    return _moments(v, "posterior", v.eta, steps, [steps[0].std ** 2, 0])


def _one_schedule() -> Chart:
    """Two steps whose betas make every root of the ancestral sampler rational; there are few."""
    a, b, p, c = Fraction(8, 17), Fraction(15, 17), Fraction(33, 65), Fraction(56, 65)
    noise = Fraction(1073, 1105)  # sqrt(1 - (a p)^2)

    def build(variance: Symbol) -> SimpleNamespace:
        number = variance.domain.constant
        schedule = variance.domain.schedule([number(c * c), number(b * b)])
        roots = [a, b, p, c, a * p, noise, b * c / noise, a * c * c / noise]
        return SimpleNamespace(variance=variance, schedule=schedule, roots=[*map(number, roots)])

    return Chart({"variance": POSITIVE}, build).with_arrays(mean=(1,))


@identity(
    "E26 E27",
    {"the last step": (_on_a_line(1), 1), "two steps of one schedule": (_one_schedule(), 2)},
    start=(),
    spread=(),
)
def _the_distribution_of_an_ancestral_sampler(v: V, T: int) -> Sides:
    """The noise of each step is added, with each name of a variance, and stretched by the next."""
    s, back = v.schedule, range(T, 0, -1)
    marginal = [s.alpha_bar[t] * v.variance + s.one_minus_alpha_bar[t] for t in range(T + 1)]
    added = {
        "posterior": [*s.beta_tilde[T:1:-1], 0],
        "beta": [*s.beta[T:1:-1], 0],
        "kernel": [s.beta[t] * marginal[t - 1] / marginal[t] for t in back],
    }
    steps = [sampling.ancestral_step(s, t) for t in back]
    moments, expected = zip(*(_moments(v, name, None, steps, of) for name, of in added.items()))
    return moments, expected


def _variances(v: V) -> tuple[Any, Any]:
    """v_s and v_t, the variances of the data at both ends of the step."""
    before = ideal.marginal_variance(v.alpha_bar_prev, v.one_minus_alpha_bar_prev, v.variance)
    return before, ideal.marginal_variance(v.alpha_bar_t, v.one_minus_alpha_bar_t, v.variance)
