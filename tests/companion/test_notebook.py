"""The notebook: the telling in thirty to forty cells, which run, with the outputs they give."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from ddpm_np.companion import notebook as module
from ddpm_np.companion.page import fingerprint
from ddpm_np.equations.telling import STEPS

BOOK = Path(__file__).parents[2] / "docs" / "derivation.ipynb"


@pytest.fixture(scope="module")
def outputs(quick):
    """What the cells print, when run one after the other."""
    pytest.importorskip("matplotlib").use("Agg")
    scope, printed = {}, []
    for is_code, text in module._cells():
        if is_code:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(text, scope)
            printed.append(out.getvalue())
    return printed


def committed():
    return json.loads(BOOK.read_text(encoding="utf-8"))


def test_the_committed_one_is_current_and_holds_these_cells():
    book = committed()
    assert book["metadata"]["fingerprint"] == fingerprint(), "run python -m ddpm_np.companion"
    assert [(c["cell_type"] == "code", c["source"]) for c in book["cells"]] == module._cells()
    assert 30 <= len(book["cells"]) <= 40


def test_the_committed_one_is_what_is_made_and_its_outputs():
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    made, there = module.notebook(run=False), committed()
    nbformat.validate(made)
    assert made["metadata"]["fingerprint"] == fingerprint()
    assert made["metadata"]["kernelspec"] == there["metadata"]["kernelspec"]
    for cell, old in zip(made["cells"], there["cells"], strict=True):
        same = ("cell_type", "id", "source")
        assert [cell[k] for k in same] == [old[k] for k in same] and old["metadata"] == {}


def test_its_outputs_are_those_of_its_cells(outputs):
    cells = [c for c in committed()["cells"] if c["cell_type"] == "code"]
    pictures = 0
    for cell, printed in zip(cells, outputs, strict=True):
        pictures += sum("image/png" in o.get("data", ()) for o in cell["outputs"])
        shown = "".join(o.get("text", "") for o in cell["outputs"])
        for line, other in zip(printed.splitlines(), shown.splitlines(), strict=True):
            if not re.search("eps_hat|loss|x_{t-1}|MLP|Schedule", line):
                (name, value), (_, there) = (
                    (text.rsplit(" = ", 1) for text in (line, other))
                    if (" = " in line)
                    else ((line, "0"), (other, "0"))
                )
                assert float(there) == pytest.approx(float(value), rel=1e-9), name
    assert pictures == 3


def test_every_step_calls_the_function_it_names():
    cells = module._cells()
    for i, step in enumerate(STEPS, 1):
        at = next(n for n, (_, text) in enumerate(cells) if text.startswith(f"### {i}. "))
        assert step.equation in cells[at][1].split("\n")[0] and cells[at + 1][0]
        assert cells[at + 1][1].count("print") == len(step.shows)
    run = "\n".join(text for is_code, text in cells if is_code)
    for name in ("psi_1", "psi_2", "posterior_mean_variance", "predict_x0", "ancestral_step"):
        assert f"{name}(" in run
