"""The density of signals times a measurement: denoising and filling in (E24, E26)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian, wasserstein2
from ddpm_np.closed_form.guidance import GuidedDenoiser, condition
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.interpolation import affine_law
from ddpm_np.demos.table import Row, Shown, sampled
from ddpm_np.sampling import ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

NOTE = 'N2 "何为扩散模型" (the third advantage, N2:63)'


class Task(NamedTuple):
    observed: Array
    noise: float


TASKS = {
    "denoising": Task(np.arange(50), 0.5),
    "filling in": Task(np.r_[0:18:3, 36:50:3], 0.1),
}


class Solved(NamedTuple):
    task: Task
    truth: Array
    y: Array
    posterior: Gaussian
    samples: Array
    deviations: dict[str, Array]  # standard deviation at each place: of the exact posterior and of two guided chains


def show(*, rng: np.random.Generator, n: int = 400, truths: int = 300) -> Shown:
    schedule, prior = Schedule.sigmoid(100, beta_min=1e-5), MultiSine(FREQUENCIES)
    dim, rows, solved = prior.dim, [], {}
    for name, task in TASKS.items():
        x = prior.sample(truths, rng=rng)
        y = x[:, task.observed] + task.noise * rng.standard_normal((truths, len(task.observed)))
        posteriors = [condition(prior, task.observed, v, noise=task.noise) for v in y]
        errors = np.array([np.mean((p.mean - v) ** 2) for p, v in zip(posteriors, x)])
        posterior = posteriors[0]
        spread = float(np.trace(posterior.cov) / dim)
        rows.append(sampled(f"{name}: squared error of the posterior mean", errors, spread))
        laws = {}
        for kind in ("exact", "identity"):
            guided = GuidedDenoiser(prior, schedule, task.observed, y[0], noise=task.noise, spread=kind)
            mean, cov = affine_law(guided, schedule, np.zeros(dim), np.eye(dim), schedule.T)
            laws[kind] = Gaussian(mean, (cov + cov.T) / 2)
            samples = ancestral_sample(guided, schedule, n, dim, rng=rng)
            away = np.mean((samples - posterior.mean) ** 2, axis=1)
            expected = float(np.mean(np.diag(cov) + (mean - posterior.mean) ** 2))
            rows.append(sampled(f"... guided samples about it, spread {kind}", away, expected))
            rows.append(Row("    the same of the exact posterior", expected, spread))
            rows.append(Row("    W2 to the exact posterior, per sample", float(wasserstein2(laws[kind], posterior) / np.sqrt(dim))))
            if kind == "exact":
                shown = samples
        deviations = {
            "exact posterior": np.sqrt(np.diag(posterior.cov)), "guided, exact spread": np.sqrt(np.diag(laws["exact"].cov)),
            "guided, identity": np.sqrt(np.diag(laws["identity"].cov)),
        }
        solved[name] = Solved(task, x[0], y[0], posterior, shown, deviations)
    notice = (
        "With the exact gradient the guided chain is the ideal chain of the posterior, and what separates it from the exact "
        "answer is the step count alone. With the usual stand-in for Cov[x_0 | x_t], a multiple of I, it is fair for denoising "
        "and far off for filling in."
    )
    return Shown(rows, notice, solved)
