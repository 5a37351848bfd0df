"""The package's own training step and sampling run, and the two limits it is held against.

As callables that the clock can call again and again. No PyTorch here: :mod:`benchmarks.rivals` holds the others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.network import MLP
from ddpm_np.sampling import ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.training import TrainingState, TrainingStep

__all__ = ["DECAY", "MAX_NORM", "RATE", "Run", "matrix_products", "optimizer_floor", "our_sampling", "our_training"]

Run = Callable[[], object]
RATE, DECAY, MAX_NORM = 1e-3, 0.01, 1.0  # of everyone; the decay is the default of PyTorch's AdamW


def our_training(mlp: MLP, schedule: Schedule, x_0: Array) -> Run:
    """The step that ``train`` repeats."""
    step = TrainingStep(TrainingState(mlp, rng=np.random.default_rng(0), weight_decay=DECAY), schedule, max_norm=MAX_NORM)
    return lambda: step.update(x_0, *step.draw(len(x_0)), RATE)


def our_sampling(mlp: MLP, schedule: Schedule, n: int) -> Run:
    """n signals by the package's sampler."""
    rng = np.random.default_rng(0)
    return lambda: ancestral_sample(mlp, schedule, n, mlp.dim, rng=rng)


def matrix_products(mlp: MLP, n: int) -> Run:
    """A limit: only the matrix products of a training step, through the same BLAS, forward and both of backward for each layer."""
    products = []
    for l in range(1, len(mlp.hidden) + 2):
        w = mlp.params[f"W{l}"]
        h, d = (np.random.default_rng(0).standard_normal((n, width), w.dtype) for width in w.shape)
        products += [(h, w.copy(), np.empty_like(d)), (h.T, d, np.empty_like(w))]
        if l > 1:
            products.append((d, w.T, np.empty_like(h)))

    def run() -> None:
        for a, b, out in products:
            np.matmul(a, b, out=out)

    return run


def optimizer_floor(size: int) -> Run:
    """A limit: moving the seven vectors that AdamW must read or write (theta, m, v both; the gradient read), as a plain copy."""
    source = np.zeros(7 * size // 2, np.float32)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)
