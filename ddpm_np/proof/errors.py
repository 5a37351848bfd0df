"""The worst rounding error of each equation's functions, in units in the last place.

The public functions and kernels run in float64 and in float32 on random schedules, with t as an
int and as an array, T from 1 to 1000. They are compared with :mod:`ddpm_np.proof.reference`, the
formulas as printed in 120-digit decimals.

The unit is the last place of the sum of the magnitudes of a formula's terms: that is what rounding
costs, whatever the terms do to each other. What is allowed is the number of roundings in the code:
each operation rounds once, an entry of a table brings one, a square root halves the error of what
it gets. :mod:`ddpm_np.proof.verify` prints the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ddpm_np import forward, posterior, sampling
from ddpm_np._checks import Array
from ddpm_np.closed_form import ideal
from ddpm_np.proof.reference import Reference, Sum, sigmoid_beta, ulp_error
from ddpm_np.schedule import Schedule

SCHEDULES = 60
DIM = 3


class Draw(NamedTuple):
    """A random schedule, the same in decimals, a route s < t through it, and vectors."""

    schedule: Schedule
    exact: Reference
    s: int
    t: int
    x: Array
    y: Array
    z: Array
    rng: np.random.Generator


class Worst(NamedTuple):
    """The largest error and what is allowed there, in ulp; what is wrong, if anything is."""

    error: float
    allowed: float
    failure: str = ""


Compared = tuple[str, Any, Sum, float]
MEASURES: dict[str, Callable[[Draw], Iterator[Compared]]] = {}


def draws(rng: np.random.Generator) -> Iterator[Draw]:
    """Betas spread evenly over their logits, from 1e-12 to 1 - 1e-6, and every kind of route.

    T is 1, 2, 3 or 10; the last two draws have the usual schedules with T = 1000.
    """
    schedules = []
    for _ in range(SCHEDULES):
        T = int(rng.choice([1, 2, 3, 10]))
        beta = 1 / (1 + np.exp(-rng.uniform(np.log(1e-12), np.log(1e6), T)))
        schedules.append(Schedule.from_beta(beta))
    for schedule in [*schedules, Schedule.linear(1000), Schedule.cosine(1000)]:
        t = int(rng.integers(1, schedule.T + 1))
        x, y, z = rng.standard_normal((3, DIM))
        s = int(rng.integers(0, t))
        yield Draw(schedule, Reference(schedule.beta[1:]), s, t, x, y, z, rng)


def worst_of(measure: Callable[[Draw], Iterator[Compared]], drawn: list[Draw]) -> Worst:
    """The largest error relative to what is allowed. A formula that raises is a failure too."""
    worst = Worst(0.0, 1.0)
    for draw in drawn:
        place = f"for T = {draw.schedule.T}, s = {draw.s}, t = {draw.t}"
        if draw.schedule.T <= 10:
            place += f", beta = {draw.schedule.beta[1:].tolist()}"
        try:
            for name, actual, exact, allowed in measure(draw):
                worst = _worse(worst, name, actual, exact, allowed, place)
        except Exception as problem:
            return Worst(
                float("inf"), worst.allowed, f"{type(problem).__name__}: {problem}, {place}"
            )
        if worst.failure:
            return worst
    return worst


def _worse(worst: Worst, name: str, actual: Any, exact: Sum, allowed: float, place: str) -> Worst:
    error = float(ulp_error(actual, exact.value, scale=exact.scale).max())
    if not error <= allowed:
        why = f"{name} is off by {error:.3g} ulp, {allowed:g} allowed, {place}"
        return Worst(error, allowed, why)
    return Worst(error, allowed) if error / allowed >= worst.error / worst.allowed else worst


# ---- t for each row of a batch, in either dtype -------------------------------------------------


class Row(NamedTuple):
    """A function of (schedule, x, t, y), the same in decimals for one row, and the roundings."""

    name: str
    function: Callable[[Schedule, Array, Any, Array], Array]
    exact: Callable[[Reference, Array, int, Array], Sum]
    allowed: float
    first: int = 1


ROWS: dict[str, list[Row]] = {
    "E1": [Row("q_step", forward.q_step, lambda r, x, t, y: r.q_skip(x, t - 1, t, y), 5)],
    "E6": [Row("q_sample", forward.q_sample, lambda r, x, t, y: r.q_skip(x, 0, t, y), 5)],
    "E9": [
        Row(
            "psi_1",
            lambda s, x, t, y: posterior.psi_1(s, x, y, t),
            lambda r, x, t, y: r.psi_1(x, y, t),
            6,
            2,
        )
    ],
    "E12": [
        Row(
            "the mean of posterior_mean_variance",
            lambda s, x, t, y: posterior.posterior_mean_variance(s, x, y, t)[0],
            lambda r, x, t, y: r.posterior_mean(x, y, t),
            7,
        )
    ],
    "E13": [
        Row("predict_x0", posterior.predict_x0, lambda r, x, t, y: r.predict_x0(x, t, y), 6),
        Row("predict_eps", posterior.predict_eps, lambda r, x, t, y: r.predict_eps(x, t, y), 6),
    ],
    "E14": [
        Row(
            "posterior_mean_from_eps",
            posterior.posterior_mean_from_eps,
            lambda r, x, t, y: r.mean_from_eps(x, t, y),
            7,
        )
    ],
    "E24": [
        Row("v_from_x0_eps", ideal.v_from_x0_eps, lambda r, x, t, y: r.v_from_x0_eps(x, t, y), 5),
        Row(
            "score_from_eps",
            lambda s, x, t, y: ideal.score_from_eps(s, y, t),
            lambda r, x, t, y: r.score_from_eps(y, t),
            4,
        ),
    ],
}


def worst_in_batches(rows: list[Row], dtype: Any, rng: np.random.Generator) -> Worst:
    """The largest error over batches with t for each row: T = 6, and T = 1000 with both ends."""
    worst = Worst(0.0, 1.0)
    mild = 1 / (1 + np.exp(-rng.uniform(-9, 3, 6)))
    for schedule in (Schedule.from_beta(mild), Schedule.linear(1000), Schedule.cosine(1000)):
        exact, T = Reference(schedule.beta[1:]), schedule.T
        for row in rows:
            t = np.array([T, row.first, *rng.integers(row.first, T + 1, 4), T])
            x, y = rng.standard_normal((2, len(t), DIM)).astype(dtype)
            place = f"for T = {T}, t = {t.tolist()}, {np.dtype(dtype)}"
            try:
                actual = row.function(schedule, x, t, y)
                sums = [row.exact(exact, a, int(i), b) for a, i, b in zip(x, t, y)]
                together = Sum(*(np.stack(parts) for parts in zip(*sums)))
                if actual.dtype != dtype:
                    raise TypeError(f"{row.name} returns {actual.dtype}")
                worst = _worse(worst, row.name, actual, together, row.allowed, place)
            except Exception as problem:
                why = f"{type(problem).__name__}: {problem}, {place}"
                return Worst(float("inf"), worst.allowed, why)
            if worst.failure:
                return worst
    return worst


def _measure(equation: str) -> Callable[..., Any]:
    def enter(
        measure: Callable[[Draw], Iterator[Compared]],
    ) -> Callable[[Draw], Iterator[Compared]]:
        MEASURES[equation] = measure
        return measure

    return enter


def _one(value: Any) -> Sum:
    return Sum(value, value)


# ---- one step at a time, in float64: name, what the code gives, the exact sum, the roundings ----


@_measure("E1")
def _(d: Draw) -> Iterator[Compared]:
    yield (
        "q_step",
        forward.q_step(d.schedule, d.x, d.t, d.y),
        d.exact.q_skip(d.x, d.t - 1, d.t, d.y),
        4,
    )


@_measure("E2")
def _(d: Draw) -> Iterator[Compared]:
    for name in ("beta", "alpha", "alpha_bar", "one_minus_alpha_bar", "beta_tilde"):
        yield name, getattr(d.schedule, name), _one(getattr(d.exact, name)), 1
    yield "log_snr", d.schedule.log_snr[d.t], _one(d.exact.log_snr(d.t)), 1


@_measure("E3")
def _(d: Draw) -> Iterator[Compared]:
    Sigma = np.outer(d.x, d.y)
    exact = d.exact.covariance_skip(Sigma, d.t - 1, d.t)
    yield "covariance_step", forward.covariance_step(d.schedule, Sigma, d.t), exact, 3


@_measure("E4")
def _(d: Draw) -> Iterator[Compared]:
    alpha, beta = d.exact.between(d.s, d.t)
    yield "between", d.schedule.between(d.s, d.t), _one([alpha, beta]), 1
    exact = d.exact.q_skip(d.x, d.s, d.t, d.y)
    yield "q_skip", forward.q_skip(d.schedule, d.x, d.s, d.t, d.y), exact, 4


@_measure("E5")
def _(d: Draw) -> Iterator[Compared]:
    Sigma = np.outer(d.x, d.y)
    exact = d.exact.covariance_skip(Sigma, 0, d.t)
    yield "covariance_at", forward.covariance_at(d.schedule, Sigma, d.t), exact, 3


@_measure("E6")
def _(d: Draw) -> Iterator[Compared]:
    yield (
        "q_sample",
        forward.q_sample(d.schedule, d.x, d.t, d.y),
        d.exact.q_skip(d.x, 0, d.t, d.y),
        4,
    )
    mean, variance = forward.q_mean_variance(d.schedule, d.x, d.t)
    yield "the mean of q_mean_variance", mean, d.exact.q_skip(d.x, 0, d.t, 0 * d.y), 3
    yield "the variance of q_mean_variance", variance, _one(d.exact.one_minus_alpha_bar[d.t]), 1


@_measure("E7")
@_measure("E8")
def _(d: Draw) -> Iterator[Compared]:
    before = d.schedule.one_minus_alpha_bar[d.t - 1]
    if d.t > 1 and before > 1e-3:  # it subtracts alpha_bar from 1, as printed
        alpha_bar = d.schedule.alpha_bar
        symbols = d.schedule.alpha[d.t], d.schedule.beta[d.t], alpha_bar[d.t - 1], alpha_bar[d.t]
        exponent = posterior.posterior_exponent(d.z, d.x, d.y, *symbols)
        yield "posterior_exponent", exponent, d.exact.exponent(d.z, d.x, d.y, d.t), 9 + 2 / before


@_measure("E9")
def _(d: Draw) -> Iterator[Compared]:
    if d.t > 1:
        yield "psi_1", posterior.psi_1(d.schedule, d.x, d.y, d.t), d.exact.psi_1(d.x, d.y, d.t), 6


@_measure("E10")
def _(d: Draw) -> Iterator[Compared]:
    if d.t > 1:
        tables = d.schedule.alpha, d.schedule.beta, d.schedule.alpha_bar
        alpha, beta, alpha_bar = (table[d.t] for table in tables)
        before, exact = d.schedule.one_minus_alpha_bar[d.t - 1], d.exact.psi_2(d.t)
        yield "psi_2", posterior.psi_2(d.schedule, d.t), exact, 4
        yield "psi_2_expanded", posterior.psi_2_expanded(alpha, beta, before), exact, 4
        collected = posterior.psi_2_collected(alpha, beta, alpha_bar, before)
        cancelling = 4 / d.schedule.one_minus_alpha_bar[d.t]
        yield "psi_2_collected", collected, exact, 4 + cancelling


@_measure("E11")
def _(d: Draw) -> Iterator[Compared]:
    now, before = d.schedule.one_minus_alpha_bar[d.t], d.schedule.one_minus_alpha_bar[d.t - 1]
    exact = _one(d.exact.beta_tilde[d.t])
    variance = posterior.posterior_variance(d.schedule.beta[d.t], now, before)
    yield "posterior_variance", variance, exact, 4
    _, variance = posterior.posterior_mean_variance(d.schedule, d.x, d.y, d.t)
    yield "the variance of posterior_mean_variance", variance, exact, 1


@_measure("E12")
def _(d: Draw) -> Iterator[Compared]:
    mean = posterior.posterior_mean_variance(d.schedule, d.x, d.y, d.t)[0]
    exact = d.exact.posterior_mean(d.x, d.y, d.t)
    yield "the mean of posterior_mean_variance", mean, exact, 7


@_measure("E13")
def _(d: Draw) -> Iterator[Compared]:
    for name in ("predict_x0", "predict_eps"):
        exact = getattr(d.exact, name)(d.x, d.t, d.y)
        yield name, getattr(posterior, name)(d.schedule, d.x, d.t, d.y), exact, 6


@_measure("E14")
def _(d: Draw) -> Iterator[Compared]:
    mean = posterior.posterior_mean_from_eps(d.schedule, d.x, d.t, d.y)
    yield "posterior_mean_from_eps", mean, d.exact.mean_from_eps(d.x, d.t, d.y), 7


@_measure("E17")
def _(d: Draw) -> Iterator[Compared]:
    exact = d.exact.mean_from_eps([1.0, 0.0], d.t, [0.0, 1.0], d.s)
    for name in ("posterior", "beta"):
        *coefs, std = sampling.ancestral_step(d.schedule, d.t, d.s, variance=name)
        yield "the mean of ancestral_step", coefs, exact, 5
        variance = d.exact.reverse_variance(d.t, d.s)
        if name == "beta" and d.s > 0:
            variance = d.exact.between(d.s, d.t)[1]
        yield f'std^2 of ancestral_step, variance "{name}"', std**2, _one(variance), 7
    yield from _sampled(d, sampling.ancestral_sample, d.exact.mean_from_eps, 1.0)


@_measure("E18")
def _(d: Draw) -> Iterator[Compared]:
    for eta in (0.0, float(d.rng.uniform()), 1.0):
        exact = d.exact.ddim_mean([1.0, 0.0], d.t, [0.0, 1.0], d.s, eta)
        *coefs, std = sampling.ddim_step(d.schedule, d.t, d.s, eta=eta)
        yield f"the mean of ddim_step, eta = {eta}", coefs, exact, 12
        variance = d.exact.reverse_variance(d.t, d.s, eta)
        yield f"std^2 of ddim_step, eta = {eta}", std**2, _one(variance), 9
        noise = d.schedule.one_minus_alpha_bar
        numbers = *d.schedule.between(d.s, d.t), noise[d.t], noise[d.s], eta
        squares = sampling.ddim_variance(*numbers[1:]) + sampling.ddim_direction(*numbers)
        exact = _one(d.exact.one_minus_alpha_bar[d.s])
        yield "ddim_variance + ddim_direction", squares, exact, 12
        sample = partial(sampling.ddim_sample, eta=eta)
        yield from _sampled(d, sample, partial(d.exact.ddim_mean, eta=eta), eta)


def _sampled(
    d: Draw, sample: Callable[..., Array], mean: Callable[..., Sum], eta: float
) -> Iterator[Compared]:
    """Each step of a sampler's trajectory, computed from the one before it.

    The sampler draws its start, and then the noise of each step that adds some. A second
    generator with the same seed draws the same numbers again.
    """
    if d.exact.T > 10:
        return
    visited, seed = _visited(d), int(d.rng.integers(2**32))
    rng, again = (np.random.default_rng(seed) for _ in range(2))
    path = sample(_denoiser, d.schedule, 2, DIM, rng=rng, steps=visited, trajectory=True)
    yield "the start of the sampler", path[-1], _one(again.standard_normal((2, DIM))), 1
    for i in range(len(visited) - 1, -1, -1):
        t, s = visited[i], visited[i - 1] if i else 0
        noise = again.standard_normal((2, DIM)) if s and eta else np.zeros((2, DIM))
        x_t = path[i + 1]
        moved = mean(x_t, t, _denoiser(x_t, t), s=s)
        exact = d.exact.moved(moved, d.exact.reverse_variance(t, s, eta), noise)
        yield f"the sampler's step from {t} to {s}", path[i], exact, 16


def _visited(d: Draw) -> list[int]:
    """All steps, every other one, or a few: increasing and ending in T."""
    T = d.exact.T
    chosen = sorted({d.t, T, *([d.s] if d.s else [])})
    return [list(range(1, T + 1)), list(range(2 - T % 2, T + 1, 2)), chosen][d.rng.integers(3)]


def _denoiser(x_t: Array, t: int) -> Array:
    return x_t / 2 + t / 8


@_measure("E19")
def _(d: Draw) -> Iterator[Compared]:
    low, high = np.sort(d.rng.uniform(0.0, 1.0, 2))
    span = d.rng.uniform(1.0, 10.0)
    T = min(d.exact.T, 100)
    beta = Schedule.sigmoid(T, beta_min=low, beta_max=high, span=span).beta[1:]
    # the sigmoid turns one unit in the last place of the line into span units
    yield "sigmoid", beta, sigmoid_beta(T, low, high, span), 4 + 2 * span
