"""The one look of all pictures: colours, sizes, labelled axes, and a caption that says what to look at.

Pictures are :class:`matplotlib.figure.Figure` objects that never enter pyplot's global list, so that drawing works without a
display, leaves the caller's matplotlib settings alone and frees its memory by itself. A drawing function is

    @styled
    def noise(eps: Array) -> Figure:
        figure, axes = new_figure(1, 2, "Two views of noise")
        axes[0, 0].plot(eps, color=DATA)
        label(axes[0, 0], "sample", "value", "as a curve")
        caption(figure, "Look at ...")
        return figure

and ``save(noise(eps), path)`` writes it.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import wraps
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "DATA", "EXACT", "FAINT", "LEARNED", "MAP", "NOISE", "SIGNED_MAP", "WRONG", "caption", "label", "legend",
           "available", "new_figure", "save", "styled"]

# Okabe and Ito's palette, told apart with every common colour blindness; yellow is left out, it vanishes on white.
COLOURS = {
    "blue": "#0072B2", "vermillion": "#D55E00", "green": "#009E73", "purple": "#CC79A7", "orange": "#E69F00", "sky": "#56B4E9",
    "black": "#000000", "grey": "#8C8C8C",
}
# One meaning each, in every picture.
DATA = COLOURS["black"]  # the signal itself
EXACT = COLOURS["blue"]  # what theory says
LEARNED = COLOURS["vermillion"]  # what was sampled, measured or learned
NOISE = COLOURS["grey"]  # noise, and what it is compared with
WRONG = COLOURS["purple"]  # a control or a choice that fails
FAINT = "#D9D9D9"  # many curves behind the one that matters
MAP, SIGNED_MAP = "cividis", "PuOr_r"  # colour maps for values from 0 up, and around 0

_PANEL = 3.6, 2.6  # inches
_DPI = 120
_CAPTION_LINE = 0.19  # inches
_RC = {
    "axes.axisbelow": True, "axes.edgecolor": "#4D4D4D", "axes.grid": True, "axes.labelsize": 9, "axes.linewidth": 0.8,
    "axes.spines.right": False, "axes.spines.top": False, "axes.titlelocation": "left", "axes.titlesize": 9.5,
    "figure.dpi": _DPI, "figure.facecolor": "white", "figure.titlesize": 12, "figure.titleweight": "bold",
    "font.family": "DejaVu Sans", "font.size": 9, "grid.color": "#E6E6E6", "grid.linewidth": 0.6, "image.cmap": MAP,
    "image.interpolation": "nearest",
    "legend.fontsize": 8, "legend.frameon": False, "lines.linewidth": 1.5, "lines.markersize": 4, "savefig.dpi": _DPI,
    "xtick.labelsize": 8, "ytick.labelsize": 8,
}

_P = ParamSpec("_P")
_R = TypeVar("_R")


def available() -> bool:
    """Whether matplotlib can be imported, so that pictures can be drawn."""
    try:
        # NumPy prints a traceback when a library that was built for an older one is imported.
        with redirect_stderr(StringIO()):
            import matplotlib.figure  # noqa: F401
            import PIL.Image  # noqa: F401
    except Exception:  # not installed, or not made for this NumPy
        return False
    return True


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """The drawing function, run under the house style; the caller's settings come back when it ends."""

    @wraps(draw)
    def in_style(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        from matplotlib import cycler, style

        colours = cycler(color=[c for name, c in COLOURS.items() if name != "black"])
        with style.context(["default", {**_RC, "axes.prop_cycle": colours}]):
            return draw(*args, **kwargs)

    return in_style


def new_figure(
    rows: int = 1, cols: int = 1, title: str = "", *, panel: tuple[float, float] = _PANEL, **subplots: Any
) -> tuple[Figure, np.ndarray]:
    """A figure and its (rows, cols) array of axes, each panel of the given size in inches; more keywords go to subplots."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(cols * panel[0], rows * panel[1] + (0.4 if title else 0.0)), layout="constrained")
    axes = figure.subplots(rows, cols, squeeze=False, **subplots)
    if title:
        figure.suptitle(title)
    return figure, axes


def label(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Names of the axes, units included, and of the panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title)


def legend(axes: Axes, **options: Any) -> None:
    """The legend, in the free corner unless ``loc`` says where."""
    axes.legend(**{"loc": "best", "handlelength": 1.6, "borderaxespad": 0.3, **options})


def caption(figure: Figure, text: str) -> None:
    """What to look at, in a sentence or two below the panels; the figure grows by the lines it takes."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(text, int(width * 16), break_long_words=False, break_on_hyphens=False)
    below = len(lines) * _CAPTION_LINE + 0.1
    figure.set_size_inches(width, height + below)
    share = below / (height + below)
    figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))  # type: ignore[union-attr, call-arg]
    figure.text(0.012, share - 0.04 / (height + below), "\n".join(lines), va="top", fontsize=8.5, color="#333333", linespacing=1.35)


@styled
def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write the figure as a small PNG, 120 dots per inch and 256 colours, without a date: equal numbers give equal files."""
    from PIL import Image

    path, picture = Path(path), BytesIO()
    figure.savefig(picture, format="png", dpi=_DPI)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, "PNG", optimize=True)
    return path
