"""The numbers and curves that the telling shows: at every step t, under three schedules.

One signal of the notes, the ensemble to which it belongs, and for each schedule a network that is
trained here for a few seconds. What the page moves and the notebook runs are the expressions of
:mod:`ddpm_np.equations.telling`, evaluated with the names that names.txt defines.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddpm_np import MLP, MultiSine, Schedule
from ddpm_np.equations.blocks import read_text
from ddpm_np.equations.telling import CHAPTERS
from ddpm_np.posterior import predict_x0
from ddpm_np.signals import multi_sine_curve
from ddpm_np.training import train

T, FIRST, SHOWN, SEED, POINT = 100, 2, 50, 3, 20
TRAINING_STEPS = 600
SCHEDULES = {
    "sigmoid": Schedule.sigmoid(T),
    "linear": Schedule.linear(T, beta_min=1e-3, beta_max=0.2),
    "cosine": Schedule.cosine(T),
}
NAMES = read_text("ddpm_np.companion", "names.txt")
_CODE = compile(NAMES, "names.txt", "exec")


class Learned(NamedTuple):
    """The notes' curve, its ensemble, a network trained on that, and the losses on the way."""

    x_0: NDArray[Any]
    signals: MultiSine
    network: MLP
    losses: list[float]


@cache
def learned(name: str) -> Learned:
    """What there is to see under one of :data:`SCHEDULES`, with everything drawn from one seed."""
    schedule, rng = SCHEDULES[name], np.random.default_rng(SEED)
    # Both begin with the same draw of five frequencies, so the curve is one of the ensemble's.
    x_0 = multi_sine_curve(rng=np.random.default_rng(SEED))
    signals = MultiSine.random(rng=rng)
    network = MLP(50, T, rng=rng, skip=np.sqrt(schedule.one_minus_alpha_bar))
    settings: dict[str, Any] = {"steps": TRAINING_STEPS, "batch_size": 500, "learning_rate": 1e-2}
    losses = [step.loss for step in train(network, signals, schedule, rng=rng, **settings)]
    return Learned(x_0, signals, network, losses)


def log_normal(x: NDArray[Any], mean: NDArray[Any], variance: float) -> NDArray[Any]:
    """The logarithm of a normal density, in each coordinate."""
    return -((x - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2


def names(schedule: str, t: int) -> dict[str, Any]:
    """The names that the expressions of the telling use, for one schedule and one t."""
    scope = {"schedule": SCHEDULES[schedule], "t": t, **learned(schedule)._asdict()}
    exec(_CODE, scope)  # the package's own text
    return scope


def values(known: Mapping[str, Any]) -> list[float]:
    """Every value that the telling shows, in its order."""
    return [
        at_point(eval(expression, dict(known)))
        for part in CHAPTERS
        for step in part.steps
        for _, expression in step.shows
    ]


def at_point(value: Any) -> float:
    """A number, or of a signal the one that the page marks."""
    numbers = np.ravel(value)
    return float(numbers[POINT if numbers.size > 1 else 0])


def curves(known: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The curves of the picture: x_t, the mean of x_{t-1}, and two guesses of x_0."""
    x_t, t = known["x_t"], known["t"]
    guesses = {n: predict_x0(known["schedule"], x_t, t, known[n]) for n in ("eps_hat", "eps_star")}
    return {"x_t": x_t, "mean": known["mean"], **guesses}


def written(number: float) -> str:
    """A number as the page shows it."""
    return f"{number:.4g}".replace("-", "−").replace("e−0", "e−")


# ---- what the page's script draws from ----------------------------------------------------------

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
RANGE = 4.0  # of the picture, up and down


def moved() -> tuple[list[str], str]:
    """The values without a script, and what the script draws from, as JSON.

    A value that two places show is there once, and one that never changes is one text.
    """
    data: dict[str, Any] = {"columns": {}, "places": {}, "curves": {}, "std": {}}
    shown: list[str] = []
    for name, schedule in SCHEDULES.items():
        rows, drawn = [], []
        for t in range(FIRST, T + 1):
            known = names(name, t)
            rows.append([written(value) for value in values(known)])
            drawn.append(np.concatenate(list(curves(known).values())))
        shown = shown or rows[SHOWN - FIRST]
        columns = [" ".join(c if len(set(c)) > 1 else c[:1]) for c in zip(*rows)]
        unique = list(dict.fromkeys(columns))
        data["columns"][name] = unique
        data["places"][name] = [unique.index(column) for column in columns]
        data["curves"][name] = encoded(np.array(drawn))
        data["std"][name] = [round(v, 4) for v in np.sqrt(schedule.beta_tilde[FIRST:])]
    data |= {"first": FIRST, "range": RANGE}
    return shown, json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def encoded(drawn: NDArray[Any]) -> str:
    """Curves (t, points) within the picture's range: what changes from one t to the next is one
    character where it is small, and else a slash and two characters of the value itself."""
    levels = np.clip(np.round((drawn + RANGE) * 256), 0, 2047).astype(int)
    text, before = [], np.full(drawn.shape[1], -9999)
    for row in levels:
        for level, change in zip(row, row - before):
            whole = f"/{DIGITS[level // 64]}{DIGITS[level % 64]}"
            text.append(DIGITS[change + 31] if abs(change) <= 31 else whole)
        before = row
    return "".join(text)


def points() -> dict[str, str]:
    """The points of the picture's lines without a script, as script.js computes them."""
    known = names("sigmoid", SHOWN)
    lines = {"x_0": known["x_0"], **curves(known)}
    wide = 2 * np.sqrt(known["schedule"].beta_tilde[SHOWN])
    above, below = ([*enumerate(lines["mean"] + side)] for side in (wide, -wide))
    drawn = {name: list(enumerate(curve)) for name, curve in lines.items()}
    drawn["band"] = above + below[::-1]
    return {name: " ".join(place(i, v) for i, v in line) for name, line in drawn.items()}


def place(i: int, v: float) -> str:
    """Where a point of a line stands in the picture."""
    return f"{5 + 690 * i / 49:.1f},{150 - 42 * v:.1f}"
