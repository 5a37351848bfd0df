"""Each function of the register returns what the formulas in its docstring say, as an identity.

The function is called with its parameters bound to symbols by their names
(:func:`ddpm_np.equations.symbol_of`). What it returns is compared with every part of its formulas,
on every chart in which their roots are rational. ``x = a = b`` has two parts. A further formula of
the block must define a symbol that the others use.
``q(x_t | x_s) = N(x_t; mean, variance I)``, for a function that draws with the noise eps, says that
the square of what it adds to the mean is variance eps^2.

Scalar kernels are proved with all their parameters free, unless the formula needs a relation
between them such as alpha_t + beta_t = 1. Everything else is proved on schedules of 1, 2 and 5
steps, for each t at which the formula has a value (psi_1 has none at t = 1), and for t = 0 if the
function takes it: t as an int, for each row of a batch, and of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import combinations, product
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.docstrings import (
    Defined,
    Formula,
    equation_numbers,
    formulas,
    function_at,
    symbol_of,
)
from ddpm_np.equations.formula import names, value
from ddpm_np.equations.values import Numbers, arguments, parameters_of
from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.identities.charts import (
    betas,
    ddim_step,
    levels,
    reverse_step,
    routes,
    segments,
    signal_roots,
)
from ddpm_np.proof.identities.entry import BATCH, STACK, V, steps_in_batch, steps_in_stack
from ddpm_np.proof.identities.gaussian import on_axes
from ddpm_np.proof.prover import Chart, Identity
from ddpm_np.proof.rational import Symbol
from ddpm_np.proof.symbols import ANY, POSITIVE, UNIT, Domain
from ddpm_np.sampling import ReverseStep
from ddpm_np.schedule import Schedule

ROWS = ("x_0", "x_t", "x_{t-1}", "x_s", "eps", "eps_hat", "eps_star", "score", "v", "z")
MATRICES = ("Sigma_0", "Sigma_{t-1}")
LENGTHS = (1, 2, 5)  # T; the code reads single entries of the tables, whatever T is
# Functions of the register without a formula of their own, and why.
WITHOUT_FORMULA = {
    "network.MLP.forward": "its derivatives are proved",
    "network.MLP.backward": "its derivatives are proved",
    "training.train": "a loop",
    "training.plain_gradient": "it is made of q_sample, the passes and the loss",
    "training._loop": "a loop",
    "sampling.ancestral_sample": "a loop that draws",
    "sampling.ddim_sample": "a loop that draws",
    "signals.multi_sine_curve": "it draws its frequencies",
    "closed_form.covariance.spectrum": "eigenvalues",
    "closed_form.covariance.error_of_mean": "E33 and the square of the bias",
    "closed_form.reverse.sampler_distribution": "its moments are proved",
    "closed_form.reverse.sampler_moments": "proved by the steps written out",
    "closed_form.likelihood.nll": "minus a log density",
    "closed_form.latent.quadrature": "an integral",
    "closed_form.latent.importance_sampling": "an integral",
    "closed_form.latent.naive_monte_carlo": "an integral",
}
# These return or take floats only, so that their formulas are measured, not proved.
MEASURED = (
    "training.denoising_loss",
    "closed_form.covariance.effective_rank",
    "closed_form.covariance.variance_of_mean",
)
# Raised where there is no value: a root that is not rational in a chart, a division by 0, a symbol
# that is not known, a step out of range.
NO_VALUE = (ValueError, ZeroDivisionError, KeyError)


class Part(NamedTuple):
    """A part of a formula: what the function makes of it, and how to get what it says."""

    formula: Formula
    place: int
    actual: Any
    expected: Callable[[], Any]

    @property
    def name(self) -> tuple[str, int]:
        return self.formula.text, self.place


def result_of(path: str, numbers: Mapping[str, Any]) -> Any:
    """What the function returns: a list, with an entry for each of its numbers, or a schedule.

    A reverse step stands for where it leads, a table over all steps for its entry t.
    """
    if path == "schedule.Schedule.from_beta":  # which has made the schedule
        return numbers["schedule"]
    result = function_at(path)(**arguments(path, numbers))
    if isinstance(result, ReverseStep):
        moved = result.xt_coef * numbers["x_t"] + result.eps_coef * numbers["eps_hat"]
        return [moved + result.std * numbers["z"]]
    if isinstance(result, Schedule):
        return result
    if _is_table(path):
        return [result[numbers["t"]]]
    return list(result) if isinstance(result, tuple) else [result]


def parts_of(
    path: str, result: Any, numbers: Mapping[str, Any], *, floating: bool = False
) -> Iterator[Part]:
    """All parts of all formulas of the function that returned the result.

    floating : with those tables of a schedule that have no exact value
    """
    block = formulas(path)
    if isinstance(result, Schedule):
        for formula in block:
            if formula.left is not None and (formula.exact or floating):
                table = Numbers(result, numbers["t"])
                if all(name in table for name in names(formula.left)):
                    yield from _each(formula, value(formula.left, table), numbers)
        return
    outputs = [f for f in block if not f.is_distribution]
    distributions = [f for f in block if f.is_distribution]
    if len(result) > max(len(outputs), 2 * len(distributions)):
        raise ValueError(f"{path} returns {len(result)} numbers, not all have a formula")
    for formula in distributions:
        yield from _distribution(formula, result, numbers)
    for formula, found in zip(outputs, result):
        yield from _each(formula, found, numbers)
    for formula in outputs[len(result) :]:
        name = formula.squared or (formula.left.text if formula.left is not None else "")
        if not any(name in names(p) for f in block if f is not formula for p in f.parts):
            raise ValueError(f"{formula.text!r} defines a symbol that no other formula uses")
        if len(formula.parts) > 1 or name in numbers:
            yield from _each(formula, formula.value(numbers), numbers)


def _each(formula: Formula, found: Any, numbers: Mapping[str, Any]) -> Iterator[Part]:
    for i in range(len(formula.parts)):
        yield Part(formula, i, found, partial(_value_of_part, formula, i, numbers))
    left = formula.left
    if left is not None and left.kind == "name" and left.text in numbers:
        yield Part(formula, -1, found, partial(value, left, numbers))


def _value_of_part(formula: Formula, place: int, numbers: Mapping[str, Any]) -> Any:
    return value(formula.parts[place], Defined(numbers, formula.block))


def _distribution(
    formula: Formula, result: list[Any], numbers: Mapping[str, Any]
) -> Iterator[Part]:
    """q(...) = N(x; mean, variance I): of a function that returns both, or of one that draws."""
    left, point = formula.left, formula.right.parts[0].parts[0]
    if left is None or next(names(left), "") != point.text:
        raise ValueError(f"{formula.text!r} says of another point than its left side how it lies")
    if len(result) == 2:
        yield Part(formula, 0, result[0], lambda: formula.value(numbers)[0])
        yield Part(formula, 1, result[1], lambda: formula.value(numbers)[1])
        return
    mean, variance = formula.value(numbers)
    added = result[0] - mean
    yield Part(formula, 0, added * added, lambda: variance * numbers["eps"] * numbers["eps"])


# ---- what a function takes ----------------------------------------------------------------------


@cache
def taken_by(path: str) -> frozenset[str]:
    """The symbols of the parameters of a function, and those of its formulas."""
    block = formulas(path)
    own = {f.left.text for f in block if f.left is not None and f.left.kind == "name"}
    parameters = frozenset(map(symbol_of, parameters_of(path)))
    return parameters | ({name for f in block for name in names(f.tree)} - own)


def is_kernel(path: str) -> bool:
    """Whether all its parameters are numbers, which can be free."""
    return not {"schedule", "self", "beta", "T", "v"} & {*parameters_of(path)}


def _is_table(path: str) -> bool:
    parameters = {*parameters_of(path)}
    return "distribution" in parameters and "t" not in parameters


def takes_route(path: str) -> bool:
    return any(name.endswith(("_s", "|s}")) or name == "s" for name in taken_by(path))


def _axes(path: str) -> int:
    if is_kernel(path):
        return 0
    taken = taken_by(path)
    return 2 if taken & {*MATRICES} else 1 if taken & {*ROWS, "values"} else 0


def _with_arrays(chart: Chart, taken: frozenset[str], dim: int, rows: tuple[int, ...]) -> Chart:
    """The chart with the vectors, the matrices and the variances that a function takes."""
    square = (*rows[:-1], dim, dim)
    shapes = dict.fromkeys(ROWS, rows) | dict.fromkeys(MATRICES, square) | {"values": (dim,)}
    chart = chart.with_arrays(**{name: s for name, s in shapes.items() if name in taken})
    if "distribution" in taken:
        chart = chart.also(**{f"lambda_{i}": POSITIVE for i in range(dim)})
    return chart.also(free_eta=ANY) if "eta" in taken else chart


def _numbers(path: str, v: V, steps: Steps) -> Numbers:
    taken, (s, t) = taken_by(path), steps
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
    return Numbers(v.schedule, t, s, axes=_axes(path), **given)


# ---- the charts, and the calls on them ----------------------------------------------------------

Steps = tuple[Any, Any]  # s, which is None where the function takes none, and t
SCHEDULES: dict[str, Callable[[int], Chart]] = {
    "any betas": betas,
    "roots of alpha": signal_roots,
    "roots of alpha and beta": lambda T: segments(T, *range(1, T)),
    "levels": levels,
}
ROUTES: dict[str, Callable[[int, int, int], Chart]] = {
    "one route": lambda T, s, t: segments(T, *sorted({s, t} - {0, T})),
    "one reverse step": reverse_step,
    "one DDIM step": ddim_step,
}
GROUPS = ("t = 0", "t = 1", "t >= 2")
Names = set[tuple[str, int]]
Claim = tuple[str, tuple[str, int]]  # a group of steps, and a part
Usable = dict[str, Names]  # for each group of steps the parts that have a value there


class Setting(NamedTuple):
    """A chart, the steps of the calls that are made on it, and the shape of a row or of rows."""

    label: str
    chart: Chart
    steps: tuple[Steps, ...]
    rows: tuple[int, ...]


def groups_of(steps: Steps) -> set[str]:
    """The groups of steps, at which a formula has a value together."""
    s, t = steps
    if t is None:
        return {"free"}
    if s is None:
        return {GROUPS[min(int(i), 2)] for i in np.ravel(t)}
    return {"s = 0" if i == 0 else "s >= 1" for i in np.ravel(s)}


def wanted_at(steps: Steps, usable: Usable) -> Names:
    """The parts that have a value at all of these steps."""
    return set.intersection(*(set(usable.get(group, ())) for group in groups_of(steps)))


def _settings(path: str, kind: str, T: int, usable: Usable) -> Iterator[Setting]:
    """The calls of a function on the charts of one kind with T steps; dim is 2 or 3."""
    taken, single = taken_by(path), (2 + T % 2,)
    if kind in ROUTES:
        for s, t in routes(T):
            if wanted_at((s, t), usable):
                label = f"{kind}, {s} to {t} of {T}"
                yield Setting(label, ROUTES[kind](T, s, t), ((s, t),), single)
        return
    chart, label = SCHEDULES[kind](T), f"{kind}, T = {T}"
    if takes_route(path):
        calls = tuple(steps for steps in routes(T) if wanted_at(steps, usable))
        if calls:
            yield Setting(label, chart, calls, single)
        if calls and "self" in taken:
            together = np.array(calls).T
            yield Setting(f"{label}, as arrays", chart, ((together[0], together[1]),), single)
        return
    visited = [t for t in range(T + 1) if wanted_at((None, t), usable)]
    if not visited or "t >= 2" not in usable:
        return
    yield Setting(label, chart, tuple((None, t) for t in visited), single)
    if "distribution" in taken or path.startswith("schedule."):
        return
    if is_kernel(path) and taken & {*ROWS}:
        return
    if T > 3:
        return
    for first in {visited[0], min(2, T)}:
        of_rows = (None, steps_in_batch(T, first))
        yield Setting(f"{label}, in batches from t = {first}", chart, (of_rows,), BATCH)
    if taken & {*ROWS}:
        stacks = tuple((None, t) for t in steps_in_stack(T, visited[0]))
        yield Setting(f"{label}, in stacks", chart, stacks, STACK)


def _batches_of_routes() -> Iterator[Setting]:
    """Rows of a batch, each with a route of its own, the first route twice."""
    for T in LENGTHS[:2]:
        for cuts in (c for n in range(T) for c in combinations(range(1, T), n)):
            ends, i = np.array([0, *cuts, T]), np.append(np.arange(len(cuts) + 1), 0)
            label = f"one route, {' '.join(map(str, ends))}, in batches"
            yield Setting(label, segments(T, *cuts), ((ends[i], ends[i + 1]),), (len(i), 2))


# ---- kernels with free parameters ---------------------------------------------------------------

SQUARES = ("alpha_t", "beta_t", "alpha_{t|s}", "beta_{t|s}", "noise", "kept", "direction")
LEVELS = ("alpha_bar_t", "alpha_bar_{t-1}", "alpha_bar_s")


def _free(path: str) -> Setting:
    """Each parameter of a kernel is a variable of its own, with roots that are rational."""
    symbols = [symbol_of(name) for name in parameters_of(path)]
    variables = dict(zip("abcdefgh", sorted({s.removeprefix("1 - ") for s in symbols})))

    def build(**v: Symbol) -> SimpleNamespace:
        given: dict[str, Any] = {}
        roots: list[Any] = []
        for letter, name in variables.items():
            x = v[letter]
            p, c = (1 - x * x) / (1 + x * x), 2 * x / (1 + x * x)
            if name in LEVELS:
                given |= {name: p * p, f"1 - {name}": c * c}
                roots += [p, c]
            elif name in SQUARES:
                given[name] = x * x
                roots.append(x)
            else:
                given[name] = x
        return SimpleNamespace(**given, roots=roots)

    def interval(name: str) -> Any:
        return UNIT if name in LEVELS else POSITIVE if name in SQUARES else ANY

    intervals = {letter: interval(name) for letter, name in variables.items()}
    return Setting("free", Chart(intervals, build, lambda v: list(v.roots)), ((None, None),), ())


def _free_numbers(v: V) -> Numbers:
    given = {name: x for name, x in vars(v).items() if len(name) > 1 and name != "roots"}
    return Numbers(None, None, **given)


# ---- the identities -----------------------------------------------------------------------------


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
    groups = ("s = 0", "s >= 1") if takes_route(path) else GROUPS
    required, proved, nowhere, why = set[Claim](), set[Claim](), set[Claim](), ""
    if is_kernel(path):
        groups = groups[-2:]
        domain, v = _free(path).chart.namespace()
        found = _with_value(path, _free_numbers(v), domain)
        explicit = {f.text: len(f.parts) - 1 for f in formulas(path)}
        valued = {name for name in found.valued if name[1] == explicit[name[0]]}
        required, why = set(product(groups, found.valued | found.undefined)), found.why
        nowhere |= set(product(groups, found.nowhere))
        if valued:
            yield _identity(path, _free(path), {"free": valued})
            proved |= set(product(groups, valued))
    for kind in (*SCHEDULES, *ROUTES):
        lacking = _lacking(required, proved | nowhere)
        if proved and not lacking and (is_kernel(path) or kind in ROUTES):
            continue
        usable, elsewhere, undefined, problem = _usable_on(path, kind)
        here = {(group, name) for group, found in usable.items() for name in found}
        required, nowhere, why = required | here | elsewhere, nowhere | undefined, problem or why
        kernel = is_kernel(path)
        for T in () if kernel and here <= proved else (2,) if kernel or here <= proved else LENGTHS:
            for setting in _settings(path, kind, T, usable):
                yield _identity(path, setting, usable)
        if here - proved and kind == "one route" and {"s", "x_s"} <= taken_by(path):
            for setting in _batches_of_routes():
                yield _identity(path, setting, usable)
        proved |= here
    lacking = _lacking(required, proved | nowhere)
    lacking |= {c for c in nowhere if c[1] != WHOLE and c[1] not in {name for _, name in proved}}
    if lacking or not proved:
        what = "; ".join(sorted({f"{name[0]} for {group}" for group, name in lacking})) or "it"
        raise ValueError(f"the docstring of {path}: no chart for {what}: {why}")


def _lacking(required: set[Claim], settled: set[Claim]) -> set[Claim]:
    """The claims that are left, where the whole function stands for all parts that were seen."""
    seen = {name for _, name in required} - {WHOLE}
    every = {(g, name) for g, n in required for name in (seen if n == WHOLE else {n})}
    return {claim for claim in every - settled if (claim[0], WHOLE) not in settled}


def _usable_on(path: str, kind: str) -> tuple[Usable, set[Claim], set[Claim], str]:
    """The parts that have a value at all steps of a group, for T = 3; those that need another kind
    of chart; those that have none anywhere; why."""
    usable: Usable = {}
    elsewhere, nowhere, why, route = set[Claim](), set[Claim](), "", takes_route(path)
    if kind in ROUTES and not route:
        return {}, elsewhere, nowhere, why
    first = 1 if path.startswith("schedule.") else 0
    for steps in routes(3) if route else [(None, t) for t in range(first, 4)]:
        [group] = groups_of(steps)
        v = _discovery(kind, steps if kind in ROUTES else None)
        if v is not None:
            found = _with_value(path, _numbers(path, v, steps), v.domain)
            elsewhere |= {(group, name) for name in found.undefined}
            nowhere |= {(group, name) for name in found.nowhere}
            usable[group] = usable.get(group, found.valued) & found.valued
            why = why or found.why
    if not route and not usable.get("t >= 2"):
        usable = {}
    usable = {group: found for group, found in usable.items() if found}
    return usable, elsewhere, nowhere, why


@cache
def _discovery(kind: str, steps: Steps | None) -> V | None:
    """A chart of three steps with all that a function may take; None where the kind has none."""
    try:
        chart = SCHEDULES[kind](3) if steps is None else ROUTES[kind](3, *steps)
    except NO_VALUE:
        return None
    taken = frozenset({*ROWS, *MATRICES, "values", "distribution", "eta"})
    try:
        domain, v = _with_arrays(chart, taken, 2, (2,)).namespace()
    except NO_VALUE:  # the reverse steps lead to s >= 1
        return None
    v.domain = domain
    return v


class Found(NamedTuple):
    """The exact parts that have a value, those that need another chart for one, those that have
    none anywhere, and why."""

    valued: Names
    undefined: Names
    nowhere: Names
    why: str = ""


WHOLE = ("", 0)  # stands for all parts, where the function itself has no value in a chart


def _with_value(path: str, numbers: Numbers, domain: Domain) -> Found:
    """What has a value. A part that divides by 0 has none anywhere, nor has one that is NaN.

    A function may refuse the steps; a root that it takes may need another chart.
    """
    refusals = len(domain.refusals)
    try:
        parts = [p for p in parts_of(path, result_of(path, numbers), numbers) if p.formula.exact]
    except ZeroDivisionError as error:
        return Found(set(), set(), {WHOLE}, str(error))
    except NO_VALUE as error:
        taken = len(domain.refusals) > refusals
        return Found(set(), {WHOLE} if taken else set(), set(), str(error))
    found = Found(set(), set(), set())
    for part in parts:
        if any(isinstance(x, float) and np.isnan(x) for x in np.ravel(part.actual)):
            found.nowhere.add(part.name)
            continue
        try:
            part.expected()
        except ZeroDivisionError:
            found.nowhere.add(part.name)
        except NO_VALUE as error:
            found.undefined.add(part.name)
            found = found._replace(why=str(error))
        else:
            found.valued.add(part.name)
    return found


def _identity(path: str, setting: Setting, usable: Usable) -> Identity:
    def sides(v: V) -> tuple[list[Any], list[Any]]:
        left, right = [], []
        for steps in setting.steps:
            free = setting.label == "free"
            numbers = _free_numbers(v) if free else _numbers(path, v, steps)
            wanted = wanted_at(steps, usable)
            for part in parts_of(path, result_of(path, numbers), numbers):
                if part.name in wanted:
                    left.append(part.actual)
                    right.append(part.expected())
        return left, right

    chart = setting.chart
    if setting.rows:
        chart = _with_arrays(chart, taken_by(path), setting.rows[-1], setting.rows)
    statement = ",  ".join(f.text for f in formulas(path) if f.exact)
    name = f"{path} is its formula, {setting.label}"
    return Identity(name, equation_numbers(function_at(path)), statement, chart, sides)


def _failing(path: str, error: Exception) -> Identity:
    def sides(v: V) -> tuple[Any, Any]:
        raise error

    numbers = [e.number for e in EQUATIONS.values() if path in e.functions]
    return Identity(f"{path} is its formula", tuple(numbers), str(error), Chart({}), sides)
