"""Probing an operation: unit vectors read off its coefficients, batches show how it treats rows.

Every operation is affine and acts coordinate by coordinate: with as many coordinates as arguments,
one call on unit vectors returns all its coefficients. A second row with large values shows clipping
or anything that is not affine, and a coordinate of zeros an offset.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import FAULTS, Unusable
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.formulas import COEFFICIENTS, Steps

LARGE = 1024.0
_MOST = 2000


class Measured(NamedTuple):
    """What probing an operation gave.

    steps: those where it returned something; values: the coefficients there, float64; large: what
    the coefficient seems to be for large values; offset and mixed: its result at 0, and its error
    on all large arguments together, both as multiples of the unit; failed: (t, message, raised)
    for the steps where it did not; dtype: that of its results; left_out: what was not probed;
    output: what stands for eps.
    """

    steps: Steps
    values: dict[str, Array]
    large: dict[str, Array]
    offset: Array
    mixed: Array
    failed: list[tuple[int, str, bool]]
    dtype: Any
    left_out: list[str]
    output: str = "eps"


def wanted(operation: str, output: str) -> list[tuple[str, str]]:
    """The rows of an operation: equation and coefficient."""
    return [(e, output if n == "output" else n) for e, n in COEFFICIENTS[operation]]


def probed_steps(caller: Caller) -> tuple[list[tuple[int, int, float]], list[str]]:
    """(t, s, eta) for every t, for steps with s or eta also others; and what is left out."""
    T, operation, left = caller.view.T, caller.operation, []
    every = list(range(1, T + 1))
    if T > _MOST:
        every = sorted({*range(1, 101), *np.linspace(1, T, _MOST - 100).astype(int).tolist()})
        left.append(f"{operation}: {len(every)} of {T} steps were probed")
    routes = caller.view.routes() if operation in ("reverse_step", "ddim_step") else None
    etas: tuple[float, ...] = (0.0, 0.5, 1.0) if operation == "ddim_step" else (1.0,)
    if operation == "ddim_step" and caller.method.roles and not caller.method.takes("eta"):
        etas = (0.0,)
    if routes is not None and not (operation == "reverse_step" and _plain_time(caller)):
        left.append(f"{operation}: only the {len(routes)} steps of its own list were probed")
        return [(t, s, eta) for t, s in sorted(routes) for eta in etas], left
    strided = operation == "reverse_step" and caller.method.takes("s")
    if operation != "ddim_step" and not strided:
        return [(t, t - 1, 1.0) for t in every], left
    few = sorted({*every[:10], *every[:: max(len(every) // 30, 1)], *every[-1:]})
    longer = [(t, s) for t in few for s in sorted({0, t // 2, t - 2}) if 0 <= s < t - 1]
    if strided:
        return [(t, t - 1, 1.0) for t in every] + [(t, s, 1.0) for t, s in longer], left
    usual = etas[len(etas) // 2]
    found = [(t, t - 1, usual) for t in every]
    found += [(t, t - 1, eta) for t in few for eta in etas if eta != usual]
    return found + sorted((t, s, min(e, 0.8)) for t, s in longer for e in etas), left


def _plain_time(caller: Caller) -> bool:
    """Whether a reverse step has nothing to do with a list of steps: it is not called step."""
    return caller.method.name not in ("step",)


def measure(caller: Caller) -> Measured:
    """Probes an operation at every step, and never raises for what the operation does."""
    operation, view = caller.operation, caller.view
    probes, left_out = probed_steps(caller)
    caller.settle([probes[i] for i in sorted({len(probes) // 2, 0, len(probes) - 1})])
    done: list[tuple[int, int, float]] = []
    found: list[dict[str, float]] = []
    large: list[dict[str, float]] = []
    rest: list[tuple[float, float]] = []
    failed: list[tuple[int, str, bool]] = []
    declined = 0
    dtype: Any = view.dtype
    for i, (t, s, eta) in enumerate(probes):
        root = max(float(view.exact.alpha_bar[t]), 1e-20) ** 0.5
        unit = 2.0 ** (np.floor(np.log2(root)) - 3)
        vectors = _vectors(caller.vectors, unit)
        try:
            out = caller(t, s, eta, **vectors)
            if i in (0, len(probes) - 1):
                again = caller(t, s, eta, **vectors)
                if not np.array_equal(again.value, out.value, equal_nan=True):
                    text = "two equal calls give different results"
                    if caller.draws:
                        text = f"{text}: it draws noise that the kit cannot replace"
                    elif any(n in caller.vectors for n in ("z", "noise")):
                        text = f"{text}: it draws noise besides that which it is given"
                    return _nothing(caller, (t, text, False), left_out)
            small, big, other = _read(caller.vectors, out, unit)
        except Unusable as why:
            failed.append((t, str(why), False))
            continue
        except NotImplementedError:
            declined += 1  # a step that this code does not offer
            continue
        except FAULTS as error:
            if float(view.exact.alpha_bar[t]) < 1e-60 and isinstance(error, ValueError):
                left_out.append(f"{operation} refuses t = {t}, where no signal is left")
                continue
            failed.append((t, caller.message(error), True))
            continue
        dtype = out.value.dtype if out.value.itemsize > 2 else view.dtype
        done.append((t, s, eta))
        found.append(small)
        large.append(big)
        rest.append(other)
    if declined and not done and not failed:
        failed = [(probes[0][0], "NotImplementedError at every step", True)]
    elif declined:
        left_out.append(f"{operation}: {declined} of {len(probes)} steps are not offered")
    names = [name for _, name in wanted(operation, caller.output)]
    return Measured(
        _steps(done),
        _columns(found, names),
        _columns(large, names),
        np.array([r[0] for r in rest]),
        np.array([r[1] for r in rest]),
        failed,
        dtype,
        left_out,
        caller.output,
    )


def _nothing(caller: Caller, why: tuple[int, str, bool], left_out: list[str]) -> Measured:
    none: Array = np.zeros(0)
    empty = {name: none for _, name in wanted(caller.operation, caller.output)}
    dtype = caller.view.dtype
    return Measured(_steps([]), empty, empty, none, none, [why], dtype, left_out, caller.output)


def _vectors(names: list[str], unit: float) -> dict[str, Array]:
    """Row 0: for each a unit in a coordinate of its own, then zeros. Row 1: large ones."""
    k = len(names)
    vectors = {name: np.zeros((2, k + 2)) for name in names}
    for i, vector in enumerate(vectors.values()):
        vector[0, i], vector[1, i], vector[1, k] = unit, LARGE, LARGE * 2.0**-i
    return vectors


def _read(
    names: list[str], out: Any, unit: float
) -> tuple[dict[str, float], dict[str, float], tuple[float, float]]:
    """The coefficients for small and for large values, the offset, and what does not add up."""
    wide = out.value.astype(np.float64)
    zero, k = wide[0, -1], len(names)
    with np.errstate(all="ignore"):
        small = {name: (wide[0, i] - zero) / unit for i, name in enumerate(names)}
        big = {name: wide[1, i] / LARGE for i, name in enumerate(names)}
        together = sum(v * 2.0**-i for i, v in enumerate(small.values()))
    for name, spread in (("variance", out.variance), ("log variance", out.log_variance)):
        if spread is not None:
            if not np.array_equal(spread, np.full_like(spread, spread[0, 0]), equal_nan=True):
                raise Unusable(f"returns a {name} that depends on the values of x_0 or x_t")
            small[name] = big[name] = float(spread[0, 0])
    return small, big, (zero / unit, wide[1, k] / LARGE - together)


def _columns(rows: list[dict[str, float]], names: list[str]) -> dict[str, Array]:
    """A column for every name that is in the rows."""
    there = [n for n in names if not rows or n in rows[0]]
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in there}


def _steps(done: list[tuple[int, int, float]]) -> Steps:
    t, s, eta = (np.array([d[i] for d in done]) for i in range(3))
    return Steps(t.astype(np.intp), s.astype(np.intp), eta.astype(np.float64))


# ---- the rows of a batch ------------------------------------------------------------------------


class Rows(NamedTuple):
    """What is wrong with the rows of a batch, and what could not be looked at."""

    wrong: str = ""
    left_out: str = ""


def look_at_rows(caller: Caller) -> Rows:
    """Rows of one t and of mixed t against calls with a batch of one row."""
    probes, _ = probed_steps(caller)
    rng = np.random.default_rng(1)
    picked = [probes[i] for i in np.linspace(0, len(probes) - 1, 3).astype(int)]
    if caller.operation == "ddim_step":  # one eta, and every step of the same length
        same = [
            p for p in probes if p[2] == probes[0][2] and p[0] - p[1] == probes[0][0] - probes[0][1]
        ]
        picked = [
            (same or probes)[i] for i in np.linspace(0, len(same or probes) - 1, 3).astype(int)
        ]
    root = max(float(min(caller.view.exact.alpha_bar[t] for t, _, _ in picked)), 1e-4) ** 0.5
    rows = {n: rng.uniform(0.2, 0.8, (3, 5)) * root / 4 for n in caller.vectors}
    form, dtype = caller.form, caller.view.dtype
    try:
        caller.view.dtype = np.float16
        caller.raw(*picked[0], **rows)
    except Unusable as why:
        if "table" in str(why):
            return Rows(f"called in half precision it {why}")
    except FAULTS:
        pass
    finally:
        caller.view.dtype = dtype
    if not caller.settled:
        ts, ss = (np.array([p[i] for p in picked]) for i in (0, 1))
        wrong = _sideways(caller, ts, ss, picked[0][2], rows, None)
        caller.form = form
        return Rows(wrong)
    try:
        singles = [
            [
                _both(caller, t, s, e, {n: a[i : i + 1] for n, a in rows.items()})
                for t, s, e in picked
            ]
            for i in range(3)
        ]
    except Unusable as why:
        return Rows(f"a batch of one row: {why}")
    except FAULTS as error:
        try:
            caller(*picked[0], **{n: a[:2] for n, a in rows.items()})
        except FAULTS:
            return Rows()  # it does not work for two rows either, which is said elsewhere
        return Rows(f"a batch of one row: {caller.message(error)}")
    for k, (t, s, eta) in enumerate(picked):
        try:
            together = _both(caller, t, s, eta, rows)
        except FAULTS:
            continue
        wrong = _mixed_up(together, singles, [k] * 3, caller)
        if wrong:
            return Rows(wrong)
    if len({t for t, _, _ in picked}) < 2:
        return Rows()
    if sum(role == "t" for role in (caller.method.roles or {}).values()) > 1:
        return Rows("", f"{caller.operation}: one t for the whole batch only")
    order = [2, 0, 1]
    ts, ss = (np.array([p[i] for p in picked]) for i in (0, 1))
    eta = picked[0][2]
    found: dict[str, str] = {}
    for caller.form in ("rows", "column"):
        try:
            out = _both(caller, ts[order], ss[order], eta, rows)
            found[caller.form] = _mixed_up(out, singles, order, caller)
        except FAULTS:
            continue
    sideways = ""
    if "rows" not in found and "" not in found.values():
        sideways = _sideways(caller, ts, ss, eta, rows, singles)
    caller.form = form
    if found.get("rows") or sideways:
        return Rows(found.get("rows") or sideways)
    if "" in found.values():
        return Rows()
    return Rows("", f"{caller.operation}: one t for the whole batch only")


def _sideways(
    caller: Caller, ts: Array, ss: Array, eta: float, rows: dict[str, Array], singles: Any
) -> str:
    """Whether t of shape (n,) goes along the coordinates, which only n = dim lets pass."""
    caller.form, order = "rows", np.array([0, 1, 2, 1, 0])
    wide = {n: np.resize(a, (5, 5)) for n, a in rows.items()}
    try:
        out = _both(caller, ts[order], ss[order], eta, wide)
    except FAULTS:
        return ""
    if singles is not None:
        one = np.array(
            [[singles[i % 3][k][0, 0, j] for j, k in enumerate(order)] for i in range(5)]
        )
        if not np.allclose(out[0], one, rtol=1e-4, atol=1e-6):
            return ""
    return "t goes along the wrong axis: each coordinate has its own t, not each row"


def _both(caller: Caller, t: Any, s: Any, eta: float, rows: dict[str, Array]) -> Array:
    """The value, with the variance beside it where there is one."""
    out = caller(t, s, eta, **rows)
    parts = [p for p in out if p is not None]
    return np.stack([p.astype(np.float64) for p in parts])


def _mixed_up(out: Array, singles: list[list[Array]], order: list[int], caller: Caller) -> str:
    """Whether row i is the single row i at the i-th t, and if not, what it is."""
    near = 2.0**-16 if caller.view.dtype == np.float32 else 2.0**-40

    def same(a: Array, b: Array) -> bool:
        size = max(float(np.nanmax(np.abs(b), initial=0)), 1e-30)
        return bool(np.allclose(a, b, rtol=near, atol=near * size, equal_nan=True))

    n = range(len(order))
    if all(same(out[:, i], singles[i][order[i]][:, 0]) for i in n):
        return ""
    if all(same(out[:, i], singles[0][order[0]][:, 0]) for i in n):
        return "row 0 of the batch is repeated in all rows"
    for j in n:
        if all(same(out[:, i], singles[i][order[j]][:, 0]) for i in n):
            return f"the t of row {j} is taken for all rows"
    bad = next(i for i in n if not same(out[:, i], singles[i][order[i]][:, 0]))
    whole = len(set(order)) == 1
    what = (
        "a batch of several rows gives other numbers than single rows"
        if whole
        else ("rows of different t give other numbers than single calls")
    )
    return f"{what}: at row {bad}"
