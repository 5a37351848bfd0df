"""Argument checks: one line that names the argument, says what it must be, and what was given.

The wrong kind of thing is a TypeError, the right kind with a wrong value or shape a ValueError.
Every public function calls these checks before it computes; the formulas themselves check nothing.
"""

import math
import sys
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


class ExactNumber:
    """Base class of the number types that the argument checks accept besides floats."""

    __slots__ = ()


Array = NDArray[Any]
if TYPE_CHECKING:
    # No type checker can apply np.sqrt to a union.
    Number = Any
else:
    # What a formula of the derivation takes and returns.
    Number = float | Array | ExactNumber
Steps = int | NDArray[np.intp]

_T = TypeVar("_T")


def check_array(
    name: str, x: ArrayLike, *, ndim: int | None = None, dim: int | None = None, finite: bool = True
) -> Array:
    """x as an array of float32, float64 or exact numbers.

    It must not be empty and, unless ``finite`` is False, must not hold NaN or infinity. ``ndim`` is
    the number of axes, ``dim`` the length of the last one. Integers and other floats become
    float64. Masked arrays are refused: the numbers under the mask are no data.
    """
    array = _unmasked(name, x)
    if array.dtype.kind == "O":
        array = _objects(name, array)
    elif array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.dtype.kind in "iuf" and array.dtype not in (np.float32, np.float64):
        with np.errstate(over="ignore"):  # a long double beyond float64: refused below
            array = array.astype(np.float64)
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if ndim is not None and array.ndim != ndim:
        axes = "axis" if ndim == 1 else "axes"
        raise ValueError(f"{name} must have {ndim} {axes}, got shape {array.shape}")
    if ndim is None and array.ndim == 0:
        raise ValueError(f"{name} must have at least one axis, got a single number")
    if dim is not None and array.shape[-1] != dim:
        raise ValueError(f"{name} must have a last axis of length {dim}, got shape {array.shape}")
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        wrong = np.count_nonzero(~np.isfinite(array))
        raise ValueError(f"{name} must be finite, got {wrong} NaN or infinite values")
    return array


def check_same_dim(**arrays: ArrayLike) -> list[Array]:
    """The arrays, checked, in their common dtype.

    Their last axes must be equal; the axes before must broadcast.
    """
    checked = {name: check_array(name, x) for name, x in arrays.items()}
    shapes = ", ".join(f"{name} {x.shape}" for name, x in checked.items())
    names = " and ".join(checked)
    if len({x.shape[-1] for x in checked.values()}) > 1:
        raise ValueError(f"{names} must have the same last axis, got {shapes}")
    try:
        np.broadcast_shapes(*(x.shape for x in checked.values()))
    except ValueError:
        raise ValueError(f"the batches of {names} must fit together, got {shapes}") from None
    dtype = np.result_type(*checked.values())
    return [x.astype(dtype, copy=False) for x in checked.values()]


def batch_of(*arrays: Array) -> tuple[int, ...]:
    """The axes before the vector."""
    return np.broadcast_shapes(*(x.shape for x in arrays))[:-1]


def check_square(name: str, matrix: ArrayLike) -> Array:
    """A matrix, or a stack of them, with equal last two axes."""
    matrix = check_array(name, matrix)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}")
    return matrix


