"""A correction inside a formula: what goes and what comes, and nothing else."""

import re

import pytest

from ddpm_np.companion.marks import broken, marked, replaced


def words(tree, name):
    found = re.findall(rf'<mrow class="{name}">(.*?)</mrow>', tree)
    return [re.sub("<[^>]*>", "", text) for text in found]


def math(inside):
    return f"<math>{inside}</math>"


A, B = "<mi>a</mi>", "<mi>b</mi>"
PLUS, MINUS = "<mo>+</mo>", "<mo>−</mo>"


@pytest.mark.parametrize(
    "printed, old, new, result",
    [
        (r"\frac{a + b}{c}", "a+b", "a-b", r"\frac{a-b}{c}"),
        (r"b = \beta_t \\", r"b = \beta_{t}", "B", r"B \\"),
        (r"\mathbb{E}(x) = 0", "E(x)", "D", "D = 0"),
        (r"p(x) = exp(-x)", r"\exp(-x)", "q", "p(x) = q"),
        ("a b", "a c", "d", None),
    ],
)
def test_a_part_is_found_however_it_is_spelled(printed, old, new, result):
    assert replaced(printed, old, new) == result


def test_one_sign_goes_and_one_comes():
    tree = marked(math(A + PLUS + B), math(A + MINUS + B))
    assert words(tree, "gone") == ["+"] and words(tree, "new") == ["−"]


def test_it_is_found_inside_fractions_and_roots():
    def fraction(sign):
        return math(f"<mfrac><mrow>{A}{sign}{B}</mrow><msqrt>{A}</msqrt></mfrac>{B}")

    tree = marked(fraction(PLUS), fraction(MINUS))
    assert words(tree, "gone") == ["+"] and words(tree, "new") == ["−"]
    assert tree.count("<mfrac>") == 1 and tree.count("<msqrt>") == 1


def test_equal_formulas_have_no_mark_and_unseen_groups_are_none():
    assert "class" not in marked(math(A + B), math(f"<mrow>{A}{B}</mrow>"))


def test_what_has_nothing_in_common_goes_as_a_whole():
    tree = marked(math(A + B), math("<mi>x</mi><mi>y</mi><mi>z</mi>"))
    assert words(tree, "gone") == ["ab"] and words(tree, "new") == ["xyz"]


def test_rows_of_a_table_carry_the_mark_themselves():
    def row(inside):
        return f"<mtr><mtd>{inside}</mtd></mtr>"

    first, second = row(A + PLUS + B), row("<mi>x</mi><mo>=</mo><mi>y</mi>")
    tree = marked(f"<mtable>{first}</mtable>", f"<mtable>{first}{second}</mtable>")
    assert '<mtr class="new"><mtd><mi>x</mi>' in tree and tree.count("class") == 1


def parts(formula):
    written = broken(math(formula))
    assert written.startswith("<math>") and written.endswith("</math>")
    return [re.sub("<[^>]*>", "", part) for part in written.split("</math>")[:-1]]


def test_a_long_formula_is_broken_before_signs_outside_of_parentheses():
    C, EQUALS = "<mi>c</mi>", "<mo>=</mo>"
    assert parts(A + B + C + EQUALS + A + B + C + PLUS + B) == ["abc=abc", "+b"]
    assert parts(A + B + EQUALS + C) == ["ab=c"]  # too short to be broken
    assert parts(A * 4 + EQUALS + B) == ["aaaa", "=b"] and parts(A * 3 + EQUALS) == ["aaa="]
    inside = f"<mo>(</mo>{A}{PLUS}{B}<mo>)</mo>"
    assert parts(A * 4 + inside + PLUS + B) == ["aaaa(a+b)", "+b"]
    power = f"<mo>(</mo>{A}{PLUS}{B}<msup><mo>)</mo><mn>2</mn></msup>"
    assert parts(A * 4 + power + PLUS + B) == ["aaaa(a+b)2", "+b"]
    over = f"<mfrac><mi>(a</mi>{B}</mfrac>"
    assert parts(A * 4 + over + PLUS + B) == ["aaaa(ab", "+b"]
