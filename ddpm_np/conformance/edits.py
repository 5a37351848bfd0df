"""One thing changed in a formula: a sign, a root, a factor, a symbol, an index."""

from collections.abc import Iterator
from functools import lru_cache

from ddpm_np.conformance.formulas import Base, is_vector, substituted, text_of
from ddpm_np.equations.formula import Node, names

Edit = tuple[str, Node]  # what it is, and the changed formula
_KINDS = (
    ("alpha_bar_t", "alpha_bar_s", "alpha_bar_{t-1}", "alpha_bar_{t+1}"),
    ("alpha_{t|s}", "alpha_t", "alpha_{t-1}", "alpha_{t+1}"),
    ("beta_{t|s}", "beta_t", "beta_{t-1}", "beta_{t+1}"),
)
_INSTEAD = ("alpha_{t|s}", "alpha_bar_t", "beta_{t|s}", "alpha_bar_s", "alpha_t", "beta_t")
_ONE = Node("number", "1")


def edits_of(form: Base, single: bool) -> Iterator[tuple[str, Base]]:
    """The form with one thing changed, in its value, its variance or its sigma."""
    in_sigma = form.sigma if "sigma" in names(form.value) else None
    parts = (("value", "", form.value), ("variance", "", form.variance))
    for field, prefix, tree in (*parts, ("sigma", "in sigma^2: ", in_sigma)):
        for name, new in _all_edits(tree, single) if tree is not None else ():
            yield f"{prefix}{name}", form._replace(**{field: new})  # type: ignore[arg-type]


@lru_cache(maxsize=512)
def _all_edits(tree: Node, single: bool) -> tuple[Edit, ...]:
    found = [*_everywhere(tree, single), *_edits(tree, single)]
    return tuple((name, new) for name, new in found if _text(new, single) != _text(tree, single))


def _everywhere(tree: Node, single: bool) -> Iterator[Edit]:
    """One symbol for another at every place."""
    there = list(names(tree))
    for old in dict.fromkeys(n for n in there if there.count(n) > 1):
        for new in _others(old):
            label = f"{_text(Node('name', new), single)} for {_text(Node('name', old), single)}"
            yield f"{_off(old, new)}{label}", substituted(tree, {old: Node("name", new)})


def _others(name: str) -> list[str]:
    kind = next((k for k in _KINDS if name in k), ())
    return [n for n in dict.fromkeys((*kind, *_INSTEAD)) if n != name] if kind else []


def _off(old: str, new: str) -> str:
    return "t off by one: " if any(old in k and new in k and "|" not in new for k in _KINDS) else ""


def _text(tree: Node, single: bool) -> str:
    text = text_of(tree, single)
    return text[1:-1] if tree.kind == "group" else text


def _group(tree: Node) -> Node:
    return Node("group", "(", (tree,))


def _sqrt(tree: Node) -> Node:
    return Node("call", "sqrt", (tree,))


def _atom(tree: Node) -> str | None:
    """The name in a, 1 - a or (1 - a); None for anything else."""
    if tree.kind == "group":
        return _atom(tree.parts[0])
    if tree.kind == "-" and tree.parts[0] == _ONE and tree.parts[1].kind == "name":
        return tree.parts[1].text
    return tree.text if tree.kind == "name" and any(tree.text in k for k in _KINDS) else None


def _swapped(tree: Node) -> Iterator[Edit]:
    """Another atom for this one, with what is said before it."""
    name = _atom(tree)
    if name is None:
        return

    def minus(text: str) -> Node:
        return _group(Node("-", "", (_ONE, Node("name", text))))

    if tree.kind == "name":
        yield from ((_off(name, other), Node("name", other)) for other in _others(name))
        if "bar" in name:
            yield "", minus(name)
        return
    yield from ((_off(name, other), minus(other)) for other in _others(name))
    yield from (("", Node("name", other)) for other in dict.fromkeys((name, *_INSTEAD[:3])))
    yield "", _group(Node("+", "", (_ONE, Node("name", name))))


def _edits(tree: Node, single: bool) -> Iterator[Edit]:
    """The tree with one thing changed, at one place."""
    yield from _here(tree, single)
    if tree.kind == "^" or (tree.kind == "group" and _atom(tree) is not None):
        return
    for i, part in enumerate(tree.parts):
        for name, new in _edits(part, single):
            if name:
                parts = (*tree.parts[:i], new, *tree.parts[i + 1 :])
                yield name, Node(tree.kind, tree.text, parts)


def _here(tree: Node, single: bool) -> Iterator[Edit]:
    """The edits of the outermost part."""
    text, parts = _text(tree, single), tree.parts
    if tree.kind == "call":
        inner = parts[0]
        yield f"a missing root: {_text(inner, single)} for {text}", _group(inner)
        yield f"two roots: sqrt({text}) for {text}", _sqrt(tree)
        for off, other in _swapped(inner):
            told = f"{off}{_text(_sqrt(other), single)} for {text}"
            yield told.replace("((", "(").replace("))", ")"), _sqrt(other)
        return
    if _atom(tree) is not None and tree.kind != "-":
        for off, other in _swapped(tree):
            yield f"{off}{_text(other, single)} for {text}", other
        yield f"a root too many: sqrt({text}) for {text}", _sqrt(tree)
        yield f"{text} is squared", Node("^", "", (tree, Node("number", "2")))
        return
    if len(parts) < 2:
        return
    first, second = parts
    left, right = (_text(p, single) for p in parts)
    if tree.kind in ("+", "-"):
        sign = "+" if tree.kind == "-" else "-"
        turned = Node(sign, "", parts)
        if is_vector(tree):
            yield "the sign of one term is turned", turned
            yield "a term is missing", first
            yield "a term is missing", Node("negative", "", (second,)) if sign == "+" else second
            return
        yield f"{left} {sign} {right} for {text}", turned
        if first.kind != "number":
            yield f"{right} is not subtracted from {left}", first
    elif tree.kind == "^":
        yield f"{left} for {text}", first
    elif not is_vector(second) and second.kind != "number":
        product = tree.kind == "*"
        yield f"the {'factor' if product else 'division by'} {right} is missing", first
        how, sign = ("divided", "/") if product else ("multiplied", "*")
        yield f"{how} by {right}, the wrong way round", Node(sign, "", parts)
        if not product and second.kind == "group" and _atom(second) is None:
            told = f"a root too many: sqrt({right}) for {right}"
            yield told, Node("/", "", (first, _sqrt(second)))
    if tree.kind == "*" and not is_vector(first) and first.kind != "number":
        yield f"the factor {left} is missing", second
