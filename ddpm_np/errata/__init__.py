"""The errors of the notes, each with the correction and a counterexample that code computes.

To be read beside the notes N0..N4. ``python -m ddpm_np errata`` prints :func:`errata_table` in the
order of their lines; ``errata N2:351`` prints the entries of one line, ``errata E10`` those of one
equation, and ``--lang zh`` prints them in Chinese. Listed are formulas that are wrong and claims
that a number decides; misprints of words are left out. The words stand in ``n0.txt`` to ``n4.txt``,
in the format of :mod:`ddpm_np.errata.record`. The counterexamples are functions named after their
place, such as ``_n2_439_442``; each computes one quantity three times: as printed, as corrected
(with the package's own functions where there are any), and independently. The rule that decides an
entry is :attr:`ddpm_np.errata.numbers.Numbers.decide`.

>>> [entry.corrected.en for entry in lookup("N2:351")]
['b = sqrt(beta_t)']
"""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.blocks import read_text
from ddpm_np.equations.notes import NOTES, Place
from ddpm_np.equations.words import LANGUAGES, Words
from ddpm_np.errata import n0, n1, n2, n3, n4
from ddpm_np.errata.numbers import RULE, Numbers
from ddpm_np.errata.record import KINDS, LABELS, Erratum, read

__all__ = ["ERRATA", "KINDS", "Erratum", "Numbers", "errata_table", "lookup"]

_WIDTH = 100


def _entries() -> Iterator[Erratum]:
    for note, module in zip(NOTES, (n0, n1, n2, n3, n4), strict=True):
        counterexamples = {
            name[1:].replace("n", "N").replace("_", ":", 1).replace("_", "-"): function
            for name, function in vars(module).items()
            if re.match(r"_n\d_", name)
        }
        name = f"{note.lower()}.txt"
        yield from read(read_text("ddpm_np.errata", name), name, counterexamples)


ERRATA: dict[Place, Erratum] = {entry.place: entry for entry in _entries()}
"""All entries by place, sorted by note and line."""


def lookup(place: str) -> tuple[Erratum, ...]:
    """The entries that share a line with a place such as "N2:351" or "N2:439-442", in order.

    Places that repeat an error count too. Or, for "E10", the entries of that equation. Empty where
    no error is known; ValueError for what is neither a place nor an equation.
    """
    if place in EQUATIONS:
        return tuple(entry for entry in ERRATA.values() if entry.equation == place)
    if place.startswith("E"):
        raise ValueError(f"place must be an equation from E1 to {[*EQUATIONS][-1]}, got {place!r}")
    wanted = Place(place)

    def concerns(other: Place) -> bool:
        return wanted.overlaps(other) and wanted.letter in ("", other.letter)

    return tuple(
        entry for entry in ERRATA.values() if any(concerns(p) for p in (entry.place, *entry.also))
    )


def errata_table(place: str | None = None, *, lang: str = "en") -> Iterator[str]:
    """The lines of the table, at most 100 columns wide, in English or in Chinese ("zh").

    With a place or an equation, its entries only. Otherwise all of them and their number by kind;
    places that repeat an error get a line of their own that points to the entry. The numbers are
    computed as it goes. ValueError at once for what is not a place or not a language.
    """
    if lang not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}, got {lang!r}")
    if place is None:
        return _all(lang)
    return _found(place, lookup(place), lang)


def _found(place: str, entries: tuple[Erratum, ...], lang: str) -> Iterator[str]:
    if not entries:
        yield Words(f"no error is known at {place}", f"{place} 处没有勘误").in_(lang)
    for i, entry in enumerate(entries):
        yield from ([""] if i else [])
        yield from _written(entry, lang)


def _all(lang: str) -> Iterator[str]:
    rows = [(entry.place, entry, True) for entry in ERRATA.values()]
    rows += [(place, entry, False) for entry in ERRATA.values() for place in entry.also]
    rows.sort(key=lambda row: row[0].order)
    for place, entry, is_first in rows:
        if is_first:
            yield from _written(entry, lang)
        else:
            yield f"{place}  {Words('see', '见').in_(lang)} {entry.place}"
        yield ""
    yield from _wrapped(Words("rule", "判定规则").in_(lang), RULE.in_(lang))
    counts = {kind: sum(entry.kind == kind for entry in ERRATA.values()) for kind in KINDS}
    if lang == "en":
        plural = {kind: "" if kind == "imprecise" or n == 1 else "s" for kind, n in counts.items()}
        by_kind = ", ".join(f"{n} {kind}{plural[kind]}" for kind, n in counts.items())
        yield f"{len(ERRATA)} errata: {by_kind}"
    else:
        by_kind = "，".join(f"{KINDS[kind].zh} {n} 条" for kind, n in counts.items())
        yield f"共 {len(ERRATA)} 条：{by_kind}"


def _written(entry: Erratum, lang: str) -> Iterator[str]:
    equation = f"  ({entry.equation})" if entry.equation else ""
    kind = entry.kind if lang == "en" else KINDS[entry.kind].zh
    yield f"{entry.place}  [{kind}]  {entry.section}{equation}"
    for label, text in _rows(entry):
        yield from _wrapped(label.in_(lang), text.in_(lang))
        if label.en == "printed" and lang == "en" and _width(text.zh) > len(text.zh):
            yield from _wrapped("in Chinese", text.zh)


def _rows(entry: Erratum) -> Iterator[tuple[Words, Words]]:
    """The labels and the texts of an entry, with its numbers after what they measure."""
    numbers = entry.numbers()
    printed, corrected, truth = numbers.texts()
    off, left = (f"{miss:.2g}" for miss in numbers.misses)
    allowed = f"{float(numbers.tolerance):.2g}"
    for label, chinese in LABELS.items():
        yield Words(label, chinese), getattr(entry, label)
        if label == "quantity":
            yield (
                Words("numbers", "数值"),
                Words(
                    f"printed {printed}, corrected {corrected}, truth {truth}",
                    f"按原文 {printed}，按更正 {corrected}，真值 {truth}",
                ),
            )
            yield (
                Words("decided", "成立") if numbers.decide else Words("undecided", "不成立"),
                Words(
                    f"printed off by {off}, corrected by {left}, allowed {allowed}",
                    f"原文偏差 {off}，更正偏差 {left}，允许偏差 {allowed}",
                ),
            )


# A line may break at a space, beside a Chinese character and after Chinese punctuation.
_OPEN, _CLOSE, _WIDE = "（《“", "，。；：、！？）》”", "\u2e80-\u9fff"
_WORDS = re.compile(rf"[{_OPEN}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPEN}{_CLOSE}]+)[{_CLOSE}]*|\s+|.")


def _wrapped(label: str, text: str) -> Iterator[str]:
    """The text beside its label; textwrap does not know that Chinese characters are wide."""
    line = "  " + label + " " * (10 - _width(label)) + " "
    start = line
    for word in _WORDS.findall(text):
        if _width(line) + _width(word) > _WIDTH and line != start:
            yield line.rstrip()
            line = start = " " * 13
        if line != start or not word.isspace():
            line += word
    yield line.rstrip()


def _width(text: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
