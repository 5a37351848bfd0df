"""The pictures of the experiment with rings: samples, one chain, the loss, and who sees how much.

Checked by: tests/experiments/test_rings.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._figure_style import (
    DATA,
    EXACT,
    LEARNED,
    MAP,
    NOISE,
    WRONG,
    caption,
    label,
    legend,
    new_figure,
    styled,
)
from ddpm_np.closed_form.distributions.rings import nearest_ring
from ddpm_np.experiments.experiment import Training
from ddpm_np.experiments.rings import SEEN, Memory, RingsEvaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["picture_grid", "rings_pictures"]

INCHES = 0.72  # the edge of one small picture


def rings_pictures(training: Training, evaluation: RingsEvaluation) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each picture, in the order of the report."""
    yield "samples", samples(evaluation.samples, evaluation.data, evaluation.mlp_samples)
    yield "views", views(evaluation.columns)
    yield "reverse", chain(evaluation.path, evaluation.ideal_path)
    yield "loss", loss(evaluation, training.losses, training.block_size)
    yield "memory", memory(evaluation.memories)
    yield "patches", patches(evaluation)


def picture_grid(
    rows: Mapping[str, Array], titles: Sequence[str] = (), title: str = "", *, aside: float = 1.7
) -> Figure:
    """Rows of small pictures, one row for each name, with a title above each column.

    rows: name -> (columns, size * size). Grey values from -1, black, to 1, white. ``aside``: the
    width in inches that the names at the left get.
    """
    from matplotlib.figure import Figure

    columns = max(len(pictures) for pictures in rows.values())
    size = (aside + columns * INCHES, len(rows) * INCHES + (0.4 if title else 0) + 0.25)
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(  # type: ignore[union-attr]
        w_pad=0.02, h_pad=0.02, wspace=0, hspace=0  # type: ignore[call-arg]
    )
    axes = figure.subplots(len(rows), columns, squeeze=False)
    if title:
        figure.suptitle(title)
    for line, (name, pictures) in zip(axes, rows.items()):
        for column, panel in enumerate(line):
            panel.set_axis_off()
            if column < len(pictures):
                _show(panel, pictures[column])
        line[0].text(
            -0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=9
        )
    for panel, text in zip(axes[0], titles):
        panel.set_title(text, fontsize=8, loc="center")
    return figure


def _show(panel: Axes, picture: Array) -> None:
    size = round(len(picture) ** 0.5)
    panel.imshow(picture.reshape(size, size), cmap="gray", vmin=-1, vmax=1)


@styled
def samples(drawn: Array, data: Array, mlp: Array) -> Figure:
    """Samples of the family beside true pictures."""
    rows = {"the family": data[:10], "U-Net": drawn[:10], "MLP": mlp[:10]}
    figure = picture_grid(rows, title="Rings drawn from noise")
    caption(
        figure, "Above: ten pictures of the family. Middle: ten samples of the U-Net. Below: ten of "
        "a fully connected network after as many steps, which has to learn each place anew."
    )
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
    caption(
        figure, f"The same noise in each column, and five training pictures for all. A denoiser that "
        f"sees {SEEN} x {SEEN} pixels around each pixel, the best there is, cannot know where the "
        "other side of the ring is: its rings are ovals, or do not close. A network of three layers "
        "sees no more. The U-Net sees all of the picture and has to learn to use it. The numbers "
        "are root mean squares per pixel to the nearest ring of any place and size."
    )
    return figure


@styled
def chain(path: Array, ideal: Array) -> Figure:
    """One picture on its way from noise, network above exact."""
    T = len(path) - 1
    steps = [round(T * share) for share in (1, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0)]
    rows = {"U-Net, x_t": path[steps], "exact, x_t": ideal[steps]}
    figure = picture_grid(rows, [f"t = {t}" for t in steps], "One picture on its way", aside=1.2)
    caption(
        figure, "The same noise in both rows: the network above, the ideal denoiser of the whole "
        "family below. Where the rows differ, the network differs from the exact answer."
    )
    return figure


