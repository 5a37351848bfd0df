"""The record of one erratum, and the reader of the text files that hold them.

``n0.txt`` to ``n4.txt`` hold one block per erratum, after a first block that introduces the file::

    N2:351 | slip | E3
    printed: $b = beta_t$
    corrected: $b = sqrt(beta_t)$
    quantity: ...
    所比较的量: ...
    why: ...
    理由: ...

First its place in the note, its kind (one of :data:`KINDS`) and the equation that the corrected
form carries or uses, if there is one; ``also:`` names places that repeat the error. Each text is
followed by its Chinese (原文, 更正, 所比较的量, 理由), which for the printed form is the note's own
words; without it the two read the same. Formulas stand between dollar signs, in the notation of
:mod:`ddpm_np.equations.formula`. A text in both languages that is one is the entry's formula;
where the text says more, ``printed formula:`` and ``corrected formula:`` hold it, and
``printed latex:`` and ``corrected latex:`` where the notation does not reach.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ddpm_np.equations.blocks import Block, blocks
from ddpm_np.equations.formula import parse
from ddpm_np.equations.notes import Place, heading_of
from ddpm_np.equations.typeset import latex
from ddpm_np.equations.words import Words
from ddpm_np.errata.numbers import Numbers

KINDS = {
    "wrong formula": Words("the formula is false as it is printed", "公式有误"),
    "wrong claim": Words("the sentence is false", "论断有误"),
    "imprecise": Words("right as it is meant, but a condition or a word is missing", "不够严谨"),
    "slip": Words("a slip of the pen: the right form stands nearby", "笔误"),
    "convention": Words("right under the notes' own convention, not the usual one", "约定不同"),
}
"""The kinds of errata: what each means, and its Chinese name."""

LABELS = {"printed": "原文", "corrected": "更正", "quantity": "所比较的量", "why": "理由"}
"""The four texts of an entry, and what they are called in Chinese."""


@dataclass(frozen=True)
class Erratum:
    """One error of the notes: where it is, what is printed, what is right, and a counterexample.

    place : "N2:351" or "N2:439-442"; a letter tells two errors of the same lines apart
    printed : in Chinese the note's own words or its formula, in English a translation of them
    quantity : what the numbers measure
    formula : as printed, empty where the note says it in words, and as corrected; in the notation,
        or in LaTeX between dollar signs; None where the correction is no formula
    equation : the equation that the corrected form carries or uses, "E3", where there is one
    also : other places with the same error
    numbers : computes the counterexample
    marked : the four texts by their labels, with dollar signs around their formulas
    """

    place: Place
    kind: str
    printed: Words
    corrected: Words
    quantity: Words
    why: Words
    formula: tuple[str, str] | None
    equation: str | None
    also: tuple[Place, ...]
    numbers: Callable[[], Numbers] = field(repr=False, compare=False)
    marked: Mapping[str, Words] = field(repr=False, compare=False)

    @property
    def section(self) -> str:
        """The note's own title of the section, without the signs of its formulas."""
        return re.sub(r"[$\\]", "", heading_of(self.place).title)

    @property
    def latex(self) -> tuple[str, str] | None:
        """The formula in LaTeX, as printed and as corrected."""
        if self.formula is None:
            return None
        printed, corrected = (
            text[1:-1] if text.startswith("$") else latex(parse(text)) if text else ""
            for text in self.formula
        )
        return printed, corrected


def read(
    text: str, name: str, counterexamples: Mapping[str, Callable[[], Numbers]]
) -> Iterator[Erratum]:
    """The entries of one file; ValueError, with the file's name and the line, where it is wrong.

    counterexamples : by their places; each belongs to an entry
    """
    before: Place | None = None
    left = set(counterexamples)
    for block in blocks(text, name, _KEYS):
        entry = _entry(block, counterexamples)
        if before is not None and entry.place.order <= before.order:
            raise block.error(f"{entry.place} stands after {before}")
        before = entry.place
        left.discard(entry.place)
        yield entry
    if left:
        raise ValueError(f"{name}: no entry for the counterexamples of {', '.join(sorted(left))}")


_FORMULAS = [
    f"{label} {kind}" for label in ("printed", "corrected") for kind in ("formula", "latex")
]
_KEYS = ", ".join(("also", *_FORMULAS, *(key for pair in LABELS.items() for key in pair)))


def _entry(block: Block, counterexamples: Mapping[str, Callable[[], Numbers]]) -> Erratum:
    first, kind, equation, *more = (*(part.strip() for part in block.heading.split("|")), "", "")
    if not kind or any(more):
        raise block.error("the first line must be place | kind, and | equation if there is one")
    place = block.read("", Place, first)
    if kind not in KINDS:
        raise block.error(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if place not in counterexamples:
        raise block.error(f"{place} has no counterexample")
    marked = {label: block.words(label, chinese) for label, chinese in LABELS.items()}
    words = {k: Words(*(text.replace("$", "") for text in of)) for k, of in marked.items()}
    formulas = []
    for label in ("printed", "corrected"):
        en, zh = words[label]
        key, in_latex = f"{label} formula", block.text(f"{label} latex", "")
        formulas.append(f"${in_latex}$" if in_latex else block.text(key, en if en == zh else ""))
        if key in block.entries:
            block.read(key, parse, formulas[-1])
    also = block.text("also", "")
    return Erratum(
        place,
        kind,
        **words,
        formula=(formulas[0], formulas[1]) if formulas[1] else None,
        equation=equation or None,
        also=tuple(block.read("also", Place, text) for text in also.split(", ") if text),
        numbers=counterexamples[place],
        marked=marked,
    )
