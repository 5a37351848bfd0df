"""The identities of the schedule and of the noising kernels (E1 to E6)."""

from __future__ import annotations

from typing import Any

from ddpm_np import forward
from ddpm_np.proof.identities.charts import BETAS, LEVELS, ROUTES, SIGNAL_ROOTS, SKIP, STEP_ROOTS
from ddpm_np.proof.identities.entry import Sides, V, identity
from ddpm_np.proof.prover import ANY


@identity("E2", BETAS)
def _the_clean_signal(v: V) -> Sides:
    """beta_0 = 0, alpha_0 = alpha_bar_0 = 1, 1 - alpha_bar_0 = 0, beta_tilde_0 = 0."""
    s = v.schedule
    return [s.beta[0], s.alpha[0], s.alpha_bar[0], s.one_minus_alpha_bar[0], s.beta_tilde[0]], [0, 1, 1, 0, 0]


@identity("E2", BETAS, 1, 2, 3)
def _tables_of_a_schedule(v: V, t: int) -> Sides:
    """beta as given, alpha_t = 1 - beta_t, alpha_bar_t the product of the alphas, 1 - alpha_bar_t what it says."""
    s, kept = v.schedule, _product_of_alpha(v, 0, t)
    return [s.beta[t], s.alpha[t], s.alpha_bar[t], s.one_minus_alpha_bar[t]], [v.beta[t - 1], 1 - v.beta[t - 1], kept, 1 - kept]


@identity("E2 E11", BETAS, 1, 2, 3)
def _table_of_beta_tilde(v: V, t: int) -> Sides:
    """beta_tilde_t (1 - alpha_bar_t) = beta_t (1 - alpha_bar_{t-1})."""
    s = v.schedule
    return s.beta_tilde[t] * s.one_minus_alpha_bar[t], s.beta[t] * s.one_minus_alpha_bar[t - 1]


@identity("E4", BETAS, *ROUTES)
def _several_steps_as_one(v: V, route: tuple[int, int]) -> Sides:
    """alpha_{t|s} is the product of the alphas between, beta_{t|s} = 1 - alpha_{t|s}."""
    kept = _product_of_alpha(v, *route)
    return v.schedule.between(*route), [kept, 1 - kept]


@identity("E4", BETAS, (0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3))
def _skipping_composes(v: V, route: tuple[int, int, int]) -> Sides:
    """alpha_{t|s} alpha_{s|r} = alpha_{t|r}; alpha_{t|s} beta_{s|r} + beta_{t|s} = beta_{t|r}."""
    r, s, t = route
    (alpha_1, beta_1), (alpha_2, beta_2) = v.schedule.between(r, s), v.schedule.between(s, t)
    return [alpha_2 * alpha_1, alpha_2 * beta_1 + beta_2], v.schedule.between(r, t)


@identity("E1", STEP_ROOTS, 1, 2, 3, x=ANY, eps=ANY)
def _one_noising_step(v: V, t: int) -> Sides:
    """q_step is sqrt(alpha_t) x_{t-1} + sqrt(beta_t) eps."""
    return forward.q_step(v.schedule, [v.x], t, [v.eps]), v.a[t] * v.x + v.b[t] * v.eps


@identity("E6", LEVELS, 1, 2, 3, x_0=ANY, eps=ANY)
def _all_steps_at_once(v: V, t: int) -> Sides:
    """q_sample is sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps."""
    return forward.q_sample(v.schedule, [v.x_0], t, [v.eps]), v.p[t] * v.x_0 + v.c[t] * v.eps


@identity("E6", SIGNAL_ROOTS, 1, 2, 3, x_0=ANY)
def _mean_and_variance_from_the_signal(v: V, t: int) -> Sides:
    """q_mean_variance is sqrt(alpha_bar_t) x_0 and 1 - alpha_bar_t."""
    return forward.q_mean_variance(v.schedule, [v.x_0], t), [v.p[t] * v.x_0, 1 - v.p[t] ** 2]


@identity("E4 E6", LEVELS, (0, 1), (0, 2), (0, 3), x=ANY, eps=ANY)
def _skipping_from_the_signal(v: V, route: tuple[int, int]) -> Sides:
    """q_skip from 0 is q_sample."""
    return forward.q_skip(v.schedule, [v.x], *route, [v.eps]), forward.q_sample(v.schedule, [v.x], route[1], [v.eps])


@identity("E4 E1", STEP_ROOTS, 2, 3, x=ANY, eps=ANY)
def _skipping_one_step(v: V, t: int) -> Sides:
    """q_skip from t - 1 is q_step."""
    return forward.q_skip(v.schedule, [v.x], t - 1, t, [v.eps]), forward.q_step(v.schedule, [v.x], t, [v.eps])


@identity("E4", SKIP, (1, 3), x=ANY, eps=ANY)
def _skipping(v: V, route: tuple[int, int]) -> Sides:
    """q_skip is sqrt(alpha_bar_t / alpha_bar_s) x_s + sqrt(1 - alpha_bar_t / alpha_bar_s) eps."""
    return forward.q_skip(v.schedule, [v.x], *route, [v.eps]), v.kept * v.x + v.noise * v.eps


@identity("E3", BETAS, 1, 2, 3, variance=ANY, covariance=ANY)
def _one_step_of_the_covariance(v: V, t: int) -> Sides:
    """covariance_step is (1 - beta_t) Sigma + beta_t I."""
    b, c = v.beta[t - 1], (1 - v.beta[t - 1]) * v.covariance
    expected = [(1 - b) * v.variance + b, c, c, (1 - b) * 2 * v.variance + b]
    return forward.covariance_step(v.schedule, _matrix(v), t), expected


@identity("E3 E5", BETAS, 1, 2, 3, variance=ANY, covariance=ANY)
def _the_covariance_in_closed_form(v: V, t: int) -> Sides:
    """covariance_step, t times from Sigma_0, is covariance_at, alpha_bar_t Sigma_0 + (1 - alpha_bar_t) I."""
    Sigma = _matrix(v)
    for i in range(1, t + 1):
        Sigma = forward.covariance_step(v.schedule, Sigma, i)
    return Sigma, forward.covariance_at(v.schedule, _matrix(v), t)


@identity("E3 E5", BETAS, 1, 2, 3, variance=ANY, covariance=ANY)
def _the_covariance_induction_step(v: V, t: int) -> Sides:
    """(1 - beta_t) Sigma_{t-1} + beta_t I = Sigma_t, both in closed form."""
    before = forward.covariance_at(v.schedule, _matrix(v), t - 1)
    return forward.covariance_step(v.schedule, before, t), forward.covariance_at(v.schedule, _matrix(v), t)


@identity("E5 E6", LEVELS, variance=ANY, covariance=ANY, eps=ANY)
def _the_clean_signal_stays(v: V) -> Sides:
    """At t = 0: q_sample returns x_0, covariance_at Sigma_0, q_mean_variance x_0 and 0."""
    x_0, Sigma = [v.variance], _matrix(v)
    at_0 = forward.q_sample(v.schedule, x_0, 0, [v.eps]), forward.covariance_at(v.schedule, Sigma, 0)
    return [*at_0, *forward.q_mean_variance(v.schedule, x_0, 0)], [x_0, Sigma, x_0, 0]


def _product_of_alpha(v: V, s: int, t: int) -> Any:
    kept = 1
    for b in v.beta[s:t]:
        kept = kept * (1 - b)
    return kept


def _matrix(v: V) -> list[list[Any]]:
    return [[v.variance, v.covariance], [v.covariance, 2 * v.variance]]
