"""The pictures of the main job: the schedule, the way into noise, the loss over its floor, the way back, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._figure_style import (
    DATA,
    EXACT,
    FAINT,
    LEARNED,
    MAP,
    NOISE,
    caption,
    label,
    legend,
    new_figure,
    styled,
)
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.experiments.evaluation import Evaluation
from ddpm_np.experiments.experiment import Training
from ddpm_np.forward import q_sample
from ddpm_np.schedule import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["pictures"]


def pictures(training: Training, evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each picture of one experiment, in the order of the report."""
    assert isinstance(training.distribution, Gaussian)
    schedule, is_curve = training.schedule, training.distribution.rank == 0
    yield "samples", samples(evaluation.samples, evaluation.data, is_curve=is_curve)
    yield "reverse", reverse(evaluation.path, evaluation.ideal_path, training.distribution.mean if is_curve else None)
    yield "loss", loss(training.losses, training.block_size, evaluation)
    if evaluation.spectra:
        yield "spectrum", spectrum(evaluation.spectra, training.distribution.rank)
    yield "forward", forward(schedule, evaluation.data[0], training.experiment.rng("evaluation"))
    yield "schedule", schedule_tables(schedule)


@styled
def schedule_tables(schedule: Schedule) -> Figure:
    """beta and beta_tilde; the shares of signal and noise; log SNR."""
    figure, ((left, middle, right),) = new_figure(1, 3, "The noise schedule")
    t = np.arange(1, schedule.T + 1)
    left.plot(t, schedule.beta[1:], color=NOISE, label="beta")
    left.plot(t, schedule.beta_tilde[1:], color=EXACT, linestyle="--", label="beta_tilde")
    label(left, "step t", "variance", "Noise of one step")
    legend(left)
    middle.plot(np.sqrt(schedule.alpha_bar), color=DATA, label="signal, sqrt(alpha_bar)")
    middle.plot(np.sqrt(schedule.one_minus_alpha_bar), color=NOISE, label="noise, sqrt(1 - alpha_bar)")
    label(middle, "step t", "factor", "What x_t is made of")
    legend(middle)
    right.plot(t, schedule.log_snr[1:], color=EXACT)
    right.axhline(0, color=FAINT)
    label(right, "step t", "ln(alpha_bar / (1 - alpha_bar))", "Signal to noise")
    caption(
        figure, "Left: the noise added at step t, and the variance of the step back once x_0 is known. Middle: at the crossing "
        "x_t is half signal and half noise, in variance. Right: the same as a ratio, 0 at the crossing."
    )
    return figure


@styled
def forward(schedule: Schedule, signal: Array, rng: np.random.Generator) -> Figure:
    """One signal on its way into noise: draws of x_t, their mean and their spread."""
    shown = [round(schedule.T * share) for share in (0, 0.2, 0.4, 0.55, 0.7, 1)]
    figure, axes = new_figure(2, 3, "Into noise", sharex=True, sharey=True)
    tau, eps = np.linspace(0, 1, len(signal)), rng.standard_normal((12, len(signal)))
    for panel, t in zip(axes.flat, shown):
        mean, std = np.sqrt(schedule.alpha_bar[t]) * signal, np.sqrt(schedule.one_minus_alpha_bar[t])
        panel.plot(tau, q_sample(schedule, np.broadcast_to(signal, eps.shape), t, eps).T, color=NOISE, linewidth=0.5, alpha=0.6)
        panel.fill_between(tau, mean - 2 * std, mean + 2 * std, color=EXACT, alpha=0.15, linewidth=0)
        panel.plot(tau, mean, color=EXACT)
        label(panel, "time in s" if panel in axes[-1] else "", "x_t" if panel in axes[:, 0] else "", f"t = {t}")
    caption(
        figure, "Blue: the mean of x_t given the signal, and two standard deviations around it. Grey: twelve draws. The mean fades "
        "while the band widens: at the end little of the signal is left."
    )
    return figure


