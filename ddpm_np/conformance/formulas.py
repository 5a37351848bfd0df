"""The formulas of the operations as trees: their exact coefficients, and what rounding may cost.

A coefficient is the value of the whole formula at a unit vector. So one tree gives all of an
operation's coefficients, and an edit of the tree is what a slip in the code would do to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddpm_np._checks import Array
from ddpm_np.conformance.subject import DIGITS, Exact
from ddpm_np.equations import formulas
from ddpm_np.equations.formula import Node, names, parse

VECTORS = ("x_prev", "x_0", "x_t", "noise", "eps", "v", "z")
# Which rows an operation gives: equation and coefficient; "output" is eps, or what stands for it.
COEFFICIENTS = {
    "alphas_cumprod": [("E2", "alpha_bar_t")],
    "q_step": [("E1", "x_prev"), ("E1", "noise")],
    "q_sample": [("E6", "x_0"), ("E6", "noise")],
    "q_mean_variance": [("E6", "x_0"), ("E6", "variance"), ("E6", "log variance")],
    "q_posterior_mean_variance": [
        ("E11", "variance"),
        ("E11", "log variance"),
        ("E12", "x_0"),
        ("E12", "x_t"),
    ],
    "predict_x0": [("E13", "x_t"), ("E13", "output")],
    "predict_eps": [("E13", "x_t"), ("E13", "x_0")],
    "p_mean_variance": [
        ("E11", "variance"),
        ("E11", "log variance"),
        ("E14", "x_t"),
        ("E14", "output"),
    ],
    "p_losses": [("E16", "x_0"), ("E16", "noise")],
    "reverse_step": [("E17", "x_t"), ("E17", "output"), ("E17", "z")],
    "ddim_step": [("E18", "x_t"), ("E18", "output"), ("E18", "z")],
}
_NOTHING = Decimal("1e-60")


def _of(path: str, number: int = 0, **other: str) -> Node:
    """What the docstring of a function says, for the step from t to s, with other names."""
    to_s = {"beta_t": "beta_{t|s}", "alpha_t": "alpha_{t|s}", "alpha_bar_{t-1}": "alpha_bar_s"}
    renamed = {"x_{t-1}": "x_prev", "eps_hat": "eps", **to_s, **other}
    tree = formulas(path)[number].right
    return substituted(tree, {old: Node("name", new) for old, new in renamed.items()})


class Steps(NamedTuple):
    """The probed steps: from t to s, with eta where it matters."""

    t: NDArray[np.intp]
    s: NDArray[np.intp]
    eta: NDArray[np.float64]

    def only(self, which: Any) -> Steps:
        """Some of them."""
        return Steps(self.t[which], self.s[which], self.eta[which])


class Base(NamedTuple):
    """One way to write an operation: its value, its variance, sigma, and a name of its own."""

    value: Node | None
    variance: Node | None
    sigma: Node
    name: str = ""


def substituted(tree: Node, trees: Mapping[str, Node]) -> Node:
    """The tree with other trees for some of its names."""
    if tree.kind == "name" and tree.text in trees:
        new = trees[tree.text]
        return new if new.kind in ("name", "group") else Node("group", "(", (new,))
    return Node(tree.kind, tree.text, tuple(substituted(p, trees) for p in tree.parts))


@lru_cache
def parts(output: str = "eps") -> dict[str, Node]:
    """What the formulas of steps are made of, where a model answers eps, x_0 or v."""
    mean, tilde = (_of("posterior.posterior_mean_variance", i) for i in (0, 1))
    x_0 = {
        "eps": _of("posterior.predict_x0"),
        "x_0": Node("name", "x_0"),
        "v": _of("closed_form.ideal.x0_from_v"),
    }[output]
    eps = {
        "eps": Node("name", "eps"),
        "x_0": _of("posterior.predict_eps"),
        "v": _of("closed_form.ideal.eps_from_v"),
    }[output]
    sigma = Node("call", "sqrt", (_of("sampling.ddim_step", 2),))
    found = {"x_0": x_0, "eps": eps, "tilde": tilde, "sigma": sigma}
    found["beta"] = Node("name", "beta_{t|s}")
    found["mean"] = substituted(mean, {"x_0": x_0} if output != "x_0" else {})
    ddim = _of("sampling.ddim_step", x0_hat="x0_hat")
    x_0_too = {} if output == "eps" else {"eps": eps}
    return found | {"ddim": substituted(ddim, {"x0_hat": x_0, **x_0_too})}


@lru_cache
def bases(operation: str, output: str = "eps") -> tuple[Base, ...]:
    """The forms in which an operation is usually written; all but those of the noise are equal."""
    part = parts(output)
    noised = _of("forward.q_sample", eps="noise")
    variance: dict[str, Node] = {}
    values = {
        "alphas_cumprod": lambda: Node("name", "alpha_bar_t"),
        "q_step": lambda: _of("forward.q_step", 1, eps="noise", beta_t="beta_t"),
        "q_sample": lambda: noised,
        "p_losses": lambda: noised,
        "q_mean_variance": lambda: noised,
        "q_posterior_mean_variance": lambda: _of("posterior.posterior_mean_variance"),
        "predict_x0": lambda: part["x_0"],
        "predict_eps": lambda: _of("posterior.predict_eps"),
        "ddim_step": lambda: part["ddim"],
    }
    if operation in values:
        variance = {"q_mean_variance": parse("1 - alpha_bar_t")}
        variance["q_posterior_mean_variance"] = part["tilde"]
        return (Base(values[operation](), variance.get(operation), part["sigma"]),)
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


# ---- the numbers --------------------------------------------------------------------------------


class Tables:
    """alpha_bar, alpha and beta as long doubles, index t; NaN outside 0..T.

    given: the alpha_bar that the code itself says it uses, for t = 1..T.
    """

    def __init__(self, exact: Exact, given: Array | None = None) -> None:
        self.given, self.T = given, len(exact.beta) - 1
        self.bar, self.alpha, self.beta = (
            np.array([np.longdouble(f"{x:.25e}") for x in table])
            for table in (exact.alpha_bar, exact.alpha, exact.beta)
        )

    def with_bar(self, bar: Array) -> Tables:
        """The same with another alpha_bar, index 0..T."""
        other = copy(self)
        other.bar = np.asarray(bar, dtype=np.longdouble)
        return other

    def at(self, name: str, t: Array) -> Array:
        """The entries at t, NaN outside 0..T; beta and alpha also at 0, where no step leads."""
        table = getattr(self, name)
        inside = (t >= (name != "bar")) & (t <= self.T)
        return np.where(inside, table[np.clip(t, 0, self.T)], np.nan)


def numbers(tables: Tables, steps: Steps, t: Array | None = None, s: Array | None = None) -> Any:
    """The value of every name at every step; t, s: where else the tables are read."""
    t, s = steps.t if t is None else t, steps.s if s is None else s
    at = {"eta": steps.eta.astype(np.longdouble)}
    with np.errstate(all="ignore"):
        for name, shift in (("t", 0), ("{t-1}", -1), ("{t+1}", 1)):
            at[f"alpha_bar_{name}"] = tables.at("bar", t + shift)
            at[f"alpha_{name}"] = tables.at("alpha", t + shift)
            at[f"beta_{name}"] = tables.at("beta", t + shift)
        at["alpha_bar_s"] = tables.at("bar", s)
        one = steps.t - steps.s == 1
        ratio = at["alpha_bar_t"] / at["alpha_bar_s"]
        at["alpha_{t|s}"] = np.where(one, at["alpha_t"], ratio)
        at["beta_{t|s}"] = np.where(one, at["beta_t"], 1 - ratio)
        noise, noise_s = 1 - at["alpha_bar_t"], 1 - at["alpha_bar_s"]
        at["beta_tilde_{t|s}"] = at["beta_{t|s}"] * noise_s / noise
    return at


def rounding(at: Mapping[str, Array], steps: Steps, u: float) -> dict[str, Array]:
    """What every name may be off by if tables are formed with roundoff u, as code does it.

    A running product to t has t factors; beta comes from 1 - alpha in some code.
    """
    c, c_s = (4 + steps.t) * u, np.where(steps.s == 0, 4, 4 + steps.s) * u
    off: dict[str, Array] = {}
    for name, value in at.items():
        if name.startswith("beta"):
            off[name] = np.minimum(c, np.abs(value))
        elif name != "eta":
            off[name] = (c_s if name.endswith("_s") else c) * np.abs(value)
    return off


class Value(NamedTuple):
    """A value, the magnitudes whose last place counts, and what rounding may have cost."""

    value: Any
    size: Any
    off: Any


_ZERO = Value(0, 0, 0)  # a vector that is left out, and all that it multiplies


def evaluate(tree: Node, at: Mapping[str, Any], off: Mapping[str, Any], u: float) -> Value:
    """The value of a tree. Terms with a vector count in the size with their magnitudes."""
    if tree.kind == "number":
        number = int(tree.text)
        return Value(number, abs(number), 0)
    if tree.kind == "name":
        if isinstance(at[tree.text], int) and not at[tree.text]:
            return _ZERO
        return Value(at[tree.text], abs(at[tree.text]), off.get(tree.text, 0))
    parts = [evaluate(part, at, off, u) for part in tree.parts]
    a = parts[0]
    if tree.text == "ln":
        return Value(np.log(a.value), 1, a.off / abs(a.value) + u)
    if tree.kind == "call":
        root = _root(a.value)
        if u:
            with np.errstate(all="ignore"):
                half = np.where(root > 0, a.off / (2 * root), np.inf)
            return Value(root, root, np.minimum(half, np.sqrt(a.off)) + u * root)
        return Value(root, root, 0)
    if tree.kind == "group":
        return a
    if tree.kind == "negative":
        if a is _ZERO:
            return a
        return Value(-a.value, a.size, a.off)
    if tree.kind == "^":
        power = int(tree.parts[1].text)
        return Value(a.value**power, a.size**power, power * abs(a.value) ** (power - 1) * a.off)
    b = parts[1]
    if a is _ZERO and tree.kind in "*/" or b is _ZERO and tree.kind == "*":
        return _ZERO
    if b is _ZERO and tree.kind in "+-":
        return a
    if a is _ZERO and tree.kind in "+-":
        return b if tree.kind == "+" else Value(-b.value, b.size, b.off)
    if tree.kind in "+-":
        total = a.value + b.value if tree.kind == "+" else a.value - b.value
        size = a.size + b.size if is_vector(tree) else abs(total)
        return Value(total, size, a.off + b.off + u * size)
    if tree.kind == "*":
        off_ab = abs(a.value) * b.off + abs(b.value) * a.off
        return Value(a.value * b.value, a.size * b.size, off_ab + u * a.size * b.size)
    size, quotient = a.size / abs(b.value), a.value / b.value
    return Value(quotient, size, a.off / abs(b.value) + abs(quotient / b.value) * b.off + u * size)


def _root(x: Any) -> Any:
    """The root, where a difference that is 0 may have become negative by rounding."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        return np.sqrt(np.where((x < 0) & (x > -1e-15), 0, x))
    if isinstance(x, np.ndarray):
        out = np.empty(len(x), dtype=object)
        out[:] = [Decimal(0) if -_NOTHING < v < 0 else Decimal(v).sqrt() for v in x]
        return out
    return np.sqrt(x)


