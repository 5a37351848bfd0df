"""The pictures of ``run``: samples, the way back, the covariance, and the schedule."""

from typing import Any

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.experiments.words import captioned
from ddpm_np.forward import q_sample
from ddpm_np.schedule import Schedule


@style.styled
def own_samples(drawn: Array, nearest: Array) -> style.Figure:
    """The network's signals, each over the signal of the file that is nearest to it."""
    title = "The network's signals, and the nearest ones of the file"
    shown = min(6, len(drawn))
    figure, axes = style.new_figure(2, 3, title, panel=(3.5, 2.1), sharex=True, sharey=True)
    for k, panel in enumerate(axes.flat[:shown]):
        panel.plot(nearest[k], color=style.DATA, lw=2.6, alpha=0.35, label="nearest in the file")
        panel.plot(drawn[k], color=style.LEARNED, lw=1.2, label="the network's")
        style.label(panel, "column" if k >= 3 else "", "value" if k % 3 == 0 else "")
    style.legend(axes[0, 0])
    return captioned(figure, "own_samples")


@style.styled
def drawn_signals(drawn: Array) -> style.Figure:
    """Signals that were drawn from a saved network."""
    shown = min(50, len(drawn))
    figure, ((axes,),) = style.new_figure(1, 1, "Drawn from noise", panel=(6.4, 3.4))
    axes.plot(drawn[:shown].T, lw=0.9, alpha=0.7)
    style.label(axes, "place in the signal", "value", f"{shown} of {len(drawn)} signals")
    return captioned(figure, "drawn_signals")


@style.styled
def drawn_pictures(drawn: Array) -> style.Figure:
    """The same for pictures, ten in a row."""
    rows = {f"from {k + 1}": drawn[k : k + 10] for k in range(0, min(50, len(drawn)), 10)}
    figure = style.picture_grid(rows, title="Drawn from noise")
    return captioned(figure, "drawn_pictures")


@style.styled
def samples(drawn: Array, ideal: Array, dist: Gaussian) -> style.Figure:
    """The network's signals over the ideal denoiser's, from the same noise."""
    title = "From the same noise: the network's signal and the exact one"
    figure, axes = style.new_figure(2, 3, title, panel=(3.5, 2.1), sharex=True, sharey=True)
    tau, std = np.linspace(0, 1, dist.dim), np.sqrt(np.diag(dist.cov))
    shown = min(axes.size, len(drawn))
    for k, panel in enumerate(axes.flat[:shown]):
        style.band(panel, tau, dist.mean - 2 * std, dist.mean + 2 * std, style.EXACT, 0.12)
        panel.plot(tau, ideal[k], color=style.EXACT, lw=3.2, alpha=0.55, label="ideal, exact")
        panel.plot(tau, drawn[k], color=style.LEARNED, lw=1.3, label="network")
        off = 10 * (drawn[k] - ideal[k])
        panel.plot(tau, off, color=style.WRONG, lw=0.9, label="10 x their difference")
        off = np.sqrt(np.square(off / 10).mean())
        x, y = "time in s" if k >= 3 else "", "$x_0$" if k % 3 == 0 else ""
        style.label(panel, x, y, f"difference {off:.2g} (root mean square)")
    style.room_above(axes[0, 0], 0.25)
    style.legend(axes[0, 0], loc="upper left", ncols=3, fontsize=7.5, columnspacing=1)
    return captioned(figure, "samples")


@style.styled
def curve_samples(drawn: Array, curve: Array) -> style.Figure:
    """Generated signals over the one curve, and their difference."""
    tau, title = np.linspace(0, 1, len(curve)), "The network draws the curve it was shown"
    figure, ((left, right),) = style.new_figure(1, 2, title, panel=(5.0, 3.0))
    left.plot(tau, drawn[:50].T, color=style.LEARNED, lw=0.6, alpha=0.5)
    left.plot(tau, curve, color=style.DATA, lw=1, ls="--", label="the curve")
    left.plot([], [], color=style.LEARNED, label=f"{min(50, len(drawn))} samples")
    style.label(left, "time in s", "$x_0$", "The samples lie on the curve")
    style.legend(left)
    off = drawn - curve
    low, middle, high = np.quantile(off, [0.05, 0.5, 0.95], axis=0)
    right.plot(tau, off[:50].T, color=style.LEARNED, lw=0.4, alpha=0.3)
    text = f"90 % of {len(off)} samples"
    style.band(right, tau, low, high, style.LEARNED, 0.25, label=text)
    right.plot(tau, middle, color=style.LEARNED, label="median")
    right.axhline(0, color=style.EXACT, ls="--", lw=1.2, label="ideal denoiser")
    largest = np.abs(off[:50]).max()
    right.set_ylim(-1.1 * largest, 1.6 * largest)
    style.label(right, "time in s", "sample minus curve", "The difference, magnified")
    style.legend(right, loc="upper center", ncols=3)
    return captioned(figure, "curve_samples")


@style.styled
def reverse(
    path: Array, ideal_path: Array, curve: Array | None = None, other: str = "the ideal denoiser"
) -> style.Figure:
    """From noise to signal, step by step: the network and the ideal denoiser, same noise."""
    title = "Out of noise"
    figure, ((left, right),) = style.new_figure(1, 2, title, panel=(5.0, 3.4), sharey=True)
    style.trail(left, path, curve, "The network ...")
    lines = style.trail(right, ideal_path, curve, f"... and {other}, from the same noise")
    right.set_ylabel("")
    style.bar_of_steps(figure, lines, "step t", ax=[left, right])
    what = "the one curve of the data" if curve is not None else "the signal it ends in"
    return captioned(figure, "reverse", what=what, other=other)


