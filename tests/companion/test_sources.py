"""A function's source on the page: whole, in order, checks apart from formulas."""

from __future__ import annotations

import inspect

import pytest

from ddpm_np import forward
from ddpm_np.companion.sources import highlighted, source, symbol_of
from ddpm_np.equations import EQUATIONS

NAMES = list(dict.fromkeys(name for e in EQUATIONS.values() for name in e.functions))


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_a_function_is_shown_once(name):
    shown = source.__wrapped__(name)  # not what was kept before
    text = shown.signature + "".join(piece for piece, _ in shown.body) + shown.docstring
    assert shown.body and shown.line > 0 and shown.path.startswith("ddpm_np/")
    assert any(not check for _, check in shown.body), "nothing is left when checks are folded"
    assert "".join(text.split())


def test_the_pieces_are_the_code():
    shown = source("forward.q_sample")
    code = inspect.getsource(forward.q_sample)
    assert all(piece in code for piece, _ in shown.body)
    last, is_check = shown.body[-1]
    assert "eps" in last and not is_check
    assert shown.body[0][1] and "same_dim" in shown.body[0][0]
    assert shown.docstring == inspect.getdoc(forward.q_sample)


def test_a_class_is_shown_by_the_method_that_is_written_for_it():
    assert source("closed_form.ideal.IdealDenoiser").signature.startswith("def __call__(")
    assert source("signals.MultiSine").signature.startswith("def __init__(")


def test_symbols_in_code_have_the_class_of_their_formula():
    assert symbol_of("one_minus_alpha_bar_t") == symbol_of("alpha_bar") == "s-alpha-bar"
    assert symbol_of("x_0") == "s-x-0" and symbol_of("Sigma_prev") == "s-Sigma"
    assert symbol_of("psi_2") == "s-psi" and symbol_of("eps_hat") == "s-eps-hat"
    assert symbol_of("mean_x0_coef") == symbol_of("schedule") == symbol_of("__init__") == ""


def test_code_is_escaped_and_names_are_linked():
    pytest.importorskip("pygments")
    written = highlighted("x_t = q_skip(x_0) < 1", {"q_skip": "f-q_skip"})
    assert '<a href="#f-q_skip">q_skip</a>' in written and "&lt;" in written
    assert '<i class="s-x-0">x_0</i>' in written
