"""A denoiser as public tutorials write it: a residual MLP with a sinusoidal embedding, in PyTorch.

It is one of the curves of :mod:`benchmarks.learning`. Width, depth and training are the usual ones:
four residual blocks of width 256, SiLU, the embedding added in each block, Adam at 1e-3 with a
cosine.
"""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.twin import roots
from ddpm_np._checks import Array
from ddpm_np.schedule import Schedule

WIDTH, BLOCKS, EMBEDDING, RATE = 256, 4, 64, 1e-3


class ResidualMLP(nn.Module):
    """x -> x + Linear(SiLU(Linear(x + embedding))) four times, between two linear maps."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(dim, WIDTH), nn.Linear(WIDTH, dim)
        self.embedding = nn.Sequential(nn.Linear(EMBEDDING, WIDTH), nn.SiLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
            for _ in range(BLOCKS)
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        rates = torch.exp(-math.log(10_000) * torch.arange(EMBEDDING // 2) / (EMBEDDING // 2))
        angle = t[:, None] * rates
        embedded = self.embedding(torch.cat([torch.sin(angle), torch.cos(angle)], dim=1))
        h = self.first(x)
        for block in self.blocks:
            h = h + block(h + embedded)
        return self.last(h)


def train_public(
    signals: Any, schedule: Schedule, steps: int, batch_size: int, seed: int
) -> tuple[Any, float]:
    """The trained network as a denoiser (x_t, t) -> eps_hat, and the seconds of training."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng, model = np.random.default_rng([seed, 1]), ResidualMLP(signals.dim)
    signal, noise = roots(schedule, torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
    rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    start = time.perf_counter()
    for _ in range(steps):
        x_0 = torch.from_numpy(signals.sample(batch_size, rng=rng).astype(np.float32))
        t, eps = torch.randint(1, schedule.T + 1, (batch_size,)), torch.randn(x_0.shape)
        optimizer.zero_grad()
        functional.mse_loss(model(signal[t] * x_0 + noise[t] * eps, t), eps).backward()
        optimizer.step()
        rates.step()
    seconds = time.perf_counter() - start

    def denoiser(x: Array, t: int) -> Array:
        with torch.inference_mode():
            rows = torch.from_numpy(np.asarray(x, np.float32))
            return model(rows, torch.full((len(rows),), t)).numpy().astype(np.float64)

    return denoiser, seconds
