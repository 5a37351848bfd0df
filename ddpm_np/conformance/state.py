"""The state of somebody's object: kept before the checks, put back after them.

A place is where a value is held: an attribute, an entry of a dict or a list, a class attribute, a
module's global or a cell of a closure.
"""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ddpm_np.conformance.arrays import FAULTS, from_numpy, library_of, read, to_numpy

LIBRARIES = ("torch", "diffusers", "jax", "jaxlib", "flax", "numpy", "builtins", "huggingface_hub")
_LARGEST = 1_000_000  # entries; what is larger is a network's weight


class Place(NamedTuple):
    """A holder, the key in it, and a name for people."""

    holder: Any
    key: Any
    name: str

    @property
    def value(self) -> Any:
        """What is there now."""
        if isinstance(self.holder, types.CellType):
            return self.holder.cell_contents
        return (vars(self.holder) if isinstance(self.holder, type) else self.holder)[self.key]

    def put(self, value: Any) -> None:
        """Puts a value there, past every ``__setattr__``."""
        if isinstance(self.holder, types.CellType):
            self.holder.cell_contents = value
        elif isinstance(self.holder, type):
            setattr(self.holder, self.key, value)
        elif isinstance(self.holder, dict):
            dict.__setitem__(self.holder, self.key, value)
        else:
            self.holder[self.key] = value


def own_classes(obj: Any) -> list[type]:
    """The classes of an object that are its author's."""
    return [c for c in type(obj).__mro__ if c.__module__.partition(".")[0] not in LIBRARIES]


def places(obj: Any, depth: int = 3) -> Iterator[Place]:
    """The places in an object, in its classes and in the objects it holds."""
    seen: set[int] = set()
    stack = [(obj, "", depth)]
    while stack:
        thing, name, left = stack.pop()
        if id(thing) in seen or len(seen) > 2000:
            continue
        seen.add(id(thing))
        holders: list[Any] = [thing] if isinstance(thing, (dict, list)) else []
        if not holders and not isinstance(thing, (type, types.ModuleType, types.FunctionType)):
            attributes = read(thing, "__dict__")
            holders += [attributes] if isinstance(attributes, dict) else []
            holders += own_classes(thing) if thing is obj or holders else []
        for holder in holders:
            keys = range(len(holder)) if isinstance(holder, list) else list(_entries(holder))
            for key in keys[:500]:
                place = Place(holder, key, f"{name}.{key}".lstrip("."))
                yield place
                if left and library_of(place.value) is None:
                    stack.append((place.value, place.name, left - 1))


def _entries(holder: Any) -> Any:
    entries = vars(holder) if isinstance(holder, type) else holder
    return [k for k in entries if not (isinstance(k, str) and k.startswith("__"))]


def code_places(functions: list[Any]) -> Iterator[Place]:
    """The globals and the closures of some functions."""
    seen: set[int] = set()
    for function in functions:
        while function is not None:
            plain = read(function, "__func__", function)
            for cell in read(plain, "__closure__") or ():
                try:
                    yield Place(cell, None, "a closure")
                    if isinstance(cell.cell_contents, types.FunctionType):
                        yield from code_places([cell.cell_contents])
                except ValueError:  # an empty cell
                    continue
            space = read(plain, "__globals__")
            if isinstance(space, dict) and id(space) not in seen:
                seen.add(id(space))
                yield from (Place(space, key, str(key)) for key in list(space))
            function = read(plain, "__wrapped__")


class Snapshot:
    """The values at all places of an object, with copies of its arrays and generators."""

    def __init__(self, obj: Any, T: int = 0) -> None:
        self._before: list[tuple[Place, Any]] = []
        self._keys: list[tuple[Any, set[Any]]] = []
        self._copies: dict[int, tuple[Any, Any]] = {}
        self._states = [_state_of(g) for g in _global_generators()]
        self._tables: list[tuple[Place, Any]] = []
        holders: dict[int, Any] = {}
        for place in places(obj):
            value = place.value
            self._before.append((place, value))
            if isinstance(place.holder, dict):
                holders[id(place.holder)] = place.holder
            if library_of(value) in ("numpy", "torch") and value.size != 0:
                if _size(value) <= _LARGEST:
                    self._copies[id(value)] = (value, np.array(to_numpy(value)))
                if T and any(abs(n - T) <= 1 for n in value.shape) and _size(value) < 10 * T + 20:
                    self._tables.append((place, value))
            elif (state := _state_of(value)) is not None:
                self._states.append(state)
        self._keys = [(holder, set(holder)) for holder in holders.values()]

    def changed_table(self) -> str | None:
        """The name of a table that is no longer what it was, which is then put back."""
        for place, value in self._tables:
            now, (_, copy) = _safely(place), self._copies[id(value)]
            if now is value and _same(value, copy):
                continue
            if library_of(now) is not None and _same(now, copy) and _kind(now) == _kind(value):
                continue  # another array with the same numbers, on another device for instance
            what = "changes"
            if library_of(now) is not None and _kind(now) != _kind(value):
                what = f"casts to {_kind(now)}"
            self.restore()
            return f"{what} the table {place.name} of the object"
        return None

    def restore(self) -> None:
        """Puts everything back."""
        for value, copy in self._copies.values():
            if not _same(value, copy):
                try:
                    if library_of(value) == "torch":
                        value.data.copy_(from_numpy(copy, "torch"))
                    else:
                        value[...] = copy
                except FAULTS:
                    continue
        for holder, keys in self._keys:
            for key in set(holder) - keys:
                if not (isinstance(key, str) and key.startswith("__")):
                    dict.pop(holder, key, None)
        for place, value in self._before:
            if _safely(place) is not value:
                try:
                    place.put(value)
                except FAULTS:
                    continue
        for put, state in filter(None, self._states):
            put(state)


def _safely(place: Place) -> Any:
    try:
        return place.value
    except FAULTS:
        return None


def _size(value: Any) -> int:
    return int(np.prod(value.shape))


def _kind(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _same(value: Any, copy: Any) -> bool:
    now = to_numpy(value)
    return now.shape == copy.shape and (
        now.tobytes() == copy.tobytes()
        or np.array_equal(now, copy, equal_nan=now.dtype.kind == "f")
    )


def _global_generators() -> list[Any]:
    torch = sys.modules.get("torch")
    return [np.random, random, *([torch] if torch is not None else [])]


def _state_of(g: Any) -> tuple[Callable[[Any], Any], Any] | None:
    """How to set the state of a generator of random numbers, and its state."""
    if isinstance(g, np.random.Generator):
        bits = g.bit_generator
        return (lambda state: setattr(bits, "state", state)), bits.state
    if isinstance(g, random.Random) or g is random:
        return g.setstate, g.getstate()
    if isinstance(g, np.random.RandomState) or g is np.random:
        return g.set_state, g.get_state()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(g, torch.Generator):
        return g.set_state, g.get_state().clone()
    return (g.set_rng_state, g.get_rng_state()) if torch is not None and g is torch else None
