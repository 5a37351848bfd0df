"""The gradient of a training step, fast: the twin of the plain code in :mod:`ddpm_np.network`.

:func:`ddpm_np.training.train` calls it for an MLP unless it is told not to. It does the same as

    x_t = q_sample(schedule, x_0, t, eps)
    eps_hat, cache = network.forward(x_t, t)
    loss, d_eps_hat = denoising_loss(eps_hat, eps)
    gradient = network.backward(d_eps_hat, cache)

and differs in three ways. Every array is made once for a batch size, because a new large array is
new pages of memory, and asking the system for them takes longer than the arithmetic. The steps come
in rounds 1, 2, .., T, 1, 2, .. (:func:`ddpm_np.training.balanced_steps`), so that a table of T rows
meets the batch by broadcasting, and its gradient is a sum over rounds. And silu computes its
sigmoid from exp, which is faster than tanh.

With leaky ReLU or identity, and without a basis of the steps, the gradient is that of the plain
code bit for bit; otherwise to a few ulp of its largest entry.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.learning.layers import Layer
from ddpm_np.learning.parameters import Parameters
from ddpm_np.schedule import Schedule

ROWS = 128  # predicted at once: their arrays stay in the cache, and the allocator keeps them


def predict(network: Any, x: Array, t: int, *, out: Array) -> None:
    """eps_hat of an MLP for x (n, dim) at one step t, into ``out``; nothing is checked here.

    The gate is the same for all rows, so it moves into the weights: (h W) gate = h (W gate).
    """
    basis = None if network.basis is None else network.basis[t]

    def at_t(name: str) -> Array:
        table = network.params[name]
        return table[t] if basis is None else basis @ table

    layers = []
    for l, layer in enumerate(network.hidden, 1):
        W = network.params[f"W{l}"]
        if layer.step == "gate":
            W, bias = W * at_t(f"gate{l}"), at_t(f"shift{l}")
        elif layer.step == "shift":
            bias = network.params[f"b{l}"] + at_t(f"shift{l}")
        else:
            bias = network.params[f"b{l}"]
        z, work = np.empty((2, min(ROWS, len(x)), layer.width), network.dtype)
        layers.append((layer, W, bias, z, work))
    last = len(network.hidden) + 1
    W, bias = network.params[f"W{last}"], network.params[f"b{last}"]
    for start in range(0, len(x), ROWS):
        h, eps_hat = x[start : start + ROWS], out[start : start + ROWS]
        n = len(h)
        for layer, W_l, bias_l, z, work in layers:
            h = np.matmul(h, W_l, out=z[:n])
            h += bias_l
            _activate(layer, h, work[:n])
        np.matmul(h, W, out=eps_hat)
        eps_hat += bias
        if network.skip is not None:
            eps_hat += network.skip[t] * x[start : start + ROWS]


def _activate(layer: Layer, z: Array, work: Array) -> None:
    """h = act(z), in the place of z; for silu, work is the sigmoid afterwards."""
    if layer.activation == "leaky_relu":
        np.maximum(z, np.multiply(z, layer.leak, out=work), out=z)
    elif layer.activation == "silu":
        np.negative(z, out=work)
        with np.errstate(over="ignore"):
            np.exp(work, out=work)  # inf where z is far below 0, and then the sigmoid is 0
        work += 1
        np.reciprocal(work, out=work)
        z *= work


class FastGradient:
    """Loss and gradient of an MLP at x_0, t and eps, for batches of n.

    The gradient that is returned is overwritten by the next call. The network may be trained in
    between: its parameters are read where they are.
    """

    def __init__(self, network: Any, schedule: Schedule, n: int) -> None:
        self.gradient = Parameters(network.params.layout, np.zeros_like(network.flat))
        dtype = network.dtype
        self._steps = _Steps(network.T, n, network.basis)
        self._layers, inputs = [], network.dim
        for l, layer in enumerate(network.hidden, 1):
            names = [f"{kind}{l}" for kind in ("W", "b", "gate", "shift")]
            p, g = (
                [which.get(name) for name in names] for which in (network.params, self.gradient)
            )
            self._layers.append(_Hidden(layer, p, g, self._steps, n, inputs, dtype))
            inputs = layer.width
        last = len(network.hidden) + 1
        self._W, self._b = network.params[f"W{last}"], network.params[f"b{last}"]
        self._d_W, self._d_b = self.gradient[f"W{last}"], self.gradient[f"b{last}"]
        self._x, self._work, self._eps_hat = np.empty((3, n, network.dim), dtype)
        self._d_h = np.empty((n, inputs), dtype)

        def expanded(gains: Array) -> Array:
            return np.repeat(gains.astype(dtype)[:, None], network.dim, axis=1)

        self._signal = expanded(np.sqrt(schedule.alpha_bar))
        self._noise = expanded(np.sqrt(schedule.one_minus_alpha_bar))
        self._skip = None if network.skip is None else expanded(network.skip)

    def __call__(self, x_0: Array, t: Array, eps: Array) -> tuple[float, Parameters]:
        """x_0, eps: (n, dim) in the network's dtype; t: (n,). Nothing is checked here."""
        steps, x, work, eps_hat = self._steps, self._x, self._work, self._eps_hat
        steps.take(t)
        # x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps
        steps.combine(np.multiply, x_0, self._signal, out=x)
        steps.combine(np.multiply, eps, self._noise, out=work)
        x += work
        # eps_hat = h W + b + skip[t] x_t
        h = x
        for layer in self._layers:
            h = layer.forward(h)
        np.matmul(h, self._W, out=eps_hat)
        eps_hat += self._b
        if self._skip is not None:
            steps.combine(np.multiply, x, self._skip, out=work)
            eps_hat += work
        # loss = mean of (eps_hat - eps)^2
        d = np.subtract(eps_hat, eps, out=eps_hat)
        loss = float(np.vdot(d, d) / d.size)
        d *= 2 / d.size
        # and back
        np.add.reduce(d, axis=0, out=self._d_b)
        np.matmul(h.T, d, out=self._d_W)
        d_h = np.matmul(d, self._W.T, out=self._d_h)
        for layer, below in zip(self._layers[::-1], [*self._layers[-2::-1], None]):
            d_h = layer.backward(d_h, None if below is None else below.d_h)
        return loss, self.gradient


