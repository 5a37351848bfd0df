"""Each function of the register returns what the formulas in its docstring say, as an identity.

The function is called with its parameters bound to symbols by their names
(:func:`ddpm_np.equations.symbol_of`). What it returns is compared with every part of its formulas
(:mod:`ddpm_np.proof.parts`), on a chart in which their roots are rational.

Scalar kernels are proved with all their parameters free, unless the formula needs a relation
between them such as alpha_t + beta_t = 1. Everything else is proved on schedules of 1, 2 and 5
steps, for each t at which the formula has a value (psi_1 has none at t = 1), and for t = 0 if the
function takes it: t as an int, for each row of a batch, and of a stack. Each chart reaches every
schedule, so what is proved on one of them is not proved on another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import combinations
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.docstrings import equation_numbers, formulas, function_at, symbol_of
from ddpm_np.equations.values import SymbolValues, parameters_of
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.identities.charts import (
    betas,
    circle,
    ddim_step,
    declared,
    levels,
    reverse_step,
    routes,
    segments,
)
from ddpm_np.proof.identities.entry import BATCH, STACK, V, steps_in_batch, steps_in_stack
from ddpm_np.proof.identities.gaussian import on_axes
from ddpm_np.proof.parts import (
    MATRICES,
    MEASURED,
    NO_VALUE,
    ROWS,
    WITHOUT_FORMULA,
    Part,
    is_kernel,
    parts_of,
    taken_by,
    takes_route,
)
from ddpm_np.proof.prover import Chart, Identity
from ddpm_np.proof.rational import Symbol
from ddpm_np.proof.symbols import ANY, POSITIVE, UNIT, Domain

LENGTHS = (1, 2, 5)  # T; the code reads single entries of the tables, whatever T is
# The kinds of charts, in the order in which they are tried: of all steps, and of one step s < t.
SCHEDULES: dict[str, Callable[[int], Chart]] = {
    "any betas": betas,
    "roots of alpha and beta": lambda T: segments(T, *range(1, T)),
    "levels": levels,
}
ROUTES: dict[str, Callable[[int, int, int], Chart]] = {
    "one route": lambda T, s, t: segments(T, *sorted({s, t} - {0, T})),
    "one reverse step": reverse_step,
    "one DDIM step": ddim_step,
}

Call = tuple[Any, Any]  # s, which is None where the function takes none, and t
Claim = tuple[str, tuple[str, int]]  # a group of steps, and the name of a part
WHOLE = ("", 0)  # stands for all parts, where the function itself has no value in a chart
HAS_VALUE, NOWHERE = "", "has no value in any chart"


class Setting(NamedTuple):
    """A chart, the calls that are made on it, and the shape of a row or of rows."""

    label: str
    chart: Chart
    calls: tuple[Call, ...]
    rows: tuple[int, ...]


def identities_of(number: str) -> Iterator[Identity]:
    """All that is proved of an equation: its functions' formulas, and what they are to others."""
    for path in EQUATIONS[number].functions:
        yield from (i for i in theorems(path) if number in i.equations)
    yield from (i for i in IDENTITIES if number in i.equations)


def theorems(path: str) -> list[Identity]:
    """The identities of one function. None if its formulas have no exact value.

    If the docstring has no equation, one that cannot be read or one without a value in any chart,
    an identity that fails and says so.
    """
    if path in WITHOUT_FORMULA or path in MEASURED:
        return []
    try:
        block = formulas(path)
        if not block:
            raise ValueError(f"the docstring of {path} has no equation in the notation")
        return list(_theorems(path)) if block[0].exact else []
    except Exception as error:  # the docstring or the function: either is to be named
        return [_failing(path, error)]


def forget() -> None:
    """Find out anew which charts there are, after code or docstrings have changed."""
    for cached in (_discovery, taken_by):
        cached.cache_clear()


