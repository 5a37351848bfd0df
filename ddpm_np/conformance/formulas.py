"""The formulas of the operations as trees, read from the equations' docstrings.

A coefficient is the value of the whole formula at a unit vector. So one tree gives all of an
operation's coefficients, and an edit of the tree is what the same mistake in the code does to them.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from ddpm_np.equations import formulas
from ddpm_np.equations.formula import Node, names, parse

VECTORS = ("x_prev", "x_0", "x_t", "noise", "eps", "v", "z")
# For the step from t to s.
_TO_S = {"beta_t": "beta_{t|s}", "alpha_t": "alpha_{t|s}", "alpha_bar_{t-1}": "alpha_bar_s"}


class Base(NamedTuple):
    """One way to write an operation: its value, its variance, sigma, and a name of its own."""

    value: Node
    variance: Node | None
    sigma: Node
    name: str = ""


def substituted(tree: Node, trees: Mapping[str, Node]) -> Node:
    """The tree with other trees for some of its names."""
    if tree.kind == "name" and tree.text in trees:
        new = trees[tree.text]
        return new if new.kind in ("name", "group") else Node("group", "(", (new,))
    parts = tuple(substituted(p, trees) for p in tree.parts)
    same = all(new is old for new, old in zip(parts, tree.parts))
    return tree if same else Node(tree.kind, tree.text, parts)


def subtrees(tree: Node) -> Iterator[Node]:
    """The tree and all that is in it."""
    yield tree
    for part in tree.parts:
        yield from subtrees(part)


def _of(path: str, number: int = 0, **other: str) -> Node:
    """What the docstring of a function says, for the step from t to s, with other names."""
    renamed = {"x_{t-1}": "x_prev", "eps_hat": "eps", **_TO_S, **other}
    tree = formulas(path)[number].right
    return substituted(tree, {old: Node("name", new) for old, new in renamed.items()})


@lru_cache
def parts(output: str = "eps") -> dict[str, Node]:
    """What the formulas of steps are made of, where a model answers eps, x_0 or v."""
    mean, tilde = (_of("posterior.posterior_mean_variance", i) for i in (0, 1))
    own = Node("name", output)
    x_0, eps = {
        "eps": (_of("posterior.predict_x0"), own),
        "x_0": (own, _of("posterior.predict_eps")),
        "v": (_of("closed_form.ideal.x0_from_v"), _of("closed_form.ideal.eps_from_v")),
    }[output]
    ddim = _of("sampling.ddim_step", x0_hat="x0_hat")
    return {
        "x_0": x_0,
        "eps": eps,
        "tilde": tilde,
        "beta": Node("name", "beta_{t|s}"),
        "sigma": Node("call", "sqrt", (_of("sampling.ddim_step", 2),)),
        "mean": substituted(mean, {} if output == "x_0" else {"x_0": x_0}),
        "ddim": substituted(ddim, {"x0_hat": x_0} | ({} if output == "eps" else {"eps": eps})),
    }


@lru_cache
def bases(operation: str, output: str = "eps") -> tuple[Base, ...]:
    """The forms in which an operation is usually written; all but those of the noise are equal."""
    part = parts(output)
    noised = _of("forward.q_sample", eps="noise")
    single: dict[str, tuple[Node, Node | None]] = {
        "alphas_cumprod": (Node("name", "alpha_bar_t"), None),
        "q_step": (_of("forward.q_step", 1, eps="noise", beta_t="beta_t"), None),
        "q_sample": (noised, None),
        "p_losses": (noised, None),
        "q_mean_variance": (noised, parse("1 - alpha_bar_t")),
        "q_posterior_mean_variance": (_of("posterior.posterior_mean_variance"), part["tilde"]),
        "predict_x0": (part["x_0"], None),
        "predict_eps": (_of("posterior.predict_eps"), None),
        "ddim_step": (part["ddim"], None),
    }
    if operation in single:
        return (Base(*single[operation], part["sigma"]),)
    means = [_of("posterior.posterior_mean_from_eps")] if output == "eps" else []
    found = []
    for name, spread in (("beta_tilde", part["tilde"]), ("beta", part["beta"])):
        for mean in (*means, part["mean"]):
            if operation == "p_mean_variance":
                found.append(Base(mean, spread, part["sigma"], name))
                continue
            noise = Node("*", "", (Node("call", "sqrt", (spread,)), Node("name", "z")))
            found.append(Base(Node("+", "", (mean, noise)), None, part["sigma"], name))
    return tuple(found)


@lru_cache(maxsize=100_000)
def is_vector(tree: Node) -> bool:
    """Whether a vector is in the tree."""
    return any(name in VECTORS for name in names(tree))


def text_of(tree: Node, single: bool = True) -> str:
    """The tree in the notation; for single steps s is t - 1."""
    parts = [text_of(part, single) for part in tree.parts]
    if tree.kind in ("name", "number"):
        text = tree.text
        return text.replace("{t|s}", "t").replace("bar_s", "bar_{t-1}") if single else text
    if tree.kind == "call":
        return f"{tree.text}({parts[0]})"
    if tree.kind == "group":
        return parts[0] if parts[0].startswith("(") and parts[0].endswith(")") else f"({parts[0]})"
    if tree.kind == "negative":
        return f"-{parts[0]}"
    return {"*": " ", "^": "^"}.get(tree.kind, f" {tree.kind} ").join(parts)
