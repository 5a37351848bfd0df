"""The formulas of the package, read from the docstrings of its functions.

In a docstring with an equation number, such as "(E10)", a paragraph that is an equation in the
notation of :mod:`ddpm_np.equations.formula` says what the function returns. It does not end with
a period, which is how it is told from a sentence. Further equations in the same paragraph, after
a comma or on lines of their own, are the parts of what is returned, or define a symbol of their
own; so does a name that a parameter gives to its symbol:

>>> [formula] = formulas("forward.q_sample")
>>> formula.text
'x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps'
>>> float(formula.value({"alpha_bar_t": 0.64, "x_0": 1.0, "eps": 1.0}))
1.4
>>> symbol_of("one_minus_alpha_bar_prev")
'1 - alpha_bar_{t-1}'
"""

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from ddpm_np.equations.formula import Node, has_value, is_exact, parse, value
from ddpm_np.equations.typeset import latex

_NUMBER = re.compile(r"\bE(\d+)(?: to E(\d+))?")
_RELATION = re.compile(r"<=|->|[=~<]")


@dataclass(frozen=True)
class Formula:
    """One equation. ``block`` holds all equations that stand with it, this one included."""

    text: str
    block: "tuple[Formula, ...]" = field(default=(), compare=False, repr=False)
    without_value: bool = False

    @cached_property
    def tree(self) -> Node:
        """The whole of it; ValueError for what is not in the notation."""
        return parse(self.text)

    @cached_property
    def left(self) -> Node | None:
        """What it is about, or None for a formula without a relation."""
        return self.tree.parts[0] if self.tree.kind == "chain" else None

    @cached_property
    def right(self) -> Node:
        """What that is, by the last part."""
        return self.tree.parts[-1] if self.tree.kind == "chain" else self.tree

    @cached_property
    def parts(self) -> tuple[Node, ...]:
        """What must be equal: the right-hand sides, and the left one if it is a sum."""
        if self.left is None:
            return (self.tree,)
        return self.tree.parts if self.left.kind in ("+", "-") else self.tree.parts[1:]

    @cached_property
    def squared(self) -> str:
        """The name whose square is on the left, or nothing."""
        left = self.left
        if left is None or left.kind != "^" or left.parts[0].kind != "name":
            return ""
        return left.parts[0].text if left.parts[1] == Node("number", "2") else ""

    @property
    def stated(self) -> bool:
        """Whether it has no value that could be compared, as a density has none."""
        relations = set(self.tree.text.split()) if self.tree.kind == "chain" else {"="}
        return (
            self.without_value
            or relations != {"="}
            or not all(has_value(part) for part in self.parts)
            or (self.left is not None and self.left.kind in ("*", "/"))
            or (bool(self.block) and self.block[0] is not self and self.block[0].stated)
        )

    @property
    def is_distribution(self) -> bool:
        """Whether it says how something is distributed: q(...) = N(x; mean, variance I)."""
        return self.right.kind == "call" and self.right.text == "N"

    @property
    def exact(self) -> bool:
        """Whether its value can be exact, or only in floating point."""
        return not self.stated and all(is_exact(part) for part in self.parts)

    def value(self, numbers: Mapping[str, Any], part: int = -1) -> Any:
        """A part, by default the last, for these numbers, keyed by the names of the symbols."""
        return value(self.parts[part], Defined(numbers, self.block))

    def latex(self) -> str:
        """The whole formula in LaTeX."""
        return latex(self.tree)


class Defined(dict[str, Any]):
    """Numbers by their names, and the symbols that the equations of a block define from them."""

    def __init__(self, numbers: Mapping[str, Any], block: tuple[Formula, ...]) -> None:
        self.numbers, self.block = numbers, block

    def __missing__(self, name: str) -> Any:
        if name in self.numbers:
            return self.numbers[name]
        formula = self._defining(name)
        if formula is None:
            raise KeyError(name)
        found = value(formula.right, self)
        return value(parse("sqrt(x)"), {"x": found}) if formula.squared == name else found

    def __contains__(self, name: object) -> bool:
        return name in self.numbers or self._defining(str(name)) is not None

    def _defining(self, name: str) -> Formula | None:
        """The equation of which the name, or its square, is the left-hand side."""
        for formula in self.block:
            square = formula.squared
            if formula.left == Node("name", name) or square and name in (square, f"{square}^2"):
                return formula
        return None


