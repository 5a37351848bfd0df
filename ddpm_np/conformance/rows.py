"""The rows of a batch, and its coordinates: whether each is treated on its own."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import Unusable
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.probe import Step, probed_steps

ONE_T = ": one t for the whole batch only"
COLUMN = ": a t for each row must have shape (n, 1), as (n,) goes along the coordinates"
_ORDER = [2, 0, 1]  # the steps of the three rows where they are mixed


class Rows(NamedTuple):
    """What is wrong with the rows of a batch, and what could not be looked at."""

    wrong: str = ""
    left_out: str = ""


def look_at_rows(caller: Caller, done: list[Step]) -> Rows:
    """Rows of one t and of mixed t against calls with a batch of one row; done: where it works."""
    steps = done or probed_steps(caller)[0]
    if caller.operation == "ddim_step":  # one eta, and every step of the same length
        (t, s, eta) = steps[0]
        steps = [p for p in steps if p[2] == eta and p[0] - p[1] == t - s]
    picked = [steps[i] for i in np.linspace(0, len(steps) - 1, 3).astype(int)]
    root = max(float(min(caller.view.exact.alpha_bar[t] for t, _, _ in picked)), 1e-4) ** 0.5
    rng = np.random.default_rng(1)
    rows = {n: rng.uniform(0.2, 0.8, (3, 5)) * root / 4 for n in caller.vectors}
    form = caller.form
    try:
        return _look(caller, picked, rows, form)
    finally:
        caller.form = form


def _look(caller: Caller, picked: list[Step], rows: dict[str, Array], form: str) -> Rows:
    table = _cast_table(caller, picked[0], rows)
    if table:
        return Rows(table)
    if not caller.settled:
        return Rows(_sideways(caller, picked, rows, None))
    try:
        singles = [
            [_both(caller, step, {n: a[i : i + 1] for n, a in rows.items()}) for step in picked]
            for i in range(3)
        ]
    except Exception as error:
        try:
            caller(*picked[0], **{n: a[:2] for n, a in rows.items()})
        except Exception:
            return Rows()  # it does not work for two rows either, which is said elsewhere
        told = str(error) if isinstance(error, Unusable) else caller.message(error)
        return Rows(f"a batch of one row: {told}")
    other = {n: np.concatenate([a[:1, :1] * 0.5, a[:1, 1:]], axis=1) for n, a in rows.items()}
    if not _same(_both(caller, picked[0], other)[..., 1:], singles[0][0][..., 1:], caller):
        return Rows("the coordinates are mixed: one of the result depends on others")
    wrong = _mirrored(caller, rows) if caller.operation == "p_losses" else ""
    if wrong:
        return Rows(wrong)
    for k, step in enumerate(picked):
        try:
            wrong = _mixed_up(_both(caller, step, rows), singles, [k] * 3, caller)
        except Exception:
            continue
        if wrong:
            return Rows(wrong)
    if len({t for t, _, _ in picked}) < 2:
        return Rows()
    if caller.alone:
        return Rows()
    one_only = Rows("", f"{caller.operation}{ONE_T}")
    if caller.one_t:
        return one_only
    found: dict[str, str] = {}
    for caller.form in ("rows", "column"):
        try:
            out = _both(caller, _columns(picked, _ORDER), rows)
            found[caller.form] = _mixed_up(out, singles, _ORDER, caller)
        except Exception:
            continue
    if "rows" in found:
        return Rows(found["rows"])
    sideways = _sideways(caller, picked, rows, singles)
    if "" not in found.values():
        return Rows(sideways) if sideways else one_only
    if sideways and form == "column":  # an int it does not take: rows of t are meant
        return Rows(f"{sideways}, where t has shape (n,)")
    return Rows("", f"{caller.operation}{COLUMN}" if sideways else "")


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
    """Whether the half of a batch that a loss takes at T + 1 - t is at another step."""
    view, t, caller.second = caller.view, 2, None
    if view.T < 6:  # t and T + 1 - t would lie too close
        return ""
    caller(t, **rows)
    if caller.second is None:
        return ""
    # The last row only: where n // 2 + 1 steps are drawn, one more row has a drawn one.
    second, asked = caller.second
    shift = min(caller.asked, default=0)
    first, last = view.step(1), view.step(view.T)
    for far in (0, -1, 1):
        at = view.T + 1 - t + far
        right = asked is None or np.ravel(asked)[-1] == view.step(at) + shift
        if right and _same(second[-1], caller(at, **rows).value[-1], caller):
            text = f"from {first + far} to {last + far}, not from {first} to {last}"
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
    try:
        out = _both(caller, _columns(picked, order), wide)
    except Exception:
        return ""
    if singles is not None:
        one = [[singles[i % 3][k][0, 0, j] for j, k in enumerate(order)] for i in range(5)]
        if not np.allclose(out[0], one, rtol=1e-4, atol=1e-6):
            return ""
    return "t goes along the wrong axis: each coordinate has its own t, not each row"


def _both(caller: Caller, step: Any, rows: dict[str, Array]) -> Array:
    """The value, with the variance beside it where there is one."""
    out = caller(*step, **rows)
    return np.stack([p.astype(np.float64) for p in out if p is not None])


def _same(a: Array, b: Array, caller: Caller) -> bool:
    near = 2.0**-16 if caller.view.dtype == np.float32 else 2.0**-40
    size = max(float(np.nanmax(np.abs(b), initial=0)), 1e-30)
    return bool(np.allclose(a, b, rtol=near, atol=near * size, equal_nan=True))


def _mixed_up(out: Array, singles: list[list[Array]], order: list[int], caller: Caller) -> str:
    """Whether row i is the single row i at the i-th t, and if not, what it is."""
    n = range(len(order))

    def right(taken: Any) -> list[bool]:
        """For each row, whether it is the single row (i, t) that is taken."""
        return [_same(out[:, i], singles[j][k][:, 0], caller) for i, (j, k) in enumerate(taken)]

    rows = right([(i, order[i]) for i in n])
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
