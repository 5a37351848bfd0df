"""The notation of the formulas, read into a tree, and the value of that tree.

The notation is that of the docstrings, with one rule each:

- names: Greek is spelled out, ``_bar``, ``_tilde`` and ``_hat`` are accents, the rest after ``_``
  is a subscript: ``alpha_bar_{t-1}``, ``x_0``, ``beta_{t|s}``;
- blank space multiplies, as strongly as ``/`` divides, from left to right: ``a / b c`` is
  ``(a / b) c``, and what belongs below a fraction stands in parentheses: ``a / (b c)``;
- a name right before ``(``, with no space, is a function: ``sqrt(beta_t)``, ``E(eps | x_t)``;
  with a space it is a factor: ``beta_t (1 - alpha_bar_t)``;
- ``^`` is a power and binds closest; ``sum_k(...)`` sums over k; ``|...|`` is a length.

A value needs ``+ - * /``, whole powers and ``sqrt`` only, so it can be exact or symbolic; the
functions in :data:`FLOATING` have values in floating point. Three forms have a reading of their
own: ``1 - alpha_bar_t`` is a symbol where the numbers hold it as one, because its digits are not
those of a subtraction; ``alpha_1 ... alpha_t`` is a product; ``N(x; m, v I)`` is mean and variance.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Any

import numpy as np

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z]+[0-9]*(?:_(?:\{[^}]*\}|[A-Za-z0-9]+))*)(?P<call>\()?"
    r"|(?P<dots>\.\.\.)|(?P<sign><=|->|[-+/^()\[\]|=~<,;]))"
)
RELATIONS = ("=", "~", "<", "<=", "->", ",", ";")
FLOATING: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "ln": np.log,
    "cos": np.cos,
    "sin": np.sin,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


@dataclass(frozen=True)
class Node:
    """One node of the tree: what it is, its text, and its parts.

    kind: "number", "name", "dots", "+", "-", "*", "/", "^", "negative", "call", "length",
    "group", or "chain" (relations and commas, ``text`` holding the signs between the parts).
    """

    kind: str
    text: str = ""
    parts: "tuple[Node, ...]" = ()


def parse(text: str) -> Node:
    """The tree of a formula; ValueError, with the place, for what is not in the notation."""
    reader = _Reader(text)
    tree = reader.chain()
    if reader.sign is not None or reader.kind != "end":
        raise reader.error()
    return tree


class _Reader:
    """Reads one token ahead, and one level of the grammar a method."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0
        self.step()

    def step(self) -> None:
        self.start = self.place
        if not self.text[self.place :].strip():
            self.kind, self.token, self.sign = "end", "", None
            return
        match = TOKEN.match(self.text, self.place)
        if match is None:
            raise self.error()
        self.place = match.end()
        self.kind = "call" if match["call"] else str(match.lastgroup)
        self.token = match["name"] or match[self.kind]
        self.sign = self.token if self.kind == "sign" else None

    def error(self) -> ValueError:
        return ValueError(f"formula {self.text!r}: cannot read {self.text[self.start :]!r}")

    def expect(self, sign: str) -> None:
        if self.sign != sign:
            raise self.error()
        self.step()

    def chain(self, *more: str) -> Node:
        """Sums with relations or commas between them; a single sum is itself."""
        parts, signs = [self.sum()], []
        while self.sign in (*RELATIONS, *more):
            signs.append(str(self.sign))
            self.step()
            parts.append(self.sum())
        return Node("chain", " ".join(signs), tuple(parts)) if signs else parts[0]

    def sum(self) -> Node:
        if self.sign == "-":
            self.step()
            left = Node("negative", "", (self.term(),))
        else:
            left = self.term()
        while self.sign in ("+", "-"):
            kind = str(self.sign)
            self.step()
            left = Node(kind, "", (left, self.term()))
        return left

    def term(self) -> Node:
        left = self.factor()
        while True:
            if self.sign == "/":
                self.step()
                left = Node("/", "", (left, self.factor()))
            elif self.sign in ("(", "[") or self.kind in ("number", "name", "call", "dots"):
                left = Node("*", "", (left, self.factor()))
            else:
                return left

    def factor(self) -> Node:
        base = self.atom()
        if self.sign == "^":
            self.step()
            base = Node("^", "", (base, self.factor()))
        return base

    def atom(self) -> Node:
        kind, token = self.kind, self.token
        self.step()
        if kind in ("number", "name"):
            return Node(kind, token)
        if kind == "dots":
            return Node(kind)
        closing = {"(": ")", "[": "]", "|": "|"}.get("(" if kind == "call" else token)
        if closing is None:
            raise self.error()
        inside = self.chain(*(["|"] if kind == "call" else []))
        self.expect(closing)
        if kind == "call":
            return Node("call", token, (inside,))
        return Node({"(": "group", "[": "group", "|": "length"}[token], token, (inside,))


