"""The tables of the documents, written between markers such as ``<!-- steps -->``.

``python -m ddpm_np.equations`` writes them into README.md, README.zh.md and docs/equations.md:
the nine steps, what comes before and after them, the sections of the notes, all equations.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ddpm_np.equations import EQUATIONS, SECTIONS, equations_of
from ddpm_np.equations.docstrings import function_at
from ddpm_np.equations.notes import Heading, notes
from ddpm_np.equations.telling import CHAPTERS, STEPS, Step, told
from ddpm_np.equations.typeset import in_latex, latex

ROOT = Path(__file__).parent.parent.parent
_MARKERS = "<!-- steps --> and <!-- /steps -->"
DOCUMENTS = ("README.md", "README.zh.md", "docs/equations.md")


def rewritten(text: str, document: str) -> str:
    """The text of a document with its tables as they should be; ValueError if it has no marker."""
    up = "../" * document.count("/")
    for name, rows in TABLES.items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if end:
            table = "".join("| " + " | ".join(row) + " |\n" for row in rows(up))
            text = before + start + table + end + after
    if not re.search("<!-- /(" + "|".join(TABLES) + ") -->", text):
        raise ValueError(f"the text must hold a pair of markers, such as {_MARKERS}")
    return text


def _head(*names: str) -> Iterator[Iterable[str]]:
    yield names
    yield ["---"] * len(names)


def _steps(up: str) -> Iterator[Iterable[str]]:
    yield from _head("step", "formula", "code", "known")
    for i, step in enumerate(STEPS, 1):
        yield f"{i}. {step.equation}", _formulas(step), _link(step.function, up), _known(step)


def _steps_zh(up: str) -> Iterator[Iterable[str]]:
    yield from _head("步骤", "公式", "理由", "代码")
    for i, step in enumerate(STEPS, 1):
        why = in_latex(told(step.because.zh))
        yield f"{i}. {step.equation}", _formulas(step), _bars(why), _link(step.function, up)


def _others(up: str) -> Iterator[Iterable[str]]:
    yield from _head("no", "formula", "code", "known")
    for part in CHAPTERS:
        for step in part.steps if part.steps is not STEPS else ():
            yield step.equation, _formulas(step), _link(step.function, up), _known(step)


def _sections(up: str) -> Iterator[Iterable[str]]:
    yield from _head("section", "equations", "in a sentence", "code and demos")
    for heading in notes():
        section, own = SECTIONS[heading.place], equations_of(heading.place)
        text = in_latex(section.sentence.en)
        demos = dict.fromkeys([*section.demos, *(e.demo for e in own if e.demo)])
        shown = [_link(name, up) for name in section.functions]
        shown += [f"[demo {name}](gallery.md#{name})" for name in demos]
        numbers = ", ".join(f"[{e.number}](#{e.number.lower()})" for e in own)
        yield _place(heading), numbers, _bars(text or section.title), ", ".join(shown)


def _equations(up: str) -> Iterator[Iterable[str]]:
    yield from _head("no", "formula", "code", "known")
    for number, equation in EQUATIONS.items():
        code = ", ".join(_link(name, up) for name in equation.functions)
        anchor = f'<a id="{number.lower()}"></a>{number}'
        yield anchor, f"${equation.formulas[0].latex()}$", code, ", ".join(equation.known)


TABLES: dict[str, Callable[[str], Iterable[Iterable[str]]]] = {
    "steps": _steps,
    "steps zh": _steps_zh,
    "before and after": _others,
    "sections": _sections,
    "equations": _equations,
}


def _known(step: Step) -> str:
    return ", ".join(EQUATIONS[step.equation].known)


def _formulas(step: Step) -> str:
    """The pieces of a step in one line; a new formula is set off by a comma."""
    written = [latex(piece) for piece in step.pieces]
    return "$" + re.sub(r" ,\\quad  ?=", " =", r" ,\quad ".join(written)) + "$"


def _bars(text: str) -> str:
    return text.replace("|", "&#124;")


def _place(heading: Heading) -> str:
    title = re.sub(r"[$\\]", "", heading.title).replace("|", ",")
    address = heading.place.web_address
    return f"{heading.place.note} " + (f"[{title}]({address})" if address else title)


def _link(function: str, up: str) -> str:
    """A function as a link to the line where it stands."""
    path, line = where(function)
    return f"[`{function.rpartition('.')[2]}`]({up}{path}#L{line})"


def where(function: str) -> tuple[str, int]:
    """The file and the line in which a function of the register stands."""
    found = function_at(function)
    found = inspect.unwrap(getattr(found, "fget", None) or found)
    path = Path(inspect.getfile(found)).relative_to(ROOT).as_posix()
    return path, inspect.getsourcelines(found)[1]
