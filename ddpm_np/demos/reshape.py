"""Noise with the covariance of a signal, and what that does to the signal's likelihood (E23)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, computed, sampled
from ddpm_np.closed_form.covariance import (
    kernel_covariance,
    reshape_noise,
    reshaping_error,
    sample_covariance,
    transport_map,
)
from ddpm_np.closed_form.distributions import Gaussian, kl_divergence, wasserstein2
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.signals import MultiSine

FLOOR = 0.1  # variance of white noise added to every covariance, so that all have densities


class Drawn(NamedTuple):
    signal: Array
    reached: Array  # Y^T Y of the reshaped noise, which is the signal's kernel
    normalised: Array  # and what the notes' picture shows
    noise: Array
    shaped: Array
    distances: dict[str, Array]  # of the noises to the signal
    densities: dict[str, Array]  # log density of each signal, by the covariance assumed


def show(*, rng: np.random.Generator, rows: int = 200, few: int = 3, signals: int = 300) -> Shown:
    """The numbers. rows: noises reshaped; few: in a second set; signals: whose density is asked."""
    ensemble = MultiSine(FREQUENCIES)
    dim, zero = ensemble.dim, np.zeros(ensemble.dim)
    x = ensemble.sample(signals, rng=rng)
    target = kernel_covariance(x[0])
    noise = rng.standard_normal((rows, dim))
    noise -= noise.mean(axis=0)
    shaped = reshape_noise(noise, target)
    short = reshape_noise(rng.standard_normal((few, dim)), target)
    white, lifted = sample_covariance(noise), FLOOR * np.eye(dim)
    # The kernel plus the floor is regular, so the distance moved is known to rounding.
    turned = reshape_noise(noise, target + lifted)
    transported = noise @ transport_map(white, target + lifted)
    # The notes have 50 noises and call Y^T Y the covariance; their program normalises the rows of
    # the second Y.
    y = reshape_noise(noise[:50], target / 50)
    normalised = y.T @ ((y - y.mean(axis=1, keepdims=True)) / y.std(axis=1, keepdims=True))

    def missed(C: Array, C1: Array) -> float:
        return float(np.linalg.norm(C - C1))

    def missed_by(noise: Array) -> float:
        return missed(sample_covariance(noise), target)

    def moved(y: Array) -> float:
        return float(np.mean(np.sum((y - noise) ** 2, axis=1)))

    densities, exact = _densities(ensemble, x, rng)
    least = wasserstein2(Gaussian(zero, white), Gaussian(zero, target + lifted)) ** 2
    distances = {"before": noise, "after": shaped}
    squares = {name: np.sum((y - x[0]) ** 2, axis=1) for name, y in distances.items()}
    from_mean = {"before": np.trace(white), "after": np.trace(target)}
    most = f"kernel missed by {rows} rows of reshaped noise"
    size, to_mean = float(np.linalg.norm(target)), "mean square distance to the signal"
    lifted_missed = missed(sample_covariance(transported), target + lifted)
    table = [
        computed(most, missed_by(shaped), reshaping_error(target, rows - 1)),
        computed(f"... by {few} rows", missed_by(short), reshaping_error(target, few - 1)),
        computed("... by Y^T Y of 50 rows, relative", missed(y.T @ y, target) / size, 0.0),
        Measurement("... and where the rows are normalised", missed(normalised, target) / size),
        *(
            computed(f"{to_mean}, {name}", square.mean(), from_mean[name] + x[0] @ x[0])
            for name, square in squares.items()
        ),
        *(
            Measurement(f"least distance to the signal, {name}", float(np.sqrt(square.min())))
            for name, square in squares.items()
        ),
        computed(f"kernel + {FLOOR} I missed by {rows} rows, transported", lifted_missed, 0.0),
        computed("squared distance that transport moves", moved(transported), least),
        Measurement("... and X V Psi V_1^T, to the same covariance", moved(turned)),
        *(
            sampled(f"mean log density of a signal, {name}", v, exact.get(name))
            for name, v in densities.items()
        ),
    ]
    roots = {name: np.sqrt(square) for name, square in squares.items()}
    return Shown(table, Drawn(x[0], y.T @ y, normalised, noise, shaped, roots, densities))


def _densities(
    ensemble: MultiSine, x: Array, rng: np.random.Generator
) -> tuple[dict[str, Array], dict[str, float]]:
    """Log density of each signal under four covariances; the exact mean where there is one.

    E ln p = -(entropy + KL) for the two covariances that do not depend on the signals.
    """
    dim, zero = ensemble.dim, np.zeros(ensemble.dim)
    lifted = FLOOR * np.eye(dim)
    true, plain = Gaussian(zero, ensemble.cov + lifted), Gaussian(zero, np.eye(dim))
    observed = x + np.sqrt(FLOOR) * rng.standard_normal(x.shape)
    kernels = [Gaussian(zero, kernel_covariance(v) + lifted) for v in observed]
    densities = {
        "white noise": plain.logpdf(observed),
        "its own kernel": np.array([g.logpdf(v) for g, v in zip(kernels, observed)]),
        "another signal's kernel": np.array(
            [g.logpdf(v) for g, v in zip(kernels, np.roll(observed, 1, axis=0))]
        ),
        "the ensemble's covariance": true.logpdf(observed),
    }
    exact = {
        "white noise": -(true.entropy + kl_divergence(true, plain)),
        "the ensemble's covariance": -true.entropy,
    }
    return densities, exact


def draw(drawn: Drawn) -> style.Figure:
    """Covariances, noises before and after, their distances, and the densities of signals."""
    figure, axes = style.new_figure(2, 3, "Noise that is given a covariance", panel=(3.4, 2.7))
    reached, normalised, distance = axes[0]
    largest = float(np.abs(drawn.normalised).max())
    for ax, C, low, high, title in (
        (reached, drawn.reached, 0, 1, "Reshaped: the signal's kernel"),
        (normalised, drawn.normalised, -largest, largest, "Rows normalised after it"),
    ):
        style.colour_bar(style.matrix(ax, C, low, high, title), ax, "")
    bins = np.linspace(0, 1.05 * max(v.max() for v in drawn.distances.values()), 40)
    for (when, values), colour in zip(drawn.distances.items(), (style.NOISE, style.LEARNED)):
        distance.hist(values, bins, color=colour, alpha=0.6, label=when)
    style.label(distance, "distance to the signal", "noises", "Some come nearer, some go farther")
    style.legend(distance, loc="upper left")
    before, after, densities = axes[1]
    panels = (before, drawn.noise, "Noise before"), (after, drawn.shaped, "Reshaped, it is smooth")
    for ax, rows, title in panels:
        ax.plot(rows[:6].T, color=style.NOISE, lw=0.8, alpha=0.8)
        ax.plot(drawn.signal, color=style.DATA, lw=1.8)
        style.label(ax, "sample", "value", title)
        ax.set_ylim(-4.2, 4.2)
        style.name_line(ax, 0, 3.5, "the signal", style.DATA)
        style.name_line(ax, 16, 3.5, "six noises", style.NOISE)
    names = list(drawn.densities)
    for place, (which, colour) in enumerate(
        zip(names, (style.NOISE, style.WRONG, style.WRONG, style.EXACT)), 1
    ):
        low, quarter, middle, three, high = np.percentile(
            drawn.densities[which], [5, 25, 50, 75, 95]
        )
        densities.plot([low, high], [place, place], color=colour, lw=2)
        densities.plot([quarter, three], [place, place], color=colour, lw=9, solid_capstyle="butt")
        densities.plot(middle, place, "o", color=style.DATA, ms=3)
    densities.set_ylim(0.5, 4.5)
    densities.set_yticks(range(1, 5), [n.replace("'s ", "'s\n", 1) for n in names])
    style.label(densities, "log density of a signal in nats", "", "Another signal's kernel hurts")
    return figure
