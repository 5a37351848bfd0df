"""The notation: what a formula means, and how it is written."""

import re
import xml.etree.ElementTree as ElementTree
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.equations import EQUATIONS, SECTIONS
from ddpm_np.equations.formula import names, parse, value
from ddpm_np.equations.typeset import latex, mathml, sentence, symbol_class

FORMULAS = [f.text for e in EQUATIONS.values() for f in e.formulas]
A, B, C = Fraction(2), Fraction(3), Fraction(7)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a / b c", A / B * C),
        ("a / (b c)", A / (B * C)),
        ("a b / c", A * B / C),
        ("a / b / c", A / B / C),
        ("a - b - c", A - B - C),
        ("a - (b - c)", A - (B - C)),
        ("-a^2 b", -(A**2) * B),
        ("a b^2", A * B**2),
        ("(a b)^2", (A * B) ** 2),
        ("a + b c", A + B * C),
        ("2 (a + b)", 2 * (A + B)),
        ("-a / b", -A / B),
    ],
)
def test_juxtaposition_multiplies_from_left_to_right(text, meaning):
    assert value(parse(text), {"a": A, "b": B, "c": C}) == meaning


def test_a_name_right_before_a_parenthesis_is_a_function_and_with_a_space_a_factor():
    assert value(parse("sqrt(a)"), {"a": 9.0}) == 3.0
    assert value(parse("a (b)"), {"a": 9.0, "b": 2.0}) == 18.0
    assert value(parse("f(a)"), {"a": 9.0, "f": lambda x: x + 1}) == 10.0


def test_sums_and_means_run_over_the_first_axis():
    numbers = {"a_k": np.array([1.0, 2.0, 4.0])}
    assert value(parse("sum_k(a_k)^2 / sum_k(a_k^2)"), numbers) == 49 / 21
    assert value(parse("mean_k(a_k)"), numbers) == 7 / 3


def test_dots_stand_for_the_factors_between():
    numbers = {"c": 3.0, "b": 5.0, "a_1": 2.0, "a_2": 7.0, "a_3": 11.0, "t": 3}
    assert value(parse("a_1 ... a_t"), numbers) == 154.0
    assert value(parse("c b a_1 ... a_t"), numbers) == 15 * 154.0


@pytest.mark.parametrize("text", ["", "a +", "a / ", "(a", "a)", "a $ b", "sqrt(", "^2", "a | b"])
def test_what_is_not_in_the_notation_is_refused_and_quoted(text):
    with pytest.raises(ValueError, match="cannot read"):
        parse(text)


def test_what_has_no_value_says_so():
    for text, said in (
        ("x ~ N", "'~' has no value"),
        ("gamma(x)", "the function 'gamma' has no value"),
        ("N(x)", "N needs a point, a mean and a variance"),
    ):
        with pytest.raises(ValueError, match=said):
            value(parse(text), {"x": 1, "N": 1})


TREES = st.recursive(
    st.sampled_from(["a", "b", "c", "2", "3"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", " - ", " ", " / "]), inner).map(
            lambda p: f"({p[0]}{p[1]}{p[2]})"
        ),
        inner.map(lambda p: f"({p})^2"),
    ),
    max_leaves=8,
)


@given(TREES)
def test_the_value_is_that_of_the_same_expression_in_python(text):
    python = text.replace("^", "**").replace(" / ", "/").replace(" + ", "+").replace(" - ", "-")
    numbers = {"a": A, "b": B, "c": C, "Fraction": Fraction}
    python = python.replace(" ", "*").replace("2/", "Fraction(2)/").replace("3/", "Fraction(3)/")
    try:
        expected = eval(python, {}, numbers)
    except ZeroDivisionError:
        return
    assert value(parse(text), {"a": A, "b": B, "c": C}) == pytest.approx(expected)


@pytest.mark.parametrize("text", FORMULAS)
def test_every_formula_is_well_formed_in_mathml_and_latex(text):
    tree = parse(text)
    ElementTree.fromstring(mathml(tree).replace("&#x2061;", ""))
    ElementTree.fromstring(mathml(tree, block=False).replace("&#x2061;", ""))
    written = latex(tree)
    assert written.count("{") == written.count("}")
    assert len(re.findall(r"\\left\b", written)) == len(re.findall(r"\\right\b", written))
    assert "|" not in written  # it would end a cell of the README's table


def test_latex_and_mathml_of_one_formula():
    tree = parse("mean = (x_t - beta_t / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t)")
    assert latex(tree) == (
        r"\mathrm{mean} = \frac{x_{t} - \frac{\beta_{t}}{\sqrt{1 - \bar{\alpha}_{t}}} \epsilon}"
        r"{\sqrt{\alpha_{t}}}"
    )
    assert mathml(tree).count("<mfrac>") == 2 and mathml(tree).count("<msqrt>") == 2
    assert 'class="s-alpha-bar-t"' in mathml(tree)


def test_symbols_have_classes_that_tell_their_subscripts_apart():
    assert symbol_class("alpha_bar_{t-1}") == "s-alpha-bar-t-1" != symbol_class("alpha_bar_t")
    assert symbol_class("x_t") == "s-x-t" and symbol_class("beta_{t|s}") == "s-beta-t-s"
    assert symbol_class("x0_hat") == "s-x-hat-0" and symbol_class("eps_hat") == "s-eps-hat"


def test_names_are_listed_in_order():
    assert list(names(parse("x_t = sqrt(alpha_t) x_0 + z"))) == ["x_t", "alpha_t", "x_0", "z"]


def test_every_sentence_can_be_written():
    words = [text for e in EQUATIONS.values() for text in (*e.title, *e.sentence)]
    words += [t for s in SECTIONS.values() for t in (s.title, *s.sentence)]
    for text in words:
        assert "$" not in sentence(text, lambda formula: latex(parse(formula)))
