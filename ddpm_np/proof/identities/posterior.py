"""The identities of the step back when the signal is known (E7 to E14)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpm_np import forward, posterior
from ddpm_np.proof.identities.charts import LEVELS, SIGNAL_ROOTS, STEP, STEP_AT, STEP_BETWEEN_LEVELS
from ddpm_np.proof.identities.entry import Sides, V, identity
from ddpm_np.proof.prover import ANY


@identity("E10", STEP)
def _psi_2_collected(v: V) -> Sides:
    """1 / (1 - alpha_bar_{t-1}) + alpha_t / beta_t = (beta_t + alpha_t - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1}))."""
    expanded = posterior.psi_2_expanded(v.alpha, v.beta, v.one_minus_prev)
    return [expanded, expanded], [
        1 / v.one_minus_prev + v.alpha / v.beta, posterior.psi_2_collected(v.alpha, v.beta, v.alpha_bar, v.one_minus_prev),
    ]


@identity("E10", STEP)
def _psi_2_simplified(v: V) -> Sides:
    """... = (1 - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1})), by alpha_t + beta_t = 1."""
    return posterior.psi_2_collected(v.alpha, v.beta, v.alpha_bar, v.one_minus_prev), _psi_2(v)


@identity("E11", STEP)
def _variance_from_psi_2(v: V) -> Sides:
    """beta_tilde_t = 1 / psi_2."""
    return _beta_tilde(v), 1 / posterior.psi_2_expanded(v.alpha, v.beta, v.one_minus_prev)


@identity("E9 E12", STEP, x_t=ANY, x_0=ANY)
def _mean_from_psi_1_and_psi_2(v: V) -> Sides:
    """psi_1 / psi_2 = mean_x0_coef x_0 + mean_xt_coef x_t."""
    return _psi_1(v) / _psi_2(v), _mean_x0_coef(v) * v.x_0 + _mean_xt_coef(v) * v.x_t


@identity("E8", STEP, x_t=ANY, x_0=ANY)
def _the_left_over_constant(v: V) -> Sides:
    """The exponent at x_{t-1} = 0, minus psi_1^2 / psi_2, is exactly 0."""
    return _exponent(v, 0) - _psi_1(v) ** 2 / _psi_2(v), 0


@identity("E7 E8", STEP, x_prev=ANY, x_t=ANY, x_0=ANY)
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
    """mean_xt_coef + mean_x0_coef / sqrt(alpha_bar_t) = 1 / sqrt(alpha_t), and so are the forms in between."""
    collapsed = posterior.mean_xt_coef_in_eps_form(v.alpha)
    between = [
        form(v.alpha, v.beta, v.alpha_bar, v.p * v.p)
        for form in (posterior.mean_xt_coef_expanded, posterior.mean_xt_coef_collected)
    ]
    return [_mean_xt_coef(v) + _mean_x0_coef(v) / np.sqrt(v.alpha_bar), *between, collapsed], [collapsed] * 3 + [1 / v.a]


@identity("E14", STEP_BETWEEN_LEVELS)
def _the_coefficient_of_eps(v: V) -> Sides:
    """-mean_x0_coef sqrt(1 - alpha_bar_t) / sqrt(alpha_bar_t) = -beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t))."""
    from_x0 = -posterior.mean_x0_coef(v.beta, v.p * v.p, v.one_minus) * v.c / v.q
    return [from_x0, posterior.mean_eps_coef(v.alpha, v.beta, v.one_minus)], [-v.beta / (v.a * v.c)] * 2


@identity("E9 E10", STEP_AT, x_0=ANY, x_t=ANY)
def _psi_1_and_psi_2_looked_up(v: V, t: int) -> Sides:
    """psi_1 and psi_2 are the kernels at alpha_t, beta_t and alpha_bar_{t-1}."""
    psi_1 = v.a * v.x_t / v.beta + v.p * v.x_0 / v.one_minus_prev
    looked_up = posterior.psi_1(v.schedule, [v.x_0], [v.x_t], t), posterior.psi_2(v.schedule, t)
    return looked_up, [psi_1, 1 / v.one_minus_prev + v.alpha / v.beta]


@identity("E11 E12", STEP_AT, x_0=ANY, x_t=ANY)
def _mean_and_variance_of_the_posterior(v: V, t: int) -> Sides:
    """posterior_mean_variance is psi_1 / psi_2 and 1 / psi_2."""
    psi_1, psi_2 = posterior.psi_1(v.schedule, [v.x_0], [v.x_t], t), posterior.psi_2(v.schedule, t)
    return posterior.posterior_mean_variance(v.schedule, [v.x_0], [v.x_t], t), [psi_1 / psi_2, 1 / psi_2]


@identity("E11 E12", SIGNAL_ROOTS, x_0=ANY, x_t=ANY)
def _the_posterior_at_the_first_step(v: V) -> Sides:
    """At t = 1 the posterior is the signal itself, with variance 0."""
    return posterior.posterior_mean_variance(v.schedule, [v.x_0], [v.x_t], 1), [v.x_0, 0]


@identity("E7", STEP_AT, x_prev=ANY, x_t=ANY, x_0=ANY)
def _Bayes_rule(v: V, t: int) -> Sides:
    """q(x_{t-1}|x_t,x_0) q(x_t|x_0) = q(x_t|x_{t-1}) q(x_{t-1}|x_0), exponents as polynomials, and products of the variances."""
    back = posterior.posterior_mean_variance(v.schedule, [v.x_0], [v.x_t], t)
    now, before = (forward.q_mean_variance(v.schedule, [v.x_0], i) for i in (t, t - 1))
    alpha, beta = v.schedule.between(t - 1, t)
    left = _exponent_of(v.x_prev, *back) + _exponent_of(v.x_t, *now), back[1] * now[1]
    return left, [_exponent_of(v.x_t, [np.sqrt(alpha) * v.x_prev], beta) + _exponent_of(v.x_prev, *before), beta * before[1]]


@identity("E13", LEVELS, 1, 2, 3, x_0=ANY, eps=ANY)
def _signal_and_noise_recovered(v: V, t: int) -> Sides:
    """predict_x0 and predict_eps undo q_sample."""
    x_t = forward.q_sample(v.schedule, [v.x_0], t, [v.eps])
    return [posterior.predict_x0(v.schedule, x_t, t, [v.eps]), posterior.predict_eps(v.schedule, x_t, t, [v.x_0])], [v.x_0, v.eps]


@identity("E13 E14", LEVELS, 1, 2, 3, x=ANY, eps=ANY)
def _the_mean_from_eps(v: V, t: int) -> Sides:
    """posterior_mean_from_eps is the posterior mean at x_0 = predict_x0."""
    x_0 = posterior.predict_x0(v.schedule, [v.x], t, [v.eps])
    mean, _ = posterior.posterior_mean_variance(v.schedule, x_0, [v.x], t)
    return posterior.posterior_mean_from_eps(v.schedule, [v.x], t, [v.eps]), mean


def _exponent(v: V, x_prev: Any) -> Any:
    return posterior.posterior_exponent(x_prev, v.x_t, v.x_0, v.alpha, v.beta, v.alpha_bar_prev, v.alpha_bar)


def _exponent_of(x: Any, mean: Any, variance: Any) -> Any:
    """Minus twice the exponent of N(x; mean, variance)."""
    return (x - mean[0]) ** 2 / variance


def _psi_1(v: V) -> Any:
    from_xt, from_x0 = posterior.psi_1_xt_coef(v.alpha, v.beta), posterior.psi_1_x0_coef(v.alpha_bar_prev, v.one_minus_prev)
    return from_xt * v.x_t + from_x0 * v.x_0


def _psi_2(v: V) -> Any:
    return posterior.psi_2_simplified(v.beta, v.one_minus, v.one_minus_prev)


def _beta_tilde(v: V) -> Any:
    return posterior.posterior_variance(v.beta, v.one_minus, v.one_minus_prev)


def _mean_x0_coef(v: V) -> Any:
    return posterior.mean_x0_coef(v.beta, v.alpha_bar_prev, v.one_minus)


def _mean_xt_coef(v: V) -> Any:
    return posterior.mean_xt_coef(v.alpha, v.one_minus, v.one_minus_prev)
