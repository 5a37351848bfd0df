"""Numbered folders, runs/001 and so on."""

from __future__ import annotations

import re
from pathlib import Path


def numbered(parent: Path) -> list[tuple[int, Path]]:
    """The numbered folders that are there, with their numbers."""
    if not parent.is_dir():
        return []
    return [(int(e.name), e) for e in parent.iterdir() if re.fullmatch(r"[0-9]{1,9}", e.name)]


def next_numbered(parent: Path) -> Path:
    """A new folder parent/001, 002, ...; mkdir decides between two that start at once."""
    parent.mkdir(parents=True, exist_ok=True)
    number = max((taken for taken, _ in numbered(parent)), default=0) + 1
    while True:
        path = parent / f"{number:03d}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
