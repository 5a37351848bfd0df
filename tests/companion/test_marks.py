"""A correction inside a formula: what goes and what comes, and nothing else."""

import re

import pytest

from ddpm_np.companion.marks import marked, replaced


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
