"""Each function of the register returns what the formulas in its docstring say, as an identity.

The function is called with its parameters bound to symbols by their names
(:func:`ddpm_np.equations.symbol_of`). What it returns is compared with every part of its formulas
(:mod:`ddpm_np.proof.parts`), on a chart in which their roots are rational.

Each chart reaches every schedule, so what is proved on one of them is not proved on another.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import numpy as np

from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.docstrings import equation_numbers, formulas, function_at
from ddpm_np.equations.values import SymbolValues
from ddpm_np.proof import calls, parts
from ddpm_np.proof.calls import Call, Claim, Setting
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.identities.entry import V
from ddpm_np.proof.prover import Chart, Identity
from ddpm_np.proof.symbols import Domain

WHOLE = ("", 0)  # stands for all parts, where the function itself has no value in a chart
HAS_VALUE, NOWHERE = "", "has no value in any chart"


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
    if path in parts.WITHOUT_FORMULA or path in parts.MEASURED:
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
    for cached in (_discovery, parts.taken_by):
        cached.cache_clear()


def _theorems(path: str) -> Iterator[Identity]:
    """The identities on the first charts that give each claim a value; ValueError if none does."""
    proved: set[Claim] = set()
    refused: dict[Claim, str] = {}  # claims without a value in a chart, and why
    nowhere: set[Claim] = set()
    for kind in calls.kinds_of(path):
        if proved and not _lacking(refused, proved | nowhere):
            break
        found = _free_claims(path) if kind == "free" else _claims(path, kind)
        here = {claim for claim, why in found.items() if why == HAS_VALUE}
        nowhere |= {claim for claim, why in found.items() if why == NOWHERE}
        refused |= {claim: why for claim, why in found.items() if why not in (HAS_VALUE, NOWHERE)}
        if here - proved and {"t >= 2", "s = 0", "s >= 1"} & {group for group, _ in here}:
            for setting in calls.settings_of(path, kind, here):
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
    for call in calls.calls_of(path, 3, 1 if path.startswith("schedule.") else 0):
        v = _discovery(kind, call if kind in calls.ROUTES else None)
        if v is not None:
            [group] = calls.groups_of(call)
            for name, why in _values(path, calls.values_at(path, v, call), v.domain):
                if why != HAS_VALUE or (group, name) not in claims:
                    claims[group, name] = why
    return {c: why for c, why in claims.items() if c[1] == WHOLE or (c[0], WHOLE) not in claims}


def _free_claims(path: str) -> dict[Claim, str]:
    """The same with the parameters of a kernel free: what the function computes, as it does."""
    domain, v = calls.free(path).chart.namespace()
    last = {f.text: len(f.parts) - 1 for f in formulas(path)}
    return {
        (group, name): why or ("" if name[1] == last[name[0]] else "it needs a relation")
        for name, why in _values(path, calls.values_at(path, v, (None, None)), domain)
        for group in (("s = 0", "s >= 1") if parts.takes_route(path) else ("t = 1", "t >= 2"))
    }


def _values(
    path: str, numbers: SymbolValues, domain: Domain
) -> Iterator[tuple[tuple[str, int], str]]:
    """What has a value. A part that divides by 0 has none anywhere, nor has one that is NaN.

    A function may refuse the steps; a root that it takes may need another chart.
    """
    refusals = len(domain.refusals)
    try:
        found = [part for part in parts.parts_of(path, numbers) if part.formula.exact]
    except ZeroDivisionError:
        yield WHOLE, NOWHERE
    except parts.NO_VALUE as error:
        if len(domain.refusals) > refusals:
            yield WHOLE, str(error)
    else:
        for part in found:
            yield part.name, _why(part, numbers)


def _why(part: parts.Part, numbers: SymbolValues) -> str:
    if any(isinstance(x, float) and np.isnan(x) for x in np.ravel(part.actual)):
        return NOWHERE
    try:
        part.expected(numbers)
    except ZeroDivisionError:
        return NOWHERE
    except parts.NO_VALUE as error:
        return str(error)
    return HAS_VALUE


@cache
def _discovery(kind: str, call: Call | None) -> V | None:
    """A chart of three steps with all that a function may take; None where the kind has none."""
    taken = frozenset({*parts.ROWS, *parts.MATRICES, "values", "distribution", "eta"})
    try:
        chart = calls.SCHEDULES[kind](3) if call is None else calls.ROUTES[kind](3, *call)
        domain, v = calls.with_arrays(chart, taken, (2,)).namespace()
    except parts.NO_VALUE:  # the reverse steps lead to s >= 1
        return None
    v.domain = domain
    return v


# ---- the identities -----------------------------------------------------------------------------


def _identity(path: str, setting: Setting, claims: set[Claim]) -> Identity:
    def sides(v: V) -> tuple[list[Any], list[Any]]:
        left, right = [], []
        for call in setting.calls:
            numbers, wanted = calls.values_at(path, v, call), calls.wanted_at(call, claims)
            for part in parts.parts_of(path, numbers):
                if part.name in wanted:
                    left.append(part.actual)
                    right.append(part.expected(numbers))
        return left, right

    chart = setting.chart
    if setting.rows:
        chart = calls.with_arrays(chart, parts.taken_by(path), setting.rows)
    statement = ",  ".join(f.text for f in formulas(path) if f.exact)
    name = f"{path} is its formula, {setting.label}"
    return Identity(name, equation_numbers(function_at(path)), statement, chart, sides)


def _failing(path: str, error: Exception) -> Identity:
    def sides(v: V) -> tuple[Any, Any]:
        raise error

    numbers = [e.number for e in EQUATIONS.values() if path in e.functions]
    return Identity(f"{path} is its formula", tuple(numbers), str(error), Chart({}), sides)
