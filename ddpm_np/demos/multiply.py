"""The density of signals times a measurement: denoising and filling in (E24, E26)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, sampled
from ddpm_np.closed_form.distributions import Gaussian, wasserstein2
from ddpm_np.closed_form.guidance import GuidedDenoiser, condition
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.interpolation import affine_distribution
from ddpm_np.sampling import ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine


class Task(NamedTuple):
    """Which samples of a signal are measured, and the noise of that."""

    observed: Array
    noise_std: float


TASKS = {"denoising": Task(np.arange(50), 0.5), "filling in": Task(np.r_[0:18:3, 36:50:3], 0.1)}


class Solved(NamedTuple):
    """A task, and what is known of the signal after the measurement y."""

    task: Task
    truth: Array
    y: Array
    posterior: Gaussian
    samples: Array
    deviations: dict[str, Array]  # standard deviations: exact posterior and two guided chains


def show(*, rng: np.random.Generator, n: int = 400, truths: int = 300) -> Shown:
    """The numbers. n: guided samples; truths: signals that are measured."""
    schedule, prior = Schedule.sigmoid(100, beta_min=1e-5), MultiSine(FREQUENCIES)
    dim, rows, solved = prior.dim, [], {}
    for name, task in TASKS.items():
        observed, noise = task
        x = prior.sample(truths, rng=rng)
        y = x[:, observed] + noise * rng.standard_normal((truths, len(observed)))
        posteriors = [condition(prior, observed, v, noise=noise) for v in y]
        errors = np.array([np.mean((p.mean - v) ** 2) for p, v in zip(posteriors, x)])
        posterior = posteriors[0]
        spread = float(np.trace(posterior.cov) / dim)
        rows.append(sampled(f"{name}: squared error of the posterior mean", errors, spread))
        answers, samples = {}, {}
        for kind in ("exact", "identity"):
            guided = GuidedDenoiser(prior, schedule, observed, y[0], noise=noise, spread=kind)
            mean, cov = affine_distribution(
                guided, schedule, np.zeros(dim), np.eye(dim), schedule.T
            )
            answers[kind] = Gaussian(mean, (cov + cov.T) / 2)
            samples[kind] = ancestral_sample(guided, schedule, n, dim, rng=rng)
            away = np.mean((samples[kind] - posterior.mean) ** 2, axis=1)
            expected = float(np.mean(np.diag(cov) + (mean - posterior.mean) ** 2))
            distance = float(wasserstein2(answers[kind], posterior) / np.sqrt(dim))
            rows += [
                sampled(f"... guided samples about it, spread {kind}", away, expected),
                Measurement("    the same of the exact posterior", expected, spread),
                Measurement("    W2 to the exact posterior, per sample", distance),
            ]
        deviations = {
            "exact posterior": np.sqrt(np.diag(posterior.cov)),
            "guided, exact gradient": np.sqrt(np.diag(answers["exact"].cov)),
            "guided, multiple of $I$": np.sqrt(np.diag(answers["identity"].cov)),
        }
        solved[name] = Solved(task, x[0], y[0], posterior, samples["exact"], deviations)
    return Shown(rows, solved)


def draw(drawn: dict[str, Solved]) -> style.Figure:
    """For each task the signals given a measurement, and their standard deviations."""
    title = "Signals, given a measurement"
    figure, axes = style.new_figure(2, 2, title, panel=(4.6, 2.7), sharex=True)
    messages = {
        "denoising": (
            "Denoising: every sample measured, noise {}",
            "The approximation is fair here ...",
        ),
        "filling in": (
            "Filling in: {} samples measured, noise {}",
            "... and wrong where nothing was measured",
        ),
    }
    for column, (name, solved) in enumerate(drawn.items()):
        signal, spread = axes[:, column]
        places = np.arange(len(solved.truth))
        mean, deviation = solved.posterior.mean, solved.deviations["exact posterior"]
        signal.plot(places, solved.samples[:12].T, color=style.LEARNED, lw=0.6, alpha=0.5)
        signal.plot([], [], color=style.LEARNED, lw=0.8, label="guided samples")
        band, text = (mean - 2 * deviation, mean + 2 * deviation), "exact posterior, 2 s.d."
        style.band(signal, places, *band, style.EXACT, 0.25, label=text)
        signal.plot(places, solved.truth, color=style.DATA, lw=1.4, label="true signal")
        measured = solved.task.observed, solved.y
        signal.plot(*measured, "o", color=style.NOISE, ms=3.5, label="measured")
        style.room_above(signal, 0.45)
        above, below = messages[name]
        numbers = [len(solved.y), solved.task.noise_std][-above.count("{}") :]
        style.label(signal, "", "value", above.format(*numbers))
        style.legend(signal, loc="upper center", ncols=2)
        looks = (style.EXACT, "-"), (style.GREEN, "--"), (style.WRONG, "-.")
        for (kind, values), (colour, dashes) in zip(solved.deviations.items(), looks):
            width = 2.4 if dashes == "-" else 1.4
            spread.plot(places, values, dashes, color=colour, lw=width, label=kind)
        spread.set_ylim(0, 1.5 * max(v.max() for v in solved.deviations.values()))
        style.label(spread, "sample", "standard deviation", below)
        style.legend(spread, loc="upper center", ncols=2)
    return figure