def check_steps(
    name: str,
    t: Any,
    low: int,
    high: int | None = None,
    *,
    of: Any = None,
    batch: tuple[int, ...] | None = None,
) -> Steps:
    """t as an int or an integer array with low <= t <= high.

    With ``of``, which must be a schedule, its T is the end in place of ``high``. With ``batch``, an
    array must broadcast to that shape without making it larger.
    """
    high = _last(of) if high is None else high
    if _is_integer(t):
        return _in_range(name, int(t), low, high)
    array = _unmasked(name, t)
    whole = all(type(v) is int for v in array.flat) if array.dtype.kind == "O" else True
    if array.dtype.kind not in "iuO" or not whole:
        raise TypeError(f"{name} must be an integer or an integer array, got {_what(t)}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    for value in (array.min(), array.max()):
        _in_range(name, int(value), low, high)
    if array.ndim == 0:
        return int(array)
    if batch is not None:
        fits = len(array.shape) <= len(batch) and all(
            n in (1, rows) for n, rows in zip(array.shape[::-1], batch[::-1])
        )
        if not fits:  # it would repeat the vectors, mostly t of shape (n, 1) for (n,)
            raise ValueError(f"{name} of shape {array.shape} must fit a batch of shape {batch}")
    return array.astype(np.intp, copy=False)


def check_step(name: str, t: Any, low: int, high: int | None = None, *, of: Any = None) -> int:
    """t as one int with low <= t <= high, where an array of steps has no meaning."""
    high = _last(of) if high is None else high
    if isinstance(t, np.ndarray) and t.ndim == 0 and t.dtype.kind in "iu":
        t = int(_unmasked(name, t))
    if not _is_integer(t):
        raise TypeError(f"{name} must be a single integer, got {_what(t)}")
    return _in_range(name, int(t), low, high)


def check_count(name: str, n: Any, *, low: int = 1) -> int:
    """A whole number, at least ``low``, and one that can be the length of an array."""
    if not _is_integer(n):
        raise TypeError(f"{name} must be a whole number, got {_what(n)}")
    if n < low:
        raise ValueError(f"{name} must be at least {low}, got {_what(n)}")
    if n > sys.maxsize:
        raise ValueError(f"{name} must be at most {sys.maxsize}, got {_what(n)}")
    return int(n)


def check_real(name: str, value: Any, *, most: float = math.inf) -> float:
    """A finite real number, in magnitude at most ``most``, say 1e150 for a finite square."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a real number, got {_what(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} must fit into float64, got {_what(value)}") from None
    if not np.isfinite(number):
        raise ValueError(f"{name} must be finite, got {_what(value)}")
    if abs(number) > most:
        raise ValueError(f"{name} must be at most {most:g} in magnitude, got {number}")
    return number


def check_positive(name: str, value: Any, *, zero: bool = False, most: float = math.inf) -> float:
    """A finite number above 0 (or at least 0), at most ``most``."""
    number = check_real(name, value, most=most)
    if number < 0 or (number == 0 and not zero):
        raise ValueError(f"{name} must be {'at least' if zero else 'above'} 0, got {number}")
    return number


def check_fraction(name: str, value: Any, *, below_one: bool = False) -> float:
    """A number in [0, 1], or in [0, 1). Exact ones, which may be symbols, are taken as given."""
    if isinstance(value, ExactNumber):
        return value  # type: ignore[return-value]
    number = check_real(name, value)
    if not 0 <= number <= 1 or (below_one and number == 1):
        raise ValueError(f"{name} must be in [0, 1{')' if below_one else ']'}, got {number}")
    return int(value) if isinstance(value, int) else number  # 0 and 1 stay exact


def check_flag(name: str, value: Any) -> bool:
    """True or False, and nothing that merely counts as one of them."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {_what(value)}")
    return bool(value)


def check_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """float32 or float64."""
    try:
        found = np.dtype(dtype)
    except Exception:  # NumPy asks strange objects for their repr
        found = np.dtype(object)
    if found not in (np.float32, np.float64):
        raise TypeError(f"dtype must be float32 or float64, got {_what(dtype)}")
    return found


def check_choice(name: str, value: Any, *options: str) -> str:
    """One of the given words."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {_what(value)}")
    return value


def check_generator(rng: Any, name: str = "rng") -> np.random.Generator:
    """A NumPy generator; the legacy RandomState and the global functions are refused."""
    example = "numpy.random.Generator such as numpy.random.default_rng(0)"
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{name} must be a {example}, got {_what(rng)}")
    return rng


def check_instance(name: str, value: _T, kind: type[Any]) -> _T:
    """An object of that class: ``check_instance("schedule", schedule, Schedule)``."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {_what(value)}")
    return value


def check_function(name: str, value: Any) -> Callable[..., Any]:
    """Something that can be called, as a denoiser is: ``check_function("denoiser", denoiser)``."""
    if isinstance(value, type) or not callable(value):
        raise TypeError(f"{name} must be a function, got {_what(value)}")
    found: Callable[..., Any] = value
    return found


def check_list(name: str, values: Any, of: str) -> Sequence[Any]:
    """A list or tuple of at least one entry: ``check_list("widths", widths, "width")``."""
    if not isinstance(values, (list, tuple)) or not values:
        kind = type(values).__name__
        got = f"an empty {kind}" if isinstance(values, (list, tuple)) else f"a {kind}"
        raise ValueError(f"{name} must be a list or tuple of at least one {of}, got {got}")
    return values


