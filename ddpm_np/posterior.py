"""One step back when the signal is known: psi_1, psi_2, mean, variance, the eps form (E7 to E14).

Bayes' rule inverts the kernels of :mod:`ddpm_np.forward` (E7),

    q(x_{t-1} | x_t, x_0) = q(x_t | x_{t-1}) q(x_{t-1} | x_0) / q(x_t | x_0),

where q(x_t | x_{t-1}, x_0) = q(x_t | x_{t-1}) because the chain is Markov. Minus twice the
exponent is a quadratic in x_{t-1} (E8), psi_2 x_{t-1}^2 - 2 psi_1 x_{t-1} + ..., which is
psi_2 (x_{t-1} - psi_1 / psi_2)^2 with nothing left over. E9 and E10 are psi_1 and psi_2. Mean and
variance follow as psi_1 / psi_2 and 1 / psi_2 (E11, E12).

The functions of scalars are the bare formulas in the symbols of the schedule. They check nothing
and run on floats, arrays and exact numbers alike. The public function that looks the symbols up
follows them: psi_1, psi_2, posterior_mean_variance, posterior_mean_from_eps.
"""

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np._checks import (
    Array,
    Number,
    Steps,
    batch_of,
    check_divisor,
    check_same_dim,
    check_steps,
    per_row,
)
from ddpm_np.schedule import Schedule


def posterior_exponent(
    x_prev: Number,
    x_t: Number,
    x_0: Number,
    alpha_t: Number,
    beta_t: Number,
    alpha_bar_prev: Number,
    alpha_bar_t: Number,
) -> Number:
    """Minus twice the exponent of q(x_{t-1} | x_t, x_0), per coordinate, nothing collected (E8).

    -2 exponent = psi_2 (x_{t-1} - psi_1 / psi_2)^2
                = (x_t - sqrt(alpha_t) x_{t-1})^2 / beta_t
                  + (x_{t-1} - sqrt(alpha_bar_{t-1}) x_0)^2 / (1 - alpha_bar_{t-1})
                  - (x_t - sqrt(alpha_bar_t) x_0)^2 / (1 - alpha_bar_t)

    The notes call it the exponent itself (N2:582), and print Sigma for its inverse in the density
    (N2:579).
    """
    return (
        (x_t - np.sqrt(alpha_t) * x_prev) ** 2 / beta_t
        + (x_prev - np.sqrt(alpha_bar_prev) * x_0) ** 2 / (1 - alpha_bar_prev)
        - (x_t - np.sqrt(alpha_bar_t) * x_0) ** 2 / (1 - alpha_bar_t)
    )


# ---- psi_1 (E9) ---------------------------------------------------------------------------------


def psi_1_xt_coef(alpha_t: Number, beta_t: Number) -> Number:
    """Coefficient of x_t in psi_1 (E9).

    psi_{1,t} = sqrt(alpha_t) / beta_t
    """
    return np.sqrt(alpha_t) / beta_t


def psi_1_x0_coef(alpha_bar_prev: Number, one_minus_alpha_bar_prev: Number) -> Number:
    """Coefficient of x_0 in psi_1 (E9).

    psi_{1,0} = sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_{t-1})
    """
    return np.sqrt(alpha_bar_prev) / one_minus_alpha_bar_prev


def psi_1(schedule: Schedule, x_0: ArrayLike, x_t: ArrayLike, t: Steps) -> Array:
    """Half the coefficient of -x_{t-1} in minus twice the exponent (E9).

    psi_1 = sqrt(alpha_t) / beta_t x_t + sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_{t-1}) x_0

    From: E8. Source: N2 "附录：一次项系数推导".

    x_0, x_t: (..., dim); 2 <= t <= T. At t = 1 it is infinite, because x_0 is known exactly, and
    raises ValueError.
    """
    x_0, x_t = check_same_dim(x_0=x_0, x_t=x_t)
    t = _not_first("psi_1", schedule, t, batch=batch_of(x_0, x_t))
    from_xt = psi_1_xt_coef(schedule.alpha[t], schedule.beta[t])
    from_x0 = psi_1_x0_coef(schedule.alpha_bar[t - 1], schedule.one_minus_alpha_bar[t - 1])
    return per_row(from_xt, x_t.dtype) * x_t + per_row(from_x0, x_0.dtype) * x_0


# ---- psi_2 in three forms (E10) -----------------------------------------------------------------


def psi_2_expanded(alpha_t: Number, beta_t: Number, one_minus_alpha_bar_prev: Number) -> Number:
    """psi_2 as it comes out of the exponent (E10).

    psi_2 = 1 / (1 - alpha_bar_{t-1}) + alpha_t / beta_t
    """
    return 1 / one_minus_alpha_bar_prev + alpha_t / beta_t


def psi_2_collected(
    alpha_t: Number, beta_t: Number, alpha_bar_t: Number, one_minus_alpha_bar_prev: Number
) -> Number:
    """psi_2 over one denominator (E10).

    psi_2 = (beta_t + alpha_t - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1}))
    """
    return (beta_t + alpha_t - alpha_bar_t) / beta_t / one_minus_alpha_bar_prev


