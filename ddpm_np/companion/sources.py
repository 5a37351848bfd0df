"""The source of a function as HTML: highlighted, argument checks apart, names and symbols linked.

The code is the one that runs. Its docstring is left out where the page has the formula beside it.
A name lights up with the symbol it stands for, also where a function gives it a name of its own:
after ``before = schedule.one_minus_alpha_bar[t - 1]``, ``before`` is alpha_bar_{t-1}.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

from ddpm_np.equations.docstrings import function_of, symbol_of
from ddpm_np.equations.table import ROOT
from ddpm_np.equations.typeset import symbol_class

STYLES = {
    "Token.Keyword": "k",
    "Token.Literal.Number": "m",
    "Token.Literal.String": "q",
    "Token.Comment": "c",
    "Token.Name.Decorator": "d",
    "Token.Name.Builtin": "b",
}
LETTERS = "alpha beta eps eta lambda psi score sigma Sigma x z"
TABLES = "beta alpha alpha_bar one_minus_alpha_bar beta_tilde"
_SYMBOL = re.compile(
    rf"x0_hat|({LETTERS.replace(' ', '|')})(_bar|_tilde|_hat|_star)?(_[0-9st]|[0-9]|_\{{.+\}})?"
)


class SourceCode(NamedTuple):
    """A function: its name below ddpm_np, file, first line, signature, lines of code.

    pieces: first and last line (exclusive) of the body's pieces, and whether one only checks.
    symbols: the class of the symbol that the name at a line and column stands for.
    """

    name: str
    path: str
    line: int
    signature: str
    lines: tuple[str, ...]
    pieces: tuple[tuple[int, int, bool], ...]
    symbols: Mapping[tuple[int, int], str]

    @property
    def last_name(self) -> str:
        """The name without its module."""
        return self.name.rpartition(".")[2]

    def html(self, links: Mapping[str, str]) -> list[str]:
        """The lines, highlighted."""
        return highlighted("\n".join(self.lines), links, self.symbols).split("\n")

    def statement(self, piece: str = "") -> tuple[int, int]:
        """The lines of the smallest statement that holds a piece of code, or of the last return.

        ValueError where no statement does.
        """
        found = [
            (node.lineno - 1, node.end_lineno or node.lineno)
            for node in ast.walk(ast.parse("\n".join(self.lines)))
            if isinstance(node, ast.stmt)
            and (piece in _text(self.lines, node) if piece else isinstance(node, ast.Return))
        ]
        if not found:
            raise ValueError(f"{self.name} holds no {piece or 'return'!r}")
        return min(found, key=lambda span: (span[1] - span[0], -span[0])) if piece else max(found)


def _text(lines: tuple[str, ...], node: ast.stmt) -> str:
    return "\n".join(lines[node.lineno - 1 : node.end_lineno])


@cache
def source(name: str) -> SourceCode:
    """The source of a function such as "forward.q_step"; of a class its __call__ or __init__."""
    found = function_of(name)
    numbered, first = inspect.getsourcelines(found)
    text = textwrap.dedent("".join(numbered)).rstrip()
    path = Path(inspect.getfile(found)).relative_to(ROOT).as_posix()
    lines, tree = tuple(text.split("\n")), ast.parse(text).body[0]
    assert isinstance(tree, ast.FunctionDef)
    signature, pieces = _parts(lines, tree)
    return SourceCode(name, path, first, signature, lines, pieces, _symbols(tree))


def _parts(
    lines: tuple[str, ...], tree: ast.FunctionDef
) -> tuple[str, tuple[tuple[int, int, bool], ...]]:
    """The signature, and the pieces of the body."""
    body, has_docstring = tree.body, ast.get_docstring(tree) is not None
    # Comments above a statement belong to it, so pieces begin where the statement before ended.
    start = (body[0].end_lineno or 0) if has_docstring else body[0].lineno - 1
    head = " ".join(map(str.strip, lines[tree.lineno - 1 : body[0].lineno - 1]))
    signature = re.sub(r"\(\s+", "(", re.sub(r",?\s+\)", ")", head))
    pieces: list[tuple[int, int, bool]] = []
    for statement in body[1:] if has_docstring else body:
        end, check = statement.end_lineno or start, _is_check(statement)
        if pieces and pieces[-1][2] == check:
            start = pieces.pop()[0]
        pieces.append((start, end, check))
        start = end
    return signature, tuple(pieces)


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
        value = statement.value
        values = value.elts if isinstance(value, ast.Tuple) else [value]
        return bool(values) and all(_checks(value) for value in values)
    return False


def _checks(value: ast.expr) -> bool:
    if isinstance(value, ast.IfExp):
        return _checks(value.body) or _checks(value.orelse)
    if not isinstance(value, ast.Call):
        return False
    name = ast.unparse(value.func).rpartition(".")[2].lstrip("_")
    return name.startswith(("check", "not_first", "span"))


# ---- symbols ----------------------------------------------------------------------------------


def class_of(name: str, index: str = "") -> str:
    """The class of the symbol that a variable is named after, or nothing.

    >>> class_of("one_minus_alpha_bar_prev"), class_of("alpha_bar", "t - 1")
    ('s-alpha-bar-t-1', 's-alpha-bar-t-1')
    """
    symbol = symbol_of(name.removeprefix("sqrt_")).removeprefix("1 - ")
    symbol += f"_{{{index.replace(' ', '')}}}" if index and symbol[-1] != "}" else ""
    return symbol_class(symbol) if _SYMBOL.fullmatch(symbol) else ""


def _symbols(tree: ast.FunctionDef) -> dict[tuple[int, int], str]:
    """Where names stand for symbols, in the order of the code."""
    local: dict[str, str] = {}
    found: dict[tuple[int, int], str] = {}
    for node in _in_order(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                local |= _aliases(target, node.value, local)
        if place_class := _symbol(node, local):
            found[place_class[:2]] = place_class[2]
    return found


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    yield tree
    for child in ast.iter_child_nodes(tree):
        yield from _in_order(child)


def _symbol(node: ast.AST, local: Mapping[str, str]) -> tuple[int, int, str] | None:
    """Line, column and class of a name or of an entry of a table that stands for a symbol."""
    index = ast.unparse(node.slice) if isinstance(node, ast.Subscript) else ""
    if isinstance(node, ast.Subscript) and index in ("t", "s", "t - 1"):
        node = node.value
    if isinstance(node, ast.Attribute) and node.attr in TABLES.split():
        name, column = node.attr, (node.end_col_offset or 0) - len(node.attr)
    elif isinstance(node, ast.Name):
        name, column = node.id, node.col_offset
    else:
        return None
    if not index and isinstance(node, ast.Attribute):
        return None  # a whole table; with its index it was met before
    found = local.get(name, "") or class_of(name, index)
    return (node.end_lineno or node.lineno, column, found) if found else None


def _aliases(target: ast.expr, value: ast.expr, local: Mapping[str, str]) -> dict[str, str]:
    """The names that an assignment gives to symbols."""
    if isinstance(target, ast.Tuple):
        if isinstance(value, ast.Tuple):
            pairs = [_aliases(a, b, local) for a, b in zip(target.elts, value.elts)]
            return {name: found for pair in pairs for name, found in pair.items()}
        if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("between"):
            return {n.id: class_of(n.id, "t|s") for n in target.elts if isinstance(n, ast.Name)}
        return {}
    if not isinstance(target, ast.Name):
        return {}
    own = class_of(target.id)
    plain = ast.unparse(value)
    if own or re.search(r" [-+*/] (?!1\])|\*\*", plain):
        return {target.id: own} if own else {}
    tree = ast.parse(re.sub(r", [a-z_0-9]+\.dtype", "", plain))
    classes = {found[2] for node in _in_order(tree) if (found := _symbol(node, local))}
    return {target.id: classes.pop()} if len(classes) == 1 else {}


# ---- highlighting -----------------------------------------------------------------------------


def highlighted(
    code: str, links: Mapping[str, str], symbols: Mapping[tuple[int, int], str] | None = None
) -> str:
    """Code as HTML: tokens with classes, symbols with theirs, names in ``links`` as links.

    symbols: by line (from 1) and column; without them a name tells its symbol.
    """
    from pygments.lexers import PythonLexer

    written, line, column = [], 1, 0
    for kind, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code):
        for i, piece in enumerate(text.split("\n")):
            if i:
                written.append("\n")
                line, column = line + 1, 0
            if piece:
                own = class_of(piece) if symbols is None else symbols.get((line, column), "")
                written.append(_token(str(kind), piece, links, own))
                column += len(piece)
    return "".join(written).replace("-&gt;", '<span class="n">-&gt;</span>')  # it is not broken


def _token(kind: str, text: str, links: Mapping[str, str], symbol: str) -> str:
    shown = escape(text)
    if kind.startswith("Token.Name"):
        if text in links:
            return f'<a href="#{links[text]}">{shown}</a>'
        if symbol:
            return f'<i class="{symbol}">{shown}</i>'
    for start, style in STYLES.items():
        if kind.startswith(start) and text.strip():
            return f'<span class="{style}">{shown}</span>'
    return shown
