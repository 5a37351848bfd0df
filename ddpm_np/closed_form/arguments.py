"""What the distributions do with arrays: check them, keep them read-only, measure their lengths."""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import Array, check_array

_Kind = TypeVar("_Kind", bound=np.generic)


def float_array(
    name: str, x: ArrayLike, *, ndim: int | None = None, dim: int | None = None
) -> NDArray[np.float64]:
    """Finite float64, a copy unless x is read-only.

    Exact numbers are refused: eigenvectors are irrational.
    """
    x = check_array(name, x, ndim=ndim, dim=dim)
    if x.dtype == object:
        raise TypeError(f"{name} must hold floats, got exact numbers")
    return x.astype(np.float64, copy=x.flags.writeable)


def checked_points(x: ArrayLike, dim: int, name: str = "x", *, exact: bool = False) -> Array:
    """Points (..., dim) of float32 or float64; of exact numbers only where these are asked for."""
    x = check_array(name, x, dim=dim)
    if x.dtype == object and not exact:
        raise TypeError(f"{name} must hold floats, got exact numbers")
    return x


def frozen(array: NDArray[_Kind]) -> NDArray[_Kind]:
    """The array, read-only.

    A view is copied: also a read-only one can be changed through the array that it views.
    """
    array = array if array.flags.owndata else array.copy(order="K")
    array.flags.writeable = False
    return array


def eigen(
    name: str, cov: NDArray[np.float64], eps: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The eigenvalues of a covariance (n, n), largest first, their vectors, and their rounding.

    ValueError where it is not symmetric, or an eigenvalue is negative, by more than 10 n eps of the
    largest; eps is that of the dtype in which the matrix was given.
    """
    rounding = 10 * len(cov) * eps
    asymmetry = np.abs(cov - cov.T).max()
    if asymmetry > rounding * np.abs(cov).max():
        differ = f"entries that differ from their mirror image by {asymmetry:.3g}"
        raise ValueError(f"{name} must be symmetric, got {differ}")
    try:
        values, vectors = np.linalg.eigh(cov / 2 + cov.T / 2)
    except np.linalg.LinAlgError:
        values, vectors = np.full(len(cov), np.inf), cov
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must have finite eigenvalues in float64")
    if -values[0] > rounding * np.abs(values).max():
        raise ValueError(f"{name} must have no negative eigenvalue, got {values[0]:.3g}")
    return values[::-1], vectors[:, ::-1], rounding


class ReadOnly:
    """Its arrays stay read-only in copies and pickles, which come with arrays that are not."""

    def __setstate__(self, state: dict[str, object]) -> None:
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        self.__dict__.update(state)


def norm(x: Array) -> NDArray[np.float64]:
    """The lengths of vectors (..., dim), (...,); no square on the way over- or underflows."""
    _, exponent = np.frexp(np.abs(x).max(axis=-1, keepdims=True, initial=0.0))
    length = np.sqrt(np.square(np.ldexp(x, -exponent)).sum(-1))
    with np.errstate(over="ignore"):
        return np.asarray(np.ldexp(length, exponent[..., 0]))
