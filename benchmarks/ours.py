"""The package's own training step and sampling, and the matrix products they cannot do without.

Each function returns a callable that the clock calls again and again. The others are in
:mod:`benchmarks.rivals` and :mod:`benchmarks.jax_rival`.
"""

from collections.abc import Callable

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.learning.fast import ROWS, FastDenoiser, gradient
from ddpm_np.learning.optimizer import AdamW, clip_by_global_norm
from ddpm_np.learning.parameters import Network
from ddpm_np.learning.random_numbers import fill_normal
from ddpm_np.learning.threads import one_thread
from ddpm_np.network import MLP
from ddpm_np.sampling import ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.training import balanced_steps, plain_gradient

Run = Callable[[], object]
RATE, DECAY, MAX_NORM = 1e-3, 0.01, 1.0  # for everyone; the decay is the default of PyTorch's AdamW


def our_training(network: Network, schedule: Schedule, x_0: Array) -> Run:
    """The step that ``train`` repeats, on given clean signals and without the average of the
    weights.
    """
    rng, gradient_of = np.random.default_rng(0), gradient(network) or plain_gradient
    optimizer = AdamW(network.flat.size, network.dtype, weight_decay=DECAY)

    def step() -> float:
        with one_thread():
            t = balanced_steps(schedule.T, len(x_0), rng=rng)
            eps = fill_normal(np.empty_like(x_0), rng=rng)
            loss, g = gradient_of(network, schedule, x_0, t, eps)
            clip_by_global_norm(g.flat, MAX_NORM)
            optimizer.step(network.flat, g.flat, RATE)
        return loss

    return step


def our_sampling(mlp: MLP, schedule: Schedule, n: int) -> Run:
    """n signals by the package's sampler."""
    rng, denoiser = np.random.default_rng(0), FastDenoiser(mlp)
    return lambda: ancestral_sample(denoiser, schedule, n, mlp.dim, rng=rng)


def matrix_products(mlp: MLP, n: int) -> Run:
    """Only the matrix products of a training step, through the same BLAS: what no step can go
    below.

    One product forward and two backward for each layer; one backward for the first.
    """
    products = []
    for l in range(1, len(mlp.hidden) + 2):
        w = mlp.params[f"W{l}"]
        h, d = (np.random.default_rng(0).standard_normal((n, k)).astype(w.dtype) for k in w.shape)
        products += [(h, w.copy(), np.empty_like(d)), (h.T, d, np.empty_like(w))]
        if l > 1:
            products.append((d, w.T, np.empty_like(h)))
    return multiplied(products)


def sampling_products(mlp: MLP, n: int) -> Run:
    """Only the matrix products of a chain: one for each layer, step and block of rows."""
    products, rows = [], min(n, ROWS)
    for l in range(1, len(mlp.hidden) + 2):
        w = mlp.params[f"W{l}"]
        h = np.random.default_rng(0).standard_normal((rows, len(w))).astype(w.dtype)
        products.append((h, w.copy(), np.empty((rows, w.shape[1]), w.dtype)))
    return multiplied(products * (mlp.T * n // rows))


def multiplied(products: list[tuple[Array, Array, Array]]) -> Run:
    """What writes each a @ b into its out."""

    def run() -> None:
        for a, b, out in products:
            np.matmul(a, b, out=out)

    return run
