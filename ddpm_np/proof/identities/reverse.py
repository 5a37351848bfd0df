"""The step back: Bayes' rule (E7 to E14), the forms of a prediction, the reverse steps (E17, E18).

The forms of a prediction, and the weights that relate their losses, belong to E13, E15 and E24.
"""

from typing import Any

import numpy as np

from ddpm_np import forward, posterior, sampling
from ddpm_np.closed_form import ideal
from ddpm_np.proof.identities.charts import STEP, TS, ddim_step, levels, reverse_step
from ddpm_np.proof.identities.entry import Sides, V, each_route, each_step, each_T, identity, of
from ddpm_np.proof.symbols import UNIT

Route = tuple[int, int]

# ---- E7 to E14: Bayes' rule, on the scalar kernels -----------------------------------------------


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


# ---- E7, E12 to E14: the public functions --------------------------------------------------------


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


# ---- E13, E15, E24: the forms of a prediction ----------------------------------------------------


@identity("E13 E24", each_step(levels), x_0=(2,), eps=(2,))
def _eps_x0_v_and_score(v: V, t: int) -> Sides:
    """Each form of a prediction is recovered from the others."""
    s, x_t = v.schedule, forward.q_sample(v.schedule, v.x_0, t, v.eps)
    turned = ideal.v_from_x0_eps(s, v.x_0, t, v.eps)
    back = ideal.eps_from_v(s, x_t, t, turned), ideal.x0_from_v(s, x_t, t, turned)
    from_score = ideal.eps_from_score(s, ideal.score_from_eps(s, v.eps, t), t)
    return [from_score, *back], [v.eps, v.eps, v.x_0]


@identity("E24", each_step(levels), x_0=(2,), eps=(2,))
def _score_of_the_forward_kernel(v: V, t: int) -> Sides:
    """The gradient of log q(x_t|x_0), -(x_t - sqrt(alpha_bar_t) x_0) / (1 - alpha_bar_t), is

    -eps / sqrt(1 - alpha_bar_t).
    """
    mean, variance = forward.q_mean_variance(v.schedule, v.x_0, t)
    gradient = -(forward.q_sample(v.schedule, v.x_0, t, v.eps) - mean) / variance
    return ideal.score_from_eps(v.schedule, v.eps, t), gradient


@identity("E15 E24", each_step(levels), x=(2,), eps=(2,), eps_hat=(2,))
def _losses_of_the_forms(v: V, t: int) -> Sides:
    """L_eps = SNR_t L_x0 = alpha_bar_t L_v = (1 - alpha_bar_t) L_score, per coordinate."""
    losses = [(a - b) ** 2 for a, b in zip(_forms(v, v.eps, t), _forms(v, v.eps_hat, t))]
    signal, noise = v.p[t] ** 2, v.c[t] ** 2
    weighted = [w * loss for w, loss in zip((signal / noise, signal, noise), losses)]
    return weighted, [(v.eps - v.eps_hat) ** 2] * 3


@identity("E14 E15", STEP)
def _weights_in_the_bound(v: V) -> Sides:
    """The weight of L_eps in the bound, (eps coefficient)^2 / (2 beta_tilde_t), is

    beta_t^2 / (2 beta_tilde_t alpha_t (1 - alpha_bar_t)); times SNR_t it is that of L_x0,
    (SNR_{t-1} - SNR_t) / 2.
    """
    beta_tilde = of(posterior.posterior_variance, v)
    weight = of(posterior.mean_eps_coef, v) ** 2 / (2 * beta_tilde)
    snr_prev, snr = v.p * v.p / v.one_minus_alpha_bar_prev, v.q * v.q / v.one_minus_alpha_bar_t
    expected = v.beta_t**2 / (2 * beta_tilde * v.alpha_t * v.one_minus_alpha_bar_t)
    return [weight, weight * snr], [expected, (snr_prev - snr) / 2]


def _forms(v: V, eps: Any, t: int) -> tuple[Any, Any, Any]:
    """A prediction of eps at x_t, as one of x_0, of v and of the score."""
    x_0 = posterior.predict_x0(v.schedule, v.x, t, eps)
    turned = ideal.v_from_x0_eps(v.schedule, x_0, t, eps)
    return x_0, turned, ideal.score_from_eps(v.schedule, eps, t)


# ---- E17, E18: the reverse steps -----------------------------------------------------------------


@identity("E17", each_route(reverse_step, TS, first=1))
def _the_ancestral_step_with_beta(v: V, _: Route) -> Sides:
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
def _DDIM_with_eta_1(v: V, _: Route) -> Sides:
    """It is the ancestral step with the posterior variance, term by term."""
    return sampling.ddim_step(*v.route, eta=1), sampling.ancestral_step(*v.route)


@identity("E6 E18", each_route(lambda T, s, t: levels(T), TS), x_0=(2,), eps=(2,))
def _DDIM_on_the_forward_path(v: V, route: Route) -> Sides:
    """With the true eps and eta = 0, q_sample at t goes to q_sample at s."""
    s, t = route
    at_t, at_s = (forward.q_sample(v.schedule, v.x_0, i, v.eps) for i in (t, s))
    return _moved(sampling.ddim_step(v.schedule, t, s, eta=0), at_t, v.eps), [at_s, 0]


@identity("E6 E18", each_route(ddim_step, TS, first=1))
def _DDIM_keeps_the_marginals(v: V, _: Route) -> Sides:
    """For every eta, (xt_coef sqrt(1 - alpha_bar_t) + eps_coef)^2 + sigma^2 = 1 - alpha_bar_s."""
    step = sampling.ddim_step(*v.route, eta=v.eta)
    return (step.xt_coef * v.c + step.eps_coef) ** 2 + step.std**2, v.c_s**2


def _moved(step: sampling.ReverseStep, x: Any, eps: Any) -> list[Any]:
    """Where the step leads without fresh noise, and the standard deviation of that."""
    return [step.xt_coef * x + step.eps_coef * eps, step.std]
