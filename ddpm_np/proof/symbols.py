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

from __future__ import annotations

import linecache
import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import lcm
from numbers import Rational
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ddpm_np._checks import ExactNumber
from ddpm_np.proof import polynomials as poly
from ddpm_np.proof.printing import in_latex, in_text
from ddpm_np.schedule import Schedule

Key = tuple[Fraction, frozenset[tuple[poly.Factor, int]]]
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
        return _symbol(self, poly.variable(self.index[name]))

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
            share = Fraction(rng.randint(16, 48), 64)
            if interval is None:
                values[variable] = 4 * share - 2 + Fraction(1, 128)
            else:
                low, high = (values.get(end, end) for end in interval)
                values[variable] = low + (2 * share if high is None else (high - low) * share)
        return values

    def left_over(self) -> list[str]:
        """What was promised of the domain and not asked for, in words: a reason to refuse."""
        return []

    def sign(self, number: Symbol, comparison: str) -> int:
        """1 or -1, where the sign of a symbol is known; here it is not, and TypeError is raised."""
        self.refuse(TypeError, f"a symbol cannot be compared ({comparison}), {DEPENDS}")

    def refuse(self, error: type[Exception], why: str) -> NoReturn:
        """Raise the error. It is also kept in ``refusals``, lest code that catches it goes on."""
        message = f"{why}: {_line()}"
        self.refusals.append(message)
        raise error(message)

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


def _untraced(operation: Callable[..., Any]) -> Callable[..., Any]:
    """The operation without the tracer, which follows the package and would only slow this down."""

    def run(self: Symbol, *operands: Any) -> Any:
        tracer = sys.gettrace()
        if tracer is None:
            return operation(self, *operands)
        sys.settrace(None)
        try:
            return operation(self, *operands)
        finally:
            sys.settrace(tracer)

    return run


