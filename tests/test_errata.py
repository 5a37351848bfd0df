"""Every erratum: what is printed fails, the correction holds, and the table shows all."""

import inspect
import math
import re
from fractions import Fraction
from functools import cache
from pathlib import Path
from unicodedata import east_asian_width

import numpy as np
import pytest

from ddpm_np.cli import main
from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.formula import parse
from ddpm_np.equations.notes import Place
from ddpm_np.errata import ERRATA, KINDS, Numbers, errata_table, lookup
from ddpm_np.errata.numbers import line_integral, signs
from ddpm_np.errata.record import read

# What the table shows: a change of a counterexample is a change for its readers.
RECORD = Path(__file__).with_name("errata_numbers.txt").read_text(encoding="utf-8").splitlines()
TOLD = {line.split()[0]: [float(n) for n in line.split()[1:]] for line in RECORD}
CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")


@pytest.fixture(scope="module", autouse=True)
def computed_once():
    """No table computes a counterexample again."""
    with pytest.MonkeyPatch.context() as patch:
        for entry in ERRATA.values():
            patch.setitem(vars(entry), "numbers", cache(entry.numbers))
        yield


def entries():
    marked = []
    for entry in ERRATA.values():
        marks = [getattr(pytest.mark, entry.equation)] if entry.equation else []
        marked.append(pytest.param(entry, id=entry.place, marks=marks))
    return marked


def columns(text):
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


@cache
def table(lang):
    return list(errata_table(lang=lang))


def texts(entry, lang):
    pairs = (entry.printed, entry.corrected, entry.quantity, entry.why)
    return [entry.section, *(getattr(pair, lang) for pair in pairs)]


@pytest.mark.parametrize("entry", entries())
def test_the_printed_form_fails_and_the_corrected_one_holds(entry):
    numbers = entry.numbers()
    assert all(math.isfinite(number) for number in numbers), numbers
    assert numbers.tolerance >= 0
    assert numbers.decide, numbers
    swapped = numbers._replace(printed=numbers.corrected, corrected=numbers.printed)
    assert not swapped.decide, "the test cannot tell the two forms apart"
    printed, corrected, truth = numbers.texts()
    assert printed != corrected, "the reader sees no difference"
    again = inspect.unwrap(entry.numbers)()
    assert again == numbers, "the numbers must not change from run to run"


def test_every_entry_has_its_numbers_in_the_record():
    assert [*TOLD] == [*ERRATA]


def test_the_deciding_rule_rejects_what_it_should():
    assert Numbers(2.0, 1.0, 1.0, 1e-15).decide
    assert not Numbers(1.0, 1.0, 1.0, 1e-15).decide, "the printed form is right"
    assert not Numbers(2.0, 1.1, 1.0, 1e-15).decide, "the corrected form is wrong"
    assert not Numbers(2.0, 1.0, 1.0, 0.1).decide, "the tolerance is too wide to tell"
    assert not Numbers(2.0, math.nan, 1.0, 1e-15).decide
    assert Numbers(Fraction(1, 3), Fraction(1, 2), Fraction(1, 2), Fraction(0)).decide


def test_numbers_are_shown_with_four_digits_and_what_is_within_the_tolerance_of_0_as_0():
    assert Numbers(2.0, 1 / 3, 1e-9, 1e-8).texts() == ("2", "0.3333", "0")
    assert Numbers(Fraction(2, 3), Fraction(0), -12345.0, 0).texts() == ("2/3", "0", "-1.234e+04")


@pytest.mark.parametrize("entry", entries())
def test_entries_are_complete(entry):
    assert entry.printed != entry.corrected
    for text in (*texts(entry, "en"), *texts(entry, "zh")):
        assert text.strip() == text and text and "\n" not in text
    for text in (text for words in entry.marked.values() for text in words):
        assert text.count("$") % 2 == 0 and all(map(parse, text.split("$")[1::2])), text
    assert entry.equation is None or entry.equation in {f"E{n}" for n in range(1, 34)}
    if entry.latex is not None:
        printed, corrected = entry.latex
        assert corrected and printed != corrected
        for formula in entry.latex:
            assert formula.count("{") == formula.count("}") and "$" not in formula
            ends = [len(re.findall(rf"\\{end}(?![a-z])", formula)) for end in ("left", "right")]
            assert ends[0] == ends[1]
    if entry.kind == "wrong formula":
        assert entry.latex is not None and entry.latex[0], "the formula as printed is missing"


