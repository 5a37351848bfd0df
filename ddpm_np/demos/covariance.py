"""What the spectrum of a kernel sees of a signal, with a control; the ensemble (E21, E22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._figure_style import (
    DATA,
    EXACT,
    NOISE,
    WRONG,
    colour_bar,
    label,
    legend,
    name_line,
    new_figure,
    styled,
)
from ddpm_np._measurement import Measurement, sampled
from ddpm_np.closed_form.covariance import (
    effective_rank,
    kernel_covariance,
    random_frequency_covariance,
    sample_covariance,
    spectrum,
)
from ddpm_np.demos.shown import Shown
from ddpm_np.signals import MultiSine, multi_sine_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Hz; five uniform numbers, drawn once and used by all demos.
FREQUENCIES = (0.0826, 0.2049, 1.3489, 3.1848, 4.0664)
BAND = 5.0


class Drawn(NamedTuple):
    kernels: dict[str, Array]
    spectra: dict[str, Array]
    ranks: dict[str, Array]  # effective ranks over many signals and many noises
    fixed: Array  # spectrum of the ensemble with fixed frequencies
    random: Array  # and with frequencies drawn anew for each signal


def show(*, rng: np.random.Generator, draws: int = 400, signals: int = 4000) -> Shown:
    curve, noise = multi_sine_curve(rng=rng), rng.standard_normal(50)
    kernels = {
        "signal": kernel_covariance(curve),
        "shuffled signal": kernel_covariance(rng.permutation(curve)),
        "white noise": kernel_covariance(noise),
    }
    whole, shuffled, white = (effective_rank(C) for C in kernels.values())
    ranks = {
        "signals": _ranks([multi_sine_curve(rng=rng) for _ in range(draws)]),
        "white noises": _ranks([rng.standard_normal(50) for _ in range(draws)]),
    }
    ensemble = MultiSine(FREQUENCIES)
    seen = spectrum(sample_covariance(ensemble.sample(200, rng=rng)))
    rank = float(np.count_nonzero(seen > 1e-12 * seen[0]))
    random = spectrum(random_frequency_covariance(50, BAND))
    # Each signal has its own frequency and unit variance at every sample, as the covariance asks.
    phase = 2 * np.pi * rng.uniform(0, BAND, (signals, 1)) * np.linspace(0, 1, 50)
    amplitude = rng.standard_normal((2, signals, 1))
    signals_drawn = amplitude[0] * np.cos(phase) + amplitude[1] * np.sin(phase)
    modes = np.linalg.eigh(random_frequency_covariance(50, BAND))[1][:, ::-1][:, :12]
    energy = np.sum((signals_drawn @ modes) ** 2, axis=1)
    rows = [
        Measurement("effective rank of the kernel, signal", whole),
        Measurement("... the same samples, shuffled", shuffled, whole, 0.0),
        Measurement("... white noise", white),
        *(sampled(f"... mean over {draws} {name}", r) for name, r in ranks.items()),
        Measurement(
            "rank of 200 signals with 5 fixed frequencies", rank, 2.0 * len(FREQUENCIES), 0.0
        ),
        Measurement("effective rank of that ensemble", effective_rank(ensemble.cov)),
        sampled("random frequencies: energy in 12 directions of 50", energy, random[:12].sum()),
    ]
    spectra = {name: spectrum(C) for name, C in kernels.items()}
    return Shown(rows, Drawn(kernels, spectra, ranks, spectrum(ensemble.cov), random))


def _ranks(curves: list[Array]) -> Array:
    return np.array([effective_rank(kernel_covariance(v)) for v in curves])


@styled
def draw(drawn: Drawn) -> Figure:
    title = "Does the spectrum of a kernel see a signal?"
    figure, axes = new_figure(2, 3, title, panel=(3.3, 2.7))
    titles = (
        "A signal's kernel has a pattern",
        "Shuffled, the pattern is gone",
        "White noise looks alike",
    )
    for ax, C, title in zip(axes[0], drawn.kernels.values(), titles):
        image = ax.imshow(C, vmin=0, vmax=1)
        ax.grid(False)
        label(ax, "sample $i$", "sample $j$", title)
    colour_bar(image, axes[0, 2], "$\\exp(-|v_i - v_j|^2)$")
    spectra, ranks, ensemble = axes[1]
    styles = (DATA, "-", 4.0), (WRONG, "-", 1.4), (NOISE, "-", 1.4)
    for (which, values), (colour, style, width) in zip(drawn.spectra.items(), styles):
        values = np.maximum(values[:20], 1e-17)
        spectra.plot(np.arange(1, 21), values, style, lw=width, color=colour, label=which)
    spectra.set(yscale="log", ylim=(1e-16, 1e3), xticks=[1, 5, 10, 15, 20])
    label(spectra, "number of the eigenvalue", "eigenvalue", "Shuffling moves no eigenvalue")
    legend(spectra, loc="lower left")
    both = np.concatenate(list(drawn.ranks.values()))
    bins = np.linspace(both.min(), both.max(), 30)
    ranks.hist(drawn.ranks["white noises"], bins, color=NOISE, alpha=0.6, label="white noises")
    ranks.hist(drawn.ranks["signals"], bins, color=DATA, histtype="step", lw=1.4, label="signals")
    label(ranks, "effective rank of the kernel", "count", "A signal's rank is no smaller")
    legend(ranks)
    above_rounding = np.where(drawn.fixed > 1e-12, drawn.fixed, np.nan)[:30]
    index = np.arange(1, 31)
    ensemble.plot(index, above_rounding, "o-", color=EXACT)
    ensemble.plot(index, drawn.random[:30], "s-", ms=3, color=EXACT, mfc="white")
    ensemble.axhline(1, color=NOISE, lw=1)
    name_line(ensemble, 30, 1.6, "white noise", NOISE, ha="right")
    name_line(ensemble, 8.6, 3e-5, "5 fixed\nfrequencies", EXACT, ha="right", va="top")
    name_line(ensemble, 18.5, 1e-5, "random\nfrequencies", EXACT)
    ensemble.set(yscale="log", ylim=(1e-12, 1e2), xticks=[1, 10, 20, 30])
    label(ensemble, "number of the eigenvalue", "eigenvalue", "The ensemble's rank is low")
    return figure