class Symbol(ExactNumber):
    """A rational function on a :class:`Domain`.

    It is kept as a fraction times powers of factors (:mod:`ddpm_np.proof.polynomials`), the
    exponents whole numbers of either sign. Products only add exponents. A sum takes the common
    powers out and multiplies the rest out; the new factor is divided by the factors of the
    denominator as often as they divide it. No greatest common divisor is taken: uncancelled
    factors cost time, and never a wrong answer.
    """

    __slots__ = ("domain", "factors", "scale")
    domain: Domain
    factors: dict[poly.Factor, int]
    scale: Fraction

    def __init__(self, domain: Domain, scale: Fraction, factors: dict[poly.Factor, int]) -> None:
        self.domain, self.scale, self.factors = domain, scale, factors

    # ---- arithmetic

    @_untraced
    def __add__(self, operand: object) -> Symbol:
        other = self._lift(operand)
        if other is NotImplemented:
            return NotImplemented
        if not self.scale or not other.scale:
            return _plain(other if other.scale else self)
        common = {
            f: min(self.factors.get(f, 0), other.factors.get(f, 0))
            for f in {*self.factors, *other.factors}
        }
        a, b = self.scale, other.scale
        below = lcm(a.denominator, b.denominator)
        total = poly.combine(
            int(a * below),
            _expanded(self.factors, common),
            int(b * below),
            _expanded(other.factors, common),
        )
        if not total:
            return self.domain.constant(0)
        content, rest = poly.factor(total)
        scale = Fraction(content, below)
        return _reduced(self.domain, scale, _joined(common, {rest: 1}))

    @_untraced
    def __mul__(self, operand: object) -> Symbol:
        other = self._lift(operand)
        if other is NotImplemented:
            return NotImplemented
        if not self.scale or not other.scale:
            return self.domain.constant(0)
        scale, factors = self.scale * other.scale, _joined(self.factors, other.factors)
        return _reduced(self.domain, scale, factors)

    @_untraced
    def __truediv__(self, operand: object) -> Symbol:
        other = self._lift(operand)
        return NotImplemented if other is NotImplemented else self * other**-1

    def __neg__(self) -> Symbol:
        return Symbol(self.domain, -self.scale, self.factors)

    def __pos__(self) -> Symbol:
        return _plain(self)

    @_untraced
    def __sub__(self, operand: object) -> Symbol:
        other = self._lift(operand)
        return NotImplemented if other is NotImplemented else self + -other

    def __rsub__(self, other: object) -> Symbol:
        return -self + other

    def __rtruediv__(self, other: object) -> Symbol:
        return self**-1 * other

    __radd__, __rmul__ = __add__, __mul__

    @_untraced
    def __pow__(self, exponent: object) -> Symbol:
        if not isinstance(exponent, (int, np.integer)):
            self.domain.refuse(TypeError, f"a symbol has whole powers only, not {exponent!r}")
        n = int(exponent)
        if n < 0 and not self.scale:
            self.domain.refuse(ZeroDivisionError, "division by a symbol that is 0")
        if not self.scale:
            return self.domain.constant(int(n == 0))
        return Symbol(self.domain, self.scale**n, {f: n * k for f, k in self.factors.items() if n})

    @_untraced
    def sqrt(self) -> Symbol:
        """The declared root whose square this is, for all values of the variables."""
        if self.key in self.domain.roots:
            return _plain(self.domain.roots[self.key])
        for root in self.domain.roots.values():  # the square may be factored in another way
            if same(root * root, self):
                return _plain(root)
        self.domain.refuse(ValueError, f"{self} is not the square of a declared root")

    def tanh(self) -> Symbol:
        """A new variable that stands for tanh of this, the same one for the same argument.

        What is proved with it as a free variable holds for tanh in particular; its derivative is
        1 - tanh^2 times that of the argument.
        """
        return self.domain.tanh(self)

    @_untraced
    def derivative(self, by: Symbol | str) -> Symbol:
        """The derivative with respect to a variable, given as its symbol or its name."""
        name = (
            by
            if isinstance(by, str)
            else next(name for name in self.domain.variables if same(self.domain[name], by))
        )
        total = self._partial(name)
        for tanh in self.domain.arguments:
            outer = self._partial(tanh)
            if not outer.is_zero():
                total += outer * self.domain.slope(tanh, name)
        return total

    def _partial(self, name: str) -> Symbol:
        """The derivative while the variables that stand for tanh are held fixed."""
        i = self.domain.index[name]
        total = self.domain.constant(0)
        for f, k in self.factors.items():  # (f^k)' = k f^k f' / f
            if inner := poly.derivative(dict(f), i):
                total += k * self * _symbol(self.domain, inner) / _symbol(self.domain, dict(f))
        return total

    def at(self, values: Mapping[str, Any]) -> Any:
        """The value where the variables have these values: fractions, or symbols of any domain."""
        names = list(self.domain.variables)
        result: Any = self.scale
        for f, k in self.factors.items():
            value: Any = 0
            for m, c in f:
                term: Any = c
                for i, n in poly.exponents(m):
                    term = values[names[i]] ** n * term
                value = term + value
            result = value**k * result
        return result

    # ---- what it is

    def is_zero(self) -> bool:
        """Whether it is 0 for all values of the variables."""
        return not self.scale

    @property
    def key(self) -> Key:
        """The way in which it is kept. Equal keys mean equal functions, but not the reverse."""
        return self.scale, frozenset(self.factors.items())

    @property
    def numerator(self) -> poly.Polynomial:
        """The numerator, multiplied out, without the fraction in front."""
        return _expanded(self.factors, {f: min(k, 0) for f, k in self.factors.items()})

    @property
    def denominator(self) -> dict[poly.Factor, int]:
        """The factors of the denominator and their powers."""
        return {f: -k for f, k in self.factors.items() if k < 0}

    def __repr__(self) -> str:
        return in_text(self)

    def latex(self, names: Mapping[str, str] | None = None) -> str:
        r"""The function in LaTeX; ``names`` says how variables are written.

        >>> x, beta = Domain(x=ANY, beta=UNIT).symbols
        >>> print((x / (2 * beta**2)).latex({"beta": "b_t"}))
        \frac{x}{2 b_t^{2}}
        """
        return in_latex(self, names or {})

    def _lift(self, other: object) -> Any:
        """The other operand as a symbol; NotImplemented for an array, which has its elements."""
        if isinstance(other, Symbol):
            if other.domain is not self.domain:
                self.domain.refuse(TypeError, "symbols of two domains met")
            return other
        if isinstance(other, np.ndarray):
            return NotImplemented
        if isinstance(other, Rational):
            return self.domain.constant(Fraction(other))
        self.domain.refuse(TypeError, f"a symbol met the {type(other).__name__} {other!r}")

    # ---- what would make a branch

    def _refuse(self, what: str) -> NoReturn:
        self.domain.refuse(TypeError, f"a symbol {what}, {DEPENDS}")

    def __eq__(self, other: object) -> bool:
        self._refuse("cannot be compared (==)")

    def __ne__(self, other: object) -> bool:
        self._refuse("cannot be compared (!=)")

    def __lt__(self, other: object) -> bool:
        return self.domain.sign(self - other, "<") < 0

    def __le__(self, other: object) -> bool:
        return self.domain.sign(self - other, "<=") < 0

    def __gt__(self, other: object) -> bool:
        return self.domain.sign(self - other, ">") > 0

    def __ge__(self, other: object) -> bool:
        return self.domain.sign(self - other, ">=") > 0

    def __bool__(self) -> bool:
        self._refuse("has no truth value")

    def __hash__(self) -> int:
        self._refuse("cannot be looked up")

    def __abs__(self) -> Symbol:
        self._refuse("has no magnitude")

    def __float__(self) -> float:
        self._refuse("cannot be rounded to a float")

    def __int__(self) -> int:
        self._refuse("cannot be made a whole number")