def function_at(path: str) -> Any:
    """What stands at a path below ``ddpm_np``, such as "posterior.psi_2"."""
    return pkgutil.resolve_name(f"ddpm_np.{path}")


def function_of(path: str) -> Any:
    """The function that is written at a path; for a class, what calling its objects is.

    >>> function_of("forward.q_sample").__name__
    'q_sample'
    """
    found = function_at(path)
    if inspect.isclass(found):
        found = vars(found).get("__call__", vars(found).get("__init__"))
    for wrapper in ("__func__", "func", "fget"):
        found = getattr(found, wrapper, None) or found
    return inspect.unwrap(found)


def formulas(function: str | Callable[..., Any]) -> tuple[Formula, ...]:
    """The equations in the docstring of a function, given by itself or by its path.

    None where the docstring has no equation number. ValueError for one that cannot be read.
    """
    found = function_at(function) if isinstance(function, str) else function
    name = f"{found.__module__.removeprefix('ddpm_np.')}.{found.__qualname__}"
    return _formulas_in(name, inspect.getdoc(found) or "")


@lru_cache(maxsize=1024)
def _formulas_in(name: str, doc: str) -> tuple[Formula, ...]:
    read: list[Formula] = []
    for paragraph in doc.split("\n\n")[1:] if _equation_numbers(doc) else ():
        if _is_equation(paragraph):
            try:
                read += _block(_statements(paragraph))
            except ValueError as error:
                raise ValueError(f"the docstring of {name}: {error}") from None
    return tuple(read)


def equation_numbers(found: Any) -> tuple[str, ...]:
    """The numbers in the first line of a docstring: "(E9)", "(E11, E12)", "(E3 to E6)"."""
    return _equation_numbers(inspect.getdoc(found) or "")


def _equation_numbers(doc: str) -> tuple[str, ...]:
    first = doc.partition("\n\n")[0]
    numbers: list[str] = []
    for inside in re.findall(r"\(([^()]*\bE\d[^()]*)\)", first):
        for low, high in _NUMBER.findall(inside):
            numbers += [f"E{n}" for n in range(int(low), int(high or low) + 1)]
    return tuple(numbers)


def symbol_of(parameter: str) -> str:
    """The symbol of a parameter's name, as formulas write it.

    x_prev is x_{t-1}, alpha_ts is alpha_{t|s}, one_minus_alpha_bar_t is 1 - alpha_bar_t.
    """
    if parameter.startswith("one_minus_"):
        return f"1 - {symbol_of(parameter.removeprefix('one_minus_'))}"
    for ending, index in (("_prev", "_{t-1}"), ("_ts", "_{t|s}")):
        if parameter.endswith(ending):
            return parameter.removesuffix(ending) + index
    return parameter


def _block(texts: Iterator[str]) -> tuple[Formula, ...]:
    block = tuple(map(Formula, texts))
    for formula in block:
        object.__setattr__(formula, "block", block)
        _ = formula.tree  # a ValueError where it cannot be read
    return block


def _is_equation(paragraph: str) -> bool:
    lines = paragraph.strip().split("\n")
    return (
        not lines[-1].rstrip().endswith((".", ":", ";", ","))
        and ". " not in " ".join(lines).replace("... ", "")
        and not lines[0].startswith(
            (">>>", "Parameters", "Returns", "Attributes", "From", "Source")
        )
        and not any(re.fullmatch(r"\s*-+", line) or " : " in line for line in lines)
        and bool(_RELATION.search(_top_level(paragraph)))
    )


def _statements(paragraph: str) -> Iterator[str]:
    """The equations of a paragraph, cut at its commas and at lines with a relation of their own."""
    text = ""
    for line in (line.strip() for line in paragraph.strip().split("\n")):
        own = _RELATION.search(_top_level(line))
        new = own and own.start() and _RELATION.search(_top_level(text))
        text += f"{'' if text.endswith(',') or not text else ',' if new else ''} {line}"
    depth, start = 0, 0
    for i, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign in ",;" and not depth:
            yield text[start:i].strip()
            start = i + 1
    if text[start:].strip():
        yield text[start:].strip()


def _top_level(text: str) -> str:
    """The text without what stands in parentheses, blanks in their place."""
    while (shorter := re.sub(r"[({\[][^(){}\[\]]*[)}\]]", lambda m: " " * len(m[0]), text)) != text:
        text = shorter
    return text
