"""Each function is the formula in its docstring: proved on symbols, and measured on floats."""

import re
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest

from ddpm_np.equations import EQUATIONS, formulas
from ddpm_np.equations.docstrings import equation_numbers, function_at
from ddpm_np.equations.formula import names
from ddpm_np.proof import prove
from ddpm_np.proof.draws import draws
from ddpm_np.proof.errors import in_batches, measured_paths, worst_error, worst_in_batches
from ddpm_np.proof.parts import MEASURED, WITHOUT_FORMULA
from ddpm_np.proof.theorems import theorems

PATHS = list(dict.fromkeys(path for e in EQUATIONS.values() for path in e.functions))
PROVED = [p for p in PATHS if p not in MEASURED and any(f.exact for f in formulas(p)[:1])]


@cache
def schedules():
    return list(draws(np.random.default_rng(0), 30))


def drawn():
    """The draws with new generators, so that no test depends on which ran before it."""
    return [d._replace(rng=np.random.default_rng(k)) for k, d in enumerate(schedules())]


def with_markers(paths):
    """The paths with the markers of their equations."""

    def numbers(path):
        return [e.number for e in EQUATIONS.values() if path in e.functions]

    return [
        pytest.param(path, marks=[getattr(pytest.mark, n) for n in numbers(path)]) for path in paths
    ]


@pytest.mark.parametrize("path", with_markers(PROVED))
def test_a_function_is_the_formula_in_its_docstring(path):
    for identity in theorems(path):
        proof = prove(identity)
        assert proof.proved, f"{identity.name}: {proof.failure}"


@pytest.mark.parametrize("path", with_markers(measured_paths()))
def test_a_function_rounds_no_more_than_its_formula(path):
    rng = np.random.default_rng(1)
    found = [worst_error(path, drawn())]
    if in_batches(path):
        found += [worst_in_batches(path, dtype, drawn(), rng) for dtype in (np.float64, np.float32)]
    assert not any(worst.failure for worst in found), found


def test_every_function_of_the_register_has_a_formula_or_a_reason():
    """Formulas are proved, measured or stated, and a function without one says why."""
    for path in PATHS:
        if path in WITHOUT_FORMULA:
            assert not formulas(path), path
        elif formulas(path)[0].exact and path not in MEASURED:
            assert theorems(path), path
        else:
            assert formulas(path)[0].stated or path in measured_paths(), path
        if formulas(path):
            assert equation_numbers(function_at(path)), path
    assert set(WITHOUT_FORMULA) | set(MEASURED) <= set(PATHS)


# The kernels whose parameters are free in the proof; the others need alpha_t + beta_t = 1.
NEED_A_SCHEDULE = {"sampling.ddim_eps_coef"}


def test_kernels_are_proved_with_free_parameters_and_others_at_each_step():
    names = {path: " ".join(i.name for i in theorems(path)) for path in PATHS}
    kernels = {p for p in PATHS if p.startswith("posterior.") and "coef" in p} | {
        "posterior.posterior_exponent",
        "posterior.posterior_variance",
        "sampling.ddim_variance",
        "sampling.ddim_direction",
        "closed_form.ideal.bayes_floor",
        "closed_form.reverse.step_gain",
    }
    assert all(", free" in names[path] for path in kernels)
    assert not any(", free" in names[path] for path in NEED_A_SCHEDULE)
    for path, parts in {
        "forward.q_sample": ("T = 1", "T = 5", "in batches from t = 0", "in stacks"),
        "forward.q_skip": ("0 to 1 of 1", "2 to 5 of 5", "0 1 2, in batches"),
        "posterior.posterior_mean_variance": ("in batches from t = 1", "in batches from t = 2"),
        "sampling.ddim_step": ("one DDIM step, 2 to 4 of 5", "levels, T = 5"),
        "sampling.ancestral_step": ("one reverse step, 1 to 2 of 2", "levels, T = 5"),
    }.items():
        assert all(part in names[path] for part in parts), (path, names[path])


# ---- what is wrong is found ---------------------------------------------------------------------


