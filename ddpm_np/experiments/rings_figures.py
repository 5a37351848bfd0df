"""The pictures of the rings: samples, one chain, the loss, and who sees how much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._figure_style import (
    EXACT,
    LEARNED,
    NOISE,
    WRONG,
    caption,
    label,
    legend,
    new_figure,
    styled,
)
from ddpm_np._picture_grid import picture_grid
from ddpm_np.closed_form.distributions.rings import nearest_ring
from ddpm_np.experiments.rings_evaluation import SEEN, Memory, RingsEvaluation
from ddpm_np.experiments.training import Training
from ddpm_np.experiments.words import caption_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def rings_pictures(training: Training, evaluation: RingsEvaluation) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each picture, in the order of the report."""
    yield "samples", samples(evaluation.samples, evaluation.data, evaluation.mlp_samples)
    yield "views", views(evaluation.columns)
    yield "reverse", chain(evaluation)
    yield "loss", loss(evaluation, training.losses, training.block_size)
    yield "memory", memory(evaluation.memories)
    yield "patches", patches(evaluation)


@styled
def samples(drawn: Array, data: Array, mlp: Array) -> Figure:
    """Samples of the family beside true pictures."""
    rows = {"the family": data[:10], "U-Net": drawn[:10], "MLP": mlp[:10]}
    figure = picture_grid(rows, title="Rings drawn from noise")
    caption(figure, caption_text("rings_samples"))
    return figure


@styled
def views(columns: Mapping[str, Array]) -> Figure:
    """Denoisers of the same five pictures that see more and less of them, from the same noise."""
    names = {"five": "the five pictures"}
    rows = {}
    for name, pictures in columns.items():
        distance = nearest_ring(pictures).distance.mean()
        text = names.get(name, name)
        rows[text if name == "five" else f"{text}\noff a ring by {distance:.3f}"] = pictures
    figure = picture_grid(rows, title="Why the circles are not round", aside=2.1)
    caption(figure, caption_text("rings_views", seen=SEEN))
    return figure


@styled
def chain(evaluation: RingsEvaluation) -> Figure:
    """One picture on its way from noise, and what is guessed of its end, network above exact."""
    T = len(evaluation.path) - 1
    shares = 1, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0
    steps = [round(T * share) for share in shares]
    guessed = [t - 1 for t in steps if t]
    rows = {
        "U-Net, x_t": evaluation.path[steps],
        "exact, x_t": evaluation.ideal_path[steps],
        "U-Net, x0_hat": evaluation.guesses[guessed],
        "exact, x0_hat": evaluation.ideal_guesses[guessed],
    }
    figure = picture_grid(rows, [f"t = {t}" for t in steps], "One picture on its way", aside=1.2)
    caption(figure, caption_text("rings_chain"))
    return figure


@styled
def loss(evaluation: RingsEvaluation, losses: list[float], block_size: int) -> Figure:
    """The loss while training, and at each t over the exact floor."""
    figure, ((left, middle, right),) = new_figure(1, 3, "The loss, and what it cannot go below")
    floor, t = evaluation.losses.floor[1:], np.arange(1, len(evaluation.losses.floor))
    left.plot(block_size * np.arange(1, len(losses) + 1), losses, color=LEARNED, label="U-Net")
    left.axhline(floor.mean(), color=EXACT, linestyle="--", label="Bayes floor")
    left.set_yscale("log")
    label(left, "training step", "mean squared error of eps", "While training")
    legend(left)
    middle.plot(
        t, (evaluation.losses.floor + evaluation.losses.excess)[1:], color=LEARNED, label="U-Net"
    )
    middle.plot(t, floor, color=EXACT, linestyle="--", label="Bayes floor")
    middle.set_yscale("log")
    label(middle, "step t", "mean squared error of eps", "At each t, trained")
    legend(middle)
    right.plot(t, evaluation.losses.excess[1:] / floor, color=LEARNED)
    right.set_yscale("log")
    label(right, "step t", "excess / floor", "What is left to learn")
    dim = evaluation.samples.shape[1]
    caption(figure, caption_text("rings_loss", dim=dim))
    return figure


@styled
def memory(memories: Sequence[Memory]) -> Figure:
    """From copying to drawing: distances of samples and of predictions, for each k."""
    figure, ((left, right),) = new_figure(1, 2, "Copied, or drawn", panel=(4.4, 2.9))
    k = [m.k for m in memories]
    for name, colour, text in (
        ("trained", LEARNED, "nearest of the k trained on"),
        ("fresh", NOISE, "nearest of k others"),
        ("ring", EXACT, "nearest ring of all"),
    ):
        left.plot(k, [getattr(m, name).mean() for m in memories], "o-", color=colour, label=text)
    right.plot(k, [m.to_family for m in memories], "o-", color=EXACT, label="the family's")
    right.plot(k, [m.to_memory for m in memories], "o-", color=WRONG, label="the k pictures'")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(k, [str(v) for v in k])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
        legend(axes)
    label(left, "k training pictures", "distance of a sample", "Samples")
    title = "Distance from the ideal denoiser"
    label(right, "k training pictures", "mean square of the difference", title)
    caption(figure, caption_text("rings_memory"))
    return figure


@styled
def patches(evaluation: RingsEvaluation) -> Figure:
    """The least loss by field of view, at each t, and the loss of the network that has one."""
    title = "The price of a small field of view"
    figure, ((left, right),) = new_figure(1, 2, title, panel=(4.4, 2.9))
    floors = evaluation.patch_floors
    sizes = sorted({p for p, _ in floors})
    for placed, colour, text in ((True, EXACT, "place known"), (False, WRONG, "anywhere")):
        means = [floors[p, placed][1:].mean() for p in sizes]
        left.plot(sizes, means, "o-", color=colour, label=text)
        right.plot(
            np.arange(1, len(floors[SEEN, placed])),
            floors[SEEN, placed][1:],
            color=colour,
            label=f"{text}, {SEEN} x {SEEN}",
        )
    three = evaluation.rows["three_layers"].measured
    left.plot([SEEN], [three], "s", color=LEARNED, label="a network of three layers")
    right.set_ylim(bottom=1e-6)
    label(left, "edge of the patch in pixels", "least loss, mean over t", "Five pictures")
    label(right, "step t", "least loss", f"At each t, patch of {SEEN}")
    for axes in (left, right):
        axes.set_yscale("log")
        legend(axes)
    caption(figure, caption_text("rings_patches", seen=SEEN))
    return figure
