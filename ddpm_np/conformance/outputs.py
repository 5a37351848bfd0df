"""The variance of the output: what a sampler's coefficients make of N(0, v) data (E24, E27)."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from ddpm_np.conformance.judged import Judged
from ddpm_np.conformance.report import Output
from ddpm_np.conformance.subject import Subject
from ddpm_np.conformance.values import DIGITS

VARIANCES = (0.0, 0.25)  # a known signal, and a spread one


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
    return [Output(named, v, _output(view, own, v), _output(view, true, v)) for v in VARIANCES]


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
