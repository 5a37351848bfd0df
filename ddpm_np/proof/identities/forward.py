"""The identities of the schedule and of the noising kernels (E1 to E6)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ddpm_np import forward
from ddpm_np.closed_form import covariance
from ddpm_np.proof.identities.charts import TS, betas, levels, routes, segments, signal_roots
from ddpm_np.proof.identities.entry import (
    BATCH,
    STACK,
    Cases,
    Sides,
    V,
    at,
    each_route,
    each_step,
    each_T,
    identity,
    steps_in_batch,
    steps_in_stack,
)
from ddpm_np.proof.prover import Chart


def _single_steps(T: int) -> Chart:
    """kept[t - 1] = sqrt(alpha_t), noise[t - 1] = sqrt(beta_t)."""
    return segments(T, *range(1, T))


def _one_route(T: int, s: int, t: int) -> Chart:
    return segments(T, *sorted({s, t} - {0, T}))


# Every way to cut the route from 0 to T into consecutive routes.
CUTS: Cases = {
    " ".join(map(str, (0, *cuts, T))): (segments(T, *cuts), len(cuts) + 1)
    for T in TS
    for n in range(T)
    for cuts in combinations(range(1, T), n)
}


# ---- E2: the schedule ---------------------------------------------------------------------------


@identity("E2", each_T(betas))
def _the_clean_signal(v: V, T: int) -> Sides:
    """beta_0 = 0, alpha_0 = alpha_bar_0 = 1, 1 - alpha_bar_0 = 0, beta_tilde_0 = 0."""
    s = v.schedule
    entries = [s.beta[0], s.alpha[0], s.alpha_bar[0], s.one_minus_alpha_bar[0], s.beta_tilde[0]]
    return entries, [0, 1, 1, 0, 0]


@identity("E2", each_T(betas))
def _tables_of_a_schedule(v: V, T: int) -> Sides:
    """beta as given, alpha_t = 1 - beta_t, alpha_bar_t the product of the alphas, for all t."""
    s, kept = v.schedule, [_product_of_alpha(v, 0, t) for t in range(1, T + 1)]
    tables = [table[1:] for table in (s.beta, s.alpha, s.alpha_bar, s.one_minus_alpha_bar)]
    return tables, [v.beta, [1 - b for b in v.beta], kept, [1 - k for k in kept]]


@identity("E2 E11", each_T(betas))
def _table_of_beta_tilde(v: V, T: int) -> Sides:
    """beta_tilde_t (1 - alpha_bar_t) = beta_t (1 - alpha_bar_{t-1}), for all t."""
    s = v.schedule
    left = s.beta_tilde[1:] * s.one_minus_alpha_bar[1:]
    return left, s.beta[1:] * s.one_minus_alpha_bar[:-1]


# ---- E4: several steps as one -------------------------------------------------------------------


@identity("E4", each_route(lambda T, s, t: betas(T), TS))
def _several_steps_as_one(v: V, route: tuple[int, int]) -> Sides:
    """alpha_{t|s} is the product of the alphas between, beta_{t|s} = 1 - alpha_{t|s}."""
    kept = _product_of_alpha(v, *route)
    return v.schedule.between(*route), [kept, 1 - kept]


@identity("E4", each_T(betas))
def _all_routes_as_arrays(v: V, T: int) -> Sides:
    """The same for arrays of s and t that hold every route."""
    s, t = map(np.array, zip(*routes(T)))
    kept = [_product_of_alpha(v, *route) for route in routes(T)]
    return v.schedule.between(s, t), [kept, [1 - k for k in kept]]


@identity(
    "E4",
    {f"{r} to {s} to {t}": (betas(TS[-1]), (r, s, t)) for r, s, t in combinations(range(6), 3)},
)
def _skipping_composes(v: V, route: tuple[int, int, int]) -> Sides:
    """alpha_{t|s} alpha_{s|r} = alpha_{t|r}; alpha_{t|s} beta_{s|r} + beta_{t|s} = beta_{t|r}."""
    r, s, t = route
    (alpha_1, beta_1), (alpha_2, beta_2) = v.schedule.between(r, s), v.schedule.between(s, t)
    return [alpha_2 * alpha_1, alpha_2 * beta_1 + beta_2], v.schedule.between(r, t)


# ---- E1, E4, E6: the kernels --------------------------------------------------------------------


@identity("E1", each_step(_single_steps), x=(2,), eps=(2,))
def _one_noising_step(v: V, t: int) -> Sides:
    """q_step is sqrt(alpha_t) x_{t-1} + sqrt(beta_t) eps."""
    expected = v.kept[t - 1] * v.x + v.noise[t - 1] * v.eps
    return forward.q_step(v.schedule, v.x, t, v.eps), expected


@identity("E1", each_T(_single_steps), x=BATCH, eps=BATCH, y=STACK)
def _one_noising_step_in_batches(v: V, T: int) -> Sides:
    """q_step with t for each row, with repeats."""
    t = steps_in_batch(T)
    left = [forward.q_step(v.schedule, v.x, t, v.eps)]
    right = [at(v.kept, t - 1) * v.x + at(v.noise, t - 1) * v.eps]
    for t in steps_in_stack(T):
        left.append(forward.q_step(v.schedule, v.y, t, v.y + 1))
        right.append(at(v.kept, t - 1) * v.y + at(v.noise, t - 1) * (v.y + 1))
    return left, right


@identity("E6", each_step(levels), x_0=(2,), eps=(2,))
def _all_steps_at_once(v: V, t: int) -> Sides:
    """q_sample is sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps."""
    return forward.q_sample(v.schedule, v.x_0, t, v.eps), v.p[t] * v.x_0 + v.c[t] * v.eps


@identity("E6", each_T(levels), x_0=BATCH, eps=BATCH, y=STACK)
def _all_steps_at_once_in_batches(v: V, T: int) -> Sides:
    """q_sample with t for each row, with repeats, and with t = 0."""
    t = steps_in_batch(T, 0)
    left = [forward.q_sample(v.schedule, v.x_0, t, v.eps)]
    right = [at(v.p, t) * v.x_0 + at(v.c, t) * v.eps]
    for t in steps_in_stack(T, 0):
        left.append(forward.q_sample(v.schedule, v.y, t, v.y + 1))
        right.append(at(v.p, t) * v.y + at(v.c, t) * (v.y + 1))
    return left, right


@identity("E6", each_step(signal_roots), x_0=(2,))
def _mean_and_variance_from_the_signal(v: V, t: int) -> Sides:
    """q_mean_variance is sqrt(alpha_bar_t) x_0 and 1 - alpha_bar_t."""
    return forward.q_mean_variance(v.schedule, v.x_0, t), [v.p[t] * v.x_0, 1 - v.p[t] ** 2]


@identity("E6", each_T(signal_roots), x_0=BATCH)
def _mean_and_variance_in_batches(v: V, T: int) -> Sides:
    """q_mean_variance with t for each row, with repeats, and with t = 0."""
    t = steps_in_batch(T, 0)
    mean, variance = forward.q_mean_variance(v.schedule, v.x_0, t)
    return [mean, variance], [at(v.p, t) * v.x_0, (1 - at(v.p, t) ** 2)[..., 0]]


@identity("E4 E6", each_step(levels), x=(2,), eps=(2,))
def _skipping_from_the_signal(v: V, t: int) -> Sides:
    """q_skip from 0 is q_sample."""
    skipped = forward.q_skip(v.schedule, v.x, 0, t, v.eps)
    return skipped, forward.q_sample(v.schedule, v.x, t, v.eps)


@identity("E4 E1", each_step(_single_steps), x=(2,), eps=(2,))
def _skipping_one_step(v: V, t: int) -> Sides:
    """q_skip from t - 1 is q_step."""
    skipped = forward.q_skip(v.schedule, v.x, t - 1, t, v.eps)
    return skipped, forward.q_step(v.schedule, v.x, t, v.eps)


@identity("E4", each_route(_one_route, TS), x=(2,), eps=(2,))
def _skipping(v: V, route: tuple[int, int]) -> Sides:
    """q_skip is sqrt(alpha_bar_t / alpha_bar_s) x_s + sqrt(1 - alpha_bar_t / alpha_bar_s) eps."""
    i = v.ends.index(route[0])
    expected = v.kept[i] * v.x + v.noise[i] * v.eps
    return forward.q_skip(v.schedule, v.x, *route, v.eps), expected


@identity("E4", CUTS, x=lambda n: (n + 1, 2), eps=lambda n: (n + 1, 2))
def _skipping_in_batches(v: V, n: int) -> Sides:
    """q_skip with s and t for each row, the first route twice."""
    i = np.append(np.arange(n), 0)
    ends = np.array(v.ends)
    expected = at(v.kept, i) * v.x + at(v.noise, i) * v.eps
    return forward.q_skip(v.schedule, v.x, ends[i], ends[i + 1], v.eps), expected


# ---- E3, E5: the covariance ---------------------------------------------------------------------


@identity("E3", each_step(betas), Sigma=(2, 2))
def _one_step_of_the_covariance(v: V, t: int) -> Sides:
    """covariance_step is (1 - beta_t) Sigma + beta_t I."""
    b = v.beta[t - 1]
    return forward.covariance_step(v.schedule, v.Sigma, t), (1 - b) * v.Sigma + b * _I()


@identity("E3 E5", each_step(betas), Sigma=(2, 2))
def _the_covariance_in_closed_form(v: V, t: int) -> Sides:
    """covariance_step, t times from Sigma_0, is covariance_at."""
    Sigma = v.Sigma
    for i in range(1, t + 1):
        Sigma = forward.covariance_step(v.schedule, Sigma, i)
    return Sigma, forward.covariance_at(v.schedule, v.Sigma, t)


@identity("E5", each_step(betas), Sigma=(2, 2))
def _the_covariance_at_any_step(v: V, t: int) -> Sides:
    """covariance_at is alpha_bar_t Sigma_0 + (1 - alpha_bar_t) I."""
    kept = _product_of_alpha(v, 0, t)
    return forward.covariance_at(v.schedule, v.Sigma, t), kept * v.Sigma + (1 - kept) * _I()


@identity("E3 E5", each_step(betas), Sigma=(2, 2))
def _the_covariance_induction_step(v: V, t: int) -> Sides:
    """(1 - beta_t) Sigma_{t-1} + beta_t I = Sigma_t, both in closed form."""
    before = forward.covariance_at(v.schedule, v.Sigma, t - 1)
    after = forward.covariance_step(v.schedule, before, t)
    return after, forward.covariance_at(v.schedule, v.Sigma, t)


@identity("E3 E5", each_T(betas), Sigma=(BATCH[0], 2, 2))
def _covariances_in_batches(v: V, T: int) -> Sides:
    """covariance_step and covariance_at with t for each matrix, with repeats."""
    t = steps_in_batch(T)
    b, kept = at(v.beta, t - 1), at([_product_of_alpha(v, 0, i) for i in range(T + 1)], t)
    left = [f(v.schedule, v.Sigma, t) for f in (forward.covariance_step, forward.covariance_at)]
    return left, [a[..., None] * v.Sigma + (1 - a[..., None]) * _I() for a in (1 - b, kept)]


@identity("E5", each_T(betas), values=(3,))
def _the_spectrum_at_any_step(v: V, T: int) -> Sides:
    """spectrum_at is alpha_bar_t lambda + 1 - alpha_bar_t for every t."""
    t = np.arange(T + 1)
    kept = at([_product_of_alpha(v, 0, i) for i in range(T + 1)], t)
    return covariance.spectrum_at(v.schedule, v.values, t), kept * v.values + 1 - kept


@identity("E5 E6", each_T(levels), x_0=(2,), eps=(2,), Sigma=(2, 2))
def _the_clean_signal_stays(v: V, T: int) -> Sides:
    """At t = 0: q_sample returns x_0, covariance_at Sigma_0, q_mean_variance x_0 and 0."""
    s = v.schedule
    at_0 = forward.q_sample(s, v.x_0, 0, v.eps), forward.covariance_at(s, v.Sigma, 0)
    return [*at_0, *forward.q_mean_variance(s, v.x_0, 0)], [v.x_0, v.Sigma, v.x_0, 0]


def _product_of_alpha(v: V, s: int, t: int) -> Any:
    kept = 1
    for b in v.beta[s:t]:
        kept = kept * (1 - b)
    return kept


def _I() -> Any:
    return np.eye(2, dtype=int)
