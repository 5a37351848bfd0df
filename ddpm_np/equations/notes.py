"""The outline of the notes: their headings and printed formulas, with their lines (notes.txt)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

NOTES = {
    "N0": "扩散模型入门（二）",
    "N1": "Diffusion, 记录一下学习过程",
    "N2": "如何手搓扩散模型",
    "N3": "diffusion model是如何工作的？",
    "N4": "扩散模型的前提",
}
N2_ADDRESS = "https://github.com/listenzcc/diffusion-model-learning/blob/main/readme.md?plain=1"


@dataclass(frozen=True)
class Printed:
    """A formula as printed: its place, such as "N2:303-306", and its LaTeX, line by line."""

    place: str
    lines: tuple[str, ...]

    @property
    def latex(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Heading:
    """A section of a note: the place of its heading, its level, its title, its formulas."""

    place: str
    level: int
    title: str
    printed: tuple[Printed, ...]


@cache
def notes() -> tuple[Heading, ...]:
    """All sections of the five notes, in order."""
    text = files("ddpm_np.equations").joinpath("notes.txt").read_text(encoding="utf-8")
    found: list[tuple[str, int, str, list[Printed]]] = []
    for block in text.strip().split("\n\n")[1:]:
        first, *lines = block.split("\n")
        place, _, heading = first.partition(" ")
        if heading:
            marks, _, title = heading.partition(" ")
            found.append((place, len(marks), title, []))
        else:
            found[-1][3].append(Printed(place, tuple(lines)))
    return tuple(Heading(place, level, title, tuple(own)) for place, level, title, own in found)


def overlap(one: str, other: str) -> bool:
    """Whether two places, such as "N2:351" and "N2:348-352", share a line."""
    (note, first, last), (note_2, first_2, last_2) = _lines(one), _lines(other)
    return note == note_2 and first <= last_2 and first_2 <= last


def _lines(place: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"(N[0-4]):(\d+)(?:-(\d+))?[a-z]?", place)
    if match is None:
        raise ValueError(f"place must be such as N2:351 or N2:439-442, got {place!r}")
    return match[1], int(match[2]), int(match[3] or match[2])


def web_address(place: str) -> str | None:
    """Where a place can be read: N2 is a file in a public repository, the others are not."""
    note, first, last = _lines(place)
    if note != "N2":
        return None
    return f"{N2_ADDRESS}#L{first}" + (f"-L{last}" if last > first else "")
