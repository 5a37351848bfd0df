"""E15: the loss is the mean square of eps_hat - eps, the same at every step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import FAULTS, Unusable, floats, line, to_numpy
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.diagnosis import LIMIT
from ddpm_np.conformance.report import Row
from ddpm_np.conformance.subject import Subject
from ddpm_np.proof.reference import ulp_error

# Differences that tell squares, magnitudes and their mixtures apart; all exact in float32. The
# second pair is the second opinion: what explains the first must explain it, too.
_PROBES = (
    (
        np.array([[0.5, -1.0, 0.25, 2.0], [1.5, 0.0, -0.75, 1.0], [-2.0, 0.5, 1.0, -0.25]]),
        np.array([[1.0, -0.5, 2.0, 0.25], [0.0, 3.0, -1.5, 0.5], [0.125, -4.0, 1.0, 0.75]]),
    ),
    (
        np.array([[1.0, 0.5], [-0.5, 0.25], [2.0, -1.0], [0.75, 1.5], [0.0, -0.25]]),
        np.array([[-0.75, 2.5], [1.25, 0.5], [-3.0, 0.125], [0.25, -1.0], [1.5, 0.0]]),
    ),
)


def _pairwise(a: Array, b: Array) -> float:
    return float(((a[:, None] - b[None]) ** 2).mean())


_OTHERS: dict[str, Callable[[Array, Array], float]] = {
    "the sum of squares for their mean": lambda a, b: ((a - b) ** 2).sum(),
    "summed over the coordinates, averaged over the batch only": lambda a, b: (
        ((a - b) ** 2).sum(1).mean()
    ),
    "summed over the batch, averaged over the coordinates only": lambda a, b: (
        ((a - b) ** 2).sum(0).mean()
    ),
    "half the mean square": lambda a, b: ((a - b) ** 2).mean() / 2,
    "half the sum of squares": lambda a, b: ((a - b) ** 2).sum() / 2,
    "half the squared length, averaged over the batch": lambda a, b: (
        ((a - b) ** 2).sum(1).mean() / 2
    ),
    "twice the mean square": lambda a, b: 2 * ((a - b) ** 2).mean(),
    "the mean magnitude (L1) for the mean square": lambda a, b: np.abs(a - b).mean(),
    "the sum of magnitudes (L1) for the mean square": lambda a, b: np.abs(a - b).sum(),
    "the root of the mean square": lambda a, b: np.sqrt(((a - b) ** 2).mean()),
    "the length of the whole difference (a norm) for the mean square": lambda a, b: np.sqrt(
        ((a - b) ** 2).sum()
    ),
    "the mean length for the mean square": lambda a, b: np.sqrt(((a - b) ** 2).sum(1)).mean(),
    "a Huber loss (smooth L1) for the mean square": lambda a, b: np.where(
        np.abs(a - b) < 1, (a - b) ** 2 / 2, np.abs(a - b) - 0.5
    ).mean(),
    "the signed mean: errors cancel": lambda a, b: (a - b).mean(),
    "the magnitude of the signed mean: errors cancel": lambda a, b: abs((a - b).mean()),
    "the square of a signed mean: errors cancel": lambda a, b: (a - b).mean() ** 2,
    "the square of each row's signed mean: errors cancel": lambda a, b: (
        (a - b).mean(1) ** 2
    ).mean(),
    "the square of each coordinate's signed mean: errors cancel": lambda a, b: (
        (a - b).mean(0) ** 2
    ).mean(),
    "the sign is turned": lambda a, b: -((a - b) ** 2).mean(),
    "the variance of the difference: its mean is taken out": lambda a, b: (a - b).var(),
    "broadcast: every row against every other": _pairwise,
    "broadcast: every coordinate against every other": lambda a, b: _pairwise(a.T, b.T),
    "the first row only": lambda a, b: ((a[0] - b[0]) ** 2).mean(),
    "the last row only": lambda a, b: ((a[-1] - b[-1]) ** 2).mean(),
}


def loss_rows(view: Subject, operation: str, caller: Caller) -> list[Row]:
    """A row for the mean square; of a loss that asks a model, also one for a right answer."""
    takes_t = operation == "p_losses" or _takes_t(caller)
    steps = list(range(1, view.T + 1)) if takes_t else [None]
    if len(steps) > 200:
        steps = sorted({*steps[:20], *(int(t) for t in np.linspace(1, view.T, 180))})
    if not takes_t:
        caller.form = "int"
    elif operation == "loss":
        _settle(caller, view)
    key = ("E15", operation)
    (eps, off), (other_eps, other_off) = _PROBES
    exact = sum(Fraction(float(d)) ** 2 for d in off.flat) / off.size
    try:
        values, dtype = [], np.dtype(view.dtype)
        for t in steps:
            value, dtype = _value(caller, t, eps + off, eps)
            values.append(value)
        second, _ = _value(caller, steps[0], other_eps + other_off, other_eps)
        at_eps = _value(caller, steps[len(steps) // 2], eps, eps)[0]
    except Unusable as why:
        return [Row(*key, "mean square", "differs", np.nan, steps[0], str(why), "")]
    except FAULTS as error:
        return [Row(*key, "mean square", "raises", np.nan, steps[0], line(error), "")]
    rows = []
    if operation == "p_losses" and abs(at_eps) > 1e-5:
        text = f"the model answers {_answer(view)} and the loss is {at_eps:.4g}, not 0"
        middle = steps[len(steps) // 2]
        rows.append(Row(*key, "right answer", "differs", np.nan, middle, text, ""))
    got = np.array(values)
    errors = ulp_error(got.astype(dtype), np.full(len(got), exact, dtype=object))
    i = int(np.argmax(errors))
    t, ulp = steps[i], float(errors[i])
    if ulp <= LIMIT:
        return [*rows, Row(*key, "mean square", "holds", ulp, t, "", "")]
    if np.all(np.abs(got / float(exact) - 1) <= 2.0**-20):
        return [*rows, Row(*key, "mean square", "digits", ulp, t, "float32 arithmetic", "")]
    if takes_t and np.ptp(got) > 1e-6 * np.abs(got).max():
        reason = _weight(view, np.array(steps), got / float(exact))
    else:
        reason = _other(got[0], second)
    text = f"eps_hat - eps = {off[0].tolist()}, ...: {got[i]:.6g}, not {float(exact):.6g}"
    return [*rows, Row(*key, "mean square", "differs", ulp, t, reason, text)]


def _answer(view: Subject) -> str:
    return {"eps": "the noise", "x_0": "x_0", "v": "v"}[view.prediction]


def _takes_t(caller: Caller) -> bool:
    if caller.method.roles is not None:
        return caller.method.takes("t")
    try:
        return "t" in inspect.signature(caller.method.function).parameters
    except FAULTS:
        return False


def _settle(caller: Caller, view: Subject) -> None:
    """The form of t with which the loss works."""
    eps, off = _PROBES[0]
    for caller.form in ("int", "rows", "scalar", "column"):
        try:
            _value(caller, max(view.T // 2, 1), eps + off, eps)
            return
        except FAULTS:
            continue
    caller.form = "int"


def _value(caller: Caller, t: int | None, eps_hat: Array, eps: Array) -> tuple[float, Any]:
    """The loss as a number: of one for each row the mean."""
    if caller.operation == "p_losses":
        bar = float(caller.view.exact.alpha_bar[t or 1])
        x_0 = np.roll(eps, 1, axis=1)
        right = {"eps": eps, "x_0": x_0, "v": bar**0.5 * eps - (1 - bar) ** 0.5 * x_0}
        answer = right[caller.view.prediction] + (eps_hat - eps)
        result = caller.raw(t or 1, 0, x_0=x_0, noise=eps, eps=answer)
    else:
        values: Any = {"eps_hat": eps_hat, "eps": eps}
        if t is None:
            wide = {k: a.astype(caller.view.dtype) for k, a in values.items()}
            own = {k: caller._own(a[(..., *(None,) * caller.axes)]) for k, a in wide.items()}
            result = caller.native(own)
            for name, before in wide.items():
                after = to_numpy(own[name]).reshape(before.shape)
                if not np.array_equal(before, after):
                    raise Unusable(f"changes its argument {name} in place")
        else:
            result = caller.raw(t, 0, **values)
    if isinstance(result, dict):
        result = result["loss"] if "loss" in result else next(iter(result.values()))
    if isinstance(result, tuple):
        result = result[0]
    array = floats(result, None, "loss")
    if array.size not in (1, len(eps)):
        raise Unusable(f"returns shape {array.shape}, not a number")
    return float(array.astype(np.float64).mean()), array.dtype


def _other(value: float, second: float) -> str:
    for name, loss in _OTHERS.items():
        expected = [float(loss(e + d, e)) for e, d in _PROBES]
        if all(abs(v - x) <= 1e-5 * abs(x) for v, x in zip((value, second), expected)):
            return name
    if value != value:
        return "NaN"
    means = [float((d**2).mean()) for _, d in _PROBES]
    if abs(value) < 1e-12 and abs(second) < 1e-12:
        return "it is 0 whatever the difference"
    if abs(value / means[0] - second / means[1]) <= 1e-5 * abs(value / means[0]):
        return f"a constant factor: {value / means[0]:.4g} times the mean square"
    return "no loss that is known here"


def _weight(view: Subject, t: Array, weights: Array) -> str:
    exact = view.exact
    tables = (exact.alpha_bar, exact.one_minus_alpha_bar, exact.beta)
    bar, noise, beta = (np.array([float(table[i]) for i in t]) for table in tables)
    before = np.array([float(exact.alpha_bar[i - 1]) for i in t])
    with np.errstate(all="ignore"):
        snr = bar / noise
        known = {
            "snr_t": snr,
            "1 / snr_t": 1 / snr,
            "snr_t / (snr_t + 1)": bar,
            "1 / (snr_t + 1)": noise,
            "snr_{t-1} - snr_t": before / (1 - before) - snr,
            "beta_t / (2 alpha_t (1 - alpha_bar_t))": beta / (2 * (1 - beta) * noise),
            "beta_t": beta,
            "sqrt(snr_t)": np.sqrt(snr),
        }
        for most in (5, 1, 3, 10, 20):
            cut = np.minimum(snr, most)
            known |= {
                f"min(snr_t, {most}) / snr_t (min-SNR for eps)": cut / snr,
                f"min(snr_t, {most}) / (snr_t + 1) (min-SNR for v)": cut / (snr + 1),
                f"min(snr_t, {most}) (min-SNR for x_0)": cut,
            }
        for gamma in (0.5, 1.0, 2.0):
            for k in (1, 0.5, 2):
                known[f"1 / ({k:g} + snr_t)^{gamma:g} (P2)"] = (k + snr) ** -gamma
    for name, table in known.items():
        defined = np.isfinite(table)
        if np.allclose(weights[defined], table[defined], rtol=1e-4, atol=0):
            return f"the wrong SNR weight: {name} for 1"
    for name, table in known.items():
        defined = np.isfinite(table) & (table != 0)
        ratio = weights[defined] / table[defined]
        if len(ratio) > 2 and np.ptp(ratio) <= 1e-4 * np.abs(ratio).max():
            return f"the wrong SNR weight: {np.median(ratio):.4g} times {name} for 1"
    wrong = t[np.abs(weights - 1) > 1e-5]
    return (
        f"the loss depends on t, by no weight that is known here; wrong at {len(wrong)} of "
        f"{len(t)} steps, first at t = {wrong.min()}"
    )
