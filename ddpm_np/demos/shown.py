"""What a demo shows."""

from __future__ import annotations

from typing import Any, NamedTuple

from ddpm_np._measurement import Measurement


class Shown(NamedTuple):
    """What a demo shows: its numbers, and the arrays of its picture."""

    rows: list[Measurement]
    drawn: Any
