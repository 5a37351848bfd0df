"""The outline of the notes: their headings and printed formulas, with their lines (notes.txt)."""

import re
from dataclasses import dataclass
from functools import cache

from ddpm_np.equations.blocks import read_text

NOTES = {
    "N0": "扩散模型入门（二）",
    "N1": "Diffusion, 记录一下学习过程",
    "N2": "如何手搓扩散模型",
    "N3": "diffusion model是如何工作的？",
    "N4": "扩散模型的前提",
}
N2_COMMIT = "3bdaf83dcccd5cc560acd9d2ed6ab8bdab4643b1"  # its readme.md is N2, line by line
N2_ADDRESS = f"https://github.com/listenzcc/diffusion-model-learning/blob/{N2_COMMIT}/readme.md"
_PLACE = re.compile(r"(N[0-4]):([1-9]\d*)(?:-([1-9]\d*))?([a-z]?)")


class Place(str):
    """A place in the notes: a note and its line or lines, such as "N2:351" or "N2:439-442".

    It is its own text, with the parts beside it: note, first and last line, and the letter that
    tells apart two errors of the same lines ("N1:25a"), mostly empty. ValueError for other text.

    >>> Place("N2:439-442").overlaps(Place("N2:441"))
    True
    """

    note: str
    first: int
    last: int
    letter: str

    def __new__(cls, text: str) -> "Place":
        match = _PLACE.fullmatch(text)
        if match is None or int(match[3] or match[2]) < int(match[2]):
            raise ValueError(
                "place must be a note and its line or lines, such as N2:351 or N2:439-442, "
                f"got {text!r}"
            )
        place = super().__new__(cls, text)
        place.note, place.letter = match[1], match[4]
        place.first, place.last = int(match[2]), int(match[3] or match[2])
        return place

    @property
    def order(self) -> tuple[str, int, int, str]:
        """The key that sorts places as the notes have them."""
        return self.note, self.first, self.last, self.letter

    @property
    def lines(self) -> range:
        """The numbers of its lines."""
        return range(self.first, self.last + 1)

    def overlaps(self, other: "Place") -> bool:
        """Whether the two share a line."""
        return self.note == other.note and self.first <= other.last and other.first <= self.last

    @property
    def web_address(self) -> str | None:
        """Where it can be read: N2 is a file in a public repository, the others are not."""
        if self.note != "N2":
            return None
        return f"{N2_ADDRESS}?plain=1#L{self.first}" + (
            f"-L{self.last}" if self.last > self.first else ""
        )


@dataclass(frozen=True)
class Printed:
    """A formula as printed: its place, such as "N2:303-306", and its LaTeX, line by line."""

    place: Place
    lines: tuple[str, ...]

    @property
    def latex(self) -> str:
        """The LaTeX as one text."""
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Heading:
    """A section of a note: the place of its heading, its level, its title, its formulas."""

    place: Place
    level: int
    title: str
    printed: tuple[Printed, ...]


@cache
def notes() -> tuple[Heading, ...]:
    """All sections of the five notes, in order."""
    found: list[tuple[Place, int, str, list[Printed]]] = []
    for block in read_text("ddpm_np.equations", "notes.txt").strip().split("\n\n")[1:]:
        first, *lines = block.split("\n")
        text, _, heading = first.partition(" ")
        place = Place(text)
        if heading:
            marks, _, title = heading.partition(" ")
            found.append((place, len(marks), title, []))
        else:
            found[-1][3].append(Printed(place, tuple(lines)))
    return tuple(Heading(place, level, title, tuple(own)) for place, level, title, own in found)


def heading_of(place: Place) -> Heading:
    """The heading below which a place stands, the note's first one for the lines before it."""
    own = [heading for heading in notes() if heading.place.note == place.note]
    return next((h for h in reversed(own) if h.place.first <= place.first), own[0])
