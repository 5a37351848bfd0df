"""The look of the pictures: settings come back, captions fit, files are small and equal for equal
numbers.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest

from ddpm_np._figure_style import COLOURS, caption, label, legend, new_figure, save, styled


@styled
def picture(text: str) -> matplotlib.figure.Figure:
    figure, axes = new_figure(1, 2, "A title")
    axes[0, 0].plot([0, 1], [0, 1], label="a line")
    legend(axes[0, 0])
    for ax in axes[0]:
        label(ax, "time in s", "value", "a panel")
    caption(figure, text)
    return figure


def test_drawing_gives_the_callers_settings_back() -> None:
    with matplotlib.rc_context({"font.size": 31.0, "axes.grid": False}):
        before = dict(matplotlib.rcParams)
        figure = picture("short")
        assert dict(matplotlib.rcParams) == before
    assert figure.axes[0].xaxis.get_label().get_fontsize() == 9


def test_a_caption_makes_room_below_and_stays_inside() -> None:
    short, long = picture("short"), picture("one word after another " * 40)
    assert (
        short.get_size_inches()[0] == long.get_size_inches()[0]
        and long.get_size_inches()[1] > short.get_size_inches()[1] + 0.5
    )
    long.draw_without_rendering()
    width, height = long.get_size_inches() * long.dpi
    box = long.texts[-1].get_window_extent()
    assert 0 <= box.x0 and box.x1 <= width and 0 <= box.y0
    assert box.y1 < min(ax.get_tightbbox().y0 for ax in long.axes)


def test_equal_figures_give_equal_small_files(tmp_path: Path) -> None:
    first, second = (
        save(picture("the same"), tmp_path / "1.png"),
        save(picture("the same"), tmp_path / "2.png"),
    )
    assert first.read_bytes() == second.read_bytes() and first.stat().st_size < 60_000


def test_no_two_colours_are_close_in_lightness_and_hue() -> None:
    rgb = {name: matplotlib.colors.to_rgb(c) for name, c in COLOURS.items()}
    pairs = [(a, b) for a in rgb for b in rgb if a < b]
    distances = {
        pair: sum((x - y) ** 2 for x, y in zip(rgb[pair[0]], rgb[pair[1]])) ** 0.5 for pair in pairs
    }
    assert min(distances.values()) > 0.25


def test_a_figure_that_cannot_be_written_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        save(picture("x"), tmp_path / "missing" / "1.png")
