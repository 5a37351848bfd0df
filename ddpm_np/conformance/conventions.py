"""Known ways to depart from an equation, each as the coefficients that it would give.

Some are conventions with a name, some are errors that were seen in public code or in print, and the
rest are single edits of the formula: a sign, a root, a factor, a symbol, an index. One of them
explains a deviation if it gives all the coefficients, at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.formulas import (
    COEFFICIENTS,
    Base,
    Steps,
    Tables,
    Value,
    bases,
    coefficients,
    evaluate,
    is_vector,
    numbers,
    rounding,
    text_of,
)
from ddpm_np.equations.formula import Node, names, parse

Found = dict[str, Value]
_KINDS = (
    ("alpha_bar_t", "alpha_bar_s", "alpha_bar_{t-1}", "alpha_bar_{t+1}"),
    ("alpha_{t|s}", "alpha_t", "alpha_{t-1}", "alpha_{t+1}"),
    ("beta_{t|s}", "beta_t", "beta_{t-1}", "beta_{t+1}"),
)
_INSTEAD = ("alpha_{t|s}", "alpha_bar_t", "beta_{t|s}", "alpha_bar_s", "alpha_t", "beta_t")
_SECOND = "beta_{t+1} (1 - alpha_bar_t) / (1 - alpha_bar_{t+1})"
_TILDE = "beta_tilde_{t|s}"
_OVER = "beta_{t|s} (1 - alpha_bar_t) / (1 - alpha_bar_s)"
_VARIANCES = {
    "beta for beta_tilde": ("beta_{t|s}", "beta_t"),
    "beta_1 for beta_tilde_1, which is 0, as from alpha_bar_0 = alpha_bar_1": (_TILDE, "beta_t"),
    "beta_tilde_2 for beta_tilde_1, which is 0": (_TILDE, _SECOND),
    "the logarithm of the variance for the variance": (f"ln({_TILDE})", f"ln({_TILDE})"),
    "the fraction (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) is turned over": (_OVER, _OVER),
    "a root too many: the standard deviation for the variance": (f"sqrt({_TILDE})", "0 beta_t"),
}
_MASKS = {"no noise at any step": 10**9, "no noise at t = 1 and t = 2: the mask is off by one": 2}
_LAST = "noise at the last step: t = 1 adds noise of variance"


class World:
    """The steps, the tables and the roundoff in which candidates are evaluated."""

    def __init__(self, operation: str, output: str, tables: Tables, steps: Steps, u: float) -> None:
        self.operation, self.output, self.tables = operation, output, tables
        self.steps, self.u = steps, u
        self.at = numbers(tables, steps)
        self.off = rounding(self.at, steps, u)
        self.bases = bases(operation, output)
        named = [output if n == "output" else n for _, n in COEFFICIENTS[operation]]
        self.vectors = [n for n in named if "variance" not in n]

    def only(self, which: Any) -> World:
        """The same at some of the steps."""
        return World(self.operation, self.output, self.tables, self.steps.only(which), self.u)

    def of(self, base: Base, at: Any = None, last: bool = False) -> Found:
        """The coefficients of a form; last: with noise at the last step, too."""
        at = self.at if at is None else at
        off = self.off if at is self.at else rounding(at, self.steps, self.u)
        found = coefficients(base, at, off, self.u, self.vectors)
        if self.operation == "reverse_step" and "z" in found and not last:
            found["z"] = masked(found["z"], self.steps.s == 0)
        if "variance" in found:
            v = found["variance"]
            with np.errstate(all="ignore"):
                found["log variance"] = Value(np.log(v.value), 1, v.off / abs(v.value) + self.u)
        return found


def masked(value: Value, where: Array) -> Value:
    """The value with 0 at some steps, and without rounding where it was not 0 before."""
    off = np.where(where & (value.value != 0), 0, value.off)
    return Value(np.where(where, 0, value.value), value.size, off)


Candidate = tuple[str, Callable[[World], Found]]


def candidates(operation: str, output: str, tables: Tables, single: bool) -> Iterator[Candidate]:
    """Names, and the coefficients that they give, the likeliest first."""
    forms = bases(operation, output)
    if operation == "reverse_step":
        yield from _noises(forms)
    if operation in ("reverse_step", "ddim_step", "p_mean_variance"):
        for other in ("eps", "x_0", "v"):
            for form in bases(operation, other) if other != output else ():
                text = f"the model's output is taken for {other}, not for {output}"
                yield text, _output_taken(form, other, output)
    if operation in ("q_posterior_mean_variance", "p_mean_variance"):
        yield from _variances(forms[0])
    for name, elsewhere in _elsewhere(operation, tables):
        for form in forms:
            yield name, _of(form, elsewhere)
    if operation == "ddim_step":
        yield from _sigmas(forms)
    for form in forms:
        for name, edited in edits_of(form, single):
            yield name, _of(edited)
    if operation == "reverse_step":
        for form in (f for f in forms if f.name == "beta"):
            for name, edited in edits_of(form, single):
                yield f"noise at the last step; and {name}", _of(edited, last=True)


def _of(form: Base, at: Any = None, last: bool = False) -> Callable[[World], Found]:
    return lambda w: w.of(form, at(w) if at else None, last)


def _output_taken(form: Base, other: str, output: str) -> Callable[[World], Found]:
    def build(w: World) -> Found:
        found = World(w.operation, other, w.tables, w.steps, w.u).of(form)
        return {output if k == other else k: v for k, v in found.items()}

    return build


def _with(w: World, form: Base, name: str, first: str, usual: str = "") -> Found:
    """The coefficients with another one: a text for the steps before t = 1, and one at t = 1."""
    found = w.of(form, last=True)
    with np.errstate(all="ignore"):
        there = evaluate(parse(usual), w.at, w.off, w.u) if usual else found[name]
        last, at_1 = w.steps.s == 0, evaluate(parse(first), w.at, w.off, w.u)
        value, off = (np.where(last, x, y) for x, y in ((at_1[0], there[0]), (at_1[2], there[2])))
        found[name] = Value(value, 1, off + 64 * w.u * abs(value))
        if name == "variance":
            found["log variance"] = Value(np.log(value), 1, off / abs(value) + w.u)
    return found


def _noises(forms: tuple[Base, ...]) -> Iterator[Candidate]:
    """Noise at the wrong steps, with either variance at the others."""
    for name, text in (("beta_1", "beta_t"), ("beta_tilde_2", _SECOND), ("beta_2", "beta_{t+1}")):
        for form in forms:
            yield f"{_LAST} {name}", partial(_with, form=form, name="z", first=f"sqrt({text})")
    for name, least in _MASKS.items():
        for form in forms:

            def build(w: World, form: Base = form, least: int = least) -> Found:
                found = w.of(form)
                return found | {"z": masked(found["z"], w.steps.t <= least)}

            yield name, build


def _variances(form: Base) -> Iterator[Candidate]:
    """Other variances than beta_tilde, which is 0 at t = 1."""
    for name, (usual, first) in _VARIANCES.items():
        yield name, partial(_with, form=form, name="variance", first=first, usual=usual)


def _elsewhere(operation: str, tables: Tables) -> Iterator[tuple[str, Callable[[World], Any]]]:
    """The same formula on other tables."""
    T, beta = tables.T, tables.beta
    yield (
        "t off by one: the tables at t - 1 for those at t",
        lambda w: numbers(w.tables, w.steps, w.steps.t - 1, w.steps.s - 1),
    )
    yield (
        "t off by one: the tables at t + 1 for those at t",
        lambda w: numbers(w.tables, w.steps, w.steps.t + 1, w.steps.s + 1),
    )
    wraps = "index -1 wraps round: at t = 1 the tables are those of t = T"

    def wrapped(w: World) -> Any:
        t, s = w.steps.t - 1, w.steps.s - 1
        return numbers(w.tables, w.steps, np.where(t < 1, t + T, t), np.where(s < 1, s + T, s))

    yield f"{wraps}, else those of t - 1", wrapped
    yield (
        f"{wraps} for alpha_bar_0",
        lambda w: numbers(w.tables, w.steps, None, np.where(w.steps.s == 0, T, w.steps.s)),
    )
    yield (
        "time runs backwards: the tables at T + 1 - t for those at t",
        lambda w: numbers(w.tables, w.steps, T + 1 - w.steps.t, np.minimum(T + 1 - w.steps.s, T)),
    )
    yield (
        "time runs backwards: the tables at T + 1 - t for those at t",
        lambda w: numbers(w.tables, w.steps, T + 1 - w.steps.t, T - w.steps.t),
    )
    if tables.given is not None and operation != "alphas_cumprod":
        own = tables.with_bar(np.append(1, tables.given))
        yield "its own alphas_cumprod, which is not that of its betas", _on(own)
    one = tables.with_bar(np.append(tables.bar[1], tables.bar[1:]))

    def same_level(w: World) -> Any:
        at = numbers(one, w.steps)
        first = w.steps.s == 0
        ratio = at["alpha_bar_t"] / at["alpha_bar_s"]
        at["alpha_{t|s}"] = np.where(first, ratio, at["alpha_{t|s}"])
        at["beta_{t|s}"] = np.where(first, 1 - ratio, at["beta_{t|s}"])
        return at

    yield "alpha_bar_0 = alpha_bar_1", _on(one)
    yield "alpha_bar_0 = alpha_bar_1", same_level
    with np.errstate(all="ignore"):
        others = {
            "cumprod(betas) for cumprod(1 - betas)": np.cumprod(np.append(1, beta[1:])),
            "exp(-sum of betas) for the product of 1 - betas": np.exp(-np.cumsum(beta)),
            "a root too many: the product of sqrt(alpha_t)": np.sqrt(tables.bar),
            "a missing root: alpha_bar squared": tables.bar**2,
            "half precision: alpha_bar is rounded to float16": np.float16(tables.bar),
        }
    for name, bar in others.items():
        yield name, _on(tables.with_bar(bar))
    half: Any = tables.with_bar(tables.bar)
    half.beta, half.alpha = (
        np.float16(beta).astype(np.longdouble),
        1 - np.float16(beta).astype(np.longdouble),
    )
    half.bar = np.cumprod(half.alpha)
    yield "half precision: the betas are rounded to float16", _on(half)
    if operation in ("ddim_step", "reverse_step"):
        text = "t off by one: s = t - 1 for the s that was asked for"
        yield text, lambda w: numbers(w.tables, w.steps._replace(s=w.steps.t - 1))
    if operation == "ddim_step":
        for name, eta in (("0", 0.0), ("1", 1.0)):
            yield (f"eta is ignored: it is {name} at every step", partial(_with_eta, eta))
        for far in (d for k in range(1, 31) for d in (-k, k)):

            def shifted(w: World, far: int = far) -> Any:
                s = np.where(w.steps.s > 0, np.clip(w.steps.s + far, 0, w.steps.t), 0)
                return numbers(w.tables, w.steps._replace(s=s))

            yield f"it goes to another step than asked: to s {far:+d}", shifted


def _with_eta(eta: float, w: World) -> Any:
    return {**w.at, "eta": np.full_like(w.at["eta"], eta)}


def _on(tables: Tables) -> Callable[[World], Any]:
    """The numbers of other tables."""
    return lambda w: numbers(tables, w.steps)


def _sigmas(forms: tuple[Base, ...]) -> Iterator[Candidate]:
    """Other variances of a DDIM step."""
    known = {
        "sigma^2 = eta^2 (1 - alpha_bar_t)": "eta sqrt(1 - alpha_bar_t)",
        "sigma^2 = eta^2 (1 - alpha_bar_s)": "eta sqrt(1 - alpha_bar_s)",
        "beta for beta_tilde in sigma^2": "eta sqrt(beta_{t|s})",
        "sigma = eta": "eta",
    }
    for form in forms:
        for name, text in known.items():
            other = form._replace(sigma=parse(text))
            yield name, _of(other)


# ---- single edits -------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _edits(tree: Node, single: bool) -> tuple[tuple[str, Node], ...]:
    found = [*_everywhere(tree, single), *edits(tree, single)]
    return tuple((name, new) for name, new in found if _text(new, single) != _text(tree, single))


def edits_of(form: Base, single: bool) -> Iterator[tuple[str, Base]]:
    """The form with one thing changed, in its value, its variance or its sigma."""
    if form.value is not None:
        for name, tree in _edits(form.value, single):
            yield name, form._replace(value=tree)
    if form.variance is not None:
        for name, tree in _edits(form.variance, single):
            yield name, form._replace(variance=tree)
    if form.value is not None and "sigma" in names(form.value):
        for name, tree in _edits(form.sigma, single):
            yield f"in sigma^2: {name}", form._replace(sigma=tree)


def _everywhere(tree: Node, single: bool) -> Iterator[tuple[str, Node]]:
    """One symbol for another at every place."""

    def put(node: Node, old: str, new: str) -> Node:
        if node.kind == "name" and node.text == old:
            return Node("name", new)
        return Node(node.kind, node.text, tuple(put(p, old, new) for p in node.parts))

    there = [n for n in dict.fromkeys(names(tree)) if any(n in k for k in _KINDS)]
    for old in there:
        if list(names(tree)).count(old) > 1:
            for new in _others(old):
                label = f"{_text(Node('name', new), single)} for {_text(Node('name', old), single)}"
                yield f"{_off(old, new)}{label}", put(tree, old, new)


def _others(name: str) -> list[str]:
    kind = next((k for k in _KINDS if name in k), ())
    return [n for n in dict.fromkeys((*kind, *_INSTEAD)) if n != name] if kind else []


def _off(old: str, new: str) -> str:
    return "t off by one: " if any(old in k and new in k and "|" not in new for k in _KINDS) else ""


def _text(tree: Node, single: bool) -> str:
    text = text_of(tree, single)
    return text[1:-1] if tree.kind == "group" else text


def _atom(tree: Node) -> str | None:
    """The name in a, 1 - a or (1 - a); None for anything else."""
    if tree.kind == "group":
        return _atom(tree.parts[0])
    if tree.kind == "-" and tree.parts[0].text == "1" and tree.parts[1].kind == "name":
        return tree.parts[1].text
    return tree.text if tree.kind == "name" and any(tree.text in k for k in _KINDS) else None


def _swapped(tree: Node) -> Iterator[tuple[str, Node]]:
    """Another atom for this one, with what is said before it."""
    name = _atom(tree)
    if name is None:
        return
    one = Node("number", "1")

    def minus(text: str) -> Node:
        return Node("group", "(", (Node("-", "", (one, Node("name", text))),))

    is_name = tree.kind == "name"
    for other in _others(name):
        yield _off(name, other), (Node("name", other) if is_name else minus(other))
    if is_name:
        if "bar" in name:
            yield "", minus(name)
    else:
        yield "", Node("name", name)
        for other in _INSTEAD[:3]:
            if other != name:
                yield "", Node("name", other)
        yield "", Node("group", "(", (Node("+", "", (one, Node("name", name))),))


def edits(tree: Node, single: bool = True) -> Iterator[tuple[str, Node]]:
    """The tree with one thing changed, and what it is."""
    text, parts = _text(tree, single), tree.parts
    if tree.kind == "call":
        inner = parts[0]
        name = _text(inner, single)
        yield f"a missing root: {name} for {text}", Node("group", "(", (inner,))
        yield f"two roots: sqrt({text}) for {text}", Node("call", "sqrt", (tree,))
        for off, other in _swapped(inner):
            new = Node("call", "sqrt", (other,))
            yield f"{off}{_text(new, single)} for {text}".replace("((", "(").replace("))", ")"), new
    elif _atom(tree) is not None and tree.kind != "-":
        for off, other in _swapped(tree):
            yield f"{off}{_text(other, single)} for {text}", other
        yield f"a root too many: sqrt({text}) for {text}", Node("call", "sqrt", (tree,))
        yield f"{text} is squared", Node("^", "", (tree, Node("number", "2")))
    elif tree.kind in ("+", "-") and is_vector(tree):
        turned = Node("-" if tree.kind == "+" else "+", "", parts)
        yield "the sign of one term is turned", turned
        yield "a term is missing", parts[0]
        yield "a term is missing", Node("negative", "", parts[1:]) if tree.kind == "-" else parts[1]
    elif tree.kind in ("+", "-"):
        left, right = (_text(p, single) for p in parts)
        sign = "+" if tree.kind == "-" else "-"
        yield f"{left} {sign} {right} for {text}", Node(sign, "", parts)
        if parts[0].kind != "number":
            yield f"{right} is not subtracted from {left}", parts[0]
    elif tree.kind in ("*", "/"):
        left, right = (_text(p, single) for p in parts)
        product = tree.kind == "*"
        if not is_vector(parts[1]) and parts[1].kind != "number":
            what = "the factor" if product else "the division by"
            yield f"{what} {right} is missing", parts[0]
            how = "divided" if product else "multiplied"
            yield f"{how} by {right}, the wrong way round", Node("/*"[not product], "", parts)
            if not product and parts[1].kind == "group" and _atom(parts[1]) is None:
                yield (
                    f"a root too many: sqrt({right}) for {right}",
                    Node("/", "", (parts[0], Node("call", "sqrt", (parts[1],)))),
                )
        if product and not is_vector(parts[0]) and parts[0].kind != "number":
            yield f"the factor {left} is missing", parts[1]
    elif tree.kind == "^":
        yield f"{_text(parts[0], single)} for {text}", parts[0]
    for i, part in enumerate(parts):
        if tree.kind == "^" or (tree.kind == "group" and _atom(tree) is not None):
            continue
        for name, new in edits(part, single):
            if name:
                yield name, Node(tree.kind, tree.text, (*parts[:i], new, *parts[i + 1 :]))
