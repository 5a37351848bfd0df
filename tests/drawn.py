"""What a picture shows, in a line for each panel: its words, what is drawn, and in which range.

tests/drawn.txt holds it for the pictures of the demos and of the experiments, so that no line, name
or axis goes without a word. The words are those of the panel, with # for a number.
"""

import re
from pathlib import Path

import numpy as np
import pytest


def _named(axes):
    legend = axes.get_legend()
    names = [text.get_text() for text in (*(legend.get_texts() if legend else ()), *axes.texts)]
    title = axes.get_title("left") or axes.get_title()
    words = [title, axes.get_xlabel(), axes.get_ylabel(), "; ".join(names)]
    scales = {"log log": "log", "linear log": "log y", "log linear": "log x"}
    words += [scales.get(f"{axes.get_xscale()} {axes.get_yscale()}", "")]
    shown = re.sub(r"\d+(\.\d+)?(e[-+]?\d+)?", "#", " | ".join(words)).replace("\n", " ")
    return re.sub(r"(# )+", "# ", shown).rstrip("| ")


def _range(axes):
    """How many lines, areas, maps and bars, and points of all lines; for either axis the least, the
    largest and the mean; the mean of the maps and of the bars."""
    points = [np.transpose([line.get_xdata(), line.get_ydata()]) for line in axes.lines]
    points += [np.asarray(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1]
    points = np.concatenate([np.zeros((0, 2)), *(p.astype(float) for p in points if len(p))])
    points = points[np.isfinite(points).all(1)]
    kinds = [len(axes.lines), len(axes.collections), len(axes.images), len(axes.patches)]
    ends = [f(v) for v in points.T for f in (np.min, np.max, np.mean)] if len(points) else []
    maps = [np.nanmean(np.asarray(image.get_array(), float)) for image in axes.images]
    heights = [
        p.get_height() if hasattr(p, "get_height") else np.ptp(p.get_path().vertices[:, 1])
        for p in axes.patches
    ]
    bars = [np.mean(heights)] if heights else []
    return [*kinds, len(points), *ends, *maps, *bars]


def told(figure):
    """The words and the numbers of each panel."""
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    return [(_named(axes), _range(axes)) for axes in panels]


def _read():
    found = {}
    name = ""
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            words, _, numbers = line[2:].rpartition(" = ")
            found[name].append((words.rstrip(), [float(n) for n in numbers.split()]))
        else:
            name = line
            found[name] = []
    return found


DRAWN = _read()


def check_drawn(name, figure):
    """The picture shows what the record says, to half a per cent."""
    panels = told(figure)
    assert [words for words, _ in panels] == [words for words, _ in DRAWN[name]]
    for (words, numbers), (_, wanted) in zip(panels, DRAWN[name]):
        assert numbers[:5] == wanted[:5] and len(numbers) == len(wanted), words
        for a, b in ((5, 8), (8, 11), (11, None)):
            size = max(map(abs, wanted[a:b]), default=0)
            near = pytest.approx(wanted[a:b], rel=0.005, abs=0.001 * size + 1e-9)
            assert numbers[a:b] == near, words


def written(name, figure):
    """The lines of the record."""
    lines = [name]
    for words, numbers in told(figure):
        whole = [str(n) for n in numbers[:5]]
        lines.append(f"  {words} = {' '.join([*whole, *(f'{n:.4g}' for n in numbers[5:])])}")
    return "\n".join(lines) + "\n"
