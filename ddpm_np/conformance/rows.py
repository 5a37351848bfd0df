"""The rows of a batch, and its coordinates: whether each is treated on its own."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import Unusable, to_numpy
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.probe import Step, probed_steps

_ONE_T = "one t for the whole batch only"
_COLUMN = "a t for each row must have shape (n, 1), as (n,) goes along the coordinates"
_SPREAD = "spreads its t over a batch: the t of rows after the first were not looked at"
_MIXED = [2, 0, 1]  # the steps of the three rows where they are mixed


def look_at_rows(caller: Caller, done: list[Step]) -> str:
    """What is wrong with batches, against calls with a single row; done: where it works.

    What could not be looked at is left in the notes.
    """
    steps = done or probed_steps(caller)
    if caller.operation == "ddim_step":  # one eta, and every step of the same length
        (t, s, eta) = steps[0]
        steps = [p for p in steps if p[2] == eta and p[0] - p[1] == t - s]
    picked = [steps[i] for i in np.linspace(0, len(steps) - 1, 3).astype(int)]
    root = max(float(min(caller.view.exact.bar[t] for t, _, _ in picked)), 1e-4) ** 0.5
    rng = np.random.default_rng(1)
    rows = {n: rng.uniform(0.2, 0.8, (3, 5)) * root / 4 for n in caller.vectors}
    form = caller.form
    try:
        return _look(caller, picked, rows)
    finally:
        caller.form = form


def _look(caller: Caller, picked: list[Step], rows: dict[str, Array]) -> str:
    wrong = _cast_table(caller, picked[0], rows)
    if wrong or not caller.settled:
        return wrong or _sideways(caller, picked, rows, None)
    try:
        singles = [
            [_both(caller, step, {n: a[i : i + 1] for n, a in rows.items()}) for step in picked]
            for i in range(3)
        ]
    except Exception as error:
        if tried(_both, caller, picked[0], {n: a[:2] for n, a in rows.items()}) is None:
            return ""  # it does not work for two rows either, which is said elsewhere
        told = str(error) if isinstance(error, Unusable) else caller.message(error)
        return f"a batch of one row: {told}"
    other = {n: np.concatenate([a[:1, :1] * 0.5, a[:1, 1:]], axis=1) for n, a in rows.items()}
    if not _same(_both(caller, picked[0], other)[..., 1:], singles[0][0][..., 1:], caller):
        return "the coordinates are mixed: one of the result depends on others"
    wrong = _mirrored(caller, rows) if caller.draws_t else ""
    for k, step in enumerate(picked):
        out = tried(_both, caller, step, rows)
        wrong = wrong or _mixed_up(out, singles, [k] * 3, caller)
    if wrong or caller.alone or len({t for t, _, _ in picked}) < 2:
        return wrong
    return _mixed_steps(caller, picked, rows, singles)


def _mixed_steps(
    caller: Caller, picked: list[Step], rows: dict[str, Array], singles: list[list[Array]]
) -> str:
    """Rows with a t of their own, of shape (n,) and of shape (n, 1)."""
    outs, form = dict[str, Any](), caller.form
    if not caller.one_t:
        for caller.form in ("rows", "column"):
            outs[caller.form] = tried(_both, caller, _columns(picked, _MIXED), rows)
        if outs["rows"] is not None:
            return _mixed_up(outs["rows"], singles, _MIXED, caller)
        sideways = _sideways(caller, picked, rows, singles)
        right = outs["column"] is not None and not _mixed_up(
            outs["column"], singles, _MIXED, caller
        )
        if right and sideways and form == "column":  # it takes no int: rows of t are meant
            return f"{sideways}, where t has shape (n,)"
        if right or sideways:
            if right and sideways:
                caller.view.note(_COLUMN, caller.operation)
            return "" if right else sideways
    caller.view.note(_ONE_T, caller.operation)
    return ""


def tried(call: Callable[..., Any], *arguments: Any) -> Any:
    """What a call returns; None where it raises."""
    try:
        return call(*arguments)
    except Exception:
        return None


def _cast_table(caller: Caller, step: Step, rows: dict[str, Array]) -> str:
    """What a call in half precision does to a table."""
    dtype = caller.view.dtype
    try:
        caller.view.dtype = np.float16
        caller.raw(*step, **rows)
    except Unusable as why:
        return f"called in half precision it {why}" if "table" in str(why) else ""
    except Exception:
        pass
    finally:
        caller.view.dtype = dtype
    return ""


def _mirrored(caller: Caller, rows: dict[str, Array]) -> str:
    """Whether the rows that a loss takes at T + 1 - t are at another step."""
    view, t = caller.view, 2
    alone = {n: a[-1:] for n, a in rows.items()}
    caller.raw(t, **rows)
    (_, first), (x_t, time) = caller.asked_for(0), caller.asked_for(-1)
    each = caller.alone or caller.even
    if not each and (time is None or np.array_equal(time, np.asarray(first))):
        return ""
    if caller.drawn == 1 or view.T < 6:  # t and T + 1 - t would lie too close
        view.note(f"{caller.method.name} {_SPREAD}")
        return ""
    for far in (0, -1, 1):
        right = caller(view.T + 1 - t + far, **alone).value[0]
        right_time = caller.asked_for(0)[1]
        at_time = time is None or right_time is None or np.ravel(time)[-1] == right_time.flat[0]
        if at_time and _same(to_numpy(x_t)[-1].ravel(), right, caller):
            low, high = view.step(1), view.step(view.T)
            text = f"from {low + far} to {high + far}, not from {low} to {high}"
            return f"the mirrored half of its t is off by one: {text}" if far else ""
    return "the mirrored half of its t is not at T + 1 - t"


def _columns(picked: list[Step], order: list[int]) -> Any:
    """t and s of each row, and the one eta."""
    t, s = (np.array([picked[i][k] for i in order]) for k in (0, 1))
    return t, s, picked[0][2]


def _sideways(caller: Caller, picked: list[Step], rows: dict[str, Array], singles: Any) -> str:
    """Whether t of shape (n,) goes along the coordinates, which only n = dim lets pass."""
    caller.form, order = "rows", [0, 1, 2, 1, 0]
    wide = {n: np.resize(a, (5, 5)) for n, a in rows.items()}
    out = tried(_both, caller, _columns(picked, order), wide)
    if out is not None and singles is not None:
        one = [[singles[i % 3][k][0, 0, j] for j, k in enumerate(order)] for i in range(5)]
        out = out if np.allclose(out[0], one, rtol=1e-4, atol=1e-6) else None
    told = "t goes along the wrong axis: each coordinate has its own t, not each row"
    return "" if out is None else told


def _both(caller: Caller, step: Any, rows: dict[str, Array]) -> Array:
    """The value, with the variance beside it where there is one."""
    out = caller(*step, **rows)
    return np.stack([p.astype(np.float64) for p in out if p is not None])


def _same(a: Array, b: Array, caller: Caller) -> bool:
    near = 2.0**-16 if caller.view.dtype == np.float32 else 2.0**-40
    size = max(float(np.nanmax(np.abs(b), initial=0)), 1e-30)
    return bool(np.allclose(a, b, rtol=near, atol=near * size, equal_nan=True))


def _mixed_up(
    out: Array | None, singles: list[list[Array]], order: list[int], caller: Caller
) -> str:
    """Whether row i is the single row i at the i-th t, and if not, what it is."""
    n = range(len(order))

    def right(taken: Any) -> list[bool]:
        """For each row, whether it is the single row (i, t) that is taken."""
        assert out is not None
        return [_same(out[:, i], singles[j][k][:, 0], caller) for i, (j, k) in enumerate(taken)]

    rows = [True] if out is None else right([(i, order[i]) for i in n])
    if all(rows):
        return ""
    if all(right([(0, order[0])] * len(order))):
        return "row 0 of the batch is repeated in all rows"
    for j in n:
        if all(right([(i, order[j]) for i in n])):
            return f"the t of row {j} is taken for all rows"
    if len(set(order)) == 1:
        what = "a batch of several rows gives other numbers than single rows"
    else:
        what = "rows of different t give other numbers than single calls"
    return f"{what}: at row {rows.index(False)}"
