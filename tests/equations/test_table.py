"""The README's table of equations is the register's."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from ddpm_np.equations import EQUATIONS, SECTIONS
from ddpm_np.equations.table import MARKERS, path, rewritten, table

ROOT = Path(__file__).parents[2]


def test_the_readme_holds_the_present_table():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rewritten(readme) == readme, "run python -m ddpm_np.equations"


def test_every_equation_has_one_row_and_rows_follow_the_notes():
    numbers = re.findall(r"^\|[^|]*\| (E\d+) \|", table(), flags=re.M)
    assert sorted(numbers) == sorted(EQUATIONS)
    places = [list(SECTIONS).index(EQUATIONS[number].section) for number in numbers]
    assert places == sorted(places)


def test_every_row_has_five_cells_and_its_links_lead_to_files():
    for row in table().splitlines():
        assert row.count("|") == 6, row
    for target in re.findall(r"\]\(((?:ddpm_np|docs)/[^)#]+)", table()):
        assert (ROOT / target).exists(), target


def test_a_function_is_found_behind_a_re_export():
    assert path("closed_form.distributions.Gaussian").endswith("distributions/gaussian.py")


def test_text_without_markers_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="equations"):
        rewritten("no table here")
    file = tmp_path / "README.md"
    file.write_text("no table here", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["equations", str(file)])
    with pytest.raises(SystemExit, match="error: .*README.md"):
        runpy.run_module("ddpm_np.equations", run_name="__main__")
    assert file.read_text(encoding="utf-8") == "no table here"


def test_the_command_rewrites_what_is_between_the_markers(tmp_path, monkeypatch):
    file = tmp_path / "README.md"
    file.write_text(f"before\n{MARKERS[0]}\nold\n{MARKERS[1]}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["equations", str(file)])
    runpy.run_module("ddpm_np.equations", run_name="__main__")
    assert file.read_text(encoding="utf-8") == (
        f"before\n{MARKERS[0]}\n{table()}\n{MARKERS[1]}\nafter\n"
    )
