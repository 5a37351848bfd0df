"""Tables into pages: what a command measured goes between two markers of a page, so that nothing there is pasted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

__all__ = ["HERE", "markdown", "put"]

HERE = Path(__file__).parent


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first column to the left, the others to the right."""
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def put(page: Path, name: str, text: str) -> None:
    """Replaces what stands between ``<!-- name -->`` and ``<!-- /name -->`` in the page."""
    before, start, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not start or not end:
        raise ValueError(f"{page.name} has no place marked {name!r}")
    page.write_text(f"{before}{start}\n{text}\n{end}{after}", encoding="utf-8")