class _Beta(Symbol):
    """A beta of a schedule, shown to lie between 0 and 1; anything computed from it is plain."""

    __slots__ = ()

    def __gt__(self, other: object) -> bool:
        return True if type(other) is int and other == 0 else super().__gt__(other)

    def __lt__(self, other: object) -> bool:
        return True if type(other) is int and other == 1 else super().__lt__(other)

    __hash__ = Symbol.__hash__


DEPENDS = "since the answer depends on its value"
ONE: poly.Factor = frozenset({(0, 1)})


def _symbol(domain: Domain, p: poly.Polynomial) -> Symbol:
    """A polynomial, not 0, as a symbol."""
    content, factor = poly.factor(p)
    return Symbol(domain, Fraction(content), _joined({}, {factor: 1}))


def _plain(number: Symbol) -> Symbol:
    """The same number; no longer a beta of a schedule if it was one."""
    return Symbol(number.domain, number.scale, number.factors)


def same(a: Any, b: Any) -> bool:
    """Whether two numbers, at least one of them a symbol, are equal as rational functions."""
    difference = a - b
    return difference.is_zero() if isinstance(difference, Symbol) else not difference


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


def _joined(a: Mapping[poly.Factor, int], b: Mapping[poly.Factor, int]) -> dict[poly.Factor, int]:
    """The exponents of a product."""
    result = dict(a)
    for f, k in b.items():
        result[f] = result.get(f, 0) + k
    return {f: k for f, k in result.items() if k and f != ONE}


def _expanded(
    factors: Mapping[poly.Factor, int], without: Mapping[poly.Factor, int]
) -> poly.Polynomial:
    """The product of the factors' powers, divided by those of ``without``, multiplied out."""
    result = {0: 1}
    for f in {**without, **factors}:
        if n := factors.get(f, 0) - without.get(f, 0):
            result = poly.multiply(result, poly.power(f, n))
    return result


def _reduced(domain: Domain, scale: Fraction, factors: dict[poly.Factor, int]) -> Symbol:
    """The number without the factors of its denominator that divide one of its numerator."""
    below = [f for f, k in factors.items() if k < 0]
    above = [f for f, k in factors.items() if k > 0]
    while below and above:
        f = above.pop()
        for d in below:
            if factors.get(d, 0) < 0 and (rest := poly.quotient(f, d)) is not None:
                n = min(factors[f], -factors[d])
                factors = _joined(_joined(factors, {f: -n, d: n}), {rest: n})
                above += [g for g in (f, rest) if factors.get(g, 0) > 0]
                break
    return Symbol(domain, scale, factors)


def _line() -> str:
    """The line of code, outside of this module, that is being run."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is None:
        return "unknown line"
    path = Path(frame.f_code.co_filename)
    code = linecache.getline(str(path), frame.f_lineno).strip()
    return f"{path.name}, line {frame.f_lineno}" + (f", {code}" if code else "")
