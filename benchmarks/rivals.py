"""One training step and one sampling run, by the package and by each rival, as callables that the clock can call again and again.

All start from the same weights and clean signals, and do the same: draw t and eps, mix x_t, predict, loss, gradients, clip to length
1, AdamW with PyTorch's default decay. Each draws t in its own cheapest way: one ``torch.randint`` there, ``balanced_steps`` here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from benchmarks.twin import Twin
from ddpm_np.network import MLP
from ddpm_np.sampling import ancestral_sample, ancestral_step
from ddpm_np.schedule import Schedule
from ddpm_np.training import TrainingState, TrainingStep
from ddpm_np.validation import Array

__all__ = ["cannot_compile", "matrix_products", "optimizer_floor", "our_sampling", "our_training", "torch_sampling", "torch_training"]

Run = Callable[[], object]
RATE, DECAY, MAX_NORM = 1e-3, 0.01, 1.0


def our_training(mlp: MLP, schedule: Schedule, x_0: Array) -> Run:
    """The step that ``train`` repeats."""
    step = TrainingStep(TrainingState(mlp, rng=np.random.default_rng(0), weight_decay=DECAY), schedule, max_norm=MAX_NORM)
    return lambda: step.update(x_0, *step.draw(len(x_0)), RATE)


def our_sampling(mlp: MLP, schedule: Schedule, n: int) -> Run:
    """n signals by the package's sampler."""
    rng = np.random.default_rng(0)
    return lambda: ancestral_sample(mlp, schedule, n, mlp.dim, rng=rng)


def torch_training(mlp: MLP, schedule: Schedule, x_0: Array, *, fused: bool = False, compiled: bool = False) -> Run:
    """PyTorch eager, or compiled: then noise mixing, network, loss and their gradients are one compiled graph.

    The random numbers stay outside of the graph: Inductor's own generator for the CPU is slower than ``torch.randn``.
    """
    twin, x, n = Twin(mlp), torch.tensor(x_0), len(x_0)
    signal, noise = (torch.tensor(np.sqrt(v), dtype=x.dtype)[:, None] for v in (schedule.alpha_bar, schedule.one_minus_alpha_bar))
    optimizer = torch.optim.AdamW(twin.parameters(), RATE, weight_decay=DECAY, fused=fused or None)

    def loss_of(t: torch.Tensor, eps: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(twin(signal[t] * x + noise[t] * eps, t), eps)

    if compiled:
        torch.compiler.reset()  # past its limit of recompilations it would fall back to eager without a word
        loss_of = torch.compile(loss_of, dynamic=False)

    def step() -> None:
        t, eps = torch.randint(1, schedule.T + 1, (n,)), torch.randn(x.shape, dtype=x.dtype)
        optimizer.zero_grad()
        loss_of(t, eps).backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), MAX_NORM)
        optimizer.step()

    return step


def torch_sampling(mlp: MLP, schedule: Schedule, n: int, *, compiled: bool = False) -> Run:
    """n signals with the same coefficients; a step of the chain is one compiled graph, or eager."""
    twin = Twin(mlp)
    numbers = [torch.tensor(ancestral_step(schedule, t), dtype=torch.float32) for t in range(1, schedule.T + 1)]
    steps = [torch.tensor([t]) for t in range(1, schedule.T + 1)]

    def reverse(x: torch.Tensor, t: torch.Tensor, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return c[0] * x + c[1] * twin(x, t) + c[2] * z

    if compiled:
        torch.compiler.reset()
        reverse = torch.compile(reverse, dynamic=False)

    def sample() -> torch.Tensor:
        with torch.inference_mode():
            x = torch.randn(n, mlp.dim)
            for t, c in zip(reversed(steps), reversed(numbers)):
                x = reverse(x, t, torch.randn(n, mlp.dim), c)
        return x

    return sample


def cannot_compile() -> str | None:
    """Why torch.compile is left out here, or None."""
    compiler = os.environ.get("CXX", "g++")
    return None if shutil.which(compiler) else f"torch.compile is skipped: it needs a C++ compiler, and there is no {compiler}"


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
