"""From noise to signals: one reverse step's coefficients, then the loops (E17, E18).

Fourth room of the derivation. A denoiser is any callable ``(x_t, t) -> eps_hat``: the network, the ideal denoiser, or yours; it
gets x_t of shape (n, dim) and t as an int. A reverse step goes from t to any s < t, and is linear in x_t, eps_hat and z,
which is fresh noise:

    x_s = xt_coef x_t + eps_coef eps_hat + std z.

A skipped step treats s..t as one step of the chain, with alpha_{t|s} = alpha_bar_t / alpha_bar_s and beta_{t|s} = 1 - alpha_{t|s}
in the place of alpha_t and beta_t (E4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import Array, count, fraction, generator, real_array
from ddpm_np._checks import steps as checked_steps
from ddpm_np.learning.random_numbers import fill_normal
from ddpm_np.posterior import mean_eps_coef, mean_xt_coef_in_eps_form, posterior_variance
from ddpm_np.schedule import Schedule

__all__ = [
    "Denoiser", "ReverseStep", "ancestral_sample", "ancestral_step", "ddim_direction", "ddim_eps_coef", "ddim_sample", "ddim_step",
    "ddim_variance", "step_sequence",
]

Denoiser = Callable[[Array, int], Array]
Variance = str | ArrayLike


class ReverseStep(NamedTuple):
    """The three numbers of x_s = xt_coef x_t + eps_coef eps_hat + std z."""

    xt_coef: Any
    eps_coef: Any
    std: Any


def ancestral_step(schedule: Schedule, t: int, s: int | None = None, *, variance: Variance = "posterior") -> ReverseStep:
    """The ancestral step from t to s, by default t - 1 (E17).

    x_s = (x_t - beta_{t|s} / sqrt(1 - alpha_bar_t) eps_hat) / sqrt(alpha_{t|s}) + sqrt(variance) z

    From: E14 for the mean, E11 for the variance. Source: N2 "扩散模型的训练过程"; Ho et al. 2020, algorithm 2.
    Checked by: tests/test_sampling.py.
    variance: "posterior" (beta_tilde), "beta", or an array of length T + 1 used as given at index t. With s = 0 no noise is added
    for a named variance: the last step returns the mean.
    """
    s, t = _span(schedule, s, t)
    alpha, beta = _between(schedule, s, t)
    now, before = schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar[s]
    table = _variance_table(schedule, variance)
    if table is not None:
        value = table[t]
    elif s == 0:
        value = beta - beta  # 0, in the number type of the schedule
    else:
        value = posterior_variance(beta, now, before) if variance == "posterior" else beta
    return ReverseStep(mean_xt_coef_in_eps_form(alpha), mean_eps_coef(alpha, beta, now), np.sqrt(value))


def ddim_variance(alpha_ts: Any, beta_ts: Any, one_minus_alpha_bar_t: Any, one_minus_alpha_bar_s: Any, eta: Any) -> Any:
    """The variance of a DDIM step (E18), sigma^2 = eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t): eta^2 beta_tilde."""
    return eta**2 * posterior_variance(beta_ts, one_minus_alpha_bar_t, one_minus_alpha_bar_s)


def ddim_direction(alpha_ts: Any, beta_ts: Any, one_minus_alpha_bar_t: Any, one_minus_alpha_bar_s: Any, eta: Any) -> Any:
    """1 - alpha_bar_s - sigma^2, the squared weight of the direction that points to x_t (E18).

    As a sum of terms that are never negative:
    (1 - alpha_bar_s) (alpha_{t|s} (1 - alpha_bar_s) + (1 - eta^2) beta_{t|s}) / (1 - alpha_bar_t).
    """
    inner = alpha_ts * one_minus_alpha_bar_s + (1 - eta**2) * beta_ts
    return one_minus_alpha_bar_s * inner / one_minus_alpha_bar_t


def ddim_eps_coef(alpha_ts: Any, beta_ts: Any, one_minus_alpha_bar_t: Any, one_minus_alpha_bar_s: Any, eta: Any) -> Any:
    """sqrt(1 - alpha_bar_s - sigma^2) - sqrt((1 - alpha_bar_t) / alpha_{t|s}), the coefficient of eps_hat in a DDIM step (E18).

    The two roots are nearly equal, so their difference is taken as that of their squares over their sum; the difference of the
    squares is -(beta_{t|s} / alpha_{t|s} + sigma^2), without cancellation.
    """
    numbers = alpha_ts, beta_ts, one_minus_alpha_bar_t, one_minus_alpha_bar_s, eta
    roots = np.sqrt(ddim_direction(*numbers)) + np.sqrt(one_minus_alpha_bar_t / alpha_ts)
    return -(beta_ts / alpha_ts + ddim_variance(*numbers)) / roots


def ddim_step(schedule: Schedule, t: int, s: int | None = None, *, eta: float = 0.0) -> ReverseStep:
    """The DDIM step from t to s, by default t - 1 (E18).

    x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat + sigma z,
    x0_hat = (x_t - sqrt(1 - alpha_bar_t) eps_hat) / sqrt(alpha_bar_t),
    sigma^2 = eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t)

    From: E13, and E6 at s. Source: Song et al. 2021, eq. 12 and 16. Checked by: tests/test_sampling.py.
    eta = 0 is deterministic, eta = 1 is the ancestral step with the posterior variance. At s = 0 it returns x0_hat.
    """
    s, t = _span(schedule, s, t)
    if schedule.beta.dtype != object:
        eta = fraction("eta", eta)
    numbers = *_between(schedule, s, t), schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar[s], eta
    return ReverseStep(mean_xt_coef_in_eps_form(numbers[0]), ddim_eps_coef(*numbers), np.sqrt(ddim_variance(*numbers)))


def step_sequence(schedule: Schedule, steps: int | Sequence[int] | None) -> list[int]:
    """The steps a sampler visits, increasing and ending in T: all of them, a number of them evenly spread, or the given ones."""
    if steps is None:
        return list(range(1, schedule.T + 1))
    if np.ndim(steps) == 0:
        number = count("steps", steps)
        if number > schedule.T:
            raise ValueError(f"steps must be at most T = {schedule.T}, got {number}")
        return [schedule.T * i // number for i in range(1, number + 1)]
    sequence = np.asarray(checked_steps("steps", steps, 1, schedule.T))
    if sequence.ndim != 1 or np.any(np.diff(sequence) <= 0) or sequence[-1] != schedule.T:
        raise ValueError(f"steps must increase and end in T = {schedule.T}, got {sequence.tolist()}")
    return sequence.tolist()


def ancestral_sample(
    denoiser: Denoiser, schedule: Schedule, n: int, dim: int, *, rng: np.random.Generator, variance: Variance = "posterior",
    steps: int | Sequence[int] | None = None, trajectory: bool = False, dtype: DTypeLike | None = None,
) -> Array:
    """n signals by ancestral sampling: x_T ~ N(0, I), then :func:`ancestral_step` down to 0 (E17).

    Source: Ho et al. 2020, algorithm 2. Checked by: tests/test_sampling.py.

    Parameters
    ----------
    denoiser : callable (x_t (n, dim), t int) -> eps_hat (n, dim)
    variance : "posterior", "beta", or an array of length T + 1, used as given at index t (entry 0 is not read)
    steps : None for all T, a number of them, or an increasing sequence that ends in T
    trajectory : also return the way
    dtype : of the samples; by default ``denoiser.dtype`` if it has one, else float64

    Returns
    -------
    (n, dim), or with ``trajectory`` (T' + 1, n, dim) for T' steps, first axis in the order of t: entry 0 is the sample, the last
    entry the initial noise. The same generator state and n give the same bits. With a named variance the last step adds no noise.
    """
    step = partial(ancestral_step, schedule, variance=variance)
    return _sample(step, denoiser, schedule, n, dim, rng, steps, trajectory, dtype)


def ddim_sample(
    denoiser: Denoiser, schedule: Schedule, n: int, dim: int, *, rng: np.random.Generator,
    steps: int | Sequence[int] | None = None, eta: float = 0.0, trajectory: bool = False, dtype: DTypeLike | None = None,
) -> Array:
    """n signals by DDIM: x_T ~ N(0, I), then :func:`ddim_step` down to 0 (E18).

    Source: Song et al. 2021, eq. 12. Checked by: tests/test_sampling.py.
    eta: 0 for the deterministic map, 1 for the ancestral sampler's law; in [0, 1], else ValueError. The rest as for
    :func:`ancestral_sample`.
    """
    eta = fraction("eta", eta)
    return _sample(partial(ddim_step, schedule, eta=eta), denoiser, schedule, n, dim, rng, steps, trajectory, dtype)


def _sample(
    step: Callable[[int, int], ReverseStep], denoiser: Denoiser, schedule: Schedule, n: int, dim: int, rng: np.random.Generator,
    steps: int | Sequence[int] | None, trajectory: bool, dtype: DTypeLike | None,
) -> Array:
    n, dim, rng = count("n", n), count("dim", dim), generator(rng)
    if not callable(denoiser):
        raise TypeError(f"denoiser must be a callable (x_t, t) -> eps_hat, got {type(denoiser).__name__}")
    if getattr(denoiser, "T", schedule.T) != schedule.T:
        raise ValueError(f"denoiser and schedule must have the same T, got {denoiser.T} and {schedule.T}")
    visited = step_sequence(schedule, steps)
    asked = getattr(denoiser, "dtype", np.float64) if dtype is None else dtype
    if asked not in (np.float32, np.float64, "float32", "float64"):
        raise TypeError(f"dtype must be float32 or float64, got {asked}")
    dtype = np.dtype(asked)
    z = np.empty((n, dim), dtype)
    path = np.empty((len(visited) + 1, n, dim), dtype) if trajectory else None
    x = fill_normal(np.empty((n, dim), dtype), rng=rng)
    if path is not None:
        path[-1] = x
    for i, (s, t) in reversed(list(enumerate(zip([0, *visited], visited)))):
        coefficients = np.array(step(t, s))
        if np.abs(coefficients).max() > np.finfo(dtype).max:
            raise ValueError(f"steps must be closer: from {t} to {s} the coefficient {coefficients[0]:.3g} overflows {dtype}")
        xt_coef, eps_coef, std = coefficients.astype(dtype)
        eps_hat = np.asarray(denoiser(x, t))
        if eps_hat.shape != x.shape:
            raise ValueError(f"denoiser must return shape {x.shape}, got {eps_hat.shape}")
        eps_hat = real_array("the denoiser's eps_hat", eps_hat)
        x = xt_coef * x + eps_coef * eps_hat.astype(dtype, copy=False)
        if std > 0:
            x += np.multiply(fill_normal(z, rng=rng), std, out=z)
        if path is not None:
            path[i] = x
    return x if path is None else path


def _variance_table(schedule: Schedule, variance: Variance) -> Array | None:
    """The given table, checked, or None for a variance that is known by name."""
    if isinstance(variance, str):
        if variance not in ("posterior", "beta"):
            raise ValueError(f'variance must be "posterior", "beta" or an array of length T + 1, got "{variance}"')
        return None
    table = real_array("variance", variance, finite=False)
    if table.shape != (schedule.T + 1,):
        raise ValueError(f"variance must have shape ({schedule.T + 1},), one entry for each t from 0, got {table.shape}")
    if table.dtype != object and not np.all(np.isfinite(table[1:]) & (table[1:] >= 0)):
        raise ValueError("variance must be finite and at least 0 for every t from 1")
    return table


def _between(schedule: Schedule, s: int, t: int) -> tuple[Any, Any]:
    """alpha_{t|s} and beta_{t|s}, which no reverse step can do without."""
    alpha, beta = schedule.between(s, t)
    if schedule.beta.dtype != object and alpha < np.finfo(np.float64).tiny:
        raise ValueError(f"steps must be closer: between s = {s} and t = {t} alpha_bar_t / alpha_bar_s underflows")
    return alpha, beta


def _span(schedule: Schedule, s: int | None, t: int) -> tuple[int, int]:
    t = checked_steps("t", t, 1, schedule.T)
    if not isinstance(t, int):
        raise TypeError("t must be a single integer here, got an array")
    s = t - 1 if s is None else checked_steps("s", s, 0, t - 1)
    if not isinstance(s, int):
        raise TypeError("s must be a single integer here, got an array")
    return s, t
