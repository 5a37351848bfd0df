"""The identities of the reverse steps (E17, E18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ddpm_np import forward, posterior, sampling
from ddpm_np.proof.identities.charts import (
    BETA_TILDE,
    BETA_TILDE_SKIPPING,
    DDIM_STEP,
    DDIM_STEP_WITH_STD,
    LEVELS,
    ROUTES,
    STEP,
)
from ddpm_np.proof.identities.entry import Sides, V, identity
from ddpm_np.proof.prover import ANY

ONE_STEP = {(2, 1): BETA_TILDE, (3, 1): BETA_TILDE_SKIPPING}


@identity("E17", ONE_STEP)
def _the_ancestral_step(v: V, _: Any) -> Sides:
    """x_s = (x_t - beta_{t|s} / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_{t|s}) + sqrt(variance) z, for both named variances."""
    coefs = 1 / v.a, -v.b * v.b / (v.a * v.c)
    steps = [sampling.ancestral_step(*v.route, variance=name) for name in ("posterior", "beta")]
    return steps, [*coefs, v.std, *coefs, v.b]


@identity("E11 E17", ONE_STEP)
def _the_variance_of_the_ancestral_step(v: V, _: Any) -> Sides:
    """std^2 (1 - alpha_bar_t) = beta_{t|s} (1 - alpha_bar_s)."""
    return sampling.ancestral_step(*v.route).std ** 2 * v.c**2, v.b**2 * v.c_prev**2


@identity("E14 E17", LEVELS, 1, 2, 3, x=ANY, eps=ANY)
def _a_variance_given_as_a_table(v: V, t: int) -> Sides:
    """The mean is posterior_mean_from_eps, the variance is entry t of the table."""
    table = [v.p[t] ** 2 if i == t else v.p[t] + i for i in range(4)]
    mean = posterior.posterior_mean_from_eps(v.schedule, [v.x], t, [v.eps])
    return _moved(sampling.ancestral_step(v.schedule, t, variance=table), v.x, v.eps), [mean, v.p[t]]


@identity("E13 E17 E18", LEVELS, 1, 2, 3, x=ANY, eps=ANY)
def _the_last_step(v: V, t: int) -> Sides:
    """The step from t to 0, ancestral or DDIM, returns x0_hat, without noise."""
    ancestral = [sampling.ancestral_step(v.schedule, t, 0, variance=name) for name in ("posterior", "beta")]
    ddim = [sampling.ddim_step(v.schedule, t, 0, eta=eta) for eta in (0, 1)]
    x0_hat = posterior.predict_x0(v.schedule, [v.x], t, [v.eps])
    return [_moved(step, v.x, v.eps) for step in ancestral + ddim], [x0_hat, 0] * 4


@identity("E17 E18", ONE_STEP)
def _DDIM_with_eta_1(v: V, _: Any) -> Sides:
    """It is the ancestral step with the posterior variance, term by term."""
    return sampling.ddim_step(*v.route, eta=1), [1 / v.a, -v.b * v.b / (v.a * v.c), v.std]


@identity("E6 E18", LEVELS, *((t, s) for s, t in ROUTES), x_0=ANY, eps=ANY)
def _DDIM_on_the_forward_path(v: V, route: tuple[int, int]) -> Sides:
    """With the true eps and eta = 0, q_sample at t goes to q_sample at s."""
    t, s = route
    at_t, at_s = (forward.q_sample(v.schedule, [v.x_0], i, [v.eps]) for i in (t, s))
    return _moved(sampling.ddim_step(v.schedule, t, s, eta=0), at_t[0], v.eps), [at_s, 0]


@identity("E11 E18", STEP)
def _the_variance_of_DDIM_with_eta_1(v: V) -> Sides:
    """sigma^2 = beta_tilde_t."""
    beta_tilde = posterior.posterior_variance(v.beta, v.one_minus, v.one_minus_prev)
    return sampling.ddim_variance(v.alpha, v.beta, v.one_minus, v.one_minus_prev, 1), beta_tilde


@identity("E18", DDIM_STEP)
def _the_direction_of_DDIM(v: V) -> Sides:
    """The sum of terms that are never negative = 1 - alpha_bar_s - sigma^2."""
    return _ddim(sampling.ddim_direction, v), v.one_minus_prev - _ddim(sampling.ddim_variance, v)


@identity("E18", DDIM_STEP)
def _the_coefficient_of_eps_in_DDIM(v: V) -> Sides:
    """The form without cancellation = sqrt(1 - alpha_bar_s - sigma^2) - sqrt((1 - alpha_bar_t) / alpha_{t|s})."""
    return _ddim(sampling.ddim_eps_coef, v), v.near - v.far


@identity("E6 E18", DDIM_STEP)
def _DDIM_keeps_the_marginals(v: V) -> Sides:
    """For every eta, (xt_coef sqrt(1 - alpha_bar_t) + eps_coef)^2 + sigma^2 = 1 - alpha_bar_s."""
    noise = posterior.mean_xt_coef_in_eps_form(v.alpha) * np.sqrt(v.one_minus) + _ddim(sampling.ddim_eps_coef, v)
    return noise**2 + _ddim(sampling.ddim_variance, v), v.one_minus_prev


@identity("E18", DDIM_STEP_WITH_STD)
def _DDIM_with_any_eta(v: V) -> Sides:
    """1 / sqrt(alpha_{t|s}), sqrt(1 - alpha_bar_s - sigma^2) - sqrt((1 - alpha_bar_t) / alpha_{t|s}), sigma."""
    return sampling.ddim_step(v.schedule, 2, 1, eta=v.eta), [v.g, v.near - v.far, v.std]


def _moved(step: sampling.ReverseStep, x: Any, eps: Any) -> list[Any]:
    """Where the step leads without fresh noise, and the standard deviation of that."""
    return [step.xt_coef * x + step.eps_coef * eps, step.std]


def _ddim(kernel: Callable[..., Any], v: V) -> Any:
    return kernel(v.alpha, v.beta, v.one_minus, v.one_minus_prev, v.eta)
