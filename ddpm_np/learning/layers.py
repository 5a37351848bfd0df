"""The parts of the network, each forward pass beside its backward twin (E15).

Below :mod:`ddpm_np.network`, which puts them together: what a hidden layer is, its activation and the derivative, the rows of a table
at the steps of a batch and the sum that undoes them, and arrays that are used again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ddpm_np._checks import Array, Steps, count, fraction

__all__ = ["Layer", "Scratch", "StepGroups", "activate", "activate_backward", "fresh", "rows_at"]

ACTIVATIONS = ("leaky_relu", "silu", "identity")
CONDITIONS = ("gate", "shift", "none")


@dataclass(frozen=True)
class Layer:
    """One hidden layer: its width, its activation, and what the step t does to it.

    activation: "leaky_relu" (z, or leak z for z < 0), "silu" or "identity". step: "gate" (learned gate and shift per step and unit,
    which make a bias superfluous), "shift" (bias, and a learned step embedding added), "none" (bias only).
    """

    width: int
    activation: str = "leaky_relu"
    step: str = "gate"
    leak: float = 0.1

    def __post_init__(self) -> None:
        count("width", self.width)
        fraction("leak", self.leak)
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {self.activation!r}")
        if self.step not in CONDITIONS:
            raise ValueError(f"step must be one of {', '.join(CONDITIONS)}, got {self.step!r}")


class Scratch(threading.local):
    """Arrays that are handed out again under the same name, so that a training loop allocates nothing.

    Pass the same one to ``forward`` and ``backward`` of every iteration; what they returned before is then overwritten. Each thread
    gets arrays of its own. Large new arrays are new pages of memory, and asking the system for those takes longer than the arithmetic.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, Array] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            size, store = math.prod(shape), None if array is None else array.base
            if store is None or store.size < size or store.dtype != dtype:
                store = np.empty(size, dtype)
            array = self._arrays[name] = store[:size].reshape(shape)
        return array


def fresh(name: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """A new array each time: what stands in for a scratch where none is given."""
    return np.empty(shape, dtype)


def rows_at(table: Array, t: Steps, out: Array) -> Array:
    """table[t]: one row for an int, else a row for each entry of t."""
    # t was checked; mode="clip" spares np.take the copy it makes to be able to raise.
    return table[t] if isinstance(t, int) else np.take(table, t, axis=0, out=out, mode="clip")


def activate(layer: Layer, z: Array, l: int, new: Callable[..., Array]) -> tuple[Array, Any]:
    """h = act(z), in the place of z, and what its derivative needs."""
    if layer.activation == "leaky_relu":
        # max(z, leak z), because a choice by np.where costs a mispredicted branch for every other number
        return np.maximum(z, np.multiply(z, layer.leak, out=new("leak", z.shape, z.dtype)), out=z), z
    if layer.activation == "silu":
        # silu(z) = z s with s = sigmoid(z) = (1 + tanh(z / 2)) / 2, which cannot overflow
        s = np.multiply(z, 0.5, out=new(f"s{l}", z.shape, z.dtype))
        np.tanh(s, out=s)
        s *= 0.5
        s += 0.5
        z *= s
        return z, (z, s)
    return z, None


def activate_backward(layer: Layer, d_h: Array, kept: Any, new: Callable[..., Array]) -> Array:
    """d_z = act'(z) d_h, in the place of d_h."""
    if layer.activation == "leaky_relu":
        # the slope is 1 or leak as h > 0 or not
        slope = np.greater(kept, 0, out=new("slope", d_h.shape, d_h.dtype))
        slope *= 1 - layer.leak
        slope += layer.leak
        d_h *= slope
    elif layer.activation == "silu":
        # silu' = s + z s (1 - s) = s (1 - h) + h
        h, s = kept
        slope = np.subtract(1, h, out=new("slope", d_h.shape, d_h.dtype))
        slope *= s
        slope += h
        d_h *= slope
    return d_h


class StepGroups:
    """Sums the rows of a batch that share a step: the backward of table[t], where ``table[t] += rows`` would lose repeats.

    Takes the first row of every group, adds their second rows, and so on; the groups stand in the order of their size, so that those
    that have an r-th row come first. That is one addition for each row of the largest group; where there are fewer groups than that,
    each is summed by itself.
    """

    def __init__(self, t: Steps, n: int) -> None:
        t = np.full(n, t) if isinstance(t, int) else t
        self.alone = bool((t[1:] > t[:-1]).all())
        if self.alone:
            self.present = t
            return
        self.order = None if (t[1:] >= t[:-1]).all() else np.argsort(t, kind="stable")
        t = t if self.order is None else t[self.order]
        edges = np.flatnonzero(np.concatenate(([True], t[1:] != t[:-1], [True])))
        first, size = edges[:-1], edges[1:] - edges[:-1]
        self.few = size.max() > len(first)
        if self.few:
            self.present, self.groups = t[first], [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]
            return
        by_size = np.argsort(-size, kind="stable")
        first, size = first[by_size], size[by_size]
        self.present, self.ranks = t[first], [first[size > r] + r for r in range(size[0])]
        if self.order is not None:
            self.ranks = [self.order[rank] for rank in self.ranks]

    def sum_rows(self, rows: Array, out: Array) -> None:
        out[:] = 0
        if self.alone:
            out[self.present] = rows
            return
        if self.few:
            rows = rows if self.order is None else rows[self.order]
            for t, group in zip(self.present, self.groups):
                np.add.reduce(rows[group], axis=0, out=out[t])
            return
        total = rows.take(self.ranks[0], axis=0)
        for rank in self.ranks[1:]:
            total[: len(rank)] += rows.take(rank, axis=0)
        out[self.present] = total
