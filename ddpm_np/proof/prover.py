"""The finite proof of an identity, on the running code.

The formulas of this package use only + - * / and square root, so they also run on exact numbers. Both sides of an identity are then
rational functions of a few variables, and their difference is P / Q with polynomials P and Q. If P has degree at most d_i in
variable i and vanishes on a grid of d_i + 1 values per variable on which Q does not, then P is 0: the identity holds wherever both
sides are defined. Nothing is sampled and nothing is rounded.

The degrees are found by running the formula itself on numbers that carry them (:class:`ddpm_np.proof.degree.Degree`); then it is run on
the whole grid.

A square root is no rational function. Variables are therefore chosen so that every root a formula takes is one
(:mod:`ddpm_np.proof.identities.charts`), and each chart declares those roots. That a radicand is the square of a declared root is
one more identity with a degree of its own, checked on the same grid; a root that is not declared is refused, and so is one below 0 on
the grid. A formula has to take the same branch at all points, else its degree would mean nothing; that is watched too.

What is proved is listed in :mod:`ddpm_np.proof.identities`; :mod:`ddpm_np.proof.verify` runs all of it.
Checked by: tests/proof/test_proof.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpm_np.proof.degree import Degree, Trace, Traced
from ddpm_np.proof.exact import Exact

__all__ = ["ANY", "UNIT", "Chart", "Identity", "Proof", "prove"]

Interval = tuple[Fraction, Fraction]
UNIT: Interval = (Fraction(0), Fraction(1))
ANY = None  # any real number: its grid is 1, 2, 3, ...


@dataclass(frozen=True)
class Chart:
    """The variables of an identity and what they stand for.

    variables : name -> the open interval its grid is taken from, or ANY
    build : makes from the variables what the formulas see: a namespace, by default of the variables themselves
    roots : the square roots that the formulas may take, as functions of the variables; 0 and 1 need not be declared
    free : more variables, which the formulas see as they are
    """

    variables: dict[str, Interval | None]
    build: Callable[..., SimpleNamespace] = SimpleNamespace
    roots: Callable[[SimpleNamespace], list[Any]] = lambda v: []
    free: dict[str, Interval | None] = field(default_factory=dict)

    def also(self, **free: Interval | None) -> Chart:
        """The same chart with more free variables."""
        return replace(self, free=self.free | free)


@dataclass(frozen=True)
class Identity:
    """left = right for all values of the chart's variables.

    ``sides`` makes the two from what the chart builds: numbers, arrays, or tuples and lists of them, to be compared one by one.
    """

    name: str
    equations: tuple[str, ...]
    statement: str
    chart: Chart
    sides: Callable[[SimpleNamespace], tuple[Any, Any]]


@dataclass(frozen=True)
class Proof:
    """What came out: the degree bounds, the size of the grid, and where and why it failed, if it did."""

    identity: Identity
    degrees: dict[str, int]
    points: int
    failure: str = ""

    @property
    def proved(self) -> bool:
        """Whether the whole grid was visited and no point spoke against it."""
        return not self.failure

    def __str__(self) -> str:
        identity, degrees = self.identity, ", ".join(f"{d} in {name}" for name, d in self.degrees.items())
        result = f"NOT PROVED: {self.failure}" if self.failure else "proved"
        return (
            f"{identity.name} ({', '.join(identity.equations)}): {identity.statement}\n"
            f"    degree at most {degrees or 'unknown'}; grid of {self.points} points; {result}"
        )


def prove(identity: Identity) -> Proof:
    """Run both sides on degrees, then on the whole grid that these ask for.

    Returns a :class:`Proof` in every case. Its ``failure`` names the first point where the sides differ, or says what made the
    formula fall outside the theorem: a float, a root that was not declared, a division by 0, a change of branch.

    >>> plane = Chart({"x": ANY, "y": ANY})
    >>> print(prove(Identity("a slip", ("E8",), "(x + y)^2 = x^2 + y^2", plane, lambda v: ((v.x + v.y) ** 2, v.x**2 + v.y**2))))
    a slip (E8): (x + y)^2 = x^2 + y^2
        degree at most 2 in x, 2 in y; grid of 9 points; NOT PROVED: at x = 1, y = 1: left 4, right 2
    """
    chart = identity.chart
    intervals = chart.variables | chart.free
    generic = {name: _odd(i, interval) for i, (name, interval) in enumerate(intervals.items())}
    trace = Trace(dict.fromkeys(intervals, 0))
    try:
        numbers = {name: Degree.variable(value, name, trace) for name, value in generic.items()}
        trace.bound(*_sides(identity, _built(chart, numbers, trace), numbers))
    except (ArithmeticError, TypeError, ValueError) as error:
        return Proof(identity, {}, 0, f"at {_place(generic)}: {error}")
    values = {name: _values(interval, trace.degrees[name]) for name, interval in intervals.items()}
    points = prod(len(v) for v in values.values())
    for point, difference in _differences(identity, values, trace):
        if difference:
            return Proof(identity, trace.degrees, points, f"at {_place(point)}: {difference}")
    return Proof(identity, trace.degrees, points)


def _differences(
    identity: Identity, values: dict[str, list[Fraction]], first: Trace
) -> Iterator[tuple[dict[str, Fraction], str]]:
    """Each point of the grid, and how the sides differ there, if they do. The chart is built once for all free variables."""
    chart = identity.chart
    for base in product(*(values[name] for name in chart.variables)):
        point = dict(zip(chart.variables, base))
        try:
            trace = Trace(first.degrees, first)
            built = _built(chart, {name: Traced.variable(value, trace) for name, value in point.items()}, trace)
            mark = trace.mark()
            for rest in product(*(values[name] for name in chart.free)):
                point |= dict(zip(chart.free, rest))
                trace.back_to(mark)
                left, right = _sides(identity, built, {name: Traced.variable(point[name], trace) for name in chart.free})
                trace.finish()
                pairs = zip(map(_value, left), map(_value, right))
                yield point, next((f"left {a}, right {b}" for a, b in pairs if a != b), "")
        except (ArithmeticError, TypeError, ValueError) as error:
            yield point, str(error)


def _built(chart: Chart, numbers: dict[str, Any], trace: Trace) -> SimpleNamespace:
    v = chart.build(**{name: numbers[name] for name in chart.variables})
    number = next(iter(numbers.values()))
    zero = number - number
    trace.declared = [zero, zero + 1, *chart.roots(v)]
    return v


def _sides(identity: Identity, built: SimpleNamespace, numbers: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    v = SimpleNamespace(**vars(built), **{name: numbers[name] for name in identity.chart.free})
    left, right = (list(_numbers(side)) for side in identity.sides(v))
    if len(left) != len(right):
        raise ValueError(f"the sides have {len(left)} and {len(right)} numbers")
    return left, right


def _numbers(side: Any) -> Iterator[Any]:
    """The numbers in a number, an array, or a nest of tuples and lists of them."""
    if isinstance(side, (tuple, list)):
        for part in side:
            yield from _numbers(part)
    elif isinstance(side, np.ndarray):
        yield from side.flat
    else:
        yield side


def _value(number: Any) -> Fraction:
    return number.fraction if isinstance(number, Exact) else Exact(number).fraction


def _values(interval: Interval | None, degree: int) -> list[Fraction]:
    """degree + 1 different values, inside the interval if there is one."""
    if interval is None:
        return [Fraction(k) for k in range(1, degree + 2)]
    low, high = interval
    return [low + (high - low) * Fraction(k, degree + 2) for k in range(1, degree + 2)]


def _odd(i: int, interval: Interval | None) -> Fraction:
    """The i-th variable's value in the first run, so odd that different roots differ there; if not, the grid notices."""
    low, high = interval or UNIT
    return low + (high - low) * Fraction(1009 + 97 * i, 2003 + 13 * i)


def _place(point: dict[str, Fraction]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in point.items())
