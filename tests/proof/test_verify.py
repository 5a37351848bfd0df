"""What ``verify`` prints, and that it fails when a formula is wrong or no proof runs it."""

from dataclasses import replace

import numpy as np
import pytest

from ddpm_np import posterior
from ddpm_np.closed_form import ideal
from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.docstrings import function_of
from ddpm_np.proof import ANY, IDENTITIES, Chart, Identity, verify
from ddpm_np.proof.coverage import lines_not_run

FEW = ("E1", "E10", "E28")
SOME = (*FEW, "E4", "E6", "E12", "E15", "E16", "E20", "E24")
IDENTITIES_OF_SOME = (
    "the ideal denoiser, T = 2",
    "the gradient of UNet, one size, t = [2, 1]",
    "the gradient of MLP, one layer, gate, t = [2, 1]",
)


def only(patch, numbers, identities):
    """These equations, proofs of formulas aside with these identities."""
    chosen = {n: EQUATIONS[n] for n in EQUATIONS if n in numbers}
    paths = {path for e in chosen.values() for path in e.functions}
    measured = [p for p in verify.measured_paths() if p in paths and "vlb" not in p]
    patch.setattr(verify, "EQUATIONS", chosen)
    patch.setattr(verify, "FUNCTIONS", {n: verify.FUNCTIONS[n] for n in chosen})
    patch.setattr(verify, "IDENTITIES", identities)
    patch.setattr(verify, "measured_paths", lambda: measured)


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.long)])
def found(request):
    """What is found for some equations; in the long form, for all."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.param:
            only(patch, SOME, [i for i in IDENTITIES if i.name in IDENTITIES_OF_SOME])
        return {row.equation: row for row in verify.evidence()}


def test_everything_is_proved_and_within_what_rounding_allows(found, monkeypatch):
    monkeypatch.setattr(verify, "evidence", lambda seed: iter(found.values()))
    lines = []
    assert verify.verify(out=lines.append), "\n".join(lines)
    total = int(lines[-1].removesuffix(" identities proved. Everything holds."))
    assert total >= (584 if found.keys() == EQUATIONS.keys() else 100)
    assert [line.split()[0] for line in lines if line[0] == "E"] == [*found]
    text = "\n".join(lines)
    for line in (
        "proved   q(x_t | x_{t-1}) = N(x_t; sqrt(1 - beta_t) x_{t-1}, beta_t I)",
        "measured loss = mean((eps_hat - eps)^2)",
        "stated   a_k ~ N(0, scale_k^2)",
        "forward.q_sample: proofs run it on T = 1 to 5, t as an int and as an array, "
        "shapes (2,) (3,) (7, 2) (2, 3, 2)",
        "training.train: no formula of its own: a loop",
    ):
        assert f"     {line}" in text, line
    reasons = [
        f"     stated, not compared: {e.why_stated}"
        for e in EQUATIONS.values()
        if e.number in found
    ]
    assert [line for line in lines if "not compared" in line] == [r for r in reasons if r[27:]]
    stated = [line for line in lines if line.startswith("     stated   ")]
    assert not [line for line in stated if line.split("   ")[-1] in PROVED], stated


def test_vectors_batches_arrays_of_t_and_every_T_are_covered(found):
    kernels = {
        "E1": "forward.q_step",
        "E3": "forward.covariance_step",
        "E4": "forward.q_skip",
        "E5": "forward.covariance_at",
        "E6": "forward.q_sample",
        "E9": "posterior.psi_1",
        "E12": "posterior.posterior_mean_variance",
        "E13": "posterior.predict_x0",
        "E14": "posterior.posterior_mean_from_eps",
    }
    for number, path in ((n, path) for n, path in kernels.items() if n in found):
        of = found[number].covered[path]
        assert of.T >= {2, 5} and of.t == {"as an int", "as an array"}, path
        assert len({len(shape) for shape in of.shapes}) >= 2, path
    for number, row in found.items():
        if "proved" in EQUATIONS[number].known:
            assert set(row.covered) & set(EQUATIONS[number].functions), number


def test_branches_that_no_proof_runs_are_named(found):
    def missing(number, name):
        return " ".join(lines_not_run(function_of(name), found[number].covered[name]))

    assert "halve_backward" in missing("E15", "learning.unet.UNet.backward")
    assert "np.broadcast_to(t" in missing("E24", "closed_form.ideal.IdealDenoiser")
    backward = found["E15"].covered["learning.unet.UNet.backward"]
    function = function_of("learning.unet.UNet.backward")
    sides = [n for n in lines_not_run(function, backward) if "side" in n]
    assert [side.partition(": ")[2].partition(" else ")[0] for side in sides] == [
        "d_F = d_eps_hat if self.gain is None"
    ]
    assert missing("E6", "forward.q_sample") == "" == missing("E10", "posterior.psi_2")
    assert function_of("closed_form.ideal.IdealDenoiser") is ideal.IdealDenoiser.__call__


PROVED = {f.text for e in EQUATIONS.values() for f in e.formulas if f.exact}


@pytest.fixture
def few(monkeypatch):
    """Three equations of few functions."""
    only(monkeypatch, FEW, [i for i in IDENTITIES if "E10" in i.equations])


def test_the_same_seed_gives_the_same_errors_and_another_seed_others(monkeypatch):
    only(monkeypatch, ("E1",), [])

    def errors(seed):
        return [row.errors for row in verify.evidence(seed=seed)]

    assert errors(1) == errors(1) != errors(2)


@pytest.mark.usefixtures("few")
def test_what_is_wrong_is_named(monkeypatch):
    x = Chart({"x": ANY})
    wrong = Identity("an error", ("E10",), "x = 2 x", x, lambda v: (v.x, 2 * v.x))
    text = (posterior.psi_2.__doc__ or "").replace("= (1 - alpha_bar_t)", "= (1 + alpha_bar_t)")
    monkeypatch.setattr(verify, "IDENTITIES", [*verify.IDENTITIES, wrong])
    monkeypatch.setattr(posterior.psi_2, "__doc__", text)
    lines = []
    assert verify.verify(out=lines.append) is False
    assert lines[-1].startswith("Not everything holds: ")
    failed = [line.strip() for line in lines if "FAILED" in line]
    assert "FAILED an error: the sides differ: left x, right 2 x" in failed
    assert any(line.startswith("FAILED posterior.psi_2 is its formula, any") for line in failed)
    assert any(line.startswith("FAILED posterior.psi_2: psi_2 = (1 + ") for line in failed)


@pytest.mark.usefixtures("few")
def test_a_function_that_nothing_covers_is_named(monkeypatch):
    more = replace(EQUATIONS["E10"], functions=("posterior.psi_2", "learning.layers.sum_by_step"))
    monkeypatch.setattr(verify, "EQUATIONS", {"E10": more})
    lines = []
    assert verify.verify(out=lines.append) is False
    assert "     FAILED learning.layers.sum_by_step is not covered" in lines


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises((TypeError, ValueError), match="^seed must be "):
        list(verify.evidence(seed=seed))


def test_the_random_schedules_are_wide():
    drawn = list(verify.draws(np.random.default_rng(0), 60))
    beta = np.concatenate([d.schedule.beta[1:] for d in drawn])
    assert beta.min() < 1e-10 and beta.max() > 1 - 1e-4 and np.ptp(np.log(beta / (1 - beta))) > 30
    assert {d.schedule.T for d in drawn} == {1, 2, 3, 6, 10, 1000}
    for holds in (lambda d: d.t - d.s == 1, lambda d: d.s == 0, lambda d: d.t == d.schedule.T):
        assert {holds(d) for d in drawn} == {True, False}
