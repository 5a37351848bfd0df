"""A U-Net for small pictures, with its gradient written by hand (E15).

The notes use a U-Net for their pictures without saying what it is. It looks at a picture at several
sizes: 3 x 3 convolutions at full size, at half, at a quarter, and on the way back up each size also
sees what was there on the way down. A layer is

    u = h * kernel,    z = gate[t] u + shift[t],    h <- z sigmoid(z) [+ h],

with one gate and one shift for each step and channel, as in :class:`ddpm_np.network.MLP`. SiLU in
place of its leaky ReLU halves what the loss has above its floor here. A layer that leaves the
number of channels as it is adds its input, so that it learns a change. The network is a list of
operations, "layer", "down" and "up"; the forward pass walks along it and the backward pass walks
back. Their parts are in :mod:`ddpm_np.learning.convolution`. There is no normalisation and no
attention.

The prediction is eps_hat = skip[t] x_t + gain[t] F(x_t, t), with the numbers of
:func:`preconditioning`: the first term is the best linear guess, and F has to learn a target whose
size is the same at every step.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import (
    Array,
    Steps,
    check_count,
    check_flag,
    check_generator,
    check_instance,
    check_list,
    check_positive,
)
from ddpm_np.learning.convolution import (
    convolve,
    double,
    double_backward,
    from_pictures,
    halve,
    halve_backward,
    join,
    join_backward,
    kernel_backward,
    neighbours,
    to_pictures,
    turned,
)
from ddpm_np.learning.layers import rows_at, sum_by_step
from ddpm_np.learning.parameters import Layout, Network, Parameter, Parameters
from ddpm_np.schedule import Schedule

MOST_LAYERS = 1000  # at each size; a damaged file could ask for more than there is time for


def preconditioning(schedule: Schedule, mean_square: float) -> tuple[Array, Array]:
    r"""skip and gain of eps_hat = skip[t] x_t + gain[t] F, each (T + 1,) float64, index t.

    v_t = alpha_bar_t s^2 + 1 - alpha_bar_t,
    skip_t = sqrt(1 - alpha_bar_t) / v_t,    gain_t = sqrt(alpha_bar_t s^2 / v_t)

    From: for x_0 of mean square s^2 per pixel, skip_t x_t is the best multiple of x_t as a guess of
    eps, and what is left has the mean square gain_t^2. F then has the size 1 at every t.
    Source: Karras et al. 2022, section 5, in terms of eps. mean_square: s^2, above 0. Entry 0
    belongs to no noise and is never used.
    """
    mean_square = check_positive("mean_square", mean_square)
    signal = check_instance("schedule", schedule, Schedule).alpha_bar * mean_square
    v = signal + schedule.one_minus_alpha_bar
    return np.sqrt(schedule.one_minus_alpha_bar) / v, np.sqrt(signal / v)


class UNet(Network):
    """Predicts eps from (x_t, t) for square pictures of one channel (E15).

    Source: N2 "反扩散的样例"; Ronneberger et al. 2015.

    Parameters
    ----------
    size : pixels along an edge; a picture is a vector of length size * size, row after row
    T : number of steps
    widths : channels at full size, at half, at a quarter, and so on
    layers : 3 x 3 convolutions at each size, on the way down and again on the way up
    rng : draws the initial kernels
    dtype : float32, or float64 for checks
    skip, gain : (T + 1,) each, index t, not trained, or None for 0 and 1: :func:`preconditioning`
    basis : (T + 1, K), or None; gates and shifts are basis[t] times K rows, in place of a row for
        each step: :func:`~ddpm_np.learning.layers.step_basis`
    wrap : what is beyond the edge is the opposite side, and not zeros

    Attributes
    ----------
    params : W1 (3, 3 * 1, width), gate1 and shift1 (T + 1, width), index t, row 0 never used, or
        (K, width) with a basis; then layer 2, and so on; last W (width, 1) and b (1,), the output
        of each pixel, which start as 0

    With one width there is no other size: ``layers`` convolutions in a row, and each output pixel
    sees a patch of 2 layers + 1 pixels along an edge. ValueError for a size that cannot be halved
    as often as asked.
    """

    kind: ClassVar[str] = "unet"

    def __init__(
        self,
        size: int,
        T: int,
        *,
        widths: Sequence[int] = (16, 32, 64),
        layers: int = 2,
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
        skip: ArrayLike | None = None,
        gain: ArrayLike | None = None,
        basis: ArrayLike | None = None,
        wrap: bool = False,
    ) -> None:
        self._set_up(size, T, widths, layers, dtype, skip, gain, basis, wrap)
        rng = check_generator(rng)
        self._allocate()
        self._initialise(rng)

    def _set_up(
        self,
        size: int,
        T: int,
        widths: Sequence[int],
        layers: int,
        dtype: DTypeLike,
        skip: ArrayLike | None,
        gain: ArrayLike | None,
        basis: ArrayLike | None,
        wrap: bool,
    ) -> None:
        self.size = check_count("size", size)
        self._set_sizes(self.size**2, T, dtype)
        widths = check_list("widths", widths, "width")
        self.widths = tuple(check_count("widths", width) for width in widths)
        self.layers, self.wrap = check_count("layers", layers), check_flag("wrap", wrap)
        if self.layers > MOST_LAYERS:
            raise ValueError(f"layers must be at most {MOST_LAYERS}, got {layers}")
        halvings = len(self.widths) - 1
        if self.size % 2**halvings:
            raise ValueError(
                f"size must be divisible by {2**halvings} to be halved {halvings} times, as "
                f"{len(self.widths)} widths ask, got {size}"
            )
        self.skip, self.gain = self._table("skip", skip), self._table("gain", gain)
        self.basis = self._table("basis", basis, ndim=2)
        self._plan = self._operations()

    def _operations(self) -> list[tuple[str, int, int]]:
        """Each operation and two numbers, its input and its output channels.

        For "up" the output counts the channels that are joined.
        """
        plan: list[tuple[str, int, int]] = []
        channels = 1

        def convolutions(inputs: int, width: int) -> int:
            for _ in range(self.layers):
                plan.append(("layer", inputs, width))
                inputs = width
            return width

        for width in self.widths:
            if plan:
                plan.append(("down", channels, channels))
            channels = convolutions(channels, width)
        for width in reversed(self.widths[:-1]):
            plan.append(("up", channels, channels + width))
            channels = convolutions(channels + width, width)
        return plan

    def _layout(self) -> Layout:
        layout, rows = [], self.T + 1 if self.basis is None else self.basis.shape[1]
        channels = [(inputs, width) for what, inputs, width in self._plan if what == "layer"]
        for l, (inputs, width) in enumerate(channels, 1):
            layout.append(Parameter("W", l, (3, 3 * inputs, width)))
            layout.append(Parameter("gate", l, (rows, width)))
            layout.append(Parameter("shift", l, (rows, width)))
        last = len(channels) + 1
        return *layout, Parameter("W", last, (self.widths[0], 1)), Parameter("b", last, (1,))

    def _initialise(self, rng: np.random.Generator) -> None:
        """Kernels N(0, 2 / inputs) (He et al. 2015), gates 1, shifts and the output 0."""
        for kind, l, shape in self.params.layout:
            values = self.params[f"{kind}{l}"]
            if kind == "gate":
                values[:] = 1
            elif kind == "W" and len(shape) == 3:
                inputs = 3 * shape[1]
                values[:] = np.sqrt(2 / inputs) * rng.standard_normal(shape, self.dtype)

    def forward(self, x: ArrayLike, t: Steps) -> tuple[Array, dict[Any, Any]]:
        """eps_hat (n, dim), and the cache for :meth:`backward`, which holds x itself."""
        x, t = self._checked(x, t)
        t = np.broadcast_to(t, len(x))
        p = self.params
        cache: dict[Any, Any] = {"x": x, "t": t}
        kept: list[Array] = []
        h, l = from_pictures(x, self.size), 0  # (rows, n, columns, channels)
        for what, _, _ in self._plan:
            if what == "down":
                kept.append(h)
                h = halve(h)
            elif what == "up":
                h = join(double(h), kept.pop())
            else:
                l += 1
                u = convolve(neighbours(h, self.wrap), p[f"W{l}"])
                # With z = 2 y, z sigmoid(z) = y (1 + tanh(y)): the 2 goes into the small tables.
                gate = _spread(rows_at(p[f"gate{l}"], t, self.basis) / 2, u)
                y = gate * u
                y += _spread(rows_at(p[f"shift{l}"], t, self.basis) / 2, u)
                s = np.tanh(y)
                s += 1
                act = np.multiply(y, s, out=y)
                cache[l] = h, u, gate, act, s
                h = act + h if h.shape == act.shape else act
        L = l + 1
        F = h.reshape(-1, h.shape[-1]) @ p[f"W{L}"] + p[f"b{L}"]
        F = to_pictures(F.reshape(*h.shape[:3], 1))  # (n, size * size)
        eps_hat = F if self.gain is None else self.gain[t, None] * F
        if self.skip is not None:
            eps_hat = eps_hat + self.skip[t, None] * x
        cache["h"] = h
        return eps_hat, cache

    def backward(self, d_eps_hat: ArrayLike, cache: dict[Any, Any]) -> Parameters:
        """The gradient of a loss for every parameter, from its gradient for eps_hat."""
        d_eps_hat, g = self._checked_gradient(d_eps_hat, cache["x"])
        p, t, h = self.params, cache["t"], cache["h"]
        l = sum(what == "layer" for what, _, _ in self._plan)
        L, kept = l + 1, list[Array]()
        # eps_hat = skip[t] x + gain[t] F,  F = h W + b
        d_F = d_eps_hat if self.gain is None else self.gain[t, None] * d_eps_hat
        d_F = from_pictures(d_F, self.size).reshape(-1, 1)
        g[f"b{L}"][:] = d_F.sum(axis=0)
        g[f"W{L}"][:] = h.reshape(-1, h.shape[-1]).T @ d_F
        d = (d_F @ p[f"W{L}"].T).reshape(h.shape)  # (rows, n, columns, channels)
        for what, inputs, channels in reversed(self._plan):
            if what == "down":
                d = halve_backward(d) + kept.pop()
            elif what == "up":
                d, d_kept = join_backward(d, inputs)
                kept.append(d_kept)
                d = double_backward(d)
            else:
                h, u, gate, act, s = cache[l]
                # act = y s,  s = 1 + tanh(y):  d act / dy = s + y s (2 - s) = s + act (2 - s)
                d_y = 2 - s
                d_y *= act
                d_y += s
                d_y *= d
                # y = (gate[t] u + shift[t]) / 2
                for name, d_row in (("shift", d_y), ("gate", u * d_y)):
                    rows = d_row.sum(axis=0).sum(axis=1) / 2  # (n, channels)
                    g[f"{name}{l}"][:] = sum_by_step(rows, t, self.T + 1, self.basis)
                d_y *= gate
                # u = h * kernel
                wide = neighbours(d_y, self.wrap)  # of d_u
                kernel_backward(wide, h, g[f"W{l}"])
                if l > 1:
                    d_h = convolve(wide, turned(p[f"W{l}"]))
                    d = np.add(d, d_h, out=d_h) if inputs == channels else d_h
                l -= 1
        return g

    def __repr__(self) -> str:
        widths = "-".join(str(width) for width in self.widths)
        return (
            f"UNet({self.size} x {self.size}, {widths}, T={self.T}, {self.flat.size} parameters, "
            f"{self.dtype.name})"
        )


def _spread(rows: Array, u: Array) -> Array:
    """One row of channels for each picture, (n, channels), repeated along the picture's columns.

    NumPy then multiplies long rows; along an axis of length 1 it would take few numbers at a time.
    """
    return np.repeat(rows[:, None], u.shape[2], axis=1)