@pytest.mark.parametrize("entry", entries())
def test_each_text_is_in_its_language(entry):
    for pair in (entry.printed, entry.corrected, entry.quantity, entry.why):
        assert not CHINESE.search(pair.en), pair.en
        assert pair.zh == pair.en or re.search(r"[\u3000-\u9fff∝∫]", pair.zh), pair.zh
    assert CHINESE.search(entry.why.zh) and CHINESE.search(entry.quantity.zh)
    for text in entry.why:
        assert text[-1] in ".。"
    for text in (entry.corrected.zh, entry.quantity.zh, entry.why.zh):
        assert not re.search(r"[\u4e00-\u9fff][,;:]|[,;] [\u4e00-\u9fff]", text), "half-width mark"


def test_places_are_unique_and_sorted():
    keys = [entry.place.order for entry in ERRATA.values()]
    assert keys == sorted(set(keys))
    assert {entry.place.note for entry in ERRATA.values()} == {"N0", "N1", "N2", "N3", "N4"}
    for entry in ERRATA.values():
        assert entry.place not in entry.also and len(set(entry.also)) == len(entry.also)


def test_letters_tell_apart_errors_of_the_same_lines_and_nothing_else():
    lettered = [entry.place for entry in ERRATA.values() if entry.place.letter]
    lines = [entry.place.order[:3] for entry in ERRATA.values()]
    assert lettered and all(lines.count(place.order[:3]) > 1 for place in lettered)


def test_lookup_finds_entries_by_any_shared_line_and_where_they_are_repeated():
    for entry in ERRATA.values():
        assert entry in lookup(entry.place)
        for line in entry.place.lines:
            assert entry in lookup(f"{entry.place.note}:{line}")
        assert all(entry in lookup(place) for place in entry.also)
    assert [entry.place for entry in lookup("N1:25")] == ["N1:25a", "N1:25b"]
    assert [entry.place for entry in lookup("N1:25b")] == ["N1:25b"]
    assert [entry.place for entry in lookup("N2:147")] == ["N0:48"]
    assert [entry.place for entry in lookup("N2:345-352")] == ["N2:351"]
    assert lookup("N2:613") == ()


BLOCK = """Errata of a file.

N2:1 | imprecise | E3
also: N2:5, N3:7
printed: a = b
corrected: the sum a + b
更正: 两者之和 a + b
corrected formula: a + b
quantity: the sum
所比较的量: 和
why: Because.
理由: 因为。

N2:2 | wrong formula
printed: $x_0$
corrected: $x_1$
quantity: q
why: w
"""


def read_text(text):
    return list(read(text, "n2.txt", dict.fromkeys(("N2:1", "N2:2"), lambda: Numbers(0, 1, 1, 0))))


def test_each_counterexample_needs_an_entry():
    with pytest.raises(ValueError, match="^n2.txt: no entry for the counterexamples of N2:2$"):
        read_text(BLOCK.partition("\n\nN2:2")[0])


def test_a_file_is_read():
    first, second = read_text(BLOCK)
    assert (first.place, first.kind, first.equation) == ("N2:1", "imprecise", "E3")
    assert first.also == ("N2:5", "N3:7") and first.section == "如何手搓扩散模型"
    assert first.printed == ("a = b", "a = b") and first.corrected.zh == "两者之和 a + b"
    assert first.formula == ("a = b", "a + b") and first.numbers().decide
    assert second.formula == ("x_0", "x_1") and second.latex == ("x_{0}", "x_{1}")
    assert second.equation is None and second.also == () and second.why.zh == "w"


