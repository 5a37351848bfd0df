"""The numbers that a formula's symbols stand for, and the exact value of a formula.

:class:`SymbolValues` looks up ``alpha_bar_{t-1}``, ``beta_{t|s}`` or ``psi_2`` for a schedule and a
step; the schedule may be one of floats, of symbols or of :class:`Rounded` decimals. With the
last, :func:`exact` gives the value of what a function returns in 120 digits, the unit in which
its rounding is measured, and how many roundings the formula takes.

>>> x_t = exact("forward.q_sample", [0.36], 1, x_0=1.0, eps=1.0)
>>> float(x_t.value), float(x_t.scale)
(1.4, 1.4)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from functools import cache
from numbers import Rational
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np.equations.docstrings import formulas, function_at, symbol_of

DIGITS = Context(prec=120, Emin=MIN_EMIN, Emax=MAX_EMAX)
BETWEEN = ("alpha_{t|s}", "beta_{t|s}")
TABLES = ("beta", "alpha", "alpha_bar", "beta_tilde", "log_snr")
# Symbols that equations define for those that follow, and the function that returns each.
DEFINED = {"psi_1": "posterior.psi_1", "psi_2": "posterior.psi_2_simplified"}


class SymbolValues(dict[str, Any]):
    """The numbers by the names that formulas use, for a schedule and the step from t to s.

    schedule : what holds the tables, index t; None where all symbols are given
    t, s : the step, ints or arrays of them
    axes : how many axes the vectors have beside those of t, which the tables then get too
    given : other numbers, vectors and matrices, by their names
    """

    def __init__(
        self, schedule: Any = None, t: Any = None, s: Any = None, *, axes: int = 0, **given: Any
    ) -> None:
        self.schedule, self.axes = schedule, axes
        self.steps = {"t": t, "t-1": None if t is None else t - 1, "s": s}
        self.steps["T"] = None if schedule is None else schedule.T
        known = {"schedule": schedule, "self": schedule, "t": t, "s": s, "T": self.steps["T"]}
        super().__init__({name: x for name, x in known.items() if x is not None} | given)

    def __missing__(self, name: str) -> Any:
        if name in DEFINED:
            return formulas(DEFINED[name])[0].value(self)
        if name in BETWEEN and self._entry("alpha_bar_s"):
            kept = self["alpha_bar_t"] / self["alpha_bar_s"]
            return kept if name.startswith("alpha") else self._lost(kept)
        if not (entry := self._entry(name)):
            raise KeyError(name)
        table, at = entry
        entries = getattr(self.schedule, table)[at]
        return entries[(..., *[None] * self.axes)] if np.ndim(at) else entries

    def __contains__(self, name: object) -> bool:
        own = super().__contains__(name) or name in DEFINED
        return own or bool(self._entry("alpha_bar_s" if name in BETWEEN else str(name)))

    def _entry(self, name: str) -> tuple[str, Any] | None:
        """The table and the index that a name such as "1 - alpha_bar_{t-1}" stands for."""
        symbol = name.removeprefix("1 - ")
        base, _, index = symbol.rpartition("_")
        index = index.strip("{}")
        at = int(index) if index.isdigit() else self.steps.get(index)
        if self.schedule is None or base not in TABLES or at is None or np.min(at) < 0:
            return None
        if symbol != name:
            return ("one_minus_alpha_bar", at) if base == "alpha_bar" else None
        return base, at

    def _lost(self, kept: Any) -> Any:
        """beta_{t|s} as a number of its own, rounded once: not by subtracting alpha_{t|s}."""
        lost = 1 - kept
        rounded = np.vectorize(lambda x: Rounded(x.value, None, 1), otypes=[object])
        return rounded(lost)[()] if isinstance(np.asarray(lost).flat[0], Rounded) else lost


@cache
def parameters_of(path: str) -> dict[str, bool]:
    """The parameters of the function at a path, and which of them it needs."""
    parameters = inspect.signature(function_at(path)).parameters
    return {name: p.default is p.empty for name, p in parameters.items()}


def arguments(path: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """What the function at a path is called with, its parameters bound to symbols by their names.

    A parameter with a default is left out unless its number is given.
    """
    bound = {}
    for name, needed in parameters_of(path).items():
        symbol = symbol_of(name)
        if symbol.startswith("1 - ") and symbol not in numbers:
            bound[name] = 1 - numbers[symbol.removeprefix("1 - ")]
        elif symbol in numbers or needed:
            bound[name] = numbers[symbol]
    return bound


# ---- exact values -------------------------------------------------------------------------------


def _operation(of: Callable[[Rounded, Rounded], Rounded]) -> Any:
    def method(self: Rounded, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented  # NumPy then goes through its elements
        with localcontext(DIGITS):
            return of(self, other if isinstance(other, Rounded) else Rounded(other))

    return method


class Rounded:
    """A number in 120 digits, and what floating point may make of it.

    scale : the sum of the magnitudes of its terms, whose last place is the unit of the error
    roundings : how many units the formula may be off by, one for each operation and table entry
    """

    __slots__ = ("roundings", "scale", "value")

    def __init__(self, value: Any, scale: Any = None, roundings: float = 0) -> None:
        self.value = decimal(value)
        self.scale = abs(self.value) if scale is None else scale
        self.roundings = roundings

    __add__ = __radd__ = _operation(lambda a, b: _add(a, b))
    __sub__ = _operation(lambda a, b: _add(a, -b))
    __rsub__ = _operation(lambda a, b: _add(-a, b))
    __mul__ = __rmul__ = _operation(lambda a, b: _times(a, b))
    __truediv__ = _operation(lambda a, b: _times(a, _inverse(b)))
    __rtruediv__ = _operation(lambda a, b: _times(b, _inverse(a)))

    def __neg__(self) -> Rounded:
        with localcontext(DIGITS):
            return Rounded(-self.value, self.scale, self.roundings)

    def __pow__(self, n: int) -> Rounded:
        with localcontext(DIGITS):
            return Rounded(self.value**n, self.scale**n, n * self.roundings + n - 1)

    def sqrt(self) -> Rounded:
        """The square root, which halves the error of the number."""
        with localcontext(DIGITS):
            root = self.value.sqrt()
            size = self.scale / root if root else self.scale.sqrt()
            return Rounded(root, size, self.roundings / 2 + 1)

    def exp(self) -> Rounded:
        """e to this power, which makes the error of the number a relative one."""
        with localcontext(DIGITS):
            value = self.value.exp()
            return Rounded(value, value * max(self.scale, 1), self.roundings + 2)

    def log(self) -> Rounded:
        """The natural logarithm, which makes a relative error an absolute one."""
        with localcontext(DIGITS):
            value = self.value.ln()
            return Rounded(value, abs(value) + self.scale / abs(self.value), self.roundings + 2)

    def cos(self) -> Rounded:
        """The cosine, by its series."""
        return self._series(Decimal(1), 0)

    def sin(self) -> Rounded:
        """The sine, by its series."""
        return self._series(self.value, 1)

    def _series(self, term: Decimal, n: int) -> Rounded:
        """term - term x^2 / ((n + 1) (n + 2)) + ..."""
        with localcontext(DIGITS):
            total = Decimal(0)
            while total + term != total:
                total += term
                n += 2
                term *= -self.value * self.value / (n * (n - 1))
            return Rounded(total, max(abs(total), self.scale), self.roundings + 2)


def _add(a: Rounded, b: Rounded) -> Rounded:
    more = 1 if a.value and b.value else 0
    return Rounded(a.value + b.value, a.scale + b.scale, max(a.roundings, b.roundings) + more)


def _times(a: Rounded, b: Rounded) -> Rounded:
    return Rounded(a.value * b.value, a.scale * b.scale, a.roundings + b.roundings + 1)


def _inverse(b: Rounded) -> Rounded:
    return Rounded(1 / b.value, b.scale / (b.value * b.value), b.roundings)


def decimal(value: Any) -> Decimal:
    """The exact value of a float, a whole number or a fraction."""
    if isinstance(value, Decimal):
        return value
    with localcontext(DIGITS):
        if isinstance(value, Rational):
            return Decimal(int(value.numerator)) / Decimal(int(value.denominator))
        return Decimal(float(value))


class ExactTables:
    """The tables of a schedule in 120 digits, index t, from betas taken at their exact value."""

    def __init__(self, beta: Iterable[Any]) -> None:
        with localcontext(DIGITS):
            betas = [Decimal(0), *map(decimal, beta)]
            alpha = [1 - b for b in betas]
            alpha_bar = [Decimal(1)]
            for a in alpha[1:]:
                alpha_bar.append(alpha_bar[-1] * a)
            noise = [1 - a for a in alpha_bar]
            tilde = [b * n / m if m else b for b, n, m in zip(betas, [noise[0], *noise], noise)]
            snr = [a / n if n else Decimal("inf") for a, n in zip(alpha_bar, noise)]
        self.T = len(betas) - 1
        self.beta, self.alpha, self.alpha_bar = map(_exact_table, (betas, alpha, alpha_bar))
        self.one_minus_alpha_bar, self.beta_tilde = _exact_table(noise), _exact_table(tilde)
        self._snr = snr

    @property
    def log_snr(self) -> Any:
        """ln(alpha_bar_t / (1 - alpha_bar_t)), found only where it is asked for."""
        with localcontext(DIGITS):
            return _exact_table([ratio.ln() for ratio in self._snr])


def _exact_table(values: list[Decimal]) -> Any:
    """Each entry is rounded once in floating point; 0 and 1 are exact."""
    return as_exact([Rounded(v, None, 0 if v in (0, 1) else 1) for v in values])


def as_exact(x: Any) -> Any:
    """SymbolValues at their exact value: an object array of :class:`Rounded`, or one of them."""
    found = np.asarray(x)
    out = np.empty(found.size, dtype=object)
    out[:] = [v if isinstance(v, Rounded) else Rounded(v) for v in found.ravel().tolist()]
    return out.reshape(found.shape)[()]


def exact(
    path: str, beta: Iterable[Any], t: Any, s: Any = None, *, part: int = 0, **given: ArrayLike
) -> Any:
    """What the function at a path returns, by the formula in its docstring and in 120 digits.

    beta : beta_1 .. beta_T, or the :class:`ExactTables` of them
    t, s : the step, ints; s is needed where the formula has it
    given : vectors and numbers by the names of their symbols (x_t, eps, eta, ...), at their exact
        value
    part : which of the returned numbers, where a function returns several

    Returns a :class:`Rounded`, or an object array of them.
    """
    tables = beta if isinstance(beta, ExactTables) else ExactTables(beta)
    numbers = SymbolValues(tables, t, s, **{name: as_exact(x) for name, x in given.items()})
    sizes = [np.shape(x)[-1] for x in given.values() if np.ndim(x) == 2]
    numbers |= {"I": np.eye(sizes[0], dtype=int).astype(object)} if sizes else {}
    chosen = [f for f in formulas(path) if not f.is_distribution] or formulas(path)
    return as_exact(chosen[part].value(numbers))


def decimals(rounded: Any) -> Any:
    """The values of what :func:`exact` returns, as decimals."""
    return np.vectorize(lambda number: number.value, otypes=[object])(rounded)[()]
