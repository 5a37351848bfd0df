"""Symbols: numbers whose values are rational functions, for the package's own formulas.

NumPy's arithmetic on object arrays calls the elements' ``+ - * /``, and ``np.sqrt`` calls their
``.sqrt()``. So a function that runs on arrays of float64 also runs on arrays of symbols, and what
it returns is then not a number but the formula itself, as one rational function of the variables.

>>> domain = Domain(x=ANY, u=UNIT)
>>> x, u = domain.symbols
>>> (x**2 - 1) / (x - 1)
x + 1
>>> same((1 + u) ** 2, 1 + 2 * u + u**2)
True
>>> ((1 + u) ** 2 / x).derivative(u)
(2 u + 2)/x

**Equality** is decided exactly by :func:`same`: two symbols are the same if the numerator of their
difference is 0. Then they are equal for all values of the variables at which both are defined.

**Square roots** are no rational functions. Choose variables in which the roots that a formula
takes are rational, and declare them. ``.sqrt()`` returns a declared root of which its argument is
identically the square, and refuses everything else. The domain shows that a declared root is not
negative on it, and refuses it otherwise.

>>> domain.declare((1 - u**2) / (1 + u**2))
>>> np.sqrt(((1 - u**2) / (1 + u**2)) ** 2)
(-u^2 + 1)/(u^2 + 1)

**Comparisons** are refused, and so are ``abs``, ``max``, ``sign``, ``float``, truth and hashing: a
branch that is taken for one value says nothing about other values. One question is answered,
because :class:`ddpm_np.schedule.Schedule` must ask it: whether 0 < beta < 1, for the betas that
:meth:`Domain.schedule` was given and has shown to be there on the whole domain.

>>> x > 0  # doctest: +ELLIPSIS
Traceback (most recent call last):
    ...
TypeError: a symbol cannot be compared (>), since the answer depends on its value: ...
>>> schedule = domain.schedule([u, u / 2])
>>> schedule.alpha_bar[2]
(u^2 - 3 u + 2)/2
"""

import math
import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from numbers import Rational
from typing import Any

import numpy as np

from ddpm_np.proof import polynomials as poly
from ddpm_np.proof.callers import line_outside
from ddpm_np.proof.rational import DEPENDS, Key, Symbol
from ddpm_np.proof.rational import same as same
from ddpm_np.schedule import Schedule

End = Fraction | int | str | None
Interval = tuple[End, End] | None

ANY: Interval = None
UNIT: Interval = (0, 1)
POSITIVE: Interval = (0, None)


