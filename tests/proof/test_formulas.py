"""Each formula equals the function beside it, and a wrong one does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ddpm_np import posterior
from ddpm_np.equations import EQUATIONS, Formula
from ddpm_np.proof.formulas import difference

COMPARED = [
    pytest.param(formula, marks=getattr(pytest.mark, e.number), id=f"{e.number}: {formula.text}")
    for e in EQUATIONS.values()
    for formula in e.formulas
    if formula.call
]
WRONG = [
    ("E1", "sqrt(beta_t) eps", "beta_t eps"),
    ("E3", "+ beta_t I", "+ beta_t^2 I"),
    ("E4", "x_s + sqrt(1 -", "x_s + sqrt(2 -"),
    ("E5", "(1 - alpha_bar_t) I", "(1 + alpha_bar_t) I"),
    ("E6", "sqrt(1 - alpha_bar_t) eps", "(1 - alpha_bar_t) eps"),
    ("E8", "^2 / (1 - alpha_bar_{t-1})", "^2 / (1 - alpha_bar_t)"),
    ("E9", "sqrt(alpha_t) / beta_t x_t", "sqrt(alpha_t) / (beta_t x_t)"),
    ("E10", "+ alpha_t / beta_t", "- alpha_t / beta_t"),
    ("E11", "(1 - alpha_bar_{t-1}) / (1 - alpha_bar_t)", "(1 - alpha_bar_t)"),
    ("E12", "beta_t sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_t) x_0", "x_0"),
    ("E13", "- sqrt(1 - alpha_bar_t) eps", "+ sqrt(1 - alpha_bar_t) eps"),
    ("E14", "/ sqrt(1 - alpha_bar_t) eps)", "/ (1 - alpha_bar_t) eps)"),
    ("E15", "(eps_hat - eps)^2", "|eps_hat - eps|^2"),
    ("E17", "sqrt(variance) z", "variance z"),
    ("E18", "- sigma^2", "+ sigma^2"),
    ("E19", "(beta_max - beta_min)", "beta_max"),
    ("E22", "sum_k(lambda_k)^2 /", "sum_k(lambda_k) /"),
    ("E25", "+ 1 - alpha_bar_t))", "+ 1))"),
    ("E33", "(n - 1)", "n"),
]


@pytest.mark.parametrize("formula", COMPARED)
def test_a_formula_equals_its_function(formula):
    assert difference(formula) == ""


@pytest.mark.parametrize(("number", "right", "wrong"), WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_formula_does_not(number, right, wrong):
    formula = next(f for f in EQUATIONS[number].formulas if f.call and right in f.text)
    spoiled = replace(formula, text=formula.text.replace(right, wrong, 1))
    try:
        assert difference(spoiled)
    except ValueError:
        pass  # it takes a root, or holds a form, that has no value: not equal either


def test_a_wrong_function_does_not(monkeypatch):
    formula = EQUATIONS["E10"].formulas[1]
    right = posterior.psi_2_collected
    monkeypatch.setattr(posterior, "psi_2_collected", lambda *a: right(*a) + a[0] - a[0] + 1)
    assert "is not" in difference(formula)


def test_a_formula_without_a_call_is_refused():
    with pytest.raises(ValueError, match="no call"):
        difference(Formula("x = 1"))


def test_a_root_that_is_rational_in_no_chart_is_refused_by_name():
    with pytest.raises(ValueError, match="no value in any chart"):
        difference(Formula("alpha_t = sqrt(1 + beta_t)", "schedule.alpha[t]"))