def psi_2_simplified(
    beta_t: Number, one_minus_alpha_bar_t: Number, one_minus_alpha_bar_prev: Number
) -> Number:
    """psi_2 after alpha_t + beta_t = 1 (E10). This form is the one in use.

    psi_2 = (1 - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1}))
    """
    return one_minus_alpha_bar_t / beta_t / one_minus_alpha_bar_prev  # their product may underflow


def psi_2(schedule: Schedule, t: Steps) -> Number:
    """The coefficient of x_{t-1}^2 in minus twice the exponent (E10).

    psi_2 = (1 - alpha_bar_t) / (beta_t (1 - alpha_bar_{t-1}))

    From: E8, then :func:`psi_2_expanded` = :func:`psi_2_collected` = :func:`psi_2_simplified`.
    Source: N2 "附录：二次项系数推导".

    2 <= t <= T; float64 in the shape of t. At t = 1 it is infinite and raises ValueError.

    >>> float(psi_2(Schedule.from_beta([0.5, 0.5]), 2))
    3.0
    """
    t = _not_first("psi_2", schedule, t)
    now, before = schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar[t - 1]
    return psi_2_simplified(schedule.beta[t], now, before)


def _not_first(
    name: str, schedule: Schedule, t: Steps, *, batch: tuple[int, ...] | None = None
) -> Steps:
    t = check_steps("t", t, 1, of=schedule, batch=batch)
    if np.any(np.asarray(t) == 1):
        raise ValueError(
            f"t must be in 2..{schedule.T} for {name}, got t = 1, where x_0 is known exactly and "
            f"{name} is infinite"
        )
    return t


# ---- variance 1 / psi_2 and mean psi_1 / psi_2 (E11, E12) ---------------------------------------


def posterior_variance(
    beta_t: Number, one_minus_alpha_bar_t: Number, one_minus_alpha_bar_prev: Number
) -> Number:
    """The variance of the step back (E11).

    beta_tilde_t = 1 / psi_2 = beta_t (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t)
    """
    return beta_t * (one_minus_alpha_bar_prev / one_minus_alpha_bar_t)  # a product may underflow


def mean_x0_coef(beta_t: Number, alpha_bar_prev: Number, one_minus_alpha_bar_t: Number) -> Number:
    """Coefficient of x_0 in the mean (E12).

    c_0 = beta_t sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_t)
    """
    return beta_t * np.sqrt(alpha_bar_prev) / one_minus_alpha_bar_t


def mean_xt_coef(
    alpha_t: Number, one_minus_alpha_bar_t: Number, one_minus_alpha_bar_prev: Number
) -> Number:
    """Coefficient of x_t in the mean (E12).

    c_t = sqrt(alpha_t) (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t)
    """
    return np.sqrt(alpha_t) * one_minus_alpha_bar_prev / one_minus_alpha_bar_t


def posterior_mean_variance(
    schedule: Schedule, x_0: ArrayLike, x_t: ArrayLike, t: Steps
) -> tuple[Array, Number]:
    """Mean and variance of q(x_{t-1} | x_t, x_0) (E11, E12).

    mu_tilde_t = psi_1 / psi_2
               = beta_t sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_t) x_0
                 + sqrt(alpha_t) (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) x_t,
    beta_tilde_t = beta_t (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t)

    From: E9, E10. Source: N2 "逆扩散过程"; Ho et al. 2020, eq. 6 and 7.

    x_0, x_t: (..., dim); 1 <= t <= T. Returns the mean (..., dim) and the variance of each
    coordinate, float64: a number, or for an array t of its shape with an axis of length 1 behind,
    so that it broadcasts against the mean. At t = 1 the mean is x_0 and the variance 0. This is
    not q(x_{t-1} | x_t), for which the notes take it: that kernel does not know x_0 and is wider
    (:func:`ddpm_np.closed_form.reverse.reverse_kernel`).
    """
    x_0, x_t = check_same_dim(x_0=x_0, x_t=x_t)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(x_0, x_t))
    now, before = schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar[t - 1]
    from_x0 = mean_x0_coef(schedule.beta[t], schedule.alpha_bar[t - 1], now)
    from_xt = mean_xt_coef(schedule.alpha[t], now, before)
    mean = per_row(from_x0, x_0.dtype) * x_0 + per_row(from_xt, x_t.dtype) * x_t
    return mean, per_row(schedule.beta_tilde[t], schedule.beta_tilde.dtype)


# ---- the signal from the noise, and the noise from the signal (E13) -----------------------------