class Domain:
    """Variables, the open intervals they run through, and the square roots that may be taken.

    variables : name -> interval: ANY for every real number, or the pair of its ends. An end is a
        whole number, a fraction or the name of an earlier variable; the upper end may be None for
        infinity. So ``Domain(u=UNIT, v=("u", 1))`` is 0 < u < v < 1.

    ``domain.symbols`` are the variables in their order, ``domain["x"]`` is one of them.
    """

    def __init__(self, **variables: Interval) -> None:
        self.variables: dict[str, Interval] = {}
        self.index: dict[str, int] = {}
        self.arguments: dict[str, Symbol] = {}  # of the variables that stand for tanh
        self._slopes: dict[tuple[str, str], Symbol] = {}
        self.refusals: list[str] = []
        for name, interval in variables.items():
            low, high = interval or (0, None)
            for end in (low, 0 if high is None else high):
                bounded = isinstance(end, str) and self.variables.get(end) is not None
                if not bounded and not isinstance(end, Rational):
                    raise ValueError(
                        f"the ends of {name} must be numbers or bounded variables before it, "
                        f"got {interval!r}"
                    )
            self._add(name, interval)
        self.roots: dict[Key, Symbol] = {c.key: c for c in (self.constant(0), self.constant(1))}

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The variables, in their order."""
        return tuple(self[name] for name in self.variables)

    def __getitem__(self, name: str) -> Symbol:
        variable = frozenset(poly.variable(self.index[name]).items())
        return Symbol(self, Fraction(1), {variable: 1})

    def _add(self, name: str, interval: Interval) -> None:
        self.index[name] = len(self.variables)
        self.variables[name] = interval

    def constant(self, value: Fraction | int) -> Symbol:
        """The function with this value everywhere."""
        return Symbol(self, Fraction(value), {})

    def declare(self, *roots: Symbol) -> None:
        """Let ``.sqrt()`` return these where it is given their squares.

        ValueError for one that cannot be shown to be at least 0 on the domain.
        """
        for root in roots:
            if not root.is_zero() and not self.positive(root):
                raise ValueError(f"the declared root {root} is not shown to be 0 or more here")
            self.roots[(root * root).key] = root

    def positive(self, number: Symbol) -> bool:
        """Whether the number is shown to be above 0 on the whole domain.

        Each variable is written with one that runs through all positive numbers: low + w, or
        (low + high w) / (1 + w). The number is positive if then all coefficients of its numerator
        and its denominator are. This is sufficient, not necessary: False means "not shown".
        """
        occurring = {i for f in number.factors for m, _ in f for i, _ in poly.exponents(m)}
        last = max(occurring, default=-1)
        variables = tuple(self.variables.items())[: last + 1]
        return _positive(variables, number.scale, frozenset(number.factors.items()))

    def point(self, name: str) -> dict[str, Any]:
        """A point of the domain, drawn at random; equal names give equal points."""
        rng = random.Random(name)
        values: dict[str, Any] = {}
        for variable, interval in self.variables.items():
            if variable in self.arguments:
                inner = float(self.arguments[variable].at(values))
                values[variable] = Fraction(math.tanh(inner))
                continue
            # Odd: a branch on how many digits a number has would go another way than for most.
            share = Fraction(1, 4) + Fraction(2 * rng.getrandbits(51) + 1, 2**53)
            if interval is None:
                values[variable] = 4 * share - Fraction(200, 101)
            else:
                ends: list[Any] = [values[e] if isinstance(e, str) else e for e in interval]
                low, high = ends
                values[variable] = low + (2 * share if high is None else (high - low) * share)
        return values

    def left_over(self) -> list[str]:
        """What was promised of the domain and not asked for, in words: a reason to refuse."""
        return []

    def sign(self, number: Symbol, comparison: str) -> int:
        """1 or -1, where the sign of a symbol is known; here it is not, and TypeError is raised."""
        raise self.refusal(TypeError, f"a symbol cannot be compared ({comparison}), {DEPENDS}")

    def refusal(self, error: type[Exception], why: str) -> Exception:
        """The error to raise. It is also kept in ``refusals``, for code that catches it."""
        message = f"{why}: {line_outside()}"
        self.refusals.append(message)
        return error(message)

    def tanh(self, number: Symbol) -> Symbol:
        """The variable that stands for tanh of the number."""
        for name, argument in self.arguments.items():
            if argument.key == number.key:
                return self[name]
        name = f"tanh_{len(self.arguments) + 1}"
        self._add(name, ANY)
        self.arguments[name] = number
        return self[name]

    def slope(self, tanh: str, name: str) -> Symbol:
        """The derivative of that variable with respect to another."""
        if (tanh, name) not in self._slopes:
            inner = self.arguments[tanh].derivative(name)
            self._slopes[tanh, name] = (1 - self[tanh] ** 2) * inner
        return self._slopes[tanh, name]

    def schedule(self, beta: Sequence[Symbol]) -> Schedule:
        """The schedule of these betas, made by the public constructor.

        ValueError unless each is shown to lie strictly between 0 and 1 on the domain.
        """
        for t, b in enumerate(beta, 1):
            if not (self.positive(b) and self.positive(1 - b)):
                raise ValueError(f"beta_{t} = {b} is not shown to lie between 0 and 1 here")
        return Schedule.from_beta(np.array([_Beta(self, b.scale, b.factors) for b in beta]))


class _Beta(Symbol):
    """A beta of a schedule, shown to lie between 0 and 1; anything computed from it is plain."""

    __slots__ = ()

    def __gt__(self, other: object) -> bool:
        return True if type(other) is int and other == 0 else super().__gt__(other)

    def __lt__(self, other: object) -> bool:
        return True if type(other) is int and other == 1 else super().__lt__(other)

    __hash__ = Symbol.__hash__


@lru_cache(maxsize=10_000)
def _positive(
    variables: tuple[tuple[str, Interval], ...],
    scale: Fraction,
    factors: frozenset[tuple[poly.Factor, int]],
) -> bool:
    """Whether this number is shown to be positive; :meth:`Domain.positive` says how."""
    number = Symbol(Domain(**dict(variables)), scale, dict(factors))
    intervals = number.domain.variables
    occurring = {i for f, _ in factors for m, _ in f for i, _ in poly.exponents(m)}
    names = [name for i, name in enumerate(intervals) if i in occurring]
    if any(intervals[name] is None for name in names):
        return False
    positive = Domain(**dict.fromkeys(names, POSITIVE))
    values: dict[str, Any] = {}
    for name in names:
        low, high = (_end(end, k, intervals, values) for k, end in enumerate(intervals[name] or ()))
        w = positive[name]
        values[name] = low + w if high is None else (low + high * w) / (1 + w)
    if names:
        number = number.at(values)
    return number.scale > 0 and all(c > 0 for f in number.factors for _, c in f)


def _end(end: End, k: int, intervals: Mapping[str, Interval], values: Mapping[str, Any]) -> Any:
    """An end in the positive variables. That of a variable which does not occur is its own."""
    while isinstance(end, str) and end not in values:
        end = (intervals[end] or (None, None))[k]
    return values[end] if isinstance(end, str) else end
