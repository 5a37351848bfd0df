"""Pictures of signals before any diffusion: averages, likeness matrices, reshaped noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ddpm_np._figure_style import (
    COLOURS,
    DATA,
    EXACT,
    FAINT,
    LEARNED,
    NOISE,
    WRONG,
    caption,
    label,
    legend,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ddpm_np.demos import averaging as averaging_demo
    from ddpm_np.demos import covariance as covariance_demo
    from ddpm_np.demos import reshape as reshape_demo


@styled
def averaging(drawn: averaging_demo.Drawn) -> Figure:
    figure, axes = new_figure(1, 2, "What averaging removes")
    left, right = axes[0]
    for (n, mean), colour in zip(drawn.means.items(), (FAINT, COLOURS["sky"], EXACT)):
        left.plot(mean, color=colour, lw=1.2, label=f"mean of {n}")
    left.plot(drawn.curve, color=DATA, lw=1, ls="--", label="the signal")
    label(left, "sample", "value", "one signal, observed $n$ times")
    legend(left, loc="upper center", ncols=2, bbox_to_anchor=(0.5, -0.22))
    for (case, (measured, error, exact)), colour in zip(drawn.errors.items(), (EXACT, WRONG, LEARNED)):
        right.plot(drawn.numbers, exact, color=colour, lw=1.2)
        right.errorbar(drawn.numbers, measured, 5 * error, color=colour, fmt="o", capsize=2, label=case)
    right.set(xscale="log", yscale="log")
    label(right, "number of observations $n$", "squared error of the mean", "lines exact, dots simulated (bars: 5 s.e.)")
    legend(right, loc="lower left")
    caption(figure, "Right: only the blue line goes on falling as 1/n. What the observations share, a common noise of "
            "correlation 0.02 or a bias of 0.3, is left over however many are averaged.")
    return figure


@styled
def covariance(drawn: covariance_demo.Drawn) -> Figure:
    figure, axes = new_figure(2, 3, "Does the spectrum see a signal?", panel=(3.1, 2.6))
    colours = {name: colour for name, colour in zip(drawn.kernels, (EXACT, LEARNED, NOISE))}
    for ax, (name, C) in zip(axes[0], drawn.kernels.items()):
        image = ax.imshow(C, vmin=0, vmax=1)
        ax.grid(False)
        label(ax, "sample $i$", "sample $j$", name)
    figure.colorbar(image, ax=axes[0, 2], label="$\\exp(-|v_i - v_j|^2)$")
    spectra, ranks, ensemble = axes[1]
    styles = {"the signal": ("-", 2.6), "the signal, samples shuffled": ("--", 1.4), "white noise": ("-", 1.4)}
    for name, values in drawn.spectra.items():
        style, width = styles[name]
        spectra.plot(np.arange(1, 21), np.maximum(values[:20], 1e-17), style, lw=width, color=colours[name], label=name)
    spectra.set(yscale="log", ylim=(1e-16, 1e3), xticks=[1, 5, 10, 15, 20])
    label(spectra, "number of the eigenvalue", "eigenvalue", "spectra of the three kernels")
    legend(spectra, loc="lower left")
    bins = np.linspace(min(r.min() for r in drawn.ranks.values()), max(r.max() for r in drawn.ranks.values()), 30)
    for (name, values), colour in zip(drawn.ranks.items(), (EXACT, NOISE)):
        ranks.hist(values, bins, color=colour, alpha=0.6, label=name)
    label(ranks, "effective rank of the kernel", "count", f"{len(values)} signals and noises")
    legend(ranks)
    index = np.arange(1, 31)
    above_rounding = np.where(drawn.fixed > 1e-12, drawn.fixed, np.nan)
    ensemble.plot(index, above_rounding[:30], "o-", color=EXACT, label="5 fixed frequencies")
    ensemble.plot(index, drawn.random[:30], "s-", ms=3, color=LEARNED, label="random frequencies")
    ensemble.axhline(1, color=NOISE, lw=1)
    ensemble.text(30, 1.3, "white noise", color=NOISE, ha="right", fontsize=8)
    ensemble.set(yscale="log", ylim=(1e-12, 1e2), xticks=[1, 10, 20, 30])
    label(ensemble, "number of the eigenvalue", "eigenvalue", "covariance of the ensemble")
    legend(ensemble, loc="lower left")
    caption(figure, "Top: shuffling the samples destroys the pattern, but (bottom left) not one eigenvalue moves: the kernel's "
            "spectrum does not see smoothness, and its effective rank (bottom centre) is no smaller for signals than for noise. "
            "What is of low rank is the ensemble (bottom right): 10 directions for 5 fixed frequencies, about 11 for frequencies "
            "drawn from 0 to 5 Hz.")
    return figure


@styled
def reshape(drawn: reshape_demo.Drawn) -> Figure:
    figure, axes = new_figure(2, 3, "Noise that is given a covariance", panel=(3.1, 2.6))
    shown = {
        "target: the signal's kernel": drawn.target, f"{len(drawn.shaped)} rows of noise, reshaped": drawn.many,
        f"{drawn.rows} rows of noise, reshaped": drawn.few,
    }
    for ax, (name, C) in zip(axes[0], shown.items()):
        image = ax.imshow(C, vmin=0, vmax=1)
        ax.grid(False)
        label(ax, "sample $i$", "sample $j$", name)
    figure.colorbar(image, ax=axes[0, 2], label="covariance")
    before, after, densities = axes[1]
    for ax, rows, title in ((before, drawn.noise, "noise before"), (after, drawn.shaped, "the same noise, reshaped")):
        ax.plot(rows[:6].T, color=COLOURS["sky"], lw=0.9)
        ax.plot(drawn.signal, color=DATA, lw=1.6, label="the signal")
        label(ax, "sample", "value", title)
        ax.set_ylim(-4.2, 4.2)
        legend(ax, loc="upper right")
    names = list(drawn.densities)
    for place, (name, colour) in enumerate(zip(names, (NOISE, WRONG, COLOURS["orange"], EXACT)), 1):
        low, quarter, middle, three, high = np.percentile(drawn.densities[name], [5, 25, 50, 75, 95])
        densities.plot([low, high], [place, place], color=colour, lw=1.2)
        densities.plot([quarter, three], [place, place], color=colour, lw=7, solid_capstyle="butt")
        densities.plot(middle, place, "o", color=DATA, ms=5)
    densities.set_ylim(0.5, 4.5)
    densities.set_yticks(range(1, 5), [n.replace("'s ", "'s\n", 1) for n in names])
    label(densities, "log density of a signal in nats", "", "was it made more likely?")
    caption(figure, "Top: enough rows of noise reach the target exactly, three rows only its two largest modes (two, since their "
            "mean is taken out). Bottom right: a kernel made from the very signal makes it likely, another signal's kernel less "
            "likely than white noise does; what helps without looking is the covariance of the ensemble.")
    return figure
