"""The network that learns the noise: an MLP with its gradient written by hand (E15).

It maps (x_t, t) to eps_hat. With h_0 = x_t and the hidden layers l = 1..L,

    u_l = h_{l-1} W_l,    z_l = gate_l[t] u_l + shift_l[t],    h_l = act(z_l),
    eps_hat = h_L W_{L+1} + b_{L+1} + skip[t] x_t.

The backward pass undoes these lines one by one, from the last to the first.
:mod:`ddpm_np.training` trains the network.

Why the gate, the shift and the skip? For Gaussian data the best prediction is linear in x_t:

    eps_star = V diag(g(t)) V^T x_t,
    g_i(t) = sqrt(1 - alpha_bar_t) / (alpha_bar_t lambda_i + 1 - alpha_bar_t).

The directions V stay, and the gains g_i(t) change with t by orders of magnitude. W_1 can learn
the directions, and gate[t] the gains. A network that only adds an embedding of t has to build
this product out of bends. The leaky ReLU keeps a linear map possible: two units of opposite sign
give act(z) - act(-z) = (1 + leak) z, and act(c z) = c act(z) for c > 0, so a gain acts alike at
every size of z. A leak of 0.1 instead of the usual 0.01 keeps rarely used units learning. The
skip is the exact answer where lambda = 1, so a new network starts from a sensible prediction.

Why mirrored weights? With W_1 = [A, -A] the units come in pairs whose inputs are z and -z, as
long as their gates are equal. For silu(z) = z s(z) with s(z) + s(-z) = 1,

    silu(z) - silu(-z) = z,

and act(z) - act(-z) = (1 + leak) z for the leaky ReLU. So a pair with opposite output weights is
exactly linear, at every size of z. A later layer W = [[B, -B], [-B, B]] passes the pair on. The
other combination, act(z) + act(-z), is even in z, and the gradient of its weights is 0 on average
for data that is symmetric about 0. With gated layers the network therefore starts as a linear one,
which is what a Gaussian needs, and bends only where the data asks for it. No data enters the
initial weights.

Why a basis? The gains change smoothly with t, as functions of the log SNR. With a basis (T + 1, K)
gate and shift of a step are basis[t] times K learned rows: fewer numbers to learn from the same
data, and a step of training that costs little more for a larger T.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import Array, Steps, check_count, check_flag, check_generator, check_list
from ddpm_np.learning.layers import Layer, activate, activation_slope, rows_at, sum_by_step
from ddpm_np.learning.parameters import Layout, Network, Parameter, Parameters

__all__ = ["MLP", "Layer"]


class MLP(Network):
    """Predicts eps from (x_t, t) (E15); the module's docstring has the equations.

    Source: :meth:`notes` is the network of the program that belongs to N2; gate and shift are
    the conditioning of FiLM (Perez et al. 2018), used for diffusion by Dhariwal and Nichol 2021.

    Parameters
    ----------
    dim, T : int
        Length of the vectors, number of steps.
    hidden : sequence of int or Layer
        Widths, or :class:`Layer` objects for anything but gated leaky ReLU layers.
    rng : np.random.Generator
        Draws the initial weights.
    dtype : float32, or float64 for checks
    skip : (T + 1,) array, optional
        Gain of x_t in the output, index t, not trained. For data of variance 1 use
        sqrt(1 - alpha_bar).
    basis : (T + 1, K) array, optional
        Gates and shifts are basis[t] times K rows, in place of a row for each step; see
        :func:`~ddpm_np.learning.layers.step_basis`.
    zero_output : bool
        Start with W_{L+1} = 0, so that eps_hat starts as skip[t] x_t.
    mirrored : bool
        Start with units in pairs of opposite weights; the widths must be even. With gated layers
        the network then starts as a linear one.

    Attributes
    ----------
    params : mapping of str to arrays
        W1 (dim, width); gate1 and shift1 (T + 1, width), index t, row 0 not used, or (K, width)
        with a basis; or b1 (width,) in place of the gate; then layer 2, and so on.
    """

    kind = "mlp"

    def __init__(
        self,
        dim: int,
        T: int,
        *,
        hidden: Sequence[int | Layer | Mapping[str, Any]] = (128, 128),
        rng: np.random.Generator,
        dtype: DTypeLike = np.float32,
        skip: ArrayLike | None = None,
        basis: ArrayLike | None = None,
        zero_output: bool = True,
        mirrored: bool = False,
    ) -> None:
        self._set_up(dim, T, hidden, dtype, skip, basis)
        zero_output = check_flag("zero_output", zero_output)
        mirrored = check_flag("mirrored", mirrored)
        if mirrored and any(layer.width % 2 for layer in self.hidden):
            widths = [layer.width for layer in self.hidden]
            raise ValueError(f"the widths of a mirrored network must be even, got {widths}")
        rng = check_generator(rng)
        self._allocate()
        self._initialise(rng, zero_output, mirrored)

    def _set_up(
        self,
        dim: int,
        T: int,
        hidden: Sequence[int | Layer | Mapping[str, Any]],
        dtype: DTypeLike,
        skip: ArrayLike | None,
        basis: ArrayLike | None,
    ) -> None:
        self._set_sizes(dim, T, dtype)
        self.hidden = tuple(_layer(h) for h in check_list("hidden", hidden, "width or Layer"))
        self.skip = self._table("skip", skip)
        self.basis = self._table("basis", basis, ndim=2)

    @classmethod
    def notes(
        cls, dim: int = 50, T: int = 100, *, rng: np.random.Generator, dtype: DTypeLike = np.float32
    ) -> "MLP":
        """The network of the notes' program, with leaky ReLU between the layers.

        Widths dim - 2 dim - 4 dim (the step's embedding is added here) - 2 dim - dim. There is no
        activation around the embedding, so two linear maps stand side by side there. Initial
        weights and leak are PyTorch's defaults.
        """
        check_count("dim", dim)
        leaky = Layer(2 * dim, "leaky_relu", "none", leak=0.01)
        layers = leaky, Layer(4 * dim, "identity", "shift"), leaky
        return cls(dim, T, hidden=layers, rng=rng, dtype=dtype, zero_output=False)

    # fmt: off
    def forward(self, x: ArrayLike, t: Steps) -> tuple[Array, dict[Any, Any]]:
        """eps_hat (n, dim), and the cache for :meth:`backward`, which holds x itself."""
        x, t = self._checked(x, t)
        p = self.params
        cache: dict[Any, Any] = {"x": x, "t": t}
        h = x                                                           # (n, dim)
        for l, layer in enumerate(self.hidden, 1):
            u = h @ p[f"W{l}"]                                          # (n, width)
            if layer.step == "gate":
                gate = rows_at(p[f"gate{l}"], t, self.basis)
                z = gate * u + rows_at(p[f"shift{l}"], t, self.basis)
            elif layer.step == "shift":
                z = u + p[f"b{l}"] + rows_at(p[f"shift{l}"], t, self.basis)
            else:
                z = u + p[f"b{l}"]
            cache[l] = h, u, z
            h = activate(layer, z)
        L = len(self.hidden)
        eps_hat = h @ p[f"W{L + 1}"] + p[f"b{L + 1}"]                   # (n, dim)
        if self.skip is not None:
            eps_hat = eps_hat + self.skip[t, None] * x
        cache["h"] = h
        return eps_hat, cache

    def backward(self, d_eps_hat: ArrayLike, cache: dict[Any, Any]) -> Parameters:
        """The gradient of a loss for every parameter, from its gradient for eps_hat."""
        d_eps_hat, g = self._checked_gradient(d_eps_hat, cache["x"])
        p, t, h, L = self.params, cache["t"], cache["h"], len(self.hidden)
        # eps_hat = h W + b + skip[t] x
        g[f"b{L + 1}"][:] = d_eps_hat.sum(axis=0)
        g[f"W{L + 1}"][:] = h.T @ d_eps_hat
        d_h = d_eps_hat @ p[f"W{L + 1}"].T                              # (n, width)
        for l, layer in reversed(list(enumerate(self.hidden, 1))):
            h, u, z = cache[l]
            # h = act(z)
            d_z = activation_slope(layer, z) * d_h
            if layer.step == "gate":
                # z = gate[t] u + shift[t]
                g[f"shift{l}"][:] = sum_by_step(d_z, t, self.T + 1, self.basis)  # (T + 1, width)
                g[f"gate{l}"][:] = sum_by_step(u * d_z, t, self.T + 1, self.basis)
                d_u = rows_at(p[f"gate{l}"], t, self.basis) * d_z
            else:
                # z = u + b [+ shift[t]]
                g[f"b{l}"][:] = d_z.sum(axis=0)
                if layer.step == "shift":
                    g[f"shift{l}"][:] = sum_by_step(d_z, t, self.T + 1, self.basis)
                d_u = d_z
            # u = h W
            g[f"W{l}"][:] = h.T @ d_u
            d_h = d_u @ p[f"W{l}"].T
        return g
    # fmt: on

    def _layout(self) -> Layout:
        layout: list[Parameter] = []
        inputs = self.dim
        rows = self.T + 1 if self.basis is None else self.basis.shape[1]
        for l, layer in enumerate(self.hidden, 1):
            layout.append(Parameter("W", l, (inputs, layer.width)))
            if layer.step == "gate":
                layout.append(Parameter("gate", l, (rows, layer.width)))
            else:
                layout.append(Parameter("b", l, (layer.width,)))
            if layer.step != "none":
                layout.append(Parameter("shift", l, (rows, layer.width)))
            inputs = layer.width
        last = len(self.hidden) + 1
        return *layout, Parameter("W", last, (inputs, self.dim)), Parameter("b", last, (self.dim,))

    def _initialise(self, rng: np.random.Generator, zero_output: bool, mirrored: bool) -> None:
        """Weights and biases uniform within 1 / sqrt(inputs), as in PyTorch; gates 1, shifts 0.

        The embedding of a layer with step "shift" starts as N(0, 1).
        """
        last = len(self.hidden) + 1
        for kind, l, shape in self.params.layout:
            values = self.params[f"{kind}{l}"]
            if kind == "gate":
                values[:] = 1
            elif kind == "shift":
                if self.hidden[l - 1].step == "shift":
                    values[:] = rng.standard_normal(shape, self.dtype)
            elif l < last or not zero_output:
                bound = 1 / np.sqrt(len(self.params[f"W{l}"]))
                if mirrored and l == 1:
                    bound *= 4  # of 2, 4 and 8, this learned fastest
                values[:] = rng.uniform(-bound, bound, shape)
                if mirrored and kind == "W":
                    _mirror(values, inputs=l > 1, outputs=l < last)

    def __repr__(self) -> str:
        widths = "-".join(str(w) for w in (self.dim, *(h.width for h in self.hidden), self.dim))
        return f"MLP({widths}, T={self.T}, {self.flat.size} parameters, {self.dtype.name})"


def _layer(h: int | Layer | Mapping[str, Any]) -> Layer:
    if isinstance(h, Mapping):  # as in a config
        return Layer(**h)
    return h if isinstance(h, Layer) else Layer(check_count("hidden", h))


def _mirror(W: Array, *, inputs: bool, outputs: bool) -> None:
    """Makes the second half of the columns minus the first, and likewise the rows."""
    rows, columns = W.shape[0] // 2, W.shape[1] // 2
    if outputs:
        W[:, columns:] = -W[:, :columns]
    if inputs:
        W[rows:] = -W[:rows]