def test_the_step_on_the_left_of_a_formula_is_one_of_those_on_its_right():
    """No value tells x_{t-1} = sqrt(alpha_bar_t) x_0 + ... from x_t = ..., as nothing else is x_t.

    The moments of a step are made of numbers without a step.
    """
    index = re.compile(r"_(t|s|\{t-1\}|\{t\|s\})$")
    for path in PATHS:
        block = formulas(path)
        right = " ".join(n for f in block for part in f.parts for n in [*names(part), ""])
        for formula in block:
            found = formula.left and index.search(formula.left.text)
            if found and path != "closed_form.reverse.step_moments":
                assert f"{found[0]} " in right, formula.text


@contextmanager
def changed(path, right, wrong):
    """The function with another docstring."""
    function = function_at(path)
    function = getattr(function, "__func__", function)
    before = function.__doc__ or ""
    assert right in before, (path, right)
    function.__doc__ = before.replace(right, wrong)
    try:
        yield
    finally:
        function.__doc__ = before


WRONG = [
    ("forward.q_step", "beta_t I)", "beta_t^2 I)"),
    ("forward.q_step", "x_t; sqrt(1 - beta_t)", "x_t; (1 - beta_t)"),
    ("forward.q_step", "sqrt(beta_t) eps", "beta_t eps"),
    ("schedule.Schedule.from_beta", "alpha_1 alpha_2 ...", "alpha_2 alpha_3 ..."),
    ("schedule.Schedule.from_beta", "1 - beta_t,", "1 - beta_t^2,"),
    ("forward.covariance_step", "+ beta_t I", "+ beta_t^2 I"),
    ("forward.q_skip", "x_s + sqrt(1 -", "x_s + sqrt(2 -"),
    ("forward.covariance_at", "(1 - alpha_bar_t) I", "(1 + alpha_bar_t) I"),
    ("forward.q_sample", "sqrt(1 - alpha_bar_t) eps", "(1 - alpha_bar_t) eps"),
    ("forward.q_mean_variance", "(1 - alpha_bar_t) I", "(1 - alpha_bar_t)^2 I"),
    ("posterior.posterior_exponent", "psi_2 (x", "(x"),
    ("posterior.posterior_exponent", "^2 / (1 - alpha_bar_{t-1})", "^2 / (1 - alpha_bar_t)"),
    ("posterior.psi_1", "sqrt(alpha_t) / beta_t x_t", "sqrt(alpha_t) / (beta_t x_t)"),
    ("posterior.psi_2_expanded", "+ alpha_t / beta_t", "- alpha_t / beta_t"),
    ("posterior.psi_2", "(1 - alpha_bar_t) /", "7 = (1 - alpha_bar_t) /"),
    ("posterior.posterior_variance", "1 / psi_2", "2 / psi_2"),
    ("posterior.posterior_mean_variance", "psi_1 / psi_2", "psi_1"),
    ("posterior.posterior_mean_variance", "beta_tilde_t = beta_t", "beta_tilde_t = 2 beta_t"),
    ("posterior.predict_x0", "- sqrt(1 - alpha_bar_t) eps", "+ sqrt(1 - alpha_bar_t) eps"),
    ("posterior.posterior_mean_from_eps", "f = 1 /", "f = 2 /"),
    ("posterior.posterior_mean_from_eps", "/ sqrt(1 - alpha_bar_t) eps)", "/ beta_t eps)"),
    ("sampling.ancestral_step", "+ sigma z", "+ sigma^2 z"),
    ("sampling.ddim_step", "- sigma^2)", "+ sigma^2)"),
    ("sampling.ddim_direction", "1 - alpha_bar_s - sigma^2", "1 - alpha_bar_s + sigma^2"),
    ("closed_form.ideal.score_from_eps", "-eps_star", "eps_star"),
    ("closed_form.ideal.optimal_loss", "+ 1 - alpha_bar_t))", "+ 1))"),
    ("closed_form.reverse.reverse_variance", "v_s / v_t", "v_t / v_s"),
    ("closed_form.reverse.step_moments", "gain^2 variance", "gain variance"),
    # parts that have no value anywhere, and left sides that are something else
    ("posterior.psi_2", "psi_2 = ", "psi_2 = 1 / (beta_t - beta_t) = "),
    ("posterior.posterior_variance", "1 / psi_2", "1 / (psi_2 - psi_2)"),
    ("sampling.ddim_step", "sigma^2 = ", "sigma^2 = 1 / (eta - eta) = "),
    ("sampling.ddim_step", "sigma^2 = ", "sigma^2 = 2 eta = "),
    ("closed_form.reverse.step_moments", "variance_s = ", "variance_s = 1 / (noise - noise) = "),
    ("posterior.posterior_variance", "beta_tilde_t = ", "beta_t = "),
    ("posterior.posterior_variance", "beta_tilde_t = ", "beta_tilde_{t-1} = "),
    ("closed_form.ideal.bayes_floor", "floor = ", "noise = "),
    ("posterior.psi_2_expanded", "psi_2 = ", "psi_1 = "),
    ("forward.q_step", "q(x_t | x_{t-1})", "q(x_{t-1} | x_t)"),
    ("forward.q_step", "N(x_t; ", "N(x_{t-1}; "),
    ("posterior.psi_2", "psi_2 = (1", "psi_2 = ((1"),
    ("posterior.psi_2", "(1 - alpha_bar_{t-1}))", "(1 - alpha_bar_{t-1}))."),
    ("posterior.psi_2_simplified", "(E10)", "(E 10)"),
    ("posterior.posterior_mean_from_eps", "f x_t + g eps = ", ""),
]


