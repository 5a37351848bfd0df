"""From what was measured to rows: each coefficient, the rows of a batch, what is not affine."""

from typing import Any

import numpy as np

from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.judged import Coefficient, Judged
from ddpm_np.conformance.naming import clipping, dynamic, named
from ddpm_np.conformance.operations import wanted
from ddpm_np.conformance.probe import Measured, measure
from ddpm_np.conformance.report import Row
from ddpm_np.conformance.rows import look_at_rows, tried

_PRODUCTS = (("predict_x0", "x_t"), ("alphas_cumprod", "alpha_bar_t"), ("ddim_step", "x_t"))
_OFFSET = ("a constant is added", "not 0 where every argument is 0")
_SUM = ("not affine: the result at a sum is not the sum of results", "its terms do not add up")


def rows_of(caller: Caller, measured: Measured, *, explain: bool = True) -> list[Row]:
    """The rows of one operation; the names of deviations, which take time, only if asked for."""
    operation, view = caller.operation, caller.view
    equations = [e for e, _ in wanted(operation, measured.output)]
    broken = _broken(measured)
    if not len(measured.steps.t):
        if not broken:
            return []
        mixed = _mixed(caller, measured, equations[0]) if explain and not caller.settled else []
        return mixed or [Row(e, operation, "all", *broken) for e in dict.fromkeys(equations)]
    judged = caller.judged = Judged(view, operation, measured)
    rows = coefficient_rows(judged, explain)
    mixed = _mixed(caller, measured, equations[-1]) if explain else []
    if mixed:
        rows = [_contaminated(row, mixed[0].diagnosis) for row in rows]
    said = {r.diagnosis for r in rows if r.verdict == "clips"}
    if explain and said and not (len(said) == 1 and "is cut to" in said.copy().pop()):
        told = tried(dynamic, caller, judged)
        rows = [r._replace(diagnosis=told) if told and r.verdict == "clips" else r for r in rows]
    if broken:
        rows.insert(0, Row(equations[0], operation, "some steps", *broken))
    if explain and not view.stated_time and any(row.fails for row in rows):
        hint = tried(_other_time, caller)
        rows = [
            r._replace(diagnosis=f"{r.diagnosis}; {hint}") if r.fails and hint else r for r in rows
        ]
    return rows + (mixed or _not_affine(judged, rows))


def coefficient_rows(judged: Judged, explain: bool = True) -> list[Row]:
    """A row for every coefficient."""
    failing = [name for name, c in judged.of.items() if c.fails]
    said = named(judged, failing) if explain and failing else {}
    equations = {n: e for e, n in wanted(judged.operation, judged.measured.output)}
    return [_row(judged, equations[n], n, c, said.get(n, "")) for n, c in judged.of.items()]


def _row(judged: Judged, equation: str, name: str, c: Coefficient, diagnosis: str) -> Row:
    steps, key = judged.steps, (equation, judged.operation, name)
    if c.fails:
        failing = np.flatnonzero(c.grades >= 2)
        i = failing[np.argmin(steps.t[failing])]
        text = f"{judged.place(i)}: {c.values[i]:.6g}, not {c.right[i]:.6g}"
        return Row(*key, "differs", float(np.max(c.errors)), int(steps.t[i]), diagnosis, text)
    worst, digits = int(np.argmax(c.errors)), bool(c.grades.max())
    t, ulp = int(steps.t[worst]), float(c.errors[worst])
    clipped = clipping(judged, name)
    if clipped is not None:
        return Row(*key, "clips", ulp, *clipped)
    notes = [_lost(judged, name, c)] if digits else []
    if judged.base.name and name in ("z", "variance") and steps.t.max() > 1:
        notes.append(f"the variance is {judged.base.name}")
    return Row(*key, "digits" if digits else "holds", ulp, t, "; ".join(notes))


def _lost(judged: Judged, name: str, c: Coefficient) -> str:
    """Where the digits went."""
    own = judged.full(judged.world(judged.unit).of(judged.base)[name].off)
    if np.any(np.abs(c.values - c.right) > own):
        return "float32 tables"
    product = name in ("x_0", "x_prev") or (judged.operation, name) in _PRODUCTS
    what = "a running product" if product else "1 - alpha_bar or beta by subtraction"
    return f"{what} in {np.dtype(judged.measured.dtype)}"


def _broken(measured: Measured) -> tuple[Any, ...] | None:
    """The verdict on the steps that gave nothing that can be compared."""
    if not measured.failed:
        return None
    t, message, raised = min(measured.failed)
    total = len(measured.failed) + len(measured.steps.t)
    count = f" ({len(measured.failed)} of {total} steps)" if total > 1 else ""
    verdict = "raises" if raised else "differs"
    return verdict, np.nan, t, f"{message}{count}", f"t = {t}: {message}"


def _mixed(caller: Caller, measured: Measured, equation: str) -> list[Row]:
    """A row for a batch whose rows, or whose coordinates, are mixed up."""
    wrong = look_at_rows(caller, measured.steps.listed())
    what = "tables" if " the table " in wrong else "rows"
    what = "coordinates" if "coordinates are" in wrong else what
    return [Row(equation, caller.operation, what, "differs", diagnosis=wrong)] if wrong else []


def _contaminated(row: Row, mixed: str) -> Row:
    """A row of a batch that is mixed up: what looks wrong may be another row or coordinate."""
    if row.verdict == "clips":
        return row._replace(verdict="holds", diagnosis="", smallest_example="")
    unclear = "no convention" in row.diagnosis or "term is missing" in row.diagnosis
    among = "several rows" in mixed or "coordinates are" in mixed
    return row._replace(diagnosis=mixed) if row.fails and unclear and among else row


def _other_time(caller: Caller) -> str:
    """A hint, where all holds with the other first step."""
    view, first = caller.view, caller.view.first_step
    view.first_step = 1 - first
    try:
        other = Caller(view, caller.operation, caller.snapshot)
        measured = measure(other)
        if measured.failed or not len(measured.steps.t):
            return ""
        judged = Judged(view, caller.operation, measured)
    finally:
        view.first_step = first
    if any(c.fails for c in judged.of.values()):
        return ""
    return f"with first_step = {1 - first} it holds: its time starts at {1 - first}"


def _not_affine(judged: Judged, rows: list[Row]) -> list[Row]:
    """Rows for a value at 0, and for terms that do not add up."""
    measured, verdicts = judged.measured, {row.verdict for row in rows}
    sizes = [c.size.astype(np.float64) for n, c in judged.of.items() if "variance" not in n]
    sums = np.abs(measured.mixed) > 256 * judged.unit * np.sum(np.abs(sizes), axis=0)
    found = []
    for what, bad, explained, why, text in (
        ("offset", np.abs(measured.offset) > 0, {"raises"}, *_OFFSET),
        ("sum", sums, {"clips", "differs"}, *_SUM),
    ):
        if np.any(bad) and not verdicts & explained:
            i = int(np.argmax(bad))
            key = (rows[-1].equation, judged.operation, what, "differs", np.inf)
            found.append(Row(*key, int(judged.steps.t[i]), why, f"{judged.place(i)}: {text}"))
    return found
