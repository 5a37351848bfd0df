"""The tables in the documents are those of the register and the telling."""

import inspect
import re
import runpy
import sys

import pytest

from ddpm_np.equations import EQUATIONS, SECTIONS
from ddpm_np.equations.docstrings import function_at
from ddpm_np.equations.table import DOCUMENTS, ROOT, TABLES, rewritten, where
from ddpm_np.equations.telling import CHAPTERS, IDENTITY, STEPS, facts, told


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_documents_hold_the_present_tables(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert rewritten(text, name) == text, "run python -m ddpm_np.equations"


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_as_many_cells_as_the_head_and_links_to_lines_that_define(name):
    head, _, *rows = (list(row) for row in TABLES[name](""))
    assert rows and all(len(row) == len(head) for row in rows)
    for path, line in re.findall(r"\]\((ddpm_np/[^)#]+)#L(\d+)", str(rows)):
        text = (ROOT / path).read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert re.match(r"\s*(def|class|@)", text), f"{path}#L{line}: {text}"
    assert not any("<br>" in cell or "|" in cell for row in rows for cell in row)


def test_every_equation_and_section_has_one_row():
    assert [row[0].partition("</a>")[2] for row in map(list, TABLES["equations"](""))][2:] == list(
        EQUATIONS
    )
    assert len(list(TABLES["sections"](""))) == len(SECTIONS) + 2


def test_the_telling_is_the_derivation_in_its_order():
    order = [step.equation for step in STEPS]
    assert order == ["E7", "E8", "E10", "E9", "E11", "E12", "E13", "E14", "E17"]
    told_of = {step.equation for part in CHAPTERS for step in part.steps}
    assert told_of == {f"E{i}" for i in range(1, 21)}
    for part in CHAPTERS:
        for step in part.steps:
            assert inspect.isroutine(function_at(step.function)) and step.pieces and step.shows


def test_one_identity_stands_in_both_places():
    left = IDENTITY.partition(" = ")[0]
    for number in ("E10", "E14"):
        assert any(left in formula.text for formula in EQUATIONS[number].formulas)


def test_numbers_in_the_words_are_computed():
    from ddpm_np import Schedule

    assert facts() == {"constant": "−1.26", "kept": "0.5 %"}
    assert facts()["kept"] == f"{100 * Schedule.sigmoid().alpha_bar[-1]:.1f} %"  # all that is left
    assert told("{kept} {else}") == "0.5 % {else}"


def test_a_function_is_found_behind_a_re_export():
    path, line = where("closed_form.distributions.Gaussian")
    assert path.endswith("closed_form/gaussian.py") and line > 1


def test_text_without_markers_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="markers"):
        rewritten("no table here", "README.md")
    file = tmp_path / "README.md"
    file.write_text("no table here", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["equations", str(file)])
    with pytest.raises(SystemExit, match="error: .*README.md"):
        runpy.run_module("ddpm_np.equations", run_name="__main__")
    assert file.read_text(encoding="utf-8") == "no table here"


def test_the_command_rewrites_what_is_between_the_markers(tmp_path, monkeypatch):
    file = tmp_path / "README.md"
    file.write_text("before\n<!-- steps -->\nold\n<!-- /steps -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["equations", str(file)])
    runpy.run_module("ddpm_np.equations", run_name="__main__")
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- steps -->\n| step |") and "old" not in text
    assert text.endswith("<!-- /steps -->\nafter\n") and text.count("\n| ") == 11
