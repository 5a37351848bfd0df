"""What a proof has run: which functions, on which T, steps and shapes.

A proof of an equation says something about a function only if it runs that function. This module
watches the proofs, so that :mod:`ddpm_np.proof.verify` can say what was covered, and a test can
require it. Checked by: tests/proof/test_coverage.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import isclass
from pkgutil import resolve_name
from types import CodeType, FrameType
from typing import Any

import numpy as np

from ddpm_np.proof.prover import Identity, Proof, prove
from ddpm_np.schedule import Schedule

__all__ = ["Coverage", "codes", "watched_proof"]


@dataclass
class Coverage:
    """On what a function was run: T of the schedules, kinds of t, shapes of the arrays."""

    calls: int = 0
    T: set[int] = field(default_factory=set)
    t: set[str] = field(default_factory=set)
    shapes: set[tuple[int, ...]] = field(default_factory=set)

    def __str__(self) -> str:
        parts = []
        if self.T:
            low, high = min(self.T), max(self.T)
            parts.append(f"T = {low}" if low == high else f"T = {low} to {high}")
        if self.t:
            parts.append("t " + " and ".join(sorted(self.t, reverse=True)))
        shapes = sorted(self.shapes, key=lambda shape: (len(shape), shape))
        if shapes:
            parts.append(f"shapes {' '.join(str(shape) for shape in shapes)}")
        return ", ".join(parts) or "scalars"

    def add(self, arguments: Mapping[str, Any]) -> None:
        """One more call, with these arguments."""
        self.calls += 1
        for name, value in arguments.items():
            if name == "self" and not isinstance(value, Schedule):
                value = getattr(value, "schedule", None)
            if isinstance(value, Schedule):
                self.T.add(getattr(value, "T", 0) or 0)
            elif name in ("t", "steps"):
                self.t.add("as an array" if isinstance(value, np.ndarray) else "as an int")
            elif isinstance(value, np.ndarray) and value.ndim:
                self.shapes.add(value.shape)
        self.T.discard(0)

    def join(self, other: Coverage) -> None:
        """Also what the other covers."""
        self.calls += other.calls
        for mine, theirs in ((self.T, other.T), (self.t, other.t), (self.shapes, other.shapes)):
            mine.update(theirs)  # type: ignore[arg-type]


def codes(name: str) -> set[CodeType]:
    """The code behind a dotted name below ``ddpm_np``; for a class, that of calling its objects.

    >>> len(codes("forward.q_sample"))
    1
    """
    module, *rest = name.split(".")
    found = resolve_name(f"ddpm_np.{name}")
    if isclass(found):
        found = getattr(found, "__call__") if "__call__" in vars(found) else found.__init__
    found = getattr(found, "__func__", found)
    return {found.__code__}


@lru_cache
def _by_code(names: frozenset[str]) -> dict[CodeType, str]:
    return {code: name for name in names for code in codes(name)}


def watched_proof(identity: Identity, names: Iterable[str]) -> tuple[Proof, dict[str, Coverage]]:
    """The proof of the identity, and what it has covered of the named functions."""
    of_code = _by_code(frozenset(names))
    covered: dict[str, Coverage] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code in of_code:
            covered.setdefault(of_code[frame.f_code], Coverage()).add(frame.f_locals)

    before = sys.gettrace()
    sys.settrace(watch)  # called for each call; it returns nothing, so not for each line
    try:
        proof = prove(identity)
    finally:
        sys.settrace(before)
    return proof, covered
