"""The identities of the step back when the signal is known (E7 to E14)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpm_np import forward, posterior
from ddpm_np.proof.identities.charts import STEP, STEP_BETWEEN_LEVELS, levels, signal_roots
from ddpm_np.proof.identities.entry import (
    BATCH,
    STACK,
    Sides,
    V,
    at,
    each_step,
    each_T,
    identity,
    steps_in_batch,
    steps_in_stack,
)

# ---- the scalar kernels -------------------------------------------------------------------------


@identity("E10", STEP)
def _psi_2_collected(v: V) -> Sides:
    """1 / (1 - alpha_bar_{t-1}) + alpha_t / beta_t over one denominator:

    (beta_t + alpha_t - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1})).
    """
    expanded = posterior.psi_2_expanded(v.alpha, v.beta, v.one_minus_prev)
    return [expanded, expanded], [
        1 / v.one_minus_prev + v.alpha / v.beta,
        posterior.psi_2_collected(v.alpha, v.beta, v.alpha_bar, v.one_minus_prev),
    ]


@identity("E10", STEP)
def _psi_2_simplified(v: V) -> Sides:
    """... = (1 - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1})), by alpha_t + beta_t = 1."""
    collected = posterior.psi_2_collected(v.alpha, v.beta, v.alpha_bar, v.one_minus_prev)
    return collected, _psi_2(v)


@identity("E11", STEP)
def _variance_from_psi_2(v: V) -> Sides:
    """beta_tilde_t = 1 / psi_2."""
    return _beta_tilde(v), 1 / posterior.psi_2_expanded(v.alpha, v.beta, v.one_minus_prev)


@identity("E9 E12", STEP, x_t=(), x_0=())
def _mean_from_psi_1_and_psi_2(v: V) -> Sides:
    """psi_1 / psi_2 = mean_x0_coef x_0 + mean_xt_coef x_t."""
    return _psi_1(v) / _psi_2(v), _mean_x0_coef(v) * v.x_0 + _mean_xt_coef(v) * v.x_t


@identity("E8", STEP, x_t=(), x_0=())
def _the_left_over_constant(v: V) -> Sides:
    """The exponent at x_{t-1} = 0, minus psi_1^2 / psi_2, is exactly 0."""
    return _exponent(v, 0) - _psi_1(v) ** 2 / _psi_2(v), 0


@identity("E7 E8", STEP, x_prev=(), x_t=(), x_0=())
def _the_completed_square(v: V) -> Sides:
    """exponent = psi_2 (x_{t-1} - psi_1 / psi_2)^2, as polynomials in x_{t-1}, x_t, x_0."""
    return _exponent(v, v.x_prev), _psi_2(v) * (v.x_prev - _psi_1(v) / _psi_2(v)) ** 2


@identity("E12", STEP)
def _the_mean_of_the_mean(v: V) -> Sides:
    """mean_x0_coef + mean_xt_coef sqrt(alpha_bar_t) = sqrt(alpha_bar_{t-1})."""
    return _mean_x0_coef(v) + _mean_xt_coef(v) * np.sqrt(v.alpha_bar), v.p


@identity("E11 E12", STEP)
def _the_variance_of_the_mean(v: V) -> Sides:
    """mean_xt_coef^2 (1 - alpha_bar_t) + beta_tilde_t = 1 - alpha_bar_{t-1}."""
    return _mean_xt_coef(v) ** 2 * v.one_minus + _beta_tilde(v), v.one_minus_prev


@identity("E14", STEP)
def _the_coefficient_of_x_t_collapses(v: V) -> Sides:
    """mean_xt_coef + mean_x0_coef / sqrt(alpha_bar_t) is 1 / sqrt(alpha_t), as are later forms."""
    forms = posterior.mean_xt_coef_expanded, posterior.mean_xt_coef_collected
    left = [
        _mean_xt_coef(v) + _mean_x0_coef(v) / np.sqrt(v.alpha_bar),
        *(form(v.alpha, v.beta, v.alpha_bar, v.alpha_bar_prev) for form in forms),
        posterior.mean_xt_coef_in_eps_form(v.alpha),
    ]
    return left, [1 / v.a] * 4


@identity("E14", STEP_BETWEEN_LEVELS)
def _the_coefficient_of_eps(v: V) -> Sides:
    """-mean_x0_coef sqrt(1 - alpha_bar_t) / sqrt(alpha_bar_t) is

    -beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t)).
    """
    from_x0 = -_mean_x0_coef(v) * v.c / v.q
    from_eps = posterior.mean_eps_coef(v.alpha, v.beta, v.one_minus)
    return [from_x0, from_eps], [-v.beta / (v.a * v.c)] * 2


# ---- the public functions -----------------------------------------------------------------------


@identity("E9 E10", each_step(signal_roots, 2), x_0=(2,), x_t=(2,))
def _psi_1_and_psi_2_looked_up(v: V, t: int) -> Sides:
    """psi_1 and psi_2 are the formulas at alpha_t, beta_t and alpha_bar_{t-1}."""
    looked_up = posterior.psi_1(v.schedule, v.x_0, v.x_t, t), posterior.psi_2(v.schedule, t)
    return looked_up, _psis(v, t, v.x_0, v.x_t)


@identity("E9 E10", each_T(signal_roots, 2), x_0=BATCH, x_t=BATCH, y=STACK)
def _psi_1_and_psi_2_in_batches(v: V, T: int) -> Sides:
    """psi_1 and psi_2 with t for each row, with repeats."""
    t = steps_in_batch(T, 2)
    left = [posterior.psi_1(v.schedule, v.x_0, v.x_t, t), posterior.psi_2(v.schedule, t)]
    right = [*_psis(v, t, v.x_0, v.x_t)]
    for t in steps_in_stack(T, 2):
        left += [posterior.psi_1(v.schedule, v.y, v.y - 1, t), posterior.psi_2(v.schedule, t)]
        right += _psis(v, t, v.y, v.y - 1)
    return left, [side if i % 2 == 0 else side[..., 0] for i, side in enumerate(right)]


@identity("E7 E11 E12", each_step(signal_roots, 2), x_0=(2,), x_t=(2,))
def _mean_and_variance_of_the_posterior(v: V, t: int) -> Sides:
    """posterior_mean_variance is psi_1 / psi_2 and 1 / psi_2."""
    psi_1, psi_2 = _psis(v, t, v.x_0, v.x_t)
    back = posterior.posterior_mean_variance(v.schedule, v.x_0, v.x_t, t)
    return back, [psi_1 / psi_2, 1 / psi_2]


@identity("E7 E11 E12", each_T(signal_roots, 2), x_0=BATCH, x_t=BATCH, y=STACK)
def _the_posterior_in_batches(v: V, T: int) -> Sides:
    """posterior_mean_variance with t for each row, with repeats."""
    left, right = [], []
    batch = [(steps_in_batch(T, 2), v.x_0, v.x_t)]
    for t, x_0, x_t in batch + [(t, v.y, v.y - 1) for t in steps_in_stack(T, 2)]:
        psi_1, psi_2 = _psis(v, t, x_0, x_t)
        left.append(posterior.posterior_mean_variance(v.schedule, x_0, x_t, t))
        right.append([psi_1 / psi_2, 1 / psi_2[..., 0]])
    return left, right


@identity("E7 E11 E12", each_T(signal_roots), x_0=BATCH, x_t=BATCH)
def _the_posterior_at_the_first_step(v: V, T: int) -> Sides:
    """At t = 1 the posterior is the signal itself, with variance 0; also as one row of a batch."""
    alone = posterior.posterior_mean_variance(v.schedule, v.x_0, v.x_t, 1)
    t = steps_in_batch(T)
    mean, variance = posterior.posterior_mean_variance(v.schedule, v.x_0, v.x_t, t)
    first = t == 1
    return [*alone, mean[first], variance[first]], [v.x_0, 0, v.x_0[first], [0] * first.sum()]


@identity("E7", each_step(signal_roots, 2), x_prev=(2,), x_t=(2,), x_0=(2,))
def _Bayes_rule(v: V, t: int) -> Sides:
    """q(x_{t-1}|x_t,x_0) q(x_t|x_0) = q(x_t|x_{t-1}) q(x_{t-1}|x_0).

    The exponents are equal as polynomials, per coordinate, and the products of the variances.
    """
    back = posterior.posterior_mean_variance(v.schedule, v.x_0, v.x_t, t)
    now, before = (forward.q_mean_variance(v.schedule, v.x_0, i) for i in (t, t - 1))
    alpha, beta = v.schedule.between(t - 1, t)
    left = _exponent_of(v.x_prev, *back) + _exponent_of(v.x_t, *now), back[1] * now[1]
    step = _exponent_of(v.x_t, np.sqrt(alpha) * v.x_prev, beta)
    return left, [step + _exponent_of(v.x_prev, *before), beta * before[1]]


@identity("E13", each_step(levels), x_0=(2,), eps=(2,))
def _signal_and_noise_recovered(v: V, t: int) -> Sides:
    """predict_x0 and predict_eps undo q_sample."""
    x_t = forward.q_sample(v.schedule, v.x_0, t, v.eps)
    x_0 = posterior.predict_x0(v.schedule, x_t, t, v.eps)
    return [x_0, posterior.predict_eps(v.schedule, x_t, t, v.x_0)], [v.x_0, v.eps]


@identity("E13", each_T(levels), x_t=BATCH, eps=BATCH, y=STACK)
def _predictions_in_batches(v: V, T: int) -> Sides:
    """predict_x0 is (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t); so is predict_eps."""
    left, right = [], []
    batch = [(steps_in_batch(T), v.x_t, v.eps)]
    for t, x, y in batch + [(t, v.y, v.y - 1) for t in steps_in_stack(T)]:
        p, c = at(v.p, t), at(v.c, t)
        left += [
            predict(v.schedule, x, t, y)
            for predict in (posterior.predict_x0, posterior.predict_eps)
        ]
        right += [(x - c * y) / p, (x - p * y) / c]
    return left, right


@identity("E12 E13 E14", each_step(levels), x=(2,), eps=(2,))
def _the_mean_from_eps(v: V, t: int) -> Sides:
    """posterior_mean_from_eps is the posterior mean at x_0 = predict_x0."""
    x_0 = posterior.predict_x0(v.schedule, v.x, t, v.eps)
    mean, _ = posterior.posterior_mean_variance(v.schedule, x_0, v.x, t)
    return posterior.posterior_mean_from_eps(v.schedule, v.x, t, v.eps), mean


@identity("E14", each_T(levels), x=BATCH, eps=BATCH, y=STACK)
def _the_mean_from_eps_in_batches(v: V, T: int) -> Sides:
    """posterior_mean_from_eps is (x_t - beta_t / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t)."""
    left, right = [], []
    a = [1, *(now / before for before, now in zip(v.p, v.p[1:]))]
    batch = [(steps_in_batch(T), v.x, v.eps)]
    for t, x, eps in batch + [(t, v.y, v.y - 1) for t in steps_in_stack(T)]:
        root = at(a, t)
        left.append(posterior.posterior_mean_from_eps(v.schedule, x, t, eps))
        right.append((x - (1 - root**2) / at(v.c, t) * eps) / root)
    return left, right


def _exponent(v: V, x_prev: Any) -> Any:
    symbols = v.alpha, v.beta, v.alpha_bar_prev, v.alpha_bar
    return posterior.posterior_exponent(x_prev, v.x_t, v.x_0, *symbols)


def _exponent_of(x: Any, mean: Any, variance: Any) -> Any:
    """Minus twice the exponent of N(x; mean, variance)."""
    return (x - mean) ** 2 / variance


def _psi_1(v: V) -> Any:
    from_xt = posterior.psi_1_xt_coef(v.alpha, v.beta)
    return from_xt * v.x_t + posterior.psi_1_x0_coef(v.alpha_bar_prev, v.one_minus_prev) * v.x_0


def _psi_2(v: V) -> Any:
    return posterior.psi_2_simplified(v.beta, v.one_minus, v.one_minus_prev)


def _psis(v: V, t: Any, x_0: Any, x_t: Any) -> list[Any]:
    """psi_1 and psi_2 as printed, from the roots a_t and p_t."""
    a, p = at(v.a, t), at(v.p, t - 1)
    psi_2 = 1 / (1 - p**2) + a**2 / (1 - a**2)
    return [a * x_t / (1 - a**2) + p * x_0 / (1 - p**2), psi_2]


def _beta_tilde(v: V) -> Any:
    return posterior.posterior_variance(v.beta, v.one_minus, v.one_minus_prev)


def _mean_x0_coef(v: V) -> Any:
    return posterior.mean_x0_coef(v.beta, v.alpha_bar_prev, v.one_minus)


def _mean_xt_coef(v: V) -> Any:
    return posterior.mean_xt_coef(v.alpha, v.one_minus, v.one_minus_prev)
