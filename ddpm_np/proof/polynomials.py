"""Polynomials with whole coefficients: what the numerators and denominators of symbols are made of.

A polynomial is a dict from monomials to coefficients other than 0. A monomial is one integer that
holds the exponent of variable i in its bits 32 i to 32 i + 31, so that monomials multiply by
adding and are compared by comparing integers. The last bit of each field stays free and shows an
exponent that has grown too large; such an exponent raises OverflowError.

A factor is a frozen polynomial that is primitive (the greatest common divisor of its coefficients
is 1) and whose coefficient at the largest monomial is positive.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache, reduce
from math import gcd
from operator import or_

Polynomial = dict[int, int]
Factor = frozenset[tuple[int, int]]

BITS = 32
FIELD = (1 << BITS) - 1


def variable(i: int) -> Polynomial:
    """The i-th variable."""
    return {1 << BITS * i: 1}


@lru_cache(maxsize=1 << 16)
def exponents(monomial: int) -> tuple[tuple[int, int], ...]:
    """The variables of a monomial and their exponents above 0, in the order of the variables."""
    found = []
    while monomial:
        i = ((monomial & -monomial).bit_length() - 1) // BITS  # the lowest field that is not 0
        n = monomial >> BITS * i & FIELD
        found.append((i, n))
        monomial ^= n << BITS * i
    return tuple(found)


def combine(a: int, p: Polynomial, b: int, q: Polynomial) -> Polynomial:
    """a p + b q."""
    result = {m: a * c for m, c in p.items()}
    for m, c in q.items():
        result[m] = result.get(m, 0) + b * c
    return {m: c for m, c in result.items() if c}


def multiply(p: Polynomial, q: Polynomial) -> Polynomial:
    """p q."""
    if len(p) < len(q):
        p, q = q, p
    if len(q) == 1:
        [(n, d)] = q.items()
        result = {m + n: c * d for m, c in p.items()}
    else:
        result = {}
        for n, d in q.items():
            for m, c in p.items():
                result[m + n] = result.get(m + n, 0) + c * d
        result = {m: c for m, c in result.items() if c}
    _small_exponents(result)
    return result


@lru_cache(maxsize=100_000)
def power(f: Factor, n: int) -> Polynomial:
    """f^n, n at least 1. It is kept for the next time, so it must not be changed."""
    return dict(f) if n == 1 else multiply(power(f, n - 1), dict(f))


def derivative(p: Polynomial, i: int) -> Polynomial:
    """dp / d(variable i)."""
    one = 1 << BITS * i
    return {m - one: c * n for m, c in p.items() if (n := m >> BITS * i & FIELD)}


def factor(p: Polynomial) -> tuple[int, Factor]:
    """The content of p, with the sign of its leading coefficient, and what is left of p."""
    content = gcd(*p.values()) * (1 if p[max(p)] > 0 else -1)
    return content, frozenset((m, c // content) for m, c in p.items())


@lru_cache(maxsize=100_000)
def quotient(p: Factor, d: Factor) -> Factor | None:
    """p / d if d divides p, else None. The division goes down from the largest monomial."""
    if len(d) > len(p) and len(p) == 1:
        return None
    rest, divisor = dict(p), dict(d)
    lead, end = max(divisor), min(divisor)
    if not (_divides(lead, max(rest)) and _divides(end, min(rest))):
        return None
    result: Polynomial = {}
    while rest:
        top = max(rest)
        whole, remainder = divmod(rest[top], divisor[lead])
        if remainder or not _divides(lead, top):
            return None
        result[top - lead] = whole
        for m, c in d:
            m += top - lead
            rest[m] = rest.get(m, 0) - whole * c
            if not rest[m]:
                del rest[m]
    return frozenset(result.items())


def _divides(m: int, n: int) -> bool:
    """Whether the monomial m divides n: no exponent of n is below that of m."""
    while m:
        if m & FIELD > n & FIELD:
            return False
        m, n = m >> BITS, n >> BITS
    return True


def _small_exponents(p: Polynomial) -> None:
    together = reduce(or_, p, 0)
    while together:
        if together >> BITS - 1 & 1:
            raise OverflowError("an exponent has become too large")
        together >>= BITS


# ---- products of powers of factors: their exponents, of either sign -----------------------------

ONE: Factor = frozenset({(0, 1)})


def joined(a: Mapping[Factor, int], b: Mapping[Factor, int]) -> dict[Factor, int]:
    """The exponents of a product."""
    result = dict(a)
    for f, k in b.items():
        result[f] = result.get(f, 0) + k
    return {f: k for f, k in result.items() if k and f != ONE}


def expanded(factors: Mapping[Factor, int], without: Mapping[Factor, int]) -> Polynomial:
    """The product of the factors' powers, divided by those of ``without``, multiplied out."""
    result = {0: 1}
    for f in {**without, **factors}:
        if n := factors.get(f, 0) - without.get(f, 0):
            result = multiply(result, power(f, n))
    return result


def reduced(factors: dict[Factor, int]) -> dict[Factor, int]:
    """The same product without the factors below that divide one above."""
    below = [f for f, k in factors.items() if k < 0]
    above = [f for f, k in factors.items() if k > 0]
    while below and above:
        f = above.pop()
        for d in below:
            if factors.get(d, 0) < 0 and (rest := quotient(f, d)) is not None:
                n = min(factors[f], -factors[d])
                factors = joined(joined(factors, {f: -n, d: n}), {rest: n})
                above += [g for g in (f, rest) if factors.get(g, 0) > 0]
                break
    return factors


# ---- how they are written ------------------------------------------------------------------------


def in_text(scale: Fraction, factors: Mapping[Factor, int], names: list[str]) -> str:
    """The fraction times the powers of the factors, as in (x^2 - 1)/(2 (y + 1)^2)."""
    denominator = {f: k for f, k in factors.items() if k < 0}
    top = _sum(expanded(factors, denominator), scale.numerator, names)
    below = [
        (f"({text})" if " " in text else text) + (f"^{-k}" if k < -1 else "")
        for f, k in denominator.items()
        for text in [_sum(dict(f), 1, names)]
    ]
    if scale.denominator > 1:
        below.insert(0, str(scale.denominator))
    if not below:
        return top
    above = f"({top})" if " " in top else top
    return above + "/" + (f"({' '.join(below)})" if len(below) > 1 else below[0])


def _sum(p: Polynomial, times: int, names: list[str]) -> str:
    """A polynomial, largest monomial first."""
    text = ""
    for m in sorted(p, reverse=True):
        c = times * p[m]
        factors = [names[i] + (f"^{n}" if n > 1 else "") for i, n in exponents(m)]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("- " if c < 0 else "+ ") if text else ("-" if c < 0 else "")
        text += (" " if text else "") + sign + " ".join(factors)
    return text or "0"
