"""What the spectrum of a kernel sees of a signal, with a control; the ensemble (E21, E22)."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, computed, sampled
from ddpm_np.closed_form.covariance import (
    effective_rank,
    kernel_covariance,
    random_frequency_covariance,
    sample_covariance,
    spectrum,
)
from ddpm_np.demos import Shown
from ddpm_np.signals import MultiSine, multi_sine_curve

# Hz; five uniform numbers, drawn once and used by all demos.
FREQUENCIES = (0.0826, 0.2049, 1.3489, 3.1848, 4.0664)
BAND = 5.0


class Drawn(NamedTuple):
    curves: dict[str, Array]
    matrices: dict[str, Array]
    ranks: dict[str, Array]  # effective ranks, by the kind of matrix and of curve
    fixed: Array  # spectrum of the ensemble with fixed frequencies
    random: Array  # and with frequencies drawn anew for each signal


def show(
    *, rng: np.random.Generator, draws: int = 400, rows: int = 50, signals: int = 4000
) -> Shown:
    """The numbers. draws: kernels of a kind; rows: of an X; signals: of random frequencies."""
    # As in the notes' program: curves of 100 samples, and 50 white noises.
    curve, noise = multi_sine_curve(100, rng=rng), rng.standard_normal((draws, rows, 100))
    curves = {"signal": curve, "shuffled": rng.permutation(curve), "white noise": noise[0, 0]}
    matrices = {name: kernel_covariance(v) for name, v in curves.items()}
    matrices["X^T X"] = noise[0].T @ noise[0]
    ranks = {
        "signals, kernel": _ranks(
            kernel_covariance(multi_sine_curve(100, rng=rng)) for _ in range(draws)
        ),
        "white noises, kernel": _ranks(kernel_covariance(v) for v in noise[:, 0]),
        "white noises, $X^T X$": _ranks(X.T @ X for X in noise[: draws // 10]),
    }
    whole, shuffled, white, product = (effective_rank(C) for C in matrices.values())
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
    table = [
        Measurement("effective rank of the kernel, signal", whole),
        computed("... the same samples, shuffled", shuffled, whole),
        Measurement("... white noise", white),
        Measurement(f"effective rank of X^T X, {rows} white noises", product),
        *(sampled(f"mean effective rank, {name.replace('$', '')}", r) for name, r in ranks.items()),
        computed("rank of 200 signals with 5 fixed frequencies", rank, 2.0 * len(FREQUENCIES)),
        Measurement("effective rank of that ensemble", effective_rank(ensemble.cov)),
        sampled("random frequencies: energy in 12 directions of 50", energy, random[:12].sum()),
    ]
    return Shown(table, Drawn(curves, matrices, ranks, spectrum(ensemble.cov), random))


def _ranks(matrices: Iterable[Array]) -> Array:
    return np.array([effective_rank(C) for C in matrices])


def draw(drawn: Drawn) -> style.Figure:
    """The matrices, their spectra and effective ranks, and the spectrum of the ensemble."""
    title = "Does the spectrum of a kernel see a signal?"
    figure, axes = style.new_figure(2, 4, title, panel=(2.9, 2.6))
    titles = (
        "A signal's kernel",
        "Shuffled: another pattern",
        "White noise: the same kind",
        "The notes' noise: $X^T X$",
    )
    for ax, (name, C), title in zip(axes[0], drawn.matrices.items(), titles):
        image = style.matrix(ax, C, *((0, 1) if name in drawn.curves else (-60, 60)), title)
        if name in ("white noise", "X^T X"):
            style.colour_bar(image, ax, "")
    for ax in axes[0, 1:]:
        ax.set_ylabel("")
    curves, spectra, ranks, ensemble = axes[1]
    looks = {
        "signal": (style.DATA, 1.8),
        "shuffled": (style.WRONG, 0.8),
        "white noise": (style.NOISE, 1.2),
    }
    for name in ("shuffled", "signal"):
        curves.plot(drawn.curves[name], color=looks[name][0], lw=looks[name][1], label=name)
    curves.set_ylim(-3, 4.4)
    style.label(curves, "sample", "value", "The same values, shuffled")
    style.legend(curves, loc="upper center", ncols=2)
    index = np.arange(1, 31)
    for name, (colour, width) in looks.items():
        values = np.maximum(spectrum(drawn.matrices[name])[:30], 1e-17)
        width = 4.0 if name == "signal" else 1.4
        spectra.plot(index, values / values.sum(), lw=width, color=colour, label=name)
    values = spectrum(drawn.matrices["X^T X"])[:30]
    spectra.plot(index, values / values.sum(), ":", color=style.NOISE, label="$X^T X$")
    spectra.set(yscale="log", ylim=(1e-16, 10), xticks=[1, 10, 20, 30])
    style.label(spectra, "number of the eigenvalue", "share", "Shuffling moves no eigenvalue")
    style.legend(spectra, loc="lower left")
    bins = np.geomspace(2, 50, 60)
    for (name, values), colour in zip(drawn.ranks.items(), (style.DATA, style.NOISE, style.WRONG)):
        weights = np.full(len(values), 100 / len(values))
        filled = {"color": colour, "alpha": 0.7} if colour != style.DATA else {"histtype": "step"}
        ranks.hist(values, bins, weights=weights, label=name, ec=style.DATA, **filled)
    ranks.set_ylim(0, 165)
    style.log_ticks(ranks, "x", (2, 3, 5, 10, 20, 50))
    style.label(ranks, "effective rank", "per cent", "Two matrices, not two curves")
    style.legend(ranks, loc="upper left")
    above_rounding = np.where(drawn.fixed > 1e-12, drawn.fixed, np.nan)[:30]
    ensemble.plot(index, above_rounding, "o-", color=style.EXACT)
    ensemble.plot(index, drawn.random[:30], "s-", ms=3, color=style.EXACT, mfc="white")
    ensemble.axhline(1, color=style.NOISE, lw=1)
    style.name_line(ensemble, 30, 1.6, "white noise", style.NOISE, ha="right")
    style.name_line(ensemble, 8.6, 3e-5, "5 fixed\nfrequencies", style.EXACT, ha="right", va="top")
    style.name_line(ensemble, 18.5, 1e-5, "random\nfrequencies", style.EXACT)
    ensemble.set(yscale="log", ylim=(1e-12, 1e2), xticks=[1, 10, 20, 30])
    style.label(ensemble, "number of the eigenvalue", "eigenvalue", "The ensemble's rank is low")
    return figure