@styled
def loss(evaluation: RingsEvaluation, losses: list[float], block_size: int) -> Figure:
    """The loss while training, and at each t over the exact floor."""
    figure, ((left, middle, right),) = new_figure(1, 3, "The loss, and what it cannot go below")
    floor, t = evaluation.floor[1:], np.arange(1, len(evaluation.floor))
    left.plot(block_size * np.arange(1, len(losses) + 1), losses, color=LEARNED, label="U-Net")
    left.axhline(floor.mean(), color=EXACT, linestyle="--", label="Bayes floor")
    left.set_yscale("log")
    label(left, "training step", "mean squared error of eps", "While training")
    legend(left)
    middle.plot(t, evaluation.loss[1:], color=LEARNED, label="U-Net")
    middle.plot(t, floor, color=EXACT, linestyle="--", label="Bayes floor")
    middle.set_yscale("log")
    label(middle, "step t", "mean squared error of eps", "At each t, trained")
    legend(middle)
    right.plot(t, evaluation.excess[1:] / floor, color=LEARNED)
    right.set_yscale("log")
    label(right, "step t", "excess / floor", "What is left to learn")
    dim = evaluation.samples.shape[1]
    caption(
        figure, f"The floor is flat at 2 / {dim} while the noise hides only where exactly the ring "
        f"is, two numbers in {dim} pixels. Then it falls: what is hardly a picture any more needs no "
        "great skill. The network is worst at small t, where the little noise in x_t must be "
        "magnified most."
    )
    return figure


@styled
def memory(memories: Sequence[Memory]) -> Figure:
    """From copying to drawing: distances of samples and of predictions, for each k."""
    figure, ((left, right),) = new_figure(1, 2, "Copied, or drawn", panel=(4.4, 2.9))
    k = [m.k for m in memories]
    for name, colour, text in (
        ("trained", LEARNED, "nearest of the k trained on"), ("fresh", NOISE, "nearest of k others"),
        ("ring", EXACT, "nearest ring of all"),
    ):
        left.plot(k, [getattr(m, name).mean() for m in memories], "o-", color=colour, label=text)
    right.plot(k, [m.to_family for m in memories], "o-", color=EXACT, label="the family's")
    right.plot(k, [m.to_memory for m in memories], "o-", color=WRONG, label="that of the k pictures")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(k, [str(v) for v in k])
        axes.minorticks_off()
        legend(axes)
    label(left, "k training pictures", "distance of a sample", "Samples")
    label(right, "k training pictures", "mean square of the difference", "Distance from the ideal denoiser")
    caption(
        figure, "Left: a network of few pictures returns one of them; of more, its samples are as far "
        "from the pictures it saw as from others, and are rings all the same. Right: on new pictures "
        "its predictions come close to the ideal denoiser of the whole family, which it never saw, "
        "not to that of its k pictures, which is what minimises its loss."
    )
    return figure


@styled
def patches(evaluation: RingsEvaluation) -> Figure:
    """The least loss by field of view, at each t, and the loss of the network that has one."""
    figure, ((left, right),) = new_figure(1, 2, "The price of a small field of view", panel=(4.4, 2.9))
    floors = evaluation.patch_floors
    sizes = sorted({p for p, _ in floors})
    for placed, colour, text in ((True, EXACT, "place known"), (False, WRONG, "anywhere")):
        means = [floors[p, placed][1:].mean() for p in sizes]
        left.plot(sizes, means, "o-", color=colour, label=text)
        right.plot(np.arange(1, len(floors[SEEN, placed])), floors[SEEN, placed][1:], color=colour,
                   label=f"{text}, {SEEN} x {SEEN}")
    three = evaluation.rows["three_layers"].measured
    left.plot([SEEN], [three], "s", color=LEARNED, label="a network of three layers")
    left.plot([], [], color=DATA)
    label(left, "edge of the patch in pixels", "least loss, mean over t", "Five pictures")
    label(right, "step t", "least loss", f"At each t, patch of {SEEN}")
    for axes in (left, right):
        axes.set_yscale("log")
        legend(axes)
    caption(
        figure, "No network that sees only such a patch can have a smaller loss. Three layers of "
        f"3 x 3 see {SEEN} pixels; what they have above their bound is what they have not learned."
    )
    return figure