# ---- a value ----------------------------------------------------------------------------------


def names(tree: Node) -> Iterator[str]:
    """The names in a formula, functions left out, in order, repeated as they are."""
    if tree.kind == "name":
        yield tree.text
    for part in tree.parts:
        yield from names(part)


def value(tree: Node, numbers: Mapping[str, Any]) -> Any:
    """The value of one side of a formula for the given numbers, one for each of its names."""
    if tree.kind == "number":
        return float(tree.text) if "." in tree.text else int(tree.text)
    if tree.kind == "name":
        return numbers[tree.text]
    if tree.kind == "call":
        return _called(tree, numbers)
    if tree.kind == "length":
        return np.sqrt(np.sum(value(tree.parts[0], numbers) ** 2, axis=-1))
    if tree.kind == "-" and (whole := _complement(tree)) in numbers:
        return numbers[whole]
    if tree.kind == "^" and (square := f"{tree.parts[0].text}^{tree.parts[1].text}") in numbers:
        return numbers[square]
    factors = _factors(tree)
    if len(factors) > 2 and factors[-2].kind == "dots":
        before = [value(factor, numbers) for factor in factors[:-3]]
        return reduce(mul, [*before, _product(factors[-3].text, factors[-1].text, numbers)])
    if tree.kind not in _OPERATIONS:
        raise ValueError(f"{tree.kind} {tree.text!r} has no value")
    return _OPERATIONS[tree.kind](*(value(part, numbers) for part in tree.parts))


def has_value(tree: Node) -> bool:
    """Whether a side can be computed: it holds no relation, and no function but known ones."""
    if tree.kind == "call" and tree.text == "N":
        return _is_normal(tree) and all(has_value(part) for part in tree.parts[0].parts)
    if tree.kind == "call" and not (
        tree.text in ("sqrt", *FLOATING) or tree.text.partition("_")[0] in ("sum", "mean")
    ):
        return False
    if tree.kind == "^" and (tree.parts[1].kind != "number" or "." in tree.parts[1].text):
        return False
    return tree.kind != "chain" and all(has_value(part) for part in tree.parts)


def is_exact(tree: Node) -> bool:
    """Whether its value can be exact: it holds no function but roots, sums and means."""
    return not (tree.kind == "call" and tree.text in FLOATING or tree.kind == "length") and all(
        is_exact(part) for part in tree.parts
    )


def _called(tree: Node, numbers: Mapping[str, Any]) -> Any:
    if tree.text == "N":
        if not _is_normal(tree):
            raise ValueError("N needs a point, a mean and a variance: N(x; mean, variance I)")
        _, mean, variance = tree.parts[0].parts
        if variance.kind == "*" and variance.parts[1] == Node("name", "I"):
            variance = variance.parts[0]
        return value(mean, numbers), value(variance, numbers)
    inside = value(tree.parts[0], numbers)
    if tree.text in numbers:
        return numbers[tree.text](inside)
    if tree.text.startswith("sum_"):
        return np.sum(inside, axis=0)
    if tree.text.startswith("mean"):
        return np.sum(inside) / np.asarray(inside).size
    if tree.text == "sqrt":
        return np.sqrt(inside)
    if tree.text not in FLOATING:
        raise ValueError(f"the function {tree.text!r} has no value")
    return FLOATING[tree.text](inside)


def _is_normal(tree: Node) -> bool:
    return tree.parts[0].kind == "chain" and tree.parts[0].text == "; ,"


def _complement(tree: Node) -> str:
    """ "1 - name" for that difference, else nothing."""
    one, name = tree.parts
    return f"1 - {name.text}" if one == Node("number", "1") and name.kind == "name" else ""


def _factors(tree: Node) -> list[Node]:
    return [*_factors(tree.parts[0]), tree.parts[1]] if tree.kind == "*" else [tree]


def _product(first: str, last: str, numbers: Mapping[str, Any]) -> Any:
    """The factors from ``alpha_2`` to ``alpha_t``, both ends included."""
    base, _, start = first.rpartition("_")
    end = numbers[last.rpartition("_")[2]]
    if base != last.rpartition("_")[0] or not start.isdigit() or end < int(start) - 1:
        raise ValueError(f"{first} ... {last} is no product")
    total: Any = 1
    for i in range(int(start), end + 1):
        total = total * numbers[f"{base}_{i}"]
    return total


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
    "negative": lambda a: -a,
    "group": lambda a: a,
}
