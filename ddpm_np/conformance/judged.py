"""One operation's measured coefficients beside the exact ones: the verdict and the error in ulp.

And what a sampler's coefficients make of the variance of N(0, v) data (E24, E27).
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.clipping import clipping
from ddpm_np.conformance.conventions import World
from ddpm_np.conformance.formulas import Base, bases
from ddpm_np.conformance.naming import named
from ddpm_np.conformance.operations import wanted
from ddpm_np.conformance.probe import Measured
from ddpm_np.conformance.report import Output, Row
from ddpm_np.conformance.subject import Subject
from ddpm_np.conformance.values import DIGITS, Value, rooted
from ddpm_np.proof.reference import ulp_error

# Six bits: a product of a thousand rounded factors takes up to half of them.
LIMIT = 64.0
FLOAT32 = 2.0**-24
_ORDER = ("holds", "digits", "clips", "differs", "raises")
_VARIANCES = (0.0, 0.25)  # of the data: a known signal, and a spread one
_PRODUCTS = (("predict_x0", "x_t"), ("alphas_cumprod", "alpha_bar_t"), ("ddim_step", "x_t"))


class Judged:
    """names: the coefficients; exact: their values and magnitudes; grades: 0 holds, 1 digits,
    2 differs, at every step; allowed: what rounding may cost; unit: the roundoff of its dtype."""

    def __init__(self, view: Subject, operation: str, measured: Measured) -> None:
        self.operation, self.measured, self.view = operation, measured, view
        self.steps = measured.steps
        self.unit = {2: 2.0**-11, 4: FLOAT32}.get(np.dtype(measured.dtype).itemsize, 2.0**-53)
        self.tables = view.exact.floats(view.alphas_cumprod)
        self.single = bool(np.all(self.steps.t - self.steps.s == 1))
        self.names = [n for _, n in wanted(operation, measured.output) if n in measured.values]
        self.coarse = self.world(max(FLOAT32, self.unit))
        self.forms = bases(operation, measured.output)
        chosen = list({form.name: form for form in reversed(self.forms)}.values())[::-1]
        judged = [self._graded(form) for form in chosen]

        def failing(at: int) -> tuple[int, int]:
            grades = judged[at][2].values()
            return max(g.max() for g in grades), sum(int((g > 1).sum()) for g in grades)

        best = min(range(len(chosen)), key=failing)  # the named variance with which least fails
        self.base: Base = chosen[best]
        self.exact, self.allowed, self.grades, self.errors = judged[best]

    def world(self, u: float) -> World:
        """Where candidates are evaluated, with roundoff u."""
        return World(self.operation, self.measured.output, self.tables, self.steps, u)

    def _full(self, off: Any) -> Array:
        """What rounding may cost, for every step."""
        off = np.broadcast_to(np.asarray(off, dtype=np.float64), self.steps.t.shape)
        return np.nan_to_num(off, posinf=0.0)

    def right(self, name: str) -> Array:
        """The exact values of a coefficient as floats."""
        values: Array = self.exact[name][0].astype(np.float64)
        return values

    def _graded(self, form: Base) -> tuple[Any, ...]:
        """The exact values, what rounding may cost, the grades and the errors of each."""
        exact = self._exact(form)
        alike = [self.coarse.of(f) for f in self.forms if f.name == form.name]
        found: tuple[dict[str, Any], ...] = (exact, {}, {}, {})
        for name in self.names:
            allowed = np.max([self._full(coefficients[name].off) for coefficients in alike], axis=0)
            for column, value in zip(
                found[1:], (allowed, *self._compare(name, *exact[name], allowed))
            ):
                column[name] = value
        return found

    def _exact(self, form: Base) -> dict[str, tuple[Array, Array]]:
        """For each coefficient its exact values in decimals, and the magnitudes.

        Where a magnitude is 0, that of what it would be with noise, or 1, counts.
        """
        nothing = np.full(len(self.steps.t), Decimal(0))
        found = {}
        with localcontext(DIGITS), np.errstate(all="ignore"):
            world = World(self.operation, self.measured.output, self.view.exact, self.steps, 0)
            beta = world.value_of.at["beta_{t|s}"]
            least: Any = {"z": rooted(Value(beta, 0, 0), 0).value, "variance": beta}
            for name, (value, size, *_) in world.of(form).items():
                exact, size = nothing + value, nothing + size
                found[name] = exact, np.where(size == 0, least.get(name, Decimal(1)), size)
        return found

    def _compare(self, name: str, exact: Array, size: Array, allowed: Array) -> tuple[Array, Array]:
        """At every step 0 holds, 1 digits, 2 differs; and the error in ulp of its dtype."""
        actual = self.measured.values[name]
        with np.errstate(all="ignore"):
            errors = ulp_error(actual.astype(self.measured.dtype), exact, scale=size)
            off = np.abs(actual - exact.astype(np.float64))
        grades = np.where(errors <= LIMIT, 0, np.where(off <= allowed, 1, 2))
        grades = np.where(np.isfinite(actual), grades, 2)
        undefined = np.array([not v.is_finite() for v in exact])
        same = undefined & (np.isfinite(actual) | (name == "log variance"))
        return np.where(same, 0, grades), np.where(same, 0.0, errors)

    # ---- rows ---------------------------------------------------------------------------------

    def rows(self, explain: bool = True) -> list[Row]:
        """A row for every coefficient."""
        failing = [n for n in self.names if self.grades[n].max() >= 2]
        said = named(self, failing) if explain and failing else {}
        return [
            self._row(equation, name, said.get(name, ""))
            for equation, name in wanted(self.operation, self.measured.output)
            if name in self.names
        ]

    def _row(self, equation: str, name: str, diagnosis: str) -> Row:
        grades, errors, steps = self.grades[name], self.errors[name], self.steps
        key = (equation, self.operation, name)
        if grades.max() >= 2:
            failing = np.flatnonzero(grades >= 2)
            i = failing[np.argmin(steps.t[failing])]
            actual, right = self.measured.values[name][i], self.right(name)[i]
            text = f"{self.place(i)}: {actual:.6g}, not {right:.6g}"
            return Row(*key, "differs", float(np.max(errors)), int(steps.t[i]), diagnosis, text)
        worst = int(np.argmax(errors))
        t, ulp = int(steps.t[worst]), float(errors[worst])
        clipped = clipping(self, name)
        if clipped is not None:
            return Row(*key, "clips", ulp, *clipped)
        notes = [self._lost(name)] if grades.max() == 1 else []
        if self.base.name and name in ("z", "variance") and steps.t.max() > 1:
            notes.append(f"the variance is {self.base.name}")
        return Row(*key, _ORDER[grades.max()], ulp, t, "; ".join(notes))

    def _lost(self, name: str) -> str:
        """Where the digits went."""
        off = np.abs(self.measured.values[name] - self.right(name))
        if np.any(off > self._full(self.world(self.unit).of(self.base)[name].off)):
            return "float32 tables"
        product = name in ("x_0", "x_prev") or (self.operation, name) in _PRODUCTS
        what = "a running product" if product else "1 - alpha_bar or beta by subtraction"
        return f"{what} in {np.dtype(self.measured.dtype)}"

    def place(self, i: int) -> str:
        """The i-th step in words."""
        t, s, eta = self.steps.t[i], self.steps.s[i], self.steps.eta[i]
        ddim = self.operation == "ddim_step"
        stop = f", s = {s}" if ddim or not self.single else ""
        return f"t = {t}{stop}{f', eta = {eta:g}' if ddim else ''}"


def outputs_of(judged: Judged) -> list[Output]:
    """The output variance for every v, where a sampler was measured at every step 1..T.

    The equation's is that with the same named variance. A DDIM step is taken with the eta that was
    measured at every step.
    """
    steps, view, values = judged.steps, judged.view, judged.measured.values
    single = steps.t - steps.s == 1
    if judged.operation == "ddim_step":
        single &= steps.eta == 0.5
    chosen = np.flatnonzero(single)
    chosen = chosen[np.argsort(-steps.t[chosen])]
    names = ("x_t", "eps", "z")
    if judged.operation not in ("reverse_step", "ddim_step") or judged.measured.output != "eps":
        return []
    if not np.array_equal(steps.t[chosen], np.arange(view.T, 0, -1)):
        return []
    own = [values[name][chosen] for name in names]
    if not all(np.isfinite(v).all() for v in own):
        return []
    true = [judged.exact[name][0][chosen] for name in names]
    if not all(v.is_finite() for column in true for v in column):
        return []
    of = judged.operation
    named = of if of == "reverse_step" else f"{of}, eta = 0.5"
    return [Output(named, v, _output(view, own, v), _output(view, true, v)) for v in _VARIANCES]


def _output(subject: Subject, coefficients: list[Any], v: float) -> float:
    """V_s = (xt_coef + eps_coef g_t)^2 V_t + std^2 from t = T down, in decimals."""
    exact, variance, spread = subject.exact, Decimal(1), Decimal(v)
    with localcontext(DIGITS):
        for t, xt, eps, std in zip(range(subject.T, 0, -1), *coefficients):
            noise = 1 - exact.bar[t]
            slope = noise.sqrt() / (exact.bar[t] * spread + noise)
            gain = Decimal(xt) + Decimal(eps) * slope
            variance = gain**2 * variance + Decimal(std) ** 2
    return float(variance) if variance > Decimal(1e-100) else 0.0  # rounding in the last digits
