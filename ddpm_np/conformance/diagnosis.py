"""From measured coefficients to rows: the verdict, the error in ulp, a deviation's name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.conventions import candidates, pairs
from ddpm_np.conformance.formulas import FORMULAS, Steps, Tables, rounding_bound, symbols, value
from ddpm_np.conformance.operations import COEFFICIENTS, LARGE, Measured, exact
from ddpm_np.conformance.report import Row
from ddpm_np.conformance.subject import Subject
from ddpm_np.proof.reference import ulp_error

# Six bits: a product of a thousand rounded factors takes up to half of them.
LIMIT = 64.0
_ROUNDOFF = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}
_FLOAT32 = 2.0**-24
_ORDER = ("holds", "digits", "clips", "differs", "raises")


def rows_of(
    subject: Subject, operation: str, measured: Measured, *, explain: bool = True
) -> list[Row]:
    """The rows of one operation; the names of deviations, which take time, only if asked for."""
    wanted = COEFFICIENTS[operation]
    broken = _broken(operation, measured)
    if not len(measured.steps.t):
        return (
            [Row(e, operation, "all", *broken) for e in dict.fromkeys(e for e, _ in wanted)]
            if broken
            else []
        )
    expected = exact(subject.reference, operation, measured.steps)
    tables = Tables(subject.reference, subject.alphas_cumprod)
    rows = [
        judge(equation, operation, name, measured, expected, tables, explain=explain)
        for equation, name in wanted
    ]
    if broken:
        rows.insert(0, Row(wanted[0][0], operation, "some steps", *broken))
    return rows + _affine(operation, measured, rows, expected)


def judge(
    equation: str,
    operation: str,
    name: str,
    measured: Measured,
    expected: dict[str, tuple[Array, Array]],
    tables: Tables,
    *,
    explain: bool = True,
) -> Row:
    """One coefficient: its verdict at every step, then the worst of them."""
    actual, steps = measured.values[name], measured.steps
    named = [k for k in expected if k == name or k.startswith(f"{name}, ")]
    tries = [_compare(operation, name, k, measured, expected[k], tables) for k in named]
    best = min(range(len(tries)), key=lambda i: (tries[i][0].max(), int((tries[i][0] > 1).sum())))
    grades, errors = tries[best]
    note = ""
    if len(named) > 1 and grades.max() < 2 and steps.t.max() > 1:
        note = f"the variance is {'beta' if 'beta' in named[best] else 'beta_tilde'}"
    if grades.max() >= 2:
        failing = np.flatnonzero(grades >= 2)
        i = failing[np.argmin(steps.t[failing])]
        diagnosis = diagnose(operation, name, measured, tables, grades >= 2) if explain else ""
        shown = float(np.max(errors))
        right = float(expected[named[best]][0][i])
        text = f"{_at(operation, steps, i)}: {actual[i]:.6g}, not {right:.6g}"
        return Row(equation, operation, name, "differs", shown, int(steps.t[i]), diagnosis, text)
    worst = int(np.argmax(errors))
    t, ulp = int(steps.t[worst]), float(errors[worst])
    if grades.max() == 1:
        lost = _lost(operation, name, measured, tables, actual, expected[named[best]][0])
        note = f"{lost}; {note}" if note else lost
    verdict = _ORDER[grades.max()]
    clipped = _clipping(operation, name, measured, expected[named[best]], tables)
    if clipped is not None:
        t, why, text = clipped
        return Row(equation, operation, name, "clips", ulp, t, why, text)
    return Row(equation, operation, name, verdict, ulp, t, note, "")


def _compare(
    operation: str,
    name: str,
    key: str,
    measured: Measured,
    expected: tuple[Array, Array],
    tables: Tables,
) -> tuple[Array, Array]:
    """At every step 0 holds, 1 digits, 2 differs; and the error in ulp of the result's dtype."""
    actual, steps = measured.values[name], measured.steps
    with np.errstate(over="ignore"):
        errors = ulp_error(actual.astype(measured.dtype), expected[0], scale=expected[1])
    allowed = _allowed(operation, name, key, steps, tables, max(_FLOAT32, _unit(measured)))
    off = np.abs(actual - expected[0].astype(np.float64))
    grades = np.where(errors <= LIMIT, 0, np.where(off <= allowed, 1, 2))
    return np.where(np.isfinite(actual), grades, 2), errors


