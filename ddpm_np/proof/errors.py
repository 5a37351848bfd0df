"""The worst rounding error of each function, in units in the last place, against its formula.

The functions run in float64 and in float32 on random schedules, with t as an int and as an array,
T from 1 to 1000. The formula in the docstring is evaluated in 120 digits beside them
(:class:`ddpm_np.equations.values.Rounded`), from the same betas and vectors.

The unit is the last place of the sum of the magnitudes of the formula's terms: that is what
rounding costs, whatever the terms do to each other. For the functions of :data:`NOTHING_CANCELS`
it is the last place of the value itself. What is allowed is the number of roundings in the
formula: each operation rounds once, an entry of a table brings one, a square root halves the error
of what it gets. :mod:`ddpm_np.proof.verify` prints the errors.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.docstrings import formulas
from ddpm_np.equations.values import SymbolValues, as_exact
from ddpm_np.proof.draws import ARGUMENTS, DIM, EXAMPLES, Compared, Draw, compared, one_call
from ddpm_np.proof.parts import ROWS, WITHOUT_FORMULA, is_kernel, taken_by, takes_route
from ddpm_np.proof.reference import ulp_error

# What these return is the exact value, rounded once.
ROUNDED_ONCE = ("schedule.Schedule.from_beta", "schedule.Schedule.between")
# What these return is right to the last places of itself: no cancellation is left in them.
NOTHING_CANCELS = (
    *ROUNDED_ONCE,
    "sampling.ddim_direction",
    "sampling.ddim_eps_coef",
    "closed_form.covariance.spectrum_at",
    "closed_form.ideal.optimal_loss",
    "closed_form.reverse.reverse_variance",
)


class Worst(NamedTuple):
    """The largest error and what is allowed there, in ulp; what is wrong, if anything is."""

    error: float
    allowed: float
    failure: str = ""


def measured_paths() -> list[str]:
    """The functions of the register with a formula that has a value."""
    paths = dict.fromkeys(path for e in EQUATIONS.values() for path in e.functions)
    return [p for p in paths if p in EXAMPLES or (p not in WITHOUT_FORMULA and _has_value(p))]


def _has_value(path: str) -> bool:
    try:
        block = formulas(path)
    except ValueError:  # a docstring that cannot be read: its theorem fails
        return False
    return bool(block) and not block[0].stated


def worst_error(path: str, drawn: list[Draw]) -> Worst:
    """The largest error relative to what is allowed. A function that raises is a failure too."""

    def place(d: Draw) -> str:
        betas = f", beta = {d.schedule.beta[1:].tolist()}" if d.schedule.T <= 10 else ""
        return f"for T = {d.schedule.T}, s = {d.s}, t = {d.t}{betas}"

    return _worst(path, ((one_call(path, draw), place(draw)) for draw in drawn))


def worst_in_batches(path: str, dtype: Any, drawn: list[Draw], rng: np.random.Generator) -> Worst:
    """The largest error over batches with t for each row, both ends among them.

    Where coefficients do not underflow float32: T = 10 with mild betas, and T = 1000.
    """

    def calls() -> Iterator[tuple[Iterator[Compared], str]]:
        first = 2 if path.endswith("psi_1") else 1
        for schedule, exact in ((d.schedule, d.exact) for d in drawn[-3:]):
            t = np.array([schedule.T, first, *rng.integers(first, schedule.T + 1, 4), schedule.T])
            given = {name: rng.standard_normal((len(t), DIM)).astype(dtype) for name in ROWS}
            floats = SymbolValues(schedule, t, axes=1, **given)
            precise = SymbolValues(exact, t, axes=1, **{k: as_exact(x) for k, x in given.items()})
            place = f"for T = {schedule.T}, t = {t.tolist()}, {np.dtype(dtype)}"
            yield compared(path, floats, precise, dtype), place

    return _worst(path, calls())


def in_batches(path: str) -> bool:
    """Whether a function takes rows and a step for each."""
    return (
        path not in (*EXAMPLES, *ARGUMENTS)
        and bool(taken_by(path) & {*ROWS})
        and not is_kernel(path)
        and not takes_route(path)
    )


def _worst(path: str, calls: Iterable[tuple[Iterator[Compared], str]]) -> Worst:
    worst = Worst(0.0, 1.0)
    for pairs, place in calls:
        try:
            for name, actual, exact in pairs:
                found = _distance(path, actual, exact)
                if not found.error <= found.allowed:
                    off = f"off by {found.error:.3g} ulp, {found.allowed:g} allowed"
                    return found._replace(failure=f"{path}: {name} is {off}, {place}")
                if found.error / found.allowed >= worst.error / worst.allowed:
                    worst = found
        except Exception as problem:
            why = f"{path}: {type(problem).__name__}: {problem}, {place}"
            return Worst(float("inf"), worst.allowed, why)
    return worst


def _distance(path: str, actual: Any, exact: Any) -> Worst:
    """The largest error of some numbers, and what is allowed."""
    terms = np.broadcast_to(as_exact(exact), np.shape(actual)).ravel()
    value, scale = np.empty((2, len(terms)), dtype=object)
    value[:], scale[:] = [x.value for x in terms], [x.scale for x in terms]
    if path in NOTHING_CANCELS:
        scale = abs(value)
    allowed = max(1.0, *(float(x.roundings) for x in terms))
    error = float(ulp_error(np.ravel(actual), value, scale=scale).max())
    return Worst(error, 1.0 if path in ROUNDED_ONCE else allowed)
