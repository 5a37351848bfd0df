"""How the derivation is known: every identity proved, and the worst error of float64, equation by equation.

``python -m ddpm_np verify`` prints it. The proofs (:mod:`ddpm_np.proof`) run the formulas on exact numbers; the errors are those of
the public functions and kernels over random schedules, against :mod:`ddpm_np.proof.reference`. A formula that is wrong fails both.
Checked by: tests/proof/test_verify.py.

The unit of an error is the last place of the sum of the magnitudes of a formula's terms: that is what rounding costs, whatever the
terms do to each other. What is allowed is the number of roundings in the code: each operation rounds once, an entry of a table
brings one, and a square root halves the error of what it gets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ddpm_np import forward, posterior, sampling
from ddpm_np._checks import Array, count
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.prover import Identity, prove
from ddpm_np.proof.reference import Reference, Sum, sigmoid_beta, ulp_error
from ddpm_np.schedule import Schedule

__all__ = ["Row", "rows", "verify"]

SCHEDULES = 60
DIM = 3


class Row(NamedTuple):
    """One equation: how many of its identities were proved, and the worst float64 error with what is allowed, in ulp."""

    equation: str
    proved: int
    identities: int
    error: float | None
    allowed: float | None
    seconds: float
    failures: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether everything that was tried came out."""
        return not self.failures


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


Compared = tuple[str, Any, Sum, float]
MEASURES: dict[str, Callable[[Draw], Iterator[Compared]]] = {}


def verify(*, seed: int = 0, out: Callable[[str], object] = print) -> bool:
    """Prove and measure everything, hand the table to ``out`` line by line, and say whether all of it holds.

    The same seed gives the same errors.
    """
    holds = True
    out(f"{'equation':<10}{'proved':<14}{'float64 error':<16}{'allowed':<10}time")
    for row in rows(seed=seed):
        holds = holds and row.holds
        proved = f"{row.proved} of {row.identities}" if row.identities else "-"
        error, allowed = ("-", "-") if row.error is None else (f"{row.error:.2f} ulp", f"{row.allowed:.3g} ulp")
        out(f"{row.equation:<10}{proved:<14}{error:<16}{allowed:<10}{row.seconds:.2f} s")
        for failure in row.failures:
            out(f"    FAILED {failure}")
    out("Everything holds." if holds else "Not everything holds.")
    return holds


def rows(*, seed: int = 0) -> Iterator[Row]:
    """One :class:`Row` per equation, in order. An identity that concerns several equations is proved once and counted for each."""
    draws = list(_draws(np.random.default_rng(count("seed", seed, low=0))))
    proofs: dict[str, list[str]] = {}
    by_equation = defaultdict(list)
    for identity in IDENTITIES:
        for equation in identity.equations:
            by_equation[equation].append(identity)
    for equation in sorted({*by_equation, *MEASURES}, key=lambda e: int(e[1:])):
        start, failures = perf_counter(), []
        for identity in by_equation[equation]:
            if identity.name not in proofs:
                proofs[identity.name] = _disproof(identity)
            failures += proofs[identity.name]
        unproved, error, allowed = len(failures), None, None
        if equation in MEASURES:
            error, allowed, failure = _worst(MEASURES[equation], draws)
            failures += failure
        total = len(by_equation[equation])
        yield Row(equation, total - unproved, total, error, allowed, perf_counter() - start, tuple(failures))


def _disproof(identity: Identity) -> list[str]:
    """What speaks against the identity, if anything does. A formula that raises, whatever it is, counts as wrong."""
    try:
        failure = prove(identity).failure
    except Exception as problem:
        failure = f"{type(problem).__name__}: {problem}"
    return [f"{identity.name}: {identity.statement}; {failure}"] if failure else []


def _worst(measure: Callable[[Draw], Iterator[Compared]], draws: list[Draw]) -> tuple[float, float, list[str]]:
    """The largest error in units of what is allowed, and the first failure. A formula that raises is a failure too."""
    worst, of = 0.0, 1.0
    for draw in draws:
        place = f"for beta = {draw.schedule.beta[1:].tolist()}, s = {draw.s}, t = {draw.t}"
        try:
            for name, actual, exact, allowed in measure(draw):
                error = float(ulp_error(actual, exact.value, scale=exact.scale).max())
                if error / allowed >= worst / of:
                    worst, of = error, allowed
                if not error <= allowed:
                    return worst, of, [f"{name} is off by {error:.3g} ulp, {allowed:g} allowed, {place}"]
        except Exception as problem:
            return float("inf"), of, [f"{type(problem).__name__}: {problem}, {place}"]
    return worst, of, []


