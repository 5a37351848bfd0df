"""docs/benchmark.png: how many times longer the rivals take. docs/learning.png: what seconds
buy.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import BEST, EAGER, FOLDED, FUSED, JAX, SCAN
from benchmarks.tables import grid_ratios
from ddpm_np import _figure_style as style

DOCS = Path(__file__).parent.parent / "docs"
BARS = {
    EAGER: "blue",
    FUSED: "sky",
    BEST: "orange",
    FOLDED: "vermillion",
    JAX: "green",
    SCAN: "purple",
}
GRID = EAGER, BEST, JAX
TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 5)


@style.styled
def draw_timing(rows: Sequence[dict[str, Any]]) -> Path:
    """Draws the rows, and says which kernels ran."""
    title = "Training step and sampling against PyTorch and JAX, one core"
    rows = [row for row in rows if not row.get("all_cores")]
    figure, axes = style.new_figure(1, 2, title, panel=(5.2, 4.0))
    left, right = axes[0]
    named = [
        row
        for row in rows
        if row.get("spread") and not row["config"].startswith(("width", "U-Net"))
    ]
    configs = list(dict.fromkeys(row["config"] for row in named))
    rivals = [rival for rival in BARS if any(row["rival"] == rival for row in named)]
    height = 0.8 / len(rivals)
    for i, rival in enumerate(rivals):
        found = {row["config"]: row for row in named if row["rival"] == rival}
        for k, config in enumerate(configs):
            if config not in found:
                continue
            ratio, place = found[config]["ratio"], k + (i + 0.5) * height - 0.4
            left.plot([1, ratio], [place, place], color=style.COLOURS[BARS[rival]], lw=3)
            first = config == next(c for c in configs if c in found)
            left.plot(
                ratio,
                place,
                "o",
                color=style.COLOURS[BARS[rival]],
                ms=5,
                label=rival if first else None,
            )
    left.set_yticks(range(len(configs)), configs)
    left.set_ylim(len(configs) + 1.4, -0.6)  # from the top down, with room for the legend
    left.axvline(1, color=style.NOISE, ls="--", lw=1)
    style.log_ticks(left, "x", TICKS)
    style.label(left, "time of the rival / our time", "")
    style.legend(left, loc="lower right")
    shown = [rival for rival in GRID if rival in rivals]
    for rival in shown:
        ratios = grid_ratios(rows, rival)
        for marker, width in zip("osD", sorted({w for w, _ in ratios})):
            batches = sorted(n for w, n in ratios if w == width)
            right.plot(
                batches,
                [ratios[width, n] for n in batches],
                color=style.COLOURS[BARS[rival]],
                marker=marker,
                label=f"width {width}" if rival == shown[0] else None,
            )
    batches = sorted({n for rival in rivals for _, n in grid_ratios(rows, rival)})
    style.log_ticks(right, "x", batches, base=2)
    style.log_ticks(right, "y", TICKS)
    right.axhline(1, color=style.NOISE, ls="--", lw=1)
    style.label(
        right, "batch", "time of the rival / our time", "two gated SiLU layers, colours as left"
    )
    style.legend(right)
    style.caption(
        figure,
        "The dashed line is equal speed. Right of it, and above it, NumPy is faster. Medians over "
        "rounds in which the contenders take turns. "
        f"NumPy's BLAS ran its default kernels here, {rows[0]['kernel']}.",
    )
    return style.save(figure, DOCS / "benchmark.png")


@style.styled
def draw_learning(rows: Sequence[dict[str, Any]]) -> Path:
    """Draws excess against seconds."""
    title = "Excess of the loss over the Bayes floor against seconds of training"
    figure, axes = style.new_figure(1, 1, title, panel=(7.0, 4.2))
    panel = axes[0][0]
    curves = [row for row in rows if row["table"] == "curves"]
    for name, colour in zip(dict.fromkeys(row["name"] for row in curves), style.COLOURS.values()):
        own = [row for row in curves if row["name"] == name]
        own.sort(key=lambda row: row["seconds"])
        points = zip(*((row["seconds"], row["excess_percent"]) for row in own))
        panel.plot(*points, color=colour, marker="o", label=name)
    style.log_ticks(panel, "x", (0.5, 1, 2, 5, 10, 20, 50, 100))
    style.log_ticks(panel, "y", (0.03, 0.1, 0.3, 1, 3, 10, 30, 100), " %")
    panel.axhline(0.1, color=style.NOISE, ls="--", lw=1)
    style.label(panel, "seconds of training, one thread", "excess of the loss")
    style.legend(panel, loc="upper left", bbox_to_anchor=(0, 0.88))
    style.caption(
        figure,
        "Each point is a run of its own, with its own learning-rate schedule. The dashed line is a "
        "tenth of a per cent above the lowest loss any predictor can reach.",
    )
    return style.save(figure, DOCS / "learning.png")
