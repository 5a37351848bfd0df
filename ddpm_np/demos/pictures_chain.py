"""Pictures of the chain: forward, one step back, the variance of that step, and the noise that is to be predicted."""

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
    SIGNED_MAP,
    WRONG,
    caption,
    label,
    legend,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ddpm_np.demos import forward as forward_demo
    from ddpm_np.demos import noise_target as noise_target_demo
    from ddpm_np.demos import posterior as posterior_demo
    from ddpm_np.demos import variance as variance_demo


# How the names that the tables print are set in a picture.
_SYMBOLS = {
    "beta_tilde": r"$\tilde\beta_t$", "beta": r"$\beta_t$", "DDIM, eta = 0": r"DDIM, $\eta = 0$",
    "before: x_{t-1} given x_0": "before: $x_{t-1}$ given $x_0$", "likelihood of x_t": "likelihood of $x_t$",
    "after: given x_0 and x_t": "after: given $x_0$ and $x_t$", "if x_0 = -1": "if $x_0 = -1$", "if x_0 = +1": "if $x_0 = 1$",
}


@styled
def forward(drawn: forward_demo.Drawn) -> Figure:
    figure, axes = new_figure(2, 3, "The covariance, replaced step by step", panel=(3.1, 2.6))
    largest = np.abs(drawn.covariances[0]).max()
    for ax, (t, C) in zip(axes[0], drawn.covariances.items()):
        image = ax.imshow(C, vmin=-largest, vmax=largest, cmap=SIGNED_MAP)
        ax.grid(False)
        label(ax, "sample $i$", "sample $j$", f"$t = {t}$")
    bar = figure.colorbar(image, ax=axes[0, 2], label="covariance of $x_t$")
    bar.ax.set_ylim(min(C.min() for C in drawn.covariances.values()) - 0.02, largest)  # the part of the map that occurs
    walk, kl, entropy = axes[1]
    steps = np.arange(len(drawn.walks))
    for k, colour in enumerate(list(COLOURS.values())[: drawn.walks.shape[1]]):
        walk.plot(steps[drawn.walks[:, k] > 0], drawn.walks[drawn.walks[:, k] > 0, k], color=colour, lw=1.2)
        walk.plot(drawn.seen[0], drawn.seen[1][:, k], "o", ms=3.5, color=colour)
    walk.set(yscale="log", ylim=(1e-3, 40))
    label(walk, "step $t$", "variance along a direction", "lines exact, dots simulated chain")
    kl.plot(steps, drawn.kl, color=EXACT)
    kl.set(yscale="log")
    label(kl, "step $t$", "nats", "KL of $q(x_t)$ to $N(0, I)$")
    for (scale, values), colour in zip(drawn.entropies.items(), (EXACT, NOISE, LEARNED)):
        entropy.plot(steps, values, color=colour, label=f"data of variance {scale:g}")
    entropy.set_ylim(-0.8, 1.5)
    label(entropy, "step $t$", "nats per coordinate", "entropy above that of $N(0, I)$")
    legend(entropy, loc="upper right")
    caption(figure, "Bottom left: every variance walks to 1 on its own, the small ones up and the large ones down, and no "
            "direction turns. Bottom centre: KL to the white end falls at every step, but not to 0. Bottom right: entropy rises "
            "or falls, depending on the data's variance; it is not what diffusion always increases.")
    return figure


@styled
def posterior(drawn: posterior_demo.Drawn) -> Figure:
    figure, axes = new_figure(1, 3, "One step back, with and without $x_0$", panel=(3.1, 2.7))
    known, unknown, chain = axes[0]
    styles = ((NOISE, "-"), (COLOURS["orange"], "--"), (EXACT, "-"))
    for (name, p), (colour, style) in zip(drawn.densities.items(), styles):
        known.plot(drawn.x, p, style, color=colour, label=_SYMBOLS.get(name, name))
    known.set_ylim(0, 1.75 * max(p.max() for p in drawn.densities.values()))
    label(known, "$x_{t-1}$", "density", "$x_0 = 1$ known")
    legend(known, loc="upper right")
    styles = ((DATA, "-", 2.2), (LEARNED, "--", 1.4), (COLOURS["sky"], ":", 1.4), (COLOURS["sky"], "-.", 1.4))
    for (name, p), (colour, style, width) in zip(drawn.kernels.items(), styles):
        unknown.plot(drawn.wide, p, style, color=colour, lw=width, label=_SYMBOLS.get(name, name))
    unknown.set_ylim(0, 1.75 * max(p.max() for p in drawn.kernels.values()))
    label(unknown, "$x_{t-1}$", "density", "$x_0 = -1$ or $1$, not known")
    legend(unknown, loc="upper right")
    chain.plot(drawn.steps, drawn.gaps, "o-", color=LEARNED)
    chain.set(xscale="log", yscale="log")
    label(chain, "number of steps $T$", "nats lost", "by the best Gaussian steps")
    caption(figure, "Left: prior times likelihood is the narrower Gaussian $N(\\psi_1/\\psi_2,1/\\psi_2)$. Centre: without $x_0$ "
            "the true kernel (black) is a mixture with two humps, and no Gaussian step can be it. Right: with many small steps "
            "this stops to matter.")
    return figure