class _Hidden:
    """One hidden layer, with its arrays: h = act(z), z = gate[t] u + shift[t] or u + b [+
    shift[t]].
    """

    def __init__(
        self,
        layer: Layer,
        p: list[Any],
        g: list[Any],
        steps: _Steps,
        n: int,
        inputs: int,
        dtype: Any,
    ) -> None:
        self.layer, self.steps = layer, steps
        self.W, self.b, self.gate, self.shift = p
        self.d_W, self.d_b, self.d_gate, self.d_shift = g
        shape = n, layer.width
        self.u, self.z, self.work, self.d_h = np.empty((4, *shape), dtype)
        self.s = np.empty(shape, dtype) if layer.activation == "silu" else None
        self.h_below = np.empty((n, inputs), dtype)

    def forward(self, h: Array) -> Array:
        u, z, work, steps = self.u, self.z, self.work, self.steps
        self.h_below = h
        np.matmul(h, self.W, out=u)
        if self.gate is not None:
            self.gates = steps.table(self.gate)
            steps.apply(np.multiply, u, self.gates, out=z)
            steps.apply(np.add, z, steps.table(self.shift), out=z)
        else:
            np.add(u, self.b, out=z)
            if self.shift is not None:
                steps.apply(np.add, z, steps.table(self.shift), out=z)
        _activate(self.layer, z, work if self.s is None else self.s)
        return z

    def backward(self, d: Array, d_below: Array | None) -> Array:
        u, h, work, steps = self.u, self.z, self.work, self.steps
        # h = act(z): the slope is 1 or leak, as h > 0 or not; or s (1 - h) + h for h = z s
        if self.layer.activation == "leaky_relu":
            np.greater(h, 0, out=work)
            work *= 1 - self.layer.leak
            work += self.layer.leak
            d *= work
        elif self.s is not None:
            np.subtract(1, h, out=work)
            work *= self.s
            work += h
            d *= work
        if self.gate is not None:
            steps.sum(d, out=self.d_shift)
            u *= d
            steps.sum(u, out=self.d_gate)
            steps.apply(np.multiply, d, self.gates, out=d)
        else:
            np.add.reduce(d, axis=0, out=self.d_b)
            if self.shift is not None:
                steps.sum(d, out=self.d_shift)
        np.matmul(self.h_below.T, d, out=self.d_W)
        return d if d_below is None else np.matmul(d, self.W.T, out=d_below)


