"""The parts of a layer, each beside its derivative (E15).

:mod:`ddpm_np.network` puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ddpm_np._checks import Array, Steps, count, fraction

__all__ = ["Layer", "activate", "activation_slope", "sum_by_step"]

ACTIVATIONS = ("leaky_relu", "silu", "identity")
CONDITIONS = ("gate", "shift", "none")


@dataclass(frozen=True)
class Layer:
    """One hidden layer: its width, its activation, and how the step t enters.

    activation: "leaky_relu" (z, or leak z where z < 0), "silu" or "identity".
    step: "gate" (a learned gate and shift for each step and unit, in place of a bias), "shift"
    (a bias, and a learned embedding of the step that is added) or "none" (a bias only).
    """

    width: int
    activation: str = "leaky_relu"
    step: str = "gate"
    leak: float = 0.1

    def __post_init__(self) -> None:
        count("width", self.width)
        fraction("leak", self.leak)
        if self.activation not in ACTIVATIONS:
            names = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation must be one of {names}, got {self.activation!r}")
        if self.step not in CONDITIONS:
            names = ", ".join(CONDITIONS)
            raise ValueError(f"step must be one of {names}, got {self.step!r}")


def activate(layer: Layer, z: Array) -> Array:
    """h = act(z)."""
    if layer.activation == "leaky_relu":
        return np.maximum(z, layer.leak * z)
    if layer.activation == "silu":
        return z * _sigmoid(z)
    return z


def activation_slope(layer: Layer, z: Array) -> Array | float:
    """act'(z). The leaky ReLU has the slope ``leak`` at z = 0."""
    if layer.activation == "leaky_relu":
        return np.where(z > 0, 1, layer.leak).astype(z.dtype)
    if layer.activation == "silu":
        s = _sigmoid(z)
        return s * (1 + z * (1 - s))  # from s' = s (1 - s)
    return 1


def _sigmoid(z: Array) -> Array:
    return (1 + np.tanh(z / 2)) / 2  # 1 / (1 + exp(-z)), without overflow


def sum_by_step(rows: Array, t: Steps, size: int) -> Array:
    """The backward pass of ``table[t]``: row s of the result sums the rows whose step is s.

    rows: (n, width); t: an int or (n,). Returns (size, width). A step may occur several times,
    so ``table[t] += rows`` would be wrong: it keeps one row of each step.
    """
    table = np.zeros((size, rows.shape[1]), rows.dtype)
    np.add.at(table, np.broadcast_to(t, len(rows)), rows)
    return table
