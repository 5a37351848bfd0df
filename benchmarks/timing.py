"""The clock: in each configuration, the package and its rivals take turns, round by round, in one
process.

Whatever else the machine does affects all contenders of a round alike, so that the ratio within a
round is steadier than the times. Reported are medians over the rounds, and the quartiles of the
ratio. The process is put on one core (:mod:`benchmarks.cores`), and each contender proves it: who
has used more has no ratio.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.contenders import BEST, EAGER, FOLDED, FUSED, JAX, PRODUCTS, SCAN
from benchmarks.cores import MOST, Clock
from benchmarks.machine import kernel
from benchmarks.ours import Run, matrix_products, our_sampling, our_training, sampling_products
from benchmarks.rivals import (
    best_sampling,
    best_training,
    cannot_compile,
    eager_sampling,
    eager_training,
    folded_sampling,
)
from benchmarks.unet_twin import BATCH, unet_contenders
from ddpm_np.experiments.experiment import ENSEMBLE
from ddpm_np.network import MLP, Layer
from ddpm_np.schedule import Schedule

try:
    from benchmarks import jax_rival
except ImportError:
    jax_rival = None

WIDTHS, BATCHES = (64, 256, 1024), (16, 256, 1024, 4096)
SAMPLES = 1000
ROUNDS, BLOCK = 5, 0.02  # rounds at least, and seconds in a block of one contender
ALL_CORES = ("default network", "main job's network", f"sampling {SAMPLES} signals", "width 1024")
SCHEDULE = Schedule.sigmoid()
DIM = 50


@dataclass(frozen=True)
class Cell:
    """One configuration, and how to make each contender; "ours" is the first."""

    config: str
    contenders: dict[str, Callable[[], Run]]


def cells(quick: bool) -> Iterator[Cell]:
    """All configurations, one after the other."""
    for n in (10, 128, 1000):
        yield _training(f"notes' network, batch {n}", _notes, n, compiled=not quick)
    yield _training(f"default network, batch {ENSEMBLE.batch_size}", _default, ENSEMBLE.batch_size)
    yield _training(
        f"main job's network, batch {ENSEMBLE.batch_size}", ENSEMBLE.network, ENSEMBLE.batch_size
    )
    yield _sampling(f"sampling {SAMPLES} signals")
    compiled = cannot_compile() is None and not quick
    yield Cell(f"U-Net of the rings, batch {BATCH}", unet_contenders(compiled=compiled))
    for width in WIDTHS[::2] if quick else WIDTHS:
        for n in (16, 1024) if quick else BATCHES:
            if width * n > 2**20:
                continue  # half a second a step: minutes for what the cells beside it show
            config = f"width {width}, batch {n}"
            network = partial(_grid, width)
            # A hundred steps in a call take minutes there.
            yield _training(config, network, n, compiled=not quick, scan=False)


def on_all_cores() -> Iterator[Cell]:
    """The few configurations that are also timed with all cores for everyone."""
    for cell in cells(quick=False):
        if cell.config.split(",")[0] in ALL_CORES:
            yield cell


def measure(cell: Cell, *, quick: bool, one_core: bool = True) -> list[dict[str, object]]:
    """A row for each rival of the cell; with ``one_core`` nobody may use more."""
    runs = {name: make() for name, make in cell.contenders.items()}
    seconds, clocks = interleaved(runs, 0.7 if quick else 1.8)
    ours = seconds.pop("ours")
    rows = []
    for rival, theirs in seconds.items():
        used = [round(clocks[name].cores, 2) for name in ("ours", rival)]
        row = _row(cell, rival, ours, theirs) | {"cores": used}
        if one_core and max(used) > MOST:
            row |= {"ratio": None, "spread": None}
        rows.append(row)
    return rows


def interleaved(
    runs: dict[str, Run], total: float
) -> tuple[dict[str, list[float]], dict[str, Clock]]:
    """Seconds per step for each contender and round, and the clock of each.

    total: seconds in all, at least.
    """
    clocks = {name: Clock() for name in runs}
    calls, steps = {}, {name: jax_rival.SCAN if name == SCAN else 1 for name in runs}
    for name, run in runs.items():
        run()
        first = _timed(run, 1, Clock())
        if first < BLOCK:
            first = min(first, *(_timed(run, 1, Clock()) for _ in range(2)))
        calls[name] = max(1, round(BLOCK / first))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    end, order, rounds = time.perf_counter() + total, list(runs), 0
    gc.collect()
    gc.disable()
    try:
        while rounds < ROUNDS or time.perf_counter() < end:
            for name in order:
                if calls[name] > 1:
                    runs[name]()  # brings its arrays back into the caches
                spent = _timed(runs[name], calls[name], clocks[name])
                seconds[name].append(spent / calls[name] / steps[name])
            order = order[1:] + order[:1]
            rounds += 1
    finally:
        gc.enable()
    return seconds, clocks


def _timed(run: Run, calls: int, clock: Clock) -> float:
    with clock:
        for _ in range(calls):
            run()
    return clock.last


def _row(cell: Cell, rival: str, ours: list[float], theirs: list[float]) -> dict[str, object]:
    ratios = [b / a for a, b in zip(ours, theirs)]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "config": cell.config,
        "rival": rival,
        "kernel": kernel(),
        "ours_us": round(1e6 * statistics.median(ours), 1),
        "rival_us": round(1e6 * statistics.median(theirs), 1),
        "ratio": round(statistics.median(ratios), 3),
        "spread": [round(low, 3), round(high, 3)],
        "rounds": len(ratios),
    }


def _training(
    config: str, network: Callable[[], MLP], n: int, *, compiled: bool = True, scan: bool = True
) -> Cell:
    x_0 = ENSEMBLE.distribution().sample(n, rng=np.random.default_rng(0)).astype(np.float32)
    makers: dict[str, Callable[[], Run]] = {
        "ours": lambda: our_training(network(), SCHEDULE, x_0),
        EAGER: lambda: eager_training(network(), SCHEDULE, x_0),
        FUSED: lambda: eager_training(network(), SCHEDULE, x_0, fused=True),
    }
    if compiled and cannot_compile() is None:
        makers[BEST] = lambda: best_training(network(), SCHEDULE, x_0)
    if jax_rival:
        makers[JAX] = lambda: jax_rival.jax_training(network(), SCHEDULE, x_0)
        if scan:
            makers[SCAN] = lambda: jax_rival.jax_scan(network(), SCHEDULE, x_0)
    return Cell(config, {**makers, PRODUCTS: lambda: matrix_products(network(), n)})


def _sampling(config: str) -> Cell:
    makers: dict[str, Callable[[], Run]] = {
        "ours": lambda: our_sampling(_awake(_default()), SCHEDULE, SAMPLES),
        EAGER: lambda: eager_sampling(_awake(_default()), SCHEDULE, SAMPLES),
    }
    makers[FOLDED] = lambda: folded_sampling(_awake(_default()), SCHEDULE, SAMPLES)
    if cannot_compile() is None:
        makers[BEST] = lambda: best_sampling(_awake(_default()), SCHEDULE, SAMPLES)
    if jax_rival:
        makers[JAX] = lambda: jax_rival.jax_sampling(_awake(_default()), SCHEDULE, SAMPLES)
    return Cell(config, {**makers, PRODUCTS: lambda: sampling_products(_default(), SAMPLES)})


def _notes() -> MLP:
    return MLP.notes(DIM, SCHEDULE.T, rng=np.random.default_rng(0))


def _default() -> MLP:
    gains = np.sqrt(SCHEDULE.one_minus_alpha_bar)
    return MLP(DIM, SCHEDULE.T, rng=np.random.default_rng(0), skip=gains)


def _grid(width: int) -> MLP:
    """Two gated SiLU layers of the width."""
    gains, layers = np.sqrt(SCHEDULE.one_minus_alpha_bar), [Layer(width, "silu")] * 2
    return MLP(DIM, SCHEDULE.T, hidden=layers, rng=np.random.default_rng(0), skip=gains)


def _awake(mlp: MLP) -> MLP:
    """A new network's output weights are 0; these are not."""
    last = mlp.params[f"W{len(mlp.hidden) + 1}"]
    last[:] = np.random.default_rng(0).uniform(-1, 1, last.shape) / len(last)
    return mlp
