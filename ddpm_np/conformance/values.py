"""The value of a formula at the probed steps: exact, or with what rounding may cost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import copy
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddpm_np._checks import Array
from ddpm_np.conformance.formulas import VECTORS, Base, substituted
from ddpm_np.equations.formula import Node, names

DIGITS = Context(prec=120, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
_NOTHING = Decimal("1e-60")


class Steps(NamedTuple):
    """The probed steps: from t to s, with eta where it matters."""

    t: NDArray[np.intp]
    s: NDArray[np.intp]
    eta: NDArray[np.float64]

    @classmethod
    def of(cls, listed: list[tuple[int, int, float]]) -> Steps:
        """From a list of (t, s, eta)."""
        t, s, eta = (np.array([step[i] for step in listed]) for i in range(3))
        return cls(t.astype(np.intp), s.astype(np.intp), eta.astype(np.float64))

    def listed(self) -> list[tuple[int, int, float]]:
        """As a list of (t, s, eta)."""
        return list(zip(*(column.tolist() for column in self)))

    def only(self, which: Any) -> Steps:
        """Some of them."""
        return Steps(self.t[which], self.s[which], self.eta[which])


class Numbers:
    """alpha_bar, alpha and beta, index t, as decimals or as long doubles; NaN outside 0..T.

    given: the alpha_bar that the code itself says it uses, for t = 1..T.
    """

    given: Array | None = None

    def __init__(self, beta: list[Decimal], bar: list[Decimal] | None = None) -> None:
        self.T, self.decimals = len(beta), True
        with localcontext(DIGITS):
            alpha = [1 - b for b in (Decimal(0), *beta)]
            bar = bar or [*accumulate(alpha, mul)]
        self.beta, self.alpha, self.bar = map(_objects, ([Decimal(0), *beta], alpha, bar))

    def floats(self, given: Array | None) -> Numbers:
        """The same in long doubles."""
        other = copy(self)
        other.given, other.decimals = given, False
        other.beta, other.alpha, other.bar = (
            np.array([np.longdouble(f"{x:.25e}") for x in table])
            for table in (self.beta, self.alpha, self.bar)
        )
        return other

    def replaced(self, *, bar: Array | None = None, beta: Array | None = None) -> Numbers:
        """The same with another alpha_bar, or with other betas; index 0..T."""
        other = copy(self)
        if bar is not None:
            other.bar = np.asarray(bar, dtype=np.longdouble)
        if beta is not None:
            other.beta = np.asarray(beta, dtype=np.longdouble)
            other.alpha = 1 - other.beta
        return other

    def _entries(self, name: str, t: Array) -> Array:
        """The entries at t; those of beta and alpha at 0 are none, for no step leads there."""
        table = getattr(self, name)
        inside = (t >= (name != "bar")) & (t <= self.T)
        none: Any = Decimal("NaN") if self.decimals else np.nan
        return np.where(inside, table[np.clip(t, 0, self.T)], none)

    def at(self, steps: Steps, t: Array | None = None, s: Array | None = None) -> dict[str, Array]:
        """The value of every name at every step; t, s: where else the tables are read."""
        t, s = steps.t if t is None else t, steps.s if s is None else s
        eta = [Decimal(e) for e in steps.eta.tolist()]
        at = {"eta": _objects(eta) if self.decimals else steps.eta.astype(np.longdouble)}
        with np.errstate(all="ignore"):
            for name, shift in (("t", 0), ("{t-1}", -1), ("{t+1}", 1)):
                at[f"alpha_bar_{name}"] = self._entries("bar", t + shift)
                at[f"alpha_{name}"] = self._entries("alpha", t + shift)
                at[f"beta_{name}"] = self._entries("beta", t + shift)
            at["alpha_bar_s"] = self._entries("bar", s)
            one = steps.t - steps.s == 1
            ratio = at["alpha_bar_t"] / at["alpha_bar_s"]
            at["alpha_{t|s}"] = np.where(one, at["alpha_t"], ratio)
            at["beta_{t|s}"] = np.where(one, at["beta_t"], 1 - ratio)
            noise, noise_s = 1 - at["alpha_bar_t"], 1 - at["alpha_bar_s"]
            at["beta_tilde_{t|s}"] = at["beta_{t|s}"] * noise_s / noise
        return at


def _objects(values: list[Decimal]) -> Array:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


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
    """A value, the magnitudes whose last place counts, and what rounding may have cost.

    vector: whether a vector is in it; its terms count in the size with their magnitudes.
    """

    value: Any
    size: Any
    off: Any
    vector: bool = False


_ZERO = Value(0, 0, 0, True)  # a vector that is left out, and all that it multiplies


class Evaluator:
    """The value of trees for the numbers ``at`` their names, with roundoff u.

    keep: the trees, by their ids, whose values are worked out once, where no vector is in them.
    """

    def __init__(
        self,
        at: Mapping[str, Any],
        off: Mapping[str, Any] | None = None,
        u: float = 0,
        keep: Collection[int] = (),
    ) -> None:
        self.at, self.off, self.u = dict(at), off or {}, u
        self.keep, self.kept = keep, dict[int, Value]()

    def __call__(self, tree: Node) -> Value:
        """The value of a tree."""
        found = self.kept.get(id(tree))
        if found is None:
            found = self._value(tree)
            if id(tree) in self.keep and not found.vector:
                self.kept[id(tree)] = found
        return found

    def _value(self, tree: Node) -> Value:
        kind, u = tree.kind, self.u
        if kind == "number":
            return Value(int(tree.text), int(tree.text), 0)
        if kind == "name":
            value, vector = self.at[tree.text], tree.text in VECTORS
            left_out = vector and isinstance(value, int) and not value
            size = abs(value)
            return _ZERO if left_out else Value(value, size, self.off.get(tree.text, 0), vector)
        parts = [self(part) for part in tree.parts]
        a, b = parts[0], parts[-1]
        if kind == "group" or kind == "negative" and a is _ZERO:
            return a
        if kind == "negative":
            return a._replace(value=-a.value)
        if kind == "call":
            return logarithm(a, u) if tree.text == "ln" else rooted(a, u)
        if kind == "^":
            n = b.value
            return Value(a.value**n, a.size**n, n * abs(a.value) ** (n - 1) * a.off, a.vector)
        if kind in "+-":
            return _sum(a, b, 1 if kind == "+" else -1, u)
        if a is _ZERO or b is _ZERO:
            return _ZERO
        vector = a.vector or b.vector
        if kind == "*":
            value, size = a.value * b.value, a.size * b.size
            off = abs(a.value) * b.off + abs(b.value) * a.off
        else:
            value, size = a.value / b.value, a.size / abs(b.value)
            off = a.off / abs(b.value) + abs(value / b.value) * b.off
        return Value(value, size, off + u * size, vector)

    def coefficients(self, base: Base, vectors: list[str]) -> dict[str, Value]:
        """All coefficients of one form: by vectors, and "variance"."""
        tree = base.value
        if "sigma" in names(tree):
            tree = substituted(tree, {"sigma": base.sigma})
        found: dict[str, Value] = {}
        with np.errstate(all="ignore"):
            for name in vectors:
                self.at |= {v: 1 if v == name else 0 for v in VECTORS}
                found[name] = self(tree)
            if base.variance is not None:
                found["variance"] = self(base.variance)
        return found


def _sum(a: Value, b: Value, sign: int, u: float) -> Value:
    if b is _ZERO:
        return a
    if a is _ZERO:
        return b._replace(value=sign * b.value)
    total, vector = a.value + sign * b.value, a.vector or b.vector
    size = a.size + b.size if vector else abs(total)
    return Value(total, size, a.off + b.off + u * size, vector)


def logarithm(a: Value, u: float) -> Value:
    """The logarithm, NaN of 0; the last place of 1 at least counts."""
    x = a.value
    if isinstance(x, np.ndarray) and x.dtype == object:
        logs = [v.ln() if v > 0 else Decimal("NaN") for v in x]
        sizes = [max(abs(v), Decimal(1)) if v == v else Decimal(1) for v in logs]
        return Value(_objects(logs), _objects(sizes), 0)
    return Value(np.log(x), 1, a.off / abs(x) + u)


def rooted(a: Value, u: float) -> Value:
    """The root; a difference that is 0 may have become negative by rounding."""
    x = a.value
    if isinstance(x, np.ndarray) and x.dtype == object:
        root = _objects([Decimal(0) if -_NOTHING < v < 0 else Decimal(v).sqrt() for v in x])
        return Value(root, root, 0)
    root = np.sqrt(np.where((x < 0) & (x > -1e-15), 0, x))
    with np.errstate(all="ignore"):
        half = np.where(root > 0, a.off / (2 * root), np.inf)
    return Value(root, root, np.minimum(half, np.sqrt(a.off)) + u * root)
