"""The source of a function as HTML: highlighted, argument checks folded, names linked.

The code is the one that runs. Its docstring is left out where the page has the formula beside it.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from ddpm_np.equations.typeset import symbol_class

ROOT = Path(__file__).parent.parent.parent
STYLES = {
    "Token.Keyword": "k",
    "Token.Literal.Number": "m",
    "Token.Literal.String": "q",
    "Token.Comment": "c",
    "Token.Name.Decorator": "d",
    "Token.Name.Builtin": "b",
}
SYMBOLS = {"x", "eps", "z", "alpha", "beta", "psi", "Sigma", "sigma", "eta", "score", "lambda"}
PREFIXES = ("one_minus_", "sqrt_")


class Source(NamedTuple):
    """A function: its name below ddpm_np, file, first line, signature, docstring and body.

    body: pieces of code in order, each with whether it only checks arguments.
    """

    name: str
    path: str
    line: int
    signature: str
    docstring: str
    body: tuple[tuple[str, bool], ...]

    @property
    def last_name(self) -> str:
        return self.name.rpartition(".")[2]


@cache
def source(name: str) -> Source:
    """The source of a function such as "forward.q_step"; of a class its __call__ or __init__."""
    found = pkgutil.resolve_name(f"ddpm_np.{name}")
    docstring = inspect.getdoc(found) or ""
    if inspect.isclass(found):
        own = (vars(found).get(method) for method in ("__call__", "__init__"))
        found = next((m for m in own if m and _is_written(m)), found)
    for wrapper in ("__func__", "func", "fget"):
        found = getattr(found, wrapper, None) or found
    found = inspect.unwrap(found)
    lines, first = inspect.getsourcelines(found)
    text = textwrap.dedent("".join(lines))
    path = Path(inspect.getfile(found)).relative_to(ROOT).as_posix()
    tree = ast.parse(text).body[0]
    if not isinstance(tree, ast.FunctionDef):  # a class that only holds data
        return Source(name, path, first, "", docstring, ((text.rstrip(), False),))
    docstring = docstring or ast.get_docstring(tree) or ""
    return Source(name, path, first, *_parts(text, tree, docstring))


def _is_written(method: Any) -> bool:
    """Whether a method stands in a file, unlike one that a dataclass was given."""
    return Path(method.__code__.co_filename).exists()


def _parts(
    text: str, tree: ast.FunctionDef, docstring: str
) -> tuple[str, str, tuple[tuple[str, bool], ...]]:
    """Signature, docstring and the body in pieces."""
    lines, body = text.rstrip().split("\n"), tree.body
    has_docstring = ast.get_docstring(tree) is not None
    statements = body[1:] if has_docstring else body
    # Comments above a statement belong to it, so pieces begin where the statement before ended.
    start = (body[0].end_lineno or 0) if has_docstring else body[0].lineno - 1
    head = lines[tree.lineno - 1 : body[0].lineno - 1]
    signature = re.sub(r"\(\s+", "(", re.sub(r",?\s+\)", ")", " ".join(map(str.strip, head))))
    pieces: list[tuple[str, bool]] = []
    for statement in statements:
        end = statement.end_lineno or start
        piece, check = "\n".join(lines[start:end]), _is_check(statement)
        if pieces and pieces[-1][1] == check:
            pieces[-1] = (pieces[-1][0] + "\n" + piece, check)
        else:
            pieces.append((piece, check))
        start = end
    return signature, docstring, tuple(pieces)


def _is_check(statement: ast.stmt) -> bool:
    """Whether a statement only checks arguments: raises for bad ones, or returns them checked."""
    if isinstance(statement, ast.If):
        return (
            not statement.orelse
            and all(
                isinstance(s, ast.Raise) or _is_check(s) or isinstance(s, ast.Assign)
                for s in statement.body
            )
            and any(isinstance(s, ast.Raise) for s in ast.walk(statement))
        )
    if isinstance(statement, (ast.Assign, ast.Expr)):
        values = [statement.value]
        while values and isinstance(values[-1], ast.Tuple):
            values = [*values[:-1], *values[-1].elts]
        return all(_checks(value) for value in values)
    return False


@cache
def _check_names() -> frozenset[str]:
    from ddpm_np import _checks as module

    own = {name for name, value in vars(module).items() if inspect.isfunction(value)}
    return frozenset(own - {"per_row", "per_matrix"} | {"checked_steps", "_not_first", "_span"})


def _checks(value: ast.expr) -> bool:
    if isinstance(value, ast.IfExp):
        return _checks(value.body) or _checks(value.orelse)
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    return name in _check_names() or name.startswith("_check")


def highlighted(code: str, links: Mapping[str, str]) -> str:
    """Code as HTML: tokens with classes, symbols with theirs, names in ``links`` as links."""
    from pygments.lexers import PythonLexer

    written = []
    for kind, text in PythonLexer(stripnl=False).get_tokens(code):
        written.append(_token(str(kind), text, links))
    text = "".join(written).rstrip("\n")
    return text.replace("-&gt;", '<span class="n">-&gt;</span>')  # an arrow is not broken


def _token(kind: str, text: str, links: Mapping[str, str]) -> str:
    shown = escape(text)
    if kind.startswith("Token.Name"):
        if text in links:
            return f'<a href="#{links[text]}">{shown}</a>'
        if symbol := symbol_of(text):
            return f'<i class="{symbol}">{shown}</i>'
    for start, style in STYLES.items():
        if kind.startswith(start) and text.strip():
            return f'<span class="{style}">{shown}</span>'
    return shown


def symbol_of(name: str) -> str:
    """The class of the symbol that a variable is named after, or nothing."""
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    if not re.fullmatch(r"[A-Za-z]+[0-9]?(_[A-Za-z0-9]+)*", name):
        return ""
    if name.startswith("psi_"):
        return "s-psi"
    first = re.split(r"[_0-9]", name)[0]
    if first not in SYMBOLS or name.endswith("_coef"):
        return ""
    return symbol_class(name)
