"""The identities of the reverse steps (E17, E18)."""

from __future__ import annotations

from typing import Any

from ddpm_np import forward, posterior, sampling
from ddpm_np.proof.identities.charts import TS, ddim_step, levels, reverse_step
from ddpm_np.proof.identities.entry import Sides, V, each_route, each_step, each_T, identity
from ddpm_np.proof.symbols import UNIT

ROUTE = tuple[int, int]


@identity("E17", each_route(reverse_step, TS, first=1))
def _the_ancestral_step_with_beta(v: V, _: ROUTE) -> Sides:
    """With variance "beta" it is the same step, with the noise sqrt(beta_{t|s}) z."""
    xt_coef, eps_coef, _std = sampling.ancestral_step(*v.route)
    return sampling.ancestral_step(*v.route, variance="beta"), [xt_coef, eps_coef, v.b]


@identity("E14 E17", each_step(levels), x=(2,), eps=(2,))
def _a_variance_given_as_a_table(v: V, t: int) -> Sides:
    """The mean is posterior_mean_from_eps, the variance is entry t of the table."""
    table = [v.p[t] ** 2 if i == t else v.p[t] + i for i in range(v.T + 1)]
    mean = posterior.posterior_mean_from_eps(v.schedule, v.x, t, v.eps)
    step = sampling.ancestral_step(v.schedule, t, variance=table)
    return _moved(step, v.x, v.eps), [mean, v.p[t]]


@identity("E13 E17 E18", each_T(lambda T: levels(T).also(eta=UNIT)), x=(2,), eps=(2,))
def _the_last_step(v: V, T: int) -> Sides:
    """The step from any t to 0, ancestral or DDIM with any eta, returns x0_hat, without noise."""
    left, right = [], []
    for t in range(1, T + 1):
        x0_hat = posterior.predict_x0(v.schedule, v.x, t, v.eps)
        steps = [
            *(sampling.ancestral_step(v.schedule, t, 0, variance=n) for n in ("posterior", "beta")),
            *(sampling.ddim_step(v.schedule, t, 0, eta=eta) for eta in (0, 1, v.eta)),
        ]
        left += [_moved(step, v.x, v.eps) for step in steps]
        right += [[x0_hat, 0]] * len(steps)
    return left, right


@identity("E17 E18", each_route(reverse_step, TS, first=1))
def _DDIM_with_eta_1(v: V, _: ROUTE) -> Sides:
    """It is the ancestral step with the posterior variance, term by term."""
    return sampling.ddim_step(*v.route, eta=1), sampling.ancestral_step(*v.route)


@identity("E6 E18", each_route(lambda T, s, t: levels(T), TS), x_0=(2,), eps=(2,))
def _DDIM_on_the_forward_path(v: V, route: ROUTE) -> Sides:
    """With the true eps and eta = 0, q_sample at t goes to q_sample at s."""
    s, t = route
    at_t, at_s = (forward.q_sample(v.schedule, v.x_0, i, v.eps) for i in (t, s))
    return _moved(sampling.ddim_step(v.schedule, t, s, eta=0), at_t, v.eps), [at_s, 0]


@identity("E6 E18", each_route(ddim_step, TS, first=1))
def _DDIM_keeps_the_marginals(v: V, _: ROUTE) -> Sides:
    """For every eta, (xt_coef sqrt(1 - alpha_bar_t) + eps_coef)^2 + sigma^2 = 1 - alpha_bar_s."""
    step = sampling.ddim_step(*v.route, eta=v.eta)
    return (step.xt_coef * v.c + step.eps_coef) ** 2 + step.std**2, v.c_s**2


def _moved(step: sampling.ReverseStep, x: Any, eps: Any) -> list[Any]:
    """Where the step leads without fresh noise, and the standard deviation of that."""
    return [step.xt_coef * x + step.eps_coef * eps, step.std]
