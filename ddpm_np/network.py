"""The network that learns the noise: an MLP with its gradients written by hand (E15).

First room of what is learned. ``forward`` maps (x_t, t) to eps_hat and keeps a cache; ``backward`` walks the same lines bottom-up
and undoes them one by one; the parts stand in :mod:`ddpm_np.learning.layers`, and :mod:`ddpm_np.training` drives it all. For h_0 = x_t and
the hidden layers l = 1..L,

    u_l = h_{l-1} W_l [+ b_l],    z_l = gate_l[t] u_l + shift_l[t],    h_l = act(z_l),
    eps_hat = h_L W_{L+1} + b_{L+1} + skip[t] x_t.

Why the gate, the shift and the skip: for Gaussian data the best prediction is linear in x_t, eps_star = V diag(g(t)) V^T x_t with
gains g_i(t) = sqrt(1 - alpha_bar_t) / (alpha_bar_t lambda_i + 1 - alpha_bar_t) that change with t by orders of magnitude while the
directions V stay. W_1 can turn to the directions, and gate[t] is the gain; a network that only adds a step embedding has to build
this product from bends. The leaky ReLU lets it through: two units of opposite sign give act(z) - act(-z) = (1 + leak) z, a straight
line, and act(c z) = c act(z) for c > 0, so that a gain is a gain at every size of z (silu bends more or less as z grows, and learns
slower here). A leak of 0.1 rather than the usual 0.01 keeps rarely used units learning. The skip is the exact answer where
lambda = 1, g(t) = sqrt(1 - alpha_bar_t), so that a new network starts from a sensible prediction and learns the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import Array, Steps, count, generator, real_array, steps
from ddpm_np.learning.layers import (
    Layer,
    Scratch,
    StepGroups,
    activate,
    activate_backward,
    fresh,
    rows_at,
)

__all__ = ["MLP", "Layer", "Scratch"]

BLOCK = 512  # rows predicted at once


_PREDICTING = Scratch()  # for predictions without a cache: what stands in it is copied out before the next


class MLP:
    """Predicts eps from (x_t, t) (E15); the equations stand at the top of this module.

    Source: the architecture of :meth:`notes` is that of N2 "扩散模型的训练过程"; the step's gate and shift are the conditioning of
    FiLM (Perez et al. 2018), used for diffusion by Dhariwal and Nichol 2021. Checked by: tests/test_network.py.

    Parameters
    ----------
    dim, T : vector length and number of steps
    hidden : widths, or :class:`Layer` objects for anything but gated leaky ReLU layers
    rng : draws the initial weights
    dtype : float32, or float64 for checks
    skip : (T + 1,) gains of x_t in the output, index t, not trained; for data of variance 1 use sqrt(1 - alpha_bar). None: no skip
    zero_output : start with W_{L+1} = 0, so that eps_hat starts as skip[t] x_t

    Attributes
    ----------
    params : read-only mapping of names to the live arrays: writing into an array changes the network
        W1 (dim, width), b1 (width,), gate1 and shift1 (T + 1, width), index t, row 0 never used; then layer 2, and so on.
    flat : all parameters as one vector, of which the arrays in ``params`` are views
    """

    def __init__(
        self, dim: int, T: int, *, hidden: Sequence[int | Layer] = (128, 128), rng: np.random.Generator,
        dtype: DTypeLike = np.float32, skip: ArrayLike | None = None, zero_output: bool = True,
    ) -> None:
        self.dim, self.T = count("dim", dim), count("T", T)
        if isinstance(hidden, (int, Layer)) or not hidden:
            raise ValueError(f"hidden must be a sequence of at least one width or Layer, got {hidden!r}")
        self.hidden = tuple(h if isinstance(h, Layer) else Layer(h) for h in hidden)
        self.dtype = np.dtype(dtype)
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"dtype must be float32 or float64, got {self.dtype}")
        self.skip = None
        if skip is not None:
            self.skip = real_array("skip", skip, ndim=1, dim=self.T + 1).astype(self.dtype)
            self.skip.flags.writeable = False
        self._layout = self._places()
        self.flat = np.empty(self._layout[-1][2], self.dtype)
        self.params = self._views(self.flat)
        self._initialise(generator(rng), zero_output)

    @classmethod
    def notes(cls, dim: int = 50, T: int = 100, *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> MLP:
        """The notes' own network: dim-100-200, the learned step embedding added, 200-100-dim, leaky ReLU between.

        Source: N2 "扩散模型的训练过程" and the program that belongs to it. Widths are 2 dim and 4 dim. There is no activation around
        the embedding, so two linear maps stand side by side there. Initial weights and leak are PyTorch's.
        """
        count("dim", dim)
        leaky = Layer(2 * dim, "leaky_relu", "none", leak=0.01)
        layers = leaky, Layer(4 * dim, "identity", "shift"), leaky
        return cls(dim, T, hidden=layers, rng=rng, dtype=dtype, zero_output=False)

    @property
    def config(self) -> dict[str, Any]:
        """What is needed, besides the parameters, to build this network again, in types that JSON knows."""
        return {
            "dim": self.dim, "T": self.T, "hidden": [asdict(layer) for layer in self.hidden], "dtype": self.dtype.name,
            "skip": None if self.skip is None else [float(v) for v in self.skip],
        }

    def __call__(self, x: ArrayLike, t: Steps) -> Array:
        """eps_hat for x_t (n, dim) at step t: what makes the network a denoiser. Any n, in the memory of one block of rows."""
        x, t = self._checked(x, t)
        out = np.empty(x.shape, self.dtype)
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            out[rows] = self._forward(self.params, x[rows], t if isinstance(t, int) else t[rows], _PREDICTING)[0]
        return out

    def __repr__(self) -> str:
        widths = "-".join(str(w) for w in (self.dim, *(layer.width for layer in self.hidden), self.dim))
        return f"MLP({widths}, T={self.T}, {self.flat.size} parameters, {self.dtype.name})"

    def forward(self, x: ArrayLike, t: Steps, *, scratch: Scratch | None = None) -> tuple[Array, dict[str, Any]]:
        """eps_hat (n, dim) and the cache that :meth:`backward` needs.

        x: (n, dim), cast to the network's dtype; t: an int or (n,) integers, 1 <= t <= T. With a ``scratch``, eps_hat and the cache
        are overwritten by the next call that gets the same one.
        """
        return self._forward(self.params, *self._checked(x, t), scratch or fresh)

    def _checked(self, x: ArrayLike, t: Steps) -> tuple[Array, Steps]:
        x = real_array("x", x, ndim=2, dim=self.dim).astype(self.dtype, copy=False)
        t = steps("t", t, 1, self.T, batch=x.shape[:1])
        if isinstance(t, int) or t.shape == x.shape[:1]:
            return x, t
        if t.ndim > 1:
            raise ValueError(f"t must be an int or one step for each row, got shape {t.shape}")
        return x, np.broadcast_to(t, x.shape[:1])

    def _forward(
        self, p: Mapping[str, Array], x: Array, t: Steps, new: Callable[[str, tuple[int, ...], DTypeLike], Array]
    ) -> tuple[Array, dict[str, Any]]:
        """The forward pass in the dtype of the parameters p, which may be complex: that is how its gradient is checked."""
        n, dtype = len(x), p["W1"].dtype
        cache: dict[str, Any] = {"x": x, "t": t, "new": new}
        h = x
        for l, layer in enumerate(self.hidden, 1):
            shape = n, layer.width
            u = np.matmul(h, p[f"W{l}"], out=new(f"u{l}", shape, dtype))                 # u = h W      (n, width)
            if layer.step == "gate":
                gate = rows_at(p[f"gate{l}"], t, new(f"gate{l}", shape, dtype))
                z = np.multiply(u, gate, out=new(f"z{l}", shape, dtype))                 # z = gate[t] u + shift[t]
                z += rows_at(p[f"shift{l}"], t, new("row", shape, dtype))
            else:
                gate, z = None, u
                z += p[f"b{l}"]                                                          # z = u + b
                if layer.step == "shift":
                    z += rows_at(p[f"shift{l}"], t, new("row", shape, dtype))              #         + shift[t]
            cache[f"in{l}"], cache[f"u{l}"], cache[f"gate{l}"] = h, u, gate
            h, cache[f"act{l}"] = activate(layer, z, l, new)                            # h = act(z)
        last = len(self.hidden) + 1
        out = np.matmul(h, p[f"W{last}"], out=new(f"u{last}", (n, self.dim), dtype))     # eps_hat = h W + b
        out += p[f"b{last}"]
        if self.skip is not None:
            gain = self.skip[t] if isinstance(t, int) else self.skip[t][:, None]
            out += np.multiply(x, gain, out=new("skip", x.shape, dtype))                 #           + skip[t] x
        cache[f"in{last}"] = h
        return out, cache

    def backward(self, d_eps_hat: ArrayLike, cache: dict[str, Any], *, out: Array | None = None) -> Mapping[str, Array]:
        """The gradient of a loss with respect to every parameter, from its gradient with respect to eps_hat.

        d_eps_hat: (n, dim); cache: from :meth:`forward`, with the parameters unchanged since. Each line undoes the line of the
        forward pass named at its right. Returns a mapping with the keys of ``params``; its arrays are views of one new vector, or
        of ``out`` (like ``flat``), which is overwritten.
        """
        d = real_array("d_eps_hat", d_eps_hat, ndim=2, dim=self.dim, finite=False).astype(self.dtype, copy=False)
        if d.shape != cache["x"].shape:
            raise ValueError(f"d_eps_hat must have the shape of the forward pass, {cache['x'].shape}, got {d.shape}")
        return self._backward(d, cache, self._views(np.empty_like(self.flat) if out is None else out))

    def _backward(self, d: Array, cache: dict[str, Any], g: Mapping[str, Array]) -> Mapping[str, Array]:
        """The backward pass, into the arrays of g."""
        p, n, t, new = self.params, len(d), cache["t"], cache["new"]
        group = StepGroups(t, n) if any(layer.step != "none" for layer in self.hidden) else None
        last = len(self.hidden) + 1
        np.matmul(cache[f"in{last}"].T, d, out=g[f"W{last}"])                            # eps_hat = h W + b
        np.add.reduce(d, axis=0, out=g[f"b{last}"])
        d_h = np.matmul(d, p[f"W{last}"].T, out=new(f"d_h{last}", (n, self.hidden[-1].width), d.dtype))
        for l, layer in reversed(list(enumerate(self.hidden, 1))):
            d_z = activate_backward(layer, d_h, cache[f"act{l}"], new)                  # h = act(z)       (n, width)
            if layer.step == "gate":                                                     # z = gate[t] u + shift[t]
                group.sum_rows(d_z, out=g[f"shift{l}"])
                d_gate = np.multiply(cache[f"u{l}"], d_z, out=new("row", d_z.shape, d_z.dtype))
                group.sum_rows(d_gate, out=g[f"gate{l}"])
                d_z *= cache[f"gate{l}"]
            else:                                                                        # z = u + b + shift[t]
                np.add.reduce(d_z, axis=0, out=g[f"b{l}"])
                if layer.step == "shift":
                    group.sum_rows(d_z, out=g[f"shift{l}"])
            np.matmul(cache[f"in{l}"].T, d_z, out=g[f"W{l}"])                            # u = h W
            if l > 1:
                d_h = np.matmul(d_z, p[f"W{l}"].T, out=new(f"d_h{l}", (n, self.hidden[l - 2].width), d.dtype))
        return g

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        width = self.dim
        for l, layer in enumerate(self.hidden, 1):
            shapes[f"W{l}"] = width, layer.width
            if layer.step != "gate":
                shapes[f"b{l}"] = (layer.width,)
            if layer.step == "gate":
                shapes[f"gate{l}"] = self.T + 1, layer.width
            if layer.step != "none":
                shapes[f"shift{l}"] = self.T + 1, layer.width
            width = layer.width
        last = len(self.hidden) + 1
        return {**shapes, f"W{last}": (width, self.dim), f"b{last}": (self.dim,)}

    def _places(self) -> list[tuple[str, int, int, tuple[int, ...]]]:
        """Where in the flat vector each array stands: name, start, stop, shape."""
        places, start = [], 0
        for name, shape in self._shapes().items():
            stop = start + math.prod(shape)
            places.append((name, start, stop, shape))
            start = stop
        return places

    def _views(self, flat: Array) -> Mapping[str, Array]:
        """The named arrays as views of one vector."""
        return MappingProxyType({name: flat[start:stop].reshape(shape) for name, start, stop, shape in self._layout})

    def _initialise(self, rng: np.random.Generator, zero_output: bool) -> None:
        """Weights and biases uniform within 1 / sqrt(inputs), as PyTorch's; gates 1; embeddings N(0, 1), gated shifts 0."""
        last = len(self.hidden) + 1
        for name, value in self.params.items():
            kind, l = name.rstrip("0123456789"), int(name.lstrip("Wbgateshift"))
            if kind == "gate":
                value[:] = 1
            elif kind == "shift":
                value[:] = 0 if self.hidden[l - 1].step == "gate" else rng.standard_normal(value.shape, self.dtype)
            elif l == last and zero_output:
                value[:] = 0
            else:
                bound = 1 / np.sqrt(len(self.params[f"W{l}"]))
                value[:] = rng.uniform(-bound, bound, value.shape)
