"""A formula's tree as LaTeX, for the README, and as MathML, for the page.

Both go through :func:`_write`, which decides what a part is; the two writers say how it looks.
Parentheses that a fraction bar replaces are left out.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from html import escape

from ddpm_np.equations.formula import Node, parse

_NAMES = "alpha beta eps psi Psi phi Phi Sigma sigma theta lambda Lambda mu eta pi tau"
GREEK = dict(zip(_NAMES.split(), "αβεψΨφΦΣσθλΛμηπτ", strict=True))
ACCENTS = {
    "bar": ("¯", r"\bar"),
    "tilde": ("~", r"\tilde"),
    "hat": ("^", r"\hat"),
    "star": ("", "*"),
}
OPERATORS = {"sum": ("∑", r"\sum"), "int": ("∫", r"\int")}
MATHML_SIGNS = {
    "of;": '<mo separator="true">;</mo>',
    ",": '<mo separator="true">,</mo>',
    ";": '<mo separator="true">,</mo><mspace width="1.4em"/>',
    "|": '<mo lspace="0.25em" rspace="0.25em" stretchy="false">|</mo>',
}
LONG = 13  # about what fits into a column
FUNCTIONS = ("exp", "ln", "cos", "sin")
SIGNS = {"-": "−", "~": "∼", "<=": "≤", "->": "←", "...": "⋯"}
TEX_SIGNS = {
    "~": r"\sim",
    "<=": r"\le",
    "->": r"\leftarrow",
    "<": r"\lt",
    "...": r"\cdots",
    "|": r"\mid",
    ";": r",\quad",  # between two statements
    "of;": ";",  # within a function: N(x; mu, Sigma)
    ",": ",",
}


def latex(tree: Node) -> str:
    """The formula in LaTeX."""
    return re.sub(r" +", " ", _write(tree, _LaTeX())).strip()


def mathml(tree: Node, *, block: bool = True) -> str:
    """The formula in MathML; each name carries the class of its symbol (:func:`symbol_class`).

    A block that is long is broken into rows: before the terms of its last sum, or, if it holds
    several statements, between them.
    """
    to = _MathML()
    if not block:
        return f"<math>{_write(tree, to)}</math>"
    rows = [_write(part, to) for part in _statements(tree)]
    if len(rows) == 1 and _size(tree) > LONG and tree.kind == "chain":
        *left, right = tree.parts
        head = _write(Node("chain", tree.text, (*left, Node("name", ""))), to)
        first, *terms = _terms(right)
        rows = [head + _write(first[1], to)]
        rows += [f'<mspace width="1.5em"/>{to.sign(sign)}{_write(t, to)}' for sign, t in terms]
    written = "".join(f"<mtr><mtd>{row}</mtd></mtr>" for row in rows)
    return f'<math display="block"><mtable displaystyle="true">{written}</mtable></math>'


def sentence(text: str, write: Callable[[str], str], plain: Callable[[str], str] = str) -> str:
    """A sentence with the formulas between its dollar signs written, and the rest made plain."""
    return "".join(write(p) if i % 2 else plain(p) for i, p in enumerate(text.split("$")))


def in_latex(text: str) -> str:
    """A sentence with its formulas in LaTeX, as Markdown has them."""
    return sentence(text, lambda formula: f"${latex(parse(formula))}$")


def _statements(tree: Node) -> list[Node]:
    """The parts of a chain between semicolons."""
    if tree.kind != "chain":
        return [tree]
    signs = tree.text.split(" ")
    cuts = [0, *(i + 1 for i, sign in enumerate(signs) if sign == ";"), len(tree.parts)]
    return [
        tree.parts[a] if b == a + 1 else Node("chain", " ".join(signs[a : b - 1]), tree.parts[a:b])
        for a, b in zip(cuts, cuts[1:])
    ]


def _terms(tree: Node) -> list[tuple[str, Node]]:
    """The terms of a sum, each with the sign before it."""
    if tree.kind not in ("+", "-"):
        return [("", tree)]
    return [*_terms(tree.parts[0]), (tree.kind, tree.parts[1])]


def _size(tree: Node) -> int:
    """About how wide a formula is: its names and numbers, a fraction as wide as its wider part."""
    if not tree.parts:
        return 1
    sizes = [_size(part) for part in tree.parts]
    return max(sizes) if tree.kind == "/" else sum(sizes)


def symbol_class(name: str) -> str:
    """The class of a name in formulas and code: letter, accents, subscript: "s-alpha-bar-t-1"."""
    base, accents, subscript = _split(name)
    return "-".join(["s", base, *accents, *re.findall("[A-Za-z0-9]+", subscript)])


def _split(name: str) -> tuple[str, list[str], str]:
    """Letter, accents and subscript; ``x0_hat`` is x with a hat and the subscript 0."""
    first, *rest = re.findall(r"\{[^}]*\}|[A-Za-z0-9]+", name)
    accents = [part for part in rest if part in ACCENTS]
    subscript = [part.strip("{}") for part in rest if part not in ACCENTS]
    letters = first.rstrip("0123456789")
    if letters != first:
        subscript.insert(0, first[len(letters) :])
    return letters, accents, " ".join(subscript)


def _write(tree: Node, to: "_LaTeX | _MathML") -> str:
    kind, parts = tree.kind, tree.parts
    if kind == "number":
        return to.number % tree.text
    if kind == "name":
        return to.name(tree.text) if tree.text else ""
    if kind == "dots":
        return to.sign("...")
    if kind == "chain":
        first, *others = (_write(part, to) for part in parts)
        return first + "".join(to.sign(s) + o for s, o in zip(tree.text.split(" "), others))
    if kind in ("+", "-"):
        return _write(parts[0], to) + to.sign(kind) + _write(parts[1], to)
    if kind == "*":
        return to.product % (_write(parts[0], to), _write(parts[1], to))
    if kind == "/":
        return to.fraction % tuple(to.one(_write(_bare(part), to)) for part in parts)
    if kind == "^":
        base = Node("group", "(", parts[:1]) if _is_operator(parts[0]) else parts[0]
        return to.power(_write(base, to), _write(_bare(parts[1]), to))
    if kind == "negative":
        return to.sign("-", prefix=True) + _write(parts[0], to)
    if kind == "call" and parts[0].kind == "chain":
        parts = (replace(parts[0], text=parts[0].text.replace(";", "of;")),)
    inside = _write(parts[0], to)
    if kind == "call" and tree.text == "sqrt":
        return to.root % inside
    if _is_operator(tree):
        needs = parts[0].kind in ("+", "-", "chain")
        operator, _, index = tree.text.partition("_")
        return to.operator(operator, index.strip("{}")) + (
            to.fence("(", inside) if needs else inside
        )
    if kind == "call":
        return to.function(tree.text) + to.fence("(", inside)
    return to.fence(tree.text, inside)


def _bare(tree: Node) -> Node:
    return tree.parts[0] if tree.kind == "group" else tree


def _is_operator(tree: Node) -> bool:
    return tree.kind == "call" and tree.text.partition("_")[0] in OPERATORS


class _LaTeX:
    number, fraction, root = "%s", r"\frac{%s}{%s}", r"\sqrt{%s}"
    product = "%s %s"  # not \, for Markdown takes the backslash away
    one = staticmethod(str)

    def name(self, name: str) -> str:
        base, accents, subscript = _split(name)
        if base == "grad":
            return r"\nabla "
        letter = rf"\mathrm{{{base}}}" if len(base) > 1 else base
        if base in GREEK:
            letter = r"\epsilon" if base == "eps" else f"\\{base}"
        for accent in accents:
            mark = ACCENTS[accent][1]
            letter = f"{letter}^{{*}}" if mark == "*" else f"{mark}{{{letter}}}"
        if subscript in GREEK:
            subscript = "\\" + subscript
        elif len(subscript) > 2 and subscript.isalpha():
            subscript = rf"\mathrm{{{subscript}}}"
        subscript = subscript.replace("|", r"\vert ")  # a bar would end the cell of a table
        return letter + (f"_{{{subscript}}}" if subscript else "")

    def sign(self, sign: str, *, prefix: bool = False) -> str:
        written = TEX_SIGNS.get(sign, sign)
        return written if prefix and sign == "-" else f" {written} "

    def power(self, base: str, exponent: str) -> str:
        base = f"{{{base}}}" if "^" in base or "_" in base else base
        return f"{base}^{{{exponent}}}"

    def operator(self, operator: str, index: str) -> str:
        low, _, high = index.partition("..")
        return rf"{OPERATORS[operator][1]}_{{{low}}}{f'^{{{high}}}' if high else ''} "

    def fence(self, kind: str, inside: str) -> str:
        left, right = {"(": ("(", ")"), "[": ("[", "]"), "|": (r"\lVert ", r"\rVert ")}[kind]
        tall = r"\frac" in inside or r"\sqrt" in inside
        return rf"\left{left}{inside}\right{right}" if tall else left + inside + right

    def function(self, name: str) -> str:
        if name in FUNCTIONS:
            return "\\" + name
        return {"N": r"\mathcal{N}", "E": r"\mathrm{E}"}.get(name) or self.name(name)


class _MathML:
    number, fraction, root = "<mn>%s</mn>", "<mfrac>%s%s</mfrac>", "<msqrt>%s</msqrt>"
    product = '%s<mspace width="0.17em"/>%s'

    @staticmethod
    def one(inside: str) -> str:
        """One element, where the inside may be several."""
        alone = re.fullmatch(r"<(m[in])[^>]*>[^<]*</\1>", inside)
        return inside if alone else f"<mrow>{inside}</mrow>"

    def name(self, name: str) -> str:
        base, accents, subscript = _split(name)
        if base == "grad":
            return '<mo form="prefix" rspace="0">∇</mo>'
        upright = ' mathvariant="normal"' if base in ("I", "Sigma", "Psi", "Lambda") else ""
        letter = f"<mi{upright}>{GREEK.get(base, base)}</mi>"
        for accent in accents:
            if not (mark := ACCENTS[accent][0]):
                letter = f"<msup>{letter}<mo>*</mo></msup>"
                continue
            mark = f'<mo stretchy="false">{mark}</mo>'
            letter = f'<mover accent="true">{letter}{mark}</mover>'
        own = f' class="{symbol_class(name)}"'
        if not subscript:
            return letter.replace(">", f"{own}>", 1)
        pieces = re.findall(r"[A-Za-z]+|-?\d+|\S", subscript)  # the 1 of t-1 is -1, without space
        written = "".join(
            f"<mi>{GREEK.get(p, p)}</mi>"
            if p.isalpha()
            else f"<mn>{p.replace('-', '−')}</mn>"
            if p.strip("-").isdigit()
            else f'<mo lspace="0" rspace="0">{SIGNS.get(p, p)}</mo>'
            for p in pieces
        )
        return f"<msub{own}>{letter}{self.one(written)}</msub>"

    def sign(self, sign: str, *, prefix: bool = False) -> str:
        form = ' form="prefix"' if prefix else ""
        return MATHML_SIGNS.get(sign) or f"<mo{form}>{escape(SIGNS.get(sign, sign))}</mo>"

    def power(self, base: str, exponent: str) -> str:
        return f"<msup>{self.one(base)}{self.one(exponent)}</msup>"

    def operator(self, operator: str, index: str) -> str:
        sign = OPERATORS[operator][0]
        low, _, high = index.partition("..")
        if high:
            return f"<munderover><mo>{sign}</mo><mi>{low}</mi><mi>{high}</mi></munderover>"
        under = "msub" if operator == "int" else "munder"
        return f"<{under}><mo>{sign}</mo><mi>{low}</mi></{under}>"

    def fence(self, kind: str, inside: str) -> str:
        left, right = {"(": ("(", ")"), "[": ("[", "]"), "|": ("‖", "‖")}[kind]
        if kind == "|":  # which has no side of its own, unlike parentheses
            return (
                f'<mrow><mo form="prefix" stretchy="true">{left}</mo>{inside}'
                f'<mo form="postfix" stretchy="true">{right}</mo></mrow>'
            )
        return f"<mrow><mo>{left}</mo>{inside}<mo>{right}</mo></mrow>"

    def function(self, name: str) -> str:
        if name in FUNCTIONS:
            return f"<mi>{name}</mi><mo>&#x2061;</mo>"
        return "<mi>𝒩</mi>" if name == "N" else self.name(name)
