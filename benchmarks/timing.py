"""The clock: each configuration, the package and its rivals in turn, round by round in one process.

What else the machine does hits all contenders of a round alike, so the ratio of a round is steadier than its times. Reported are
the medians over the rounds, and the quartiles of the ratio.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.machine import kernel
from benchmarks.ours import Run, matrix_products, optimizer_floor, our_sampling, our_training
from benchmarks.rivals import cannot_compile, torch_sampling, torch_training
from ddpm_np.experiments.experiment import ENSEMBLE
from ddpm_np.network import MLP, Layer
from ddpm_np.schedule import Schedule

try:
    from benchmarks.jax_rival import jax_sampling, jax_training
except ImportError:
    jax_training = jax_sampling = None

__all__ = ["COMPILED", "EAGER", "FLOOR", "FUSED", "JAX", "PRODUCTS", "Cell", "cells", "measure"]

EAGER, FUSED, COMPILED, JAX = "PyTorch eager", "PyTorch eager, fused AdamW", "torch.compile, fused AdamW", "JAX jit"
PRODUCTS, FLOOR = "matrix products alone", "optimizer's memory traffic alone"
WIDTHS, BATCHES = (64, 128, 256, 512, 1024), (16, 64, 256, 512, 1024, 4096)
COARSE = [(width, batch) for width in (64, 256, 1024) for batch in (16, 512, 4096)]
SAMPLES = 1000
SCHEDULE = Schedule.sigmoid()
DIM = 50


@dataclass(frozen=True)
class Cell:
    """One configuration, and how to make each contender; "ours" is the first."""

    config: str
    contenders: dict[str, Callable[[], Run]]
    threads: int = 1


@dataclass(frozen=True)
class Effort:
    """How long the clock runs: at least so many rounds, of blocks of about so many seconds, and so many seconds in all."""

    rounds: int
    block: float
    total: float


def cells(quick: bool, threads: Iterable[int]) -> Iterator[Cell]:
    """All configurations, one after the other."""
    compiles = cannot_compile() is None
    for number in threads:
        for n in (10, 128, 1000):
            names = [EAGER, FUSED, *[COMPILED] * (compiles and not quick), JAX, PRODUCTS, FLOOR]
            yield _training(f"notes' network, batch {n}", _notes, n, names, number)
        n = ENSEMBLE.batch_size
        names = [EAGER, FUSED, *[COMPILED] * compiles, JAX, PRODUCTS, FLOOR]
        yield _training(f"default network, batch {n}", ENSEMBLE.network, n, names, number)
        yield _sampling(f"sampling {SAMPLES} signals", [EAGER, *[COMPILED] * compiles, JAX], number)
        for width in WIDTHS[::2] if quick else WIDTHS:
            for n in (16, 512) if quick else BATCHES:
                names = [EAGER, *[COMPILED] * (compiles and not quick and number == 1 and (width, n) in COARSE), PRODUCTS]
                yield _training(f"width {width}, batch {n}", lambda width=width: _grid(width), n, names, number)


def measure(cell: Cell, *, quick: bool) -> list[dict[str, object]]:
    """A row for each rival of the cell."""
    with pinned(cell.threads):
        runs = {name: make() for name, make in cell.contenders.items()}
        effort = Effort(5, 0.02, 0.7) if quick else Effort(7, 0.02, 1.2)
        seconds = _interleaved(runs, effort, pause=0.05 if cell.threads > 1 else 0.0)
    ours = seconds.pop("ours")
    return [_row(cell, rival, ours, theirs) for rival, theirs in seconds.items()]


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """NumPy's BLAS and PyTorch on so many threads each."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def _interleaved(runs: dict[str, Run], effort: Effort, pause: float) -> dict[str, list[float]]:
    """Seconds per call, for each contender and round.

    Between blocks on several threads there is a pause, because the threads of the one before wait for work by spinning.
    """
    calls = {}
    for name, run in runs.items():
        run()
        calls[name] = max(1, round(effort.block / min(_clock(run, 1) for _ in range(3))))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    end, order, rounds = time.perf_counter() + effort.total, list(runs), 0
    gc.collect()
    gc.disable()
    try:
        while rounds < effort.rounds or time.perf_counter() < end:
            for name in order:
                time.sleep(pause)
                if calls[name] > 1:
                    runs[name]()  # brings its arrays back into the caches
                seconds[name].append(_clock(runs[name], calls[name]) / calls[name])
            order = order[1:] + order[:1]
            rounds += 1
    finally:
        gc.enable()
    return seconds


def _clock(run: Run, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return time.perf_counter() - start


def _row(cell: Cell, rival: str, ours: list[float], theirs: list[float]) -> dict[str, object]:
    ratios = [b / a for a, b in zip(ours, theirs)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "config": cell.config, "rival": rival, "threads": cell.threads, "kernel": kernel(),
        "ours_us": round(1e6 * statistics.median(ours), 1), "rival_us": round(1e6 * statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 3), "spread": [round(low, 3), round(high, 3)], "rounds": len(ratios),
    }


def _training(config: str, network: Callable[[], MLP], n: int, names: list[str], threads: int) -> Cell:
    x_0 = ENSEMBLE.distribution().sample(n, rng=np.random.default_rng(0)).astype(np.float32)
    makers: dict[str, Callable[[], Run]] = {
        "ours": lambda: our_training(network(), SCHEDULE, x_0),
        EAGER: lambda: torch_training(network(), SCHEDULE, x_0),
        FUSED: lambda: torch_training(network(), SCHEDULE, x_0, fused=True),
        COMPILED: lambda: torch_training(network(), SCHEDULE, x_0, fused=True, compiled=True),
        PRODUCTS: lambda: matrix_products(network(), n),
        FLOOR: lambda: optimizer_floor(network().flat.size),
    }
    if jax_training and threads == 1:
        makers[JAX] = lambda: jax_training(network(), SCHEDULE, x_0)
    return Cell(config, {name: makers[name] for name in ("ours", *names) if name in makers}, threads)


def _sampling(config: str, names: list[str], threads: int) -> Cell:
    network = ENSEMBLE.network
    makers: dict[str, Callable[[], Run]] = {
        "ours": lambda: our_sampling(_awake(network()), SCHEDULE, SAMPLES),
        EAGER: lambda: torch_sampling(_awake(network()), SCHEDULE, SAMPLES),
        COMPILED: lambda: torch_sampling(_awake(network()), SCHEDULE, SAMPLES, compiled=True),
    }
    if jax_sampling and threads == 1:
        makers[JAX] = lambda: jax_sampling(_awake(network()), SCHEDULE, SAMPLES)
    return Cell(config, {name: makers[name] for name in ("ours", *names) if name in makers}, threads)


def _notes() -> MLP:
    return MLP.notes(DIM, SCHEDULE.T, rng=np.random.default_rng(0))


def _grid(width: int) -> MLP:
    """The default network with SiLU, because torch.compile's backward pass of the leaky ReLU takes twice the time of SiLU's."""
    gains = np.sqrt(SCHEDULE.one_minus_alpha_bar)
    return MLP(DIM, SCHEDULE.T, hidden=[Layer(width, "silu")] * 2, rng=np.random.default_rng(0), skip=gains)


def _awake(mlp: MLP) -> MLP:
    """A new network's output weights are 0; these are not."""
    last = mlp.params[f"W{len(mlp.hidden) + 1}"]
    last[:] = np.random.default_rng(0).uniform(-1, 1, last.shape) / len(last)
    return mlp
