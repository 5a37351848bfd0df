"""The noising kernels and the covariance that they leave (E1, E3 to E6).

One step, any number of steps, and all steps from the clean signal. Noise is an argument, so every
function is deterministic and also runs on exact numbers. :mod:`ddpm_np.posterior` inverts these
kernels with Bayes' rule.

Arrays are (..., dim), the vector last. t is an int or an integer array that broadcasts over the
axes before the vector. The result has the dtype of the arrays: coefficients are computed in
float64 and rounded once.
"""

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np._checks import (
    Array,
    Number,
    Steps,
    batch_of,
    check_array,
    check_same_dim,
    check_square,
    check_steps,
    per_matrix,
    per_row,
)
from ddpm_np.schedule import Schedule


def q_step(schedule: Schedule, x_prev: ArrayLike, t: Steps, eps: ArrayLike) -> Array:
    """One noising step, a draw from q(x_t | x_{t-1}) (E1).

    q(x_t | x_{t-1}) = N(x_t; sqrt(1 - beta_t) x_{t-1}, beta_t I),
    x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps

    Source: N2 "扩散过程的递归表示"; Ho et al. 2020, eq. 2.

    x_prev, eps: (..., dim), eps standard normal; 1 <= t <= T. Integers and other floats
    become float64. ValueError for shapes that do not fit, TypeError for what is no real number.
    """
    x_prev, eps = check_same_dim(x_prev=x_prev, eps=eps)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(x_prev, eps))
    signal = per_row(np.sqrt(schedule.alpha[t]), x_prev.dtype)  # alpha_t = 1 - beta_t
    noise = per_row(np.sqrt(schedule.beta[t]), eps.dtype)
    return signal * x_prev + noise * eps


def covariance_step(schedule: Schedule, Sigma_prev: ArrayLike, t: Steps) -> Array:
    """The covariance after one more step (E3).

    Sigma_t = (1 - beta_t) Sigma_{t-1} + beta_t I

    From: E1, the noise being independent of x_{t-1}. Source: N2 "从方差的角度理解扩散递归".

    Sigma_prev: (..., dim, dim); 1 <= t <= T. The notes print b = beta_t for the factor of the
    noise there. The factor is sqrt(beta_t), and its square stands in this equation.
    """
    Sigma_prev = check_square("Sigma_prev", Sigma_prev)
    t = check_steps("t", t, 1, of=schedule, batch=Sigma_prev.shape[:-2])
    alpha = per_matrix(schedule.alpha[t], Sigma_prev.dtype)
    beta = per_matrix(schedule.beta[t], Sigma_prev.dtype)
    return alpha * Sigma_prev + beta * _identity(Sigma_prev)


def q_skip(schedule: Schedule, x_s: ArrayLike, s: Steps, t: Steps, eps: ArrayLike) -> Array:
    """From step s to step t > s at once, a draw from q(x_t | x_s) (E4).

    x_t = sqrt(alpha_bar_t / alpha_bar_s) x_s + sqrt(1 - alpha_bar_t / alpha_bar_s) eps

    From: E1 applied t - s times; independent normal noises add up to one normal noise.
    Source: N2 "通过链式推导实现状态跨越".

    0 <= s < t <= T. For s = t - 1 this is :func:`q_step`, for s = 0 it is :func:`q_sample`, bit
    for bit.
    """
    x_s, eps = check_same_dim(x_s=x_s, eps=eps)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(x_s, eps))
    s = check_steps("s", s, 0, schedule.T - 1, batch=batch_of(x_s, eps))
    alpha_ts, beta_ts = schedule.between(s, t)  # alpha_bar_t / alpha_bar_s and 1 - that
    signal = per_row(np.sqrt(alpha_ts), x_s.dtype)
    noise = per_row(np.sqrt(beta_ts), eps.dtype)
    return signal * x_s + noise * eps


def covariance_at(schedule: Schedule, Sigma_0: ArrayLike, t: Steps) -> Array:
    """The covariance at step t (E5).

    Sigma_t = alpha_bar_t Sigma_0 + (1 - alpha_bar_t) I

    From: E3, t times. Source: N2 "通过链式推导实现状态跨越".

    Sigma_0: (..., dim, dim); 0 <= t <= T. The eigenvectors stay, and each eigenvalue moves to 1
    as 1 + alpha_bar_t (lambda - 1).
    """
    Sigma_0 = check_square("Sigma_0", Sigma_0)
    t = check_steps("t", t, 0, of=schedule, batch=Sigma_0.shape[:-2])
    alpha_bar = per_matrix(schedule.alpha_bar[t], Sigma_0.dtype)
    one_minus_alpha_bar = per_matrix(schedule.one_minus_alpha_bar[t], Sigma_0.dtype)
    return alpha_bar * Sigma_0 + one_minus_alpha_bar * _identity(Sigma_0)


def q_sample(schedule: Schedule, x_0: ArrayLike, t: Steps, eps: ArrayLike) -> Array:
    """The noised signal at any step at once, a draw from q(x_t | x_0) (E6).

    x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps

    From: E4 with s = 0.
    Source: N2 "通过链式推导实现状态跨越"; N3 "Reparameterization"; Ho et al. 2020, eq. 4.

    x_0, eps: (..., dim); 0 <= t <= T; at t = 0 it returns x_0.

    >>> q_sample(Schedule.from_beta([0.36]), [1.0], 1, [1.0])
    array([1.4])
    """
    x_0, eps = check_same_dim(x_0=x_0, eps=eps)
    t = check_steps("t", t, 0, of=schedule, batch=batch_of(x_0, eps))
    signal = per_row(np.sqrt(schedule.alpha_bar[t]), x_0.dtype)
    noise = per_row(np.sqrt(schedule.one_minus_alpha_bar[t]), eps.dtype)
    return signal * x_0 + noise * eps


def q_mean_variance(schedule: Schedule, x_0: ArrayLike, t: Steps) -> tuple[Array, Number]:
    """Mean and variance of q(x_t | x_0) (E6).

    q(x_t | x_0) = N(x_t; sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I)

    Source as for :func:`q_sample`. Returns the mean (..., dim) and the variance of each
    coordinate, float64: a number, or for an array t of its shape with an axis of length 1 behind,
    so that it broadcasts against the mean.
    """
    x_0 = check_array("x_0", x_0)
    t = check_steps("t", t, 0, of=schedule, batch=x_0.shape[:-1])
    mean = per_row(np.sqrt(schedule.alpha_bar[t]), x_0.dtype) * x_0
    return mean, per_row(schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar.dtype)


def _identity(Sigma: Array) -> Array:
    return np.eye(Sigma.shape[-1], dtype=int).astype(Sigma.dtype)
