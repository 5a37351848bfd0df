"""From noise to signals: the reverse steps and the loop that takes them (E17, E18).

A denoiser is any callable ``(x_t, t) -> eps_hat``: a trained network, the ideal denoiser, or
yours. It gets x_t of shape (n, dim) and t as an int. A reverse step goes from t to any s < t and
is linear in x_t, eps_hat and fresh noise z:

    x_s = xt_coef x_t + eps_coef eps_hat + std z.

A step that skips s + 1..t - 1 treats s..t as one step of the chain: alpha_{t|s} =
alpha_bar_t / alpha_bar_s and beta_{t|s} = 1 - alpha_{t|s} take the place of alpha_t and beta_t
(E4). A sampler is a table of such steps; one loop, :func:`_walk`, takes them all.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import (
    Array,
    Number,
    Steps,
    check_array,
    check_choice,
    check_count,
    check_dtype,
    check_fits,
    check_flag,
    check_fraction,
    check_function,
    check_generator,
    check_instance,
    check_prediction,
    check_step,
    check_steps,
)
from ddpm_np.learning.random_numbers import fill_normal
from ddpm_np.learning.threads import one_thread
from ddpm_np.posterior import mean_eps_coef, mean_xt_coef_in_eps_form, posterior_variance
from ddpm_np.schedule import Schedule

Denoiser = Callable[[Array, int], Array]
Variance = str | ArrayLike
Start = tuple[ArrayLike, int]


class ReverseStep(NamedTuple):
    """The three numbers of x_s = xt_coef x_t + eps_coef eps_hat + std z."""

    xt_coef: Number
    eps_coef: Number
    std: Number


Route = Mapping[int, ReverseStep]  # by the t at which each step is taken, from the last t down


# ---- the ancestral sampler --------------------------------------------------------------------


def ancestral_step(
    schedule: Schedule, t: Steps, s: Steps | None = None, *, variance: Variance = "posterior"
) -> ReverseStep:
    """The ancestral step from t to s, by default t - 1 (E17).

    x_s = (x_t - beta_{t|s} / sqrt(1 - alpha_bar_t) eps_hat) / sqrt(alpha_{t|s}) + sigma z,
    sigma^2 = beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t)

    From: E14 for the mean, E11 for the variance.
    Source: N2 "扩散模型的训练过程"; Ho et al. 2020, algorithm 2.

    t, s: ints, or integer arrays that broadcast; then the three numbers are arrays.
    variance: "posterior" (beta_tilde), "beta", or an array of length T + 1 whose entry t is used
    as given. With a named variance the step to s = 0 adds no noise: it returns the mean.
    """
    s, t = _span(schedule, s, t)
    alpha, beta = _between(schedule, s, t)
    now, before = schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar[s]
    table = _variance_table(schedule, variance)
    if table is not None:
        step_variance = table[t]
    elif variance == "posterior":
        step_variance = posterior_variance(beta, now, before)  # 0 at s = 0
    else:
        step_variance = np.where(np.equal(s, 0), beta - beta, beta)[()]
    return ReverseStep(
        xt_coef=mean_xt_coef_in_eps_form(alpha),
        eps_coef=mean_eps_coef(alpha, beta, now),
        std=np.sqrt(step_variance),
    )


def ancestral_steps(
    schedule: Schedule,
    steps: int | Sequence[int] | None = None,
    *,
    variance: Variance = "posterior",
    last: int | None = None,
) -> Route:
    """The :func:`ancestral_step` of a whole route, by t from ``last``, by default T, down (E17).

    steps: as for :func:`step_sequence`.
    """
    return _route(schedule, steps, last, partial(ancestral_step, variance=variance))


def ancestral_sample(
    denoiser: Denoiser,
    schedule: Schedule,
    n: int,
    dim: int,
    *,
    rng: np.random.Generator,
    variance: Variance = "posterior",
    steps: int | Sequence[int] | None = None,
    start: Start | None = None,
    trajectory: bool = False,
    dtype: DTypeLike | None = None,
) -> Array:
    """n signals by ancestral sampling: x_T ~ N(0, I), then :func:`ancestral_step` down to 0 (E17).

    Source: Ho et al. 2020, algorithm 2.

    Parameters
    ----------
    denoiser : callable (x_t (n, dim), t int) -> eps_hat (n, dim); x_t is overwritten afterwards
    schedule : that of the denoiser, if it says for which it was made or trained
    variance : "posterior", "beta", or (T + 1,) variances, entry t used as given at step t
    steps : None for all T, a number of them, or an increasing sequence that ends in T
    start : (x_t (n, dim), t), to begin at step t; by default x_T is drawn
    trajectory : also return the signals at all visited steps
    dtype : of the samples; by default ``denoiser.dtype`` if it has one, else float64

    Returns
    -------
    (n, dim), or with ``trajectory`` (1 + number of steps, n, dim) in the order of t: entry 0 is
    the sample, the last entry the start. Equal generator states and n give equal bits.
    """
    x, t = _start(denoiser, schedule, n, dim, rng, start, dtype)
    route = ancestral_steps(schedule, steps, variance=variance, last=t)
    return _walk(denoiser, route, x, rng, trajectory)


# ---- the DDIM sampler -------------------------------------------------------------------------


def ddim_variance(
    beta_ts: Number, one_minus_alpha_bar_t: Number, one_minus_alpha_bar_s: Number, eta: Number
) -> Number:
    """The variance of a DDIM step (E18).

    sigma^2 = eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t)
    """
    return eta**2 * posterior_variance(beta_ts, one_minus_alpha_bar_t, one_minus_alpha_bar_s)


def ddim_direction(
    alpha_ts: Number,
    beta_ts: Number,
    one_minus_alpha_bar_t: Number,
    one_minus_alpha_bar_s: Number,
    eta: Number,
) -> Number:
    """1 - alpha_bar_s - sigma^2, the squared weight of the direction to x_t (E18).

    1 - alpha_bar_s - sigma^2
    = (1 - alpha_bar_s) (alpha_{t|s} (1 - alpha_bar_s) + (1 - eta^2) beta_{t|s})
      / (1 - alpha_bar_t),
    sigma^2 = eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t)

    All terms of this form are at least 0, so nothing cancels.
    """
    inner = alpha_ts * one_minus_alpha_bar_s + (1 - eta**2) * beta_ts
    return one_minus_alpha_bar_s * (inner / one_minus_alpha_bar_t)  # a product may underflow


def ddim_eps_coef(
    alpha_ts: Number,
    beta_ts: Number,
    one_minus_alpha_bar_t: Number,
    one_minus_alpha_bar_s: Number,
    eta: Number,
) -> Number:
    """The coefficient of eps_hat in a DDIM step (E18).

    eps_coef = sqrt(1 - alpha_bar_s - sigma^2) - sqrt((1 - alpha_bar_t) / alpha_{t|s}),
    sigma^2 = eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t)

    The two roots are nearly equal. Their difference is computed as the difference of their
    squares, -(beta_{t|s} / alpha_{t|s} + sigma^2), over their sum.
    """
    numbers = alpha_ts, beta_ts, one_minus_alpha_bar_t, one_minus_alpha_bar_s, eta
    roots = np.sqrt(ddim_direction(*numbers)) + np.sqrt(one_minus_alpha_bar_t / alpha_ts)
    return -(beta_ts / alpha_ts + ddim_variance(*numbers[1:])) / roots


def ddim_step(
    schedule: Schedule, t: Steps, s: Steps | None = None, *, eta: float = 0.0
) -> ReverseStep:
    """The DDIM step from t to s, by default t - 1 (E18).

    x_s = sqrt(alpha_bar_s) x0_hat + sqrt(1 - alpha_bar_s - sigma^2) eps_hat + sigma z,
    x0_hat = (x_t - sqrt(1 - alpha_bar_t) eps_hat) / sqrt(alpha_bar_t),
    sigma^2 = eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t)

    From: E13, and E6 at s. Source: Song et al. 2021, eq. 12 and 16.

    t, s: ints, or integer arrays that broadcast; then the three numbers are arrays.
    eta = 0 is deterministic; eta = 1 is the ancestral step with the posterior variance. The step
    to s = 0 returns x0_hat.
    """
    s, t = _span(schedule, s, t)
    eta = check_fraction("eta", eta)
    alpha, beta = _between(schedule, s, t)
    numbers = alpha, beta, schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar[s], eta
    return ReverseStep(
        xt_coef=mean_xt_coef_in_eps_form(alpha),
        eps_coef=ddim_eps_coef(*numbers),
        std=np.sqrt(ddim_variance(*numbers[1:])),
    )


def ddim_steps(
    schedule: Schedule,
    steps: int | Sequence[int] | None = None,
    *,
    eta: float = 0.0,
    last: int | None = None,
) -> Route:
    """The :func:`ddim_step` of a whole route, as :func:`ancestral_steps` has them (E18)."""
    return _route(schedule, steps, last, partial(ddim_step, eta=eta))


def ddim_sample(
    denoiser: Denoiser,
    schedule: Schedule,
    n: int,
    dim: int,
    *,
    rng: np.random.Generator,
    steps: int | Sequence[int] | None = None,
    eta: float = 0.0,
    start: Start | None = None,
    trajectory: bool = False,
    dtype: DTypeLike | None = None,
) -> Array:
    """n signals by DDIM: x_T ~ N(0, I), then :func:`ddim_step` down to 0 (E18).

    Source: Song et al. 2021, eq. 12.

    eta: 0 for the deterministic map, 1 for the distribution of the ancestral sampler; outside
    [0, 1] it is a ValueError. The other arguments are those of :func:`ancestral_sample`.
    """
    x, t = _start(denoiser, schedule, n, dim, rng, start, dtype)
    route = ddim_steps(schedule, steps, eta=eta, last=t)
    return _walk(denoiser, route, x, rng, trajectory)


# ---- what both samplers share -----------------------------------------------------------------


def step_sequence(
    schedule: Schedule, steps: int | Sequence[int] | None, *, last: int | None = None
) -> list[int]:
    """The steps that a sampler visits, increasing and ending in ``last``, by default T.

    steps: None for all of them, a number of them evenly spread, or the steps themselves.
    """
    T = check_instance("schedule", schedule, Schedule).T
    last = T if last is None else check_step("last", last, 0, T)
    end = f"T = {last}" if last == schedule.T else f"t = {last}"
    if steps is None:
        return list(range(1, last + 1))
    if isinstance(steps, (int, np.integer)):
        number = check_count("steps", steps)
        if number > last:
            raise ValueError(f"steps must be at most {end}, got {number}")
        return [last * i // number for i in range(1, number + 1)]
    visited = np.asarray(check_steps("steps", steps, 1, of=schedule))
    if visited.ndim != 1 or np.any(np.diff(visited) <= 0) or visited[-1] != last:
        raise ValueError(f"steps must increase and end in {end}, got {visited.tolist()}")
    return visited.tolist()


def _route(
    schedule: Schedule,
    steps: int | Sequence[int] | None,
    last: int | None,
    step: Callable[[Schedule, Array, Array], ReverseStep],
) -> Route:
    visited = np.array([0, *step_sequence(schedule, steps, last=last)])
    s, t = visited[-2::-1], visited[:0:-1]
    return dict(zip(t.tolist(), map(ReverseStep, *step(schedule, t, s)))) if t.size else {}


def _walk(
    denoiser: Denoiser, route: Route, x: Array, rng: np.random.Generator, trajectory: bool
) -> Array:
    """Takes the steps of a route from x on, which is overwritten; the sample, or all of the way."""
    trajectory, work, path = check_flag("trajectory", trajectory), np.empty_like(x), [x]
    with one_thread():
        for t, (xt_coef, eps_coef, std) in zip(route, _rounded(route, x.dtype)):
            # x_s = xt_coef x + eps_coef eps_hat + std z
            np.multiply(_predict(denoiser, x, t), eps_coef, out=work)
            x = np.multiply(x, xt_coef, out=None if trajectory else x)
            x += work
            if std > 0:
                np.multiply(fill_normal(work, rng=rng), std, out=work)
                x += work
            if trajectory:
                path.append(x)
    return np.stack(path[::-1]) if trajectory else x


def _start(
    denoiser: Denoiser,
    schedule: Schedule,
    n: int,
    dim: int,
    rng: np.random.Generator,
    start: Start | None,
    dtype: DTypeLike | None,
) -> tuple[Array, int]:
    """Checks the arguments; the first x_t, and its t."""
    n, dim, rng = check_count("n", n), check_count("dim", dim), check_generator(rng)
    check_function("denoiser", denoiser)
    check_fits("denoiser", denoiser, check_instance("schedule", schedule, Schedule))
    dtype = check_dtype(getattr(denoiser, "dtype", np.float64) if dtype is None else dtype)
    if start is None:
        return fill_normal(np.empty((n, dim), dtype), rng=rng), schedule.T
    if not isinstance(start, tuple) or len(start) != 2:
        raise TypeError("start must be a pair (x_t, t)")
    t = check_step("the t of start", start[1], 0, of=schedule)
    x = check_array("the x_t of start", start[0], ndim=2, dim=dim).astype(dtype)
    if len(x) != n:
        raise ValueError(f"start must hold n = {n} signals, got {len(x)}")
    return x, t


def _predict(denoiser: Denoiser, x: Array, t: int) -> Array:
    """The denoiser's eps_hat, checked, in the dtype of x."""
    return check_prediction(denoiser(x, t), x).astype(x.dtype, copy=False)


