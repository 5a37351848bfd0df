"""What a proof of an identity is, and the prover.

An identity says that two sides, both computed by this package's functions, are equal. The prover
runs both sides once, on symbols (:mod:`ddpm_np.proof.symbols`), and compares what comes out.

**Theorem.** Let :func:`prove` accept an identity. Take any point of the chart's domain at which
no divisor is 0. Run both sides there in exact real arithmetic, on the shapes, the steps and the T
that the identity names. Then the numbers of the left side equal those of the right side.

*Proof.* Every number in the run on symbols is a rational function of the variables. By induction
over the operations, the value of that function at the point is the number that the run in real
arithmetic holds at the same place: this is clear for + - * / and whole powers, and for a square
root because the declared root squares to the radicand and is not negative on the domain. The run
in real arithmetic takes the same way through the code, because no operation of the run on symbols
depended on a value. At the end the numerator of each difference is the zero polynomial. So each
difference is 0 at the point. QED

The hypotheses, and who sees to them:

1. A side uses only + - * / , whole powers and declared square roots. Anything else raises.
2. No branch depends on a value. Symbols refuse comparisons, ``abs``, ``max``, truth and hashing.
   The schedule's question whether 0 < beta < 1 is answered, because the domain shows it.
3. A declared root is 0 or more on the domain. The domain shows it, or the declaration raises.
4. The code does the same for floats as for symbols. NumPy's loops over objects do, and the package
   asks for the dtype only in the places that tests/proof/test_proof.py lists.
5. The symbols and the prover themselves are correct. Their tests and a planted bug for each
   identity stand for that.

The theorem says nothing about rounding. :mod:`ddpm_np.proof.verify` measures that.

What is proved is listed in :mod:`ddpm_np.proof.identities`.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from numbers import Rational
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.proof.symbols import ANY, Domain, Interval, Symbol, same


@dataclass(frozen=True)
class Chart:
    """The variables of an identity and what they stand for.

    variables : name -> the open interval it runs through, as for
        :class:`ddpm_np.proof.symbols.Domain`
    build : makes from the variables what the sides see: a namespace, by default of the variables
    roots : the square roots that the formulas may take, computed from that namespace; 0 and 1 need
        not be declared
    free : more variables, which the sides see as they are
    arrays : name -> shape: arrays in which each element is a variable of its own that runs
        through all real numbers; the shape () gives a single variable
    domain : makes the domain of the variables (:class:`ddpm_np.proof.signs.SignPattern` may)
    """

    variables: dict[str, Interval]
    build: Callable[..., SimpleNamespace] = SimpleNamespace
    roots: Callable[[SimpleNamespace], list[Any]] = lambda v: []
    free: dict[str, Interval] = field(default_factory=dict)
    arrays: dict[str, tuple[int, ...]] = field(default_factory=dict)
    domain: Callable[..., Domain] = Domain

    def also(self, **free: Interval) -> Chart:
        """The same chart with more free variables."""
        return replace(self, free=self.free | free)

    def with_arrays(self, **shapes: tuple[int, ...]) -> Chart:
        """The same chart with more arrays of variables."""
        return replace(self, arrays=self.arrays | shapes)

    def namespace(self) -> tuple[Domain, SimpleNamespace]:
        """A domain with the roots declared, and what the sides see."""
        elements = {
            name: {i: f"{name}{list(i)}" if i else name for i in product(*map(range, shape))}
            for name, shape in self.arrays.items()
        }
        names = [n for of_array in elements.values() for n in of_array.values()]
        domain = self.domain(**self.variables, **self.free, **dict.fromkeys(names, ANY))
        v = self.build(**{name: domain[name] for name in self.variables})
        vars(v).update({name: domain[name] for name in self.free})
        for name, shape in self.arrays.items():
            array: Array = np.empty(shape, dtype=object)
            for i, element in elements[name].items():
                array[i] = domain[element]
            vars(v)[name] = array if shape else domain[name]
        domain.declare(*self.roots(v))
        return domain, v


@dataclass(frozen=True)
class Identity:
    """left = right for all values of the chart's variables.

    ``sides`` makes the two from what the chart builds: numbers, arrays, or tuples and lists of
    them, to be compared one by one.
    """

    name: str
    equations: tuple[str, ...]
    statement: str
    chart: Chart
    sides: Callable[[SimpleNamespace], tuple[Any, Any]]


@dataclass(frozen=True)
class Proof:
    """What came out: how many pairs of numbers were shown to be equal, or why it failed."""

    identity: Identity
    equal: int
    failure: str = ""

    @property
    def proved(self) -> bool:
        """Whether all pairs of numbers were shown to be equal."""
        return not self.failure

    def __str__(self) -> str:
        identity = self.identity
        pairs = "1 pair of numbers" if self.equal == 1 else f"{self.equal} pairs of numbers"
        result = (
            f"NOT PROVED: {self.failure}"
            if self.failure
            else (f"proved: {pairs} equal where both sides are defined")
        )
        return (
            f"{identity.name} ({', '.join(identity.equations)}): {identity.statement}\n    {result}"
        )


def prove(identity: Identity) -> Proof:
    """Run both sides on symbols and compare them, number by number.

    Returns a :class:`Proof` in every case. Its ``failure`` shows the first two numbers that
    differ, or says what lies outside the theorem, and in which line.

    >>> plane = Chart({"x": ANY, "y": ANY})
    >>> def sides(v):
    ...     return (v.x + v.y) ** 2, v.x**2 + v.y**2
    >>> print(prove(Identity("a wrong square", ("E8",), "(x + y)^2 = x^2 + y^2", plane, sides)))
    a wrong square (E8): (x + y)^2 = x^2 + y^2
        NOT PROVED: the sides differ: left y^2 + 2 x y + x^2, right y^2 + x^2
    """
    try:
        domain, v = identity.chart.namespace()
        pairs = _pairs(*identity.sides(v))
        for left, right in pairs:
            if not same(left, right):
                return Proof(identity, 0, f"the sides differ: left {left}, right {right}")
        if domain.refusals:  # the code has caught the error and gone on
            return Proof(identity, 0, domain.refusals[0])
    except Exception as error:
        return Proof(identity, 0, f"{type(error).__name__}: {error}{_where(error)}")
    return Proof(identity, len(pairs))


def _pairs(left: Any, right: Any) -> list[tuple[Any, Any]]:
    """The numbers of both sides, in pairs."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        if left.shape != right.shape:
            raise ValueError(f"the sides have the shapes {left.shape} and {right.shape}")
    lefts, rights = list(_numbers(left)), list(_numbers(right))
    if len(lefts) != len(rights):
        raise ValueError(f"the sides have {len(lefts)} and {len(rights)} numbers")
    if not any(isinstance(number, Symbol) for number in lefts + rights):
        raise ValueError("the sides have no symbols, so that nothing is said about any formula")
    return list(zip(lefts, rights))


def _numbers(side: Any) -> Iterator[Any]:
    """The numbers in a number, an array, or a nest of tuples and lists of them."""
    if isinstance(side, (tuple, list)):
        for part in side:
            yield from _numbers(part)
    elif isinstance(side, np.ndarray):
        yield from _numbers(side.ravel().tolist())
    elif isinstance(side, (Symbol, Rational)):
        yield side
    else:
        raise TypeError(f"a side holds the {type(side).__name__} {side!r}, which is not exact")


def _where(error: Exception) -> str:
    """The line in which the error was raised, if its message does not name one."""
    if ", line " in str(error):
        return ""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if Path(f.filename).name not in ("symbols.py", "polynomials.py")
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