@styled
def variance(drawn: variance_demo.Drawn) -> Figure:
    figure, axes = new_figure(1, 3, "Which variance for a reverse step?", panel=(3.1, 2.7))
    output, distance, signals = axes[0]
    scales = list(next(iter(drawn.outputs.values())))
    for k, (name, per_scale) in enumerate(drawn.outputs.items()):
        ratios = np.array([[m / s, e / s] for s, (m, e) in per_scale.items()])
        place = np.arange(len(scales)) + 0.2 * (k - 1.5)
        colour = (EXACT, COLOURS["orange"], COLOURS["green"], WRONG)[k]
        output.bar(place, ratios[:, 1], 0.18, color=colour, label=_SYMBOLS.get(name, name))
        output.plot(place, ratios[:, 0], ".", color=DATA, ms=4)
    output.axhline(1, color=DATA, lw=0.8)
    output.set_xticks(range(len(scales)), [f"{s:g}" for s in scales])
    output.set_ylim(0, 1.55)
    label(output, "variance of the data", "output / data variance", "100 steps; bars exact, dots sampled")
    legend(output, ncols=2, loc="upper center")
    colours = EXACT, COLOURS["orange"], COLOURS["green"], LEARNED
    for (name, values), colour, marker in zip(drawn.distances.items(), colours, "os^d"):
        distance.plot(drawn.steps, values, marker + "-", color=colour, label=_SYMBOLS.get(name, name))
    distance.set(xscale="log", yscale="log", ylim=(3e-5, 1.5))
    label(distance, "number of steps taken", "$W_2$ to the data, per sample", "the ensemble of signals")
    legend(distance, loc="lower left")
    for (name, x), colour in zip(drawn.signals.items(), (FAINT, EXACT, WRONG)):
        lines = signals.plot(x.T, color=colour, lw=1.2 if name != "data" else 2)
        lines[0].set_label(_SYMBOLS.get(name, name))
    signals.set_ylim(-3, 4)
    label(signals, "sample", "value", "8 signals each")
    legend(signals, ncols=3, loc="upper center", columnspacing=1, handlelength=1)
    caption(figure, "Left: no named variance is right for all data; the mean alone (purple, next to nothing left) is right for "
            "none. Centre: what each choice costs as steps are skipped; with the true kernel's covariance skipping is free. "
            "Right: without fresh noise the chain goes to the mean signal.")
    return figure


@styled
def noise_target(drawn: noise_target_demo.Drawn) -> Figure:
    figure, axes = new_figure(1, 3, "What the network is asked for", panel=(3.1, 2.7))
    example, size, target = axes[0]
    example.plot(drawn.example[0], color=NOISE, lw=1.2, label="$\\epsilon$ in $x_t$")
    example.plot(drawn.example[1], color=EXACT, lw=1.2, label="best prediction")
    example.set_ylim(-3.2, 4.4)
    label(example, "sample", "value", "one signal at $t = 50$")
    legend(example, loc="upper right", ncols=2)
    steps = np.arange(len(drawn.floor))
    size.plot(steps, 1 - drawn.floor, color=EXACT, label="size of the prediction")
    _dots(size, drawn.size, EXACT)
    size.plot(steps, drawn.floor, color=LEARNED, label="loss that remains")
    _dots(size, drawn.loss, LEARNED)
    size.set_ylim(0, 1.25)
    label(size, "step $t$", "mean square per coordinate", "lines exact, dots simulated")
    legend(size, loc="center right")
    target.plot(steps, drawn.end_loss, color=WRONG, label="loss, end of the chain")
    target.plot(steps, drawn.floor, color=LEARNED, label="loss, $\\epsilon$ in $x_t$")
    target.plot(steps, drawn.correlation, "--", color=NOISE, label="correlation of the two")
    _dots(target, drawn.seen, NOISE)
    target.set_ylim(-0.05, 1.25)
    label(target, "step $t$", "loss, or correlation", "two targets with one name")
    legend(target, loc="center left", bbox_to_anchor=(0.0, 0.62))
    caption(figure, "Left: the best prediction of the noise is not noise; the part that looks like a signal is missing from it. "
            "Centre: its mean square and the loss add up to 1. Right: the noise at the end of the chain, which the notes name as "
            "the target, can hardly be told from $x_t$.")
    return figure


def _dots(axes: Axes, seen: dict[int, tuple[float, float]], colour: str) -> None:
    """Measured values by step, with bars of five standard errors."""
    values, errors = zip(*seen.values())
    axes.errorbar(list(seen), values, 5 * np.array(errors), fmt="o", color=colour, capsize=2)
