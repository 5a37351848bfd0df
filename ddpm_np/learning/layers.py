"""The parts of a layer, each beside its derivative (E15).

:mod:`ddpm_np.network` puts them together.
"""

from dataclasses import dataclass

import numpy as np

from ddpm_np._checks import (
    Array,
    Number,
    Steps,
    check_array,
    check_choice,
    check_count,
    check_fraction,
)

ACTIVATIONS = ("leaky_relu", "silu", "identity")
CONDITIONS = ("gate", "shift", "none")
FAINT = -12.0  # ln of an SNR


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
    leak: Number = 0.1

    def __post_init__(self) -> None:
        check_count("width", self.width)
        check_fraction("leak", self.leak)
        check_choice("activation", self.activation, *ACTIVATIONS)
        check_choice("step", self.step, *CONDITIONS)


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


def rows_at(table: Array, t: Steps, basis: Array | None) -> Array:
    """table[t], or with a basis its combination of the table's rows, basis[t] table."""
    return table[t] if basis is None else basis[t] @ table


def sum_by_step(rows: Array, t: Steps, size: int, basis: Array | None = None) -> Array:
    """The backward pass of :func:`rows_at`: row s of the result sums the rows whose step is s.

    rows: (n, width); t: an int or (n,). Returns (size, width), or with a basis (K, width), which is
    basis[t]^T rows. A step may occur several times, so ``table[t] += rows`` would be wrong: it
    keeps one row of each step.
    """
    t = np.broadcast_to(t, len(rows))
    if basis is not None:
        return basis[t].T @ rows
    table = np.zeros((size, rows.shape[1]), rows.dtype)
    np.add.at(table, t, rows)
    return table


def step_basis(one_minus_alpha_bar: Array, size: int) -> Array:
    """Hat functions of the log SNR, (T + 1, size): what a gate needs few numbers for.

    With u_t = ln(alpha_bar_t / (1 - alpha_bar_t)), mapped to 0..size - 1 from T to 1,
    basis[t, k] = max(0, 1 - |u_t - k|): linear between ``size`` values, equally far apart. Each
    row sums to 1, so equal values give a constant. Row 0 is 0. A log SNR below FAINT counts as
    FAINT: there x_t is noise to 0.3 %, and a gate that changes has nothing to act on.
    """
    noise = check_array("one_minus_alpha_bar", one_minus_alpha_bar, ndim=1)[1:]
    size = check_count("size", size, low=2)
    with np.errstate(divide="ignore"):  # 1 - alpha_bar may round to 1
        log_snr = np.maximum(np.log1p(-noise) - np.log(noise), FAINT)
    u = (size - 1) * (log_snr - log_snr[-1]) / (log_snr[0] - log_snr[-1] or 1)
    hats = np.maximum(0, 1 - np.abs(u[:, None] - np.arange(size)))
    return np.vstack([np.zeros(size), hats])