@styled
def loss(losses: list[float], block_size: int, evaluation: Evaluation) -> Figure:
    """The loss while training, and for each t at the end, over the Bayes floor."""
    floor, t = evaluation.floor, np.arange(1, len(evaluation.floor))
    has_floor = floor[1:].mean() > 0
    figure, axes = new_figure(1, 3 if has_floor else 2, "The loss, and what it cannot go below")
    left, middle = axes[0, :2]
    left.plot(block_size * np.arange(1, len(losses) + 1), losses, color=LEARNED, label="network")
    if has_floor:
        left.axhline(floor[1:].mean(), color=EXACT, label="Bayes floor")
    left.set_yscale("log")
    label(left, "training step", "mean squared error of eps", "While training")
    legend(left)
    middle.plot(t, evaluation.loss[1:], color=LEARNED, label="network")
    if has_floor:
        middle.plot(t, floor[1:], color=EXACT, linestyle="--", label="Bayes floor")
    middle.set_yscale("log")
    label(middle, "step t", "mean squared error of eps", "At each t, trained")
    legend(middle)
    if not has_floor:
        caption(
            figure, "For a single curve the least possible loss is 0 at every t: all that is seen here is the network's own error. "
            "It is largest at small t, where the little noise in x_t must be magnified most, by 1 / sqrt(1 - alpha_bar_t)."
        )
        return figure
    right = axes[0, 2]
    over, error = (100 * v[1:] / floor[1:] for v in (evaluation.excess, evaluation.excess_error))
    right.fill_between(t, over - 2 * error, over + 2 * error, color=LEARNED, alpha=0.3, linewidth=0)
    right.plot(t, over, color=LEARNED)
    right.set_ylim(bottom=0)
    label(right, "step t", "loss over its floor, in %", "What is left to learn")
    caption(
        figure, "No network whatever can go below the floor (blue). Right: what the loss has above it at each t, in per "
        "cent, measured as the distance of the prediction from the ideal one; the band is two standard errors."
    )
    return figure


@styled
def reverse(path: Array, ideal_path: Array, curve: Array | None) -> Figure:
    """From noise to signal, step by step, for the network and for the ideal denoiser with the same noise."""
    figure, ((left, right),) = new_figure(1, 2, "Out of noise", panel=(5.0, 3.4), sharey=True)
    _way(left, path, curve, "network")
    lines = _way(right, ideal_path, curve, "ideal denoiser, same noise")
    right.set_ylabel("")
    bar = figure.colorbar(lines, ax=[left, right], pad=0.01)
    bar.set_label("step t")
    bar.outline.set_visible(False)
    what = "the one curve there is" if curve is not None else "the signal it ends in"
    caption(
        figure, f"Every line is the whole signal at one step, from noise (t = T, pale) to the end (t = 0, dark); on top, in black, "
        f"{what}. Both chains get the same random numbers: where the pictures differ, the network differs from the exact answer."
    )
    return figure


def _way(axes: Axes, path: Array, curve: Array | None, title: str) -> object:
    """All steps as lines, coloured by t, late ones last."""
    from matplotlib.collections import LineCollection

    tau, T = np.linspace(0, 1, path.shape[1]), len(path) - 1
    order = np.arange(T, -1, -1)
    lines = LineCollection([np.column_stack([tau, path[t]]) for t in order], cmap=MAP, linewidths=0.7, alpha=0.8)
    lines.set_array(order)
    axes.add_collection(lines)
    axes.autoscale_view()
    axes.plot(tau, path[0] if curve is None else curve, color=DATA, linewidth=1.8)
    label(axes, "time in s", "x_t", title)
    return lines


