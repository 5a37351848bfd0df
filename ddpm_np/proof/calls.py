"""The calls of a function on which its formulas are proved: charts, steps, batches, parameters.

Scalar kernels are called with all their parameters free, unless the formula needs a relation
between them such as alpha_t + beta_t = 1. Everything else is called on schedules of 1, 2 and 5
steps, for each t at which the formula has a value (psi_1 has none at t = 1), and for t = 0 if the
function takes it: t as an int, for each row of a batch, and of a stack.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ddpm_np.equations.docstrings import symbol_of
from ddpm_np.equations.values import SymbolValues, parameters_of
from ddpm_np.proof.identities import charts
from ddpm_np.proof.identities.entry import BATCH, STACK, V, steps_in_batch, steps_in_stack
from ddpm_np.proof.identities.gaussian import on_axes
from ddpm_np.proof.parts import MATRICES, ROWS, is_kernel, taken_by, takes_route
from ddpm_np.proof.prover import Chart
from ddpm_np.proof.rational import Symbol
from ddpm_np.proof.symbols import ANY, POSITIVE, UNIT

# What functions take beside a schedule and its steps.
GIVEN = {*ROWS, *MATRICES, "values", "eta", "distribution", "lambda_i"}
LENGTHS = (1, 2, 5)  # T; the code reads single entries of the tables, whatever T is
# The kinds of charts, in the order in which they are tried: of all steps, and of one step s < t.
SCHEDULES: dict[str, Callable[[int], Chart]] = {
    "any betas": charts.betas,
    "roots of alpha and beta": charts.single_steps,
    "levels": charts.levels,
}
ROUTES: dict[str, Callable[[int, int, int], Chart]] = {
    "one route": lambda T, s, t: charts.segments(T, *sorted({s, t} - {0, T})),
    "one reverse step": charts.reverse_step,
    "one DDIM step": charts.ddim_step,
}

Call = tuple[Any, Any]  # s, which is None where the function takes none, and t
Claim = tuple[str, tuple[str, int]]  # a group of steps, and the name of a part


class Setting(NamedTuple):
    """A chart, the calls that are made on it, and the shape of a row or of rows."""

    label: str
    chart: Chart
    calls: tuple[Call, ...]
    rows: tuple[int, ...]


def groups_of(call: Call) -> set[str]:
    """The groups of steps, at which a formula has a value together."""
    s, t = call
    if s is None:
        return {("t = 0", "t = 1", "t >= 2")[min(int(i), 2)] for i in np.ravel(t)}
    return {"s = 0" if i == 0 else "s >= 1" for i in np.ravel(s)}


def wanted_at(call: Call, claims: set[Claim]) -> set[tuple[str, int]]:
    """The parts that have a value at all of these steps."""
    if call[1] is None:
        return {name for _, name in claims}
    of_group = [{name for g, name in claims if g == group} for group in groups_of(call)]
    return set.intersection(*of_group)


def calls_of(path: str, T: int, first: int = 0) -> list[Call]:
    """Every route of T steps, or every t from the first."""
    return [*charts.routes(T)] if takes_route(path) else [(None, t) for t in range(first, T + 1)]


def kinds_of(path: str) -> list[str]:
    """The kinds of charts to try: a kernel's parameters are free, if they can be."""
    first = ["free"] if is_kernel(path) else []
    return [*first, *SCHEDULES, *(ROUTES if takes_route(path) else ())]


def settings_of(path: str, kind: str, claims: set[Claim]) -> Iterator[Setting]:
    """The calls of a function on the charts of one kind."""
    if kind == "free":
        yield free(path)
        return
    for T in LENGTHS:
        yield from _settings(path, kind, T, claims)


