"""The page: complete, self-contained, small, its links whole, and the committed one up to date."""

from __future__ import annotations

import builtins
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from commands import main, refused

from ddpm_np.companion import MissingPackages
from ddpm_np.companion import page as module
from ddpm_np.equations import EQUATIONS
from ddpm_np.equations.notes import notes
from ddpm_np.errata import ERRATA

PAGE = Path(__file__).parents[2] / "docs" / "companion.html"
COMMAND = "rm docs/companion.html; python -m ddpm_np companion --out docs/companion.html"


class Outline(HTMLParser):
    """Identifiers, links, what is loaded, and whether every element is closed."""

    VOID = {"meta", "link", "br", "img", "input", "mspace"}

    def __init__(self, text: str) -> None:
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
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.fixture(params=["committed", "built"])
def text(request):
    if request.param == "committed":
        return PAGE.read_text(encoding="utf-8")
    return request.getfixturevalue("built")


def test_the_committed_page_is_current():
    found = re.search(r'name="fingerprint" content="(\w+)"', PAGE.read_text(encoding="utf-8"))
    assert found and found[1] == module.fingerprint(), COMMAND


def test_it_is_small_and_loads_nothing(text):
    outline = Outline(text)
    assert len(text.encode()) < 1_000_000
    assert not outline.open, "elements are left open"
    assert all(address.startswith("data:") for address in outline.loaded)
    assert "<script" not in text and "@import" not in text
    assert all(address.startswith("data:") for address in re.findall(r"url\(([^)]*)\)", text))


def test_identifiers_are_unique_and_links_resolve(text):
    outline = Outline(text)
    assert [name for name, n in outline.ids.items() if n > 1] == []
    assert [a for a in outline.links if a.startswith("#") and a[1:] not in outline.ids] == []
    outside = {a for a in outline.links if not a.startswith("#")}
    assert all(
        a.startswith("https://github.com/listenzcc/diffusion-model-learning/blob/3bdaf83")
        for a in outside
    )


def test_every_heading_equation_and_erratum_is_there_in_order(text):
    places = [text.index(f'id="{h.place.replace(":", "-")}"') for h in notes()]
    assert places == sorted(places)
    for number in EQUATIONS:
        assert f'<article class="card" id="{number}">' in text
    for place in ERRATA:
        assert f'id="erratum-{place.replace(":", "-")}"' in text, place


def test_every_printed_formula_is_there_and_wrong_ones_are_struck_through(text):
    assert text.count('<figure class="printed') == sum(len(h.printed) for h in notes())
    line = text[text.index(">N2:348-352<") - 3000 : text.index(">N2:348-352<")]
    row = line[line.rindex('<mtr class="wrong">') :]
    assert ">b<" in row[: row.index("</mtr>")]


def test_chinese_is_marked_as_such(text):
    for equation in EQUATIONS.values():
        card = text[text.index(f'class="card" id="{equation.number}"') :]
        paragraph = re.search(r'<p class="zh" lang="zh">(.*?)</p>', card, flags=re.S)[1]
        for plain in re.split(r"\$[^$]*\$|E\d+", equation.sentence.zh):
            assert plain in paragraph


def test_the_command_writes_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "page", lambda: "the page")
    assert main("companion", "--out", "a.html") == 0
    assert Path("a.html").read_text(encoding="utf-8") == "the page"
    assert "a.html" in capsys.readouterr().out


def test_bad_input_is_refused_in_one_line_and_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "page", lambda: "the page")
    Path("old.html").write_text("old", encoding="utf-8")
    assert "old.html exists" in refused(capsys, "companion", "--out", "old.html")
    assert "folder" in refused(capsys, "companion", "--out", "missing/a.html")
    assert "--out" in refused(capsys, "companion", "--out", "")
    assert refused(capsys, "companion", "--out", ".")


def test_a_missing_package_is_named(tmp_path, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "math_core":
            raise ImportError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    pytest.importorskip("jinja2")
    with pytest.raises(MissingPackages, match=r"math_core.*\[docs\]"):
        module.page()
    monkeypatch.chdir(tmp_path)
    assert "math_core" in refused(capsys, "companion", "--out", "a.html")


def test_it_is_built_only_where_the_tests_are(tmp_path, monkeypatch):
    pytest.importorskip("math_core")
    pytest.importorskip("jinja2")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    with pytest.raises(MissingPackages, match="repository"):
        module.page()
