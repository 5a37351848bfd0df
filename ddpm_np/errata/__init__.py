"""The errors of the notes, each with the correction and a counterexample that code computes.

To be read beside the notes N0..N4. ``python -m ddpm_np errata`` prints :func:`errata_table` in the
order of their lines; ``errata N2:351`` prints the entries of one line, and ``--lang zh`` prints
them in Chinese. Listed are formulas that are wrong and claims that a number decides; misprints of
words are left out. Each entry computes one quantity three times: as printed, as corrected (with
the package's own functions where there are any), and independently.

>>> [entry.corrected.en for entry in lookup("N2:351")]
['b = sqrt(beta_t)']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from unicodedata import east_asian_width

from ddpm_np.equations.notes import Place
from ddpm_np.errata import (
    n0,
    n1,
    n2_covariance,
    n2_eps_form,
    n2_forward,
    n2_images,
    n2_principle,
    n2_reverse,
    n2_signals,
    n3,
    n4_latent,
    n4_likelihood,
)
from ddpm_np.errata.record import KINDS, Erratum, Numbers, Text

__all__ = ["ERRATA", "KINDS", "LANGUAGES", "Erratum", "Numbers", "Text", "errata_table", "lookup"]

LANGUAGES = ("en", "zh")
_WIDTH = 100


def _entries(*parts: ModuleType) -> tuple[Erratum, ...]:
    found = [entry for part in parts for entry in vars(part).values() if isinstance(entry, Erratum)]
    return tuple(sorted(found, key=lambda entry: entry.place.order))


ERRATA: tuple[Erratum, ...] = _entries(
    n0,
    n1,
    n2_principle,
    n2_covariance,
    n2_forward,
    n2_signals,
    n2_images,
    n2_reverse,
    n2_eps_form,
    n3,
    n4_likelihood,
    n4_latent,
)
"""All entries, sorted by note and line."""


def lookup(place: str) -> tuple[Erratum, ...]:
    """The entries that share a line with a place such as "N2:351" or "N2:439-442", in order.

    Places that repeat an error count too. Empty where no error is known; ValueError for what is
    not a place.
    """
    wanted = Place(place)

    def concerns(other: Place) -> bool:
        return wanted.overlaps(other) and wanted.letter in ("", other.letter)

    return tuple(entry for entry in ERRATA if any(concerns(p) for p in (entry.place, *entry.also)))


def errata_table(place: str | None = None, *, lang: str = "en") -> Iterator[str]:
    """The lines of the table, at most 100 columns wide, in English or in Chinese ("zh").

    With a place, the entries of that place only. Otherwise all of them and their number by kind;
    places that repeat an error get a line of their own that points to the entry. The numbers are
    computed as it goes. ValueError at once for what is not a place or not a language.
    """
    if lang not in LANGUAGES:
        raise ValueError(f"lang must be one of {', '.join(LANGUAGES)}, got {lang!r}")
    if place is None:
        return _table(lang)
    return _found(place, lookup(place), lang)


def _found(place: str, entries: tuple[Erratum, ...], lang: str) -> Iterator[str]:
    if not entries:
        yield f"no error is known at {place}" if lang == "en" else f"{place} 处没有勘误"
    for i, entry in enumerate(entries):
        yield from ([""] if i else [])
        yield from _lines(entry, lang)


def _table(lang: str) -> Iterator[str]:
    rows = [(entry.place, entry, True) for entry in ERRATA]
    rows += [(place, entry, False) for entry in ERRATA for place in entry.also]
    rows.sort(key=lambda row: row[0].order)
    for place, entry, is_first in rows:
        if is_first:
            yield from _lines(entry, lang)
        else:
            yield f"{place}  " + (f"see {entry.place}" if lang == "en" else f"见 {entry.place}")
        yield ""
    counts = {kind: sum(entry.kind == kind for entry in ERRATA) for kind in KINDS}
    if lang == "en":
        by_kind = ", ".join(f"{n} {kind}{_plural(kind, n)}" for kind, n in counts.items())
        yield f"{len(ERRATA)} errata: {by_kind}"
    else:
        by_kind = "，".join(f"{KINDS[kind].zh} {n} 条" for kind, n in counts.items())
        yield f"共 {len(ERRATA)} 条：{by_kind}"


def _plural(kind: str, n: int) -> str:
    return "" if kind == "imprecise" or n == 1 else "s"


def _lines(entry: Erratum, lang: str) -> Iterator[str]:
    equation = f"  ({entry.equation})" if entry.equation else ""
    printed, corrected, truth = entry.numbers().texts()
    if lang == "en":
        yield f"{entry.place}  [{entry.kind}]  {entry.section}{equation}"
        rows = [("printed", entry.printed.en)]
        if _columns(entry.printed.zh) > len(entry.printed.zh):
            rows += [("in Chinese", entry.printed.zh)]
        rows += [
            ("corrected", entry.corrected.en),
            ("numbers", f"printed {printed}, corrected {corrected}, truth {truth}"),
            ("of what", entry.quantity.en),
            ("why", entry.why.en),
        ]
    else:
        yield f"{entry.place}  [{KINDS[entry.kind].zh}]  {entry.section}{equation}"
        rows = [
            ("原文", entry.printed.zh),
            ("更正", entry.corrected.zh),
            ("数值", f"按原文 {printed}，按更正 {corrected}，真值 {truth}"),
            ("计算对象", entry.quantity.zh),
            ("理由", entry.why.zh),
        ]
    for label, text in rows:
        yield from _wrapped(label, text)


# A line may break at a space, beside a Chinese character and after Chinese punctuation.
_OPEN, _CLOSE, _WIDE = "（《“", "，。；：、！？）》”", "\u2e80-\u9fff"
_WORDS = re.compile(rf"[{_OPEN}]*(?:[{_WIDE}]|[^\s{_WIDE}{_OPEN}{_CLOSE}]+)[{_CLOSE}]*|\s+|.")


def _wrapped(label: str, text: str) -> Iterator[str]:
    """The text beside its label; textwrap does not know that Chinese characters are wide."""
    line = "  " + label + " " * (10 - _columns(label)) + " "
    start = line
    for word in _WORDS.findall(text):
        if _columns(line) + _columns(word) > _WIDTH and line != start:
            yield line.rstrip()
            line = start = " " * 13
        if line != start or not word.isspace():
            line += word
    yield line.rstrip()


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