@style.styled
def spectrum(spectra: dict[str, Array], rank: int, words: str = "spectrum") -> style.Figure:
    """The variances along the principal axes: data, exact sampler's output, samples."""
    title = "The covariance, axis by axis"
    figure, ((left, right),) = style.new_figure(1, 2, title, panel=(5.0, 3.2))
    looks: dict[str, tuple[str, str, str, dict[str, Any]]] = {
        "data": ("data, exact", style.DATA, "o", {"ms": 7, "fillstyle": "none"}),
        "exact sampler": ("exact sampler, exact", style.EXACT, "_", {"ms": 11, "mew": 2}),
        "true sample": ("as many true signals", style.NOISE, "x", {}),
        "ideal": ("ideal denoiser, same noise", style.EXACT, "o", {"ms": 8, "fillstyle": "none"}),
        "network": ("the network's samples", style.LEARNED, ".", {"ms": 8}),
    }

    def draw(panel: style.Axes, which: str, axis: Array, values: Array) -> None:
        name, colour, marker, form = looks[which]
        panel.plot(axis, values, marker, color=colour, label=name, **form)

    present = [which for which in looks if which in spectra]
    for which in present:
        if which != "ideal":
            shown = np.flatnonzero(spectra[which] > 1e-12 * spectra[which][0])
            draw(left, which, shown + 1, spectra[which][shown])
    left.axvline(rank + 0.5, color=style.FAINT)
    left.set_yscale("log")
    style.label(left, "principal axis", "variance", "Beyond the grey line all is error")
    style.legend(left)
    data = spectra["data"]
    large = int(np.count_nonzero(data > 1e-2 * data[0]))
    right.axhline(1, color=style.DATA, lw=1)
    for which in present:
        if which != "data":
            draw(right, which, np.arange(1, large + 1), spectra[which][:large] / data[:large])
    same_noise = [line for line in right.lines if line.get_label() == looks["ideal"][0]]
    style.legend(right, handles=same_noise)
    right.set_xticks(np.arange(1, large + 1, 1 + large // 20))
    what = "variance over that of the data"
    style.label(right, "principal axis", what, "The dots should fill the circles")
    style.room_above(right, 0.12)
    return captioned(figure, words, rank=rank)


@style.styled
def forward(schedule: Schedule, signal: Array, rng: np.random.Generator) -> style.Figure:
    """One signal on its way into noise: draws of x_t, their mean and their spread."""
    shown = [round(schedule.T * share) for share in (0, 0.2, 0.4, 0.55, 0.7, 1)]
    figure, axes = style.new_figure(2, 3, "Into noise", sharex=True, sharey=True)
    tau, eps = np.linspace(0, 1, len(signal)), rng.standard_normal((12, len(signal)))
    copies = np.broadcast_to(signal, eps.shape)
    for panel, t in zip(axes.flat, shown):
        kept, std = np.sqrt(schedule.alpha_bar[t]), np.sqrt(schedule.one_minus_alpha_bar[t])
        mean = kept * signal
        draws = q_sample(schedule, copies, t, eps)
        panel.plot(tau, draws.T, color=style.LEARNED, lw=0.5, alpha=0.5)
        style.band(panel, tau, mean - 2 * std, mean + 2 * std, style.EXACT, 0.15)
        panel.plot(tau, mean, color=style.EXACT)
        x, y = "time in s" if panel in axes[-1] else "", "$x_t$" if panel in axes[:, 0] else ""
        style.label(panel, x, y, f"t = {t}: {kept:.2f} signal, {std:.2f} noise")
    return captioned(figure, "forward")


@style.styled
def schedule_tables(schedule: Schedule) -> style.Figure:
    """beta and beta_tilde; the shares of signal and noise; log SNR."""
    figure, ((left, middle, right),) = style.new_figure(1, 3, "The noise schedule")
    t = np.arange(1, schedule.T + 1)
    left.plot(t, schedule.beta[1:], color=style.NOISE, label=r"$\beta_t$, forward")
    tilde = r"$\tilde\beta_t$, back, given $x_0$"
    left.plot(t, schedule.beta_tilde[1:], color=style.EXACT, ls="--", label=tilde)
    style.label(left, "step t", "variance", "Late steps add the most noise")
    style.legend(left)
    middle.plot(
        np.sqrt(schedule.alpha_bar), color=style.DATA, label=r"$\sqrt{\bar\alpha_t}$, signal"
    )
    share = np.sqrt(schedule.one_minus_alpha_bar)
    middle.plot(share, color=style.NOISE, label=r"$\sqrt{1 - \bar\alpha_t}$, noise")
    middle.set_ylim(-0.05, 1.45)
    style.label(middle, "step t", "factor", "Noise takes over from the signal")
    style.legend(middle, loc="upper center", ncols=2, columnspacing=1)
    right.plot(t, schedule.log_snr[1:], color=style.EXACT)
    right.axhline(0, color=style.FAINT)
    style.label(
        right,
        "step t",
        r"$\ln\,(\bar\alpha_t / (1 - \bar\alpha_t))$",
        "Signal to noise falls all the way",
    )
    return captioned(figure, "schedule_tables")
