"""JAX at its best: the training step, and the whole chain of the sampler, as one jit-compiled
function.

AdamW stands here as its formula, because JAX has none. The weights, the moments and the key are
donated, so that XLA may update them in place. No flag keeps XLA to one thread, so the whole process
is put on one core (:mod:`benchmarks.cores`). The key is of threefry, the default, which in JAX 0.10
draws normal numbers on a processor several times faster than rbg.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.ours import DECAY, MAX_NORM, RATE, Run
from ddpm_np._checks import Array
from ddpm_np.network import MLP
from ddpm_np.sampling import ancestral_step
from ddpm_np.schedule import Schedule

ACTIVATIONS = {
    "silu": lambda z, _: jax.nn.silu(z),
    "leaky_relu": lambda z, leak: jnp.maximum(z, leak * z),
    "identity": lambda z, _: z,
}
SCAN = 100  # training steps in a call of jax_scan


def predictor(mlp: MLP) -> Callable[[Any, Any, Any], Any]:
    """(parameters, x, t) -> eps_hat."""
    skip = None if mlp.skip is None else jnp.asarray(mlp.skip)[:, None]
    basis = None if mlp.basis is None else jnp.asarray(mlp.basis)

    def rows(table: Any, t: Any) -> Any:
        return table[t] if basis is None else basis[t] @ table

    def predict(p: Any, x: Any, t: Any) -> Any:
        h = x
        for l, layer in enumerate(mlp.hidden, 1):
            z = h @ p[f"W{l}"]
            if layer.step == "gate":
                z = rows(p[f"gate{l}"], t) * z + rows(p[f"shift{l}"], t)
            else:
                z = z + p[f"b{l}"] + (rows(p[f"shift{l}"], t) if layer.step == "shift" else 0)
            h = ACTIVATIONS[layer.activation](z, layer.leak)
        last = len(mlp.hidden) + 1
        out = h @ p[f"W{last}"] + p[f"b{last}"]
        return out if skip is None else out + skip[t] * x

    return predict


def jax_training(mlp: MLP, schedule: Schedule, x_0: Array) -> Run:
    """One step a call, the loss read after each, as a loop with a progress bar does."""
    step, state = _step(mlp, schedule, x_0)
    compiled = jax.jit(step, donate_argnums=0)

    def run() -> float:
        nonlocal state
        state, loss = compiled(state, None)
        return float(loss)  # waits for the result

    return run


def jax_scan(mlp: MLP, schedule: Schedule, x_0: Array) -> Run:
    """SCAN steps a call by ``lax.scan``, which spares the dispatch of each; the losses come at its
    end.
    """
    step, state = _step(mlp, schedule, x_0)
    compiled = jax.jit(lambda state: jax.lax.scan(step, state, length=SCAN), donate_argnums=0)

    def run() -> Array:
        nonlocal state
        state, losses = compiled(state)
        return np.asarray(losses)

    return run


def _step(mlp: MLP, schedule: Schedule, x_0: Array) -> tuple[Callable[..., Any], Any]:
    """(state, None) -> (state, loss), as ``lax.scan`` wants it, and the first state."""
    predict, x = predictor(mlp), jnp.asarray(x_0)
    roots = np.sqrt(schedule.alpha_bar), np.sqrt(schedule.one_minus_alpha_bar)
    signal, noise = (jnp.asarray(root, jnp.float32)[:, None] for root in roots)
    beta_1, beta_2, floor = 0.9, 0.999, 1e-8

    def loss_of(p: Any, t: Any, eps: Any) -> Any:
        return jnp.mean((predict(p, signal[t] * x + noise[t] * eps, t) - eps) ** 2)

    def step(state: Any, _: None) -> Any:
        p, m, v, k, key = state
        key, for_t, for_eps = jax.random.split(key, 3)
        t = jax.random.randint(for_t, (len(x),), 1, schedule.T + 1)
        eps = jax.random.normal(for_eps, x.shape)
        loss, g = jax.value_and_grad(loss_of)(p, t, eps)
        norm = jnp.sqrt(sum(jnp.sum(a * a) for a in g.values()))
        scale, k = jnp.minimum(1.0, MAX_NORM / norm), k + 1
        g = {name: scale * a for name, a in g.items()}
        m = {name: beta_1 * m[name] + (1 - beta_1) * a for name, a in g.items()}
        v = {name: beta_2 * v[name] + (1 - beta_2) * a * a for name, a in g.items()}
        rate, root = RATE / (1 - beta_1**k), jnp.sqrt(1 - beta_2**k)
        p = {
            name: (1 - RATE * DECAY) * p[name] - rate * m[name] / (jnp.sqrt(v[name]) / root + floor)
            for name in p
        }
        return (p, m, v, k, key), loss

    p = {name: jnp.array(value) for name, value in mlp.params.items()}
    m, v = (jax.tree.map(jnp.zeros_like, p) for _ in range(2))
    return step, (p, m, v, jnp.zeros(()), jax.random.key(0))


def jax_sampling(mlp: MLP, schedule: Schedule, n: int) -> Run:
    """n signals: the whole chain is one call."""
    predict, p = predictor(mlp), {name: jnp.array(value) for name, value in mlp.params.items()}
    steps = range(1, schedule.T + 1)
    numbers = jnp.array([(0, 0, 0), *(ancestral_step(schedule, t) for t in steps)], jnp.float32)

    def reverse(i: Any, carry: Any) -> Any:
        x, key = carry
        key, for_z = jax.random.split(key)
        t, z = schedule.T - i, jax.random.normal(for_z, x.shape)
        return numbers[t, 0] * x + numbers[t, 1] * predict(p, x, t) + numbers[t, 2] * z, key

    @jax.jit
    def sample(key: Any) -> Any:
        key, first = jax.random.split(key)
        x_T = jax.random.normal(first, (n, mlp.dim))
        return jax.lax.fori_loop(0, schedule.T, reverse, (x_T, key))

    state = [jax.random.key(0)]

    def run() -> Array:
        x, state[0] = sample(state[0])
        return np.asarray(x)

    return run