def _rounded(route: Route, dtype: np.dtype) -> Array:
    """The coefficients in the dtype of the samples, (steps, 3); refused where they overflow it."""
    steps = np.array(list(route.values())).reshape(-1, 3)
    largest = np.abs(steps).max(axis=0, initial=0)
    if largest[2] > np.finfo(dtype).max:
        raise ValueError(f"variance must have a root that fits into {dtype}")
    if largest.max() > np.finfo(dtype).max:
        raise ValueError(f"steps must be closer: a coefficient overflows {dtype}")
    return steps.astype(dtype)


def _variance_table(schedule: Schedule, variance: Variance) -> Array | None:
    """The given table, checked, or None for a variance that is known by name."""
    if isinstance(variance, str):
        check_choice("variance", variance, "posterior", "beta")
        return None
    if variance is None:
        raise TypeError('variance must be "posterior", "beta" or an array, got None')
    table = check_array("variance", variance, ndim=1, dim=schedule.T + 1, finite=False)
    if table.dtype != object and not np.all(np.isfinite(table[1:]) & (table[1:] >= 0)):
        raise ValueError("variance must be finite and at least 0 for every t from 1")
    return table


def _span(schedule: Schedule, s: Steps | None, t: Steps) -> tuple[Steps, Steps]:
    t = check_steps("t", t, 1, of=schedule)
    return (t - 1 if s is None else check_steps("s", s, 0, of=schedule)), t


def _between(schedule: Schedule, s: Steps, t: Steps) -> tuple[Number, Number]:
    """alpha_{t|s} and beta_{t|s}, refused where alpha_{t|s} underflows."""
    alpha, beta = schedule.between(s, t)
    if schedule.beta.dtype != object and np.any(alpha < np.finfo(np.float64).tiny):
        at = np.argmin(alpha)
        s, t = (np.broadcast_to(v, np.shape(alpha)).flat[at] for v in (s, t))
        raise ValueError(
            f"steps must be closer: between s = {s} and t = {t} alpha_bar_t / alpha_bar_s "
            "underflows"
        )
    return alpha, beta
