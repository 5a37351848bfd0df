"""What every public function checks before it computes: one clear line that names the argument, what was expected, what came.

Wrong kind of thing: TypeError. Right kind, wrong value or shape: ValueError. The formulas themselves check nothing.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = [
    "Array", "ExactNumber", "Number", "Steps", "count", "fraction", "generator", "per_row", "per_matrix", "positive", "real", "real_array", "same_dim",
    "square", "steps",
]



class ExactNumber:
    """Base class of the number types that the argument checks accept besides floats.

    Arithmetic is declared here for the type checker; the subclasses define it.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        def __add__(self, other: Any) -> Any: ...
        def __radd__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __rsub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __rtruediv__(self, other: Any) -> Any: ...
        def __pow__(self, exponent: int) -> Any: ...
        def __neg__(self) -> Any: ...


Array = NDArray[Any]
Number = float | Array | ExactNumber  # what a scalar formula takes and returns
Steps = int | NDArray[np.intp]


if TYPE_CHECKING:
    # No type checker can add two members of a union.
    Number = Any
else:
    # What a formula of the derivation runs on.
    Number = float | Array | ExactNumber


def real_array(name: str, x: ArrayLike, *, ndim: int | None = None, dim: int | None = None, finite: bool = True) -> Array:
    """x as an array of float32, float64 or exact numbers, not empty, finite (unless told), with the asked axes and last axis."""
    try:
        x = np.asarray(x)
    except ValueError:
        raise ValueError(f"{name} must be a rectangular array, got rows of different lengths") from None
    if x.dtype.kind in "iu" or (x.dtype.kind == "f" and x.dtype not in (np.float32, np.float64)):
        x = x.astype(np.float64)
    elif x.dtype.kind == "O":
        strangers = {type(v).__name__ for v in x.flat if not isinstance(v, ExactNumber)}
        if strangers:
            raise TypeError(f"{name} must hold real numbers, got objects of type {', '.join(sorted(strangers))}")
    elif x.dtype.kind != "f":
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}")
    if x.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {x.shape}")
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} {'axis' if ndim == 1 else 'axes'}, got shape {x.shape}")
    if ndim is None and x.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, got a single number")
    if dim is not None and x.shape[-1] != dim:
        raise ValueError(f"{name} must have a last axis of length {dim}, got shape {x.shape}")
    if finite and x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got {np.count_nonzero(~np.isfinite(x))} NaN or infinite values")
    return x


def same_dim(**arrays: ArrayLike) -> list[Array]:
    """The arrays, checked, in their common dtype; last axes equal, the axes before them free to broadcast."""
    checked = {name: real_array(name, x) for name, x in arrays.items()}
    shapes = ", ".join(f"{name} {x.shape}" for name, x in checked.items())
    if len({x.shape[-1] for x in checked.values()}) > 1:
        raise ValueError(f"{' and '.join(checked)} must have the same last axis, got {shapes}")
    try:
        np.broadcast_shapes(*(x.shape for x in checked.values()))
    except ValueError:
        raise ValueError(f"the batches of {' and '.join(checked)} must fit together, got {shapes}") from None
    dtype = np.result_type(*checked.values())
    return [x.astype(dtype, copy=False) for x in checked.values()]


def square(name: str, matrix: ArrayLike) -> Array:
    """A matrix, or a stack of them, with equal last two axes."""
    matrix = real_array(name, matrix)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}")
    return matrix


def steps(name: str, t: Any, low: int, high: int, *, batch: tuple[int, ...] | None = None) -> Steps:
    """t as an int or an integer array with low <= t <= high; with ``batch``, one that broadcasts against it."""
    if isinstance(t, Integral) and not isinstance(t, (bool, np.bool_)):
        t = int(t)
        if not low <= t <= high:
            raise ValueError(f"{name} must be in {low}..{high}, got {t}")
        return t
    array = np.asarray(t)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an integer or an integer array, got {_what(t)}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if array.min() < low or array.max() > high:
        raise ValueError(f"{name} must be in {low}..{high}, got values from {array.min()} to {array.max()}")
    if array.ndim == 0:
        return int(array)
    if batch is not None:
        try:
            np.broadcast_shapes(array.shape, batch)
        except ValueError:
            raise ValueError(f"{name} of shape {array.shape} must fit a batch of shape {batch}") from None
    return array.astype(np.intp, copy=False)


def count(name: str, n: Any, *, low: int = 1) -> int:
    """A whole number, at least ``low``."""
    if not isinstance(n, Integral) or isinstance(n, (bool, np.bool_)):
        raise TypeError(f"{name} must be a whole number, got {_what(n)}")
    if n < low:
        raise ValueError(f"{name} must be at least {low}, got {n}")
    return int(n)


def real(name: str, value: Any) -> float:
    """A finite real number."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a real number, got {_what(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value}")
    return float(value)


def positive(name: str, value: Any, *, zero: bool = False) -> float:
    """A finite number above 0 (or at least 0)."""
    number = real(name, value)
    if number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be {'at least' if zero else 'above'} 0, got {number}")
    return number


def fraction(name: str, value: Any, *, below_one: bool = False) -> float:
    """A number in [0, 1], or in [0, 1)."""
    number = real(name, value)
    if not 0 <= number <= 1 or (below_one and number == 1):
        raise ValueError(f"{name} must be in [0, 1{')' if below_one else ']'}, got {number}")
    return number


def generator(rng: Any, name: str = "rng") -> np.random.Generator:
    """A modern NumPy generator; the legacy RandomState and the global functions are refused."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator such as numpy.random.default_rng(0), got {_what(rng)}")
    return rng


def per_row(coefficient: Any, dtype: DTypeLike) -> Any:
    """A coefficient per row of a batch, shaped to multiply the rows and rounded once to their dtype."""
    c = np.asarray(coefficient).astype(dtype)
    return c[..., None] if c.ndim else c[()]


def per_matrix(coefficient: Any, dtype: DTypeLike) -> Any:
    """The same for a stack of matrices."""
    c = np.asarray(coefficient).astype(dtype)
    return c[..., None, None] if c.ndim else c[()]


def _what(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype}"
    text = repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"
