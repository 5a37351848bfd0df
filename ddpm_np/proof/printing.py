"""How symbols are written."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ddpm_np.proof import polynomials as poly


def in_text(scale: Fraction, factors: Mapping[poly.Factor, int], names: list[str]) -> str:
    """The fraction times the powers of the factors, as in (x^2 - 1)/(2 (y + 1)^2)."""
    denominator = {f: k for f, k in factors.items() if k < 0}
    top = _sum(poly.expanded(factors, denominator), scale.numerator, names)
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


def _sum(p: poly.Polynomial, times: int, names: list[str]) -> str:
    """A polynomial, largest monomial first."""
    text = ""
    for m in sorted(p, reverse=True):
        c = times * p[m]
        factors = [names[i] + (f"^{n}" if n > 1 else "") for i, n in poly.exponents(m)]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("- " if c < 0 else "+ ") if text else ("-" if c < 0 else "")
        text += (" " if text else "") + sign + " ".join(factors)
    return text or "0"
