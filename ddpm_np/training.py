"""The training loop and its state (E15, E16).

Third room of what is learned, on top of :mod:`ddpm_np.network` and :mod:`ddpm_np.optimizer`. The loop is a generator of small
records: it prints nothing and writes nothing. All that a run is at step k stands in :class:`TrainingState`, which
:mod:`ddpm_np.checkpoint` saves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np.forward import q_sample
from ddpm_np.network import MLP, Scratch
from ddpm_np.optimizer import EMA, AdamW, clip_by_global_norm, warmup_cosine
from ddpm_np.schedule import Schedule
from ddpm_np.validation import Array, count, fraction, generator, positive, real_array

__all__ = ["Divergence", "StepRecord", "TrainingState", "balanced_steps", "denoising_loss", "train"]


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


class TrainingState:
    """A training run at one moment: network, optimizer moments, averaged weights, generator and step.

    ``train`` moves it on in place. Continuing from a saved state gives bit for bit what an uninterrupted run gives.
    """

    def __init__(
        self, network: MLP, *, rng: np.random.Generator, ema_decay: float = 0.999, weight_decay: float = 0.0,
        beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8,
    ) -> None:
        self.network = network
        self.optimizer = AdamW(
            network.flat.size, network.dtype, beta_1=beta_1, beta_2=beta_2, eps=eps, weight_decay=weight_decay
        )
        self.ema = EMA(network.flat, ema_decay)
        self.rng = generator(rng)
        self.step = 0

    def ema_network(self) -> MLP:
        """A network of its own with the averaged weights: the one to sample from."""
        average = MLP(
            self.network.dim, self.network.T, hidden=self.network.hidden, rng=np.random.default_rng(0), dtype=self.network.dtype,
            skip=self.network.skip,
        )
        average.flat[:] = self.ema.average
        return average


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
    difference = eps_hat - eps
    flat = difference.ravel()
    loss = float(np.dot(flat, flat)) / flat.size
    difference *= 2 / flat.size
    return loss, difference


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
    network, rng, shape = state.network, state.rng, (batch_size, state.network.dim)
    scratch, gradient = Scratch(), np.empty_like(network.flat)
    while state.step < steps:
        x_0 = distribution.sample(batch_size, rng=rng).astype(network.dtype, copy=False)
        t = balanced_steps(schedule.T, batch_size, rng=rng) if balanced else rng.integers(1, schedule.T + 1, batch_size)
        eps = rng.standard_normal(shape, network.dtype)
        x_t = q_sample(schedule, x_0, t, eps)
        with np.errstate(over="ignore", invalid="ignore"):  # a diverging run is reported below, once
            eps_hat, cache = network.forward(x_t, t, scratch=scratch)
            loss, d_eps_hat = denoising_loss(eps_hat, eps)
            network.backward(d_eps_hat, cache, out=gradient)
            grad_norm = clip_by_global_norm(gradient, max_norm)
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise Divergence(f"the loss is {loss} and the gradient's norm {grad_norm} at step {state.step + 1}; try a lower learning_rate")
        rate = warmup_cosine(state.step + 1, steps=steps, peak=learning_rate, warmup=warmup)
        state.optimizer.step(network.flat, gradient, rate)
        state.ema.update(network.flat)
        state.step += 1
        yield StepRecord(state.step, loss, grad_norm, rate)
