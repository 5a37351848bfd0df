"""A function's source on the page: whole, in order, checks apart from formulas."""

import inspect

import pytest

from ddpm_np import forward
from ddpm_np.companion.sources import class_of, highlighted, source
from ddpm_np.equations import EQUATIONS

NAMES = list(dict.fromkeys(name for e in EQUATIONS.values() for name in e.functions))


@pytest.mark.parametrize("name", NAMES)
def test_every_line_of_a_function_is_shown_once(name):
    shown = source.__wrapped__(name)  # not what was kept before
    assert shown.pieces and shown.line > 0 and shown.path.startswith("ddpm_np/")
    assert any(not check for *_, check in shown.pieces), "nothing is left when checks are folded"
    for (_, end, _), (start, *_) in zip(shown.pieces, shown.pieces[1:]):
        assert start == end
    assert shown.pieces[-1][1] == len(shown.lines)


def test_the_pieces_are_the_code():
    shown = source("forward.q_sample")
    assert "\n".join(shown.lines) == inspect.getsource(forward.q_sample).rstrip()
    (a, b, check), *_, (c, d, last) = shown.pieces
    assert check and "same_dim" in shown.lines[a] and not last and "eps" in shown.lines[d - 1]


def test_a_statement_is_found_by_a_piece_of_it():
    shown = source("posterior.posterior_exponent")
    a, b = shown.statement()
    assert shown.lines[a].strip() == "return (" and shown.lines[b - 1].strip() == ")"
    with pytest.raises(ValueError, match="holds no"):
        shown.statement("nothing like it")


def test_a_class_is_shown_by_the_method_that_is_written_for_it():
    assert source("closed_form.ideal.IdealDenoiser").signature.startswith("def __call__(")
    assert source("signals.MultiSine").signature.startswith("def __init__(")


def test_symbols_in_code_have_the_class_of_their_formula():
    assert class_of("one_minus_alpha_bar_t") == class_of("alpha_bar", "t") == "s-alpha-bar-t"
    assert class_of("alpha_bar_prev") == class_of("alpha_bar", "t - 1") == "s-alpha-bar-t-1"
    assert class_of("x_0") == "s-x-0" and class_of("Sigma_prev") == "s-Sigma-t-1"
    assert class_of("psi_1") == "s-psi-1" != class_of("psi_2") and class_of("x0_hat")
    assert class_of("mean_x0_coef") == class_of("schedule") == class_of("__init__") == ""


def test_names_of_a_function_stand_for_symbols():
    pytest.importorskip("pygments")
    mean = "\n".join(source("posterior.posterior_mean_variance").html({}))
    assert '<i class="s-alpha-bar-t-1">before</i>' in mean
    assert mean.count('<i class="s-alpha-bar-t">now</i>') == 3
    step = "\n".join(source("forward.q_step").html({}))
    assert '<i class="s-alpha-t">signal</i> * <i class="s-x-t-1">x_prev</i>' in step


def test_code_is_escaped_and_names_are_linked():
    pytest.importorskip("pygments")
    written = highlighted("x_t = q_skip(x_0) < 1", {"q_skip": "f-q_skip"})
    assert '<a href="#f-q_skip">q_skip</a>' in written and "&lt;" in written
    assert '<i class="s-x-0">x_0</i>' in written