@styled
def samples(drawn: Array, data: Array, *, is_curve: bool) -> Figure:
    """Generated signals beside true ones."""
    tau = np.linspace(0, 1, drawn.shape[1])
    if is_curve:
        figure, ((left, right),) = new_figure(1, 2, "Samples beside the curve", panel=(5.0, 3.0))
        curve = data[0]
        left.plot(tau, drawn[:50].T, color=LEARNED, linewidth=0.6, alpha=0.5)
        left.plot(tau, curve, color=DATA, linewidth=1, linestyle="--", label="the curve")
        left.plot([], [], color=LEARNED, label="50 samples")
        label(left, "time in s", "x_0", "On the scale of the signal")
        legend(left)
        off = drawn - curve
        low, middle, high = np.quantile(off, [0.05, 0.5, 0.95], axis=0)
        right.plot(tau, off[:50].T, color=LEARNED, linewidth=0.4, alpha=0.3)
        right.fill_between(tau, low, high, color=LEARNED, alpha=0.25, linewidth=0, label=f"90 % of {len(off)} samples")
        right.plot(tau, middle, color=LEARNED, label="median")
        right.axhline(0, color=DATA, linestyle="--", linewidth=1)
        label(right, "time in s", "sample minus curve", "The difference, magnified")
        legend(right)
        caption(
            figure, "Left: fifty signals drawn from noise, on top of each other, and the curve that the network was shown. Right: "
            "what they miss the curve by; with the ideal denoiser this is 0."
        )
        return figure
    figure, axes = new_figure(2, 4, "Samples beside data", panel=(2.9, 1.9), sharex=True, sharey=True)
    for row, (signals, colour, name) in enumerate([(data, DATA, "true signal"), (drawn, LEARNED, "sample")]):
        for column in range(4):
            panel = axes[row, column]
            panel.plot(tau, signals[4:24].T, color=FAINT, linewidth=0.5)
            panel.plot(tau, signals[column], color=colour)
            label(panel, "time in s" if row else "", name if column == 0 else "")
    caption(
        figure, "Above: four signals of the family; below: four that the network made from noise; behind them, pale, twenty more. "
        "The rows should look alike in smoothness and in size; no sample need equal a true signal."
    )
    return figure


@styled
def spectrum(spectra: dict[str, Array], rank: int) -> Figure:
    """The variances along the principal axes: of the data, of the exact sampler's output, of the samples."""
    figure, ((left, right),) = new_figure(1, 2, "The covariance, axis by axis", panel=(5.0, 3.2))
    looks = {
        "data": {"color": DATA, "marker": "o", "markersize": 7, "fillstyle": "none", "label": "data, exact"},
        "exact sampler": {"color": EXACT, "marker": "_", "markersize": 11, "markeredgewidth": 2, "label": "exact sampler, exact"},
        "true sample": {"color": NOISE, "marker": "x", "label": "as many true signals"},
        "ideal": {"color": EXACT, "marker": "o", "markersize": 8, "fillstyle": "none", "label": "ideal denoiser, same noise"},
        "network": {"color": LEARNED, "marker": ".", "markersize": 8, "label": "the network's samples"},
    }
    for name in ("data", "exact sampler", "true sample", "network"):
        values = spectra[name]
        shown = values > 1e-12 * values[0]
        left.plot(np.flatnonzero(shown) + 1, values[shown], linestyle="none", **looks[name])
    left.axvline(rank + 0.5, color=FAINT)
    left.set_yscale("log")
    label(left, "principal axis", "variance", "All axes; exact zeros are not shown")
    legend(left)
    large = int(np.count_nonzero(spectra["data"] > 1e-2 * spectra["data"][0]))
    right.axhline(1, color=DATA, linewidth=1)
    for name in ("exact sampler", "true sample", "ideal", "network"):
        right.plot(np.arange(1, large + 1), spectra[name][:large] / spectra["data"][:large], linestyle="none", **looks[name])
    legend(right, handles=[line for line in right.lines if line.get_label() == looks["ideal"]["label"]])
    label(right, "principal axis", "variance over that of the data", "The large ones, as a ratio")
    caption(
        figure, f"The data varies along {rank} axes only (left of the grey line); beyond them is what the network failed to "
        "remove. Right: with the variance beta_tilde even the exact sampler ends with less variance than the data (bars). Its "
        "draws scatter around that (circles), as true signals do around 1; the network's, from equal noise, should fill them."
    )
    return figure