def _theorems(path: str) -> Iterator[Identity]:
    """The identities on the first charts that give each claim a value; ValueError if none does."""
    proved: set[Claim] = set()
    refused: dict[Claim, str] = {}  # claims without a value in a chart, and why
    nowhere: set[Claim] = set()
    if is_kernel(path):
        found = _free_claims(path)
        proved = {claim for claim, why in found.items() if why == HAS_VALUE}
        nowhere = {claim for claim, why in found.items() if why == NOWHERE}
        refused = {claim: why for claim, why in found.items() if why not in (HAS_VALUE, NOWHERE)}
        if proved:
            yield _identity(path, _free(path), {*proved})
    for kind in (*SCHEDULES, *(ROUTES if takes_route(path) else ())):
        if proved and not _lacking(refused, proved | nowhere):
            break
        found = _claims(path, kind)
        here = {claim for claim, why in found.items() if why == HAS_VALUE}
        nowhere |= {claim for claim, why in found.items() if why == NOWHERE}
        refused |= {claim: why for claim, why in found.items() if why not in (HAS_VALUE, NOWHERE)}
        if here - proved and {"t >= 2", "s = 0", "s >= 1"} & {group for group, _ in here}:
            for T in LENGTHS:
                for setting in _settings(path, kind, T, here):
                    yield _identity(path, setting, here)
            proved |= here
    lacking = _lacking(refused, proved | nowhere)
    lacking |= {c for c in nowhere if c[1] not in (WHOLE, *(name for _, name in proved))}
    if lacking or not proved:
        what = "; ".join(sorted({f"{name[0]} for {group}" for group, name in lacking})) or "it"
        why = [*refused.values(), "it has no value"][0]
        raise ValueError(f"the docstring of {path}: no chart for {what}: {why}")


def _lacking(refused: Iterable[Claim], settled: set[Claim]) -> set[Claim]:
    """The claims that are left, where the whole function stands for all parts that were seen."""
    seen = {name for _, name in (*refused, *settled)} - {WHOLE}
    every = {(g, name) for g, n in refused for name in (seen if n == WHOLE else {n})}
    return {claim for claim in every - settled if (claim[0], WHOLE) not in settled}


# ---- what has a value, and where ----------------------------------------------------------------


def _claims(path: str, kind: str) -> dict[Claim, str]:
    """Of each part and group of steps, by the steps of T = 3: HAS_VALUE, NOWHERE, or why it has
    none in this kind of chart."""
    claims: dict[Claim, str] = {}
    for call in _calls(path, 3, 1 if path.startswith("schedule.") else 0):
        v = _discovery(kind, call if kind in ROUTES else None)
        if v is not None:
            [group] = groups_of(call)
            for name, why in _values(path, _values_at(path, v, call), v.domain):
                if why != HAS_VALUE or (group, name) not in claims:
                    claims[group, name] = why
    return {c: why for c, why in claims.items() if c[1] == WHOLE or (c[0], WHOLE) not in claims}


def _free_claims(path: str) -> dict[Claim, str]:
    """The same with the parameters of a kernel free: what the function computes, as it does."""
    domain, v = _free(path).chart.namespace()
    last = {f.text: len(f.parts) - 1 for f in formulas(path)}
    return {
        (group, name): why or ("" if name[1] == last[name[0]] else "it needs a relation")
        for name, why in _values(path, _values_at(path, v, (None, None)), domain)
        for group in (("s = 0", "s >= 1") if takes_route(path) else ("t = 1", "t >= 2"))
    }


def _values(
    path: str, numbers: SymbolValues, domain: Domain
) -> Iterator[tuple[tuple[str, int], str]]:
    """What has a value. A part that divides by 0 has none anywhere, nor has one that is NaN.

    A function may refuse the steps; a root that it takes may need another chart.
    """
    refusals = len(domain.refusals)
    try:
        parts = [part for part in parts_of(path, numbers) if part.formula.exact]
    except ZeroDivisionError:
        yield WHOLE, NOWHERE
    except NO_VALUE as error:
        if len(domain.refusals) > refusals:
            yield WHOLE, str(error)
    else:
        for part in parts:
            yield part.name, _why(part, numbers)


def _why(part: Part, numbers: SymbolValues) -> str:
    if any(isinstance(x, float) and np.isnan(x) for x in np.ravel(part.actual)):
        return NOWHERE
    try:
        part.expected(numbers)
    except ZeroDivisionError:
        return NOWHERE
    except NO_VALUE as error:
        return str(error)
    return HAS_VALUE


@cache
def _discovery(kind: str, call: Call | None) -> V | None:
    """A chart of three steps with all that a function may take; None where the kind has none."""
    taken = frozenset({*ROWS, *MATRICES, "values", "distribution", "eta"})
    try:
        chart = SCHEDULES[kind](3) if call is None else ROUTES[kind](3, *call)
        domain, v = _with_arrays(chart, taken, (2,)).namespace()
    except NO_VALUE:  # the reverse steps lead to s >= 1
        return None
    v.domain = domain
    return v


# ---- the calls, and what they see ---------------------------------------------------------------


def groups_of(call: Call) -> set[str]:
    """The groups of steps, at which a formula has a value together."""
    s, t = call
    if s is None:
        return {("t = 0", "t = 1", "t >= 2")[min(int(i), 2)] for i in np.ravel(t)}
    return {"s = 0" if i == 0 else "s >= 1" for i in np.ravel(s)}


