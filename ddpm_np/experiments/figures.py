"""The pictures of ``run``: samples, the way back, the loss, the covariance, and the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._figure_style import (
    DATA,
    EXACT,
    FAINT,
    LEARNED,
    NOISE,
    WRONG,
    caption,
    label,
    legend,
    name_line,
    new_figure,
    plain_log,
    styled,
    trail,
)
from ddpm_np._picture_grid import picture_grid
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import Losses
from ddpm_np.experiments.evaluation import Evaluation
from ddpm_np.experiments.training import Training
from ddpm_np.experiments.words import caption_text
from ddpm_np.forward import q_sample
from ddpm_np.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ddpm_np.experiments.own import OwnEvaluation


def pictures(training: Training, found: Evaluation, dist: Gaussian) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each picture of one experiment, in the order of the report."""
    curve = dist.mean if dist.rank == 0 else None
    if curve is None:
        yield "samples", samples(found.samples, found.ideal, dist)
    else:
        yield "samples", curve_samples(found.samples, curve)
    yield "reverse", reverse(found.path, found.ideal_path, curve)
    yield "loss", loss(training.losses, training.block_size, found.losses)
    if found.spectra:
        yield "spectrum", spectrum(found.spectra, dist.rank)
    yield (
        "forward",
        forward(training.schedule, found.data[0], training.experiment.rng("evaluation")),
    )
    yield "schedule", schedule_tables(training.schedule)


def own_pictures(training: Training, found: OwnEvaluation) -> Iterator[tuple[str, Figure]]:
    """The same for the user's signals."""
    yield "samples", own_samples(found.samples, found.nearest)
    yield "reverse", reverse(found.path, found.ideal_path, None, "the Gaussian fit's denoiser")
    yield "loss", own_loss(training.losses, training.block_size, found)
    rank = int(np.count_nonzero(found.spectra["data"] > 1e-12 * found.spectra["data"][0]))
    yield "spectrum", spectrum(found.spectra, rank, "own_spectrum")
    yield "schedule", schedule_tables(training.schedule)


@styled
def own_samples(drawn: Array, nearest: Array) -> Figure:
    """The network's signals, each over the signal of the file that is nearest to it."""
    title = "The network's signals, and the nearest ones of the file"
    shown = min(6, len(drawn))
    figure, axes = new_figure(2, 3, title, panel=(3.5, 2.1), sharex=True, sharey=True)
    for k, panel in enumerate(axes.flat[:shown]):
        panel.plot(nearest[k], color=DATA, linewidth=2.6, alpha=0.35, label="nearest in the file")
        panel.plot(drawn[k], color=LEARNED, linewidth=1.2, label="the network's")
        label(panel, "column" if k >= 3 else "", "value" if k % 3 == 0 else "")
    legend(axes[0, 0])
    caption(figure, caption_text("own_samples"))
    return figure


@styled
def drawn_signals(drawn: Array) -> Figure:
    """Signals that were drawn from a saved network."""
    shown = min(50, len(drawn))
    figure, ((axes,),) = new_figure(1, 1, "Drawn from noise", panel=(6.4, 3.4))
    axes.plot(drawn[:shown].T, linewidth=0.9, alpha=0.7)
    label(axes, "place in the signal", "value", f"{shown} of {len(drawn)} signals")
    caption(figure, caption_text("drawn_signals"))
    return figure


@styled
def drawn_pictures(drawn: Array) -> Figure:
    """The same for pictures, ten in a row."""
    rows = {f"from {k + 1}": drawn[k : k + 10] for k in range(0, min(50, len(drawn)), 10)}
    figure = picture_grid(rows, title="Drawn from noise")
    caption(figure, caption_text("drawn_pictures"))
    return figure


