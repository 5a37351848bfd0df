"""One rational function: the number type behind the symbols of :mod:`ddpm_np.proof.symbols`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import lcm
from numbers import Rational
from typing import Any, NoReturn

import numpy as np

from ddpm_np._checks import ExactNumber
from ddpm_np.proof import polynomials as poly
from ddpm_np.proof.callers import in_numpy

Key = tuple[Fraction, frozenset[tuple[poly.Factor, int]]]


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


def _refused(what: str) -> Any:
    """A method that refuses: the symbol ..., since the answer depends on its value."""

    def refuse(self: Symbol, *_: object) -> NoReturn:
        raise self.domain.refusal(TypeError, f"a symbol {what}, {DEPENDS}")

    return refuse


def _answered(comparison: str, sign: int) -> Any:
    """A comparison: whether the domain says that the difference has this sign."""
    return lambda self, other: self.domain.sign(self - other, comparison) == sign


class Symbol(ExactNumber):
    """A rational function on a :class:`Domain`.

    It is kept as a fraction times powers of factors (:mod:`ddpm_np.proof.polynomials`), the
    exponents whole numbers of either sign. Products only add exponents. A sum takes the common
    powers out and multiplies the rest out; the new factor is divided by the factors of the
    denominator as often as they divide it. No greatest common divisor is taken: uncancelled
    factors cost time, and never a wrong answer.
    """

    __slots__ = ("domain", "factors", "scale")
    domain: Any  # a Domain, which stands above this file
    factors: dict[poly.Factor, int]
    scale: Fraction

    def __init__(self, domain: Any, scale: Fraction, factors: dict[poly.Factor, int]) -> None:
        self.domain, self.scale, self.factors = domain, scale, factors

    # ---- arithmetic

    @_untraced
    def __add__(self, operand: object) -> Symbol:
        other = self._lift(operand)
        if other is NotImplemented:
            return NotImplemented
        if not self.scale or not other.scale:
            return plain(other if other.scale else self)
        common = {
            f: min(self.factors.get(f, 0), other.factors.get(f, 0))
            for f in {*self.factors, *other.factors}
        }
        a, b = self.scale, other.scale
        below = lcm(a.denominator, b.denominator)
        total = poly.combine(
            a.numerator * (below // a.denominator),
            poly.expanded(self.factors, common),
            b.numerator * (below // b.denominator),
            poly.expanded(other.factors, common),
        )
        if not total:
            return self.domain.constant(0)
        content, rest = poly.factor(total)
        scale = Fraction(content, below)
        return Symbol(self.domain, scale, poly.reduced(poly.joined(common, {rest: 1})))

    @_untraced
    def __mul__(self, operand: object) -> Symbol:
        other = self._lift(operand)
        if other is NotImplemented:
            return NotImplemented
        if not self.scale or not other.scale:
            return self.domain.constant(0)
        scale, factors = self.scale * other.scale, poly.joined(self.factors, other.factors)
        return Symbol(self.domain, scale, poly.reduced(factors))

    @_untraced
    def __truediv__(self, operand: object) -> Symbol:
        other = self._lift(operand)
        return NotImplemented if other is NotImplemented else self * other**-1

    def __neg__(self) -> Symbol:
        return Symbol(self.domain, -self.scale, self.factors)

    def __pos__(self) -> Symbol:
        return plain(self)

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
            why = f"a symbol has whole powers only, not {exponent!r}"
            raise self.domain.refusal(TypeError, why)
        n = int(exponent)
        if n < 0 and not self.scale:
            raise self.domain.refusal(ZeroDivisionError, "division by a symbol that is 0")
        if not self.scale:
            return self.domain.constant(int(n == 0))
        return Symbol(self.domain, self.scale**n, {f: n * k for f, k in self.factors.items() if n})

    @_untraced
    def sqrt(self) -> Symbol:
        """The declared root whose square this is, for all values of the variables."""
        roots, key = self.domain.roots, self.key
        if key not in roots:  # the square may be factored in another way
            found = next((root for root in roots.values() if same(root * root, self)), None)
            if found is None:
                why = f"{self} is not the square of a declared root"
                raise self.domain.refusal(ValueError, why)
            roots[key] = found
        return plain(roots[key])

    def tanh(self) -> Symbol:
        """A new variable that stands for tanh of this, the same one for the same argument.

        What is proved with it as a free variable holds for tanh in particular; its derivative is
        1 - tanh^2 times that of the argument.
        """
        return self.domain.tanh(self)

    @_untraced
    def derivative(self, by: Symbol | str) -> Symbol:
        """The derivative with respect to a variable, given as its symbol or its name."""
        name = by if isinstance(by, str) else str(by)
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
                content, factor = poly.factor(inner)
                factors = poly.joined(poly.joined(self.factors, {f: -1}), {factor: 1})
                total += Symbol(self.domain, k * content * self.scale, poly.reduced(factors))
        return total

    def at(self, values: Mapping[str, Any], known: dict[poly.Factor, Any] | None = None) -> Any:
        """The value where the variables have these values: fractions, or symbols of any domain.

        known : the values of factors there, which are added to, so that each is found once
        """
        names, known = list(self.domain.variables), {} if known is None else known
        whole = self.scale.denominator == 1  # a fraction next to floats is slow
        result: Any = self.scale.numerator if whole else self.scale
        for f, k in self.factors.items():
            if f not in known:
                known[f] = 0
                for m, c in f:
                    term: Any = c
                    for i, n in poly.exponents(m):
                        term = values[names[i]] ** n * term
                    known[f] = term + known[f]
            result = known[f] ** k * result
        return result

    # ---- what it is

    def is_zero(self) -> bool:
        """Whether it is 0 for all values of the variables."""
        return not self.scale

    @property
    def key(self) -> Key:
        """The way in which it is kept. Equal keys mean equal functions, but not the reverse."""
        return self.scale, frozenset(self.factors.items())

    def __repr__(self) -> str:
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if sys.gettrace() is not None and not caller.startswith("ddpm_np.proof"):
            self.domain.refusal(TypeError, f"a symbol was written down, {DEPENDS}")
        return poly.in_text(self.scale, self.factors, list(self.domain.variables))

    def _lift(self, other: object) -> Any:
        """The other operand as a symbol; NotImplemented for an array, which has its elements."""
        if isinstance(other, Symbol):
            if other.domain is not self.domain:
                raise self.domain.refusal(TypeError, "symbols of two domains met")
            return other
        if isinstance(other, np.ndarray):
            return NotImplemented
        self._unwrapped(other)
        if isinstance(other, Rational):
            whole = int(other) if isinstance(other, np.integer) else other
            return self.domain.constant(whole)
        raise self.domain.refusal(TypeError, f"a symbol met the {type(other).__name__} {other!r}")

    def _unwrapped(self, other: object) -> None:
        if isinstance(other, np.integer) and not in_numpy():
            raise self.domain.refusal(TypeError, f"a symbol met {other!r}, which may have wrapped")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """NumPy's arithmetic with this as one operand, unless the other has come from wrapping."""
        for other in inputs:
            self._unwrapped(other)
        held = [np.array(x, dtype=object) if isinstance(x, Symbol) else x for x in inputs]
        return getattr(ufunc, method)(*held, **options)

    # ---- what would make a branch

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # NumPy and copy ask for these of every object
            raise AttributeError(name)
        raise self.domain.refusal(AttributeError, f"a symbol has no {name}, as a float may have")

    __eq__ = _refused("cannot be compared (==)")
    __ne__ = _refused("cannot be compared (!=)")
    __bool__ = _refused("has no truth value")
    __hash__ = _refused("cannot be looked up")
    __abs__ = _refused("has no magnitude")
    __float__ = _refused("cannot be rounded to a float")
    __int__ = _refused("cannot be made a whole number")

    __lt__, __le__ = _answered("<", -1), _answered("<=", -1)
    __gt__, __ge__ = _answered(">", 1), _answered(">=", 1)


DEPENDS = "since the answer depends on its value"


def plain(number: Symbol) -> Symbol:
    """The same number; no longer a beta of a schedule if it was one."""
    return Symbol(number.domain, number.scale, number.factors)


def same(a: Any, b: Any) -> bool:
    """Whether two numbers, at least one of them a symbol, are equal as rational functions."""
    if isinstance(a, Symbol) and isinstance(b, Symbol) and a.domain is b.domain and a.key == b.key:
        return True  # most are, and their difference takes longer
    difference = a - b
    return difference.is_zero() if isinstance(difference, Symbol) else not difference
