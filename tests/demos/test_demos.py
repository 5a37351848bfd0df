"""The demos: every number agrees with its exact value, every picture draws, bad names raise."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from drawn import check_drawn

from ddpm_np import _figure_style
from ddpm_np._figure_style import save
from ddpm_np._measurement import Measurement, text_table
from ddpm_np.demos import DEMOS, gallery, run_demo
from ddpm_np.schedule import Schedule

ROOT = Path(__file__).parents[2]
# Sizes that keep the suite fast; what a network learned in thirty steps is not checked.
SMALL = {
    "noise": {"n": 40, "signals": 500, "steps": 30},
    "space": {"n": 20_000},
    "averaging": {"repeats": 40, "numbers": (1, 10, 100)},
    "covariance": {"draws": 40, "signals": 1000},
    "reshape": {"signals": 60},
    "forward": {"n": 500},
    "posterior": {"n": 20_000},
    "variance": {"n": 500},
    "noise-target": {"n": 300},
    "likelihood": {"n": 300, "draws": 1000},
    "moon": {"n": 60, "steps": 30},
    "multiply": {"n": 100, "truths": 60},
    "memory": {"sizes": (1, 64), "steps": 30, "n": 40},
    "rings": {"n": 2, "steps": 5, "schedule": Schedule.linear(4, beta_min=1e-3, beta_max=0.9)},
}


# So that none is lost without a word.
ROWS = {
    **{"noise": 6, "space": 6, "averaging": 13, "covariance": 10, "reshape": 15, "forward": 14},
    **{"posterior": 12, "variance": 20, "noise-target": 14, "likelihood": 21, "moon": 19},
    **{"multiply": 14, "memory": 9, "rings": 11},
}


def shown(name, seed=1):
    result = DEMOS[name].module.show(rng=np.random.default_rng(seed), **SMALL[name])
    return result


@pytest.mark.usefixtures("quick_pictures")
@pytest.mark.parametrize("name", DEMOS)
def test_every_number_agrees_with_its_exact_value_and_the_picture_draws(name, tmp_path):
    result = shown(name)
    assert [row.what for row in result.rows if not row.agrees] == []
    assert len(result.rows) == ROWS[name]
    numbers = [v for row in result.rows for v in (row.measured, row.exact) if v is not None]
    assert np.all(np.isfinite(numbers))
    assert any(row.exact is not None and row.error is not None for row in result.rows)
    figure = DEMOS[name].picture(result.drawn)
    picture = save(figure, tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000
    assert figure.get_suptitle() and figure.texts  # a caption
    check_drawn(f"demo {name}", figure)


@pytest.mark.parametrize("name", ["covariance", "noise-target"])
def test_equal_seeds_give_equal_numbers_and_others_do_not(name):
    assert shown(name).rows == shown(name).rows
    assert shown(name).rows != shown(name, seed=2).rows


def test_rows_agree_within_five_standard_errors_or_to_rounding():
    assert Measurement("", 1.0, 1.49, 0.1).agrees
    assert not Measurement("", 1.0, 1.51, 0.1).agrees
    assert not Measurement("", 2.0, 1.49, 0.1).agrees
    assert Measurement("", 1.0, 1.0 + 1e-12, 0.0).agrees
    assert not Measurement("", 1.0, 1.0001, 0.0).agrees
    assert not Measurement("", 1e-8, 0.0, 0.0).agrees
    assert Measurement("", 1.0, 5.0).agrees and Measurement("", 1.0).agrees


def test_the_table_has_measured_and_exact_and_marks_what_is_off():
    fine, off = Measurement("fine", 1.0, 1.0, 0.1), Measurement("off", 2.0, 1.0, 0.1)
    lines = list(text_table([fine, off, Measurement("alone", 3.0)]))
    assert lines[0].split() == ["measured", "s.e.", "exact"]
    assert lines[1].split() == ["fine", "1", "1.0e-01", "1"]
    assert lines[2].endswith("more than five s.e. off") and lines[3].split() == ["alone", "3"]


def test_run_prints_numbers_and_draws_into_the_folder(tmp_path):
    lines = []
    folder = tmp_path / "new" / "folder"
    result = run_demo("noise-target", out=folder, seed=3, write=lines.append)
    assert list(result) == ["noise-target"] and (folder / "noise-target.png").exists()
    assert lines[0] == f"noise-target: {DEMOS['noise-target'].about.en}"
    assert lines[1].startswith("follows N2") and lines[-2].startswith("picture: ")
    assert any(line.split()[-3:] == ["measured", "s.e.", "exact"] for line in lines)


def test_without_matplotlib_the_numbers_are_printed_and_it_says_so_once(tmp_path, monkeypatch):
    monkeypatch.setattr(_figure_style, "available", lambda: False)
    lines = []
    run_demo("noise-target", out=tmp_path / "never", write=lines.append)
    assert sum("matplotlib" in line for line in lines) == 1 and not (tmp_path / "never").exists()
    assert any("loss of the ideal denoiser" in line for line in lines)


def test_unknown_names_and_bad_arguments_raise(tmp_path):
    known = ", ".join(DEMOS)
    with pytest.raises(ValueError, match=f'name must be one of {known} or all, got "sun"'):
        run_demo("sun")
    with pytest.raises(ValueError, match="seed must be at least 0"):
        run_demo("moon", seed=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="out must be a folder that can be written"):
        run_demo("moon", out=tmp_path / "file", write=lambda line: None)


def test_the_gallery_is_that_of_the_demos():
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert text.endswith(gallery()), "run python -m ddpm_np.demos"
    for name, demo in DEMOS.items():
        assert callable(demo.module.draw) and demo.follows.startswith("N")
        assert demo.about.zh[-1] in "。？" and "CJK" in unicodedata.name(demo.about.zh[0])
        assert demo.look.zh[-1] == "。" and "CJK" in unicodedata.name(demo.look.zh[0])
        assert 10_000 < (ROOT / "docs" / "demos" / f"{name}.png").stat().st_size < 250_000
