"""The state of somebody's object: kept before the checks, put back after them.

A place is where a value is held: an attribute, an entry of a dict, a list or a tuple, a class
attribute, a module's global or a cell of a closure.
"""

import contextlib
import random
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ddpm_np.conformance.arrays import dtype_name, from_numpy, library_of, read, to_numpy

LIBRARIES = ("torch", "diffusers", "jax", "jaxlib", "flax", "numpy", "builtins", "huggingface_hub")
_LARGEST = 1_000_000  # entries; what is larger is a network's weight


class Place(NamedTuple):
    """A holder, the key in it, and a name for people."""

    holder: Any
    key: Any
    name: str

    @property
    def value(self) -> Any:
        """What is there now; None where it cannot be read."""
        with contextlib.suppress(Exception):
            if isinstance(self.holder, (dict, list, tuple)):
                return self.holder[self.key]
            own = vars(self.holder) if isinstance(self.holder, type) else {}
            return own[self.key] if self.key in own else getattr(self.holder, self.key)
        return None

    def put(self, value: Any) -> None:
        """Puts a value there, past every ``__setattr__``; a tuple keeps what it has."""
        if isinstance(self.holder, dict):
            dict.__setitem__(self.holder, self.key, value)
        elif isinstance(self.holder, list):
            self.holder[self.key] = value
        elif isinstance(self.holder, (type, types.CellType)):
            setattr(self.holder, self.key, value)
        elif not isinstance(self.holder, tuple):
            object.__setattr__(self.holder, self.key, value)

    def drop(self) -> None:
        """Takes away what was not there before."""
        if isinstance(self.holder, dict):
            dict.pop(self.holder, self.key)
        elif isinstance(self.holder, type):
            delattr(self.holder, self.key)


def _theirs(thing: Any) -> bool:
    """Whether a class, a module or a function is its author's, and not a library's."""
    module = thing.__name__ if isinstance(thing, types.ModuleType) else thing.__module__
    return str(module).partition(".")[0] not in LIBRARIES


def own_classes(obj: Any) -> list[type]:
    """The classes of an object that are its author's."""
    return [c for c in type(obj).__mro__ if _theirs(c)]


def _inside(thing: Any, whole: bool) -> Iterator[tuple[Any, Any]]:
    """The holders in a thing, each with its keys."""
    if isinstance(thing, (list, tuple)):
        yield thing, range(len(thing))
    elif isinstance(thing, dict):
        yield thing, list(thing)
    elif not isinstance(thing, (type, types.ModuleType, types.FunctionType)):
        attributes = read(thing, "__dict__")
        if isinstance(attributes, dict):
            yield attributes, list(attributes)
        slots = [n for c in type(thing).__mro__ for n in vars(c).get("__slots__", ()) if n]
        if _theirs(type(thing)):
            yield thing, [n for n in slots if hasattr(thing, n)]
        if whole or isinstance(attributes, dict):
            yield from ((c, list(vars(c))) for c in own_classes(thing))


def places(obj: Any, depth: int = 3) -> Iterator[Place]:
    """The places in an object, in its classes and in the objects it holds."""
    seen: set[int] = set()
    stack = [(obj, "", depth)]
    while stack:
        thing, name, left = stack.pop()
        if id(thing) in seen or len(seen) > 2000:
            continue
        seen.add(id(thing))
        for holder, keys in _inside(thing, thing is obj):
            for key in keys[:500]:
                if isinstance(key, str) and key.startswith("__"):
                    continue
                place = Place(holder, key, f"{name}.{key}".lstrip("."))
                yield place
                if left and library_of(place.value) is None:
                    stack.append((place.value, place.name, left - 1))


