"""Pictures of what the model is good for: likelihood, interpolation, conditioning, and whether it remembers."""

from __future__ import annotations

import re
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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ddpm_np._checks import Array
    from ddpm_np.demos import likelihood as likelihood_demo
    from ddpm_np.demos import memory as memory_demo
    from ddpm_np.demos import moon as moon_demo
    from ddpm_np.demos import multiply as multiply_demo


@styled
def likelihood(drawn: likelihood_demo.Drawn) -> Figure:
    figure, axes = new_figure(1, 3, "Likelihood, three ways", panel=(3.1, 2.7))
    fitted, integral, bound = axes[0]
    fitted.plot(drawn.latents, drawn.entropy + drawn.kl, color=EXACT, label="entropy + KL, exact")
    nll, error = drawn.nll
    fitted.errorbar(drawn.latents, nll, 5 * error, fmt="o", color=LEARNED, capsize=2, label="mean of $-\\ln p$, data")
    fitted.axhline(drawn.entropy, color=NOISE, lw=1, ls="--", label="entropy of the data")
    fitted.set_ylim(20, 88)
    label(fitted, "latents of the linear decoder", "nats", "maximum likelihood is least KL")
    legend(fitted, loc="upper right")
    for (name, (off, error)), colour, marker in zip(drawn.estimates.items(), (WRONG, EXACT), "os"):
        integral.plot(drawn.dims, np.abs(off), marker + "-", color=colour, label=name)
        integral.plot(drawn.dims, error, ":", color=colour, lw=1.2)
    integral.set(xscale="log", yscale="log", ylim=(1e-4, 1e7), xticks=drawn.dims, xticklabels=[str(d) for d in drawn.dims])
    integral.minorticks_off()
    label(integral, "number of latents", "error of $\\ln p(x)$ in nats", "$p(x) = \\int p(z)\\, p(x | z)\\, dz$")
    legend(integral, loc="upper left")
    names = [r"$\tilde\beta_t$", r"$\beta_t$", "true kernel"]
    bound.bar(names, list(drawn.gaps.values()), 0.6, color=(EXACT, COLOURS["orange"], COLOURS["green"]))
    bound.set(yscale="log", ylim=(1e-3, 200))
    for place, gap in enumerate(drawn.gaps.values()):
        bound.text(place, gap * 1.2, f"{gap:.2g}", ha="center", fontsize=8)
    label(bound, "variance of the reverse step", "nats above the entropy", "the diffusion bound")
    caption(figure, "Left: the data's mean of $-\\ln\\,p$ lies on entropy plus KL, so the best fit is the closest. Centre: with "
            "10,000 draws the naive mean is off by thousands of nats in many dimensions, while the standard error that it claims "
            "(dotted) stays near 1. Right: the bound's gap.")
    return figure


@styled
def moon(drawn: moon_demo.Drawn) -> Figure:
    shown = len(next(iter(drawn.gallery.values())))
    figure, axes = new_figure(1, 3, "Between half moon and full moon", panel=(3.1, 2.9), width_ratios=(1.5, 1, 1))
    gallery, positions, mixing = axes[0]
    size = int(np.sqrt(drawn.ends.shape[1]))
    rows = [np.concatenate([_picture(v, size) for v in pictures], axis=1) for pictures in drawn.gallery.values()]
    reference = drawn.phases[np.linspace(0, len(drawn.phases) - 1, shown).astype(int)]
    rows.insert(0, np.concatenate([_picture(v, size) for v in reference], axis=1))
    gallery.imshow(np.concatenate(rows), cmap="gray", vmin=-1, vmax=1)
    gallery.grid(False)
    gallery.set_xticks([])
    names = ["true phases", *(re.sub(r",? (trained on|of the|to the)", r"\n\1", name) for name in drawn.gallery)]
    gallery.set_yticks((np.arange(len(rows)) + 0.5) * (size + 1), names)
    gallery.tick_params(length=0)
    for side in gallery.spines.values():
        side.set_visible(False)
    gallery.set_title("seven results each, in order of position")
    names = ["ideal, two", "Gaussian fit", "network, two", "network, phases"]
    colours = (DATA, EXACT, LEARNED, COLOURS["green"])
    for k, (per_start, colour) in enumerate(zip(drawn.positions.values(), colours)):
        w = per_start[max(per_start)]
        jitter = 0.3 * np.sin(np.arange(len(w)) * 2.4)  # spread out, so that equal values show as many
        positions.plot(w, k + jitter, ".", color=colour, ms=3, alpha=0.6)
    positions.set_yticks(range(4), names)
    positions.invert_yaxis()
    positions.set(xlim=(-0.8, 1.8), xticks=[0, 1], xticklabels=["half", "full"])
    label(positions, "position from half to full", "", f"where they end, from t = {max(next(iter(drawn.positions.values())))}")
    for (name, exact), colour in zip(drawn.variances.items(), (WRONG, EXACT)):
        mixing.plot(drawn.weights, exact, color=colour, label=f"{name} mixing")
        mixing.plot(drawn.weights, drawn.measured[name], "o", ms=3, color=colour)
    mixing.set_ylim(0, 1.45)
    label(mixing, "weight of the second noise", "variance of the mixture", "lines exact, dots measured")
    legend(mixing, loc="upper right")
    caption(figure, "Left and centre: both moons, noised to the same step, mixed half and half and denoised. From two pictures "
            "nobody gets a 3/4 moon: the ideal denoiser and the network trained on the two return one of them, the Gaussian fit "
            "a blend. The network that has seen all phases returns moons. Right: a straight line between two noises loses up to "
            "half their variance, a quarter circle none.")
    return figure