def _allowed(operation: str, name: str, key: str, steps: Steps, tables: Tables, u: float) -> Array:
    formulas, at = FORMULAS[operation, name], symbols(tables, steps)
    if key == "z, beta":
        formulas = formulas[1:]
    elif key == "z":
        formulas = formulas[:1]
    bounds = [rounding_bound(formula, at, steps, u) for formula in formulas]
    bound: Array = np.max(bounds, axis=0)
    return np.where(steps.t == 1, 0, bound) if key == "z, beta" else bound


def _unit(measured: Measured) -> float:
    return _ROUNDOFF[np.dtype(measured.dtype)]


def diagnose(operation: str, name: str, measured: Measured, tables: Tables, failing: Array) -> str:
    """The first known convention that gives these coefficients, or what is known instead."""
    actual, steps = measured.values[name], measured.steps
    if not np.isfinite(actual).all():
        wrong = steps.t[~np.isfinite(actual)]
        what = "NaN" if np.isnan(actual).any() else "infinite"
        return f"{what} at {len(wrong)} of {len(actual)} steps, first at t = {wrong.min()}"
    own = _Explains(operation, name, measured, tables, failing, _unit(measured))
    for explains in (own, _Explains(operation, name, measured, tables, failing, _FLOAT32)):
        for known, values in candidates(operation, name, tables, steps):
            if explains(values):
                return known
        if explains.unit == _FLOAT32:
            break
    if operation == "ddim_step":
        for far in (d for k in range(1, 31) for d in (-k, k)):
            s = np.where(steps.s > 0, np.clip(steps.s + far, 0, steps.t), 0)
            at = symbols(tables, steps._replace(s=s))
            if own(value(FORMULAS[operation, name][0], at)):
                return f"it goes to another step than asked: to s {far:+d}"
    base = value(FORMULAS[operation, name][0], symbols(tables, steps))
    with np.errstate(all="ignore"):
        ratio = (actual / base)[base != 0]
    zeros = np.all(actual[base == 0] == 0)
    if zeros and len(ratio) > 1 and np.ptp(ratio) <= 1e-3 * np.abs(ratio).max():
        if operation == "alphas_cumprod" and ratio.max() < 1:
            return f"one step off: the product starts before t = 1, at {np.median(ratio):.6g}"
        return f"a constant factor: {np.median(ratio):.4g} times what it should be"
    if operation == "reverse_step" and name == "z" and set(steps.t[failing]) == {1}:
        last = actual[steps.t == 1][0] ** 2
        return f"noise at the last step: t = 1 adds noise of variance {last:.3g}"
    if failing.sum() >= 8:
        for known, values in pairs(operation, name, tables, steps):
            if own(values):
                return known
    return "no convention that is known here"


class _Explains:
    """Whether some values are the actual ones wherever they are defined, failures included."""

    def __init__(
        self,
        operation: str,
        name: str,
        measured: Measured,
        tables: Tables,
        failing: Array,
        unit: float,
    ) -> None:
        self.actual, self.failing, self.unit = measured.values[name], failing, unit
        steps = measured.steps
        allowed, at = _allowed(operation, name, "", steps, tables, unit), symbols(tables, steps)
        base = np.abs(value(FORMULAS[operation, name][0], at))
        with np.errstate(all="ignore"):
            subtracted = (4 + steps.t) * unit * (1 / at["noise"] + 1 / at["beta"])
            share = np.where(base > 0, allowed / base, subtracted)
        self.share = np.minimum(2 * share + 64 * unit, 0.05)
        self.more = allowed * (base > 0) * 1e-3
        off = np.abs(self.actual - base) * failing
        self.probe = int(np.argmax(off))

    def __call__(self, values: Array) -> bool:
        i = self.probe  # most candidates are refused by the worst failure
        near = self.share[i] * abs(values[i]) + self.more[i]
        if np.isfinite(values[i]) and values[i] and abs(self.actual[i] - values[i]) > near:
            return False
        defined = np.isfinite(values)
        if not np.any(defined & self.failing) or defined.sum() * 2 < len(values):
            return False
        floor = 64 * self.unit * np.median(np.abs(values[defined]))
        near = self.share * np.abs(values) + self.more
        near = np.maximum(near, np.where(values == 0, floor, 0))
        return bool(np.all((np.abs(self.actual - values) <= near) | ~defined))


def _lost(
    operation: str, name: str, measured: Measured, tables: Tables, actual: Array, expected: Array
) -> str:
    """Where the digits went."""
    off = np.abs(actual - expected.astype(np.float64))
    own = _allowed(operation, name, "", measured.steps, tables, _unit(measured))
    if np.any(off > own):
        return "float32 tables"
    text = str(np.dtype(measured.dtype))
    symbols_in = {
        k for formula in FORMULAS[operation, name] for product in formula for k in product.powers
    }
    if symbols_in & {"noise", "noise_s", "direction", "sigma2", "beta"}:
        return f"1 - alpha_bar or beta by subtraction in {text}"
    return f"a running product in {text}"


