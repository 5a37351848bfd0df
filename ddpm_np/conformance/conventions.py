"""Known ways to depart from an equation, each as the coefficients that it would give.

Some are conventions with a name, some are errors that were seen in public code or in print, and the
rest are single edits of the formula. One of them explains a deviation if it gives all the
coefficients, at every step.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.edits import edits_of
from ddpm_np.conformance.formulas import Base, bases, substituted, subtrees
from ddpm_np.conformance.operations import SAMPLING, STEPS, wanted
from ddpm_np.conformance.values import Evaluator, Numbers, Steps, Value, logarithm, rounding
from ddpm_np.equations.formula import Node, parse

Found = dict[str, Value]
At = Callable[[Steps], dict[str, Array]]  # the numbers at the names, for the steps
_SECOND = "beta_{t+1} (1 - alpha_bar_t) / (1 - alpha_bar_{t+1})"
_TILDE = "beta_tilde_{t|s}"
_OVER = "beta_{t|s} (1 - alpha_bar_t) / (1 - alpha_bar_s)"
_TURNED = "the fraction (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) is turned over"
# Other variances, and what they are at t = 1.
_VARIANCES = {
    "beta for beta_tilde": ("beta_{t|s}", "beta_t"),
    "beta_1 for beta_tilde_1, which is 0, as from alpha_bar_0 = alpha_bar_1": (_TILDE, "beta_t"),
    "beta_tilde_2 for beta_tilde_1, which is 0": (_TILDE, _SECOND),
    "the logarithm of the variance for the variance": (f"ln({_TILDE})", f"ln({_TILDE})"),
    _TURNED: (_OVER, _OVER),
    "a root too many: the standard deviation for the variance": (f"sqrt({_TILDE})", "0 beta_t"),
}
_SIGMAS = {
    "sigma^2 = eta^2 (1 - alpha_bar_t)": "eta sqrt(1 - alpha_bar_t)",
    "sigma^2 = eta^2 (1 - alpha_bar_s)": "eta sqrt(1 - alpha_bar_s)",
    "beta for beta_tilde in sigma^2": "eta sqrt(beta_{t|s})",
    "sigma = eta": "eta",
}
_MASKS = {"no noise at any step": 10**9, "no noise at t = 1 and t = 2: the mask is off by one": 2}
_LAST = {"beta_1": "beta_t", "beta_tilde_2": _SECOND, "beta_2": "beta_{t+1}"}
_BACKWARDS = "time runs backwards: the tables at T + 1 - t for those at t"
_WRAPS = "index -1 wraps round: at t = 1 the tables are those of t = T"


class Candidate(NamedTuple):
    """One way to depart: a form, and what else is not the equation's.

    at: the numbers at the names, where they are other ones; none_to: no noise up to this t, -1 if
    there is also noise at the last step; instead: a coefficient with its formula at t = 1, and that
    at the other steps if it is not the form's.
    """

    name: str
    form: Base
    at: At | None = None
    none_to: int = 0
    instead: tuple[str, str, str] | None = None


class World:
    """The steps, the tables and the roundoff in which candidates are evaluated."""

    def __init__(
        self, operation: str, output: str, tables: Numbers, steps: Steps, u: float
    ) -> None:
        self.operation, self.output, self.tables = operation, output, tables
        self.steps, self.u = steps, u
        at = tables.at(steps)
        trees = [t for form in bases(operation, output) for t in form[:3] if t is not None]
        keep = {id(part) for tree in trees for part in subtrees(tree)}
        self.value_of = Evaluator(at, rounding(at, steps, u) if u else None, u, keep)
        self.vectors = [n for _, n in wanted(operation, output) if "variance" not in n]

    def only(self, which: Any) -> "World":
        """The same at some of the steps."""
        return World(self.operation, self.output, self.tables, self.steps.only(which), self.u)

    def of(self, form: Base) -> Found:
        """The coefficients of a form."""
        return self.found(Candidate("", form))

    def found(self, c: Candidate, only: Collection[str] | None = None) -> Found:
        """The coefficients that a candidate gives: of the wanted vectors, and the variance."""
        value_of, steps = self.value_of, self.steps
        if c.at:
            at = c.at(steps)
            value_of = Evaluator(at, rounding(at, steps, self.u), self.u)
        vectors = [n for n in self.vectors if only is None or n in only]
        found = value_of.coefficients(c.form, vectors)
        with np.errstate(all="ignore"):
            name, first, usual = c.instead or ("z", "", "")
            if first and (usual or name in found):
                at_1 = value_of(parse(first))
                there = value_of(parse(usual)) if usual else found[name]
                value, off = (
                    np.where(steps.s == 0, getattr(at_1, k), getattr(there, k))
                    for k in ("value", "off")
                )
                found[name] = Value(value, 1, off + 64 * self.u * abs(value))
            elif self.operation == "reverse_step" and name in found and c.none_to >= 0:
                # Without rounding where it was not 0 before.
                z, none = found["z"], (steps.s == 0) | (steps.t <= c.none_to)
                off = np.where(none & (z.value != 0), 0, z.off)
                found["z"] = Value(np.where(none, 0, z.value), z.size, off)
            if "variance" in found:
                found["log variance"] = logarithm(found["variance"], self.u)
        return found


def candidates(operation: str, output: str, tables: Numbers, single: bool) -> Iterator[Candidate]:
    """What may be, the likeliest first."""
    forms = bases(operation, output)
    likely: list[Candidate] = []

    def add(name: str, **other: Any) -> None:
        likely.extend(Candidate(name, form, **other) for form in forms)

    if operation == "reverse_step":
        for name, text in _LAST.items():
            told = f"noise at the last step: t = 1 adds noise of variance {name}"
            add(told, instead=("z", f"sqrt({text})", ""))
        for name, least in _MASKS.items():
            add(name, none_to=least)
        add(_TURNED, instead=("z", "0 beta_t", f"sqrt({_OVER})"))
    if operation in SAMPLING:
        for other in (o for o in ("eps", "x_0", "v") if o != output):
            told = f"the model's output is taken for {other}, not for {output}"
            own = {other: Node("name", output)}
            for form in bases(operation, other):
                likely.append(Candidate(told, form._replace(value=substituted(form.value, own))))
    if operation in ("q_posterior_mean_variance", "p_mean_variance"):
        for name, (usual, first) in _VARIANCES.items():
            likely.append(Candidate(name, forms[0], instead=("variance", first, usual)))
    for name, at in (*_other_steps(operation, tables), *_other_tables(operation, tables)):
        add(name, at=at)
    yield from likely
    if operation == "ddim_step":
        for form in forms:
            for name, text in _SIGMAS.items():
                yield Candidate(name, form._replace(sigma=parse(text)))
    for form in forms:
        yield from (Candidate(name, edited) for name, edited in edits_of(form, single))
    if operation == "reverse_step":
        for form in (f for f in forms if f.name == "beta"):
            for name, edited in edits_of(form, single):
                yield Candidate(f"noise at the last step; and {name}", edited, none_to=-1)


def _other_steps(operation: str, tables: Numbers) -> Iterator[tuple[str, At]]:
    """The tables read at other steps, and steps to another s or with another eta."""
    T = tables.T

    def read(t_s: Callable[[Array, Array], tuple[Array, Array]]) -> At:
        return lambda steps: tables.at(steps, *t_s(steps.t, steps.s))

    def with_s(of: Callable[[Steps], Array]) -> At:
        return lambda steps: tables.at(steps._replace(s=of(steps)))

    def with_eta(eta: float) -> At:
        return lambda steps: tables.at(steps._replace(eta=np.full_like(steps.eta, eta)))

    def further(far: int) -> At:
        return with_s(lambda o: np.where(o.s > 0, np.clip(o.s + far, 0, o.t), 0))

    def wrapped(t: Array) -> Array:
        return np.where(t < 1, t + T, t)

    off = "t off by one: the tables at t"
    yield f"{off} - 1 for those at t", read(lambda t, s: (t - 1, s - 1))
    yield f"{off} + 1 for those at t", read(lambda t, s: (t + 1, s + 1))
    wraps = f"{_WRAPS}, else those of t - 1"
    yield wraps, read(lambda t, s: (wrapped(t - 1), wrapped(s - 1)))
    yield f"{_WRAPS} for alpha_bar_0", read(lambda t, s: (t, wrapped(s)))
    yield _BACKWARDS, read(lambda t, s: (T + 1 - t, np.minimum(T + 1 - s, T)))
    yield _BACKWARDS, read(lambda t, s: (T + 1 - t, T - t))
    if operation in STEPS:
        told = "t off by one: s = t - 1 for the s that was asked for"
        yield told, with_s(lambda steps: steps.t - 1)
    if operation == "ddim_step":
        for eta in (0.0, 1.0):
            yield f"eta is ignored: it is {eta:g} at every step", with_eta(eta)
        for far in (d for k in range(1, 31) for d in (-k, k)):
            yield f"it goes to another step than asked: to s {far:+d}", further(far)


def _other_tables(operation: str, tables: Numbers) -> Iterator[tuple[str, At]]:
    """The same formula on other tables."""
    bar, beta = tables.bar, tables.beta
    one = tables.replaced(bar=np.append(bar[1], bar[1:]))
    if tables.given is not None and operation != "alphas_cumprod":
        own = tables.replaced(bar=np.append(1, tables.given))
        yield "its own alphas_cumprod, which is not that of its betas", own.at
    yield "alpha_bar_0 = alpha_bar_1", one.at
    none = one.replaced(beta=np.where(np.arange(len(beta)) < 2, 0, beta))
    yield "alpha_bar_0 = alpha_bar_1", none.at
    with np.errstate(all="ignore"):
        others = {
            "cumprod(betas) for cumprod(1 - betas)": np.cumprod(np.append(1, beta[1:])),
            "exp(-sum of betas) for the product of 1 - betas": np.exp(-np.cumsum(beta)),
            "a root too many: the product of sqrt(alpha_t)": np.sqrt(bar),
            "a missing root: alpha_bar squared": bar**2,
            "half precision: alpha_bar is rounded to float16": bar.astype(np.float16),
            "half precision: alpha_bar is rounded to bfloat16": _bfloat16(bar),
        }
    yield from ((name, tables.replaced(bar=other).at) for name, other in others.items())
    for kind, rounded in (("float16", beta.astype(np.float16)), ("bfloat16", _bfloat16(beta))):
        halved = tables.replaced(beta=rounded)
        halved = halved.replaced(bar=np.cumprod(halved.alpha))
        yield f"half precision: the betas are rounded to {kind}", halved.at


def _bfloat16(x: Array) -> Array:
    """Rounded to 8 bits."""
    mantissa, exponent = np.frexp(x)
    rounded: Array = np.ldexp(np.round(mantissa * 256) / 256, exponent)
    return rounded