def places_of_code(obj: Any, functions: list[Any] | None = None) -> Iterator[Place]:
    """The globals and the closures of an object's functions, and of those that they call."""
    own = [f for c in own_classes(obj) for f in vars(c).values()]
    stack = [*(functions or ()), *own, *(read(obj, "__dict__") or {}).values()]
    seen: set[int] = set()
    while stack:
        function = stack.pop()
        function = read(function, "__func__", function)
        stack += [f for f in (read(function, "__wrapped__"), read(function, "func")) if f]
        if id(function) in seen or not isinstance(function, types.FunctionType):
            continue
        seen.add(id(function))
        space, code = function.__globals__, function.__code__
        used = [space[n] for n in code.co_names if n in space]
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell
                used.append(cell.cell_contents)
                yield Place(cell, "cell_contents", "a closure")
        for held in used:
            if isinstance(held, (dict, list, tuple)):
                yield from places(held, depth=1)
        spaces = [space, *(vars(m) for m in used if isinstance(m, types.ModuleType) and _theirs(m))]
        stack += [f for f in used if isinstance(f, types.FunctionType) and _theirs(f)]
        stack += [s[n] for s in spaces[1:] for n in code.co_names if n in s]
        for entries in spaces:
            if id(entries) not in seen:
                seen.add(id(entries))
                yield from (Place(entries, key, str(key)) for key in list(entries))


class Snapshot:
    """The values at all places of an object, with copies of its arrays and generators."""

    def __init__(self, obj: Any, T: int) -> None:
        torch = sys.modules.get("torch")
        generators = [np.random, random, *([torch] if torch is not None else [])]
        generators += [place.value for place in places_of_code(obj)]
        self._before: list[tuple[Place, Any]] = []
        self._copies: dict[int, tuple[Any, Any]] = {}
        self._tables: list[tuple[Place, Any]] = []
        for place in places(obj):
            value = place.value
            self._before.append((place, value))
            if library_of(value) not in ("numpy", "torch"):
                generators.append(value)
            elif 0 < _size(value) <= _LARGEST:
                self._copies[id(value)] = (value, np.array(to_numpy(value)))
                if any(abs(n - T) <= 1 for n in value.shape) and _size(value) < 10 * T + 20:
                    self._tables.append((place, value))
        self._states = [state for g in generators if (state := _state_of(g)) is not None]
        self._keys = {id(p.holder): (p.holder, set(_keys(p.holder))) for p, _ in self._before}

    def changed_table(self) -> str | None:
        """The name of a table that is no longer what it was, which is then put back."""
        for place, value in self._tables:
            now, (_, copy) = place.value, self._copies[id(value)]
            what = "changes"
            if library_of(now) is not None and now.dtype != value.dtype:
                what = f"casts to {dtype_name(now)}"
            elif library_of(now) is not None and _same(now, copy):
                continue  # perhaps another array with the same numbers, on another device
            self.restore()
            return f"{what} the table {place.name} of the object"
        return None

    def restore(self) -> None:
        """Puts everything back."""
        for value, copy in self._copies.values():
            if not _same(value, copy):
                with contextlib.suppress(Exception):
                    if library_of(value) == "torch":
                        value.data.copy_(from_numpy(copy, "torch"))
                    else:
                        value[...] = copy
        for holder, keys in self._keys.values():
            for key in _keys(holder) - keys:
                Place(holder, key, "").drop()
        for place, value in self._before:
            if place.value is not value:
                with contextlib.suppress(Exception):
                    place.put(value)
        for put, state in self._states:
            put(state)


def _keys(holder: Any) -> set[Any]:
    found = vars(holder) if isinstance(holder, type) else holder
    return {k for k in found if not str(k).startswith("__")} if hasattr(found, "keys") else set()


def _size(value: Any) -> int:
    return int(np.prod(value.shape))


def _same(value: Any, copy: Any) -> bool:
    now = to_numpy(value)
    return now.shape == copy.shape and now.tobytes() == copy.tobytes()


def _state_of(g: Any) -> tuple[Callable[[Any], Any], Any] | None:
    """How to set the state of a generator of random numbers, and its state."""
    torch = sys.modules.get("torch")
    if isinstance(g, np.random.Generator):
        bits = g.bit_generator
        return (lambda state: setattr(bits, "state", state)), bits.state
    if isinstance(g, random.Random) or g is random:
        return g.setstate, g.getstate()
    if isinstance(g, np.random.RandomState) or g is np.random:
        return g.set_state, g.get_state()
    if torch is not None and isinstance(g, torch.Generator):
        return g.set_state, g.get_state().clone()
    return (g.set_rng_state, g.get_rng_state()) if torch is not None and g is torch else None
