"""Speed that is passed in: the twin of the plain code of :class:`ddpm_np.network.MLP`.

    train(network, ..., gradient=FastGradient())
    ancestral_sample(FastDenoiser(network), ...)

give the numbers of :func:`ddpm_np.training.plain_gradient` and of ``network(x_t, t)``. Every array
is made once, because a new large array is new pages of memory, and asking the system for them takes
longer than the arithmetic. A table of T rows meets a batch round by round
(:mod:`ddpm_np.learning.rounds`). And silu computes its sigmoid from exp, which is faster than tanh.

With leaky ReLU or identity, and without a basis of the steps, the gradient is that of the plain
code bit for bit; otherwise to a few ulp of its largest entry.
"""

from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.learning.layers import Layer
from ddpm_np.learning.parameters import Network, Parameters
from ddpm_np.learning.rounds import Rounds
from ddpm_np.network import MLP
from ddpm_np.schedule import Schedule

ROWS = 500  # predicted at once


class FastDenoiser:
    """eps_hat of an MLP, as the network gives it, for samplers: one step t for all rows.

    The gate is then the same for all rows, so it moves into the weights: (h W) gate = h (W gate).
    The network may be trained in between: its parameters are read where they are.
    """

    def __init__(self, network: MLP) -> None:
        self.network = _plain("network", network)
        self.dim, self.T, self.dtype = network.dim, network.T, network.dtype
        self._work = [np.empty((2, ROWS, layer.width), network.dtype) for layer in network.hidden]

    @property
    def schedule(self) -> Schedule | None:
        """What the network was trained with."""
        return self.network.schedule

    def __call__(self, x: Array, t: int) -> Array:
        """eps_hat for x_t (n, dim); an array of steps is left to the network."""
        x, step = self.network._checked(x, t)
        if not isinstance(step, int):
            return self.network(x, step)
        hidden, W, bias = self._at(step)
        eps_hat = np.empty_like(x)
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            h, out = x[rows], eps_hat[rows]
            n = len(h)
            for layer, W_l, bias_l, (z, work) in hidden:
                h = np.matmul(h, W_l, out=z[:n])
                h += bias_l
                _activate(layer, h, work[:n])
            np.matmul(h, W, out=out)
            out += bias
            if self.network.skip is not None:
                out += self.network.skip[step] * x[rows]
        return eps_hat

    def _at(self, t: int) -> tuple[list[Any], Array, Array]:
        """Each hidden layer with weights and bias at this step, and those of the output."""
        network, hidden = self.network, []
        p, basis = network.params, None if network.basis is None else network.basis[t]

        def at_t(name: str) -> Array:
            return p[name][t] if basis is None else basis @ p[name]

        for l, (layer, work) in enumerate(zip(network.hidden, self._work), 1):
            W = p[f"W{l}"]
            if layer.step == "gate":
                W, bias = W * at_t(f"gate{l}"), at_t(f"shift{l}")
            elif layer.step == "shift":
                bias = p[f"b{l}"] + at_t(f"shift{l}")
            else:
                bias = p[f"b{l}"]
            hidden.append((layer, W, bias, work))
        last = len(network.hidden) + 1
        return hidden, p[f"W{last}"], p[f"b{last}"]


NetworkDenoiser = Network | FastDenoiser


def denoiser(network: Network) -> NetworkDenoiser:
    """The fastest denoiser that gives what this network gives: the network itself, if no other."""
    return FastDenoiser(network) if type(network) is MLP else network


def gradient(network: Network) -> "FastGradient | None":
    """The fastest gradient for this network, for ``train``: None, the plain one, if no other."""
    return FastGradient() if type(network) is MLP else None


def _plain(name: str, network: Any) -> MLP:
    """An MLP itself: a subclass may compute something else."""
    if type(network) is not MLP:
        raise TypeError(f"{name} must be an MLP, and no subclass, got a {type(network).__name__}")
    return network


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
    """Loss and gradient of an MLP at x_0, t and eps, for :func:`ddpm_np.training.train`.

    The arrays are made at the first call, for that network, schedule and size of batch, and again
    when one of these changes. The gradient that is returned is overwritten by the next call.
    """

    def __init__(self) -> None:
        self._pass: _Pass | None = None

    def __call__(
        self, network: Network, schedule: Schedule, x_0: Array, t: Array, eps: Array
    ) -> tuple[float, Parameters]:
        """x_0, eps: (n, dim) in the network's dtype; t: (n,). Nothing is checked here."""
        known = self._pass
        if known is None or (known.network, known.schedule, known.n) != (network, schedule, len(t)):
            self._pass = known = _Pass(_plain("network", network), schedule, len(t))
        return known(x_0, t, eps)


class _Pass:
    """The four lines of :func:`ddpm_np.training.plain_gradient`, in arrays of its own."""

    def __init__(self, network: MLP, schedule: Schedule, n: int) -> None:
        self.network, self.schedule, self.n = network, schedule, n
        self.gradient = Parameters(network.params.layout, np.zeros_like(network.flat))
        dtype = network.dtype
        self._steps = Rounds(network.T, n, network.basis)
        self._layers, inputs = [], network.dim
        for l, layer in enumerate(network.hidden, 1):
            names = [f"{kind}{l}" for kind in ("W", "b", "gate", "shift")]
            p, g = (
                [which.get(name) for name in names] for which in (network.params, self.gradient)
            )
            self._layers.append(_Hidden(layer, p, g, self._steps, n, dtype))
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
        self, layer: Layer, p: list[Any], g: list[Any], steps: Rounds, n: int, dtype: Any
    ) -> None:
        self.layer, self.steps = layer, steps
        self.W, self.b, self.gate, self.shift = p
        self.d_W, self.d_b, self.d_gate, self.d_shift = g
        shape = n, layer.width
        self.u, self.z, self.work, self.d_h = np.empty((4, *shape), dtype)
        self.s = np.empty(shape, dtype) if layer.activation == "silu" else None
        self.h_below: Array

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