class _Steps:
    """The steps of a batch: whole rounds 1..T first, then the rest, which need not be sorted.

    A batch that does not begin with its rounds is all rest. Where no step occurs twice in the rest,
    its rows are added at once.
    """

    def __init__(self, T: int, n: int, basis: Array | None) -> None:
        self.T, self.n, self.basis = T, n, basis
        self.rounds = np.tile(np.arange(1, T + 1), n // T)
        self.gathered: dict[int, Array] = {}

    def take(self, t: Array) -> None:
        """Makes t the steps of the batch."""
        self.head = self.rounds.size if np.array_equal(t[: self.rounds.size], self.rounds) else 0
        self.rest = t[self.head :]
        self.once = bool((self.rest[1:] > self.rest[:-1]).all())
        self.weights = None if self.basis is None or self.head else self.basis[t]

    def table(self, values: Array) -> Array:
        """What :meth:`apply` takes: a row for each step, or of the batch if that is less work."""
        if self.weights is not None:
            return self.weights @ values
        return values if self.basis is None else self.basis @ values

    def apply(self, ufunc: np.ufunc, rows: Array, table: Array, *, out: Array) -> None:
        """out = ufunc(rows, gate[t]), and likewise for a shift, of which :meth:`table` is given."""
        if self.weights is None:
            self.combine(ufunc, rows, table, out=out)
        else:
            ufunc(rows, table, out=out)

    def combine(self, ufunc: np.ufunc, rows: Array, table: Array, *, out: Array) -> None:
        """out = ufunc(rows, table[t])."""
        if self.head:
            shape = -1, self.T * rows.shape[1]
            row = table[1:].reshape(-1)
            ufunc(rows[: self.head].reshape(shape), row, out=out[: self.head].reshape(shape))
        if self.rest.size:
            width = rows.shape[1]
            if width not in self.gathered:
                self.gathered[width] = np.empty((self.n, width), rows.dtype)
            # t was checked; mode="clip" spares the copy that take makes to be able to raise
            at = self.gathered[width][: self.rest.size]
            np.take(table, self.rest, axis=0, out=at, mode="clip")
            ufunc(rows[self.head :], at, out=out[self.head :])

    def sum(self, rows: Array, *, out: Array) -> None:
        """The backward pass of ``table[t]``: out[s] is the sum of the rows whose step is s."""
        if self.weights is not None:
            np.matmul(self.weights.T, rows, out=out)
        elif self.basis is not None:
            total = np.empty((self.T + 1, rows.shape[1]), rows.dtype)
            self._sum(rows, total)
            np.matmul(self.basis.T, total, out=out)
        else:
            self._sum(rows, out)

    def _sum(self, rows: Array, out: Array) -> None:
        if self.head:
            out[0] = 0
            shape = -1, self.T * rows.shape[1]
            np.add.reduce(rows[: self.head].reshape(shape), axis=0, out=out[1:].reshape(-1))
        else:
            out[:] = 0
        if self.once:
            out[self.rest] += rows[self.head :]
        else:
            np.add.at(out, self.rest, rows[self.head :])
