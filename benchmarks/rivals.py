"""One training step and one sampling run by PyTorch, eager and compiled, as callables that the clock can call again and again.

From the same weights and clean signals as the package's, and with the same work: draw t and eps, mix x_t, predict, loss, gradients,
clip to length 1, AdamW. Each side draws t its own way: one ``torch.randint`` here, ``balanced_steps`` there.
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import torch
from torch.nn import functional

from benchmarks.ours import DECAY, MAX_NORM, RATE, Run
from benchmarks.twin import Twin
from ddpm_np._checks import Array
from ddpm_np.network import MLP
from ddpm_np.sampling import ancestral_step
from ddpm_np.schedule import Schedule

__all__ = ["cannot_compile", "torch_sampling", "torch_training"]


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
