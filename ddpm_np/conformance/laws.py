"""The law of the output: what a sampler's coefficients make of N(0, v) data (E24, E27)."""

from __future__ import annotations

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.operations import Measured, exact
from ddpm_np.conformance.report import Law
from ddpm_np.conformance.subject import Subject

__all__ = ["laws_of"]

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
    table = exact(subject.reference, operation, steps.only(chosen))
    names = ("x_t", "eps", "z, beta" if beta else "z")
    true = [table[name][0].astype(np.float64) for name in names]
    if not all(np.isfinite(v).all() for v in own):
        return []
    bar = np.array([float(a) for a in subject.reference.alpha_bar[:0:-1]])
    noise = np.array([float(a) for a in subject.reference.one_minus_alpha_bar[:0:-1]])
    named = operation if operation == "reverse_step" else f"{operation}, eta = 0.5"
    return [
        Law(named, v, _output(own, bar, noise, v), _output(true, bar, noise, v)) for v in VARIANCES
    ]


def _output(coefficients: list[Array], bar: Array, noise: Array, v: float) -> float:
    variance = 1.0
    slope = np.sqrt(noise) / (bar * v + noise)
    for xt, eps, std, g in zip(*coefficients, slope):
        variance = (xt + eps * g) ** 2 * variance + std**2
    return float(variance)
