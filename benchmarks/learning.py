"""How well the network learns: in twenty runs, against the seconds spent, and without each part.

The figure is the excess of the loss over its Bayes floor,
mean_t E|eps_hat - eps_star|^2 / (dim mean_t floor_t), of the averaged weights
(:func:`ddpm_np.closed_form.ideal.estimate_excess`). The settings are those of the main job's
ensemble. ``python -m benchmarks learning`` writes learning.json, the tables of README.md and a
picture.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.pages import HERE, README, TABLES, Place, markdown, table_at
from ddpm_np.closed_form.ideal import estimate_excess, optimal_loss
from ddpm_np.experiments.experiment import ENSEMBLE
from ddpm_np.learning.fast import FastGradient
from ddpm_np.learning.layers import step_basis
from ddpm_np.network import MLP, Layer
from ddpm_np.signals import MultiSine
from ddpm_np.training import trained

RESULTS = HERE / "learning.json"
FREQUENCIES = {  # in Hz; the signals last one second
    "scattered": (0.0826, 0.2049, 1.3489, 3.1848, 4.0664),
    "all below 0.5": (0.07, 0.15, 0.24, 0.33, 0.45),
    "two 0.03 apart": (0.8, 1.62, 1.65, 3.1, 4.5),
    "evenly spread": (0.5, 1.6, 2.7, 3.8, 4.9),
}
SEEDS = range(5)
DRAWS = 1000  # per t, for the estimate of the excess
NOISE = ENSEMBLE.schedule().one_minus_alpha_bar
Build = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Learner:
    """A network and how it is trained; what is not named is as in the main job."""

    build: Build
    learning_rate: float = ENSEMBLE.learning_rate
    beta_2: float = ENSEMBLE.beta_2
    ema: bool = True
    balanced: bool = True


def _ours(**change: Any) -> Build:
    """The main job's network, with something changed."""
    layer: dict[str, Any] = {"activation": ENSEMBLE.activation}
    layer |= {key: change.pop(key) for key in ("activation", "step") if key in change}
    layers = [Layer(width, **layer) for width in change.pop("hidden", ENSEMBLE.hidden)]
    options = {
        "skip": np.sqrt(NOISE),
        "mirrored": ENSEMBLE.mirrored,
        "basis": step_basis(NOISE, ENSEMBLE.basis_size),
        **change,
    }
    return lambda rng: MLP(ENSEMBLE.dim, ENSEMBLE.T, hidden=layers, rng=rng, **options)


def _notes(rng: np.random.Generator) -> MLP:
    return MLP.notes(ENSEMBLE.dim, ENSEMBLE.T, rng=rng)


# Two gated layers of leaky ReLU, with a row of gates for each step and no basis.
TWO_LAYERS = Learner(
    _ours(hidden=(128, 128), activation="leaky_relu", mirrored=False, basis=None), beta_2=0.999
)
# What is taken away: how the network is built, and how it is trained.
ABLATION = {
    "as it is": Learner(_ours()),
    "weights not mirrored": Learner(_ours(mirrored=False)),
    "a row of gates for each step, no basis": Learner(_ours(basis=None)),
    "leaky ReLU for SiLU": Learner(_ours(activation="leaky_relu")),
    "no gate: step embedding added": Learner(_ours(step="shift")),
    "no skip": Learner(_ours(skip=None)),
    "beta_2 = 0.999": Learner(_ours(), beta_2=0.999),
    "steps drawn independently": Learner(_ours(), balanced=False),
    "no average of the weights": Learner(_ours(), ema=False),
    "two leaky ReLU layers, no basis": TWO_LAYERS,
    "the notes' network": Learner(_notes, beta_2=0.999),
    "the notes' network, its own rate 0.001": Learner(_notes, learning_rate=1e-3, beta_2=0.999),
}
# Excess against seconds: each point is a run of its own, with its own schedule.
CURVES = {
    "ours": (ABLATION["as it is"], (1000, 2000, 4000, 8000, 12_000)),
    "two leaky ReLU layers, no basis": (TWO_LAYERS, (1000, 2000, 4000, 8000)),
    "the notes' network": (ABLATION["the notes' network, its own rate 0.001"], (1000, 2000, 4000)),
}
PUBLIC = "residual MLP, sinusoidal embedding (PyTorch)"
PUBLIC_STEPS = (1000, 2000, 4000)


def learn(
    learner: Learner, frequencies: tuple[float, ...], seed: int, steps: int
) -> dict[str, float]:
    """Trains one network; its excess and standard error in per cent, the floor, the seconds."""
    signals, schedule = MultiSine(frequencies, dim=ENSEMBLE.dim), ENSEMBLE.schedule()
    network = learner.build(np.random.default_rng([seed, 0]))
    start = time.perf_counter()
    average = trained(
        network,
        signals,
        schedule,
        rng=np.random.default_rng([seed, 1]),
        ema_decay=1 - 8 / steps,
        beta_2=learner.beta_2,
        steps=steps,
        batch_size=ENSEMBLE.batch_size,
        learning_rate=learner.learning_rate,
        max_norm=ENSEMBLE.max_norm,
        balanced=learner.balanced,
        gradient=FastGradient(),
    )
    seconds = time.perf_counter() - start
    return _measured(average if learner.ema else network, signals, seed, seconds)


