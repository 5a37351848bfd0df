"""The numbers and curves that the telling shows: at every step t, under three schedules.

One signal of the notes, the ensemble to which it belongs, and for each schedule a network that is
trained here for a few seconds. What the page moves, the README quotes and the notebook runs are the
expressions of :mod:`ddpm_np.equations.telling`, evaluated with the names of :func:`names`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from ddpm_np import MLP, MultiSine, Schedule, forward, posterior
from ddpm_np._checks import Array
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.equations.telling import PARTS
from ddpm_np.sampling import ancestral_step, ddim_step
from ddpm_np.signals import multi_sine_curve
from ddpm_np.training import denoising_loss, train

T, FIRST, SHOWN, SEED, POINT = 100, 2, 50, 3, 20
STEPS, BATCH = 600, 500
SCHEDULES = {
    "sigmoid": Schedule.sigmoid(T),
    "linear": Schedule.linear(T, beta_min=1e-3, beta_max=0.2),
    "cosine": Schedule.cosine(T),
}


class Learned(NamedTuple):
    """The notes' curve, its ensemble, a network trained on that, and the losses on the way."""

    x_0: Array
    signals: MultiSine
    network: MLP
    losses: list[float]


@cache
def learned(name: str, steps: int = STEPS) -> Learned:
    """What there is to see under one of :data:`SCHEDULES`, with everything drawn from one seed."""
    schedule, rng = SCHEDULES[name], np.random.default_rng(SEED)
    # Both begin with the same draw of five frequencies, so the curve is one of the ensemble's.
    x_0 = multi_sine_curve(rng=np.random.default_rng(SEED))
    signals = MultiSine.random(rng=rng)
    network = MLP(50, T, rng=rng, skip=np.sqrt(schedule.one_minus_alpha_bar))
    settings: dict[str, Any] = {"steps": steps, "batch_size": BATCH, "learning_rate": 1e-2}
    losses = [step.loss for step in train(network, signals, schedule, rng=rng, **settings)]
    return Learned(x_0, signals, network, losses)


def log_normal(x: Array, mean: Array, variance: float) -> Array:
    """The logarithm of a normal density, in each coordinate."""
    return -((x - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2


def names(schedule_name: str, t: int, what: Learned) -> dict[str, Any]:
    """The names that the expressions of the telling use, for one schedule and one t."""
    schedule, rng = SCHEDULES[schedule_name], np.random.default_rng(SEED)
    x_0, (eps, z) = what.x_0, rng.standard_normal((2, len(what.x_0)))
    x_t = forward.q_sample(schedule, x_0, t, eps)
    mean, variance = posterior.posterior_mean_variance(schedule, x_0, x_t, t)
    x_prev = mean + np.sqrt(variance) * z
    alpha_t, beta_t, s = schedule.alpha[t], schedule.beta[t], t // 2
    eps_hat = np.asarray(what.network(x_t[None], t), float)[0]
    eps_star = IdealDenoiser(what.signals, schedule)(x_t[None], t)[0]
    return {
        **{k: v for module in (forward, posterior) for k, v in vars(module).items()},
        **{f.__name__: f for f in (log_normal, denoising_loss, optimal_loss)},
        **{"np": np, "schedule": schedule, "signals": what.signals, "losses": what.losses},
        **{"t": t, "s": s, "alpha_t": alpha_t, "beta_t": beta_t, "mean": mean},
        **{"alpha_bar_t": schedule.alpha_bar[t], "alpha_bar_prev": schedule.alpha_bar[t - 1]},
        **{"x_0": x_0, "x_t": x_t, "x_prev": x_prev, "z": z, "eps": eps},
        **{"eps_hat": eps_hat, "eps_star": eps_star},
        "eps_t": (x_t - np.sqrt(alpha_t) * x_prev) / np.sqrt(beta_t),
        "step": ancestral_step(schedule, t),
        "ddim": ddim_step(schedule, t, eta=0.0),
    }


def values(known: Mapping[str, Any]) -> list[float]:
    """Every value that the telling shows, in its order; of a signal the one at :data:`POINT`."""
    found = []
    for part in PARTS:
        for step in part.steps:
            for _, expression in step.shows:
                value = np.ravel(eval(expression, dict(known)))  # our own text, not a user's
                found.append(float(value[POINT if value.size > 1 else 0]))
    return found


def curves(known: Mapping[str, Any]) -> dict[str, Array]:
    """The curves of the picture: x_t, the mean of x_{t-1}, and two guesses of x_0."""
    schedule, t, x_t = known["schedule"], known["t"], known["x_t"]
    guess = {name: posterior.predict_x0(schedule, x_t, t, known[name]) for name in _GUESSES}
    return {"x_t": x_t, "mean": known["mean"], **guess}


_GUESSES = ("eps_hat", "eps_star")


def written(number: float) -> str:
    """A number as the page and the README show it."""
    return f"{number:.4g}".replace("-", "−").replace("e−0", "e−")
