"""What the notes show and claim, next to its closed form: one demo per file, in their order.

A demo is a module with ``show(*, rng, ...)``, which computes its numbers and returns a
:class:`Shown` (its other arguments are sizes, whose defaults take seconds), and ``draw(drawn)``,
which draws the picture from what ``show`` returned. Its words stand in demos.txt: the place in the
notes that it follows, what it is about, what to notice and where to look. ``python -m
ddpm_np.demos`` writes them into docs/gallery.md.
"""

import os
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import check_count
from ddpm_np._measurement import Measurement, text_table
from ddpm_np.equations.blocks import read_file
from ddpm_np.equations.words import Words

__all__ = ["DEMOS", "Demo", "Measurement", "Shown", "gallery", "run_demo"]

DPI = 160  # of the pictures, which the gallery shows at about half their size


class Shown(NamedTuple):
    """What a demo shows: its numbers, and the arrays of its picture."""

    rows: list[Measurement]
    drawn: Any


@dataclass(frozen=True)
class Demo:
    """The words of a demo.

    follows : the sections of the notes that it follows
    about : what it shows, in a line of English without a full stop, and in a Chinese sentence
    notice : what its numbers say
    caption, alt : below its picture, and instead of it
    look : where to look first
    """

    name: str
    follows: str
    about: Words
    notice: str
    caption: str
    alt: str
    look: Words

    @property
    def module(self) -> ModuleType:
        """The module of that name, with its ``show`` and ``draw``."""
        return import_module(f"{__name__}.{self.name.replace('-', '_')}")

    @style.styled
    def picture(self, drawn: Any) -> style.Figure:
        """Its picture, with the caption."""
        figure: style.Figure = self.module.draw(drawn)
        style.caption(figure, self.caption)
        return figure


def _demos() -> Iterator[Demo]:
    keys = "follows, about, about zh, notice, caption, alt, look, look zh"
    for block in read_file(__name__, "demos.txt", keys):
        about, look = block.words("about"), block.words("look")
        notice, caption, alt = (block.text(key) for key in ("notice", "caption", "alt"))
        yield Demo(block.heading, block.text("follows"), about, notice, caption, alt, look)


DEMOS: dict[str, Demo] = {demo.name: demo for demo in _demos()}
"""The demos by name, in order."""


def run_demo(
    name: str,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    write: Callable[[str], object] = print,
) -> dict[str, Shown]:
    """Runs the demo of that name, or "all": prints its numbers and draws its picture.

    out: folder for the pictures NAME.png, by default runs/demos; it is created if it is missing.
    seed: random seed, from 0; equal seeds give equal numbers. write: called with one line of text
    at a time. Returns what was shown, by name. Without matplotlib there are numbers and no
    pictures.

    ValueError for an unknown name, which lists the known ones, and for an ``out`` that cannot be
    written.
    """
    if name != "all" and name not in DEMOS:
        raise ValueError(f'name must be one of {", ".join(DEMOS)} or all, got "{name}"')
    check_count("seed", seed, low=0)
    folder = _folder(Path("runs", "demos") if out is None else Path(out), write)
    shown = {}
    for each in DEMOS if name == "all" else [name]:
        demo = DEMOS[each]
        write(f"{each}: {demo.about.en}")
        write(f"follows {demo.follows}")
        shown[each] = demo.module.show(rng=np.random.default_rng(seed))
        for line in text_table(shown[each].rows):
            write(line)
        for line in textwrap.wrap(demo.notice, 96):
            write(f"  {line}")
        if folder is not None:
            path = folder / f"{each}.png"
            figure = demo.picture(shown[each].drawn)
            write(f"picture: {style.save(figure, path, dpi=DPI)}")
        write("")
    return shown


def gallery() -> str:
    """The sections of docs/gallery.md, one for each demo."""
    sections = []
    for name, demo in DEMOS.items():
        about = demo.about.en[0].upper() + demo.about.en[1:]
        follows = demo.follows.replace('"', "")
        first = textwrap.fill(f"{about}.", 100)
        look = textwrap.fill(demo.look.en, 100)
        sections.append(
            f"## {name}\n\n{first}\n{demo.about.zh}\n"
            f"{textwrap.fill(f'Follows {follows}.', 100)}\n\n"
            f"```\npython -m ddpm_np demo {name}\n```\n\n"
            f"![{demo.alt}](demos/{name}.png)\n\n{look}\n\n{demo.look.zh}\n"
        )
    return "\n".join(sections)


def _folder(folder: Path, write: Callable[[str], object]) -> Path | None:
    """The folder for the pictures, created; None where matplotlib is missing."""
    if not style.available():
        write(style.MISSING)
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"got {folder} ({error.strerror})"
        raise ValueError(f"out must be a folder that can be written, {reason}") from None
    return folder
