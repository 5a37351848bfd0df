"""From measured coefficients to rows: the verdict, the error in ulp, a deviation's name."""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import FAULTS
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.conventions import World, candidates, edits_of
from ddpm_np.conformance.formulas import (
    Base,
    Steps,
    Tables,
    Value,
    bases,
    evaluate,
    exact_coefficients,
    parts,
)
from ddpm_np.conformance.probe import LARGE, Measured, look_at_rows, measure, wanted
from ddpm_np.conformance.report import Row
from ddpm_np.conformance.subject import Subject
from ddpm_np.equations import formulas
from ddpm_np.proof.reference import ulp_error

# Six bits: a product of a thousand rounded factors takes up to half of them.
LIMIT = 64.0
_FLOAT32 = 2.0**-24
_ORDER = ("holds", "digits", "clips", "differs", "raises")


class Judged:
    """One operation's measurements beside the exact coefficients, and what follows."""

    def __init__(self, view: Subject, operation: str, measured: Measured) -> None:
        self.operation, self.measured, self.view = operation, measured, view
        self.steps, self.unit = measured.steps, _unit(measured)
        self.tables = Tables(view.exact, view.alphas_cumprod)
        self.single = bool(np.all(self.steps.t - self.steps.s == 1))
        self.names = [n for _, n in wanted(operation, measured.output) if n in measured.values]
        self.coarse = self.world(max(_FLOAT32, self.unit))
        self.base, self.exact = self._best()
        coarse = [
            self.coarse.of(b) for b in bases(operation, measured.output) if b.name == self.base.name
        ]
        self.allowed = {
            n: np.max([_full(c[n].off, self.steps) for c in coarse], axis=0) for n in self.names
        }
        self.grades, self.errors = {}, {}
        for name in self.names:
            self.grades[name], self.errors[name] = self._compare(name, self.exact[name])

    def world(self, u: float) -> World:
        """Where candidates are evaluated, with roundoff u."""
        return World(self.operation, self.measured.output, self.tables, self.steps, u)

    def _best(self) -> tuple[Base, dict[str, tuple[Array, Array]]]:
        """The named variance with which the least fails."""
        forms = bases(self.operation, self.measured.output)
        chosen = list({form.name: form for form in reversed(forms)}.values())[::-1]
        found = []
        for form in chosen:
            exact = exact_coefficients(
                self.view.exact, self.operation, form, self.steps, self.coarse.vectors
            )
            own = self.coarse.of(form)
            self.allowed = {n: _full(own[n].off, self.steps) for n in self.names}
            bad = [self._compare(n, exact[n])[0] for n in self.names]
            found.append(
                (max(b.max() for b in bad), sum(int((b > 1).sum()) for b in bad), form, exact)
            )
        best = min(found, key=lambda f: f[:2])
        return best[2], best[3]

    def _compare(self, name: str, exact: tuple[Array, Array]) -> tuple[Array, Array]:
        """At every step 0 holds, 1 digits, 2 differs; and the error in ulp of its dtype."""
        actual = self.measured.values[name]
        with np.errstate(all="ignore"):
            errors = ulp_error(actual.astype(self.measured.dtype), exact[0], scale=exact[1])
            off = np.abs(actual - exact[0].astype(np.float64))
        grades = np.where(errors <= LIMIT, 0, np.where(off <= self.allowed[name], 1, 2))
        grades = np.where(np.isfinite(actual), grades, 2)
        undefined = np.array([not v.is_finite() for v in exact[0]])
        same = undefined & (np.isfinite(actual) | (name == "log variance"))
        return np.where(same, 0, grades), np.where(same, 0.0, errors)

    # ---- rows ---------------------------------------------------------------------------------

    def rows(self, explain: bool = True) -> list[Row]:
        """A row for every coefficient."""
        failing = [n for n in self.names if self.grades[n].max() >= 2]
        said = self.diagnose(failing) if explain and failing else {}
        return [
            self._row(equation, name, said.get(name, ""))
            for equation, name in wanted(self.operation, self.measured.output)
            if name in self.names
        ]

    def _row(self, equation: str, name: str, diagnosis: str) -> Row:
        grades, errors, steps = self.grades[name], self.errors[name], self.steps
        actual, right = self.measured.values[name], self.exact[name][0]
        key = (equation, self.operation, name)
        if grades.max() >= 2:
            failing = np.flatnonzero(grades >= 2)
            i = failing[np.argmin(steps.t[failing])]
            text = f"{self._at(i)}: {actual[i]:.6g}, not {float(right[i]):.6g}"
            return Row(*key, "differs", float(np.max(errors)), int(steps.t[i]), diagnosis, text)
        worst = int(np.argmax(errors))
        t, ulp = int(steps.t[worst]), float(errors[worst])
        notes = []
        if grades.max() == 1:
            notes.append(self._lost(name))
        if self.base.name and name in ("z", "variance") and steps.t.max() > 1:
            notes.append(f"the variance is {self.base.name}")
        clipped = self._clipping(name)
        if clipped is not None:
            t, why, text = clipped
            return Row(*key, "clips", ulp, t, why, text)
        return Row(*key, _ORDER[grades.max()], ulp, t, "; ".join(notes), "")

    def _lost(self, name: str) -> str:
        """Where the digits went."""
        off = np.abs(self.measured.values[name] - self.exact[name][0].astype(np.float64))
        own = _full(self.world(self.unit).of(self.base)[name].off, self.steps)
        if np.any(off > own):
            return "float32 tables"
        text = str(np.dtype(self.measured.dtype))
        if name in ("x_0", "x_prev") or (self.operation, name) in (
            ("predict_x0", "x_t"),
            ("alphas_cumprod", "alpha_bar_t"),
            ("ddim_step", "x_t"),
        ):
            return f"a running product in {text}"
        return f"1 - alpha_bar or beta by subtraction in {text}"

    def _at(self, i: int) -> str:
        if self.operation == "ddim_step" or not self.single:
            s, eta = f", s = {self.steps.s[i]}", f", eta = {self.steps.eta[i]:g}"
            return f"t = {self.steps.t[i]}{s}{eta if self.operation == 'ddim_step' else ''}"
        return f"t = {self.steps.t[i]}"

    # ---- the name of a deviation --------------------------------------------------------------

    def diagnose(self, failing: list[str]) -> dict[str, str]:
        """For every failing coefficient what explains it, or what is known instead."""
        said = {}
        finite = np.all([np.isfinite(self.measured.values[n]) for n in self.names], axis=0)
        if not finite.all():
            rest = Judged(self.view, self.operation, self._only(finite)) if finite.any() else None
            bad = [n for n in rest.names if rest.grades[n].max() >= 2] if rest else []
            others = rest.diagnose(bad) if rest and bad else {}
            for name in failing:
                values = self.measured.values[name]
                if np.isfinite(values).all():
                    said[name] = others.get(name, "")
                    continue
                wrong = self.steps.t[~np.isfinite(values)]
                what = "NaN" if np.isnan(values).any() else "infinite"
                text = f"{what} at {len(wrong)} of {len(values)} steps, first at t = {wrong.min()}"
                if all(self.view.exact.alpha_bar[t] == 0 for t in wrong):
                    text += ", where alpha_bar_t = 0 and no signal is left"
                if rest:
                    text += f"; elsewhere {others.get(name) or 'it holds'}"
                said[name] = text
            return said
        wholly = self._explained(failing)
        for name in failing:
            said[name] = wholly.get(name) or self._otherwise(name)
            right = self.exact[name][0].astype(np.float64)
            close = np.abs(self.measured.values[name] + right) <= 4 * self.allowed[name]
            if "one term is turned" in said[name] and close.all():
                said[name] = "the sign is turned"
            if "a term is missing" in said[name] and not np.any(self.measured.values[name]):
                said[name] = "the term is missing: it is 0 at every step"
        return said

    def _only(self, which: Array) -> Measured:
        m = self.measured
        pick = {k: v[which] for k, v in m.values.items()}
        large = {k: v[which] for k, v in m.large.items()}
        return m._replace(
            steps=m.steps.only(which),
            values=pick,
            large=large,
            offset=m.offset[which],
            mixed=m.mixed[which],
        )

    def _explained(self, failing: list[str]) -> dict[str, str]:
        """The first candidate that gives all the coefficients; else the first for each of them."""
        each: dict[str, str] = {}
        units = dict.fromkeys((self.unit, max(_FLOAT32, self.unit)))
        for u in units:
            world = self.world(u)
            probe = self._probe_steps(failing)
            small = self.world(0).only(probe)
            output, operation = self.measured.output, self.operation
            every = candidates(operation, output, self.tables, self.single)
            for name, build in every:
                few = build(small)
                near = [n for n in failing if n in few and self._may(n, few[n], probe)]
                if not near or (all(n in each for n in near) and len(near) < len(failing)):
                    continue
                full = build(world)
                near = [n for n in near if self._agree(n, full[n], world, slice(None))]
                right = [n for n in self.names if n not in failing and n in full]
                if len(near) == len(failing) and all(
                    self._agree(n, full[n], world, slice(None)) for n in right
                ):
                    return dict.fromkeys(failing, name)
                for n in near:
                    each.setdefault(n, name)
            if len(each) == len(failing):
                return each
        missing = [n for n in failing if n not in each]
        if missing and sum(self.grades[n].max() >= 2 for n in missing) and len(self.steps.t) >= 8:
            each |= self._pairs(missing)
        return each

    def _pairs(self, failing: list[str]) -> dict[str, str]:
        """Two edits of the formula at once, each a factor on the right value at every step."""
        world = self.world(self.unit)
        each: dict[str, str] = {}
        right = {n: v.value for n, v in world.of(self.base).items() if n in failing}
        factors: dict[str, list[tuple[str, Array]]] = {n: [] for n in failing}
        with np.errstate(all="ignore"):
            for label, form in edits_of(self.base, self.single):
                for name, v in world.of(form).items():
                    if name in failing:
                        factors[name].append((label, np.asarray(v.value / right[name], float)))
            for name in failing:
                ratio = self.measured.values[name] / np.asarray(right[name], float)
                used = np.isfinite(ratio) & (ratio != 0)
                table = np.array([f[used] for _, f in factors[name]])
                if used.sum() < 8 or not used[self.grades[name] >= 2].all():
                    continue
                near = 64 * self.unit + 4 * (self.allowed[name] / np.abs(right[name]))[used]
                near = np.minimum(near, 1e-3)
                for i, (first, _) in enumerate(factors[name]):
                    off = np.abs(table[i] * table / ratio[used] - 1) <= near
                    for j in np.flatnonzero(off.all(axis=1))[:1]:
                        each.setdefault(name, f"{first}; and {factors[name][j][0]}")
        return each

    def _probe_steps(self, failing: list[str]) -> Array:
        """Some steps that tell candidates apart: the worst and others, right ones among them."""
        chosen = {0, len(self.steps.t) - 1, len(self.steps.t) // 2}
        for name in failing:
            off = np.abs(self.measured.values[name] - self.exact[name][0].astype(np.float64))
            off = np.where(np.isfinite(off), off, 0)
            chosen |= {int(np.argmax(off)), int(np.argmax(self.grades[name] >= 2))}
        return np.array(sorted(chosen))

    def _may(self, name: str, value: Value, probe: Array) -> bool:
        """A first look at a few steps, without the cost of rounding."""
        actual, values = self.measured.values[name][probe], np.asarray(value.value, dtype=float)
        near = 0.05 * np.abs(values) + 1e-3 * np.max(np.abs(actual)) * (values == 0)
        near = near + 1e-3 * (name == "log variance")
        return not np.any(np.abs(actual - values) > near)

    def _agree(self, name: str, value: Value, world: World, which: Any) -> bool:
        """Whether a candidate gives the measured values wherever it is defined."""
        actual = self.measured.values[name][which]
        failing = (self.grades[name] >= 2)[which]
        with np.errstate(all="ignore"):
            values = np.broadcast_to(np.asarray(value.value, dtype=np.float64), actual.shape)
            off = np.broadcast_to(np.asarray(value.off, dtype=np.float64), actual.shape)
            defined = np.isfinite(values)
            near = np.minimum(4 * off, 0.05 * np.abs(values)) + 64 * world.u * np.abs(values)
            floor = 64 * world.u * np.median(np.abs(actual)) + 4 * np.where(
                np.isfinite(off), off, 0
            )
            near = np.where(values == 0, floor, near)
            if name == "log variance":
                near = near + 64 * world.u * (1 + np.abs(values))
            right = (np.abs(actual - values) <= near) | ~defined
        if failing.any() and not np.any(defined & failing):
            return False
        few = isinstance(which, slice) and defined.sum() * 2 < len(values)
        return bool(right.all()) and not few

    def _otherwise(self, name: str) -> str:
        """What can be said where no candidate explains it."""
        actual, grades = self.measured.values[name], self.grades[name]
        right = self.exact[name][0].astype(np.float64)
        wrong = self.steps.t[grades >= 2]
        where = f"wrong at {len(wrong)} of {len(actual)} steps, first at t = {wrong.min()}"
        if self.operation == "reverse_step" and name == "z" and set(wrong) == {1}:
            last = actual[self.steps.t == 1][0] ** 2
            return f"noise at the last step: t = 1 adds noise of variance {last:.3g}"
        if not np.any(actual):
            return "the term is missing: it is 0 at every step"
        mantissas = np.abs(np.frexp(actual)[0])
        for bits, kind in ((11, "float16"), (8, "bfloat16")):
            if np.all(mantissas * 2**bits == np.round(mantissas * 2**bits)):
                return f"half precision: its numbers are {kind}'s, of {bits} bits"
        with np.errstate(all="ignore"):
            ratio = (actual / right)[right != 0]
        share = np.max(self.allowed[name][right != 0] / np.abs(right[right != 0]), initial=0)
        alike = np.ptp(ratio) <= (min(share, 1e-4) + 64 * self.unit) * np.abs(ratio).max()
        if len(ratio) > 1 and alike and np.all(actual[right == 0] == 0):
            factor = float(np.median(ratio))
            if self.operation == "alphas_cumprod" and factor < 1:
                return f"one step off: the product starts before t = 1, at {factor:.6g}"
            if abs(factor + 1) < 1e-3:
                return "the sign is turned"
            return f"a constant factor: {factor:.6g} times what it should be"
        return f"no convention that is known here; {where}"

    # ---- large values -------------------------------------------------------------------------

    def _clipping(self, name: str) -> tuple[int, str, str] | None:
        """Whether large values get another coefficient, and which limit explains it."""
        if "variance" in name:
            return None
        small, large = self.measured.values[name], self.measured.large[name]
        scale = np.maximum(self.exact[name][1].astype(np.float64), np.abs(small))
        bad = np.abs(large - small) > 64 * self.unit * scale
        bad &= np.isfinite(small)
        if not np.any(bad):
            return None
        i = int(np.flatnonzero(bad)[np.argmin(self.steps.t[bad])])
        why = "clipping, or anything else that is not linear in large values"
        inner = np.flatnonzero(bad & (self.steps.s > 0))
        found = {self._limit(name, j) for j in (inner[[0, len(inner) // 2]] if len(inner) else [i])}
        limit, stale = found.pop() if len(found) == 1 else (None, None)
        if limit:
            why = f"clipping: x_0 is cut to [-{limit:.3g}, {limit:.3g}]"
            if stale is not None:
                how = "is left as it was predicted" if stale else "is made again from the cut x_0"
                why += f", and eps {how}"
        text = f"{self._at(i)}: {name} = {LARGE:g} gives {large[i] * LARGE:.6g}, not "
        return int(self.steps.t[i]), why, f"{text}{small[i] * LARGE:.6g}"

    def _limit(self, name: str, i: int) -> tuple[float | None, bool | None]:
        """The limit on x_0 that explains the large value; and whether eps was left stale."""
        world = self.coarse.only([i])
        got = float(self.measured.large[name][i] * LARGE)
        operation, output = self.operation, self.measured.output

        def number(tree: Any, **units: float) -> float:
            vectors = dict.fromkeys(("x_0", "x_t", "eps", "v", "z", "noise"), 0.0) | units
            vectors["eps_hat"] = vectors["eps"]
            at = {**world.at, **vectors}
            at["sigma"] = evaluate(self.base.sigma, at, {}, 0).value
            with np.errstate(all="ignore"):
                return float(np.ravel(evaluate(tree, at, {}, 0).value)[0])

        part, known = parts(output), parts("x_0")
        ddim = formulas("sampling.ddim_step")[0].right
        given = {name: LARGE}
        sign = float(np.sign(number(part["x_0"], **given)))
        for limit in _LIMITS:
            cut = sign * limit
            ways: list[tuple[float, bool | None]] = []
            if operation == "predict_x0":
                ways = [(cut, None)]
            elif operation in ("reverse_step", "p_mean_variance", "q_posterior_mean_variance"):
                own = {k: v for k, v in given.items() if k == "x_t"}
                ways = [(number(known["mean"], x_0=cut, **own), None)]
            elif operation == "ddim_step":
                eps = number(part["eps"], **given)
                again = number(known["eps"], x_0=cut, x_t=given.get("x_t", 0.0))
                ways = [
                    (number(ddim, x0_hat=cut, eps=eps), True),
                    (number(ddim, x0_hat=cut, eps=again), False),
                ]
            elif operation == "q_sample" and name == "x_0":
                ways = [(number(bases("q_sample")[0].value, x_0=limit), None)]
            for value, stale in ways:
                if abs(got - value) <= 1e-3 * max(abs(value), 1e-3) + 1e-6:
                    return limit, stale
        return None, None


_LIMITS = (1.0, 2.0, 3.0, 5.0, 10.0, 0.5, 1.5, 4.0, 6.0, 8.0, 20.0, 100.0)


def rows_of(
    view: Subject, operation: str, caller: Caller, measured: Measured, *, explain: bool = True
) -> list[Row]:
    """The rows of one operation; the names of deviations, which take time, only if asked for."""
    names = wanted(operation, measured.output)
    broken = _broken(measured)
    if not len(measured.steps.t):
        if not broken:
            return []
        if explain and not caller.settled:
            rows = _rows_wrong(caller, names[0][0])
            if rows:
                return rows
        return [Row(e, operation, "all", *broken) for e in dict.fromkeys(e for e, _ in names)]
    judged = caller.judged = Judged(view, operation, measured)
    rows = judged.rows(explain)
    mixed = _rows_wrong(caller, rows[-1].equation) if explain else []
    if mixed:  # what looks like clipping is the other row
        rows = [
            r._replace(verdict="holds", diagnosis="", smallest_example="")
            if r.verdict == "clips"
            else r
            for r in rows
        ]
    said = {r.diagnosis for r in rows if r.verdict == "clips"}
    if explain and said and not (len(said) == 1 and "is cut to" in said.copy().pop()):
        thresholding = _dynamic(caller, judged)
        rows = [
            r._replace(diagnosis=thresholding) if thresholding and r.verdict == "clips" else r
            for r in rows
        ]
    if broken:
        rows.insert(0, Row(names[0][0], operation, "some steps", *broken))
    if explain and not view.stated_time and any(row.fails for row in rows):
        hint = _other_time(view, operation, caller)
        rows = [
            r._replace(diagnosis=f"{r.diagnosis}; {hint}") if r.fails and hint else r for r in rows
        ]
    return rows + mixed + (_affine(judged, rows) if not mixed else [])


def _rows_wrong(caller: Caller, equation: str) -> list[Row]:
    """A row for a batch whose rows are mixed up."""
    looked = look_at_rows(caller)
    if looked.left_out:
        caller.view.notes.append(looked.left_out)
    if not looked.wrong:
        return []
    what = "tables" if " the table " in looked.wrong else "rows"
    return [Row(equation, caller.operation, what, "differs", np.nan, None, looked.wrong, "")]


def _dynamic(caller: Caller, judged: Judged) -> str:
    """Whether the limit on x_0 depends on the other coordinates of the row."""
    i = len(judged.steps.t) // 2
    t, s, eta = (int(judged.steps.t[i]), int(judged.steps.s[i]), float(judged.steps.eta[i]))
    name = caller.vectors[0]
    size = np.array([[1.0, 0.5, 0.25, 0.125, 0.0625]]) * LARGE
    zeros = {n: np.zeros_like(size) for n in caller.vectors}
    try:
        out = caller(t, s, eta, **{**zeros, name: size}).value.astype(np.float64)[0]
    except FAULTS:
        return ""
    own = judged.measured.values[name][i] * size[0]
    same = np.allclose(out[1:] / out[1], size[0, 1:] / size[0, 1], rtol=1e-3) if out[1] else False
    if same and abs(out[1] - own[1]) > 1e-3 * abs(own[1]):
        return "dynamic thresholding: x_0 is scaled by a quantile of its own magnitudes"
    return ""


def _other_time(view: Subject, operation: str, caller: Caller) -> str:
    """A hint, where all holds with the other first step."""
    first = view.first_step
    view.first_step = 1 - first
    try:
        other = Caller(view, operation, caller.snapshot)
        measured = measure(other)
        if not measured.failed and len(measured.steps.t):
            judged = Judged(view, operation, measured)
            if all(g.max() < 2 for g in judged.grades.values()):
                return f"with first_step = {1 - first} it holds: its time starts at {1 - first}"
    except FAULTS:
        pass
    finally:
        view.first_step = first
    return ""


def _affine(judged: Judged, rows: list[Row]) -> list[Row]:
    """Rows for what is not affine: a value at 0, or terms that do not add up."""
    equation, steps, found = rows[-1].equation, judged.steps, []
    measured, operation = judged.measured, judged.operation
    offset = np.abs(measured.offset)
    if np.any(offset > 0) and not any(row.verdict == "raises" for row in rows):
        i = int(np.argmax(offset > 0))
        text = f"{judged._at(i)}: not 0 where every argument is 0"
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
    sizes = [v[1].astype(np.float64) for n, v in judged.exact.items() if "variance" not in n]
    bad = np.abs(measured.mixed) > 256 * judged.unit * np.sum(np.abs(sizes), axis=0)
    if np.any(bad) and not any(row.verdict in ("clips", "differs") for row in rows):
        i = int(np.flatnonzero(bad)[0])
        text = f"{judged._at(i)}: its terms do not add up"
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


def _broken(measured: Measured) -> tuple[Any, ...] | None:
    """The verdict on the steps that gave nothing that can be compared."""
    if not measured.failed:
        return None
    t, message, raised = min(measured.failed)
    total = len(measured.failed) + len(measured.steps.t)
    count = f" ({len(measured.failed)} of {total} steps)" if total > 1 else ""
    where = f"t = {t}: {message}"
    return "raises" if raised else "differs", np.nan, t, f"{message}{count}", where


def _unit(measured: Measured) -> float:
    return {2: 2.0**-11, 4: 2.0**-24}.get(np.dtype(measured.dtype).itemsize, 2.0**-53)


def _full(off: Any, steps: Steps) -> Array:
    found: Array = np.nan_to_num(
        np.broadcast_to(np.asarray(off, dtype=np.float64), steps.t.shape), posinf=0.0
    )
    return found
