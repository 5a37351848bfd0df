"""Every entry of the errata: the printed form fails, the corrected one holds, and the table around them is in order."""

from __future__ import annotations

import math
from fractions import Fraction
from unicodedata import east_asian_width

import numpy as np
import pytest

from ddpm_np.errata import ERRATA, Erratum, Numbers, errata_table, lookup
from ddpm_np.errata.record import KINDS, erratum, line_integral, parse_place, signs

# What is printed must miss by this many times what the corrected form is allowed to miss by.
CLEARLY = 20


def decides(numbers: Numbers) -> bool:
    """Whether the truth accepts the corrected value and rejects the printed one."""
    printed, corrected, truth, tolerance = numbers
    return abs(corrected - truth) <= tolerance and abs(printed - truth) > CLEARLY * max(tolerance, abs(corrected - truth))


def entries() -> list[object]:
    marks = [[getattr(pytest.mark, entry.equation)] if entry.equation else [] for entry in ERRATA]
    return [pytest.param(entry, id=entry.place, marks=marks) for entry, marks in zip(ERRATA, marks)]


@pytest.mark.parametrize("entry", entries())
def test_the_printed_form_fails_and_the_corrected_one_holds(entry: Erratum) -> None:
    numbers = entry.numbers()
    assert all(math.isfinite(number) for number in numbers), numbers
    assert numbers.tolerance >= 0
    assert decides(numbers), numbers
    swapped = numbers._replace(printed=numbers.corrected, corrected=numbers.printed)
    assert not decides(swapped), "the test cannot tell the two forms apart"


def test_the_deciding_rule_rejects_what_it_should() -> None:
    assert decides(Numbers(2.0, 1.0, 1.0, 1e-15))
    assert not decides(Numbers(1.0, 1.0, 1.0, 1e-15)), "the printed form is right"
    assert not decides(Numbers(2.0, 1.1, 1.0, 1e-15)), "the corrected form is wrong"
    assert not decides(Numbers(2.0, 1.0, 1.0, 0.1)), "the tolerance is too wide to tell"
    assert not decides(Numbers(2.0, math.nan, 1.0, 1e-15))
    assert decides(Numbers(Fraction(1, 3), Fraction(1, 2), Fraction(1, 2), Fraction(0)))


def test_entries_are_complete_and_of_a_known_kind() -> None:
    for entry in ERRATA:
        assert entry.kind in KINDS, entry.place
        assert entry.printed != entry.corrected, entry.place
        for text in (entry.section, *entry.printed, *entry.corrected, *entry.quantity, *entry.why):
            assert text.strip() == text and text and "\n" not in text, entry.place
        assert entry.equation is None or entry.equation in {f"E{n}" for n in range(1, 34)}, entry.place


def test_places_are_unique_and_sorted() -> None:
    keys = [parse_place(entry.place) for entry in ERRATA]
    assert keys == sorted(set(keys))
    assert {entry.note for entry in ERRATA} == {"N0", "N1", "N2", "N3", "N4"}
    for entry in ERRATA:
        assert entry.place not in entry.also and len(set(entry.also)) == len(entry.also)
        assert all(parse_place(place) for place in entry.also)


def test_letters_tell_apart_slips_of_one_line_and_nothing_else() -> None:
    lettered = [parse_place(entry.place) for entry in ERRATA if parse_place(entry.place)[3]]
    lines = [place[:3] for place in lettered]
    assert lettered and all(lines.count(line) > 1 for line in lines)


def test_lookup_finds_entries_by_any_shared_line_and_where_they_are_repeated() -> None:
    for entry in ERRATA:
        assert entry in lookup(entry.place)
        first, last = entry.lines
        for line in range(first, last + 1):
            assert entry in lookup(f"{entry.note}:{line}")
        assert all(entry in lookup(place) for place in entry.also)
    assert [entry.place for entry in lookup("N2:205")] == ["N2:205a", "N2:205b"]
    assert [entry.place for entry in lookup("N2:147")] == ["N0:48"]
    assert lookup("N2:613") == ()


@pytest.mark.parametrize("place", ["", "N5:1", "N2", "N2:0", "N2:9-3", "N2:3 ", "2:3", "N2:3ab"])
def test_what_is_not_a_place_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="^place must be a note and its line"):
        lookup(place)
    with pytest.raises(ValueError, match="^place must be a note and its line"):
        erratum(place, section="s", kind="wrong claim", printed="p", corrected="c", quantity="q", why="w")


def test_the_table_shows_every_entry_in_order_and_fits_a_terminal() -> None:
    lines = list(errata_table())
    for line in lines:
        assert sum(2 if east_asian_width(c) in "WF" else 1 for c in line) <= 100, line
        assert line == line.rstrip(), line
    heads = [line.split()[0] for line in lines if line[:1] == "N"]
    assert sorted(heads) == sorted([entry.place for entry in ERRATA] + [place for entry in ERRATA for place in entry.also])
    assert heads == sorted(heads, key=parse_place)
    text = " ".join(" ".join(lines).split())
    for entry in ERRATA:
        for part in (entry.section, entry.printed.en, entry.corrected.en, entry.quantity.en, entry.why.en):
            assert " ".join(part.split()) in text, entry.place
    assert list(errata_table()) == lines, "the numbers must not change from run to run"


def test_line_integral_states_its_error() -> None:
    fine = line_integral(lambda x: np.exp(-(x**2) / 2), -12, 12)
    assert abs(fine.value - math.sqrt(2 * math.pi)) <= fine.error < 1e-12
    cut_off = line_integral(lambda x: np.exp(-(x**2) / 2), 0, 12, intervals=10)  # half of it, and coarse
    assert 1e-3 < cut_off.error


def test_signs_have_the_moments_of_a_standard_normal_up_to_the_third() -> None:
    rows = signs(3)
    assert rows.shape == (8, 3) and len({tuple(row) for row in rows}) == 8
    assert np.array_equal(rows.mean(0), np.zeros(3))
    assert np.array_equal(rows.T @ rows / 8, np.eye(3))
    assert np.array_equal((rows**3).mean(0), np.zeros(3))
