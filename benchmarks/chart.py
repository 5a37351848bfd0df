"""docs/benchmark.png: how many times longer the rivals take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tables import grid_ratios
from ddpm_np._figure_style import COLOURS, NOISE, caption, label, legend, new_figure, save, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PICTURE", "draw"]

PICTURE = Path(__file__).parent.parent / "docs" / "benchmark.png"
BARS = {
    "PyTorch eager": "blue",
    "PyTorch eager, fused AdamW": "sky",
    "torch.compile, fused AdamW": "orange",
    "JAX jit": "green",
}


def draw(rows: Sequence[dict[str, Any]]) -> Path:
    """Draws the rows measured on one thread, and says where."""
    return save(_figure(rows), PICTURE)


@styled
def _figure(rows: Sequence[dict[str, Any]]) -> Figure:
    figure, axes = new_figure(
        1, 2, "Training step and sampling against PyTorch and JAX, one thread", panel=(5.2, 3.6)
    )
    left, right = axes[0]
    one = [row for row in rows if row["threads"] == 1 and "spread" in row]
    configs = list(
        dict.fromkeys(row["config"] for row in one if not row["config"].startswith("width"))
    )
    rivals = [rival for rival in BARS if any(row["rival"] == rival for row in one)]
    height = 0.8 / len(rivals)
    for i, rival in enumerate(rivals):
        found = {row["config"]: row for row in one if row["rival"] == rival}
        places = [
            (k + (i + 0.5) * height - 0.4, found[config])
            for k, config in enumerate(configs)
            if config in found
        ]
        ratios = [row["ratio"] for _, row in places]
        spread = [[abs(row["ratio"] - row["spread"][side]) for _, row in places] for side in (0, 1)]
        options = {
            "color": COLOURS[BARS[rival]],
            "label": rival,
            "xerr": spread,
            "error_kw": {"elinewidth": 0.8},
        }
        left.barh([y for y, _ in places], ratios, height, **options)
    left.set_yticks(range(len(configs)), configs)
    left.invert_yaxis()
    left.axvline(1, color=NOISE, linestyle="--", linewidth=1)
    label(left, "time of the rival / our time", "")
    legend(left, loc="lower right")
    ratios = grid_ratios(one, "PyTorch eager", 1)
    colours = list(COLOURS.values())
    for colour, marker, width in zip(colours, "osD^v", sorted({w for w, _ in ratios})):
        batches = sorted(n for w, n in ratios if w == width)
        right.plot(
            batches,
            [ratios[width, n] for n in batches],
            color=colour,
            marker=marker,
            label=f"width {width}",
        )
    right.set_xscale("log", base=2)
    ticks = sorted({n for _, n in ratios})
    right.set_xticks(ticks, [str(n) for n in ticks])
    right.axhline(1, color=NOISE, linestyle="--", linewidth=1)
    right.set_ylim(bottom=0)
    label(right, "batch", "time of PyTorch eager / our time", "two gated SiLU layers of each width")
    legend(right)
    kernel = rows[0]["kernel"]
    caption(
        figure,
        f"Look at the dashed line, equal speed: right of it, and above it, NumPy is faster. Medians over rounds that alternate "
        f"between the contenders; whiskers are quartiles. NumPy's BLAS ran its {kernel} kernels.",
    )
    return figure
