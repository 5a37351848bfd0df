"""What ``verify`` prints, and that it fails when a formula is wrong or no proof runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ddpm_np import forward
from ddpm_np.equations import EQUATIONS
from ddpm_np.proof import ANY, Chart, Identity, verify
from ddpm_np.proof.identities import IDENTITIES


def test_everything_is_proved_and_within_what_rounding_allows() -> None:
    lines: list[str] = []
    holds = verify.verify(out=lines.append)
    assert holds, "\n".join(lines)
    assert lines[-1] == "Everything holds." and any(
        line.startswith("E6   ") and line.endswith(EQUATIONS["E6"].formulas[0].text)
        for line in lines
    )
    text = "\n".join(lines)
    assert (
        "     forward.q_sample: proved; T = 1 to 5, t as an int and as an array, "
        "shapes (2,) (7, 2) (2, 3, 2)\n"
    ) in text
    assert "training.denoising_loss: not proved" in text and "NOT PROVED" not in text
    for equation in {f"E{n}" for n in range(1, 20)} - {"E16"}:
        assert any(line.split()[0] == equation for line in lines if line[0] == "E")
    assert text.count("float32, t as an array: off by ") == len(verify.ROWS)
    for equation in verify.FUNCTIONS:
        total = sum(equation in i.equations for i in IDENTITIES)
        assert f"     {total} of {total} identities proved" in lines


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [i for i in IDENTITIES if "E10" in i.equations]
    monkeypatch.setattr("ddpm_np.proof.verify.IDENTITIES", chosen)
    for name, keys in (("MEASURES", ("E1", "E18")), ("ROWS", ("E1",)), ("FUNCTIONS", ("E10",))):
        entries = getattr(verify, name)
        monkeypatch.setattr(verify, name, {k: entries[k] for k in keys})


@pytest.mark.usefixtures("few")
def test_the_same_seed_gives_the_same_errors_and_another_seed_others() -> None:
    def errors(seed: int) -> list[Any]:
        return [row.errors for row in verify.rows(seed=seed)]

    assert errors(1) == errors(1) != errors(2)


@pytest.mark.usefixtures("few")
def test_a_wrong_identity_and_a_formula_that_raises_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = Chart({"x": ANY})
    wrong = Identity("a slip", ("E10",), "x = 2 x", x, lambda v: (v.x, 2 * v.x))
    broken = Identity("a crash", ("E9",), "nothing", x, lambda v: [][1])
    monkeypatch.setattr(verify, "IDENTITIES", [*verify.IDENTITIES, wrong, broken])
    monkeypatch.setattr(forward, "_batch", lambda *arguments: 1 / 0)
    lines: list[str] = []
    assert verify.verify(out=lines.append) is False
    assert lines[-1] == "Not everything holds."
    failed = [line.strip() for line in lines if "FAILED" in line]
    assert "FAILED a slip: x = 2 x; the sides differ: left x, right 2 x" in failed
    assert any(line.startswith("FAILED a crash: nothing; IndexError: list") for line in failed)
    assert any(
        line.startswith("FAILED ZeroDivisionError: division by zero, for T = ") for line in failed
    )
    assert any("10 of 11 identities proved" in line for line in lines)


@pytest.mark.usefixtures("few")
def test_a_function_that_no_proof_runs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = {"E10": (*verify.FUNCTIONS["E10"], "forward.q_step")}
    monkeypatch.setattr(verify, "FUNCTIONS", functions)
    lines: list[str] = []
    assert verify.verify(out=lines.append) is False
    assert "     forward.q_step: NOT PROVED" in lines
    assert "     FAILED forward.q_step is run by no proof of E10" in lines


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="^seed must be "):
        list(verify.rows(seed=seed))


def test_a_row_tells_whether_it_holds() -> None:
    row = verify.Row("E1", (), {}, {}, ())
    assert row.holds and row.proved == 0 and not row._replace(failures=("a",)).holds
    assert np.isfinite(verify.Worst(0.0, 1.0).error)
