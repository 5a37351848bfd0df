"""What a proof has run: which functions, on which T, steps and shapes.

A proof of an equation says something about a function only if it runs that function. This module
watches the proofs, so that :mod:`ddpm_np.proof.verify` can say what was covered, and a test can
require it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import isclass, signature
from pkgutil import resolve_name
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from ddpm_np.proof.prover import Identity, Proof, prove
from ddpm_np.schedule import Schedule


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


def function_of(name: str) -> FunctionType:
    """The function with a dotted name below ``ddpm_np``; for a class, what calling its objects is.

    >>> function_of("forward.q_sample").__name__
    'q_sample'
    """
    found = resolve_name(f"ddpm_np.{name}")
    if isclass(found):
        found = vars(found).get("__call__", vars(found).get("__init__"))
    function: FunctionType = getattr(found, "__func__", found)
    return function


@contextmanager
def watching(names: Iterable[str]) -> Iterator[dict[str, Coverage]]:
    """What the named functions are called with in the meantime; clear it to begin anew.

    Each function gets other code, which notes the arguments and then runs the function's own, so
    that the calls are seen wherever the function was imported. Only these calls are slowed down.
    """
    covered: dict[str, Coverage] = {}
    functions = {name: function_of(name) for name in dict.fromkeys(names)}
    codes = {name: function.__code__ for name, function in functions.items()}
    for name, function in functions.items():
        function.__code__ = _noting(name, function, covered)
    try:
        yield covered
    finally:
        for name, function in functions.items():
            function.__code__ = codes[name]


def watched_proof(
    identity: Identity, covered: dict[str, Coverage]
) -> tuple[Proof, dict[str, Coverage]]:
    """The proof of the identity, and what it covers; ``covered`` comes from :func:`watching`."""
    covered.clear()
    return prove(identity), dict(covered)


def _noting(name: str, function: FunctionType, covered: dict[str, Coverage]) -> CodeType:
    """Code that notes a call of the function and then runs the function as it is now."""
    original = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    original.__kwdefaults__ = function.__kwdefaults__
    parameters = signature(original)

    def note(*arguments: Any, **named: Any) -> Any:
        bound = parameters.bind(*arguments, **named).arguments
        covered.setdefault(name, Coverage()).add(bound)
        return original(*arguments, **named)

    # A function's code can only be replaced by code without other free variables, so that what is
    # to be called stands among its constants.
    constants = tuple(note if c == "note" else c for c in _call.__code__.co_consts)
    return _call.__code__.replace(co_consts=constants)


def _call(*arguments: Any, **named: Any) -> Any:
    called: Any = "note"
    return called(*arguments, **named)
