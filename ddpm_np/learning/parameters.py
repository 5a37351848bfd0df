"""A network and its parameters: one flat vector, with a name for every array in it.

Optimizer, average and checkpoint see the flat vector; forward and backward passes see the names.
:mod:`ddpm_np.network` and :mod:`ddpm_np.learning.unet` are the networks built on it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pkgutil import resolve_name
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import Array, Steps, check_array, check_count, check_dtype, check_steps

# The class of each kind of network, found when it is needed: importing this module loads neither.
KINDS = {"mlp": "ddpm_np.network:MLP", "unet": "ddpm_np.learning.unet:UNet"}

# Vectors predicted at once. Larger arrays would be new pages of memory each time, which is slow.
ROWS = 128

# The number of parameters that a network being made must have, where that is known.
_wanted_size: ContextVar[int | None] = ContextVar("wanted size", default=None)

_Network = TypeVar("_Network", bound="Network")


class Parameter(NamedTuple):
    """One array of a network: what it is, in which layer, and its shape."""

    kind: str
    layer: int
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """Kind and layer, such as W1 or gate2."""
        return f"{self.kind}{self.layer}"


class Parameters(Mapping[str, Array]):
    """Named arrays that are views of one vector, ``flat``: writing into one changes the other."""

    def __init__(self, layout: tuple[Parameter, ...], flat: Array) -> None:
        self.layout, self.flat = layout, flat
        ends = np.cumsum([math.prod(p.shape) for p in layout])
        parts = np.split(flat, ends[:-1])
        self._arrays = {p.name: part.reshape(p.shape) for p, part in zip(layout, parts)}

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


class Network(ABC):
    """Predicts eps from (x_t, t), with a hand-written gradient.

    A subclass sets up its structure, calls :meth:`_allocate` and fills ``params``. It writes the
    two passes as functions of the parameters, so that they also run on complex numbers (gradient
    checks) and on symbols (proofs).

    Attributes
    ----------
    dim, T : int
        Length of the vectors, number of steps.
    dtype : float32 or float64
    params : Parameters
        The arrays by name. They are live: writing into one changes the network.
    flat : (size,) array
        All parameters as one vector, of which the arrays in ``params`` are views.
    """

    kind: ClassVar[str]

    def __init__(self, dim: int, T: int, *, dtype: DTypeLike) -> None:
        self.dim, self.T, self.dtype = (
            check_count("dim", dim),
            check_count("T", T),
            check_dtype(dtype),
        )

    def _allocate(self, layout: tuple[Parameter, ...]) -> None:
        size = sum(math.prod(p.shape) for p in layout)
        wanted = _wanted_size.get()
        if wanted not in (None, size):
            raise ValueError(f"network must have {wanted} parameters, got {size}")
        self.flat = np.zeros(size, self.dtype)
        self.params = Parameters(layout, self.flat)

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What builds an untrained network like this one, in types that JSON knows.

        It holds ``kind``, and the arguments of the constructor other than ``rng``.
        """

    @abstractmethod
    def _forward(self, p: Mapping[str, Array], x: Array, t: Steps) -> tuple[Array, dict[Any, Any]]:
        """The forward pass with the parameters p, in their number type."""

    @abstractmethod
    def _backward(
        self, p: Mapping[str, Array], d_eps_hat: Array, cache: dict[Any, Any], g: Parameters
    ) -> None:
        """The backward pass; writes the gradient of every parameter into g."""

    def forward(self, x: ArrayLike, t: Steps) -> tuple[Array, dict[Any, Any]]:
        """eps_hat (n, dim) and the cache that :meth:`backward` needs.

        x: (n, dim), cast to the network's dtype; t: an int or (n,) integers, 1 <= t <= T. The
        cache holds x itself, not a copy: do not change it before :meth:`backward`.
        """
        return self._forward(self.params, *self._checked(x, t))

    def backward(self, d_eps_hat: ArrayLike, cache: dict[Any, Any]) -> Parameters:
        """The gradient of a loss for every parameter, from its gradient for eps_hat.

        d_eps_hat: (n, dim); cache: from :meth:`forward`, the parameters unchanged since then.
        Returns the gradient under the names of ``params``, and as one vector in ``.flat``.
        """
        d = check_array("d_eps_hat", d_eps_hat, ndim=2, dim=self.dim, finite=False)
        if d.shape != cache["x"].shape:
            raise ValueError(
                f"d_eps_hat must have the shape of the forward pass, {cache['x'].shape}, "
                f"got {d.shape}"
            )
        gradient = Parameters(self.params.layout, np.empty_like(self.flat))
        self._backward(self.params, d.astype(self.dtype, copy=False), cache, gradient)
        return gradient

    def __call__(self, x: ArrayLike, t: Steps) -> Array:
        """eps_hat for x_t (n, dim) at step t, in the memory of a few hundred rows."""
        x, t = self._checked(x, t)
        eps_hat = np.empty(x.shape, self.dtype)
        for start in range(0, len(x), ROWS):
            rows = slice(start, start + ROWS)
            t_rows = t if isinstance(t, int) else t[rows]
            eps_hat[rows] = self._forward(self.params, x[rows], t_rows)[0]
        return eps_hat

    def copy(self: _Network) -> _Network:
        """An equal network that shares no memory with this one."""
        other = network_from_config(self.config)
        other.flat[:] = self.flat
        return other  # type: ignore[return-value]  # the kind in the config is this class

    def __copy__(self: _Network) -> _Network:
        return self.copy()

    def __deepcopy__(self: _Network, memo: dict[int, object]) -> _Network:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.config, self.flat)

    def _checked(self, x: ArrayLike, t: Steps) -> tuple[Array, Steps]:
        x = check_array("x", x, ndim=2, dim=self.dim).astype(self.dtype, copy=False)
        t = check_steps("t", t, 1, self.T, batch=x.shape[:1])
        if not isinstance(t, int) and t.shape != x.shape[:1]:
            if t.ndim > 1:
                raise ValueError(f"t must be an int or one step for each row, got shape {t.shape}")
            t = np.broadcast_to(t, x.shape[:1])
        return x, t


def network_from_config(config: Mapping[str, Any], *, size: int | None = None) -> Network:
    """The untrained network that a ``config`` describes; ValueError for an unknown kind.

    With ``size``, a network of another number of parameters is refused before it takes memory.
    """
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    rng = np.random.default_rng(0)
    token = _wanted_size.set(size)
    try:
        network: Network = resolve_name(KINDS[kind])(rng=rng, **arguments)
    finally:
        _wanted_size.reset(token)
    return network


def _restored(config: Mapping[str, Any], flat: Array) -> Network:
    network = network_from_config(config)
    network.flat[:] = flat
    return network
