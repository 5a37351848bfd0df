"""The pictures of the loss: while training, and at each t beside what it cannot go below."""

from typing import Any

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np.closed_form.ideal import Losses
from ddpm_np.experiments.training import Training
from ddpm_np.experiments.words import captioned

WHAT = "mean squared error of eps"


@style.styled
def loss(training: Training, found: Losses) -> style.Figure:
    """The loss, and its Bayes floor where that is not 0."""
    floor, t = found.floor, np.arange(1, len(found.floor))
    has_floor = floor[1:].mean() > 0
    title = "The loss and its floor" if has_floor else "The loss"
    figure, axes = style.new_figure(1, 3 if has_floor else 2, title, panel=(3.7, 2.8))
    left, middle = axes[0, :2]
    steps, losses = _while_training(left, training)
    style.plain_log(left)
    style.label(left, "training step", WHAT, "It falls while training")
    middle.plot(t, found.loss[1:], color=style.LEARNED)
    style.plain_log(middle)
    style.label(middle, "step t", WHAT, "It is largest at small t")
    if not has_floor:
        return captioned(figure, "loss_point")
    mean = floor[1:].mean()
    left.axhline(mean, color=style.EXACT, ls="--")
    if losses:
        high = 1.3 * max(losses[-1], mean)
        style.name_line(left, steps[-1], high, "network", style.LEARNED, ha="right")
        _name_floor(left, steps[-1], 0.9 * mean)
    left.set_ylim(bottom=0.6 * min([mean, *losses]))
    middle.plot(t, floor[1:], color=style.EXACT, ls="--")
    half = len(t) // 2
    style.name_line(middle, t[half], 1.3 * found.loss[half + 1], "network", style.LEARNED)
    _name_floor(middle, t[half], 0.5 * floor[half + 1])
    right = axes[0, 2]
    over, error = (100 * v[1:] / floor[1:] for v in (found.excess, found.excess_error))
    style.band(right, t, over - 2 * error, over + 2 * error, style.LEARNED, 0.3)
    right.plot(t, over, color=style.LEARNED)
    right.set_ylim(bottom=0)
    style.label(right, "step t", "loss above the floor, in %", "What is left to learn")
    return captioned(figure, "loss")


@style.styled
def own_loss(training: Training, found: Losses, floor_of_fit: Array) -> style.Figure:
    """The loss, above the floor of the signals and beside that of their Gaussian fit."""
    title = "The loss and two floors"
    figure, ((left, right),) = style.new_figure(1, 2, title, panel=(4.4, 2.9))
    _while_training(left, training)
    style.plain_log(left)
    style.label(left, "training step", WHAT, "It falls while training")
    t, total = np.arange(1, len(floor_of_fit)), (found.floor + found.excess)[1:]
    right.plot(t, total, color=style.LEARNED, label="network")
    right.plot(t, floor_of_fit[1:], color=style.EXACT, ls="--", label="floor, Gaussian fit")
    right.plot(t, found.floor[1:], color=style.DATA, ls=":", label="floor, these signals")
    right.set_yscale("log")
    right.set_ylim(bottom=0.3 * min(total.min(), floor_of_fit[1:].min()))
    style.label(right, "step t", WHAT, "At each t, trained")
    style.legend(right)
    return captioned(figure, "own_loss")


@style.styled
def rings_loss(training: Training, found: Losses) -> style.Figure:
    """The loss of the U-Net and its Bayes floor, and the one over the other."""
    title = "The loss, and what it cannot go below"
    figure, ((left, middle, right),) = style.new_figure(1, 3, title)
    floor, t = found.floor[1:], np.arange(1, len(found.floor))
    _while_training(left, training, label="U-Net")
    left.axhline(floor.mean(), color=style.EXACT, ls="--", label="Bayes floor")
    style.label(left, "training step", WHAT, "While training")
    middle.plot(t, floor + found.excess[1:], color=style.LEARNED, label="U-Net")
    middle.plot(t, floor, color=style.EXACT, ls="--", label="Bayes floor")
    style.label(middle, "step t", WHAT, "At each t, trained")
    right.plot(t, found.excess[1:] / floor, color=style.LEARNED)
    style.label(right, "step t", "excess / floor", "What is left to learn")
    for panel in (left, middle, right):
        panel.set_yscale("log")
    for panel in (left, middle):
        style.legend(panel)
    return captioned(figure, "rings_loss", dim=training.experiment.dim)


def _while_training(
    panel: style.Axes, training: Training, **options: Any
) -> tuple[Array, list[float]]:
    """Draws the history of the loss; its steps and its values."""
    steps = training.block_size * np.arange(1, len(training.losses) + 1)
    panel.plot(steps, training.losses, color=style.LEARNED, **options)
    return steps, training.losses


def _name_floor(panel: style.Axes, x: float, y: float) -> None:
    style.name_line(panel, x, y, "Bayes floor", style.EXACT, ha="right", va="top")
