"""Rows of small grey pictures, with a name at the left of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ddpm_np._checks import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["picture_grid"]

INCHES = 0.72  # the edge of one small picture


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