@lru_cache(maxsize=100_000)
def is_vector(tree: Node) -> bool:
    """Whether a vector is in the tree."""
    return any(name in VECTORS for name in names(tree))


def coefficients(
    base: Base, at: Mapping[str, Any], off: Mapping[str, Any], u: float, vectors: list[str]
) -> dict[str, Value]:
    """All coefficients of one form: by vectors, and "variance"."""
    with np.errstate(all="ignore"):
        if "sigma" not in at and base.value is not None and "sigma" in names(base.value):
            sigma = evaluate(base.sigma, at, off, u)
            at, off = {**at, "sigma": sigma.value}, {**off, "sigma": sigma.off}
        found: dict[str, Value] = {}
        if base.value is not None:
            for name in vectors:
                units = {v: 1 if v == name else 0 for v in VECTORS}
                found[name] = evaluate(base.value, {**at, **units}, off, u)
        if base.variance is not None:
            found["variance"] = evaluate(base.variance, at, off, u)
    return found


def exact_coefficients(
    exact: Exact, operation: str, base: Base, steps: Steps, vectors: list[str]
) -> dict[str, tuple[Array, Array]]:
    """For each coefficient its exact values in decimals, and the magnitudes.

    No noise is added by the step to the clean signal, whatever its variance.
    """

    def column(table: list[Decimal], t: Array) -> Array:
        out = np.empty(len(t), dtype=object)
        out[:] = [table[i] for i in t]
        return out

    with localcontext(DIGITS):
        at: dict[str, Any] = {"eta": np.array([Decimal(float(e)) for e in steps.eta], dtype=object)}
        names_of = (("alpha_bar", exact.alpha_bar), ("alpha", exact.alpha), ("beta", exact.beta))
        for name, table in names_of:
            at[f"{name}_t"] = column(table, steps.t)
        at["alpha_bar_s"] = column(exact.alpha_bar, steps.s)
        ratio = at["alpha_bar_t"] / at["alpha_bar_s"]
        one = steps.t - steps.s == 1
        at["alpha_{t|s}"] = np.where(one, at["alpha_t"], ratio)
        at["beta_{t|s}"] = np.where(one, at["beta_t"], 1 - ratio)
        found = {}
        with np.errstate(all="ignore"):
            for name, value in coefficients(base, at, {}, 0, vectors).items():
                exact_value = np.zeros(len(steps.t), dtype=object) + value.value
                size = np.zeros(len(steps.t), dtype=object) + value.size
                if operation == "reverse_step" and name == "z":
                    exact_value = exact_value * (steps.s > 0)
                beta = at["beta_{t|s}"]
                least = {"z": _root(beta), "variance": beta}.get(name, Decimal(1))
                found[name] = (exact_value, np.where(size == 0, least, size))
            if "variance" in found:
                found["log variance"] = _logarithm(*found["variance"])
    return found


