"""E15: the loss is the mean square of eps_hat - eps, the same at every step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.diagnosis import LIMIT
from ddpm_np.conformance.report import Row
from ddpm_np.conformance.subject import Subject, Unusable, numpy_of
from ddpm_np.proof.reference import ulp_error

# Differences that tell squares, magnitudes and their mixtures apart; all exact in float32.
_EPS = np.array([[0.5, -1.0, 0.25, 2.0], [1.5, 0.0, -0.75, 1.0], [-2.0, 0.5, 1.0, -0.25]])
_OFF = np.array([[1.0, -0.5, 2.0, 0.25], [0.0, 3.0, -1.5, 0.5], [0.125, -4.0, 1.0, 0.75]])
_Losses = dict[str, Callable[[Array], float]]
_OTHERS: _Losses = {
    "the sum of squares for their mean": lambda d: (d**2).sum(),
    "summed over the coordinates, averaged over the batch only": lambda d: (d**2).sum(1).mean(),
    "summed over the batch, averaged over the coordinates only": lambda d: (d**2).sum(0).mean(),
    "half the mean square": lambda d: (d**2).mean() / 2,
    "half the sum of squares": lambda d: (d**2).sum() / 2,
    "half the squared length, averaged over the batch": lambda d: (d**2).sum(1).mean() / 2,
    "twice the mean square": lambda d: 2 * (d**2).mean(),
    "the mean magnitude (L1) for the mean square": lambda d: np.abs(d).mean(),
    "the root of the mean square": lambda d: np.sqrt((d**2).mean()),
    "the mean length for the mean square": lambda d: np.sqrt((d**2).sum(1)).mean(),
    "a Huber loss (smooth L1) for the mean square": lambda d: np.where(
        np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5
    ).mean(),
    "the square of a signed mean: errors cancel": lambda d: d.mean() ** 2,
    "the sign is turned": lambda d: -(d**2).mean(),
    "the variance of the difference: its mean is taken out": lambda d: d.var(),
}


def loss_rows(view: Subject) -> list[Row]:
    """One row; and where the loss takes t, one for its weight."""
    takes_t = "t" in _parameters(view.given.loss)
    steps = range(1, view.T + 1) if takes_t else [None]
    exact = sum(Fraction(float(d)) ** 2 for d in _OFF.flat) / _OFF.size
    got, dtype = [], view.dtype
    for t in steps:
        at = () if t is None else (view.step(t),)
        try:
            array = numpy_of(view.call("loss", _EPS + _OFF, _EPS, *at))
            if array.size != 1 or array.dtype.kind not in "fiu":
                raise Unusable(f"returns shape {array.shape}, not a number")
        except Unusable as why:
            return [Row("E15", "loss", "mean square", "differs", np.nan, t, str(why), "")]
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"[:120]
            return [Row("E15", "loss", "mean square", "raises", np.nan, t, text, "")]
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
        got.append(float(array.reshape(())))
    values = np.array(got)
    errors = ulp_error(values.astype(dtype), np.full(len(got), exact, dtype=object))
    i = int(np.argmax(errors))
    t, ulp = (None if steps[i] is None else i + 1), float(errors[i])
    if ulp <= LIMIT:
        return [Row("E15", "loss", "mean square", "holds", ulp, t, "", "")]
    if np.all(np.abs(values / float(exact) - 1) <= 2.0**-20):
        return [Row("E15", "loss", "mean square", "digits", ulp, t, "float32 arithmetic", "")]
    weighted = takes_t and np.ptp(values) > 0
    reason = _weight(view, values / float(exact)) if weighted else _other(values[0])
    text = f"eps_hat - eps = {_OFF[0].tolist()}, ...: {values[i]:.6g}, not {float(exact):.6g}"
    return [Row("E15", "loss", "mean square", "differs", ulp, t, reason, text)]


def _other(value: float) -> str:
    for name, loss in _OTHERS.items():
        if abs(value - loss(_OFF)) <= 1e-5 * abs(value):
            return name
    mean = float((_OFF**2).mean())
    if value != value:
        return "NaN"
    return f"a constant factor: {value / mean:.4g} times the mean square"


def _weight(view: Subject, weights: Array) -> str:
    r = view.reference
    bar = np.array([float(a) for a in r.alpha_bar[1:]])
    noise = np.array([float(a) for a in r.one_minus_alpha_bar[1:]])
    beta = np.array([float(b) for b in r.beta[1:]])
    snr = bar / noise
    before = np.array([float(a) for a in r.alpha_bar[:-1]])
    with np.errstate(all="ignore"):
        known = {
            "snr_t": snr,
            "1 / snr_t": 1 / snr,
            "snr_t / (snr_t + 1)": bar,
            "1 / (snr_t + 1)": noise,
            "min(snr_t, 5) / snr_t": np.minimum(snr, 5) / snr,
            "min(snr_t, 5)": np.minimum(snr, 5),
            "snr_{t-1} - snr_t": before / (1 - before) - snr,
            "beta_t / (2 alpha_t (1 - alpha_bar_t))": beta / (2 * (1 - beta) * noise),
        }
    for name, table in known.items():
        defined = np.isfinite(table)
        if np.allclose(weights[defined], table[defined], rtol=1e-4, atol=0):
            return f"the wrong SNR weight: {name} for 1"
    return "the wrong SNR weight: the loss depends on t"


def _parameters(function: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