@styled
def multiply(drawn: dict[str, multiply_demo.Solved]) -> Figure:
    figure, axes = new_figure(2, 2, "Signals, given a measurement", panel=(4.4, 2.6), sharex=True)
    for column, (name, solved) in enumerate(drawn.items()):
        signal, spread = axes[:, column]
        places = np.arange(len(solved.truth))
        deviation = solved.deviations["exact posterior"]
        signal.plot(places, solved.samples[:12].T, color=LEARNED, lw=0.6, alpha=0.5)
        signal.plot([], [], color=LEARNED, lw=0.8, label="guided samples")
        low, high = solved.posterior.mean - 2 * deviation, solved.posterior.mean + 2 * deviation
        signal.fill_between(places, low, high, color=EXACT, alpha=0.25, lw=0, label="exact posterior, 2 s.d.")
        signal.plot(places, solved.truth, color=DATA, lw=1.4, label="true signal")
        signal.plot(solved.task.observed, solved.y, "o", color=NOISE, ms=3.5, label="measured")
        bottom, top = signal.get_ylim()
        signal.set_ylim(bottom, top + 0.45 * (top - bottom))  # room for the legend
        label(signal, "", "value", f"{name}: {len(solved.y)} samples, noise {solved.task.noise}")
        legend(signal, loc="upper center", ncols=2)
        for (kind, values), colour, style in zip(solved.deviations.items(), (EXACT, LEARNED, WRONG), ("-", "--", "-.")):
            spread.plot(places, values, style, color=colour, lw=2.4 if style == "-" else 1.4, label=kind)
        spread.set_ylim(0, 1.5 * max(v.max() for v in solved.deviations.values()))
        label(spread, "sample", "standard deviation", "spread of the answers, exact for all three")
        legend(spread, loc="upper center", ncols=2)
    caption(figure, "The prior knows signals, the measurement knows this one; their product fills the gap (right: samples 16 to "
            "35 were not measured) and says how sure it is. Bottom: the chain guided by the exact gradient has the exact "
            "posterior's spread, up to its step count; the usual stand-in for the spread of $x_0$ given $x_t$ is fair for "
            "denoising and wrong in the gap.")
    return figure


@styled
def memory(drawn: memory_demo.Drawn) -> Figure:
    figure, axes = new_figure(2, len(drawn.worlds), "Remember or invent?", panel=(3.1, 2.4))
    for column, (size, world) in enumerate(drawn.worlds.items()):
        curves, distances = axes[:, column]
        curves.plot(world.points[:40].T, color=FAINT, lw=1.6)
        curves.plot([], [], color=FAINT, lw=1.6, label="data" if size <= 40 else "40 of the data")
        curves.plot(world.samples[:6].T, color=LEARNED, lw=0.9)
        curves.plot([], [], color=LEARNED, lw=0.9, label="network")
        curves.set_ylim(-3.6, 4.8)
        label(curves, "sample", "value", f"{size} signal{'s' if size > 1 else ''} as data")
        legend(curves, loc="upper right", ncols=2)
        for (name, values), colour in zip(world.distances.items(), (DATA, LEARNED, EXACT)):
            _distribution(distances, np.maximum(values, 1e-4), colour, re.sub(" of the .*", "", name))
        distances.set(xscale="log", xlim=(7e-5, 9), ylim=(0, 1.55), yticks=[0, 0.5, 1])
        label(distances, "distance to the nearest data", "share below")
        legend(distances, loc="upper left")
    caption(figure, "Bottom: how far samples are from the nearest signal in the data, root mean square (below 0.0001 drawn at "
            "0.0001). With one signal the network returns the data, as the ideal denoiser always does, with eight nearly so; "
            "with 4096 it is as far from them as new signals of the ensemble.")
    return figure


def _picture(values: Array, size: int) -> Array:
    """A moon with a line of sky-grey to its right and below."""
    framed = np.full((size + 1, size + 1), 0.6)
    framed[:size, :size] = values.reshape(size, size)
    return framed


def _distribution(axes: Axes, values: Array, colour: str, name: str) -> None:
    ordered = np.sort(values)
    shares = np.arange(1, len(ordered) + 1) / len(ordered)
    axes.step([7e-5, *ordered, 9.0], [0.0, *shares, 1.0], where="post", color=colour, label=name)
