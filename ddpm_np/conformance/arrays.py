"""Arrays of NumPy, PyTorch and JAX, there and back; and reading somebody's object with care.

No library is imported here: a subject that uses one has.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ddpm_np._checks import Array

HALF = ("float16", "bfloat16")


class Unusable(Exception):
    """What an operation returned cannot be compared; the message says why."""


class Left(Exception):
    """A SystemExit, a CancelledError or the like, which is no Exception, in words."""


@contextmanager
def contained() -> Iterator[None]:
    """Whatever somebody's code raises is an Exception outside, but for KeyboardInterrupt."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise Left(line(error)) from None


def read(obj: Any, name: str, default: Any = None) -> Any:
    """An attribute, or the default where it is not there or cannot be read."""
    try:
        with contained():
            return getattr(obj, name, default)
    except Exception:
        return default


def line(error: BaseException, *, kind: bool = True) -> str:
    """An error as one line."""
    name, text = type(error).__name__, printable(str(error))
    kind = kind and not isinstance(error, Left)
    return (f"{name}: {text}" if kind and text else text or name)[:120]


def printable(text: str) -> str:
    """On one line, with escape codes written out."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


def library_of(x: Any) -> str | None:
    """ "numpy", "torch" or "jax" for an array of that kind, None for anything else."""
    if isinstance(x, np.ndarray):
        return "numpy"
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and isinstance(x, torch.Tensor):
        return "torch"
    return "jax" if jax is not None and isinstance(x, jax.Array) else None


def dtype_name(x: Any) -> str:
    """ "float32" for any library's float32, "" for what has no dtype."""
    return str(np.dtype(x) if isinstance(x, type) else read(x, "dtype", x)).removeprefix("torch.")


def to_numpy(x: Any) -> Array:
    """An array, a tensor, a list or a number as a NumPy array."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "fiub":
        return x
    if library_of(x) == "torch":
        x = x.detach().cpu()
        x = (x.float() if "bfloat16" in str(x.dtype) else x).numpy()
    try:
        array = np.asarray(x)
    except Exception:
        raise Unusable("returns rows of different lengths") from None
    return array.astype(np.float32) if "bfloat16" in str(array.dtype) else array


def from_numpy(array: Array, library: str, device: Any = None) -> Any:
    """A copy of the array as one of the library's, of the same dtype."""
    if library == "torch":
        return sys.modules["torch"].from_numpy(np.array(array)).to(device or "cpu")
    return sys.modules["jax"].numpy.asarray(array) if library == "jax" else np.array(array)


def floats(result: Any, shape: tuple[int, ...] | None = None, what: str = "result") -> Array:
    """What an operation returned, as NumPy floats of this shape; Unusable where it is not that."""
    array = to_numpy(result)
    if array.dtype.kind not in "fiu":
        raise Unusable(f"returns a {what} of type {type(result).__name__}, not real numbers")
    if shape is not None and array.shape != shape:
        raise Unusable(f"returns a {what} of shape {array.shape} for arguments of shape {shape}")
    return array.astype(np.float64) if array.dtype.kind != "f" else array
