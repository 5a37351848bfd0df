"""The identities of the forms of a prediction, and the weights that relate their losses.

They belong to E13, E15 and E24.
"""

from __future__ import annotations

from typing import Any

from ddpm_np import forward, posterior
from ddpm_np.closed_form import ideal
from ddpm_np.proof.identities.charts import STEP, levels
from ddpm_np.proof.identities.entry import Sides, V, each_step, identity, of


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