def check_methods(name: str, value: Any, *needed: str) -> Any:
    """An object with these attributes: ``check_methods("distribution", d, "dim", "sample")``."""
    lacking = [attribute for attribute in needed if not hasattr(value, attribute)]
    if lacking or isinstance(value, type):
        lacks = ", ".join(lacking) or "no instance"
        raise TypeError(f"{name} must have {', '.join(needed)}, got {_what(value)} ({lacks})")
    return value


def check_divisor(name: str, root: Any, t: Steps, dtype: DTypeLike, what: str) -> Array:
    """A root such as sqrt(alpha_bar_t) in the dtype, per row, to recover ``what`` by dividing.

    Refused where it is 0; exact numbers do not underflow.
    """
    root = np.asarray(root).astype(dtype)
    if root.dtype != object and np.any(root == 0):
        first = np.broadcast_to(t, root.shape)[root == 0].flat[0]
        raise ValueError(
            f"t must have {name} above 0 in {root.dtype} to recover {what}, got 0 at t = {first}"
        )
    return per_row(root, dtype)


def check_prediction(eps_hat: Any, x: Array) -> Array:
    """What a denoiser returned for x, finite and of its shape."""
    eps_hat = np.asarray(eps_hat)
    if eps_hat.shape != x.shape:
        raise ValueError(f"denoiser must return shape {x.shape}, got {eps_hat.shape}")
    return check_array("the denoiser's eps_hat", eps_hat)


def check_fits(name: str, denoiser: Any, schedule: Any) -> None:
    """That a denoiser which says its T, or the schedule it was made for, is used with that one."""
    T, own = getattr(denoiser, "T", schedule.T), getattr(denoiser, "schedule", None)
    if T != schedule.T:
        raise ValueError(f"{name} and schedule must have the same T, got {T} and {schedule.T}")
    if isinstance(own, type(schedule)) and own != schedule:
        raise ValueError(f"schedule must be that of the {name}, {own}, got {schedule}")


def per_row(coefficient: Any, dtype: DTypeLike) -> Any:
    """A coefficient per row of a batch, shaped to multiply the rows, rounded to their dtype."""
    c = np.asarray(coefficient).astype(dtype)
    return c[..., None] if c.ndim else c[()]


def per_matrix(coefficient: Any, dtype: DTypeLike) -> Any:
    """The same for a stack of matrices."""
    c = np.asarray(coefficient).astype(dtype)
    return c[..., None, None] if c.ndim else c[()]


def _unmasked(name: str, x: Any) -> Array:
    parts = x if isinstance(x, (list, tuple)) else [x]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(f"{name} must be an array without a mask, got a masked array")
    try:
        return np.asarray(x)
    except ValueError:
        raise ValueError(
            f"{name} must be a rectangular array, got rows of different lengths"
        ) from None


def _objects(name: str, array: Array) -> Array:
    """Exact numbers as they are; whole numbers too large for an integer dtype as float64."""
    kinds = {type(v) for v in array.flat}
    if kinds and kinds <= {int, float}:
        try:
            return array.astype(np.float64)
        except OverflowError:
            raise ValueError(f"{name} must fit into float64, got a larger number") from None
    strangers = sorted({kind.__name__ for kind in kinds if not issubclass(kind, ExactNumber)})
    if strangers:
        what = ", ".join(strangers)
        raise TypeError(f"{name} must hold real numbers, got objects of type {what}")
    return array


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, (bool, np.bool_))


def _last(schedule: Any) -> int:
    """The T of a schedule, known by its tables: this module stands below its class."""
    if isinstance(schedule, type) or not hasattr(schedule, "one_minus_alpha_bar"):
        raise TypeError(f"schedule must be a Schedule, got {_what(schedule)}")
    return int(schedule.T)


def _in_range(name: str, t: int, low: int, high: int) -> int:
    if not low <= t <= high:
        raise ValueError(f"{name} must be in {low}..{high}, got {_what(t)}")
    return t


def _what(value: Any) -> str:
    """A value in an error message: its repr if that is short, else its kind."""
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype}"
    try:
        text = repr(value)
    except Exception:  # a whole number of thousands of digits, or an object without a repr
        text = ""
    return text if 0 < len(text) <= 40 and "\n" not in text else f"a {type(value).__name__}"
