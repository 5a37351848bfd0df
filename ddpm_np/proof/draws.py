"""Random calls of the register's functions, with what their formulas say in 120 digits.

:mod:`ddpm_np.proof.errors` measures how far they are apart.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ddpm_np import sampling
from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.equations.docstrings import formulas, symbol_of
from ddpm_np.equations.values import ExactTables, Rounded, SymbolValues, as_exact, parameters_of
from ddpm_np.proof.calls import values_at
from ddpm_np.proof.parts import MATRICES, NO_VALUE, ROWS, is_kernel, parts_of, taken_by, takes_route
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

SCHEDULES = 12
DIM = 3
Compared = tuple[str, Any, Any]


class Draw(NamedTuple):
    """A random schedule, the same in 120 digits, and a route s < t through it."""

    schedule: Schedule
    exact: ExactTables
    s: int
    t: int
    rng: np.random.Generator


def draws(rng: np.random.Generator, number: int = SCHEDULES) -> Iterator[Draw]:
    """Betas spread evenly over their logits, from 1e-12 to 1 - 1e-6, and every kind of route.

    T is 1, 2, 3 or 10; the last three draws are mild betas and the usual schedules with T = 1000.
    """
    schedules = []
    for _ in range(number):
        T = int(rng.choice([1, 2, 3, 10]))
        beta = 1 / (1 + np.exp(-rng.uniform(np.log(1e-12), np.log(1e6), T)))
        schedules.append(Schedule.from_beta(beta))
    mild = Schedule.from_beta(1 / (1 + np.exp(-rng.uniform(-9, 3, 6))))
    for schedule in [*schedules, mild, Schedule.linear(1000), Schedule.cosine(1000)]:
        t = int(rng.integers(1, schedule.T + 1))
        yield Draw(schedule, ExactTables(schedule.beta[1:]), int(rng.integers(0, t)), t, rng)


def compared(
    path: str, floats: Mapping[str, Any], exact: Mapping[str, Any], dtype: Any = np.float64
) -> Iterator[Compared]:
    """What the function returns, with what the last part of its formula says.

    And the parts before it where they are not proved, as their formula holds more than roots.
    """
    for part in parts_of(path, floats, floating=True):
        formula = part.formula
        if np.asarray(part.actual).dtype not in (dtype, np.float64):
            raise TypeError(f"{path} returns {np.asarray(part.actual).dtype}")
        every = formula.is_distribution or not formula.exact
        if part.place >= (0 if every else len(formula.parts) - 1):
            yield formula.text, part.actual, part.expected(exact)


def one_call(path: str, d: Draw) -> Iterator[Compared]:
    """The function on random arguments, with what its formulas say of the same."""
    if path in EXAMPLES:
        yield from EXAMPLES[path](d)
        return
    if path in ARGUMENTS:
        same = ARGUMENTS[path](d.rng)
        t = same.pop("t", None)
        exactly = {k: x if isinstance(x, int) else as_exact(x) for k, x in same.items()}
        yield from compared(path, SymbolValues(t=t, **same), SymbolValues(t=t, **exactly))
        return
    taken, rng = taken_by(path), d.rng
    given: dict[str, Any] = {name: rng.standard_normal(DIM) for name in ROWS}
    given |= {name: np.outer(given["x_0"], given["x_t"]) for name in MATRICES}
    # Variances of 0, and as small as the noise, tell whether 1 - alpha_bar lost its digits.
    noise = float(d.schedule.one_minus_alpha_bar[d.t])
    values = np.array([0.0, noise * rng.uniform(0.1, 2.0), *rng.uniform(0.1, 3.0, 2)])
    given |= {"values": values, "eta": float(rng.choice([0, 1, rng.uniform()]))}
    precise = {name: as_exact(x) for name, x in given.items()}
    if "distribution" in taken:
        gaussian = Gaussian.from_spectrum(np.zeros(4), np.eye(4), values)
        given |= {"distribution": gaussian, "lambda_i": gaussian.spectrum}
        precise["lambda_i"] = as_exact(gaussian.spectrum)
    s = d.s if takes_route(path) else None
    floats, exact = (
        values_at(path, SimpleNamespace(schedule=tables, **numbers), (s, d.t))
        for tables, numbers in ((d.schedule, given), (d.exact, precise))
    )
    if is_kernel(path):
        if s is not None:
            floats["alpha_{t|s}"], floats["beta_{t|s}"] = d.schedule.between(s, d.t)
        floats, exact = _of_kernel(path, floats, exact, rng)
    try:
        with np.errstate(all="ignore"):
            yield from compared(path, floats, exact)
    except (ArithmeticError, *NO_VALUE) as error:  # psi_1 and psi_2 are infinite at t = 1
        if d.t > 1 and d.s > 0:
            raise error


def _of_kernel(
    path: str, floats: SymbolValues, exact: SymbolValues, rng: np.random.Generator
) -> tuple[SymbolValues, SymbolValues]:
    """The parameters of a kernel and nothing else: what it subtracts itself, it rounds itself."""
    given, precise = {}, {}
    for symbol in map(symbol_of, parameters_of(path)):
        if symbol in floats:
            given[symbol], precise[symbol] = floats[symbol], exact[symbol]
        else:
            number = float(rng.uniform(0.1, 2.0))
            given[symbol], precise[symbol] = number, Rounded(number)
    return SymbolValues(**given), SymbolValues(**precise)


# ---- functions of other arguments, and loops ----------------------------------------------------


def _sigmoid(rng: np.random.Generator) -> dict[str, Any]:
    low, high = np.sort(rng.uniform(0.0, 1.0, 2)).tolist()
    T, span = int(rng.integers(2, 100)), float(rng.uniform(1.0, 10.0))
    t = int(rng.integers(1, T + 1))
    return {"T": T, "t": t, "beta_min": low, "beta_max": high, "span": span}


def _kernel_covariance(rng: np.random.Generator) -> dict[str, Any]:
    v = rng.standard_normal((4, 2))
    return {"v": v, "v_i": v[:, None], "v_j": v[None]}


def _effective_rank(rng: np.random.Generator) -> dict[str, Any]:
    values = rng.uniform(0.1, 3.0, 5)
    return {"C": np.diag(values), "lambda_k": values}


# The function and its formula get the same numbers; whole numbers stay what they are.
ARGUMENTS: dict[str, Callable[[np.random.Generator], dict[str, Any]]] = {
    "schedule.Schedule.sigmoid": _sigmoid,
    "training.denoising_loss": lambda rng: {
        "eps_hat": rng.standard_normal((4, DIM)),
        "eps": rng.standard_normal((4, DIM)),
        "n": 4,
        "dim": DIM,
    },
    "closed_form.covariance.kernel_covariance": _kernel_covariance,
    "closed_form.covariance.effective_rank": _effective_rank,
    "closed_form.covariance.variance_of_mean": lambda rng: {
        "variance": float(rng.uniform(0.1, 9)),
        "n": int(rng.integers(1, 99)),
        "correlation": float(rng.uniform()),
    },
}


def _kl_divergence(d: Draw) -> Iterator[Compared]:
    mean, variance = d.rng.standard_normal(DIM), d.rng.uniform(0.2, 3.0, DIM)
    white = Gaussian(np.zeros(DIM), np.eye(DIM))
    exact = {"w": as_exact(mean), "k_i": np.sqrt(as_exact(variance))}
    floats = SymbolValues(p=Gaussian(mean, np.diag(variance)), q=white)
    path = "closed_form.distributions.kl_divergence"
    yield from compared(path, floats, SymbolValues(**exact))


def _multi_sine(d: Draw) -> Iterator[Compared]:
    frequencies, coefficients = d.rng.uniform(0.2, 5.0, 3), d.rng.standard_normal((2, 3))
    signals = MultiSine(frequencies, scale=1.0, dim=6)
    exact = {"tau": as_exact(np.linspace(0, 1, 6)), "noise": 0, "eps": 0, "pi": Rounded(np.pi)}
    for name, values in zip(("f_k", "a_k", "b_k"), (frequencies, *coefficients)):
        exact[name] = as_exact(values[:, None])
    [formula, *_] = formulas("signals.MultiSine")
    x = coefficients.ravel() @ signals.factor
    yield formula.text, x, formula.value(SymbolValues(**exact))


def _sampled(d: Draw, step: str, sample: Callable[..., Array], eta: float) -> Iterator[Compared]:
    """Each step of a sampler's trajectory, computed from the one before it.

    The sampler draws its start, and then the noise of each step that adds some. A second
    generator with the same seed draws the same numbers again.
    """
    if d.schedule.T > 10:
        return
    T, seed = d.schedule.T, int(d.rng.integers(2**32))
    few = sorted({d.t, T, *([d.s] if d.s else [])})
    visited = [list(range(1, T + 1)), few][d.rng.integers(2)]
    rng, again = (np.random.default_rng(seed) for _ in range(2))
    path = sample(_denoiser, d.schedule, 2, DIM, rng=rng, steps=visited, trajectory=True)
    yield "the start of the sampler", path[-1], as_exact(again.standard_normal((2, DIM)))
    [formula, *_] = formulas(step)
    for i in range(len(visited) - 1, -1, -1):
        t, s, x_t = visited[i], visited[i - 1] if i else 0, path[i + 1]
        z = again.standard_normal((2, DIM)) if s and eta else np.zeros((2, DIM))
        vectors = {"x_t": x_t, "eps_hat": _denoiser(x_t, t), "z": z, "eta": eta}
        numbers = SymbolValues(d.exact, t, s, **{k: as_exact(x) for k, x in vectors.items()})
        yield f"the step from {t} to {s}", path[i], formula.value(numbers)


def _denoiser(x_t: Array, t: int) -> Array:
    return x_t / 2 + t / 8


def _ddim(d: Draw) -> Iterator[Compared]:
    eta = float(d.rng.choice([0.0, 1.0, d.rng.uniform()]))
    sample = partial(sampling.ddim_sample, eta=eta)
    yield from _sampled(d, "sampling.ddim_step", sample, eta)


EXAMPLES: dict[str, Callable[[Draw], Iterator[Compared]]] = {
    "sampling.ancestral_sample": lambda d: _sampled(
        d, "sampling.ancestral_step", sampling.ancestral_sample, 1.0
    ),
    "sampling.ddim_sample": _ddim,
    "signals.MultiSine": _multi_sine,
    "closed_form.distributions.kl_divergence": _kl_divergence,
}
