"""Each function is the formula in its docstring: proved on symbols, and measured on floats."""

import re
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