def _logarithm(values: Array, _: Array) -> tuple[Array, Array]:
    """ln of the variances, NaN where they are 0; its own last place counts, but not below 1."""
    logs = np.empty(len(values), dtype=object)
    logs[:] = [v.ln() if v > 0 else Decimal("NaN") for v in values]
    sizes = np.empty(len(values), dtype=object)
    sizes[:] = [max(abs(v), Decimal(1)) if v == v else Decimal(1) for v in logs]
    return logs, sizes


# ---- a tree as text -----------------------------------------------------------------------------


def text_of(tree: Node, single: bool = True) -> str:
    """The tree in the notation; for single steps s is t - 1."""
    parts = [text_of(part, single) for part in tree.parts]
    if tree.kind in ("name", "number"):
        text = tree.text
        if single:
            text = text.replace("{t|s}", "t").replace("alpha_bar_s", "alpha_bar_{t-1}")
        return text
    if tree.kind == "call":
        return f"{tree.text}({parts[0]})"
    if tree.kind == "group":
        return parts[0] if parts[0].startswith("(") and parts[0].endswith(")") else f"({parts[0]})"
    if tree.kind == "negative":
        return f"-{parts[0]}"
    if tree.kind == "^":
        return f"{parts[0]}^{parts[1]}"
    return " ".join(parts) if tree.kind == "*" else f" {tree.kind} ".join(parts)
