"""Bayes' rule and what follows from it for the step back when the signal is known (E7 to E14)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpm_np import forward, posterior
from ddpm_np.proof.identities.charts import STEP, levels
from ddpm_np.proof.identities.entry import Sides, V, each_step, identity, of

# ---- the scalar kernels -------------------------------------------------------------------------


@identity("E10 E11", STEP)
def _psi_2_three_ways(v: V) -> Sides:
    """1 / (1 - alpha_bar_{t-1}) + alpha_t / beta_t, over one denominator, and simplified by

    alpha_t + beta_t = 1; beta_tilde_t is 1 over each.
    """
    expanded, collected = of(posterior.psi_2_expanded, v), of(posterior.psi_2_collected, v)
    simplified, beta_tilde = of(posterior.psi_2_simplified, v), of(posterior.posterior_variance, v)
    return [expanded, collected, 1 / expanded], [simplified, simplified, beta_tilde]


@identity("E8", STEP, x_t=(), x_0=())
def _the_left_over_constant(v: V) -> Sides:
    """The exponent at x_{t-1} = 0, minus psi_1^2 / psi_2, is exactly 0."""
    psi_1, psi_2 = _psi_1_and_2(v)
    return of(posterior.posterior_exponent, v, x_prev=0) - psi_1**2 / psi_2, 0


@identity("E7 E8", STEP, x_prev=(), x_t=(), x_0=())
def _the_completed_square(v: V) -> Sides:
    """exponent = psi_2 (x_{t-1} - psi_1 / psi_2)^2, as polynomials in x_{t-1}, x_t, x_0."""
    psi_1, psi_2 = _psi_1_and_2(v)
    return of(posterior.posterior_exponent, v), psi_2 * (v.x_prev - psi_1 / psi_2) ** 2


@identity("E12", STEP)
def _the_mean_of_the_mean(v: V) -> Sides:
    """mean_x0_coef + mean_xt_coef sqrt(alpha_bar_t) = sqrt(alpha_bar_{t-1})."""
    return of(posterior.mean_x0_coef, v) + of(posterior.mean_xt_coef, v) * v.q, v.p


@identity("E11 E12", STEP)
def _the_variance_of_the_mean(v: V) -> Sides:
    """mean_xt_coef^2 (1 - alpha_bar_t) + beta_tilde_t = 1 - alpha_bar_{t-1}."""
    coef, beta_tilde = of(posterior.mean_xt_coef, v), of(posterior.posterior_variance, v)
    return coef**2 * v.one_minus_alpha_bar_t + beta_tilde, v.one_minus_alpha_bar_prev


@identity("E14", STEP)
def _the_coefficient_of_x_t_collapses(v: V) -> Sides:
    """mean_xt_coef + mean_x0_coef / sqrt(alpha_bar_t) is 1 / sqrt(alpha_t), as are later forms."""
    forms = (
        posterior.mean_xt_coef_expanded,
        posterior.mean_xt_coef_collected,
        posterior.mean_xt_coef_in_eps_form,
    )
    first = of(posterior.mean_xt_coef, v) + of(posterior.mean_x0_coef, v) / v.q
    return [first, *(of(form, v) for form in forms)], [1 / v.a] * 4


@identity("E14", STEP)
def _the_coefficient_of_eps(v: V) -> Sides:
    """-mean_x0_coef sqrt(1 - alpha_bar_t) / sqrt(alpha_bar_t) is

    -beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t)).
    """
    from_x0 = -of(posterior.mean_x0_coef, v) * v.c / v.q
    return [from_x0, of(posterior.mean_eps_coef, v)], [-v.beta_t / (v.a * v.c)] * 2


# ---- the public functions -----------------------------------------------------------------------


@identity("E7", each_step(levels, 2), x_prev=(2,), x_t=(2,), x_0=(2,))
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


@identity("E12 E13 E14", each_step(levels), x=(2,), eps=(2,))
def _the_mean_from_eps(v: V, t: int) -> Sides:
    """posterior_mean_from_eps is the posterior mean at x_0 = predict_x0."""
    x_0 = posterior.predict_x0(v.schedule, v.x, t, v.eps)
    mean, _ = posterior.posterior_mean_variance(v.schedule, x_0, v.x, t)
    return posterior.posterior_mean_from_eps(v.schedule, v.x, t, v.eps), mean


def _exponent_of(x: Any, mean: Any, variance: Any) -> Any:
    """Minus twice the exponent of N(x; mean, variance)."""
    return (x - mean) ** 2 / variance


def _psi_1_and_2(v: V) -> tuple[Any, Any]:
    psi_1 = of(posterior.psi_1_xt_coef, v) * v.x_t + of(posterior.psi_1_x0_coef, v) * v.x_0
    return psi_1, of(posterior.psi_2_simplified, v)
