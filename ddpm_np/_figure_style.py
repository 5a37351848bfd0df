"""The style of all pictures: colours, sizes, labelled axes, and a caption that says what to see.

Pictures are :class:`matplotlib.figure.Figure` objects outside pyplot's global list. So drawing
works without a display, leaves the caller's matplotlib settings alone and needs no clearing up. A
drawing function is

    @styled
    def noise(eps: Array) -> Figure:
        figure, axes = new_figure(1, 2, "Two views of noise")
        axes[0, 0].plot(eps, color=NOISE)
        label(axes[0, 0], "sample", "value", "No value tells the next one")
        caption(figure, "Left: ...")
        return figure

and ``save(noise(eps), path)`` writes it. The title of a panel says its message.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr
from functools import partial, wraps
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from ddpm_np._files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.collections import LineCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure as Figure
else:  # for the annotations of demos, which know no matplotlib
    Axes = Figure = Any

INCHES = 0.72  # the edge of one small picture in a grid of them
# Okabe and Ito's palette, told apart with every common colour blindness. Yellow is left out: it
# vanishes on white.
COLOURS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#8C8C8C",
}
# These have one meaning each, in every picture.
DATA = COLOURS["black"]  # the signals themselves
EXACT = COLOURS["blue"]  # exact values
LEARNED = COLOURS["vermillion"]  # what was sampled, measured or learned
NOISE = COLOURS["grey"]  # noise
WRONG = COLOURS["purple"]  # a choice that fails, or a control
FAINT = "#D9D9D9"  # many curves behind the one that matters
# These tell the choices of one picture apart.
ORANGE, GREEN, SKY = COLOURS["orange"], COLOURS["green"], COLOURS["sky"]
MAP, SIGNED_MAP = "cividis", "PuOr_r"  # colour maps for values from 0 up, and around 0

MISSING = (
    "matplotlib is not installed or cannot be imported, so there are no pictures; "
    'pip install ".[figures]" in the project\'s folder installs it'
)
_PANEL = 3.6, 2.6  # inches
_DPI = 120
_CAPTION_LINE = 0.165  # inches
_RC = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#4D4D4D",
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "figure.dpi": _DPI,
    "figure.facecolor": "white",
    "figure.titlesize": 12,
    "figure.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "image.cmap": MAP,
    "image.interpolation": "nearest",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "savefig.dpi": _DPI,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}

_P = ParamSpec("_P")
_R = TypeVar("_R")


def available() -> bool:
    """Whether matplotlib can be imported, so that pictures can be drawn."""
    try:
        # NumPy prints a traceback when a library built for an older NumPy is imported.
        with redirect_stderr(StringIO()):
            import matplotlib.figure  # noqa: F401
            import PIL.Image  # noqa: F401
    except Exception:  # not installed, or not made for this NumPy
        return False
    return True


def styled(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """The drawing function, run in the common style; the caller's settings return afterwards."""

    @wraps(draw)
    def in_style(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        from cycler import cycler
        from matplotlib import style

        colours = cycler(color=[c for name, c in COLOURS.items() if name != "black"])
        with style.context(["default", {**_RC, "axes.prop_cycle": colours}]):
            return draw(*args, **kwargs)

    return in_style


def new_figure(
    rows: int = 1,
    cols: int = 1,
    title: str = "",
    *,
    panel: tuple[float, float] = _PANEL,
    **subplots: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure and its (rows, cols) array of axes.

    panel: width and height of one panel in inches. More keywords go to ``Figure.subplots``.
    """
    from matplotlib.figure import Figure

    size = cols * panel[0], rows * panel[1] + (0.4 if title else 0.0)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, cols, squeeze=False, **subplots)
    if title:
        figure.suptitle(title)
    return figure, axes


def label(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Names the axes, with their units, and states the panel's message."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title)


def legend(axes: Axes, **options: Any) -> None:
    """The legend, in the free corner unless ``loc`` says where."""
    axes.legend(**{"loc": "best", "handlelength": 1.6, "borderaxespad": 0.3, **options})


def name_line(axes: Axes, x: float, y: float, text: str, colour: str, **options: Any) -> None:
    """Names a line directly: text in its colour, at the point (x, y) of the data."""
    axes.text(x, y, text, **{"color": colour, "fontsize": 8, "clip_on": False, **options})


def plain_log(axes: Axes, which: str = "y") -> None:
    """A logarithmic axis with plain decimal numbers.

    They stand at 1, 2 and 5 times the powers of ten; on a long axis, at the powers alone.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set(**{f"{which}scale": "log"})
    axis = axes.yaxis if which == "y" else axes.xaxis
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 500 * low else (1.0,)))
    # Four digits, as a tick such as 0.45 may be 0.45000000000000007.
    plain = partial(np.format_float_positional, precision=4, fractional=False, trim="-")
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    axis.set_minor_formatter(NullFormatter())


