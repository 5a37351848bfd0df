"""The variance of a reverse step, and exactly what each choice puts out (E17, E18, E27)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian, wasserstein2
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_variance
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.table import Row, Shown
from ddpm_np.sampling import ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

NOTE = 'N2 "逆扩散过程" (N2:621 to 630) and "扩散模型的训练过程"'
SCALES = (0.25, 1.0, 4.0)
STEPS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 70, 100)


class Drawn(NamedTuple):
    outputs: dict[str, dict[float, tuple[float, float]]]  # per choice and data variance: measured and exact variance of the output
    steps: Array
    distances: dict[str, Array]  # W2 per root dimension, by the number of steps
    signals: dict[str, Array]


def show(*, rng: np.random.Generator, n: int = 4000) -> Shown:
    schedule = Schedule.sigmoid(100, beta_min=1e-5)
    outputs: dict[str, dict[float, tuple[float, float]]] = {}
    rows = []
    for scale in SCALES:
        data = Gaussian([0.0], [[scale]])
        optimal, none = optimal_variance(data, schedule), np.zeros(schedule.T + 1)
        choices = {"beta_tilde": "posterior", "beta": "beta", "optimal": optimal, "mean only": none}
        for name, variance in choices.items():
            exact = float(sampler_distribution(data, schedule, variance=variance).cov[0, 0])
            x = ancestral_sample(IdealDenoiser(data, schedule), schedule, n, 1, rng=rng, variance=variance)[:, 0]
            outputs.setdefault(name, {})[scale] = float(x.var()), exact
            # A Gaussian's sample variance has standard error variance sqrt(2 / n).
            rows.append(Row(f"data of variance {scale:g}, {name}", float(x.var(ddof=1)), exact, exact * np.sqrt(2 / (n - 1))))
    ensemble = MultiSine(FREQUENCIES)
    size = np.sqrt(ensemble.dim)
    samplers: dict[str, dict[str, Any]] = {
        "beta_tilde": {}, "beta": {"variance": "beta"}, "true kernel": {"variance": "kernel"}, "DDIM, eta = 0": {"eta": 0.0},
    }
    distances = {
        name: np.array([wasserstein2(ensemble, sampler_distribution(ensemble, schedule, steps=k, **options)) / size for k in STEPS])
        for name, options in samplers.items()
    }
    for k in (12, 100):
        rows += [Row(f"W2 per sample of a signal, {k} steps, {name}", d[STEPS.index(k)]) for name, d in distances.items()]
    denoiser = IdealDenoiser(ensemble, schedule)
    signals = {
        "data": ensemble.sample(8, rng=rng),
        "beta_tilde": ancestral_sample(denoiser, schedule, 8, ensemble.dim, rng=rng),
        "mean only": ancestral_sample(denoiser, schedule, 8, ensemble.dim, rng=rng, variance=np.zeros(schedule.T + 1)),
    }
    notice = (
        "beta_tilde is right for a single point and loses variance otherwise, beta is right for data of variance 1, the optimal "
        "variance for any one variance. Iterating the mean alone, as the notes' 'the mean is the estimate' invites to, collapses."
    )
    return Shown(rows, notice, Drawn(outputs, np.array(STEPS), distances, signals))
