"""A network and its parameters: one flat vector, with a name for every array in it.

Optimizer, average and checkpoint see the flat vector; forward and backward passes see the names.
:mod:`ddpm_np.network` and :mod:`ddpm_np.learning.unet` are the networks built on it.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from inspect import signature
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import Array, Steps, check_array, check_count, check_dtype, check_steps
from ddpm_np.schedule import Schedule

# The x_t that are predicted at once hold so many numbers. Larger arrays would be new pages of
# memory each time, which is slow.
NUMBERS = 2**14

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


Layout = tuple[Parameter, ...]


class Parameters(Mapping[str, Array]):
    """Named arrays that are views of one vector, ``flat``: writing into one changes the other."""

    def __init__(self, layout: Layout, flat: Array) -> None:
        self.layout, self.flat = layout, flat
        ends = np.cumsum([math.prod(p.shape) for p in layout])
        parts = np.split(flat, ends[:-1])
        self._arrays = {p.name: part.reshape(p.shape) for p, part in zip(layout, parts)}

    def kernels(self) -> list[tuple[int, int, int]]:
        """Of each W of more than one column its place in ``flat``, its rows and its columns."""
        found, at = [], 0
        for p in self.layout:
            size = math.prod(p.shape)
            if p.kind == "W" and p.shape[-1] > 1:
                found.append((at, size // p.shape[-1], p.shape[-1]))
            at += size
        return found

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)


class Network(ABC):
    """Predicts eps from (x_t, t), with a hand-written gradient.

    A subclass says in :meth:`_set_up` what it is made of, in :meth:`_layout` which arrays that
    takes, and writes the two passes. They take every number from ``params`` and the tables, so that
    they also run on complex numbers (gradient checks) and on symbols (proofs).

    Attributes
    ----------
    dim, T : int
        Length of the vectors, number of steps.
    dtype : float32 or float64
    params : Parameters
        The arrays by name. They are live: writing into one changes the network.
    flat : (size,) array
        All parameters as one vector, of which the arrays in ``params`` are views.
    schedule : Schedule or None
        What it was trained with; training goes on, and samplers run, with no other.
    """

    kind: ClassVar[str]
    schedule: Schedule | None = None

    @abstractmethod
    def _set_up(self, *arguments: Any, **settings: Any) -> None:
        """Keeps each setting under its name, checked; these are the settings of :attr:`config`."""

    def _set_sizes(self, dim: int, T: int, dtype: DTypeLike) -> None:
        self.dim, self.T = check_count("dim", dim), check_count("T", T)
        self.dtype = check_dtype(dtype)

    def _table(self, name: str, values: ArrayLike | None, *, ndim: int = 1) -> Array | None:
        """A table of numbers that are not trained, index t, or None: checked and read-only."""
        if values is None:
            return None
        table = check_array(name, values, ndim=ndim).astype(self.dtype)
        if len(table) != self.T + 1:
            raise ValueError(f"{name} must have T + 1 = {self.T + 1} rows, got {len(table)}")
        table.flags.writeable = False
        return table

    @abstractmethod
    def _layout(self) -> Layout:
        """All arrays, in their order in ``flat``."""

    def _allocate(self, size: int | None = None) -> None:
        """Makes the parameters, all 0; with ``size`` only if there are so many."""
        layout = self._layout()
        needed = sum(math.prod(p.shape) for p in layout)
        if size not in (None, needed):
            raise ValueError(f"network must have {size} parameters, got {needed}")
        self.flat = np.zeros(needed, self.dtype)
        self.params = Parameters(layout, self.flat)

    @property
    def config(self) -> dict[str, Any]:
        """What builds an untrained network like this one, in types that JSON knows."""
        settings = {name: getattr(self, name) for name in signature(self._set_up).parameters}
        return {"kind": self.kind, **{name: _plain(value) for name, value in settings.items()}}

    @classmethod
    def from_config(
        cls: type[_Network], config: Mapping[str, Any], *, size: int | None = None
    ) -> _Network:
        """The network that a :attr:`config` describes, with all parameters 0.

        With ``size``, a network of another number of parameters is refused before it takes memory.
        """
        network = cls.__new__(cls)
        network._set_up(**{name: value for name, value in config.items() if name != "kind"})
        network._allocate(size)
        return network

    @abstractmethod
    def forward(self, x: ArrayLike, t: Steps) -> tuple[Array, dict[Any, Any]]:
        """eps_hat (n, dim) and the cache that :meth:`backward` needs.

        x: (n, dim), cast to the network's dtype; t: an int or (n,) integers, 1 <= t <= T. The
        cache holds x itself, not a copy: do not change it before :meth:`backward`.
        """

    @abstractmethod
    def backward(self, d_eps_hat: ArrayLike, cache: dict[Any, Any]) -> Parameters:
        """The gradient of a loss for every parameter, from its gradient for eps_hat.

        d_eps_hat: (n, dim); cache: from :meth:`forward`, the parameters unchanged since then.
        Returns the gradient under the names of ``params``, and as one vector in ``.flat``.
        """

    def __call__(self, x: ArrayLike, t: Steps) -> Array:
        """eps_hat for x_t (n, dim) at step t, computed some 2^14 numbers of x_t at a time."""
        x, t = self._checked(x, t)
        eps_hat, at_once = np.empty(x.shape, self.dtype), max(1, NUMBERS // self.dim)
        for start in range(0, len(x), at_once):
            rows = slice(start, start + at_once)
            eps_hat[rows] = self.forward(x[rows], t if isinstance(t, int) else t[rows])[0]
        return eps_hat

    def copy(self: _Network) -> _Network:
        """An equal network that shares no parameters with this one."""
        return copy.copy(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "params": None, "flat": self.flat.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        for name, value in state.items():
            if isinstance(value, np.ndarray) and name != "flat":
                value.flags.writeable = False  # pickle and deepcopy forget it
        self.params = Parameters(self._layout(), self.flat)

    def _checked(self, x: ArrayLike, t: Steps) -> tuple[Array, Steps]:
        x = check_array("x", x, ndim=2, dim=self.dim).astype(self.dtype, copy=False)
        t = check_steps("t", t, 1, self.T, batch=x.shape[:1])
        if not isinstance(t, int) and t.shape != x.shape[:1]:
            t = np.broadcast_to(t, x.shape[:1])
        return x, t

    def _checked_gradient(self, d_eps_hat: ArrayLike, x: Array) -> tuple[Array, Parameters]:
        """d_eps_hat in the dtype of the network, and the gradient, which is still empty."""
        d = check_array("d_eps_hat", d_eps_hat, ndim=2, dim=self.dim, finite=False)
        if d.shape != x.shape:
            raise ValueError(
                f"d_eps_hat must have the shape of the forward pass, {x.shape}, got {d.shape}"
            )
        g = Parameters(self.params.layout, np.empty_like(self.flat))
        return d.astype(self.dtype, copy=False), g


def _plain(value: Any) -> Any:
    """A setting in types that JSON knows."""
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.dtype):
        return value.name
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
