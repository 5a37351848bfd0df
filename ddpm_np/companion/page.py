"""The companion page as one HTML file. Checked by: tests/companion/test_page.py."""

from __future__ import annotations

import base64
import io
import re
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ddpm_np.companion.glossary import SYMBOLS, TERMS
from ddpm_np.companion.sources import ROOT

__all__ = ["MissingPackages", "write_page"]

PICTURE_WIDTH = 860


class MissingPackages(Exception):
    """Something that the page is built with is not installed."""


def write_page(out: Path) -> None:
    """Write the page to a new file. FileExistsError if there is one, and nothing is overwritten."""
    if out.exists():
        raise FileExistsError(17, "exists", str(out))
    if not (ROOT / "tests" / "planted_bugs.py").exists():
        raise MissingPackages("the page shows the tests, so it is built from the repository")
    text = page()
    with open(out, "x", encoding="utf-8") as file:
        file.write(text)


def page() -> str:
    """The page. MissingPackages without the packages of the extra "docs"."""
    try:
        import jinja2
        import math_core
        import PIL  # noqa: F401
        import pygments  # noqa: F401
    except ImportError as error:
        raise MissingPackages(
            f"the package {error.name} is missing; pip install ddpm_np[docs] brings it"
        ) from None
    from ddpm_np.companion.content import content
    from ddpm_np.companion.sources import highlighted
    from ddpm_np.equations import EQUATIONS
    from ddpm_np.equations.formula import parse
    from ddpm_np.equations.notes import web_address
    from ddpm_np.equations.typeset import mathml, sentence, symbol_class

    notes = content()
    links = _links(notes)
    convert = math_core.LatexToMathML()

    def code(text: str) -> Any:
        return markupsafe(highlighted(text, links))

    def typeset(latex: str, block: bool = True) -> Any:
        return markupsafe(convert.convert_with_local_state(latex, displaystyle=block))

    def printed(part: Any) -> Any:
        written = convert.convert_with_local_state(part.printed.latex, displaystyle=True)
        return markupsafe(_struck(written, part))

    def formula(text: str) -> Any:
        return markupsafe(mathml(parse(text)))

    from markupsafe import Markup as markupsafe

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    environment.globals.update(
        code=code, typeset=typeset, printed=printed, formula=formula, picture=_picture,
        web_address=web_address, symbol_class=symbol_class, links=links, text=_text,
        heading=lambda text: markupsafe(_heading(text, convert)),
        words=lambda text: markupsafe(
            sentence(text, lambda tree: mathml(tree, block=False), _linked)),
        anchor=lambda place: place.replace(":", "-"),
    )
    from ddpm_np.companion.glossary import CAPTIONS
    from ddpm_np.demos import DEMOS

    environment.globals.update(demos=DEMOS, captions=CAPTIONS, drawn=[])
    template = environment.from_string(_file("page.html"))
    body = template.render(notes=notes, equations=EQUATIONS, symbols=SYMBOLS, terms=TERMS,
                           style="@STYLE@")
    return body.replace("@STYLE@", _style(body))


def _file(name: str) -> str:
    return files("ddpm_np.companion").joinpath(name).read_text(encoding="utf-8")


def _style(body: str) -> str:
    """The style sheet, with the font in it and one rule for each symbol that can light up."""
    font = files("ddpm_np.companion").joinpath("math.woff2").read_bytes()
    symbols = sorted(set(re.findall(r'class="(s-[A-Za-z0-9-]+)"', body)))
    rules = "".join(
        f".card:has(.{s}:hover) .{s},#symbols:has(.{s}:hover)~* .{s}," for s in symbols
    ).rstrip(",")
    lit = f"{rules}{{background:var(--lit);box-shadow:0 0 0 2px var(--lit)}}"
    return _file("style.css").replace("@FONT@", base64.b64encode(font).decode()) + lit


def _links(notes: Any) -> dict[str, str]:
    """Where on the page a function stands, by the last part of its name."""
    found: dict[str, str] = {}
    for note in notes:
        for section in note.sections:
            parts = [source for part in section.equations for source in part.sources]
            for source in (*parts, *section.sources):
                found.setdefault(source.last_name, f"f-{source.last_name}")
    return found


def _text(value: Any, language: str) -> str:
    """A text of the errata in one language."""
    return value if isinstance(value, str) else str(getattr(value, language))


def _heading(text: str, convert: Any) -> str:
    """A heading of the notes, with the LaTeX between its dollar signs typeset."""
    return "".join(
        convert.convert_with_local_state(p, displaystyle=False) if i % 2 else escape(p)
        for i, p in enumerate(text.split("$"))
    )


def _linked(text: str) -> str:
    """Plain text, with the numbers of equations as links and what is quoted as code."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"(?<![\w])(E[1-9]\d?)(?![\w])", r'<a href="#\1">\1</a>', text)


def _struck(written: str, part: Any) -> str:
    """The MathML with what is wrong marked: single rows of a system where the lines tell them."""
    if not part.wrong_rows:
        return written
    lines, n = part.printed.lines, written.count("<mtr>")
    first = next((i for i, line in enumerate(lines) if r"\begin" in line), None)
    rows = [i - first - 1 for i in part.wrong_rows] if first is not None else []
    if n > 1 and rows and all(0 <= i < n for i in rows):
        pieces = written.split("<mtr>")
        for i in rows:
            pieces[i + 1] = "\0" + pieces[i + 1]
        return "<mtr>".join(pieces).replace("<mtr>\0", '<mtr class="wrong">')
    return written.replace("<math ", '<math class="wrong" ', 1)


def _picture(name: str) -> str:
    """A demo's picture as a small PNG in a data address, or nothing if there is none."""
    from PIL import Image

    path = ROOT / "docs" / "demos" / f"{name}.png"
    if not path.exists():
        return ""
    image = Image.open(path).convert("RGB")
    if image.width > PICTURE_WIDTH:
        size = PICTURE_WIDTH, round(image.height * PICTURE_WIDTH / image.width)
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=45, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