def _draws(rng: np.random.Generator) -> Iterator[Draw]:
    """Betas spread evenly over their logits, from 1e-12 to 1 - 1e-6, T from 1, and every kind of route."""
    for _ in range(SCHEDULES):
        T = int(rng.choice([1, 2, 3, 10]))
        beta = 1 / (1 + np.exp(-rng.uniform(np.log(1e-12), np.log(1e6), T)))
        t = int(rng.integers(1, T + 1))
        x, y, z = rng.standard_normal((3, DIM))
        yield Draw(Schedule.from_beta(beta), Reference(beta), int(rng.integers(0, t)), t, x, y, z, rng)


def _measure(equation: str) -> Callable[..., Any]:
    def enter(measure: Callable[[Draw], Iterator[Compared]]) -> Callable[[Draw], Iterator[Compared]]:
        MEASURES[equation] = measure
        return measure

    return enter


def _one(value: Any) -> Sum:
    return Sum(value, value)


# ---- what is compared, equation by equation: name, what the code gives, the exact sum, the number of roundings ------------------


@_measure("E1")
def _(d: Draw) -> Iterator[Compared]:
    yield "q_step", forward.q_step(d.schedule, d.x, d.t, d.y), d.exact.q_skip(d.x, d.t - 1, d.t, d.y), 4


@_measure("E2")
def _(d: Draw) -> Iterator[Compared]:
    for name in ("beta", "alpha", "alpha_bar", "one_minus_alpha_bar", "beta_tilde"):
        yield name, getattr(d.schedule, name), _one(getattr(d.exact, name)), 1
    yield "log_snr", d.schedule.log_snr[d.t], _one(d.exact.log_snr(d.t)), 1


@_measure("E3")
def _(d: Draw) -> Iterator[Compared]:
    Sigma = np.outer(d.x, d.y)
    yield "covariance_step", forward.covariance_step(d.schedule, Sigma, d.t), d.exact.covariance_skip(Sigma, d.t - 1, d.t), 3


@_measure("E4")
def _(d: Draw) -> Iterator[Compared]:
    alpha, beta = d.exact.between(d.s, d.t)
    yield "between", d.schedule.between(d.s, d.t), _one([alpha, beta]), 1
    yield "q_skip", forward.q_skip(d.schedule, d.x, d.s, d.t, d.y), d.exact.q_skip(d.x, d.s, d.t, d.y), 4


@_measure("E5")
def _(d: Draw) -> Iterator[Compared]:
    Sigma = np.outer(d.x, d.y)
    yield "covariance_at", forward.covariance_at(d.schedule, Sigma, d.t), d.exact.covariance_skip(Sigma, 0, d.t), 3


@_measure("E6")
def _(d: Draw) -> Iterator[Compared]:
    yield "q_sample", forward.q_sample(d.schedule, d.x, d.t, d.y), d.exact.q_skip(d.x, 0, d.t, d.y), 4
    mean, variance = forward.q_mean_variance(d.schedule, d.x, d.t)
    yield "the mean of q_mean_variance", mean, d.exact.q_skip(d.x, 0, d.t, 0 * d.y), 3
    yield "the variance of q_mean_variance", variance, _one(d.exact.one_minus_alpha_bar[d.t]), 1


@_measure("E7")
@_measure("E8")
def _(d: Draw) -> Iterator[Compared]:
    if d.t > 1 and d.schedule.one_minus_alpha_bar[d.t - 1] > 1e-3:  # it subtracts alpha_bar from 1, as printed
        symbols = d.schedule.alpha[d.t], d.schedule.beta[d.t], d.schedule.alpha_bar[d.t - 1], d.schedule.alpha_bar[d.t]
        exponent, cancelling = posterior.posterior_exponent(d.z, d.x, d.y, *symbols), 2 / d.schedule.one_minus_alpha_bar[d.t - 1]
        yield "posterior_exponent", exponent, d.exact.exponent(d.z, d.x, d.y, d.t), 9 + cancelling


@_measure("E9")
def _(d: Draw) -> Iterator[Compared]:
    if d.t > 1:
        yield "psi_1", posterior.psi_1(d.schedule, d.x, d.y, d.t), d.exact.psi_1(d.x, d.y, d.t), 6


@_measure("E10")
def _(d: Draw) -> Iterator[Compared]:
    if d.t > 1:
        alpha, beta, alpha_bar = (table[d.t] for table in (d.schedule.alpha, d.schedule.beta, d.schedule.alpha_bar))
        before, exact = d.schedule.one_minus_alpha_bar[d.t - 1], d.exact.psi_2(d.t)
        yield "psi_2", posterior.psi_2(d.schedule, d.t), exact, 4
        yield "psi_2_expanded", posterior.psi_2_expanded(alpha, beta, before), exact, 4
        collected = posterior.psi_2_collected(alpha, beta, alpha_bar, before)
        yield "psi_2_collected", collected, exact, 4 + 4 / d.schedule.one_minus_alpha_bar[d.t]


