"""The README's table of the equations, in the order of the notes' sections.

``python -m ddpm_np.equations [README]`` writes it between the two markers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ddpm_np.equations import SECTIONS, Equation, equations_of
from ddpm_np.equations.formula import parse
from ddpm_np.equations.notes import Heading, notes
from ddpm_np.equations.typeset import latex, sentence

MARKERS = "<!-- equations -->", "<!-- /equations -->"


def rewritten(text: str) -> str:
    """The text with the table between its markers as it should be; ValueError without markers."""
    before, start, rest = text.partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not start or not end:
        raise ValueError(f"the text must hold {' and then '.join(MARKERS)}")
    return f"{before}{start}\n{table()}\n{end}{after}"


def table() -> str:
    """The rows of all sections that hold an equation, or that code covers, in Markdown."""
    rows = [_row("section of the notes", "no", "formula", "code", "known"), "|---|---|---|---|---|"]
    without: list[tuple[str, str, str]] = []  # sections without an equation share a row
    for heading in notes():
        section, own = SECTIONS[heading.place], equations_of(heading.place)
        if own:
            rows += _shared(without)
            rows += _own(_place(heading), own)
            without = []
        elif section.functions or section.demos:
            text = sentence(section.sentence.en, lambda tree: f"${latex(tree)}$")
            without.append((_place(heading), text, _links(section.functions, section.demos)))
    return "\n".join(rows + _shared(without))


def _own(place: str, equations: Sequence[Equation]) -> Iterator[str]:
    for equation in equations:
        known = ", ".join(equation.known)
        yield _row(place, equation.number, _formula(equation), _links(equation.functions), known)
        place = ""


def _shared(sections: list[tuple[str, str, str]]) -> list[str]:
    if not sections:
        return []
    places, texts, links = ("<br>".join(column) for column in zip(*sections))
    return [_row(places, "", texts, links, "")]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |"


def _place(heading: Heading) -> str:
    title = heading.title.replace("$", "").replace(r"\theta", "θ").replace("|", ",")
    address = heading.place.web_address
    return (
        f"{heading.place.note} [{title}]({address})" if address else f"{heading.place.note} {title}"
    )


def _formula(equation: Equation) -> str:
    return f"${latex(parse(equation.formulas[0].text))}$"


def _links(functions: tuple[str, ...], demos: tuple[str, ...] = ()) -> str:
    code = [f"[`{name.rpartition('.')[2]}`]({path(name)})" for name in functions]
    return ", ".join(code + [f"[demo {name}](docs/gallery.md#{name})" for name in demos])


def path(function: str) -> str:
    """The file in which a function of the register stands."""
    import inspect
    import pkgutil
    from pathlib import Path

    found = inspect.unwrap(pkgutil.resolve_name(f"ddpm_np.{function}"))
    file = Path(inspect.getfile(getattr(found, "fget", None) or found))
    root = Path(__file__).parent.parent.parent
    return file.relative_to(root).as_posix()