def _settings(path: str, kind: str, T: int, claims: set[Claim]) -> Iterator[Setting]:
    """Those with T steps; dim is 2 or 3."""
    taken, single = taken_by(path), (2 + T % 2,)
    calls = tuple(call for call in calls_of(path, T) if wanted_at(call, claims))
    if kind in ROUTES:
        for s, t in calls:
            label = f"{kind}, {s} to {t} of {T}"
            yield Setting(label, ROUTES[kind](T, s, t), ((s, t),), single)
        if kind == "one route" and {"s", "x_s"} <= taken and T < 5:
            yield from _batches_of_routes(T)
        return
    if not calls:
        return
    chart, label = SCHEDULES[kind](T), f"{kind}, T = {T}"
    yield Setting(label, chart, calls, single)
    if takes_route(path):
        if "self" in taken:
            s, t = np.array(calls).T
            yield Setting(f"{label}, as arrays", chart, ((s, t),), single)
        return
    if "distribution" in taken or path.startswith("schedule.") or T > 3:
        return
    if is_kernel(path) and taken & {*ROWS}:
        return
    least = calls[0][1]
    for first in {least, min(2, T)}:
        of_rows = (None, steps_in_batch(T, first))
        yield Setting(f"{label}, in batches from t = {first}", chart, (of_rows,), BATCH)
    if taken & {*ROWS}:
        stacks = tuple((None, t) for t in steps_in_stack(T, least))
        yield Setting(f"{label}, in stacks", chart, stacks, STACK)


def _batches_of_routes(T: int) -> Iterator[Setting]:
    """Rows of a batch, each with a route of its own, the first route twice."""
    for cuts in (c for n in range(T) for c in combinations(range(1, T), n)):
        ends, i = np.array([0, *cuts, T]), np.append(np.arange(len(cuts) + 1), 0)
        label = f"one route, {' '.join(map(str, ends))}, in batches"
        yield Setting(label, charts.segments(T, *cuts), ((ends[i], ends[i + 1]),), (len(i), 2))


def with_arrays(chart: Chart, taken: frozenset[str], rows: tuple[int, ...]) -> Chart:
    """The chart with the vectors, the matrices and the variances that a function takes."""
    *more, dim = rows
    shapes = dict.fromkeys(ROWS, rows) | dict.fromkeys(MATRICES, (*more, dim, dim))
    shapes["values"] = (dim,)
    chart = chart.with_arrays(**{name: s for name, s in shapes.items() if name in taken})
    if "distribution" in taken:
        chart = chart.also(**{f"lambda_{i}": POSITIVE for i in range(dim)})
    return chart.also(free_eta=ANY) if "eta" in taken else chart


def values_at(path: str, v: V, call: Call) -> SymbolValues:
    """The numbers of a call by their symbols, from what a chart has built or what was drawn."""
    if call[1] is None:
        return SymbolValues(**{n: x for n, x in vars(v).items() if n != "roots"})
    taken, (s, t) = taken_by(path), call
    given = {name: x for name, x in vars(v).items() if name in taken & GIVEN}
    for name in taken & {*MATRICES}:
        given["I"] = np.eye(given[name].shape[-1], dtype=int).astype(given[name].dtype)
    if "distribution" in taken and not hasattr(v, "lambda_i"):
        spectrum = np.array([x for name, x in vars(v).items() if name.startswith("lambda_")])
        mean, axes = spectrum - spectrum, np.eye(len(spectrum), dtype=int).astype(spectrum.dtype)
        given["distribution"] = on_axes(mean, axes, list(spectrum))
        given["lambda_i"] = spectrum
    if "eta" in taken and "eta" not in given:
        given["eta"] = v.free_eta
    own = 2 if taken & {*MATRICES} else 1 if taken & {*ROWS, "values"} else 0
    return SymbolValues(v.schedule, t, s, axes=0 if is_kernel(path) else own, **given)


SQUARES = ("alpha_t", "beta_t", "alpha_{t|s}", "beta_{t|s}", "noise", "kept", "direction")
LEVELS = ("alpha_bar_t", "alpha_bar_{t-1}", "alpha_bar_s")


def free(path: str) -> Setting:
    """Each parameter of a kernel is a variable of its own, with roots that are rational."""
    symbols = sorted({symbol_of(name).removeprefix("1 - ") for name in parameters_of(path)})
    variables = dict(zip("abcdefgh", symbols))

    def build(**v: Symbol) -> SimpleNamespace:
        given: dict[str, Any] = {}
        roots: list[Any] = []
        for letter, name in variables.items():
            x = v[letter]
            if name in LEVELS:
                p, c = charts.circle(x)
                given |= {name: p * p, f"1 - {name}": c * c}
                roots += [p, c]
            elif name in SQUARES:
                given[name] = x * x
                roots.append(x)
            else:
                given[name] = x
        return SimpleNamespace(**given, roots=roots)

    intervals = {
        letter: UNIT if name in LEVELS else POSITIVE if name in SQUARES else ANY
        for letter, name in variables.items()
    }
    return Setting("free", Chart(intervals, build), ((None, None),), ())
