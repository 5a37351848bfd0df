"""The companion page as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ddpm_np.companion.glossary import SYMBOLS, TERMS
from ddpm_np.companion.sources import ROOT, highlighted, source
from ddpm_np.equations import EQUATIONS, SECTIONS
from ddpm_np.equations.formula import parse
from ddpm_np.equations.typeset import mathml, sentence

PICTURE_WIDTH, PICTURE_BYTES = 720, 9_500


# Names of symbols in the plain text of the errata.
_NAME = re.compile(
    r"(?<![\w`/$#>.-])(?:sqrt\([^()&<]+\)|(?:alpha|beta|eps|Sigma|psi|x|X|mu|C)(?:_bar|_tilde|_hat)?"
    r"_(?:\{[^}]+\}|[A-Za-z0-9]+)|(?:alpha|beta|eps|Sigma|mu)(?:_bar|_tilde|_hat)?)(?![\w(])"
)


class MissingPackages(Exception):
    """Something that the page is built with is not there."""


def write_page(out: Path) -> None:
    """Build the page and write it to a new file.

    FileExistsError if there is one already, before anything is built; OSError if it cannot be
    written; MissingPackages without the packages of the extra "docs", or without the tests, which
    the page shows.
    """
    if out.exists():
        raise FileExistsError(17, "the file exists already", str(out))
    if not out.parent.is_dir():
        raise FileNotFoundError(2, "no such folder", str(out.parent))
    text = page()
    with open(out, "x", encoding="utf-8") as file:
        file.write(text)


def page() -> str:
    """The page, as HTML."""
    try:
        import jinja2
        import math_core
        import PIL  # noqa: F401
        import pygments  # noqa: F401
        from markupsafe import Markup
    except ImportError as error:
        raise MissingPackages(
            f"the package {error.name} is missing; pip install '.[docs]' installs it"
        ) from None
    if not (ROOT / "tests" / "planted_bugs.py").exists():
        raise MissingPackages("the page shows the tests, so it is built from the repository")
    from ddpm_np.companion.content import content
    from ddpm_np.demos import DEMOS
    from ddpm_np.errata.record import KINDS

    notes = content()
    links = _links(notes)
    convert = math_core.LatexToMathML().convert_with_local_state
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals.update(
        # how things are written
        code=lambda text: Markup(highlighted(text, links)),
        formula=lambda text: Markup(mathml(parse(text))),
        typeset=lambda latex: Markup(convert(latex, displaystyle=True)),
        printed=lambda part: Markup(_struck(convert(_rows(part), displaystyle=True), part)),
        heading=lambda text: Markup(_heading(text, convert)),
        remark=lambda text: Markup(
            _NAME.sub(lambda m: mathml(parse(m[0]), block=False), _linked(text))
        ),
        words=lambda text: Markup(sentence(text, lambda t: mathml(t, block=False), _linked)),
        anchor=lambda place: place.replace(":", "-"),
        shade=lambda erratum: "bad" if erratum.kind.startswith("wrong") else "warn",
        picture=_picture,
        # what is written
        notes=notes,
        links=links,
        symbols=SYMBOLS,
        terms=TERMS,
        kinds=KINDS,
        demos=DEMOS,
        fingerprint=fingerprint(),
    )
    body: str = environment.from_string(_file("page.html")).render()
    return body.replace("@STYLE@", _style(body))


def fingerprint() -> str:
    """A digest of the register, sources and errata that the page shows."""
    from ddpm_np.errata import ERRATA

    digest = hashlib.sha256()
    for equation in EQUATIONS.values():
        digest.update(repr(equation).encode())
    for section in SECTIONS.values():
        digest.update(repr(section).encode())
    for name in _functions():
        shown = source(name)
        digest.update(repr(shown._replace(line=0)).encode())
    for entry in ERRATA.values():
        digest.update(repr(entry).encode())
    for name in ("page.html", "style.css"):
        digest.update(_file(name).encode())
    return digest.hexdigest()[:16]


def _functions() -> Iterable[str]:
    """All functions of the register, once each."""
    named = [e.functions for e in EQUATIONS.values()] + [s.functions for s in SECTIONS.values()]
    return dict.fromkeys(name for functions in named for name in functions)


def _file(name: str) -> str:
    return files("ddpm_np.companion").joinpath(name).read_text(encoding="utf-8")


def _style(body: str) -> str:
    """The style sheet, with the font in it and one rule for each symbol that can light up."""
    font = files("ddpm_np.companion").joinpath("math.woff2").read_bytes()
    symbols = sorted(set(re.findall(r'class="(s-[A-Za-z0-9-]+)"', body)))
    rules = ",".join(
        f".card:has(.{s}:hover) .{s},body:has(#symbols .{s}:hover) .{s}" for s in symbols
    )
    lit = f"{rules}{{background:var(--lit);box-shadow:0 0 0 2px var(--lit)}}"
    return _file("style.css").replace("@FONT@", base64.b64encode(font).decode()) + lit


def _links(notes: Any) -> dict[str, str]:
    """Where on the page a function stands, by the last part of its name."""
    sections = [section for note in notes for section in note.sections]
    shown = [s for section in sections for part in section.equations for s in part.sources]
    shown += [s for section in sections for s in section.sources]
    return {each.last_name: f"f-{each.last_name}" for each in shown}


def _heading(text: str, convert: Any) -> str:
    """A heading of the notes, with the LaTeX between its dollar signs typeset."""
    return "".join(
        convert(p, displaystyle=False) if i % 2 else escape(p)
        for i, p in enumerate(text.split("$"))
    )


def _linked(text: str) -> str:
    """Plain text, with the numbers of equations as links and what is quoted as code."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"(?<![A-Za-z])(E[1-9]\d?)(?!\d)", r'<a href="#\1">\1</a>', text)


def _rows(part: Any) -> str:
    """The LaTeX as printed; several rows outside of any environment are put into one."""
    latex: str = part.printed.latex.strip()
    if r"\\" not in latex or r"\begin" in latex:
        return latex
    return r"\begin{aligned}" + latex.removesuffix("\\\\") + r"\end{aligned}"


def _struck(written: str, part: Any) -> str:
    """The MathML with what is wrong marked: single rows of a system where the lines tell them."""
    if not part.wrong_rows:
        return written
    lines, n = part.printed.lines, written.count("<mtr>")
    first = next((i for i, line in enumerate(lines) if r"\begin" in line), -1)
    rows = [i - first - 1 for i in part.wrong_rows]
    if n > 1 and all(0 <= i < n for i in rows):
        before, *pieces = written.split("<mtr>")
        marks = ('<mtr class="wrong">' if i in rows else "<mtr>" for i in range(n))
        return before + "".join(mark + piece for mark, piece in zip(marks, pieces))
    return written.replace("<math ", '<math class="wrong" ', 1)


def _picture(name: str) -> str:
    """A demo's picture in a data address, or nothing if there is none."""
    from PIL import Image

    path = ROOT / "docs" / "demos" / f"{name}.png"
    if not path.exists():
        return ""
    image = Image.open(path).convert("RGB")
    width = min(image.width, PICTURE_WIDTH)
    size = width, round(image.height * width / image.width)
    image = image.resize(size, Image.Resampling.LANCZOS)
    for quality in range(60, 0, -8):
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=4)
        if file.tell() <= PICTURE_BYTES:
            break
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
