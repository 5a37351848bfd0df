"""What the distributions check of their arguments, beside :mod:`ddpm_np._checks`: everything here is float, and kept read-only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import Array, real_array

__all__ = ["checked_points", "float_array", "float_dtype", "frozen"]


def float_array(name: str, x: ArrayLike, *, ndim: int | None = None, dim: int | None = None) -> NDArray[np.float64]:
    """Finite float64, a copy unless it is read-only; eigenvectors are irrational, so exact numbers have no place here."""
    x = real_array(name, x, ndim=ndim, dim=dim)
    if x.dtype == object:
        raise TypeError(f"{name} must hold floats, got exact numbers")
    return x.astype(np.float64, copy=x.flags.writeable)


def float_dtype(dtype: DTypeLike) -> np.dtype:
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


def frozen(array: Array) -> Array:
    """The same array, read-only."""
    array.flags.writeable = False
    return array
