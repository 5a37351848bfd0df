"""The training loop and its state (E15, E16).

Third room of what is learned, on top of :mod:`ddpm_np.network` and :mod:`ddpm_np.learning.optimizer`. The loop is a generator of small
records: it prints nothing and writes nothing. All that a run is at step k stands in :class:`ddpm_np.learning.checkpoint.TrainingState`, which
can be saved at any step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np._checks import Array, count, positive, real_array
from ddpm_np.learning.checkpoint import Checkpoint, TrainingState, load_checkpoint, save_checkpoint
from ddpm_np.learning.optimizer import clip_by_global_norm, warmup_cosine
from ddpm_np.learning.random_numbers import fill_normal
from ddpm_np.network import MLP, Scratch
from ddpm_np.schedule import Schedule

__all__ = [
    "Checkpoint", "Divergence", "StepRecord", "TrainingState", "TrainingStep", "balanced_steps", "denoising_loss", "load_checkpoint",
    "save_checkpoint", "train",
]


class Source(Protocol):
    """What training needs of a distribution: clean signals."""

    dim: int

    def sample(self, n: int, *, rng: np.random.Generator) -> Array:
        """n signals, (n, dim)."""
        ...


class StepRecord(NamedTuple):
    """What one training step has to tell: its number from 1, its loss, the gradient's norm before clipping, the learning rate."""

    step: int
    loss: float
    grad_norm: float
    learning_rate: float


class Divergence(ArithmeticError):
    """The loss or the gradient is no longer a number; the state still is that of the step before."""


def balanced_steps(T: int, n: int, *, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.intp]]:
    """n steps in 1..T, sorted, each drawn equally often: t_i = 1 + floor(T (i + u) / n), i = 0..n-1, with one uniform u.

    Every t has the expected count n / T, as for independent draws, but its count is off by less than one, so that the loss of a
    batch varies less. Source: Kingma et al. 2021, appendix I.1. Checked by: tests/test_training.py.
    """
    t = 1 + np.floor(T * (np.arange(n) + rng.random()) / n).astype(np.intp)
    return np.minimum(t, T, out=t)  # T (n - 1 + u) / n may round up to T when u is within an ulp of 1


def denoising_loss(eps_hat: ArrayLike, eps: ArrayLike) -> tuple[float, Array]:
    """The loss mean (eps_hat - eps)^2 over batch and coordinates, and its gradient 2 (eps_hat - eps) / (n dim) (E15).

    Source: N2 "扩散模型的训练过程" (which prints the norm without the square); Ho et al. 2020, eq. 14, divided by dim.
    Checked by: tests/test_training.py. eps_hat, eps: (n, dim). The gradient is that of the number returned.
    """
    eps_hat, eps = real_array("eps_hat", eps_hat, finite=False), real_array("eps", eps)
    if eps_hat.shape != eps.shape:
        raise ValueError(f"eps_hat and eps must have the same shape, got {eps_hat.shape} and {eps.shape}")
    return _loss(eps_hat, eps, None)


def _loss(eps_hat: Array, eps: Array, out: Array | None) -> tuple[float, Array]:
    difference = np.subtract(eps_hat, eps, out=out)
    flat = difference.ravel()
    loss = float(np.dot(flat, flat)) / flat.size
    difference *= 2 / flat.size
    return loss, difference


