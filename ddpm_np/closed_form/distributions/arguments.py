"""What the distributions check of their arguments: everything is float and kept read-only."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import Array, real_array

__all__ = ["checked_points", "float_array", "float_dtype", "frozen"]

_Kind = TypeVar("_Kind", bound=np.generic)


def float_array(
    name: str, x: ArrayLike, *, ndim: int | None = None, dim: int | None = None
) -> NDArray[np.float64]:
    """Finite float64. A copy, unless x is read-only and owns its memory.

    A read-only view can be changed through the array that it views. Exact numbers are refused:
    eigenvectors are irrational.
    """
    x = real_array(name, x, ndim=ndim, dim=dim)
    if x.dtype == object:
        raise TypeError(f"{name} must hold floats, got exact numbers")
    return x.astype(np.float64, copy=x.flags.writeable or not x.flags.owndata)


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64."""
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {dtype}")
    return dtype


def checked_points(x: ArrayLike, dim: int) -> Array:
    """Points (..., dim) of float32 or float64."""
    x = real_array("x", x, dim=dim)
    if x.dtype == object:
        raise TypeError("x must hold floats, got exact numbers")
    return x


def frozen(array: NDArray[_Kind]) -> NDArray[_Kind]:
    """The array, read-only; a view is copied, so that the result owns its memory."""
    array = array if array.flags.owndata else array.copy(order="K")
    array.flags.writeable = False
    return array
