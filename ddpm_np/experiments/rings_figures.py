"""The pictures of the rings: samples, one chain, and who sees how much."""

from collections.abc import Mapping, Sequence

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions.rings import nearest_ring
from ddpm_np.experiments.rings_evaluation import SEEN, Memory, RingsEvaluation
from ddpm_np.experiments.words import captioned


@style.styled
def samples(drawn: Array, data: Array, mlp: Array) -> style.Figure:
    """Samples of the family beside true pictures."""
    rows = {"the family": data[:10], "U-Net": drawn[:10], "MLP": mlp[:10]}
    figure = style.picture_grid(rows, title="Rings drawn from noise")
    return captioned(figure, "rings_samples")


@style.styled
def views(columns: Mapping[str, Array]) -> style.Figure:
    """Denoisers of the same five pictures that see more and less of them, from the same noise."""
    names = {"five": "the five pictures"}
    rows = {}
    for name, pictures in columns.items():
        distance = nearest_ring(pictures).distance.mean()
        text = names.get(name, name)
        rows[text if name == "five" else f"{text}\noff a ring by {distance:.3f}"] = pictures
    figure = style.picture_grid(rows, title="Why the circles are not round", aside=2.1)
    return captioned(figure, "rings_views", seen=SEEN)


@style.styled
def chain(evaluation: RingsEvaluation) -> style.Figure:
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
    figure = style.picture_grid(
        rows, [f"t = {t}" for t in steps], "One picture on its way", aside=1.2
    )
    return captioned(figure, "rings_chain")


@style.styled
def memory(memories: Sequence[Memory]) -> style.Figure:
    """From copying to drawing: distances of samples and of predictions, for each k."""
    figure, ((left, right),) = style.new_figure(1, 2, "Copied, or drawn", panel=(4.4, 2.9))
    k = [m.k for m in memories]
    for name, colour, text in (
        ("trained", style.LEARNED, "nearest of the k trained on"),
        ("fresh", style.NOISE, "nearest of k others"),
        ("ring", style.EXACT, "nearest ring of all"),
    ):
        left.plot(k, [getattr(m, name).mean() for m in memories], "o-", color=colour, label=text)
    right.plot(k, [m.to_family for m in memories], "o-", color=style.EXACT, label="the family's")
    right.plot(k, [m.to_memory for m in memories], "o-", color=style.WRONG, label="the k pictures'")
    for axes in (left, right):
        axes.set_yscale("log")
        style.log_ticks(axes, "x", k)
        style.legend(axes)
    style.label(left, "k training pictures", "distance of a sample", "Samples")
    title = "Distance from the ideal denoiser"
    style.label(right, "k training pictures", "mean square of the difference", title)
    return captioned(figure, "rings_memory")


@style.styled
def patches(evaluation: RingsEvaluation) -> style.Figure:
    """The least loss by field of view, at each t, and the loss of the network that has one."""
    title = "The price of a small field of view"
    figure, ((left, right),) = style.new_figure(1, 2, title, panel=(4.4, 2.9))
    floors = evaluation.patch_floors
    sizes = sorted({p for p, _ in floors})
    for placed, colour, text in (
        (True, style.EXACT, "place known"),
        (False, style.WRONG, "anywhere"),
    ):
        means = [floors[p, placed][1:].mean() for p in sizes]
        left.plot(sizes, means, "o-", color=colour, label=text)
        right.plot(
            np.arange(1, len(floors[SEEN, placed])),
            floors[SEEN, placed][1:],
            color=colour,
            label=f"{text}, {SEEN} x {SEEN}",
        )
    three = evaluation.rows["three_layers"].measured
    left.plot([SEEN], [three], "s", color=style.LEARNED, label="a network of three layers")
    right.set_ylim(bottom=1e-6)
    style.label(left, "edge of the patch in pixels", "least loss, mean over t", "Five pictures")
    style.label(right, "step t", "least loss", f"At each t, patch of {SEEN}")
    for axes in (left, right):
        axes.set_yscale("log")
        style.legend(axes)
    return captioned(figure, "rings_patches", seen=SEEN)
