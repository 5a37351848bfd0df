"""The companion page as one HTML file: page.html filled in, with style.css and script.js in it."""

import base64
import hashlib
import io
import json
import re
from functools import cache
from html import escape
from importlib.resources import files
from itertools import chain
from textwrap import dedent
from typing import Any

from ddpm_np.companion import evidence, numbers
from ddpm_np.companion.marks import broken, marked, replaced
from ddpm_np.companion.sources import highlighted, source
from ddpm_np.equations import EQUATIONS, SECTIONS, Equation, equations_of
from ddpm_np.equations.blocks import read_text
from ddpm_np.equations.formula import parse
from ddpm_np.equations.notes import NOTES, Printed, heading_of, notes
from ddpm_np.equations.table import ROOT
from ddpm_np.equations.telling import CHAPTERS, IDENTITY, told
from ddpm_np.equations.typeset import mathml, sentence, symbol_class
from ddpm_np.errata import ERRATA, Erratum, lookup

PICTURE_WIDTH, PICTURE_BYTES = 1440, 11_000
SHORT = 20  # lines of code that stand beside a formula without being unfolded


class MissingPackages(Exception):
    """Something that the page is built with is not there."""


def page() -> str:
    """The page, as HTML; ImportError without the packages of the extra "docs"."""
    import jinja2
    import math_core
    import PIL  # noqa: F401
    import pygments  # noqa: F401
    from markupsafe import Markup

    if not (ROOT / "tests" / "planted_bugs.txt").exists():
        raise MissingPackages("the page shows the tests, so it is built from the repository")
    from ddpm_np.demos import DEMOS
    from ddpm_np.errata.record import KINDS

    convert = math_core.LatexToMathML().convert_with_local_state
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    links = _links()
    shown, data = numbers.moved()
    order = list(dict.fromkeys([*(s.equation for p in CHAPTERS for s in p.steps), *EQUATIONS]))
    environment.globals.update(
        # how things are written
        code=lambda text: Markup(highlighted(text, links)),
        lines=lambda own, a, b, alone: Markup(
            (dedent if alone else str)("\n".join(own.html(links)[a:b]))
        ),
        formula=lambda text: Markup(_wrapping(mathml(parse(text)))),
        symbol=lambda text: Markup(_inline(text)),
        pair=lambda e: Markup(_pair(e, convert)),
        printed=lambda p, errata: Markup(_printed(p, errata, convert)),
        heading=lambda text: Markup(
            sentence(text, lambda latex: convert(latex, displaystyle=False), escape)
        ),
        words=lambda text: Markup(sentence(told(text), _inline, _linked)),
        both=lambda text: Markup(_both(text)),
        tree=lambda tree: Markup(mathml(tree)),
        definition=lambda name: f"d-{symbol_class(name)}",
        anchor=lambda place: place.replace(":", "-"),
        shade=lambda erratum: "bad" if erratum.kind.startswith("wrong") else "warn",
        picture=_picture,
        # what is written
        parts=CHAPTERS,
        identity=IDENTITY,
        shown=shown,
        points=numbers.points(),
        mark=numbers.place(numbers.POINT, 0).split(",")[0],
        data=Markup(data.replace("<", "\\u003c")),
        numbers=numbers,
        notes=NOTES,
        headings=notes(),
        sections=SECTIONS,
        equations=EQUATIONS,
        equations_of=equations_of,
        errata_of=lambda h: [e for e in ERRATA.values() if heading_of(e.place) == h],
        lookup=lookup,
        is_marked=_is_marked,
        featured=_featured,
        shown_of=_shown,
        evidence=evidence,
        proofs=evidence.proofs(),
        tests=evidence.tests(),
        source=source,
        order=order,
        symbols=_glossary()[0],
        terms=_glossary()[1],
        kinds=KINDS,
        demos=DEMOS,
        fingerprint=fingerprint(),
    )
    body: str = environment.from_string(_file("page.html")).render()
    return body.replace("@STYLE@", _style()).replace("@SCRIPT@", _file("script.js"))


