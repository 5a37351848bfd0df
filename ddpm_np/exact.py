"""Exact numbers that run through the package's own formulas.

NumPy's arithmetic on object arrays calls the elements' own ``+ - * /``, and ``np.sqrt`` calls their ``.sqrt()``. A number that
offers exactly these five operations, exactly, therefore lets the very code that runs in float64 also run without rounding: that is
what :mod:`ddpm_np.proof` builds on. ``fractions.Fraction`` will not do, because next to a float it silently becomes one.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from numbers import Rational

__all__ = ["Exact", "ExactNumber"]


class ExactNumber:
    """Marks the types that the package's argument checks let through beside floats."""

    __slots__ = ()


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

    def __init__(self, numerator: int | Fraction, denominator: int = 1) -> None:
        if not isinstance(numerator, Rational) or not isinstance(denominator, Rational):
            raise TypeError(f"Exact takes whole numbers or fractions, not {numerator!r} / {denominator!r}")
        self.fraction = Fraction(numerator) / Fraction(denominator)

    def __repr__(self) -> str:
        return f"Exact({self.fraction.numerator}, {self.fraction.denominator})"

    def __hash__(self) -> int:
        return hash(self.fraction)

    def __bool__(self) -> bool:
        return bool(self.fraction)

    def __add__(self, other: object) -> Exact:
        return Exact(self.fraction + _fraction(other))

    def __sub__(self, other: object) -> Exact:
        return Exact(self.fraction - _fraction(other))

    def __mul__(self, other: object) -> Exact:
        return Exact(self.fraction * _fraction(other))

    def __truediv__(self, other: object) -> Exact:
        return Exact(self.fraction / _fraction(other))

    def __rsub__(self, other: object) -> Exact:
        return Exact(_fraction(other) - self.fraction)

    def __rtruediv__(self, other: object) -> Exact:
        return Exact(_fraction(other) / self.fraction)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Exact:
        return Exact(-self.fraction)

    def __pow__(self, exponent: int) -> Exact:
        if not isinstance(exponent, int):
            raise TypeError(f"an exact number has whole powers only, not {exponent!r}")
        return Exact(self.fraction**exponent)

    def __eq__(self, other: object) -> bool:
        return self.fraction == _fraction(other)

    def __lt__(self, other: object) -> bool:
        return self.fraction < _fraction(other)

    def __le__(self, other: object) -> bool:
        return self.fraction <= _fraction(other)

    def __gt__(self, other: object) -> bool:
        return self.fraction > _fraction(other)

    def __ge__(self, other: object) -> bool:
        return self.fraction >= _fraction(other)

    def sqrt(self) -> Exact:
        """The root, if it is rational; ValueError if it is not, never an approximation."""
        p, q = self.fraction.numerator, self.fraction.denominator
        if p < 0 or isqrt(p) ** 2 != p or isqrt(q) ** 2 != q:
            raise ValueError(f"{self.fraction} is not the square of a rational number")
        return Exact(isqrt(p), isqrt(q))


def _fraction(other: object) -> Fraction:
    if isinstance(other, Exact):
        return other.fraction
    if isinstance(other, Rational):
        return Fraction(other)
    raise TypeError(f"an exact number met the {type(other).__name__} {other!r}")