@styled
def own_loss(losses: list[float], block_size: int, found: OwnEvaluation) -> Figure:
    """The loss, above the floor of the signals and beside that of their Gaussian fit."""
    figure, ((left, right),) = new_figure(1, 2, "The loss and two floors", panel=(4.4, 2.9))
    t = np.arange(1, len(found.floor_of_fit))
    left.plot(block_size * np.arange(1, len(losses) + 1), losses, color=LEARNED)
    plain_log(left)
    label(left, "training step", "mean squared error of eps", "It falls while training")
    total = (found.losses.floor + found.losses.excess)[1:]
    right.plot(t, total, color=LEARNED, label="network")
    right.plot(t, found.floor_of_fit[1:], color=EXACT, linestyle="--", label="floor, Gaussian fit")
    right.plot(t, found.losses.floor[1:], color=DATA, linestyle=":", label="floor, these signals")
    right.set_yscale("log")
    right.set_ylim(bottom=0.3 * min(total.min(), found.floor_of_fit[1:].min()))
    label(right, "step t", "mean squared error of eps", "At each t, trained")
    legend(right)
    caption(figure, caption_text("own_loss"))
    return figure


@styled
def samples(drawn: Array, ideal: Array, dist: Gaussian) -> Figure:
    """The network's signals over the ideal denoiser's, from the same noise."""
    title = "From the same noise: the network's signal and the exact one"
    figure, axes = new_figure(2, 3, title, panel=(3.5, 2.1), sharex=True, sharey=True)
    tau, std = np.linspace(0, 1, dist.dim), np.sqrt(np.diag(dist.cov))
    shown = min(axes.size, len(drawn))
    for k, panel in enumerate(axes.flat[:shown]):
        panel.fill_between(
            tau, dist.mean - 2 * std, dist.mean + 2 * std, color=EXACT, alpha=0.12, linewidth=0
        )
        panel.plot(tau, ideal[k], color=EXACT, linewidth=3.2, alpha=0.55, label="ideal, exact")
        panel.plot(tau, drawn[k], color=LEARNED, linewidth=1.3, label="network")
        off = 10 * (drawn[k] - ideal[k])
        panel.plot(tau, off, color=WRONG, linewidth=0.9, label="10 x their difference")
        off = np.sqrt(np.square(off / 10).mean())
        x, y = "time in s" if k >= 3 else "", "$x_0$" if k % 3 == 0 else ""
        label(panel, x, y, f"difference {off:.2g} (root mean square)")
    low, high = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(low, high + 0.25 * (high - low))  # room for the legend
    legend(axes[0, 0], loc="upper left", ncols=3, fontsize=7.5, columnspacing=1)
    caption(figure, caption_text("samples"))
    return figure


@styled
def curve_samples(drawn: Array, curve: Array) -> Figure:
    """Generated signals over the one curve, and their difference."""
    tau, title = np.linspace(0, 1, len(curve)), "The network draws the curve it was shown"
    figure, ((left, right),) = new_figure(1, 2, title, panel=(5.0, 3.0))
    left.plot(tau, drawn[:50].T, color=LEARNED, linewidth=0.6, alpha=0.5)
    left.plot(tau, curve, color=DATA, linewidth=1, linestyle="--", label="the curve")
    left.plot([], [], color=LEARNED, label=f"{min(50, len(drawn))} samples")
    label(left, "time in s", "$x_0$", "The samples lie on the curve")
    legend(left)
    off = drawn - curve
    low, middle, high = np.quantile(off, [0.05, 0.5, 0.95], axis=0)
    right.plot(tau, off[:50].T, color=LEARNED, linewidth=0.4, alpha=0.3)
    text = f"90 % of {len(off)} samples"
    right.fill_between(tau, low, high, color=LEARNED, alpha=0.25, linewidth=0, label=text)
    right.plot(tau, middle, color=LEARNED, label="median")
    right.axhline(0, color=EXACT, linestyle="--", linewidth=1.2, label="ideal denoiser")
    largest = np.abs(off[:50]).max()
    right.set_ylim(-1.1 * largest, 1.6 * largest)
    label(right, "time in s", "sample minus curve", "The difference, magnified")
    legend(right, loc="upper center", ncols=3)
    caption(figure, caption_text("curve_samples"))
    return figure


