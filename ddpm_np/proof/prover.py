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

1. A side uses only + - * / , whole powers and declared square roots. Anything else raises, and an
   error that is raised and caught while the proof runs refuses it
   (:mod:`ddpm_np.proof.trace` sees it, in the package and in the caller's code).
2. No branch depends on a value. Symbols refuse comparisons, ``abs``, ``max``, truth, hashing and
   attributes that they do not have. The schedule's question whether 0 < beta < 1 is answered,
   because the domain shows it.
3. A declared root is 0 or more on the domain. The domain shows it, or the declaration raises.
4. The inputs stay what they are: arrays are read-only, lists are tuples. Both sides have the same
   shape at every depth. NumPy's whole numbers, which wrap without a word, do not meet symbols.
5. The floats go the same way. Both sides are run again on float64, at a point drawn from the
   domain; where single numbers are among the variables twice, as Python's floats and as NumPy's.
   The arrays can be written to, and must not be. The runs must take the same instructions in the
   same order, the argument checks that :mod:`ddpm_np.proof.trace` lists aside, and end at the
   values that the rational functions have there, up to 1e-10 of them. So the theorem is about the
   float code, up to rounding.
6. The code has no memory: what it returns depends on what it is given, not on how often, nor
   on who runs it: code that names what would show or leave the tracer is refused.
7. The symbols and the prover themselves are correct. Their tests and a planted bug for each
   identity stand for that.

What it does not say: how much is rounded (:mod:`ddpm_np.proof.verify` measures that, and float32),
and what happens to other shapes, steps and T, or in lines that no proof has run (``verify`` names
them). Whole numbers in arrays are exact up to 2^63 only; the package uses them as indices. What is
left aside in 5, and what is read from the bytes of an array, is compared by its values alone, at
the points drawn.

What is proved is listed in :mod:`ddpm_np.proof.identities`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from numbers import Rational
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.proof.callers import where_raised
from ddpm_np.proof.exact import Root
from ddpm_np.proof.rational import Symbol, same
from ddpm_np.proof.symbols import ANY, Domain, Interval
from ddpm_np.proof.trace import Trace, first_difference, tracing
from ddpm_np.schedule import Schedule

EXACT = (Symbol, Rational)
TRIALS = 20


@dataclass(frozen=True)
class Chart:
    """The variables of an identity and what they stand for.

    variables : name -> the open interval it runs through, as for
        :class:`ddpm_np.proof.symbols.Domain`
    build : makes from the variables what the sides see: a namespace, by default of the variables
    roots : the square roots that the formulas may take, computed from that namespace, by default
        its ``roots``; 0 and 1 need not be declared
    free : more variables, which the sides see as they are
    arrays : name -> shape: arrays in which each element is a variable of its own that runs
        through all real numbers; the shape () gives a single variable
    domain : makes the domain of the variables (:class:`ddpm_np.proof.signs.SignPattern` may)
    """

    variables: dict[str, Interval]
    build: Callable[..., SimpleNamespace] = SimpleNamespace
    roots: Callable[[SimpleNamespace], Iterable[Any]] = lambda v: getattr(v, "roots", ())
    free: dict[str, Interval] = field(default_factory=dict)
    arrays: dict[str, tuple[int, ...]] = field(default_factory=dict)
    domain: Callable[..., Domain] = Domain

    def also(self, **free: Interval) -> "Chart":
        """The same chart with more free variables."""
        return replace(self, free=self.free | free)

    def with_arrays(self, **shapes: tuple[int, ...]) -> "Chart":
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
        vars(v).update({k: tuple(x) for k, x in vars(v).items() if isinstance(x, list)})
        vars(v).update({name: domain[name] for name in self.free})
        for name, shape in self.arrays.items():
            array: Array = np.empty(shape, dtype=object)
            for i, element in elements[name].items():
                array[i] = domain[element]
            array.flags.writeable = False
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
    trace: Trace | None = None

    @property
    def proved(self) -> bool:
        """Whether all pairs of numbers were shown to be equal."""
        return not self.failure

    def __str__(self) -> str:
        i, pairs = self.identity, f"{self.equal} pair{'s' if self.equal > 1 else ''} of numbers"
        result = f"proved: {pairs} equal where both sides are defined"
        if self.failure:
            result = f"NOT PROVED: {self.failure}"
        return f"{i.name} ({', '.join(i.equations)}): {i.statement}\n    {result}"


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
    exact = Trace()
    try:
        with tracing(exact, outside=False):
            domain, v = identity.chart.namespace()
        with tracing(exact), np.errstate(all="raise"):  # so that whole numbers do not wrap
            sides = identity.sides(v)
        pairs = list(_pairs(*sides, EXACT))
        for left, right in pairs:
            if not same(left, right):
                return Proof(identity, 0, f"the sides differ: left {left}, right {right}")
        if not any(isinstance(number, Symbol) for pair in pairs for number in pair):
            return Proof(identity, 0, "the sides have no symbols: nothing is said of a formula")
        if refused := [*domain.refusals, *exact.refusals, *domain.left_over()]:
            return Proof(identity, 0, refused[0])
        if failure := _on_floats(identity, domain, v, sides, exact):
            return Proof(identity, 0, failure)
        exact.close()
    except Exception as error:
        return Proof(identity, 0, f"{type(error).__name__}: {error}{where_raised(error)}")
    return Proof(identity, len(pairs), trace=exact)


def derivative(number: Any, by: Any) -> Any:
    """The derivative of a symbol by a variable; of a float, which has none, NaN."""
    return number.derivative(by) if isinstance(number, Symbol) else float("nan")


def _on_floats(identity: Identity, domain: Domain, v: Any, exact_sides: Any, one: Trace) -> str:
    """Empty if a run on floats runs the same instructions to the same values, else what not.

    A point that the argument checks refuse, such as an eta above 1, is drawn again. On the right
    side NaN is taken from an identity that asks for a derivative, which floats do not have.
    """
    derived = id(derivative.__code__) in one.codes
    numbers = any(isinstance(x, Symbol) for x in vars(v).values())
    for kind in (float, np.float64) if numbers else (float,):
        for trial in range(TRIALS):
            other, point = Trace(), domain.point(f"{identity.name} {kind.__name__} {trial}")
            floats = _Floats({name: float(x) for name, x in point.items()}, kind, other)
            given = floats.of(v)
            try:
                with tracing(other):
                    float_sides = identity.sides(given)
                break
            except ValueError:
                if trial == TRIALS - 1:
                    raise
        if other.refusals:
            return f"on floats {other.refusals[0]}"
        if where := first_difference(one, other):
            return f"floats take another way than symbols: {where}"
        if not all(np.array_equal(array, before) for array, before in floats.arrays):
            return "an array of floats was changed in place"
        points: list[Any] = [({n: to(x) for n, x in point.items()}, {}) for to in (float, Fraction)]
        for sides in zip(exact_sides, float_sides):
            for exact, rounded in _pairs(*sides, (*EXACT, float)):
                no_value = derived and sides[1] is float_sides[1] and np.isnan(rounded)
                if not (no_value or _near(rounded, exact, points)):
                    return f"floats give another value than symbols: {rounded}, where it is {exact}"
    return ""


def _near(rounded: Any, exact: Any, points: list[Any]) -> bool:
    """Whether a float is the value of a symbol at the point, evaluated in floats or exactly."""
    for point, known in points:
        value = float(exact.at(point, known) if isinstance(exact, Symbol) else exact)
        if abs(float(rounded) - value) <= 1e-10 * abs(value) + 1e-13:
            return True
    return False


class _Floats:
    """Makes what the sides see at a point, with floats of that kind in place of symbols."""

    def __init__(self, point: Mapping[str, float], kind: type[float], trace: Trace) -> None:
        self.point, self.kind, self.trace = point, kind, trace
        self.schedules: dict[int, Schedule] = {}
        self.arrays: list[tuple[Array, Array]] = []  # that were made, and copies of them

    def of(self, value: Any) -> Any:
        """The same with floats."""
        if isinstance(value, Symbol):
            return self.kind(value.at(self.point))
        if isinstance(value, Root):
            return self.kind(self.of(value.square) ** 0.5)
        if isinstance(value, Schedule):
            if id(value) not in self.schedules:
                beta = [float(self.of(b)) for b in value.beta[1:]]
                with tracing(self.trace, outside=False):
                    self.schedules[id(value)] = Schedule.from_beta(beta)
            return self.schedules[id(value)]
        if isinstance(value, np.ndarray) and value.dtype == object:
            floats = np.array([float(self.of(x)) for x in value.flat]).reshape(value.shape)
            self.arrays.append((floats, floats.copy()))
            return floats
        if type(value) in (list, tuple):
            return type(value)(map(self.of, value))
        if isinstance(value, SimpleNamespace):
            return SimpleNamespace(**{k: self.of(part) for k, part in vars(value).items()})
        return value


def _pairs(left: Any, right: Any, kinds: tuple[type, ...]) -> Iterator[tuple[Any, Any]]:
    """The numbers of both sides, in pairs; the shapes must be the same at every depth."""
    left, right = _listed(left, kinds), _listed(right, kinds)
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            raise ValueError(f"the sides have {len(left)} and {len(right)} parts, or numbers")
        for a, b in zip(left, right):
            yield from _pairs(a, b, kinds)
    elif isinstance(left, list) or isinstance(right, list):
        raise ValueError("the sides differ in shape: a number on one, several on the other")
    else:
        yield left, right


def _listed(side: Any, kinds: tuple[type, ...]) -> Any:
    """A number, or a list of what a tuple, a list or an array holds."""
    if isinstance(side, (tuple, list)):
        return list(side)
    if isinstance(side, np.ndarray):
        return side.tolist()
    if isinstance(side, kinds):
        return side
    raise TypeError(f"a side holds the {type(side).__name__} {side!r}, which is not exact")
