"""The law of the output: what a sampler's coefficients make of N(0, v) data (E24, E27)."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from ddpm_np.conformance.operations import Measured, exact
from ddpm_np.conformance.report import Law
from ddpm_np.conformance.subject import Subject

VARIANCES = (0.0, 0.25)  # a known signal, and a spread one


def laws_of(subject: Subject, operation: str, measured: Measured, beta: bool) -> list[Law]:
    """The output variance for every v, where the sampler was measured at every step 1..T.

    beta: compare with the step whose noise has the variance beta, not beta_tilde. A DDIM step is
    taken with the eta that was measured at every step.
    """
    steps = measured.steps
    single = steps.t - steps.s == 1
    if operation == "ddim_step":
        single &= steps.eta == 0.5
    chosen = np.flatnonzero(single)
    chosen = chosen[np.argsort(-steps.t[chosen])]
    if not np.array_equal(steps.t[chosen], np.arange(subject.T, 0, -1)):
        return []
    own = [measured.values[name][chosen] for name in ("x_t", "eps", "z")]
    if not all(np.isfinite(v).all() for v in own):
        return []
    table = exact(subject.reference, operation, steps.only(chosen))
    true = [table[name][0] for name in ("x_t", "eps", "z, beta" if beta else "z")]
    named = operation if operation == "reverse_step" else f"{operation}, eta = 0.5"
    return [Law(named, v, _output(subject, own, v), _output(subject, true, v)) for v in VARIANCES]


def _output(subject: Subject, coefficients: list[Any], v: float) -> float:
    """V_s = (xt_coef + eps_coef g_t)^2 V_t + std^2 from t = T down, in decimals."""
    r, variance, spread = subject.reference, Decimal(1), Decimal(v)
    with localcontext() as context:
        context.prec = 120
        for t, xt, eps, std in zip(range(subject.T, 0, -1), *coefficients):
            noise = r.one_minus_alpha_bar[t]
            slope = noise.sqrt() / (r.alpha_bar[t] * spread + noise)
            gain = Decimal(xt) + Decimal(eps) * slope
            variance = gain**2 * variance + Decimal(std) ** 2
    return float(variance) if variance > Decimal(1e-100) else 0.0  # rounding in the last digits
