"""The distance of floats from exact values, in units in the last place."""

from decimal import Decimal, localcontext
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np.equations.values import DIGITS, decimal


def ulp_error(
    actual: ArrayLike, exact: ArrayLike, *, scale: ArrayLike | None = None
) -> NDArray[np.float64]:
    """|actual - exact| in units in the last place of ``scale``, by default of ``exact``.

    The unit is that of the dtype of ``actual``. exact, scale: floats, decimals or fractions, in
    shapes that broadcast to that of actual. The difference is taken in decimals.
    Equal infinities differ by 0; anything else that is not finite is off by inf.

    >>> ulp_error(0.1 + 0.2, Decimal("0.3"))
    array(0.8)
    """
    actual, exact = np.asarray(actual), np.broadcast_to(_decimals(exact), np.shape(actual))
    largest = exact if scale is None else _decimals(scale)
    unit = np.spacing(np.abs(largest.astype(actual.dtype)))
    with localcontext(DIGITS):
        return np.asarray(_errors(_decimals(actual), exact, unit))


def _error(actual: Decimal, exact: Decimal, unit: Any) -> float:
    if actual == exact:
        return 0.0
    if not (actual.is_finite() and exact.is_finite()):
        return float("inf")
    return float(abs(actual - exact) / Decimal(float(unit)))


# The exact values of floats, or of decimals and fractions, in an object array of decimals.
_decimals = np.vectorize(decimal, otypes=[object])
_errors = np.vectorize(_error, otypes=[np.float64])