@pytest.mark.parametrize(("path", "right", "wrong"), WRONG)
def test_a_docstring_that_is_not_what_the_function_returns_fails_by_name(path, right, wrong):
    with changed(path, right, wrong):
        failure = next((i.name for i in theorems(path) if not prove(i).proved), "")
    assert failure.startswith(path)


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        ("posterior.psi_2", "psi_2 = ", "psi_2 = exp(beta_t) = "),
        ("closed_form.covariance.effective_rank", "r = ", "r = exp(sum_k(lambda_k)) = "),
        ("training.denoising_loss", "(eps_hat - eps)^2", "(eps_hat - eps)"),
        ("training.denoising_loss", "/ (n dim)", "/ n"),
        ("schedule.Schedule.sigmoid", "(beta_max - beta_min)", "beta_max"),
        ("schedule.Schedule.from_beta", "ln(alpha_bar_t", "ln(alpha_t"),
        ("closed_form.covariance.effective_rank", "sum_k(lambda_k)^2 /", "sum_k(lambda_k) /"),
        ("closed_form.covariance.kernel_covariance", "v_j|^2", "v_j|"),
        ("closed_form.covariance.variance_of_mean", "(n - 1)", "n"),
        ("closed_form.distributions.kl_divergence", "- 1 - ln", "- ln"),
        ("signals.MultiSine", "b_k sin", "b_k cos"),
    ],
)
def test_a_formula_that_is_measured_fails_by_name(path, right, wrong):
    with changed(path, right, wrong):
        assert worst_error(path, drawn()).failure.startswith(path)


@pytest.mark.parametrize(
    ("path", "spoil"),
    [
        ("forward.q_sample", lambda f: lambda **k: f(**k)[..., :0]),
        ("forward.q_sample", lambda f: lambda **k: f(**k)[None]),
        ("posterior.psi_2", lambda f: lambda **k: np.array([f(**k)])),
        ("posterior.psi_2", lambda f: lambda schedule, t: f(schedule, t) + 1),
        ("posterior.posterior_mean_variance", lambda f: lambda **k: f(**k)[:1]),
        (
            "closed_form.ideal.optimal_loss",
            lambda f: lambda **k: f(**k) * k["distribution"].dim / 2,
        ),
    ],
)
def test_a_function_of_another_shape_or_value_fails(path, spoil, monkeypatch):
    right = function_at(path)
    spoiled = spoil(right)
    spoiled.__doc__, spoiled.__wrapped__ = right.__doc__, right
    spoiled.__module__, spoiled.__qualname__ = right.__module__, right.__qualname__
    monkeypatch.setattr(f"ddpm_np.{path}", spoiled)
    assert [i for i in theorems(path) if not prove(i).proved]
