"""The long hunt for what breaks files, runs, command lines and functions; CI runs short forms.

    python tests/hostile.py files 2000       # damaged checkpoints
"""

from __future__ import annotations

import random


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with one kind of damage: cut, flipped, overwritten, repeated or mixed up."""
    i, j = sorted(rng.randrange(len(content)) for _ in range(2))
    j = min(j, i + 200)
    kind = rng.randrange(6)
    if kind == 0:
        return content[:i]
    if kind == 1:
        return content[:i] + bytes([content[i] ^ (1 << rng.randrange(8))]) + content[i + 1 :]
    if kind == 2:
        return content[:i] + rng.randbytes(j - i) + content[j:]
    if kind == 3:
        return content[:i] + content[j:]
    if kind == 4:
        return content[:j] + content[i:]
    return content[:i] + rng.choice([b"\0", b"\xff"]) * (j - i) + content[j:]
