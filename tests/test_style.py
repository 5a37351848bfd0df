"""The style of the pictures: settings return, captions fit, equal numbers give equal files."""

import math
import sys

import matplotlib.figure
import pytest

from ddpm_np._figure_style import (
    COLOURS,
    available,
    caption,
    colour_bar,
    label,
    legend,
    new_figure,
    plain_log,
    save,
    styled,
)


@styled
def picture(text):
    figure, axes = new_figure(1, 2, "A title")
    axes[0, 0].plot([0, 1], [0, 1], label="a line")
    legend(axes[0, 0])
    for ax in axes[0]:
        label(ax, "time in s", "value", "a panel")
    caption(figure, text)
    return figure


def test_drawing_gives_the_callers_settings_back():
    with matplotlib.rc_context({"font.size": 31.0, "axes.grid": False}):
        before = dict(matplotlib.rcParams)
        figure = picture("short")
        assert dict(matplotlib.rcParams) == before
    assert figure.axes[0].xaxis.get_label().get_fontsize() == 9


def test_a_caption_makes_room_below_and_stays_inside():
    short, long = picture("short"), picture("one word after another " * 40)
    (width, low), (same, high) = short.get_size_inches(), long.get_size_inches()
    assert width == same and high > low + 0.5
    long.draw_without_rendering()
    width, height = long.get_size_inches() * long.dpi
    box = long.texts[-1].get_window_extent()
    assert 0 <= box.x0 and box.x1 <= width and 0 <= box.y0
    assert box.y1 < min(ax.get_tightbbox().y0 for ax in long.axes)


@pytest.mark.parametrize("missing", ["matplotlib.figure", "PIL.Image"])
def test_there_are_no_pictures_where_a_package_is_missing(missing, monkeypatch):
    assert available()
    monkeypatch.setitem(sys.modules, missing, None)
    assert not available()


def test_equal_figures_give_equal_small_files(tmp_path):
    first, second = (save(picture("the same"), tmp_path / f"{k}.png") for k in (1, 2))
    assert first.read_bytes() == second.read_bytes() and first.stat().st_size < 60_000


def test_no_two_colours_are_close_in_lightness_and_hue():
    rgb = {name: matplotlib.colors.to_rgb(c) for name, c in COLOURS.items()}
    pairs = [(a, b) for a in rgb for b in rgb if a < b]
    assert min(math.dist(rgb[a], rgb[b]) for a, b in pairs) > 0.25


def test_a_map_keeps_its_size_next_to_a_colour_bar():
    @styled
    def maps():
        figure, axes = new_figure(1, 3, "Three maps")
        for ax in axes[0]:
            image = ax.imshow([[0, 1], [2, 3]])
        colour_bar(image, axes[0, 2], "value")
        return figure

    figure = maps()
    figure.draw_without_rendering()
    first, second, third = (ax.get_window_extent() for ax in figure.axes)
    assert first.width == pytest.approx(third.width, rel=1e-6)
    assert second.height == pytest.approx(third.height, rel=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0.08, 0.6, ["0.1", "0.2", "0.5"]), (0.00002, 3.0, ["0.0001", "0.001", "0.01", "0.1", "1"])],
)
def test_logarithmic_ticks_are_plain_decimals(low, high, ticks):
    figure, axes = new_figure()
    axes[0, 0].set_ylim(low, high)
    plain_log(axes[0, 0])
    figure.draw_without_rendering()
    axis = axes[0, 0].yaxis
    shown = [t for t in axis.get_majorticklocs() if low <= t <= high]
    assert [axis.get_major_formatter()(t) for t in shown] == ticks


def test_a_figure_that_cannot_be_written_raises(tmp_path):
    with pytest.raises(OSError):
        save(picture("x"), tmp_path / "missing" / "1.png")
