"""What an operation returned, whatever its form: arrays, a pair, a dict or an object."""

from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import Unusable, floats, read

_PAIRS = ("q_posterior_mean_variance", "p_mean_variance", "q_mean_variance")
_ANSWERS = ("prev_sample", "sample", "x_prev", "prev", "pred", "x", "mean")
_SPREADS = (("mean",), ("variance", "var"), ("log_variance", "log_var"))


class Result(NamedTuple):
    """What an operation returned: an array, or a mean with its variance and its logarithm."""

    value: Array
    variance: Array | None = None
    log_variance: Array | None = None


def split(operation: str, result: Any, shape: tuple[int, ...], axes: int) -> Result:
    """The arrays in what was returned, of this shape; axes: how many of length 1 come after it."""
    if operation not in _PAIRS:
        return Result(flat(_first(result), shape, "result", axes))
    if isinstance(result, dict):
        parts = [next((result[k] for k in keys if k in result), None) for keys in _SPREADS]
    elif isinstance(result, (tuple, list)) and len(result) > 1:
        parts = [*result[:3], None][:3]
    elif hasattr(result, "shape") and operation == "q_posterior_mean_variance":
        parts = [result, None, None]
    else:
        raise Unusable(f"returns a {type(result).__name__}, not a pair (mean, variance)")
    mean = flat(parts[0], shape, "mean", axes)
    return Result(mean, *(None if p is None else _spread(p, shape, axes) for p in parts[1:]))


def flat(result: Any, shape: tuple[int, ...], what: str, axes: int) -> Array:
    """One array of this shape, without the axes of length 1."""
    if axes and tuple(read(result, "shape", ())) == (*shape, *(1,) * axes):
        result = result[(..., *(0,) * axes)]
    return floats(result, shape, what)


def _first(result: Any) -> Any:
    if isinstance(result, dict) and result:
        return next((result[k] for k in _ANSWERS if k in result), next(iter(result.values())))
    if hasattr(result, "prev_sample"):
        return result.prev_sample
    return result[0] if isinstance(result, tuple) and result else result


def _spread(variance: Any, shape: tuple[int, ...], axes: int) -> Array:
    """A variance for every entry, as it broadcasts; of shape (n,) one for each row."""
    array: Any = floats(variance, None, "variance")
    if axes and array.ndim > len(shape):
        array = array[(..., *(0,) * axes)]
    if array.shape == shape[:1] and shape[0] != shape[-1]:
        array = array[:, None]
    try:
        return np.array(np.broadcast_to(array, shape))
    except ValueError:
        text = f"returns a variance of shape {array.shape} for arguments of shape {shape}"
        raise Unusable(text) from None
