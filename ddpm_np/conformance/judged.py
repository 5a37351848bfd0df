"""One operation's measured coefficients beside the exact ones: the verdict and the error in ulp.

And what a sampler's coefficients make of the variance of N(0, v) data (E24, E27).
"""

from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.conventions import World
from ddpm_np.conformance.formulas import Base, bases
from ddpm_np.conformance.operations import STEPS, wanted
from ddpm_np.conformance.probe import Measured
from ddpm_np.conformance.report import Output
from ddpm_np.conformance.subject import Subject
from ddpm_np.conformance.values import DIGITS, Numbers, Value, rooted
from ddpm_np.proof.reference import ulp_error

# Six bits: a product of a thousand rounded factors takes up to half of them.
LIMIT = 64.0
FLOAT32 = 2.0**-24
_VARIANCES = (0.0, 0.25)  # of the data: a known signal, and a spread one


class Coefficient(NamedTuple):
    """One coefficient at every step.

    values and large: as measured with small and with large arguments; exact and size: its exact
    values and the magnitudes whose last place counts, in decimals; allowed: what rounding may cost;
    errors: in ulp; grades: 0 holds, 1 digits, 2 differs.
    """

    values: Array
    large: Array
    exact: Array
    size: Array
    allowed: Array
    errors: Array
    grades: Array

    @property
    def right(self) -> Array:
        """The exact values as floats."""
        values: Array = self.exact.astype(np.float64)
        return values

    @property
    def fails(self) -> bool:
        """Whether it differs at a step."""
        return bool(self.grades.max() >= 2)


class Judged:
    """The coefficients, ``of`` their names, by the form (``base``) with which least fails.

    unit: the roundoff of the results' dtype; single: whether all steps are from t to t - 1; coarse:
    where candidates are evaluated with the roundoff of float32 at least.
    """

    def __init__(self, view: Subject, operation: str, measured: Measured) -> None:
        self.operation, self.measured, self.view = operation, measured, view
        self.steps = measured.steps
        self.unit = {2: 2.0**-11, 4: FLOAT32}.get(np.dtype(measured.dtype).itemsize, 2.0**-53)
        self.tables = view.exact.floats(view.alphas_cumprod)
        self.single = bool(np.all(self.steps.t - self.steps.s == 1))
        self.coarse = self.world(max(FLOAT32, self.unit))
        forms = bases(operation, measured.output)
        alike: dict[str, list[Base]] = {}  # one of the forms that are equal up to rounding will do
        for form in forms:
            alike.setdefault(form.name, []).append(form)
        graded = [self._graded(same) for same in alike.values()]

        def failing(at: int) -> tuple[int, int]:
            grades = [c.grades for c in graded[at].values()]
            return max(g.max() for g in grades), sum(int((g > 1).sum()) for g in grades)

        best = min(range(len(graded)), key=failing)  # the named variance with which least fails
        self.base, self.of = list(alike.values())[best][0], graded[best]

    def world(self, u: float, tables: Numbers | None = None) -> World:
        """Where candidates are evaluated, with roundoff u."""
        return World(self.operation, self.measured.output, tables or self.tables, self.steps, u)

    def full(self, off: Any) -> Array:
        """What rounding may cost, for every step."""
        off = np.broadcast_to(np.asarray(off, dtype=np.float64), self.steps.t.shape)
        return np.nan_to_num(off, posinf=0.0)

    def _graded(self, forms: list[Base]) -> dict[str, Coefficient]:
        """The coefficients by one of the forms, with what rounding may cost in any of them."""
        nothing, found = np.full(len(self.steps.t), Decimal(0)), {}
        coarse = [self.coarse.of(form) for form in forms]
        with localcontext(DIGITS), np.errstate(all="ignore"):
            world = self.world(0, self.view.exact)
            exact, beta = world.of(forms[0]), world.value_of.at["beta_{t|s}"]
            # Where a magnitude is 0, that of what it would be with noise, or 1, counts.
            least: Any = {"z": rooted(Value(beta, 0, 0), 0).value, "variance": beta}
            for _, name in wanted(self.operation, self.measured.output):
                if name in self.measured.values:
                    value, size = nothing + exact[name].value, nothing + exact[name].size
                    size = np.where(size == 0, least.get(name, Decimal(1)), size)
                    allowed = np.max([self.full(of[name].off) for of in coarse], axis=0)
                    found[name] = self._compared(name, value, size, allowed)
        return found

    def _compared(self, name: str, exact: Array, size: Array, allowed: Array) -> Coefficient:
        values, large = self.measured.values[name], self.measured.large[name]
        errors = ulp_error(values.astype(self.measured.dtype), exact, scale=size)
        near = np.abs(values - exact.astype(np.float64)) <= allowed
        grades = np.where(errors <= LIMIT, 0, np.where(near, 1, 2))
        grades = np.where(np.isfinite(values), grades, 2)
        undefined = np.array([not v.is_finite() for v in exact])
        same = undefined & (np.isfinite(values) | (name == "log variance"))
        errors, grades = np.where(same, 0.0, errors), np.where(same, 0, grades)
        return Coefficient(values, large, exact, size, allowed, errors, grades)

    def place(self, i: int) -> str:
        """The i-th step in words."""
        t, s, eta = self.steps.t[i], self.steps.s[i], self.steps.eta[i]
        ddim = self.operation == "ddim_step"
        stop = f", s = {s}" if ddim or not self.single else ""
        return f"t = {t}{stop}{f', eta = {eta:g}' if ddim else ''}"

    # ---- the variance of the output -------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """The output variance for every v, where a sampler was measured at every step 1..T.

        The equation's is that with the same named variance. A DDIM step is taken with the eta that
        was measured at every step.
        """
        steps, of, every = self.steps, self.operation, np.arange(self.view.T, 0, -1)
        single = steps.t - steps.s == 1
        if of == "ddim_step":
            single &= steps.eta == 0.5
        chosen = np.flatnonzero(single)
        chosen = chosen[np.argsort(-steps.t[chosen])]
        if of not in STEPS or "eps" not in self.of or not np.array_equal(steps.t[chosen], every):
            return []
        columns = [self.of[name] for name in ("x_t", "eps", "z")]
        own = [c.values[chosen] for c in columns]
        true = [c.exact[chosen] for c in columns]
        if not all(np.isfinite(v.astype(np.float64)).all() for v in (*own, *true)):
            return []
        told = of if of == "reverse_step" else f"{of}, eta = 0.5"
        return [
            Output(told, v, *(_output(self.view.exact, found, v) for found in (own, true)))
            for v in _VARIANCES
        ]


def _output(exact: Numbers, coefficients: list[Array], v: float) -> float:
    """V_s = (xt_coef + eps_coef g_t)^2 V_t + std^2 from t = T down, in decimals."""
    variance, spread = Decimal(1), Decimal(v)
    with localcontext(DIGITS):
        for bar, xt, eps, std in zip(exact.bar[:0:-1], *coefficients):
            slope = (1 - bar).sqrt() / (bar * spread + 1 - bar)
            variance = (Decimal(xt) + Decimal(eps) * slope) ** 2 * variance + Decimal(std) ** 2
    return float(variance) if variance > Decimal(1e-100) else 0.0  # rounding in the last digits