@pytest.mark.parametrize(
    "right, wrong, message",
    [
        ("N2:1 |", "N9:1 |", "n2.txt:3: place must be"),
        ("N2:1 |", "N2:3 |", "n2.txt:3: N2:3 has no counterexample"),
        ("N2:1 |", "N2:2 |", "n2.txt:14: N2:2 stands after N2:2"),
        ("| imprecise", "| typo", "n2.txt:3: kind must be one of wrong formula, "),
        ("| imprecise | E3", "", "n2.txt:3: the first line must be"),
        ("N3:7", "N3", "n2.txt:4: place must be"),
        ("a + b\nquantity", "a +* b\nquantity", "n2.txt:8: formula 'a +* b': cannot read"),
        ("why: Because.", "whi: Because.", "n2.txt:11: a line must be one of also, "),
        ("why: Because.", "quantity: again", "n2.txt:11: 'quantity' stands here twice"),
        ("why: Because.\n", "", "n2.txt:3: 'why' is missing"),
        ("理由: 因为。", "理由: ", "n2.txt:12: a line must be one of"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(right, wrong, message):
    assert right in BLOCK
    with pytest.raises(ValueError) as refused:
        read_text(BLOCK.replace(right, wrong, 1))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("place", ["", "N5:1", "N2", "N2:0", "N2:9-3", "N2:3 ", "2:3", "N2:3ab"])
def test_what_is_not_a_place_is_refused(place):
    for call in (lookup, errata_table):
        with pytest.raises(ValueError, match="^place must be a note and its line"):
            call(place)


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="^lang must be one of en, zh, got 'de'"):
        errata_table(lang="de")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_table_shows_every_entry_in_order_and_fits_a_terminal(lang):
    lines = table(lang)
    for line in lines:
        assert columns(line) <= 100, line
        assert line == line.rstrip(), line
        assert not re.match(r"\s+[，。；：、！？）》]", line), "closing punctuation in front"
    heads = [line.split()[0] for line in lines if line[:1] == "N"]
    repeated = [place for entry in ERRATA.values() for place in entry.also]
    assert sorted(heads) == sorted([entry.place for entry in ERRATA.values()] + repeated)
    assert heads == sorted(heads, key=lambda place: Place(place).order)
    text = "".join("".join(lines).split())
    for entry in ERRATA.values():
        own_words = [entry.printed.zh] if CHINESE.search(entry.printed.zh) else []
        for part in (*texts(entry, lang), *own_words):
            assert "".join(part.split()) in text, entry.place


def test_the_table_counts_by_kind():
    counts = [sum(entry.kind == kind for entry in ERRATA.values()) for kind in KINDS]
    formulas, claims, imprecise, slips, conventions = counts
    assert sum(counts) == len(ERRATA)
    assert table("en")[-1] == (
        f"{len(ERRATA)} errata: {formulas} wrong formulas, {claims} wrong claims, "
        f"{imprecise} imprecise, {slips} slips, {conventions} conventions"
    )
    assert table("zh")[-1].startswith(f"共 {len(ERRATA)} 条：公式有误 {formulas} 条，")


def test_the_entries_of_one_place():
    lines = list(errata_table("N2:351"))
    assert lines[0] == "N2:351  [slip]  从方差的角度理解扩散递归  (E3)"
    assert "  corrected  b = sqrt(beta_t)" in lines and "" not in lines
    assert [line for line in lines if line.startswith("  decided    printed off by 0.4")]
    assert [line for line in errata_table("N1:25") if line[:1] == "N"] == [
        "N1:25a  [wrong claim]  图像的概率分布  (E6)",
        "N1:25b  [wrong claim]  图像的概率分布  (E13)",
    ]
    entry, chinese = ERRATA[Place("N2:59")], list(errata_table("N2:59", lang="zh"))
    assert max(map(columns, chinese)) in (99, 100)  # full lines
    assert "".join(entry.why.zh.split()) in "".join("".join(chinese).split())
    assert list(errata_table("N2:613")) == ["no error is known at N2:613"]
    assert list(errata_table("N2:613", lang="zh")) == ["N2:613 处没有勘误"]


def test_the_entries_of_one_equation():
    for number in EQUATIONS:
        heads = [line.split()[0] for line in errata_table(number) if line[:1] == "N"]
        assert heads == [place for place, entry in ERRATA.items() if entry.equation == number]
    assert lookup("E10")[0].equation == "E10"
    for number in ("E0", "E34", "E1O"):
        with pytest.raises(ValueError, match="^place must be an equation from E1 to E33, got"):
            errata_table(number)


def test_the_command_prints_one_place_in_either_language(capsys):
    for lang in ("en", "zh"):
        assert main(["errata", "N2:351", "--lang", lang]) == 0
        assert capsys.readouterr().out.splitlines() == list(errata_table("N2:351", lang=lang))


def test_line_integral_states_its_error():
    fine = line_integral(lambda x: np.exp(-(x**2) / 2), -12, 12)
    assert abs(fine.value - math.sqrt(2 * math.pi)) <= fine.error < 1e-12
    # Half of it, and coarse.
    cut_off = line_integral(lambda x: np.exp(-(x**2) / 2), 0, 12, intervals=10)
    assert 1e-3 < cut_off.error


def test_signs_have_the_moments_of_a_standard_normal_up_to_the_third():
    rows = signs(3)
    assert rows.shape == (8, 3) and len({tuple(row) for row in rows}) == 8
    assert np.array_equal(rows.mean(0), np.zeros(3))
    assert np.array_equal(rows.T @ rows / 8, np.eye(3))
    assert np.array_equal((rows**3).mean(0), np.zeros(3))
