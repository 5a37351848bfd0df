"""Exact numbers that run through the package's own formulas, as symbols do.

``fractions.Fraction`` will not do, because next to a float it silently becomes one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from math import isqrt
from numbers import Rational
from typing import Any

import numpy as np

from ddpm_np._checks import ExactNumber


def _operation(operation: Callable[[Any, Any], Fraction]) -> Callable[[Exact, object], Exact]:
    def method(self: Exact, other: object) -> Exact:
        if isinstance(other, np.ndarray):
            return NotImplemented  # NumPy then goes through its elements
        return self._of(operation(self.fraction, _fraction(other)))

    return method


def _comparison(operation: Callable[[Any, Any], bool]) -> Any:
    return lambda self, other: operation(self.fraction, _fraction(other))


class Exact(ExactNumber):
    """A rational number that refuses floats and whose square root refuses non-squares.

    >>> Exact(9, 16).sqrt()
    Exact(3, 4)
    >>> Exact(1, 2) + 0.5
    Traceback (most recent call last):
        ...
    TypeError: an exact number met the float 0.5
    """

    __slots__ = ("fraction",)
    fraction: Fraction

    def __init__(self, numerator: int | Fraction, denominator: int = 1) -> None:
        if not isinstance(numerator, Rational) or not isinstance(denominator, Rational):
            raise TypeError(
                f"Exact takes whole numbers or fractions, not {numerator!r} / {denominator!r}"
            )
        self.fraction = Fraction(numerator) / Fraction(denominator)

    def _of(self, fraction: Fraction) -> Exact:
        """The number that an operation on this one returns."""
        result = Exact.__new__(Exact)
        result.fraction = fraction
        return result

    def __repr__(self) -> str:
        return f"Exact({self.fraction.numerator}, {self.fraction.denominator})"

    def __hash__(self) -> int:
        return hash(self.fraction)

    def __bool__(self) -> bool:
        return bool(self.fraction)

    __add__ = _operation(operator.add)
    __sub__ = _operation(operator.sub)
    __mul__ = _operation(operator.mul)
    __truediv__ = _operation(operator.truediv)
    __radd__ = _operation(operator.add)
    __rmul__ = _operation(operator.mul)
    __rsub__ = _operation(lambda own, other: other - own)
    __rtruediv__ = _operation(lambda own, other: other / own)

    def __neg__(self) -> Exact:
        return self._of(-self.fraction)

    def __pow__(self, exponent: int) -> Exact:
        if not isinstance(exponent, int):
            raise TypeError(f"an exact number has whole powers only, not {exponent!r}")
        return self._of(self.fraction**exponent)

    __eq__ = _comparison(operator.eq)
    __lt__ = _comparison(operator.lt)
    __le__ = _comparison(operator.le)
    __gt__ = _comparison(operator.gt)
    __ge__ = _comparison(operator.ge)

    def sqrt(self) -> Exact:
        """The root, if it is rational; ValueError if it is not, never an approximation."""
        p, q = self.fraction.numerator, self.fraction.denominator
        if p < 0 or isqrt(p) ** 2 != p or isqrt(q) ** 2 != q:
            raise ValueError(f"{self.fraction} is not the square of a rational number")
        return self._of(Fraction(isqrt(p), isqrt(q)))


class Root(ExactNumber):
    """A number that is known by its square only, for a formula in which it appears squared.

    >>> Root(Exact(1, 2)) ** 2
    Exact(1, 2)
    """

    __slots__ = ("square",)

    def __init__(self, square: ExactNumber) -> None:
        self.square = square

    def __pow__(self, exponent: int) -> ExactNumber:
        if exponent != 2:
            raise ValueError(f"only the square of this root is known, not its power {exponent}")
        return self.square


def _fraction(other: object) -> Fraction:
    if isinstance(other, Exact):
        return other.fraction
    if isinstance(other, Rational):
        return Fraction(other)
    raise TypeError(f"an exact number met the {type(other).__name__} {other!r}")
