"""Exact numbers that leave a trace: the roots and branches a formula takes, and the degree of what it computes.

The tools of :mod:`ddpm_np.proof`, which says what they are for. :class:`Traced` is the number of the grid, :class:`Degree` that of
the first run; both write into a :class:`Trace`, and the grid's is compared with the first.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np

from ddpm_np.proof.exact import Exact

__all__ = ["Degree", "Trace", "Traced"]


class Trace:
    """The roots and decisions of one run, the degrees it asks for, and the first run's trace to be compared with."""

    def __init__(self, degrees: dict[str, int], first: Trace | None = None) -> None:
        self.degrees, self.first = degrees, first
        self.declared: list[Any] = []
        self.roots: list[int] = []  # which declared root the k-th square root is
        self.branches: list[bool] = []

    def root(self, radicand: Traced) -> Any:
        """The declared root whose square the radicand is; the first run chooses it, and every run checks it."""
        if self.first is None:
            squares = [r.fraction**2 for r in self.declared]
            if radicand.fraction not in squares:
                raise ValueError(f"{radicand.fraction} is not the square of a declared root")
            self.roots.append(squares.index(radicand.fraction))
        elif len(self.roots) == len(self.first.roots):
            raise ValueError("the formula takes another branch here: it has more square roots than at the first point")
        else:
            self.roots.append(self.first.roots[len(self.roots)])
        root = self.declared[self.roots[-1]]
        if root.fraction < 0 or root.fraction**2 != radicand.fraction:
            raise ValueError(f"{radicand.fraction} is not the square of the declared root {root.fraction}")
        return root

    def branch(self, outcome: bool) -> bool:
        """A comparison came out so; it must do so at every point."""
        k = len(self.branches)
        if self.first is not None and self.first.branches[k : k + 1] != [outcome]:
            raise ValueError("the formula takes another branch here than at the first point")
        self.branches.append(outcome)
        return outcome

    def mark(self) -> tuple[int, int]:
        """Where the trace stands now."""
        return len(self.roots), len(self.branches)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what came after the mark."""
        del self.roots[mark[0] :], self.branches[mark[1] :]

    def finish(self) -> None:
        """The run is over; it must not be shorter than the first."""
        if self.first is not None and self.mark() != self.first.mark():
            raise ValueError("the formula takes another branch here: it ends earlier than at the first point")

    def bound(self, left: list[Any], right: list[Any]) -> None:
        """Make the degrees large enough for the numerators of all left - right."""
        zero = Degree.constant(Fraction(0), self)
        for a, b in zip(left, right):
            difference = (zero + a) - (zero + b)
            for name, d in zip(self.degrees, difference.top):
                self.degrees[name] = max(self.degrees[name], d)


class Traced(Exact):
    """An exact number that tells its trace of the square roots and comparisons it goes through."""

    __slots__ = ("trace",)

    @staticmethod
    def variable(value: Fraction, trace: Trace) -> Traced:
        """The number that the formulas start from."""
        number = Traced.__new__(Traced)
        number.fraction, number.trace = value, trace
        return number

    def _of(self, fraction: Fraction) -> Traced:
        return Traced.variable(fraction, self.trace)

    def sqrt(self) -> Any:
        """The declared root; ValueError if there is none."""
        return self.trace.root(self)

    # Set anew, though to the same meaning, because only then does Python ask the subclass first when the left one is an Exact.
    def __radd__(self, other: object) -> Any:
        return self + other

    def __rmul__(self, other: object) -> Any:
        return self * other

    def __rsub__(self, other: object) -> Any:
        return -self + other

    def __rtruediv__(self, other: object) -> Any:
        return self**-1 * other

    def __eq__(self, other: object) -> bool:
        return self.trace.branch(super().__eq__(other))

    def __lt__(self, other: object) -> bool:
        return self.trace.branch(super().__lt__(other))

    def __le__(self, other: object) -> bool:
        return self.trace.branch(super().__le__(other))

    def __gt__(self, other: object) -> bool:
        return self.trace.branch(super().__gt__(other))

    def __ge__(self, other: object) -> bool:
        return self.trace.branch(super().__ge__(other))

    def __bool__(self) -> bool:
        return self.trace.branch(super().__bool__())

    __hash__ = Exact.__hash__


class Degree(Traced):
    """How high, at most, the degree of a rational function's numerator is in each variable, and what its denominator is made of.

    A factor of the denominator is the numerator of a number that was divided by. It is a polynomial known by that number alone, so
    that two factors are the same only if the very same number was the divisor; then it is taken once, and nothing else is ever
    cancelled. For + and - both numerators are brought to the common denominator, and the larger degree counts; for * degrees add up
    and denominators join; for / crosswise. A square root is the declared root. Each number also has its value at one point, so that
    comparisons come out and roots can be told from one another.
    """

    __slots__ = ("top", "bottom")

    # A number stands for its own numerator in the denominators of others, whatever its value.
    __hash__ = object.__hash__

    def __init__(self, fraction: Fraction, top: tuple[int, ...], bottom: Counter[Degree], trace: Trace) -> None:
        self.fraction, self.top, self.bottom, self.trace = fraction, top, bottom, trace

    @staticmethod
    def variable(value: Fraction, name: str, trace: Trace) -> Degree:
        """Degree 1 in its own variable."""
        return Degree(value, tuple(int(other == name) for other in trace.degrees), Counter(), trace)

    @staticmethod
    def constant(value: Fraction, trace: Trace) -> Degree:
        """Degree 0."""
        return Degree(value, (0,) * len(trace.degrees), Counter(), trace)

    def _lift(self, other: object) -> Degree:
        return other if isinstance(other, Degree) else Degree.constant((Exact(0) + other).fraction, self.trace)

    def _is_zero(self) -> bool:
        """Zero everywhere: the numerator is a constant, and that is 0."""
        return not self.fraction and not any(self.top)

    def __add__(self, other: object) -> Degree:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = self._lift(other)
        fraction = self.fraction + other.fraction
        for zero, rest in ((self, other), (other, self)):
            if zero._is_zero():
                return Degree(fraction, rest.top, rest.bottom, self.trace)
        common = self.bottom | other.bottom
        tops = _times(self.top, common - self.bottom), _times(other.top, common - other.bottom)
        return Degree(fraction, tuple(map(max, *tops)), common, self.trace)

    def __sub__(self, other: object) -> Degree:
        return self._lift(0) if other is self else self + -other

    def __mul__(self, other: object) -> Degree:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = self._lift(other)
        if self._is_zero() or other._is_zero():
            return self._lift(0)
        return Degree(self.fraction * other.fraction, _plus(self.top, other.top), self.bottom + other.bottom, self.trace)

    def __truediv__(self, other: object) -> Degree:
        if isinstance(other, np.ndarray):
            return NotImplemented
        other = self._lift(other)
        top, bottom = _times(self.top, other.bottom - self.bottom), self.bottom - other.bottom + Counter([other])
        return Degree(self.fraction / other.fraction, top, bottom, self.trace)

    def __rtruediv__(self, other: object) -> Degree:
        return self._lift(other) / self

    def __pow__(self, exponent: int) -> Degree:
        value = super().__pow__(exponent).fraction
        if exponent < 0:
            return 1 / self**-exponent
        bottom = Counter({factor: exponent * power for factor, power in self.bottom.items() if exponent})
        return Degree(value, tuple(exponent * n for n in self.top), bottom, self.trace)

    def __neg__(self) -> Degree:
        return Degree(-self.fraction, self.top, self.bottom, self.trace)

    def sqrt(self) -> Degree:
        """The declared root; that its square is this number is one more identity, which the grid has to be large enough for."""
        root = super().sqrt()
        self.trace.bound([self], [root * root])
        return root


def _plus(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(map(sum, zip(a, b)))


def _times(top: tuple[int, ...], factors: Counter[Degree]) -> tuple[int, ...]:
    """The degrees of a numerator multiplied by the factors."""
    for factor, power in factors.items():
        top = _plus(top, tuple(power * n for n in factor.top))
    return top