def fingerprint() -> str:
    """A digest of all that the page is built from: package, tests' names, bugs and pictures.

    The page says that its proofs ran on the code as it is, so any change of it makes the page old.
    """
    digest = hashlib.sha256(json.dumps(evidence.tests(), sort_keys=True).encode())
    kinds = ("py", "txt", "html", "css", "js")
    found = chain.from_iterable((ROOT / "ddpm_np").rglob(f"*.{kind}") for kind in kinds)
    pictures = (ROOT / "docs" / "demos").glob("*.png")
    for path in sorted([*found, *pictures, ROOT / "tests" / "planted_bugs.txt"]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


FEATURED = {"E15": "network.MLP.backward", "E16": "training._loop"}
"""What stands first beside an equation whose first function mostly checks its arguments."""


def _featured(equation: Equation) -> list[str]:
    first = FEATURED.get(equation.number, equation.functions[0])
    return list(dict.fromkeys([first, *equation.functions]))


def _shown(equation: Equation) -> int:
    """How many functions are unfolded: the first, and more of them while they stay short."""
    lines = 0
    for i, name in enumerate(_featured(equation)):
        lines += 2 + sum(b - a for a, b, check in source(name).pieces if not check)
        if i and lines > SHORT:
            return i
    return len(equation.functions)


@cache
def _chinese() -> dict[str, str]:
    """What tests and proofs say in English, in Chinese."""
    return dict(line.split(" | ", 1) for line in _file("chinese.txt").strip().split("\n")[1:])


def _both(text: str) -> str:
    """A statement or the name of a bug in the language of the page; formulas read the same."""
    chinese = _chinese().get(text)
    if chinese is None:
        return escape(text)
    return (
        f'<span class="en">{escape(text)}</span><span class="zh" lang="zh">{escape(chinese)}</span>'
    )


# ---- what stands where ------------------------------------------------------------------------


def _links() -> dict[str, str]:
    """Where on the page a function stands, by the last part of its name."""
    named = [e.functions for e in EQUATIONS.values()] + [s.functions for s in SECTIONS.values()]
    return {last: f"f-{last}" for f in chain(*named) for last in [f.rpartition(".")[2]]}


def _is_marked(erratum: Any) -> bool:
    """Whether a printed formula holds the erratum's, so that the correction stands in it."""
    return bool(erratum.latex and erratum.latex[0]) and any(
        replaced(p.latex, *erratum.latex)
        for h in notes()
        for p in h.printed
        if p.place.overlaps(erratum.place)
    )


# ---- how things are written -------------------------------------------------------------------


def _file(name: str) -> str:
    return read_text("ddpm_np.companion", name)


def _glossary() -> list[list[list[str]]]:
    """The symbols and the terms."""
    blocks = _file("glossary.txt").strip().split("\n\n")[1:]
    return [[line.split(" | ") for line in block.split("\n")] for block in blocks]


def _style() -> str:
    """The style sheet, with the font in it."""
    font = files("ddpm_np.companion").joinpath("math.woff2").read_bytes()
    return _file("style.css").replace("@FONT@", base64.b64encode(font).decode())


def _inline(formula: str) -> str:
    return mathml(parse(formula), block=False)


def _linked(text: str) -> str:
    """Plain text, with the numbers of equations as links and what is quoted as code."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    text = re.sub(r"(?<![A-Za-z])(E[1-9]\d?)(?!\d)", r'<a href="#\1">\1</a>', text)
    return re.sub(r"\b(N2:630)\b", r'<a href="#N2-556">\1</a>', text)


def _printed(printed: Printed, errata: tuple[Erratum, ...], convert: Any) -> str:
    """A formula as printed, with the corrections in it; several rows without any environment are
    put into one."""
    latex = corrected = printed.latex.strip()
    for erratum in errata:
        if erratum.latex and erratum.latex[0]:
            corrected = replaced(corrected, *erratum.latex) or corrected
    before, after = (convert(_rows(text), displaystyle=True) for text in (latex, corrected))
    return broken(before if latex == corrected else marked(before, after))


def _wrapping(written: str) -> str:
    """A formula in one row, so that it can be broken; one that is in rows already stays."""
    row = re.fullmatch(
        r"(<math [^>]*>)<mtable[^>]*><mtr><mtd>(.*)</mtd></mtr></mtable>", written[:-7]
    )
    return broken(f"{row[1]}{row[2]}</math>") if row and "<mtr>" not in row[2] else written


def _rows(latex: str) -> str:
    if r"\\" not in latex or r"\begin" in latex:
        return latex
    return r"\begin{aligned}" + latex.removesuffix("\\\\") + r"\end{aligned}"


def _pair(erratum: Any, convert: Any) -> str:
    """An erratum's formula with the correction in it."""
    old, new = (convert(text, displaystyle=True) for text in erratum.latex)
    return broken(marked(old, new) if erratum.latex[0] else new)


def _picture(name: str) -> str:
    """A demo's picture in a data address, or nothing if there is none."""
    from PIL import Image

    path = ROOT / "docs" / "demos" / f"{name}.png"
    if not path.exists():
        return ""
    image = Image.open(path).convert("RGB")
    image.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH), Image.Resampling.LANCZOS)
    for quality in (44, 32, 22, 14, 6):
        file = io.BytesIO()
        image.save(file, "AVIF", quality=quality, speed=9)
        if file.tell() <= PICTURE_BYTES:
            break
    return f"data:image/avif;base64,{base64.b64encode(file.getvalue()).decode()}"
