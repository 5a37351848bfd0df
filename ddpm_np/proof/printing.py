"""How symbols are written: as plain text and in LaTeX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ddpm_np.proof import polynomials as poly

if TYPE_CHECKING:
    from ddpm_np.proof.symbols import Symbol


def in_text(number: Symbol) -> str:
    """One line, as in (x^2 - 1)/(2 (y + 1)^2)."""
    names = list(number.domain.variables)
    top = _sum(number.numerator, number.scale.numerator, names, "{}")
    below = [
        (f"({text})" if " " in text else text) + (f"^{k}" if k > 1 else "")
        for f, k in number.denominator.items()
        for text in [_sum(dict(f), 1, names, "{}")]
    ]
    if number.scale.denominator > 1:
        below.insert(0, str(number.scale.denominator))
    if not below:
        return top
    return (
        (f"({top})" if " " in top else top)
        + "/"
        + (f"({' '.join(below)})" if len(below) > 1 else below[0])
    )


def in_latex(number: Symbol, names: Mapping[str, str]) -> str:
    """A fraction in LaTeX; a variable that has no other name in ``names`` is written as itself."""
    written = [names.get(name, name) for name in number.domain.variables]
    top = _sum(number.numerator, number.scale.numerator, written, "{{{}}}")
    below = [(dict(f), k) for f, k in number.denominator.items()]
    alone = len(below) == 1 and below[0][1] == 1 and number.scale.denominator == 1
    factors = [
        (rf"\left({text}\right)" if len(p) > 1 and not alone else text)
        + (f"^{{{k}}}" if k > 1 else "")
        for p, k in below
        for text in [_sum(p, 1, written, "{{{}}}")]
    ]
    if number.scale.denominator > 1:
        factors.insert(0, str(number.scale.denominator))
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
