"""The page: complete, self-contained, its links whole, its numbers the functions', and current."""

import ast
import base64
import builtins
import io
import json
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from commands import main, refused

from ddpm_np.companion import build, evidence, numbers
from ddpm_np.companion import page as module
from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.notes import N2_ADDRESS, notes
from ddpm_np.equations.telling import CHAPTERS, STEPS
from ddpm_np.errata import ERRATA

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "companion.html"
PICTURE, PROOFS = module._picture, evidence.proofs.__wrapped__  # conftest.py has others instead


class Outline(HTMLParser):
    """Identifiers, links, what is loaded, and whether every element is closed."""

    VOID = {"meta", "link", "br", "img", "input", "mspace", "line", "circle", "polyline", "polygon"}

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loaded, self.open = Counter(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids[values["id"]] += 1
        if tag == "a":
            self.links.append(values["href"])
        elif "src" in values or "href" in values:
            self.loaded.append(values.get("src") or values.get("href"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.fixture(params=["committed", "built"])
def text(request):
    if request.param == "committed":
        return PAGE.read_text(encoding="utf-8")
    return request.getfixturevalue("built")


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_the_committed_page_is_current():
    found = re.search(r'name="fingerprint" content="(\w+)"', PAGE.read_text(encoding="utf-8"))
    assert found and found[1] == module.fingerprint(), "run python -m ddpm_np.companion"


def test_any_change_of_what_it_is_built_from_makes_it_old(tmp_path, monkeypatch):
    (tmp_path / "ddpm_np").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "planted_bugs.txt").write_text("", encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    seen = set()
    for content in ("x = 1\n", "x = 1\n\n", "x = 2\n"):
        (tmp_path / "ddpm_np" / "a.py").write_text(content, encoding="utf-8")
        seen.add(module.fingerprint())
    assert len(seen) == 3


def test_it_is_small_and_loads_nothing(text):
    outline = Outline(text)
    assert len(text.encode()) <= 1_300_000
    assert not outline.open, "elements are left open"
    assert all(address.startswith("data:") for address in outline.loaded)
    assert "@import" not in text and text.count("<script") == 2
    script = text[text.rindex("<script>") :]
    assert len(script.splitlines()) <= 150 and not re.search(
        r"fetch|XMLHttp|import\(|https?:", script
    )
    assert all(address.startswith("data:") for address in re.findall(r"url\((d[^)]*)\)", text))


def test_identifiers_are_unique_and_links_lead_somewhere(text):
    outline = Outline(text)
    assert [name for name, n in outline.ids.items() if n > 1] == []
    assert [a for a in outline.links if a.startswith("#") and a[1:] not in outline.ids] == []
    for address in {a for a in outline.links if not a.startswith("#")}:
        if not address.startswith(N2_ADDRESS):
            path, line = re.fullmatch(r"\.\./(ddpm_np/.*)#L(\d+)", address).groups()
            assert int(line) <= len((ROOT / path).read_text(encoding="utf-8").splitlines())


def test_every_heading_equation_and_erratum_is_there_in_order(text):
    places = [text.index(f'id="{h.place.replace(":", "-")}"') for h in notes()]
    assert places == sorted(places)
    for number in EQUATIONS:
        assert f'<article class="card one" id="{number}">' in text
    for entry in ERRATA.values():
        assert f'id="erratum-{entry.place.replace(":", "-")}"' in text, entry.place
    assert text.count('<figure class="printed') == sum(len(h.printed) for h in notes())


def test_the_nine_steps_come_first_each_with_its_line_of_code(built):
    rows = re.findall(r'<li class="row one"[^>]*>(.*?)</li>', built, re.S)
    steps = [*STEPS, *(s for part in CHAPTERS if part.steps is not STEPS for s in part.steps)]
    for i, (row, step) in enumerate(zip(rows, steps, strict=True), 1):
        number = f"<b>{i}</b> " if i <= len(STEPS) else ""
        assert f'href="#{step.equation}">{number}{step.equation}<' in row
        path, line = re.search(r'href="\.\./(ddpm_np/[\w/.]+)#L(\d+)"', row).groups()
        shown = unescape(re.sub(r"<[^>]*>", "", re.search(r"<pre>(.*?)</pre>", row, re.S)[1]))
        there = (ROOT / path).read_text(encoding="utf-8").splitlines()[int(line) - 1 :]
        for code, original in zip(shown.split("\n"), there):
            assert code.strip() == original.strip() and step.line in shown


def test_a_correction_stands_at_the_very_term(text):
    line = text[text.index('aria-label="N2:678"') : text.index(">N2:678</a>")]
    assert '<mrow class="gone"><mo>+</mo></mrow><mrow class="new"><mo>−</mo></mrow>' in line
    line = text[text.index('aria-label="N2:348-352"') : text.index(">N2:348-352</a>")]
    assert re.search(r'class="gone"><msub><mi>β.*?class="new"><msqrt>', line)


def test_the_numbers_are_the_functions(text, quick):
    data = data_of(text)
    assert set(data["columns"]) == set(numbers.SCHEDULES)
    learned = [
        i
        for i, expression in enumerate(
            expression for part in CHAPTERS for step in part.steps for _, expression in step.shows
        )
        if re.search(r"eps_hat|losses", expression)
    ]
    for name in numbers.SCHEDULES:
        for t in (2, 50, 100):
            k, known = t - data["first"], numbers.names(name, t)
            for i, value in enumerate(numbers.values(known)):
                column = data["columns"][name][data["places"][name][i]].split(" ")
                shown = float(column[min(k, len(column) - 1)].replace("−", "-"))
                if i not in learned:
                    # four digits are shown: half a unit of the last of 1.000
                    assert shown == pytest.approx(value, rel=5.01e-4, abs=1e-12), (name, t, i)
            drawn = decoded(data, name)[k]
            for curve, (of, exact) in zip(drawn, numbers.curves(known).items()):
                if of != "eps_hat":
                    np.testing.assert_allclose(curve, np.clip(exact, -4, 4), atol=4e-3)
            assert data["std"][name][k] == pytest.approx(known["variance"] ** 0.5, abs=6e-5)


def decoded(data, name):
    """The curves (t, 4, 50), as script.js reads them."""
    values, text, i = [], data["curves"][name], 0
    while i < len(text):
        if text[i] == "/":
            a, b = (numbers.DIGITS.index(c) for c in text[i + 1 : i + 3])
            values.append(64 * a + b)
            i += 2
        else:
            values.append(values[-200] + numbers.DIGITS.index(text[i]) - 31)
        i += 1
    return np.reshape(values, (-1, 4, 50)) / 256 - data["range"]


def test_without_a_script_it_shows_t_50(text):
    data, shown = data_of(text), re.findall(r'data-v="(\d+)">([^<]*)<', text)
    assert len(shown) == len(data["places"]["sigmoid"])
    for i, value in shown:
        column = data["columns"]["sigmoid"][data["places"]["sigmoid"][int(i)]].split(" ")
        assert value == column[min(50 - data["first"], len(column) - 1)]
    points = re.search(r'class="c-mean" points="([^"]*)"', text)[1].split(" ")
    mean = decoded(data, "sigmoid")[50 - data["first"], 1]
    assert [float(p.split(",")[1]) for p in points] == pytest.approx(
        [150 - 42 * v for v in mean], abs=0.2
    )


def test_chinese_is_marked_as_such(text):
    for equation in EQUATIONS.values():
        card = text[text.index(f'class="card one" id="{equation.number}"') :]
        paragraph = re.findall(r'<span class="zh" lang="zh">(.*?)</span>', card[:9000], re.S)[1]
        for plain in re.split(r"\$[^$]*\$|E\d+", equation.sentence.zh):
            assert plain in paragraph


def test_what_proofs_and_bugs_say_is_there_in_chinese():
    from ddpm_np.companion.page import _chinese

    assert all(english and re.search("[\u4e00-\u9fff]", zh) for english, zh in _chinese().items())


@pytest.mark.parametrize("name", ["a.html", "a.ipynb"])
def test_the_command_writes_what_is_asked_for(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "page", lambda: "the page")
    monkeypatch.setattr(build, "notebook", lambda: {"cells": []})
    assert main("companion", "--out", name) == 0
    written = Path(name).read_text(encoding="utf-8")
    assert written == "the page" if name == "a.html" else ast.literal_eval(written) == {"cells": []}
    assert name in capsys.readouterr().out


def test_rebuilding_puts_page_and_notebook_in_the_place_of_the_old_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "page", lambda: "the page")
    monkeypatch.setattr(build, "notebook", lambda: {"title": "ψ"})
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "companion.html").write_text("old")
    build.rebuild()
    found = {p.name: p.read_text(encoding="utf-8") for p in (tmp_path / "docs").iterdir()}
    book = '{\n "title": "ψ"\n}\n'
    assert found == {"companion.html": "the page", "derivation.ipynb": book}


def test_a_picture_is_made_small_and_one_that_is_missing_is_left_out(tmp_path, monkeypatch):
    pytest.importorskip("PIL", "11.3")  # the first that writes AVIF
    from PIL import Image

    def encoded(pixels, quality):
        small, file = Image.fromarray(pixels).convert("RGB"), io.BytesIO()
        small.thumbnail((1440, 1440), Image.Resampling.LANCZOS)
        small.save(file, "AVIF", quality=quality, speed=9)
        return file.getvalue()

    monkeypatch.setattr(module, "ROOT", tmp_path)
    assert PICTURE("none") == ""
    (tmp_path / "docs" / "demos").mkdir(parents=True)
    squares = np.random.default_rng(0).integers(0, 256, (25, 180, 4), dtype=np.uint8)
    noise = squares.repeat(8, axis=0).repeat(8, axis=1)
    for pixels in (np.full((3000, 9, 4), 200, np.uint8), noise[:64], noise):
        Image.fromarray(pixels).save(tmp_path / "docs" / "demos" / "this.png")
        start, _, data = PICTURE("this").partition(",")
        every = [encoded(pixels, quality) for quality in (44, 32, 22, 14, 6)]
        # The best quality that fits into 11,000 bytes, or the least of all.
        fits = next((file for file in every if len(file) <= 11_000), every[-1])
        assert start == "data:image/avif;base64" and base64.b64decode(data) == fits


def test_a_proof_that_fails_keeps_the_page_from_being_built(monkeypatch):
    def row(equation, *failures):
        return SimpleNamespace(equation=equation, failures=failures)

    monkeypatch.setattr(evidence, "evidence", lambda: [row("E1"), row("E2")])
    assert PROOFS().keys() == {"E1", "E2"}
    monkeypatch.setattr(evidence, "evidence", lambda: [row("E1"), row("E2", "a is not b", "nor c")])
    with pytest.raises(RuntimeError, match="^E2: a is not b; nor c$"):
        PROOFS()


def test_bad_input_is_refused_in_one_line_and_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(build, "page", lambda: "the page")
    Path("old.html").write_text("old", encoding="utf-8")
    assert "old.html exists" in refused(capsys, "companion", "--out", "old.html")
    assert "folder" in refused(capsys, "companion", "--out", "missing/a.html")
    assert "--out" in refused(capsys, "companion", "--out", "")
    assert refused(capsys, "companion", "--out", ".")
    assert Path("old.html").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("name, out", [("math_core", "a.html"), ("nbclient", "a.ipynb")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, capsys, name, out):
    real = builtins.__import__

    def without(wanted, *rest, **more):
        if wanted == name:
            raise ImportError(f"No module named {name!r}", name=name)
        return real(wanted, *rest, **more)

    pytest.importorskip("jinja2")
    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.chdir(tmp_path)
    assert re.search(rf"{name}.*\[docs\]", refused(capsys, "companion", "--out", out))


def test_it_is_built_only_where_the_tests_are(tmp_path, monkeypatch):
    pytest.importorskip("math_core")
    pytest.importorskip("jinja2")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    with pytest.raises(module.MissingPackages, match="repository"):
        module.page()