def _measured(network: Any, signals: MultiSine, seed: int, seconds: float) -> dict[str, float]:
    rng, schedule = np.random.default_rng([seed, 2]), ENSEMBLE.schedule()
    excess, error = estimate_excess(network, signals, schedule, n=DRAWS, rng=rng)
    return {
        "excess_percent": 100 * excess,
        "standard_error_percent": 100 * error,
        "floor": float(np.nanmean(optimal_loss(signals, schedule))),
        "seconds": seconds,
    }


def _row(run: tuple[str, str, str, int, int]) -> dict[str, object]:
    """One run, in whatever process: its table, its name there, frequencies, seed and steps."""
    table, name, frequencies, seed, steps = run
    if name == PUBLIC:
        from benchmarks.public import train_public

        signals = MultiSine(FREQUENCIES[frequencies], dim=ENSEMBLE.dim)
        schedule, n = ENSEMBLE.schedule(), ENSEMBLE.batch_size
        network, seconds = train_public(signals, schedule, steps, n, seed)
        found = _measured(network, signals, seed, seconds)
    else:
        learner = ABLATION[name] if table == "ablation" else CURVES[name][0]
        found = learn(learner, FREQUENCIES[frequencies], seed, steps)
    kind = {"table": table, "name": name, "frequencies": frequencies, "seed": seed, "steps": steps}
    return {**kind, **found}


def learning(*, quick: bool = False, jobs: int = 1) -> None:
    """Runs everything, prints a line after each run, and (unless quick) writes the results.

    jobs: runs at a time, each in a process of its own; every run has one thread.
    """
    rows = []
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read by the new processes when they load NumPy
    todo = _todo(quick)
    with ExitStack() as stack:
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
        for row in stack.enter_context(pool).map(_row, todo):
            rows.append(row)
            print(
                f"{row['table']}: {row['name']}, {row['frequencies']}, seed {row['seed']}, "
                f"{row['steps']} steps: excess {row['excess_percent']:.3f} +- "
                f"{row['standard_error_percent']:.3f} %, {row['seconds']:.1f} s",
                flush=True,
            )
    if quick:
        return
    from benchmarks.chart import draw_learning

    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for place in places(rows):
        place.put()
    print(f"Wrote {RESULTS}, its tables, and {draw_learning(rows)}")


def _todo(quick: bool) -> list[tuple[str, str, str, int, int]]:
    few = 300
    steps = few if quick else ENSEMBLE.steps
    todo = [("runs", "ours", name, seed, steps) for name in FREQUENCIES for seed in SEEDS]
    todo += [("ablation", name, "scattered", 0, steps) for name in ABLATION]
    curves = {name: budgets for name, (_, budgets) in CURVES.items()} | {PUBLIC: PUBLIC_STEPS}
    if not _has_torch():
        del curves[PUBLIC]
    for name, budgets in curves.items():
        chosen = (few,) if quick else budgets
        todo += [("curves", name, "scattered", 0, budget) for budget in chosen]
    return todo[::5] + todo[-1:] if quick else todo


def _has_torch() -> bool:
    from importlib.util import find_spec

    return find_spec("torch") is not None


def places(rows: list[dict[str, Any]]) -> Iterator[Place]:
    """The tables of benchmarks/README.md, and the summary in the main README."""
    runs = [row for row in rows if row["table"] == "runs"]
    table = []
    for name in FREQUENCIES:
        own = [row for row in runs if row["frequencies"] == name]
        excesses = [f"{row['excess_percent']:.3f}" for row in own]
        table.append([name, *excesses, f"{own[0]['floor']:.4f}"])
    excesses, seconds = ([row[key] for row in runs] for key in ("excess_percent", "seconds"))
    summary = (
        f"Excess of the loss over its floor: worst of the {len(runs)} runs {max(excesses):.2f} %, "
        f"median {statistics.median(excesses):.2f} %; training took "
        f"{statistics.median(seconds):.0f} s (median, at most {max(seconds):.0f} s)."
    )
    head = ["frequencies", *(f"seed {seed}" for seed in SEEDS), "floor"]
    yield table_at(TABLES, "learning", f"{markdown(head, table)}\n\n{summary}")
    yield Place(README, "learning", summary)
    columns = {"steps": "{}", "seconds": "{:.1f}", "excess_percent": "{:.3f}"}
    columns |= {"standard_error_percent": "{:.3f}"}
    for kind in ("ablation", "curves"):
        body = [
            [row["name"], *(form.format(row[key]) for key, form in columns.items())]
            for row in rows
            if row["table"] == kind
        ]
        yield table_at(
            TABLES, kind, markdown(["", "steps", "seconds", "excess in %", "s.e."], body)
        )
