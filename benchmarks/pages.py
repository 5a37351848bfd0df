"""Tables into pages: what a command measured goes between two markers of a page, so that nothing
there is pasted by hand.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
TABLES, README = HERE / "README.md", HERE.parent / "README.md"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, in columns that also line up on a terminal; the first to the left, the
    others to the right.
    """
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in (head, *rows)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


class Place(NamedTuple):
    """What belongs between ``<!-- name -->`` and ``<!-- /name -->`` in a page."""

    page: Path
    name: str
    text: str

    def parts(self) -> tuple[str, str, str]:
        """What stands in the page before the place, in it, and after it. ValueError if none is."""
        first, last = f"<!-- {self.name} -->", f"<!-- /{self.name} -->"
        before, start, rest = self.page.read_text(encoding="utf-8").partition(first)
        within, end, after = rest.partition(last)
        if not start or not end:
            raise ValueError(f"{self.page.name} has no place marked {self.name!r}")
        return before + start, within, end + after

    def put(self) -> None:
        """Writes the text there, in place of what stands there."""
        before, _, after = self.parts()
        self.page.write_text(before + self.text + after, encoding="utf-8")


def table_at(page: Path, name: str, text: str) -> Place:
    """The place of a table, which has lines of its own."""
    return Place(page, name, f"\n{text}\n")
