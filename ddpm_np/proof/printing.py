"""How symbols are written: as plain text and in LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ddpm_np.proof import polynomials as poly

Denominator = Mapping[poly.Factor, int]


def in_text(
    numerator: poly.Polynomial, denominator: Denominator, scale: Fraction, names: list[str]
) -> str:
    """One line, as in (x^2 - 1)/(2 (y + 1)^2)."""
    top = _sum(numerator, scale.numerator, names, "{}")
    below = [
        (f"({text})" if " " in text else text) + (f"^{k}" if k > 1 else "")
        for f, k in denominator.items()
        for text in [_sum(dict(f), 1, names, "{}")]
    ]
    if scale.denominator > 1:
        below.insert(0, str(scale.denominator))
    if not below:
        return top
    return (
        (f"({top})" if " " in top else top)
        + "/"
        + (f"({' '.join(below)})" if len(below) > 1 else below[0])
    )


def in_latex(
    numerator: poly.Polynomial, denominator: Denominator, scale: Fraction, names: list[str]
) -> str:
    """A fraction in LaTeX."""
    top = _sum(numerator, scale.numerator, names, "{{{}}}")
    below = [(dict(f), k) for f, k in denominator.items()]
    alone = len(below) == 1 and below[0][1] == 1 and scale.denominator == 1
    factors = [
        (rf"\left({text}\right)" if len(p) > 1 and not alone else text)
        + (f"^{{{k}}}" if k > 1 else "")
        for p, k in below
        for text in [_sum(p, 1, names, "{{{}}}")]
    ]
    if scale.denominator > 1:
        factors.insert(0, str(scale.denominator))
    return rf"\frac{{{top}}}{{{' '.join(factors)}}}" if factors else top


def _sum(p: poly.Polynomial, times: int, names: list[str], exponent: str) -> str:
    """A polynomial, largest monomial first."""
    text = ""
    for m in sorted(p, reverse=True):
        c = times * p[m]
        factors = [
            names[i] + (f"^{exponent.format(n)}" if n > 1 else "") for i, n in poly.exponents(m)
        ]
        if abs(c) != 1 or not factors:
            factors.insert(0, str(abs(c)))
        sign = ("- " if c < 0 else "+ ") if text else ("-" if c < 0 else "")
        text += (" " if text else "") + sign + " ".join(factors)
    return text or "0"
