"""What a demo shows, and its numbers as lines of text, each next to its exact value."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from ddpm_np._measurement import Measurement, text_table


class Shown(NamedTuple):
    """What a demo shows: its numbers, what to notice in them, and the arrays of its picture."""

    rows: list[Measurement]
    notice: str
    drawn: Any


def format_table(shown: Shown) -> Iterator[str]:
    """The table line by line, then what to notice."""
    yield from text_table(shown.rows)
    yield from textwrap.wrap(shown.notice, 98, initial_indent="  ", subsequent_indent="  ")