def predict_x0(schedule: Schedule, x_t: ArrayLike, t: Steps, eps: ArrayLike) -> Array:
    """The signal, from the noised signal and its noise (E13).

    x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t)

    From: E6, solved for x_0; eps is the noise in x_t, not its prediction as in N2:637.
    Source: N2 "附录：扩散逆过程的数值求解推导"; Ho et al. 2020, eq. 15.

    x_t, eps: (..., dim); 1 <= t <= T. With a predicted eps_hat it is the estimate x0_hat, whose
    error is that of eps_hat times sqrt(1 / alpha_bar_t - 1). ValueError where sqrt(alpha_bar_t)
    is 0 in the dtype of the arrays: no trace of the signal is left.
    """
    x_t, eps = check_same_dim(x_t=x_t, eps=eps)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(x_t, eps))
    root = np.sqrt(schedule.alpha_bar[t])
    noise = per_row(np.sqrt(schedule.one_minus_alpha_bar[t]), x_t.dtype) * eps
    return (x_t - noise) / check_divisor("sqrt(alpha_bar_t)", root, t, x_t.dtype, "x_0")


def predict_eps(schedule: Schedule, x_t: ArrayLike, t: Steps, x_0: ArrayLike) -> Array:
    """The noise, from the noised signal and the signal (E13).

    eps = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t)

    From: E6, solved for eps. Source as for :func:`predict_x0`.

    x_t, x_0: (..., dim); 1 <= t <= T. ValueError where sqrt(1 - alpha_bar_t) is 0 in their dtype.
    """
    x_t, x_0 = check_same_dim(x_t=x_t, x_0=x_0)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(x_t, x_0))
    signal = per_row(np.sqrt(schedule.alpha_bar[t]), x_t.dtype) * x_0
    root = np.sqrt(schedule.one_minus_alpha_bar[t])
    return (x_t - signal) / check_divisor("sqrt(1 - alpha_bar_t)", root, t, x_t.dtype, "eps")


# ---- the mean without the signal (E14) ----------------------------------------------------------


def mean_xt_coef_expanded(
    alpha_t: Number, beta_t: Number, alpha_bar_t: Number, alpha_bar_prev: Number
) -> Number:
    """Coefficient of x_t once E13 replaces x_0, both terms over one denominator (E14).

    f = (beta_t sqrt(alpha_bar_{t-1}) + alpha_t sqrt(alpha_bar_{t-1}) (1 - alpha_bar_{t-1}))
        / (sqrt(alpha_bar_t) (1 - alpha_bar_t))
    """
    root = np.sqrt(alpha_bar_prev)
    numerator = beta_t * root + alpha_t * root * (1 - alpha_bar_prev)
    return numerator / (np.sqrt(alpha_bar_t) * (1 - alpha_bar_t))


def mean_xt_coef_collected(
    alpha_t: Number, beta_t: Number, alpha_bar_t: Number, alpha_bar_prev: Number
) -> Number:
    """The same with alpha_t alpha_bar_{t-1} = alpha_bar_t (E14).

    f = sqrt(alpha_bar_{t-1}) (beta_t + alpha_t - alpha_bar_t)
        / (sqrt(alpha_bar_t) (1 - alpha_bar_t))

    The notes print + alpha_bar_t here (N2:678).
    """
    numerator = np.sqrt(alpha_bar_prev) * (beta_t + alpha_t - alpha_bar_t)
    return numerator / (np.sqrt(alpha_bar_t) * (1 - alpha_bar_t))


def mean_xt_coef_in_eps_form(alpha_t: Number) -> Number:
    """The same with alpha_t + beta_t = 1: it collapses (E14). This form is the one in use.

    f = 1 / sqrt(alpha_t)
    """
    return 1 / np.sqrt(alpha_t)


def mean_eps_coef(alpha_t: Number, beta_t: Number, one_minus_alpha_bar_t: Number) -> Number:
    """Coefficient of eps in the mean (E14).

    g = -beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t))

    N2:666 prints it without the minus.
    """
    return -beta_t / (np.sqrt(alpha_t) * np.sqrt(one_minus_alpha_bar_t))


def posterior_mean_from_eps(schedule: Schedule, x_t: ArrayLike, t: Steps, eps: ArrayLike) -> Array:
    """The posterior mean without x_0 (E14).

    mu_tilde_t = f x_t + g eps = (x_t - beta_t / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t),
    f = 1 / sqrt(alpha_t),
    g = -beta_t / (sqrt(alpha_t) sqrt(1 - alpha_bar_t))

    From: E12 with x_0 from E13; the two terms in x_t add up to f, which :mod:`ddpm_np.proof`
    proves. Source: N2 "扩散逆过程的数值求解"; Ho et al. 2020, eq. 11.

    x_t, eps: (..., dim); 1 <= t <= T. alpha_bar_t may be 0: this form does not divide by it.
    """
    x_t, eps = check_same_dim(x_t=x_t, eps=eps)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(x_t, eps))
    from_xt = mean_xt_coef_in_eps_form(schedule.alpha[t])
    now = schedule.one_minus_alpha_bar[t]
    from_eps = mean_eps_coef(schedule.alpha[t], schedule.beta[t], now)
    return per_row(from_xt, x_t.dtype) * x_t + per_row(from_eps, eps.dtype) * eps