def _wanted(call: Call, claims: set[Claim]) -> set[tuple[str, int]]:
    """The parts that have a value at all of these steps."""
    if call[1] is None:
        return {name for _, name in claims}
    of_group = [{name for g, name in claims if g == group} for group in groups_of(call)]
    return set.intersection(*of_group)


def _calls(path: str, T: int, first: int = 0) -> list[Call]:
    return [*routes(T)] if takes_route(path) else [(None, t) for t in range(first, T + 1)]


def _settings(path: str, kind: str, T: int, claims: set[Claim]) -> Iterator[Setting]:
    """The calls of a function on the charts of one kind with T steps; dim is 2 or 3."""
    taken, single = taken_by(path), (2 + T % 2,)
    calls = tuple(call for call in _calls(path, T) if _wanted(call, claims))
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
        yield Setting(label, segments(T, *cuts), ((ends[i], ends[i + 1]),), (len(i), 2))


def _with_arrays(chart: Chart, taken: frozenset[str], rows: tuple[int, ...]) -> Chart:
    """The chart with the vectors, the matrices and the variances that a function takes."""
    *more, dim = rows
    shapes = dict.fromkeys(ROWS, rows) | dict.fromkeys(MATRICES, (*more, dim, dim))
    shapes["values"] = (dim,)
    chart = chart.with_arrays(**{name: s for name, s in shapes.items() if name in taken})
    if "distribution" in taken:
        chart = chart.also(**{f"lambda_{i}": POSITIVE for i in range(dim)})
    return chart.also(free_eta=ANY) if "eta" in taken else chart


def _values_at(path: str, v: V, call: Call) -> SymbolValues:
    """The numbers of a call by their symbols, from what the chart has built."""
    if call[1] is None:
        return SymbolValues(None, None, **{n: x for n, x in vars(v).items() if n != "roots"})
    taken, (s, t) = taken_by(path), call
    given = {name: vars(v)[name] for name in (*ROWS, *MATRICES, "values") if name in taken}
    for name in taken & {*MATRICES}:
        given["I"] = np.eye(given[name].shape[-1], dtype=int).astype(given[name].dtype)
    if "distribution" in taken:
        spectrum = np.array([x for name, x in vars(v).items() if name.startswith("lambda_")])
        mean, axes = spectrum - spectrum, np.eye(len(spectrum), dtype=int).astype(spectrum.dtype)
        given["distribution"] = on_axes(mean, axes, list(spectrum))
        given["lambda_i"] = spectrum
    if "eta" in taken:
        given["eta"] = v.eta if hasattr(v, "eta") else v.free_eta
    own = 2 if taken & {*MATRICES} else 1 if taken & {*ROWS, "values"} else 0
    return SymbolValues(v.schedule, t, s, axes=0 if is_kernel(path) else own, **given)


SQUARES = ("alpha_t", "beta_t", "alpha_{t|s}", "beta_{t|s}", "noise", "kept", "direction")
LEVELS = ("alpha_bar_t", "alpha_bar_{t-1}", "alpha_bar_s")


def _free(path: str) -> Setting:
    """Each parameter of a kernel is a variable of its own, with roots that are rational."""
    symbols = sorted({symbol_of(name).removeprefix("1 - ") for name in parameters_of(path)})
    variables = dict(zip("abcdefgh", symbols))

    def build(**v: Symbol) -> SimpleNamespace:
        given: dict[str, Any] = {}
        roots: list[Any] = []
        for letter, name in variables.items():
            x = v[letter]
            if name in LEVELS:
                p, c = circle(x)
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
    return Setting("free", Chart(intervals, build, declared), ((None, None),), ())


# ---- the identities -----------------------------------------------------------------------------


def _identity(path: str, setting: Setting, claims: set[Claim]) -> Identity:
    def sides(v: V) -> tuple[list[Any], list[Any]]:
        left, right = [], []
        for call in setting.calls:
            numbers, wanted = _values_at(path, v, call), _wanted(call, claims)
            for part in parts_of(path, numbers):
                if part.name in wanted:
                    left.append(part.actual)
                    right.append(part.expected(numbers))
        return left, right

    chart = setting.chart
    if setting.rows:
        chart = _with_arrays(chart, taken_by(path), setting.rows)
    statement = ",  ".join(f.text for f in formulas(path) if f.exact)
    name = f"{path} is its formula, {setting.label}"
    return Identity(name, equation_numbers(function_at(path)), statement, chart, sides)


def _failing(path: str, error: Exception) -> Identity:
    def sides(v: V) -> tuple[Any, Any]:
        raise error

    numbers = [e.number for e in EQUATIONS.values() if path in e.functions]
    return Identity(f"{path} is its formula", tuple(numbers), str(error), Chart({}), sides)
