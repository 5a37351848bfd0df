"""How well the network learns: twenty runs, and what each of its parts is worth.

The figure is the excess of the loss over its Bayes floor, mean_t E|eps_hat - eps_star|^2 / (dim
mean_t floor_t), of the averaged weights (:func:`ddpm_np.closed_form.ideal.estimate_excess`).
Settings are those of the main job's ensemble, whatever they are; only frequencies and seed change.
``python -m benchmarks learning`` writes learning.json and the tables of README.md.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.pages import HERE, markdown, put
from ddpm_np.closed_form.ideal import estimate_excess, optimal_loss
from ddpm_np.experiments.experiment import ENSEMBLE
from ddpm_np.network import MLP, Layer
from ddpm_np.signals import MultiSine
from ddpm_np.training import TrainingState, train

__all__ = ["learning"]

FREQUENCIES = {  # in Hz; the signals last one second
    "scattered": (0.0826, 0.2049, 1.3489, 3.1848, 4.0664),
    "all below 0.5": (0.07, 0.15, 0.24, 0.33, 0.45),
    "two 0.03 apart": (0.8, 1.62, 1.65, 3.1, 4.5),
    "evenly spread": (0.5, 1.6, 2.7, 3.8, 4.9),
}
SEEDS = range(5)
DRAWS = 1000  # per t, for the estimate of the excess


def _layers(**change: Any) -> tuple[Layer, ...]:
    return tuple(replace(Layer(width, ENSEMBLE.activation), **change) for width in ENSEMBLE.hidden)


def _network(rng: np.random.Generator, *, skip: bool = True, **change: Any) -> MLP:
    gains = np.sqrt(ENSEMBLE.schedule().one_minus_alpha_bar) if skip else None
    return MLP(ENSEMBLE.dim, ENSEMBLE.T, hidden=_layers(**change), rng=rng, skip=gains)


# What is taken away: how the network is built, and what is changed in training.
ABLATION: dict[str, tuple[Callable[[np.random.Generator], MLP], dict[str, object]]] = {
    "as it is": (_network, {}),
    "SiLU for leaky ReLU": (lambda rng: _network(rng, activation="silu"), {}),
    "a leak of 0.01, not 0.1": (lambda rng: _network(rng, leak=0.01), {}),
    "no gate: step embedding added": (lambda rng: _network(rng, step="shift"), {}),
    "no skip": (lambda rng: _network(rng, skip=False), {}),
    "steps drawn independently": (_network, {"balanced": False}),
    "no average of the weights": (_network, {"ema": False}),
    "the notes' network": (lambda rng: MLP.notes(ENSEMBLE.dim, ENSEMBLE.T, rng=rng), {}),
    "the notes' network, its own rate 0.001": (
        lambda rng: MLP.notes(ENSEMBLE.dim, ENSEMBLE.T, rng=rng),
        {"learning_rate": 1e-3},
    ),
}


def learn(
    frequencies: tuple[float, ...],
    seed: int,
    *,
    build: Callable[[np.random.Generator], MLP] = _network,
    steps: int = ENSEMBLE.steps,
    ema: bool = True,
    balanced: bool = True,
    learning_rate: float = ENSEMBLE.learning_rate,
) -> dict[str, float]:
    """Trains one network; its excess and the standard error of that, in per cent, the floor, and
    the seconds of training.
    """
    signals, schedule = MultiSine(frequencies, dim=ENSEMBLE.dim), ENSEMBLE.schedule()
    network = build(np.random.default_rng([seed, 0]))
    state = TrainingState(
        network, rng=np.random.default_rng([seed, 1]), ema_decay=ENSEMBLE.ema_decay
    )
    start = time.perf_counter()
    for _ in train(
        network,
        signals,
        schedule,
        steps=steps,
        batch_size=ENSEMBLE.batch_size,
        learning_rate=learning_rate,
        max_norm=ENSEMBLE.max_norm,
        balanced=balanced,
        state=state,
    ):
        pass
    seconds = time.perf_counter() - start
    learned = state.ema_network() if ema else network
    excess, error = estimate_excess(
        learned, signals, schedule, n=DRAWS, rng=np.random.default_rng([seed, 2])
    )
    floor = float(np.nanmean(optimal_loss(signals, schedule)))
    return {
        "excess_percent": 100 * excess,
        "standard_error_percent": 100 * error,
        "floor": floor,
        "seconds": seconds,
    }


def _row(run: tuple[str, str, int, int]) -> dict[str, object]:
    """One run, in whatever process: table, name in it, seed and number of steps, and what came
    out.
    """
    table, name, seed, steps = run
    frequencies = FREQUENCIES[name if table == "runs" else "scattered"]
    build, change = ABLATION[name] if table == "ablation" else (_network, {})
    found = learn(frequencies, seed, build=build, steps=steps, **change)
    return {"table": table, "name": name, "seed": seed, "steps": steps, **found}


def learning(*, quick: bool = False, jobs: int = 1) -> None:
    """Runs everything, prints a line after each run, and (unless quick) writes learning.json and
    the tables of README.md.

    jobs: runs at a time, each in a process of its own on one thread; 1 leaves the threads as they
    are.
    """
    steps = 500 if quick else ENSEMBLE.steps
    todo = [("runs", name, seed, steps) for name in FREQUENCIES for seed in SEEDS]
    todo += [("ablation", name, 0, steps) for name in ABLATION]
    rows = []
    with ExitStack() as stack:
        results = map(_row, todo)
        if jobs > 1:
            os.environ["OPENBLAS_NUM_THREADS"] = (
                "1"  # read by the new processes when they load NumPy
            )
            results = stack.enter_context(
                ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
            ).map(_row, todo)
        for row in results:
            rows.append(row)
            print(
                f"{row['table']}: {row['name']}, seed {row['seed']}: excess {row['excess_percent']:.3f} +- "
                f"{row['standard_error_percent']:.3f} %, {row['seconds']:.0f} s",
                flush=True,
            )
    if quick:
        return
    (HERE / "learning.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    runs = [row for row in rows if row["table"] == "runs"]
    table = [
        [
            name,
            *(f"{row['excess_percent']:.2f}" for row in runs if row["name"] == name),
            f"{_of(runs, name, 'floor'):.4f}",
        ]
        for name in FREQUENCIES
    ]
    excesses, seconds = ([row[key] for row in runs] for key in ("excess_percent", "seconds"))
    summary = (
        f"Worst of the {len(runs)} runs {max(excesses):.2f} %, median {statistics.median(excesses):.2f} %; training took "
        f"{statistics.median(seconds):.0f} s (median, at most {max(seconds):.0f} s)."
    )
    head = ["frequencies", *(f"seed {seed}" for seed in SEEDS), "floor"]
    put(HERE / "README.md", "learning", f"{markdown(head, table)}\n\n{summary}")
    put(HERE.parent / "README.md", "learning", summary)
    parts = [
        [
            row["name"],
            f"{row['excess_percent']:.2f}",
            f"{row['standard_error_percent']:.2f}",
            f"{row['seconds']:.0f}",
        ]
        for row in rows
        if row["table"] == "ablation"
    ]
    put(HERE / "README.md", "ablation", markdown(["", "excess in %", "s.e.", "seconds"], parts))


def _of(rows: list[dict[str, float]], name: str, key: str) -> float:
    return next(row[key] for row in rows if row["name"] == name)
