"""The formulas in the plain text of the errata, found and told apart from the words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from ddpm_np.equations.formula import parse

_RUN = re.compile(r"[A-Za-z0-9_{}()\[\]^+\-*/=<|.,~ ]+")
_NAME = re.compile(r"[A-Za-z]+")
_WORDS = (  # what may stand in a formula beside single letters
    "alpha bar beta tilde eps hat star theta psi Psi Phi sigma Sigma lambda Lambda mu phi pi tau"
    " eta sqrt ln exp cos sin sum Var Cov KL det lim E N I T prev"
).split()
_STRONG = re.compile(
    r"[_^=<>~]|sqrt|\b[A-Za-z]\(|\b(?:alpha|beta|eps|psi|Psi|Sigma|mu|Lambda|E|N|KL|ln|Var|Cov)\b"
)


@cache
def pieces(text: str) -> tuple[tuple[bool, str], ...]:
    """The text in pieces, each with whether it is a formula in the notation of the register.

    >>> [piece for is_formula, piece in pieces("it is b = beta_t, as printed") if is_formula]
    ['b = beta_t']
    """
    found: list[tuple[bool, str]] = []
    end = 0
    for start, stop in _formulas(text):
        found += [(False, text[end:start]), (True, text[start:stop])]
        end = stop
    return tuple(piece for piece in (*found, (False, text[end:])) if piece[1])


def _formulas(text: str) -> Iterator[tuple[int, int]]:
    for run in _RUN.finditer(text):
        at = run.start()
        words = [(at + m.start(), at + m.end()) for m in re.finditer(r"\S+", run[0])]
        i = 0
        while i < len(words):
            last = i
            while last < len(words) and _is_part(text[slice(*words[last])]):
                last += 1
            span = _longest(text, words[i:last])
            if span:
                yield span
                i = next((k for k, (a, _) in enumerate(words) if a >= span[1]), len(words))
            else:
                i += 1


def _is_part(word: str) -> bool:
    """Whether a word can stand in a formula: letters, names of symbols, numbers and signs."""
    names = _NAME.findall(word)
    return all(len(name) == 1 and name not in "aI" or name in _WORDS for name in names)


def _longest(text: str, words: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The longest formula that begins with the first of these words."""
    for first, stop in ((words[0][0], end) for _, end in reversed(words)):
        piece = text[first:stop].rstrip(".,: ")
        while piece.endswith(")") and piece.count(")") > piece.count("("):
            piece = piece[:-1]
        if _STRONG.search(piece) and not re.match(r"\d+,", piece) and _reads(piece):
            return first, first + len(piece)
    return None


def _reads(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True
