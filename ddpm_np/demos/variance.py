"""The variance of a reverse step, and exactly what each choice gives (E17, E18, E27)."""

from typing import Any, NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement
from ddpm_np.closed_form.distributions import Gaussian, wasserstein2
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_variance
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.sampling import Variance, ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

SCALES = (0.25, 1.0, 4.0)
LENGTHS = (1, 2, 3, 5, 8, 12, 20, 30, 50, 70, 100)
SAMPLERS: dict[str, dict[str, Any]] = {
    "beta_tilde": {},
    "beta": {"variance": "beta"},
    "true kernel": {"variance": "kernel"},
    "DDIM, eta = 0": {"eta": 0.0},
}


class Drawn(NamedTuple):
    # By choice and data variance: measured and exact variance of the output.
    outputs: dict[str, dict[float, tuple[float, float]]]
    steps: Array
    distances: dict[str, Array]  # W2 per root dimension, by the number of steps
    signals: dict[str, tuple[Array, Array]]  # one of each choice; standard deviation, exact


def show(*, rng: np.random.Generator, n: int = 4000) -> Shown:
    """The numbers. n: draws of each sampler."""
    schedule = Schedule.sigmoid(100, beta_min=1e-5)
    outputs: dict[str, dict[float, tuple[float, float]]] = {}
    rows = []
    for scale in SCALES:
        data = Gaussian([0.0], [[scale]])
        optimal, none = optimal_variance(data, schedule), np.zeros(schedule.T + 1)
        choices: dict[str, Variance] = {
            "beta_tilde": "posterior",
            "beta": "beta",
            "optimal": optimal,
            "mean only": none,
        }
        for name, variance in choices.items():
            exact = float(sampler_distribution(data, schedule, variance=variance).cov[0, 0])
            denoiser = IdealDenoiser(data, schedule)
            x = ancestral_sample(denoiser, schedule, n, 1, rng=rng, variance=variance)[:, 0]
            outputs.setdefault(name, {})[scale] = float(x.var()), exact
            # A Gaussian's sample variance has standard error variance sqrt(2 / (n - 1)).
            what, error = f"data of variance {scale:g}, {name}", exact * np.sqrt(2 / (n - 1))
            rows.append(Measurement(what, float(x.var(ddof=1)), exact, error))
    ensemble = MultiSine(FREQUENCIES)
    distances = {
        name: np.array([_distance(ensemble, schedule, k, options) for k in LENGTHS])
        for name, options in SAMPLERS.items()
    }
    for k in (12, 100):
        rows += [
            Measurement(f"W2 per sample of a signal, {k} steps, {name}", d[LENGTHS.index(k)])
            for name, d in distances.items()
        ]
    denoiser, dim = IdealDenoiser(ensemble, schedule), ensemble.dim
    zero = np.zeros(schedule.T + 1)
    start = rng.standard_normal((1, dim)), schedule.T  # the same for both
    both: dict[str, Variance] = {"beta_tilde": "posterior", "mean only": zero}
    signals = {"data": (ensemble.sample(1, rng=rng)[0], np.sqrt(np.diag(ensemble.cov)))}
    for name, variance in both.items():
        one = ancestral_sample(
            denoiser, schedule, 1, dim, rng=rng, variance=variance, start=start, dtype=np.float64
        )
        output = sampler_distribution(ensemble, schedule, variance=variance)
        signals[name] = one[0], np.sqrt(np.diag(output.cov))
    return Shown(rows, Drawn(outputs, np.array(LENGTHS), distances, signals))


def _distance(
    ensemble: MultiSine, schedule: Schedule, steps: int, options: dict[str, Any]
) -> float:
    """W2 from the sampler's output to the data, per root of the dimension."""
    output = sampler_distribution(ensemble, schedule, steps=steps, **options)
    return float(wasserstein2(ensemble, output) / np.sqrt(ensemble.dim))


def draw(drawn: Drawn) -> style.Figure:
    """The output's variance for each choice, distances by the number of steps, and signals."""
    figure, axes = style.new_figure(1, 3, "Which variance for a reverse step?", panel=(3.4, 2.9))
    output, distance, signals = axes[0]
    tilde, plain = r"$\tilde\beta_t$", r"$\beta_t$"
    scales = list(next(iter(drawn.outputs.values())))
    looks = (
        (style.SKY, tilde),
        (style.ORANGE, plain),
        (style.GREEN, "optimal"),
        (style.WRONG, "mean only"),
    )
    for k, (per_scale, (colour, text)) in enumerate(zip(drawn.outputs.values(), looks)):
        place = np.arange(len(scales)) + 0.2 * (k - 1.5)
        measured, exact = np.array([[m / s, e / s] for s, (m, e) in per_scale.items()]).T
        bars = output.bar(place, exact, 0.18, color=colour, label=text)
        output.plot(place, measured, ".", color=style.LEARNED, ms=4)
        for bar, ratio in zip(bars, exact):
            if ratio < 0.05:  # too low to be seen
                x = bar.get_x() + 0.09
                text = f"{ratio:.2g}"
                output.text(x, ratio + 0.05, text, rotation=90, fontsize=7, ha="center")
    output.plot([], [], ".", color=style.LEARNED, ms=4, label="sampled")
    output.axhline(1, color=style.DATA, lw=0.8)
    output.set_xticks(range(len(scales)), [f"{s:g}" for s in scales])
    output.set_ylim(0, 1.7)
    title = "No named variance is right for all"
    style.label(output, "variance of the data", "variance of the output / data", title)
    style.legend(output, ncols=3, loc="upper center", columnspacing=1)
    lines = (
        (style.SKY, "o-", tilde),
        (style.ORANGE, "s-", plain),
        (style.GREEN, "^-", "true kernel"),
        (style.SKY, "d:", r"DDIM, $\eta = 0$"),
    )
    for values, (colour, dashes, text) in zip(drawn.distances.values(), lines):
        distance.plot(drawn.steps, values, dashes, color=colour, label=text)
    distance.set(xscale="log", yscale="log", ylim=(3e-5, 1.5))
    style.plain_log(distance, "x")
    title = "With the true kernel, skipping is free"
    style.label(distance, "number of steps taken", "$W_2$ to the data, per sample", title)
    style.legend(distance, loc="lower left")
    shades = (style.FAINT, 0.55), (style.SKY, 0.5), (style.WRONG, 0.7)
    for (curve, std), (colour, alpha), text in zip(
        drawn.signals.values(), shades, ("data", tilde, "mean only")
    ):
        style.band(signals, range(len(curve)), -2 * std, 2 * std, colour, alpha / 2)
        signals.plot(curve, color=colour if text != "data" else style.NOISE, lw=1.6, label=text)
    signals.set_ylim(-3, 4)
    style.label(signals, "sample", "value", "The mean alone collapses")
    style.legend(signals, ncols=3, loc="upper center", columnspacing=1, handlelength=1)
    return figure
