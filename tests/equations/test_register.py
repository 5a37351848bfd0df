"""The register: complete, in order, and true to the code and the tests that it names."""

import pkgutil
import re
from pathlib import Path

import pytest

from ddpm_np.demos import DEMOS
from ddpm_np.equations import EQUATIONS, SECTIONS, equations_of
from ddpm_np.equations.notes import NOTES, Place, notes
from ddpm_np.equations.words import Words
from ddpm_np.proof import identities_of

TESTS = [p.read_text(encoding="utf-8") for p in Path(__file__).parents[1].rglob("test_*.py")]
FUNCTIONS = [(e.number, name) for e in EQUATIONS.values() for name in e.functions]


def test_words_are_in_two_languages():
    assert [Words("noise", "噪声").in_(language) for language in ("en", "zh")] == ["noise", "噪声"]
    with pytest.raises(ValueError, match="^language must be one of en, zh, got 'fr'$"):
        Words("noise", "噪声").in_("fr")


def test_equations_are_numbered_without_gaps():
    assert list(EQUATIONS) == [f"E{n}" for n in range(1, 34)]


def test_every_section_of_the_notes_has_its_record_in_order_and_a_home():
    outline = [heading.place for heading in notes()]
    assert list(SECTIONS) == outline
    assert {place[:2] for place in outline} == set(NOTES)
    for section in SECTIONS.values():
        assert section.title and (section.sentence.en or equations_of(section.place)), section
        assert bool(section.sentence.en) == bool(section.sentence.zh)


def test_headings_and_formulas_stand_in_the_order_of_their_lines():
    lines = []
    for heading in notes():
        for place in (heading.place, *(printed.place for printed in heading.printed)):
            lines.append(place.order)
    assert lines == sorted(lines) and len(lines) > 120
    for heading in notes():
        for printed in heading.printed:
            assert len(printed.lines) == len(printed.place.lines)


@pytest.mark.parametrize("number", EQUATIONS)
def test_a_record_is_complete(number):
    equation = EQUATIONS[number]
    assert equation.section in SECTIONS
    assert equation.title.en and equation.sentence.en.endswith(".") and equation.formulas
    for text in (equation.title.zh, equation.sentence.zh):
        assert re.search("[\u4e00-\u9fff]", text)
    assert equation.sentence.zh.endswith("。")
    assert equation.known and set(equation.known) <= {"proved", "property", "statistical"}
    assert not equation.demo or equation.demo in DEMOS
    stated = all(formula.stated for formula in equation.formulas)
    assert bool(equation.why_stated) == stated, equation.number
    for place in equation.printed:
        assert any(Place(place).overlaps(p.place) for h in notes() for p in h.printed), place


def test_demos_of_sections_exist():
    assert {demo for section in SECTIONS.values() for demo in section.demos} <= set(DEMOS)


@pytest.mark.parametrize(
    "name",
    dict.fromkeys(
        [name for _, name in FUNCTIONS] + [n for s in SECTIONS.values() for n in s.functions]
    ),
)
def test_functions_exist(name):
    found = pkgutil.resolve_name(f"ddpm_np.{name}")
    assert callable(found) or isinstance(found, property)


@pytest.mark.parametrize("number", EQUATIONS)
def test_every_equation_has_tests_that_carry_its_marker(number):
    assert any(re.search(rf"\.{number}\b", text) for text in TESTS)


def test_what_is_said_to_be_proved_has_identities():
    said = {number for number, e in EQUATIONS.items() if "proved" in e.known}
    assert said == {number for number in EQUATIONS if next(identities_of(number), None)}


def test_places_that_can_be_read_on_the_web():
    assert Place("N2:351").web_address.endswith("readme.md?plain=1#L351")
    assert Place("N2:303-306").web_address.endswith("#L303-L306")
    assert Place("N4:5").web_address is None


def test_places_share_lines_and_sort_by_them():
    assert Place("N2:351").overlaps(Place("N2:348-352"))
    assert Place("N2:348-352").overlaps(Place("N2:352"))
    assert not Place("N2:351").overlaps(Place("N3:351"))
    assert sorted(map(Place, ("N2:1000", "N2:99b", "N2:99a", "N1:5")), key=lambda p: p.order) == [
        "N1:5",
        "N2:99a",
        "N2:99b",
        "N2:1000",
    ]
    with pytest.raises(ValueError, match="place"):
        Place("N7:1")
