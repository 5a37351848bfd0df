"""Rows of small grey pictures, with a name at the left of each row."""

from collections.abc import Mapping, Sequence

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array

INCHES = 0.72  # the edge of one small picture


def picture_grid(
    rows: Mapping[str, Array], titles: Sequence[str] = (), title: str = "", *, aside: float = 1.7
) -> style.Figure:
    """Rows of small pictures, one row for each name, with a title above each column.

    rows: name -> (columns, size * size). Grey values from -1, black, to 1, white. ``aside``: the
    width in inches that the names at the left get. All pictures are drawn as one image: an axis
    for each would take seconds.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    columns = max(len(pictures) for pictures in rows.values())
    edge = round(next(iter(rows.values())).shape[1] ** 0.5)
    gap = max(1, edge // 12)
    cell = edge + gap
    canvas = np.full((len(rows) * cell - gap, columns * cell - gap), np.nan)
    for row, pictures in enumerate(rows.values()):
        for column, picture in enumerate(pictures):
            corner = np.ix_(row * cell + np.arange(edge), column * cell + np.arange(edge))
            canvas[corner] = picture.reshape(edge, edge)
    size = (aside + columns * INCHES, len(rows) * INCHES + (0.4 if title else 0) + 0.25)
    figure = Figure(figsize=size, layout="constrained")
    panel = figure.subplots()
    grey = colormaps["gray"].with_extremes(bad="white")
    panel.imshow(canvas, cmap=grey, vmin=-1, vmax=1, interpolation="nearest")
    middle = (edge - 1) / 2
    panel.set_yticks(middle + cell * np.arange(len(rows)), list(rows), fontsize=9)
    panel.set_xticks(middle + cell * np.arange(len(titles)), list(titles), fontsize=8)
    panel.xaxis.tick_top()
    panel.tick_params(length=0)
    panel.grid(False)
    for spine in panel.spines.values():
        spine.set_visible(False)
    if title:
        figure.suptitle(title)
    return figure