def log_ticks(
    axes: Axes, which: str, values: Iterable[float], unit: str = "", **scale: Any
) -> None:
    """A logarithmic axis that has these numbers, and no ticks but theirs."""
    getattr(axes, f"set_{which}scale")("log", **scale)
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_ticks([*values], [f"{value:g}{unit}" for value in values])
    axis.minorticks_off()


def band(
    axes: Axes, x: Any, low: Any, high: Any, colour: str, alpha: float, **options: Any
) -> None:
    """What lies between two lines, shaded."""
    axes.fill_between(x, low, high, color=colour, alpha=alpha, linewidth=0, **options)


def measured(axes: Axes, x: Any, y: Any, error: Any, marker: str = "o", **options: Any) -> None:
    """Measured numbers, with bars of five standard errors."""
    bars = 5 * np.asarray(error)
    axes.errorbar(x, y, bars, color=LEARNED, fmt=marker, capsize=2, **options)


def matrix(axes: Axes, C: np.ndarray, low: float, high: float, title: str) -> Any:
    """A matrix of two samples as a map, whose colours say whether it may be negative."""
    image = axes.imshow(C, vmin=low, vmax=high, cmap=SIGNED_MAP if low < 0 else MAP)
    axes.grid(False)
    label(axes, "sample $i$", "sample $j$", title)
    return image


def room_above(axes: Axes, share: float) -> None:
    """Makes the axis of y longer by this share of it, for a legend."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + share * (high - low))


def colour_bar(image: Any, axes: Axes, text: str) -> Colorbar:
    """A colour bar to the right of a map, which keeps its size."""
    beside = axes.inset_axes((1.05, 0.0, 0.06, 1.0))
    bar = axes.figure.colorbar(image, cax=beside, label=text)
    bar.outline.set_visible(False)
    return bar


def trail(axes: Axes, path: np.ndarray, last: np.ndarray | None, title: str) -> LineCollection:
    """A signal at every step, coloured by t, the last steps on top; and a line above them all.

    path: (T + 1, dim), x_t at index t; last: that line, the signal at t = 0 if None.
    """
    from matplotlib.collections import LineCollection

    tau, order = np.linspace(0, 1, path.shape[1]), np.arange(len(path))[::-1]
    curves = [np.column_stack([tau, path[t]]) for t in order]
    lines = LineCollection(curves, cmap=MAP, linewidths=0.7, alpha=0.8)
    lines.set_array(order)
    axes.add_collection(lines)
    axes.autoscale_view()
    axes.plot(tau, path[0] if last is None else last, color=DATA, linewidth=1.8)
    label(axes, "time in s", "$x_t$", title)
    return lines


def bar_of_steps(figure: Figure, lines: LineCollection, text: str, **options: Any) -> None:
    """The colours of :func:`trail`, beside the panels ``ax``."""
    bar = figure.colorbar(lines, pad=0.01, **options)
    bar.set_label(text)
    bar.outline.set_visible(False)


def picture_grid(
    rows: Mapping[str, np.ndarray],
    titles: Sequence[str] = (),
    title: str = "",
    *,
    aside: float = 1.7,
) -> Figure:
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


def caption(figure: Figure, text: str) -> None:
    """What to see, in two or three sentences below the panels; the figure grows by their lines."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(text, int(width * 16), break_long_words=False, break_on_hyphens=False)
    below = len(lines) * _CAPTION_LINE + 0.1
    figure.set_size_inches(width, height + below)
    share = below / (height + below)
    layout = figure.get_layout_engine()
    layout.set(rect=(0, share, 1, 1 - share))  # type: ignore[union-attr, call-arg]
    figure.text(
        0.012,
        share - 0.04 / (height + below),
        "\n".join(lines),
        va="top",
        fontsize=8.5,
        color="#333333",
        linespacing=1.35,
    )


@styled
def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = _DPI) -> Path:
    """Writes the figure as a small PNG, with 256 colours.

    The file holds no date, so equal numbers give equal files. It is whole or absent.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    layout = figure.get_layout_engine()
    if layout is not None:  # once: savefig would draw everything twice
        layout.execute(figure)
        figure.set_layout_engine("none")
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    rare = Image.Quantize.MAXCOVERAGE  # keeps the colour of a thin line next to a colourful map
    small = picture.quantize(256, rare, dither=Image.Dither.NONE)
    write_atomically(path, lambda file: small.save(file, "PNG", optimize=True))
    return Path(path)
