"""E15: the loss is the mean square of eps_hat - eps, the same at every step."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import Unusable, floats
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.judged import LIMIT
from ddpm_np.conformance.report import Row
from ddpm_np.conformance.subject import Subject
from ddpm_np.proof.reference import ulp_error

# Noise, and differences that tell squares, magnitudes and their mixtures apart; all exact in
# float32. What explains the first pair must explain the second one, too.
_PROBES = (
    (
        np.array([[0.5, -1.0, 0.25, 2.0], [1.5, 0.0, -0.75, 1.0], [-2.0, 0.5, 1.0, -0.25]]),
        np.array([[1.0, -0.5, 2.0, 0.25], [0.0, 3.0, -1.5, 0.5], [0.125, -4.0, 1.0, 0.75]]),
    ),
    (
        np.array([[1.0, 0.5], [-0.5, 0.25], [2.0, -1.0], [0.75, 1.5], [0.0, -0.25]]),
        np.array([[0.75, -2.5], [-1.25, -0.5], [3.0, -0.125], [-0.25, 1.0], [-1.5, 0.0]]),
    ),
)


def _huber(d: Array, delta: float) -> Array:
    return np.where(np.abs(d) < delta, d**2 / 2, delta * (np.abs(d) - delta / 2))


# Other losses, of the difference; and those that compare what does not belong together.
_OTHERS: dict[str, Callable[[Array], Any]] = {
    "the sum of squares for their mean": lambda d: (d**2).sum(),
    "summed over the coordinates, averaged over the batch only": lambda d: (d**2).sum(1).mean(),
    "summed over the batch, averaged over the coordinates only": lambda d: (d**2).sum(0).mean(),
    "half the mean square": lambda d: (d**2).mean() / 2,
    "half the sum of squares": lambda d: (d**2).sum() / 2,
    "half the squared length, averaged over the batch": lambda d: (d**2).sum(1).mean() / 2,
    "twice the mean square": lambda d: 2 * (d**2).mean(),
    "the mean magnitude (L1) for the mean square": lambda d: np.abs(d).mean(),
    "the sum of magnitudes (L1) for the mean square": lambda d: np.abs(d).sum(),
    "the root of the mean square": lambda d: np.sqrt((d**2).mean()),
    "the length of the whole difference (a norm) for the mean square": np.linalg.norm,
    "the mean length for the mean square": lambda d: np.linalg.norm(d, axis=1).mean(),
    "a Huber loss (smooth L1) for the mean square": lambda d: _huber(d, 1).mean(),
    "a Huber loss with delta = 0.1 for the mean square": lambda d: _huber(d, 0.1).mean(),
    "a smooth L1 loss with beta = 0.1 for the mean square": lambda d: _huber(d, 0.1).mean() / 0.1,
    "the signed mean: errors cancel": lambda d: d.mean(),
    "the magnitude of the signed mean: errors cancel": lambda d: abs(d.mean()),
    "the square of a signed mean: errors cancel": lambda d: d.mean() ** 2,
    "the square of each row's signed mean: errors cancel": lambda d: (d.mean(1) ** 2).mean(),
    "the square of each coordinate's signed mean: errors cancel": lambda d: (d.mean(0) ** 2).mean(),
    "the sign is turned": lambda d: -(d**2).mean(),
    "the variance of the difference: its mean is taken out": np.var,
    "the first row only": lambda d: (d[0] ** 2).mean(),
    "the last row only": lambda d: (d[-1] ** 2).mean(),
}
_CROSSED: dict[str, Callable[[Array, Array], Any]] = {
    "broadcast: every row against every other": lambda a, b: ((a[:, None] - b) ** 2).mean(),
    "broadcast: every coordinate against every other": lambda a, b: (
        (a.T[:, None] - b.T) ** 2
    ).mean(),
}


def loss_rows(caller: Caller) -> list[Row]:
    """A row for the mean square; of a loss that asks a model, also one for a right answer."""
    view, operation = caller.view, caller.operation
    takes_t = operation == "p_losses" or caller.method.takes("t")
    steps = list(range(1, view.T + 1)) if takes_t else [1]
    if len(steps) > 200:
        steps = sorted({*steps[:20], *np.linspace(1, view.T, 180).astype(int).tolist()})
    if not caller.settled:
        caller.settle([(steps[len(steps) // 2], 0, 0.0)])
    middle = steps[len(steps) // 2]
    (eps, off), (other_eps, other_off) = _PROBES
    exact = sum(Fraction(float(d)) ** 2 for d in off.flat) / off.size

    def row(verdict: str, ulp: float, t: int, *texts: str, what: str = "mean square") -> Row:
        return Row("E15", operation, what, verdict, ulp, t if takes_t else None, *texts)

    try:
        results = [_value(caller, t, eps + off, eps) for t in steps]
        second, _ = _value(caller, steps[0], other_eps + other_off, other_eps)
        at_eps, dtype = _value(caller, middle, eps, eps)
    except Unusable as why:
        return [row("differs", np.nan, 1, str(why), "")]
    except Exception as error:
        return [row("raises", np.nan, 1, caller.message(error), "")]
    rows = []
    if operation == "p_losses" and abs(at_eps) > 1e-5:
        answer = {"eps": "the noise"}.get(view.prediction, view.prediction)
        text = f"the model answers {answer} and the loss is {at_eps:.4g}, not 0"
        rows.append(row("differs", np.nan, middle, text, "", what="right answer"))
    got = np.array([value for value, _ in results])
    errors = ulp_error(got.astype(dtype), np.full(len(got), exact, dtype=object))
    i = int(np.argmax(errors))
    t, ulp = steps[i], float(errors[i])
    if ulp <= LIMIT:
        return [*rows, row("holds", ulp, t, "", "")]
    if np.all(np.abs(got / float(exact) - 1) <= 2.0**-20):
        return [*rows, row("digits", ulp, t, "float32 arithmetic", "")]
    if takes_t and np.ptp(got) > 1e-6 * np.abs(got).max():
        reason = _weight(view, np.array(steps), got / float(exact))
    else:
        reason = _other(got[0], second)
    text = f"eps_hat - eps = {off[0].tolist()}, ...: {got[i]:.6g}, not {float(exact):.6g}"
    return [*rows, row("differs", ulp, t, reason, text)]


def _value(caller: Caller, t: int, eps_hat: Array, eps: Array) -> tuple[float, Any]:
    """The loss as a number, the mean of what is not averaged yet; and its dtype."""
    if caller.operation == "p_losses":
        if caller.alone and len(eps) > 1:
            rows = [_value(caller, t, *pair) for pair in zip(eps_hat[:, None], eps[:, None])]
            return float(np.mean([value for value, _ in rows])), rows[0][1]
        x_0, view = np.roll(eps, 1, axis=1), caller.view

        def answer(t: int) -> Array:
            bar = float(view.exact.bar[t])
            right = {"eps": eps, "x_0": x_0, "v": bar**0.5 * eps - (1 - bar) ** 0.5 * x_0}
            return right[view.prediction] + (eps_hat - eps)

        answers = [answer(t), *([answer(view.T + 1 - t)] if caller.doubles else [])]
        result = caller.raw(t, 0, x_0=x_0, noise=eps, eps=np.concatenate(answers))
    else:
        result = caller.raw(t, 0, eps_hat=eps_hat, eps=eps)
    if isinstance(result, dict):
        result = result["loss"] if "loss" in result else next(iter(result.values()))
    array = floats(result[0] if isinstance(result, tuple) else result, None, "loss")
    if array.size // (1 + caller.even) not in (0, 1, len(eps), eps.size):
        raise Unusable(f"returns shape {array.shape}, not a number")
    return float(array.astype(np.float64).mean()), array.dtype


def _other(value: float, second: float) -> str:
    known = {name: [loss(d) for _, d in _PROBES] for name, loss in _OTHERS.items()}
    known |= {name: [loss(e + d, e) for e, d in _PROBES] for name, loss in _CROSSED.items()}
    for name, expected in known.items():
        if np.allclose((value, second), expected, rtol=1e-5, atol=0):
            return name
    if value != value:
        return "NaN"
    if abs(value) < 1e-12 and abs(second) < 1e-12:
        return "it is 0 whatever the difference"
    factor, again = (v / (d**2).mean() for v, (_, d) in zip((value, second), _PROBES))
    if abs(factor - again) <= 1e-5 * abs(factor):
        return f"a constant factor: {factor:.4g} times the mean square"
    return "no loss that is known here"


def _weight(view: Subject, t: Array, weights: Array) -> str:
    tables = (view.exact.bar, 1 - view.exact.bar, view.exact.beta)
    bar, noise, beta = (table[t].astype(np.float64) for table in tables)
    before = view.exact.bar[t - 1].astype(np.float64)
    with np.errstate(all="ignore"):
        snr = bar / noise
        known = {
            "snr_t": snr,
            "1 / snr_t": 1 / snr,
            "snr_t / (snr_t + 1)": bar,
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
        for factor_is_1 in (True, False):
            for name, table in known.items():
                ratio = (weights / table)[np.isfinite(table) & (table != 0)]
                factor = 1.0 if factor_is_1 else float(np.median(ratio))
                if len(ratio) > 2 and np.all(np.abs(ratio / factor - 1) <= 1e-4):
                    times = "" if factor_is_1 else f"{factor:.4g} times "
                    return f"the wrong SNR weight: {times}{name} for 1"
    wrong = t[np.abs(weights - 1) > 1e-5]
    return (
        f"the loss depends on t, by no weight that is known here; wrong at {len(wrong)} of "
        f"{len(t)} steps, first at t = {wrong.min()}"
    )