def _clipping(
    operation: str, name: str, measured: Measured, expected: tuple[Array, Array], tables: Tables
) -> tuple[int, str, str] | None:
    """Whether large values get another coefficient than small ones, and which limit explains it."""
    if name == "variance":
        return None
    small, large = measured.values[name], measured.large[name]
    scale = np.maximum(expected[1].astype(np.float64), np.abs(small))
    bad = np.abs(large - small) > 64 * _unit(measured) * scale
    if not np.any(bad & np.isfinite(small)):
        return None
    i = int(np.flatnonzero(bad)[np.argmin(measured.steps.t[bad])])
    limit = _limit(operation, name, measured, tables, i)
    why = (
        f"clipping: x_0 is cut to [-{limit:.3g}, {limit:.3g}]"
        if limit
        else ("clipping, or anything else that is not linear in large values")
    )
    at = _at(operation, measured.steps, i)
    text = f"{at}: {name} = {LARGE:g} gives {large[i] * LARGE:.6g}, not {small[i] * LARGE:.6g}"
    return int(measured.steps.t[i]), why, text


def _limit(operation: str, name: str, measured: Measured, tables: Tables, i: int) -> float | None:
    """The limit on x_0 that explains the large value, where one does."""
    steps = measured.steps.only([i])
    at, got = symbols(tables, steps), float(measured.large[name][i] * LARGE)

    def of(operation: str, name: str) -> float:
        return float(value(FORMULAS[operation, name][0], at)[0])

    posterior = "q_posterior_mean_variance"
    if operation in ("predict_x0", "q_sample"):
        limit = got if operation == "predict_x0" else got / of("q_sample", "x_0")
    elif operation == posterior and name == "x_0":
        limit = got / of(posterior, "x_0")
    elif operation == "reverse_step" and name in ("x_t", "eps"):
        direct = of(posterior, "x_t") * LARGE if name == "x_t" else 0.0
        limit = (got - direct) / of(posterior, "x_0")
    elif operation == "ddim_step" and name in ("x_t", "eps"):
        direct = float(np.sqrt(at["direction"][0])) * LARGE if name == "eps" else 0.0
        limit = (got - direct) / float(np.sqrt(at["bar_s"][0]))
    else:
        return None
    limit = abs(limit)
    return limit if 1e-2 < limit < LARGE / 2 and abs(limit - round(limit, 2)) < 1e-2 else None


def _affine(
    operation: str, measured: Measured, rows: list[Row], expected: dict[str, tuple[Array, Array]]
) -> list[Row]:
    """Rows for what is not affine: a value at 0, or terms that do not add up."""
    equation, steps, found = rows[-1].equation, measured.steps, []
    offset = np.abs(measured.offset)
    if np.any(offset > 0) and not any(row.verdict == "raises" for row in rows):
        i = int(np.argmax(offset > 0))
        text = f"{_at(operation, steps, i)}: not 0 where every argument is 0"
        found.append(
            Row(
                equation,
                operation,
                "offset",
                "differs",
                np.inf,
                int(steps.t[i]),
                "a constant is added",
                text,
            )
        )
    scale = np.sum([np.abs(v[1].astype(np.float64)) for v in expected.values()], axis=0)
    bad = np.abs(measured.mixed) > 256 * _unit(measured) * scale
    if np.any(bad) and not any(row.verdict in ("clips", "differs") for row in rows):
        i = int(np.flatnonzero(bad)[0])
        text = f"{_at(operation, steps, i)}: its terms do not add up"
        found.append(
            Row(
                equation,
                operation,
                "sum",
                "differs",
                np.inf,
                int(steps.t[i]),
                "not affine: the result at a sum is not the sum of results",
                text,
            )
        )
    return found


def _broken(operation: str, measured: Measured) -> tuple[Any, ...] | None:
    """The verdict on the steps that gave nothing that can be compared."""
    if not measured.failed:
        return None
    t, message, raised = min(measured.failed)
    total = len(measured.failed) + len(measured.steps.t)
    where = f"t = {t}: {message}"
    count = f" ({len(measured.failed)} of {total} steps)" if total > 1 else ""
    return "raises" if raised else "differs", np.nan, t, f"{message}{count}", where


def _at(operation: str, steps: Steps, i: int) -> str:
    if operation != "ddim_step":
        return f"t = {steps.t[i]}"
    return f"t = {steps.t[i]}, s = {steps.s[i]}, eta = {steps.eta[i]:g}"