@styled
def loss(losses: list[float], block_size: int, found: Losses) -> Figure:
    """The loss during training, and at each t afterwards, over the Bayes floor."""
    floor, t = found.floor, np.arange(1, len(found.floor))
    has_floor = floor[1:].mean() > 0
    title = "The loss and its floor" if has_floor else "The loss"
    figure, axes = new_figure(1, 3 if has_floor else 2, title, panel=(3.7, 2.8))
    left, middle = axes[0, :2]
    steps = block_size * np.arange(1, len(losses) + 1)
    left.plot(steps, losses, color=LEARNED)
    plain_log(left)
    label(left, "training step", "mean squared error of eps", "It falls while training")
    middle.plot(t, found.loss[1:], color=LEARNED)
    plain_log(middle)
    label(middle, "step t", "mean squared error of eps", "It is largest at small t")
    if not has_floor:
        caption(figure, caption_text("loss_point"))
        return figure
    mean = floor[1:].mean()
    left.axhline(mean, color=EXACT, linestyle="--")
    if losses:
        name_line(left, steps[-1], 1.3 * max(losses[-1], mean), "network", LEARNED, ha="right")
        name_line(left, steps[-1], 0.9 * mean, "Bayes floor", EXACT, ha="right", va="top")
    left.set_ylim(bottom=0.6 * min([mean, *losses]))
    middle.plot(t, floor[1:], color=EXACT, linestyle="--")
    half = len(t) // 2
    name_line(middle, t[half], 1.3 * found.loss[half + 1], "network", LEARNED)
    name_line(middle, t[half], 0.5 * floor[half + 1], "Bayes floor", EXACT, ha="right", va="top")
    right = axes[0, 2]
    over, error = (100 * v[1:] / floor[1:] for v in (found.excess, found.excess_error))
    right.fill_between(t, over - 2 * error, over + 2 * error, color=LEARNED, alpha=0.3, linewidth=0)
    right.plot(t, over, color=LEARNED)
    right.set_ylim(bottom=0)
    label(right, "step t", "loss above the floor, in %", "What is left to learn")
    caption(figure, caption_text("loss"))
    return figure


@styled
def reverse(
    path: Array, ideal_path: Array, curve: Array | None, other: str = "the ideal denoiser"
) -> Figure:
    """From noise to signal, step by step: the network and the ideal denoiser, same noise."""
    title = "Out of noise"
    figure, ((left, right),) = new_figure(1, 2, title, panel=(5.0, 3.4), sharey=True)
    trail(left, path, curve, "The network ...")
    lines = trail(right, ideal_path, curve, f"... and {other}, from the same noise")
    right.set_ylabel("")
    bar = figure.colorbar(lines, ax=[left, right], pad=0.01)
    bar.set_label("step t")
    bar.outline.set_visible(False)
    what = "the one curve of the data" if curve is not None else "the signal it ends in"
    caption(figure, caption_text("reverse", what=what, other=other))
    return figure