class TrainingStep:
    """One step of training: noise, forward, loss, backward, clipping, AdamW (E15, E16).

    What :func:`train` repeats, and what the benchmark times. Moves the network and the optimizer of the state. It computes in arrays
    that the next step uses again, and checks nothing that :func:`train` has checked before. Checked by: tests/learning/test_parity.py.
    """

    def __init__(self, state: TrainingState, schedule: Schedule, *, max_norm: float = 1.0, balanced: bool = True) -> None:
        self.state, self.T, self.max_norm, self.balanced = state, schedule.T, max_norm, balanced
        roots = np.sqrt(schedule.alpha_bar), np.sqrt(schedule.one_minus_alpha_bar)
        self._signal, self._noise = (root.astype(state.network.dtype)[:, None] for root in roots)
        self._new, self._gradient = Scratch(), np.empty_like(state.network.flat)
        self._views = state.network._views(self._gradient)

    def draw(self, n: int) -> tuple[Array, Array]:
        """t (n,) and eps (n, dim) for the next update, which are overwritten by the next draw."""
        rng, network = self.state.rng, self.state.network
        t = balanced_steps(self.T, n, rng=rng) if self.balanced else rng.integers(1, self.T + 1, n)
        return t, fill_normal(self._new("eps", (n, network.dim), network.dtype), rng=rng)

    def update(self, x_0: Array, t: Array, eps: Array, learning_rate: float) -> tuple[float, float]:
        """One AdamW step on |eps_hat(x_t, t) - eps|^2; returns the loss and the gradient's norm, both of before.

        x_0, eps: (n, dim) in the network's dtype; t: (n,). Raises Divergence, before touching the weights, when either is not finite.
        """
        network, new = self.state.network, self._new
        x_t = np.multiply(self._signal[t], x_0, out=new("x_t", eps.shape, eps.dtype))             # x_t as q_sample gives it (E6)
        x_t += np.multiply(self._noise[t], eps, out=new("noise", eps.shape, eps.dtype))
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging run is reported below, once
            eps_hat, cache = network._forward(network.params, x_t, t, new)
            loss, d_eps_hat = _loss(eps_hat, eps, out=eps_hat)
            network._backward(d_eps_hat, cache, self._views)
            norm = clip_by_global_norm(self._gradient, self.max_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            step = self.state.optimizer.updates + 1
            raise Divergence(f"the loss is {loss} and the gradient's norm {norm} at step {step}; try a lower learning_rate")
        self.state.optimizer.step(network.flat, self._gradient, learning_rate)
        return loss, norm


def train(
    network: MLP, distribution: Source, schedule: Schedule, *, steps: int, batch_size: int, learning_rate: float,
    rng: np.random.Generator | None = None, state: TrainingState | None = None, warmup: int | None = None, max_norm: float = 1.0,
    balanced: bool = True,
) -> Iterator[StepRecord]:
    """Trains the network in place and yields a record after each step (E16).

    Repeat: x_0 from the distribution; t; eps ~ N(0, I); x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps; one AdamW step on
    |eps_hat(x_t, t) - eps|^2.

    Source: N2 "扩散模型的训练过程"; Ho et al. 2020, algorithm 1. Checked by: tests/test_training.py.

    Parameters
    ----------
    steps : the number of steps of the whole run; a state that has done some already does the rest
    learning_rate : the peak; it rises over ``warmup`` steps (by default a twentieth of all), then falls to 0 on a half cosine
    rng : draws everything, unless a state is given, which brings its own
    state : to keep, save or continue a run; must belong to ``network``
    max_norm : the gradient is shortened to this length if it is longer
    balanced : draw each t equally often (:func:`balanced_steps`), or independently

    Raises Divergence, before touching the weights, when the loss or the gradient is not a finite number.
    """
    steps, batch_size = count("steps", steps), count("batch_size", batch_size)
    learning_rate, max_norm = positive("learning_rate", learning_rate), positive("max_norm", max_norm)
    warmup = steps // 20 if warmup is None else count("warmup", warmup, low=0)
    if warmup >= steps:
        raise ValueError(f"warmup must be below steps = {steps}, got {warmup}")
    if network.dim != distribution.dim:
        raise ValueError(f"network and distribution must have the same dim, got {network.dim} and {distribution.dim}")
    if network.T != schedule.T:
        raise ValueError(f"network and schedule must have the same T, got {network.T} and {schedule.T}")
    if state is None:
        state = TrainingState(network, rng=rng)
    elif state.network is not network:
        raise ValueError("state must belong to the network given; use state.network")
    return _steps(state, distribution, schedule, steps, batch_size, learning_rate, warmup, max_norm, balanced)


def _steps(
    state: TrainingState, distribution: Source, schedule: Schedule, steps: int, batch_size: int, learning_rate: float, warmup: int,
    max_norm: float, balanced: bool,
) -> Iterator[StepRecord]:
    step = TrainingStep(state, schedule, max_norm=max_norm, balanced=balanced)
    shape, dtype = (batch_size, state.network.dim), state.network.dtype
    while state.step < steps:
        x_0 = np.asarray(distribution.sample(batch_size, rng=state.rng)).astype(dtype, copy=False)
        if x_0.shape != shape:
            raise ValueError(f"the distribution's sample must have shape {shape}, got {x_0.shape}")
        t, eps = step.draw(batch_size)
        rate = warmup_cosine(state.step + 1, steps=steps, peak=learning_rate, warmup=warmup)
        loss, grad_norm = step.update(x_0, t, eps, rate)
        state.ema.update(state.network.flat)
        state.step += 1
        yield StepRecord(state.step, loss, grad_norm, rate)
