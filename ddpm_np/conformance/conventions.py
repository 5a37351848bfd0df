"""Known ways to depart from an equation, each as the coefficients that it would give.

Some are conventions with a name, some are errors that were seen in public code or in print, and the
rest are single edits of the formula. One of them explains a deviation if it gives all the
coefficients, at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.edits import edits_of
from ddpm_np.conformance.formulas import COEFFICIENTS, Base, bases, subtrees
from ddpm_np.conformance.values import Evaluator, Numbers, Steps, Value, rounding
from ddpm_np.equations.formula import parse

Found = dict[str, Value]
_SECOND = "beta_{t+1} (1 - alpha_bar_t) / (1 - alpha_bar_{t+1})"
_TILDE = "beta_tilde_{t|s}"
_OVER = "beta_{t|s} (1 - alpha_bar_t) / (1 - alpha_bar_s)"
# Other variances, and what they are at t = 1.
_VARIANCES = {
    "beta for beta_tilde": ("beta_{t|s}", "beta_t"),
    "beta_1 for beta_tilde_1, which is 0, as from alpha_bar_0 = alpha_bar_1": (_TILDE, "beta_t"),
    "beta_tilde_2 for beta_tilde_1, which is 0": (_TILDE, _SECOND),
    "the logarithm of the variance for the variance": (f"ln({_TILDE})", f"ln({_TILDE})"),
    "the fraction (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) is turned over": (_OVER, _OVER),
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


class World:
    """The steps, the tables and the roundoff in which candidates are evaluated."""

    def __init__(
        self, operation: str, output: str, tables: Numbers, steps: Steps, u: float
    ) -> None:
        self.operation, self.output, self.tables = operation, output, tables
        self.steps, self.u = steps, u
        self.at = tables.at(steps)
        trees = [t for form in bases(operation, output) for t in form[:3] if t is not None]
        keep = {id(part) for tree in trees for part in subtrees(tree)}
        self.value_of = Evaluator(self.at, rounding(self.at, steps, u), u, keep)
        named = [output if n == "output" else n for _, n in COEFFICIENTS[operation]]
        self.vectors = [n for n in named if "variance" not in n]

    def only(self, which: Any) -> World:
        """The same at some of the steps."""
        return World(self.operation, self.output, self.tables, self.steps.only(which), self.u)

    def of(self, base: Base, at: Any = None, last: bool = False) -> Found:
        """The coefficients of a form; last: with noise at the last step, too."""
        value_of = self.value_of
        if at is not None:
            value_of = Evaluator(at, rounding(at, self.steps, self.u), self.u)
        found = value_of.coefficients(base, self.vectors)
        if self.operation == "reverse_step" and "z" in found and not last:
            found["z"] = _masked(found["z"], self.steps.s == 0)
        return self.with_logarithm(found)

    def with_logarithm(self, found: Found) -> Found:
        """The coefficients with the logarithm of the variance."""
        if "variance" not in found:
            return found
        v = found["variance"]
        with np.errstate(all="ignore"):
            log = Value(np.log(v.value), 1, v.off / abs(v.value) + self.u)
        return {**found, "log variance": log}

    def replaced(self, form: Base, name: str, first: str, usual: str = "") -> Found:
        """The coefficients with another one: a formula for t > 1, and one for t = 1."""
        found = self.of(form, last=True)
        with np.errstate(all="ignore"):
            at_1 = self.value_of(parse(first))
            there = self.value_of(parse(usual)) if usual else found[name]
            last = self.steps.s == 0
            value = np.where(last, at_1.value, there.value)
            off = np.where(last, at_1.off, there.off)
            found[name] = Value(value, 1, off + 64 * self.u * abs(value))
        return self.with_logarithm(found)


def _masked(value: Value, where: Array) -> Value:
    """The value with 0 at some steps, and without rounding where it was not 0 before."""
    off = np.where(where & (value.value != 0), 0, value.off)
    return Value(np.where(where, 0, value.value), value.size, off)


Candidate = tuple[str, Callable[[World], Found]]


def candidates(operation: str, output: str, tables: Numbers, single: bool) -> Iterator[Candidate]:
    """Names, and the coefficients that they give, the likeliest first."""
    forms = bases(operation, output)
    if operation == "reverse_step":
        yield from _noises(forms)
    if operation in ("reverse_step", "ddim_step", "p_mean_variance"):
        for other in ("eps", "x_0", "v"):
            for form in bases(operation, other) if other != output else ():
                text = f"the model's output is taken for {other}, not for {output}"
                yield text, partial(_output_taken, form, other, output)
    if operation in ("q_posterior_mean_variance", "p_mean_variance"):
        for name, (usual, first) in _VARIANCES.items():
            yield name, partial(_replaced, forms[0], "variance", first, usual)
    for name, elsewhere in [*_indices(operation, tables.T), *_tables(operation, tables)]:
        for form in forms:
            yield name, partial(_at, form, elsewhere)
    edits = [pair for form in forms for pair in edits_of(form, single)]
    if operation == "ddim_step":
        edits = [(n, f._replace(sigma=parse(s))) for f in forms for n, s in _SIGMAS.items()] + edits
    for name, edited in edits:
        yield name, partial(_edited, edited, False)
    if operation == "reverse_step":
        for form in (f for f in forms if f.name == "beta"):
            for name, edited in edits_of(form, single):
                yield f"noise at the last step; and {name}", partial(_edited, edited, True)


def _at(form: Base, elsewhere: Callable[[World], Any], w: World) -> Found:
    return w.of(form, elsewhere(w))


def _edited(form: Base, last: bool, w: World) -> Found:
    return w.of(form, last=last)


def _replaced(form: Base, name: str, first: str, usual: str, w: World) -> Found:
    return w.replaced(form, name, first, usual)


def _output_taken(form: Base, other: str, output: str, w: World) -> Found:
    found = World(w.operation, other, w.tables, w.steps, w.u).of(form)
    return {output if k == other else k: v for k, v in found.items()}


def _noises(forms: tuple[Base, ...]) -> Iterator[Candidate]:
    """Noise at the wrong steps, with either variance at the others."""
    for name, text in _LAST.items():
        for form in forms:
            told = f"noise at the last step: t = 1 adds noise of variance {name}"
            yield told, partial(_replaced, form, "z", f"sqrt({text})", "")
    for name, least in _MASKS.items():
        for form in forms:
            yield name, partial(_without_noise, form, least)


def _without_noise(form: Base, least: int, w: World) -> Found:
    found = w.of(form)
    return found | {"z": _masked(found["z"], w.steps.t <= least)}


Elsewhere = Iterator[tuple[str, Callable[[World], Any]]]


def _indices(operation: str, T: int) -> Elsewhere:
    """The same tables at other steps."""

    def at(name: str, where: Callable[[Array, Array], tuple[Array, Array]]) -> Any:
        return name, lambda w: w.tables.at(w.steps, *where(w.steps.t, w.steps.s))

    def wrapped(t: Array) -> Array:
        return np.where(t < 1, t + T, t)

    off = "t off by one: the tables at t"
    yield at(f"{off} - 1 for those at t", lambda t, s: (t - 1, s - 1))
    yield at(f"{off} + 1 for those at t", lambda t, s: (t + 1, s + 1))
    yield at(f"{_WRAPS}, else those of t - 1", lambda t, s: (wrapped(t - 1), wrapped(s - 1)))
    yield at(f"{_WRAPS} for alpha_bar_0", lambda t, s: (t, wrapped(s)))
    yield at(_BACKWARDS, lambda t, s: (T + 1 - t, np.minimum(T + 1 - s, T)))
    yield at(_BACKWARDS, lambda t, s: (T + 1 - t, T - t))
    if operation in ("ddim_step", "reverse_step"):
        name = "t off by one: s = t - 1 for the s that was asked for"
        yield name, lambda w: w.tables.at(w.steps._replace(s=w.steps.t - 1))
    if operation != "ddim_step":
        return
    for eta in (0.0, 1.0):
        name = f"eta is ignored: it is {eta:g} at every step"
        yield name, partial(_with_eta, eta)
    for far in (d for k in range(1, 31) for d in (-k, k)):
        yield f"it goes to another step than asked: to s {far:+d}", partial(_further, far)


def _with_eta(eta: float, w: World) -> Any:
    return {**w.at, "eta": np.full_like(w.at["eta"], eta)}


def _further(far: int, w: World) -> Any:
    s = np.where(w.steps.s > 0, np.clip(w.steps.s + far, 0, w.steps.t), 0)
    return w.tables.at(w.steps._replace(s=s))


def _tables(operation: str, tables: Numbers) -> Elsewhere:
    """The same formula on other tables."""
    found: list[tuple[str, Numbers]] = []
    if tables.given is not None and operation != "alphas_cumprod":
        own = tables.with_bar(np.append(1, tables.given))
        found.append(("its own alphas_cumprod, which is not that of its betas", own))
    one = tables.with_bar(np.append(tables.bar[1], tables.bar[1:]))
    found.append(("alpha_bar_0 = alpha_bar_1", one))
    beta = tables.beta
    with np.errstate(all="ignore"):
        others = {
            "cumprod(betas) for cumprod(1 - betas)": np.cumprod(np.append(1, beta[1:])),
            "exp(-sum of betas) for the product of 1 - betas": np.exp(-np.cumsum(beta)),
            "a root too many: the product of sqrt(alpha_t)": np.sqrt(tables.bar),
            "a missing root: alpha_bar squared": tables.bar**2,
        }
        found += [(name, tables.with_bar(bar)) for name, bar in others.items()]
        halves: dict[str, Callable[[Array], Array]]
        halves = {"float16": lambda x: x.astype(np.float16), "bfloat16": _bfloat16}
        for kind, half in halves.items():
            text = f"half precision: {{}} rounded to {kind}"
            found.append((text.format("alpha_bar is"), tables.with_bar(half(tables.bar))))
            rounded: Any = copy(tables)
            rounded.beta = half(beta).astype(np.longdouble)
            for what, alpha in (("betas", 1 - rounded.beta), ("alphas", half(1 - rounded.beta))):
                rounded = copy(rounded)
                rounded.alpha = alpha.astype(np.longdouble)
                rounded.bar = np.cumprod(rounded.alpha)
                found.append((text.format(f"the {what} are"), rounded))
    for name, others_at in found:
        yield name, partial(_on, others_at)

    def same_level(w: World) -> Any:
        at, first = one.at(w.steps), w.steps.s == 0
        ratio = at["alpha_bar_t"] / at["alpha_bar_s"]
        at["alpha_{t|s}"] = np.where(first, ratio, at["alpha_{t|s}"])
        at["beta_{t|s}"] = np.where(first, 1 - ratio, at["beta_{t|s}"])
        return at

    yield "alpha_bar_0 = alpha_bar_1", same_level


def _on(tables: Numbers, w: World) -> Any:
    return tables.at(w.steps)


def _bfloat16(x: Array) -> Array:
    """Rounded to 8 bits."""
    mantissa, exponent = np.frexp(x)
    rounded: Array = np.ldexp(np.round(mantissa * 256) / 256, exponent)
    return rounded