@styled
def spectrum(spectra: dict[str, Array], rank: int, words: str = "spectrum") -> Figure:
    """The variances along the principal axes: data, exact sampler's output, samples."""
    title = "The covariance, axis by axis"
    figure, ((left, right),) = new_figure(1, 2, title, panel=(5.0, 3.2))
    hollow: dict[str, Any] = {"fillstyle": "none"}
    looks: dict[str, dict[str, Any]] = {
        "data": {"color": DATA, "marker": "o", "markersize": 7, **hollow, "label": "data, exact"},
        "exact sampler": {
            "color": EXACT,
            "marker": "_",
            "markersize": 11,
            "markeredgewidth": 2,
            "label": "exact sampler, exact",
        },
        "true sample": {"color": NOISE, "marker": "x", "label": "as many true signals"},
        "ideal": {
            "color": EXACT,
            "marker": "o",
            "markersize": 8,
            **hollow,
            "label": "ideal denoiser, same noise",
        },
        "network": {
            "color": LEARNED,
            "marker": ".",
            "markersize": 8,
            "label": "the network's samples",
        },
    }
    for which in [w for w in looks if w in spectra and w != "ideal"]:
        values = spectra[which]
        shown = values > 1e-12 * values[0]
        left.plot(np.flatnonzero(shown) + 1, values[shown], linestyle="none", **looks[which])
    left.axvline(rank + 0.5, color=FAINT)
    left.set_yscale("log")
    label(left, "principal axis", "variance", "Beyond the grey line all is error")
    legend(left)
    data = spectra["data"]
    large = int(np.count_nonzero(data > 1e-2 * data[0]))
    right.axhline(1, color=DATA, linewidth=1)
    for which in [w for w in looks if w in spectra and w != "data"]:
        ratio = spectra[which][:large] / data[:large]
        right.plot(np.arange(1, large + 1), ratio, linestyle="none", **looks[which])
    same_noise = [line for line in right.lines if line.get_label() == looks["ideal"]["label"]]
    legend(right, handles=same_noise)
    right.set_xticks(np.arange(1, large + 1, 1 + large // 20))
    label(
        right,
        "principal axis",
        "variance over that of the data",
        "The dots should fill the circles",
    )
    low, high = right.get_ylim()
    right.set_ylim(low, high + 0.12 * (high - low))  # room for the legend
    caption(figure, caption_text(words, rank=rank))
    return figure


@styled
def forward(schedule: Schedule, signal: Array, rng: np.random.Generator) -> Figure:
    """One signal on its way into noise: draws of x_t, their mean and their spread."""
    shown = [round(schedule.T * share) for share in (0, 0.2, 0.4, 0.55, 0.7, 1)]
    figure, axes = new_figure(2, 3, "Into noise", sharex=True, sharey=True)
    tau, eps = np.linspace(0, 1, len(signal)), rng.standard_normal((12, len(signal)))
    copies = np.broadcast_to(signal, eps.shape)
    for panel, t in zip(axes.flat, shown):
        kept, std = np.sqrt(schedule.alpha_bar[t]), np.sqrt(schedule.one_minus_alpha_bar[t])
        mean = kept * signal
        draws = q_sample(schedule, copies, t, eps)
        panel.plot(tau, draws.T, color=LEARNED, linewidth=0.5, alpha=0.5)
        panel.fill_between(
            tau, mean - 2 * std, mean + 2 * std, color=EXACT, alpha=0.15, linewidth=0
        )
        panel.plot(tau, mean, color=EXACT)
        x, y = "time in s" if panel in axes[-1] else "", "$x_t$" if panel in axes[:, 0] else ""
        label(panel, x, y, f"t = {t}: {kept:.2f} signal, {std:.2f} noise")
    caption(figure, caption_text("forward"))
    return figure


@styled
def schedule_tables(schedule: Schedule) -> Figure:
    """beta and beta_tilde; the shares of signal and noise; log SNR."""
    figure, ((left, middle, right),) = new_figure(1, 3, "The noise schedule")
    t = np.arange(1, schedule.T + 1)
    left.plot(t, schedule.beta[1:], color=NOISE, label=r"$\beta_t$, forward")
    tilde = r"$\tilde\beta_t$, back, given $x_0$"
    left.plot(t, schedule.beta_tilde[1:], color=EXACT, linestyle="--", label=tilde)
    label(left, "step t", "variance", "Late steps add the most noise")
    legend(left)
    middle.plot(np.sqrt(schedule.alpha_bar), color=DATA, label=r"$\sqrt{\bar\alpha_t}$, signal")
    share = np.sqrt(schedule.one_minus_alpha_bar)
    middle.plot(share, color=NOISE, label=r"$\sqrt{1 - \bar\alpha_t}$, noise")
    middle.set_ylim(-0.05, 1.45)
    label(middle, "step t", "factor", "Noise takes over from the signal")
    legend(middle, loc="upper center", ncols=2, columnspacing=1)
    right.plot(t, schedule.log_snr[1:], color=EXACT)
    right.axhline(0, color=FAINT)
    label(
        right,
        "step t",
        r"$\ln\,(\bar\alpha_t / (1 - \bar\alpha_t))$",
        "Signal to noise falls all the way",
    )
    caption(figure, caption_text("schedule_tables"))
    return figure
