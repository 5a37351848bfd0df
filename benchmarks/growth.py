"""How the time grows with the size of the problem: dim, T, n and k, as ratios to the smallest.

Each is measured three times, and the fastest counts.
"""

from collections.abc import Callable, Iterator
from timeit import repeat
from typing import Any

import numpy as np

from ddpm_np.closed_form.distributions import Empirical
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.experiments.experiment import ENSEMBLE
from ddpm_np.learning.fast import FastGradient, denoiser
from ddpm_np.sampling import ancestral_sample, ddim_sample
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine
from ddpm_np.training import train

REPEATS = 3


def growth(quick: bool = False) -> Iterator[dict[str, Any]]:
    """A row for each thing that grows: what, the sizes, and the seconds at each."""
    for what, sizes, make in (
        ("dim: the ideal chain, 1000 signals of 5 frequencies in 100 steps", DIMS, _ideal_chain),
        ("T: a schedule and its tables", (1000, 10_000, 100_000), _schedule),
        ("T: a step of the main job's training", (100, 1000, 10_000), _training),
        ("n: signals of the main job's network, 10 steps", (1000, 10_000, 100_000), _sampling),
        ("k: the ideal denoiser of k points, 100 signals of 50", (10, 100, 1000, 10_000), _points),
    ):
        sizes = sizes[:2] if quick else sizes
        seconds = [min(repeat(make(size), number=1, repeat=REPEATS)) for size in sizes]
        yield {"growth": what, "sizes": sizes, "seconds": seconds}


DIMS = (50, 500, 2000)


def _ideal_chain(dim: int) -> Callable[[], object]:
    signals, schedule = MultiSine([0.3, 1.1, 1.9, 2.8, 4.1], dim=dim), Schedule.sigmoid()
    ideal, rng = IdealDenoiser(signals, schedule), np.random.default_rng(0)
    return lambda: ancestral_sample(ideal, schedule, 1000, dim, rng=rng)


def _schedule(T: int) -> Callable[[], object]:
    return lambda: Schedule.sigmoid(T)


def _training(T: int) -> Callable[[], object]:
    experiment = ENSEMBLE.variant(T=T)
    settings = {"steps": 10**6, "batch_size": experiment.batch_size, "learning_rate": 1e-4}
    rng, network = np.random.default_rng(0), experiment.network()
    signals, schedule = experiment.distribution(), experiment.schedule()
    steps = train(network, signals, schedule, rng=rng, gradient=FastGradient(), **settings)
    next(steps)

    def ten() -> None:
        for _ in range(10):
            next(steps)

    return ten


def _sampling(n: int) -> Callable[[], object]:
    network, schedule, rng = ENSEMBLE.network(), ENSEMBLE.schedule(), np.random.default_rng(0)
    fast = denoiser(network)
    return lambda: ddim_sample(fast, schedule, n, network.dim, steps=10, rng=rng)


def _points(k: int) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    ideal = IdealDenoiser(Empirical(rng.standard_normal((k, 50))), Schedule.sigmoid())
    x_t = rng.standard_normal((100, 50))
    return lambda: ideal(x_t, 50)
