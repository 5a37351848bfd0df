"""The identities of back-propagation (E15): what ``backward`` returns is the exact derivative.

The networks are small, and everything in them is a variable: weights, biases, gates, shifts,
inputs, targets and the gains of the skip connection. The loss is then one rational function, and
its derivative by each parameter is compared with what ``backward`` returns.

Leaky ReLUs are treated on every pattern of signs of the pre-activations
(:mod:`ddpm_np.proof.signs`). SiLU is made of tanh, which stands as a variable of its own with a
known derivative.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.learning import convolution
from ddpm_np.learning.layers import Layer
from ddpm_np.learning.parameters import Network, Parameters
from ddpm_np.learning.unet import UNet
from ddpm_np.network import MLP
from ddpm_np.proof.identities.entry import Cases, Sides, V, identity
from ddpm_np.proof.prover import Chart, derivative
from ddpm_np.proof.signs import SignPattern

T = 2
# One step for the whole batch, a step for each row, the same step several times.
BATCHES: list[tuple[Any, int]] = [(1, 2), ([2, 1], 2), ([2, 2], 2), ([1, 2, 1], 3)]


def _mlp(*layers: Layer, dim: int = 2) -> Callable[[], MLP]:
    return lambda: MLP(dim, T, hidden=layers, rng=np.random.default_rng(0))


def _network_chart(make: Callable[[], Network], n: int, **options: Any) -> Chart:
    """All parameters of the network, x, eps and the gains of the skip as arrays of variables."""
    network = make()
    shapes = {p.name: p.shape for p in network.params.layout}
    shapes |= {"x": (n, network.dim), "eps": (n, network.dim), "skip": (T + 1,)}
    return Chart({}, SimpleNamespace, **options).with_arrays(**shapes)


def _cases(
    networks: Mapping[str, Callable[[], Network]], batches: list[tuple[Any, int]] = BATCHES
) -> Cases:
    return {
        f"{name}, t = {t}": (_network_chart(make, n), (make, t))
        for name, make in networks.items()
        for t, n in batches
    }


def _sides(v: V, case: Any, loss: Callable[[V, Array], tuple[Any, Array]], **given: Any) -> Sides:
    """What backward returns, and the derivatives of the loss by each parameter.

    The network's parameters are replaced by symbols, and its attributes by what is given; its
    public methods work as ever.
    """
    make, t = case
    network = make()
    layout = network.params.layout
    flat = np.concatenate([vars(v)[p.name].ravel() for p in layout])
    network.dtype, network.flat = flat.dtype, flat
    network.params = Parameters(layout, flat)
    vars(network).update(given)
    eps_hat, cache = network.forward(v.x, t if isinstance(t, int) else np.array(t))
    number, d_eps_hat = loss(v, eps_hat)
    gradient = network.backward(d_eps_hat, cache)
    return gradient.flat, [derivative(number, str(parameter)) for parameter in flat]


def _mean_square(v: V, eps_hat: Array) -> tuple[Any, Array]:
    """The loss, and its gradient with respect to eps_hat."""
    error = eps_hat - v.eps
    return (error * error).sum() / error.size, 2 * error / error.size


def _any_loss(v: V, eps_hat: Array) -> tuple[Any, Array]:
    """A loss whose gradient with respect to eps_hat is any eps at all.

    By the chain rule nothing else of a loss matters for its gradient by a parameter.
    """
    return (eps_hat * v.eps).sum(), v.eps


ONE = {f"one layer, {s}": _mlp(Layer(2, "identity", s)) for s in ("gate", "shift", "none")}
TWO = {
    f"two layers, {a} and {b}": _mlp(Layer(2, "identity", a), Layer(2, "identity", b))
    for a, b in (("gate", "gate"), ("none", "shift"), ("shift", "gate"))
}


@identity("E15", _cases(ONE))
def _the_gradient_of_MLP(v: V, case: Any) -> Sides:
    """MLP.backward is the derivative of the mean squared error, with skip."""
    return _sides(v, case, _mean_square, skip=v.skip)


def _with_basis() -> MLP:
    layers = Layer(1, "identity", "gate"), Layer(1, "identity", "shift")
    return MLP(1, T, hidden=layers, rng=np.random.default_rng(0), basis=np.ones((T + 1, 2)))


@identity("E15", _cases({"two layers": _with_basis}), basis=(T + 1, 2))
def _the_gradient_of_MLP_with_a_basis(v: V, case: Any) -> Sides:
    """MLP.backward is the derivative of any loss where gates and shifts are basis[t] times rows."""
    return _sides(v, case, _any_loss, basis=v.basis)


@identity("E15", _cases(TWO))
def _the_gradient_of_MLP_with_two_layers(v: V, case: Any) -> Sides:
    """MLP.backward is the derivative of any loss, without skip."""
    return _sides(v, case, _any_loss)


# ---- leaky ReLU and SiLU ------------------------------------------------------------------------

LEAK: Any = Fraction(1, 10)


def _leaky(*layers: tuple[int, str]) -> Callable[[], MLP]:
    return _mlp(*(Layer(n, "leaky_relu", step, leak=LEAK) for n, step in layers), dim=1)


# The network, the rows of its batch, and so the number of its pre-activations.
LEAKY = {
    "one layer": (_leaky((2, "gate")), 2, 4),
    "two layers, one row": (_leaky((2, "gate"), (1, "shift")), 1, 3),
    "two layers": (_leaky((1, "gate"), (1, "shift")), 2, 4),
}


@identity(
    "E15",
    {
        f"{name}, signs {''.join('-+'[s > 0] for s in signs)}": (
            _network_chart(make, n, domain=partial(SignPattern, signs)),
            (make, [2] * n),
        )
        for name, (make, n, number) in LEAKY.items()
        for signs in product((1, -1), repeat=number)
    },
)
def _the_gradient_of_MLP_with_leaky_ReLU(v: V, case: Any) -> Sides:
    """MLP.backward is the derivative of the mean squared error on this piece."""
    return _sides(v, case, _mean_square)


SILU = {
    "one layer": _mlp(Layer(2, "silu", "gate"), dim=1),
    "two layers": _mlp(Layer(1, "silu", "gate"), Layer(1, "silu", "shift"), dim=1),
}


@identity("E15", _cases(SILU))
def _the_gradient_of_MLP_with_SiLU(v: V, case: Any) -> Sides:
    """MLP.backward is the derivative of any loss."""
    return _sides(v, case, _any_loss)


UNETS = {
    f"one size{', wrapped' if wrap else ''}": partial(
        UNet, 2, T, widths=(1,), layers=1, wrap=wrap, rng=np.random.default_rng(0)
    )
    for wrap in (False, True)
}


@identity("E15", _cases(UNETS, BATCHES[1:3]))
def _the_gradient_of_UNet(v: V, case: Any) -> Sides:
    """UNet.backward is the derivative of any loss, with skip and gain."""
    return _sides(v, case, _any_loss, skip=v.skip, gain=v.skip + 1)


# ---- the parts of the U-Net, on pictures of 4 x 4 pixels ----------------------------------------

PICTURE = (4, 1, 4, 2)
LINEAR = {
    "halve": (convolution.halve, convolution.halve_backward),
    "double": (convolution.double, convolution.double_backward),
    "join": (
        lambda h: convolution.join(h[..., :1], h[..., 1:]),
        lambda d: convolution.join(*convolution.join_backward(d, 1)),
    ),
}


@identity(
    "E15",
    {
        name: (Chart({}).with_arrays(h=PICTURE, d=pair[0](np.zeros(PICTURE)).shape), pair)
        for name, pair in LINEAR.items()
    },
)
def _the_transpose_of(v: V, pair: Any) -> Sides:
    """sum of d A(h) = sum of A^T(d) h, for all h and d."""
    forward, backward = pair
    return (forward(v.h) * v.d).sum(), (backward(v.d) * v.h).sum()


@identity(
    "E15",
    {f"wrap = {wrap}": (Chart({}), wrap) for wrap in (False, True)},
    h=(2, 1, 3, 2),
    kernel=(3, 6, 2),
    d=(2, 1, 3, 2),
)
def _a_convolution_and_its_derivatives(v: V, wrap: bool) -> Sides:
    """The turned kernel and kernel_backward give the derivatives of the sum of d convolve(h)."""
    wide = convolution.neighbours(v.h, wrap)
    total = (convolution.convolve(wide, v.kernel) * v.d).sum()
    d_kernel, d_wide = np.empty_like(v.kernel), convolution.neighbours(v.d, wrap)
    convolution.kernel_backward(d_wide, v.h, d_kernel)
    d_h = convolution.convolve(d_wide, convolution.turned(v.kernel))
    by_all = [[derivative(total, str(x)) for x in array.flat] for array in (v.h, v.kernel)]
    return [d_h.ravel(), d_kernel.ravel()], by_all