@_measure("E11")
def _(d: Draw) -> Iterator[Compared]:
    now, before = d.schedule.one_minus_alpha_bar[d.t], d.schedule.one_minus_alpha_bar[d.t - 1]
    exact = _one(d.exact.beta_tilde[d.t])
    yield "posterior_variance", posterior.posterior_variance(d.schedule.beta[d.t], now, before), exact, 4
    yield "the variance of posterior_mean_variance", posterior.posterior_mean_variance(d.schedule, d.x, d.y, d.t)[1], exact, 1


@_measure("E12")
def _(d: Draw) -> Iterator[Compared]:
    mean = posterior.posterior_mean_variance(d.schedule, d.x, d.y, d.t)[0]
    yield "the mean of posterior_mean_variance", mean, d.exact.posterior_mean(d.x, d.y, d.t), 7


@_measure("E13")
def _(d: Draw) -> Iterator[Compared]:
    yield "predict_x0", posterior.predict_x0(d.schedule, d.x, d.t, d.y), d.exact.predict_x0(d.x, d.t, d.y), 6
    yield "predict_eps", posterior.predict_eps(d.schedule, d.x, d.t, d.y), d.exact.predict_eps(d.x, d.t, d.y), 6


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
        variance = d.exact.reverse_variance(d.t, d.s) if name == "posterior" or d.s == 0 else d.exact.between(d.s, d.t)[1]
        yield f'std^2 of ancestral_step, variance "{name}"', std**2, _one(variance), 7
    yield from _sampled(d, sampling.ancestral_sample, d.exact.mean_from_eps, 1.0)


@_measure("E18")
def _(d: Draw) -> Iterator[Compared]:
    for eta in (0.0, float(d.rng.uniform()), 1.0):
        exact = d.exact.ddim_mean([1.0, 0.0], d.t, [0.0, 1.0], d.s, eta)
        *coefs, std = sampling.ddim_step(d.schedule, d.t, d.s, eta=eta)
        yield f"the mean of ddim_step, eta = {eta}", coefs, exact, 12
        yield f"std^2 of ddim_step, eta = {eta}", std**2, _one(d.exact.reverse_variance(d.t, d.s, eta)), 9
        numbers = *d.schedule.between(d.s, d.t), d.schedule.one_minus_alpha_bar[d.t], d.schedule.one_minus_alpha_bar[d.s], eta
        squares = sampling.ddim_variance(*numbers) + sampling.ddim_direction(*numbers)
        yield "ddim_variance + ddim_direction", squares, _one(d.exact.one_minus_alpha_bar[d.s]), 12
        yield from _sampled(d, partial(sampling.ddim_sample, eta=eta), partial(d.exact.ddim_mean, eta=eta), eta)


def _sampled(d: Draw, sample: Callable[..., Array], mean: Callable[..., Sum], eta: float) -> Iterator[Compared]:
    """Each step of a sampler's trajectory from the one before, with the same noise drawn again."""
    T, seed = d.exact.T, int(d.rng.integers(2**32))
    ways = [(None, list(range(1, T + 1))), ((T + 1) // 2, list(range(2 - T % 2, T + 1, 2)))]
    by_hand = sorted({d.t, T, *([d.s] if d.s else [])})
    steps, visited = [*ways, (by_hand, by_hand)][int(d.rng.integers(3))]
    path = sample(_denoiser, d.schedule, 2, DIM, rng=np.random.default_rng(seed), steps=steps, trajectory=True)
    again = np.random.default_rng(seed)
    yield "the start of the sampler", path[-1], _one(again.standard_normal((2, DIM))), 1
    for i, (s, t) in reversed(list(enumerate(zip([0, *visited], visited)))):
        z = again.standard_normal((2, DIM)) if s and eta else np.zeros((2, DIM))
        exact = d.exact.moved(mean(path[i + 1], t, _denoiser(path[i + 1], t), s=s), d.exact.reverse_variance(t, s, eta), z)
        yield f"the sampler's step from {t} to {s}", path[i], exact, 16


def _denoiser(x_t: Array, t: int) -> Array:
    return x_t / 2 + t / 8


@_measure("E19")
def _(d: Draw) -> Iterator[Compared]:
    low, high = np.sort(d.rng.uniform(0.0, 1.0, 2))
    span = d.rng.uniform(1.0, 10.0)
    beta = Schedule.sigmoid(d.exact.T, beta_min=low, beta_max=high, span=span).beta[1:]
    yield "sigmoid", beta, sigmoid_beta(d.exact.T, low, high, span), 4 + 2 * span  # the sigmoid turns 1 ulp of the line into span
