"""The loss and the training loop (E15, E16).

:func:`train` is a generator of small records: it prints nothing and writes nothing. All that a
run is after step k is its :class:`~ddpm_np.learning.state.TrainingState`, which can be saved after
any step and continued bit for bit.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import (
    Array,
    check_array,
    check_count,
    check_fits,
    check_flag,
    check_function,
    check_generator,
    check_instance,
    check_methods,
    check_positive,
)
from ddpm_np.forward import q_sample
from ddpm_np.learning.optimizer import clip_by_global_norm, warmup_cosine
from ddpm_np.learning.parameters import Network, Parameters
from ddpm_np.learning.random_numbers import fill_normal
from ddpm_np.learning.state import TrainingState as TrainingState
from ddpm_np.learning.threads import one_thread
from ddpm_np.schedule import Schedule

# (network, schedule, x_0, t, eps) -> loss and gradient: plain_gradient, or a faster one.
Gradient = Callable[[Network, Schedule, Array, Array, Array], tuple[float, Parameters]]


class Distribution(Protocol):
    """What training needs of a distribution: clean signals."""

    @property
    def dim(self) -> int:
        """Length of a signal."""
        ...

    def sample(self, n: int, *, rng: np.random.Generator) -> Array:
        """n signals, (n, dim)."""
        ...


class StepRecord(NamedTuple):
    """Step (from 1), loss, gradient norm before clipping, and learning rate."""

    step: int
    loss: float
    grad_norm: float
    learning_rate: float


class Divergence(ArithmeticError):
    """The loss or the gradient is not finite.

    Weights, optimizer and step are those of the step before; the generator has moved on.
    """


def balanced_steps(
    T: int, n: int, *, rng: np.random.Generator, step_density: ArrayLike | None = None
) -> NDArray[np.intp]:
    """n steps in 1..T, each drawn equally often, or as often as its density says.

    First 1, 2, .., T as often as fits into n. The r < T steps that are left are spread evenly:
    t_i = 1 + floor(T (i + u) / r), i = 0..r-1, with one uniform u. With a density there are no
    rounds: t_i is where its running sum passes the share (i + u) / n.

    Every t has the expected count n / T, or n times its share of the density, as with independent
    draws, but its count is off by less than one, so the loss of a batch varies less.

    Source: Kingma et al. 2021, appendix I.1. step_density: (T + 1,), index t, entry 0 not used.
    """
    T, n, rng = check_count("T", T), check_count("n", n), check_generator(rng)
    if step_density is not None:
        return _quantiles(_running_sum(step_density, T), (np.arange(n) + rng.random()) / n)
    rounds, r = divmod(n, T)
    rest = 1 + np.floor(T * (np.arange(r) + rng.random()) / max(r, 1)).astype(np.intp)
    np.minimum(rest, T, out=rest)  # rounding can lift T (r - 1 + u) / r to T
    return np.concatenate([np.tile(np.arange(1, T + 1), rounds), rest])


def denoising_loss(eps_hat: ArrayLike, eps: ArrayLike) -> tuple[float, Array]:
    """The loss, and its gradient with respect to eps_hat (E15).

    loss = mean((eps_hat - eps)^2),
    d_eps_hat = 2 (eps_hat - eps) / (n dim)

    Source: N2 "扩散模型的训练过程", which prints the norm without the square; Ho et al. 2020,
    eq. 14, divided by dim.

    eps_hat, eps: (n, dim). Returns the loss and the gradient (n, dim) of that same number. The
    loss is inf where the squares overflow.
    """
    eps_hat, eps = check_array("eps_hat", eps_hat, finite=False), check_array("eps", eps)
    if eps_hat.shape != eps.shape:
        raise ValueError(
            f"eps_hat and eps must have the same shape, got {eps_hat.shape} and {eps.shape}"
        )
    error = eps_hat - eps
    loss = np.vdot(error, error) / error.size
    return float(loss), error * (2 / error.size)


def plain_gradient(
    network: Network, schedule: Schedule, x_0: Array, t: Array, eps: Array
) -> tuple[float, Parameters]:
    """The loss of a batch, and its gradient for every parameter of the network (E15, E16)."""
    x_t = q_sample(schedule, x_0, t, eps)
    eps_hat, cache = network.forward(x_t, t)
    loss, d_eps_hat = denoising_loss(eps_hat, eps)
    return loss, network.backward(d_eps_hat, cache)


def train(
    network: Network,
    distribution: Distribution,
    schedule: Schedule,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    rng: np.random.Generator | None = None,
    state: TrainingState | None = None,
    warmup: int | None = None,
    max_norm: float = 1.0,
    balanced: bool = True,
    step_density: ArrayLike | None = None,
    gradient: Gradient | None = None,
) -> Iterator[StepRecord]:
    """Trains the network in place and yields a record after each step (E16).

    Repeat: draw x_0, t and eps; form x_t; take one AdamW step on the loss (E15).

    Source: N2 "扩散模型的训练过程"; Ho et al. 2020, algorithm 1.

    Parameters
    ----------
    schedule : the network then belongs to it: training goes on with no other
    steps : number of steps of the whole run; a state that has done some does the rest, and
        none where it has done them all
    learning_rate : the peak; the rate rises over ``warmup`` steps (by default a twentieth of all),
        then falls to 0 on a half cosine
    rng : draws everything, unless a state is given, which has its own
    state : to save or continue a run; it must belong to ``network``
    max_norm : a longer gradient is shortened to this length
    balanced : draw each t as often as it should be (:func:`balanced_steps`), or independently
    step_density : (T + 1,), how often each t is drawn, index t, entry 0 not used; by default all
        are drawn equally often
    gradient : computes loss and gradient; by default :func:`plain_gradient`. For an MLP,
        ``ddpm_np.learning.fast.FastGradient()`` gives the same numbers in less time

    Raises Divergence, before it changes the weights, when loss or gradient are not finite.
    """
    check_instance("network", network, Network)
    check_fits("network", network, check_instance("schedule", schedule, Schedule))
    check_methods("distribution", distribution, "dim", "sample")
    steps, batch_size = check_count("steps", steps), check_count("batch_size", batch_size)
    learning_rate = check_positive("learning_rate", learning_rate)
    max_norm, balanced = check_positive("max_norm", max_norm), check_flag("balanced", balanced)
    warmup = steps // 20 if warmup is None else check_count("warmup", warmup, low=0)
    if warmup >= steps:
        raise ValueError(f"warmup must be below steps = {steps}, got {warmup}")
    if network.dim != distribution.dim:
        raise ValueError(
            f"network and distribution must have the same dim, got {network.dim} and "
            f"{distribution.dim}"
        )
    if state is None:
        state = TrainingState(network, rng=check_generator(rng))
    elif check_instance("state", state, TrainingState).network is not network:
        raise ValueError("state must belong to the network given; use state.network")
    if state.step > steps:
        raise ValueError(f"steps must be at least the {state.step} that the state has done")
    if step_density is not None:
        _running_sum(step_density, schedule.T)
    rates = (
        warmup_cosine(step, steps=steps, peak=learning_rate, warmup=warmup)
        for step in range(state.step + 1, steps + 1)
    )
    gradient = check_function("gradient", plain_gradient if gradient is None else gradient)
    network.schedule = schedule
    how = balanced_steps if balanced else _independent_steps
    draw = partial(how, schedule.T, batch_size, rng=state.rng, step_density=step_density)
    return _loop(state, distribution, schedule, rates, batch_size, max_norm, draw, gradient)


def trained(
    network: Network,
    distribution: Distribution,
    schedule: Schedule,
    *,
    rng: np.random.Generator,
    ema_decay: float = 0.999,
    beta_2: float = 0.999,
    **settings: Any,
) -> Network:
    """The network with the averaged weights of a whole training (E16).

    settings: those of :func:`train`, such as steps, batch_size and learning_rate.
    """
    state = TrainingState(network, rng=rng, ema_decay=ema_decay, beta_2=beta_2)
    for _ in train(network, distribution, schedule, state=state, **settings):
        pass
    return state.ema_network()


def _loop(
    state: TrainingState,
    distribution: Distribution,
    schedule: Schedule,
    rates: Iterator[float],
    n: int,
    max_norm: float,
    draw_steps: Callable[[], NDArray[np.intp]],
    gradient: Gradient,
) -> Iterator[StepRecord]:
    network, rng = state.network, state.rng
    for rate in rates:
        # Overflow is reported below, once.
        with one_thread(), np.errstate(over="ignore", invalid="ignore"):
            x_0 = _signals(distribution, n, state)
            t = draw_steps()
            eps = fill_normal(np.empty_like(x_0), rng=rng)
            loss, g = gradient(network, schedule, x_0, t, eps)
            norm = clip_by_global_norm(g.flat, max_norm)
            _refuse_divergence(loss, norm, state.step + 1)
            state.optimizer.step(network.flat, g.flat, rate)
            state.ema.update(network.flat)
        state.step += 1
        yield StepRecord(state.step, loss, norm, rate)


def _signals(distribution: Distribution, n: int, state: TrainingState) -> Array:
    network = state.network
    x_0 = np.asarray(distribution.sample(n, rng=state.rng)).astype(network.dtype, copy=False)
    if x_0.shape != (n, network.dim):
        raise ValueError(
            f"the distribution's sample must have shape {(n, network.dim)}, got {x_0.shape}"
        )
    return x_0


def _independent_steps(
    T: int, n: int, *, rng: np.random.Generator, step_density: ArrayLike | None = None
) -> NDArray[np.intp]:
    if step_density is None:
        return rng.integers(1, T + 1, n)
    return _quantiles(_running_sum(step_density, T), rng.random(n))


def _running_sum(step_density: ArrayLike, T: int) -> Array:
    """Of the shares of t = 1..T; the last is 1."""
    weights = check_array("step_density", step_density, ndim=1, dim=T + 1, finite=False)[1:]
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise ValueError("step_density must be finite and above 0 for every t from 1")
    total = np.cumsum(weights)
    return total / total[-1]


def _quantiles(running: Array, shares: Array) -> NDArray[np.intp]:
    return 1 + np.searchsorted(running[:-1], shares, side="right")


def _refuse_divergence(loss: float, norm: float, step: int) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise Divergence(
            f"the loss is {loss} and the gradient's norm {norm} at step {step}; "
            "try a lower learning_rate"
        )
