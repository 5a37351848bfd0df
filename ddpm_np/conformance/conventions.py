"""Known ways to depart from an equation, each as the coefficient that it would give.

Some are conventions with a name, some are errors that were seen in public code or in print, and the
rest are single edits of the formula: a sign, a root, a factor, a symbol, an index. A deviation gets
the name of the first one that explains it at every step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ddpm_np.conformance.formulas import (
    FORMULAS,
    SIGMA2,
    Floats,
    Formula,
    Product,
    Steps,
    Symbols,
    Tables,
    symbols,
    value,
    with_sigma2,
)

_NAMES = {
    "bar": "alpha_bar_t",
    "noise": "1 - alpha_bar_t",
    "plus": "1 + alpha_bar_t",
    "bar_s": "alpha_bar_s",
    "noise_s": "1 - alpha_bar_s",
    "plus_s": "1 + alpha_bar_s",
    "alpha": "alpha_t",
    "beta": "beta_t",
    "alpha_t": "alpha_t",
    "beta_t": "beta_t",
    "alpha_before": "alpha_{t-1}",
    "beta_before": "beta_{t-1}",
    "bar_before": "alpha_bar_{t-1}",
    "noise_before": "1 - alpha_bar_{t-1}",
    "alpha_after": "alpha_{t+1}",
    "beta_after": "beta_{t+1}",
    "bar_after": "alpha_bar_{t+1}",
    "noise_after": "1 - alpha_bar_{t+1}",
    "tilde": "beta_tilde_t",
    "eta": "eta",
    "direction": "1 - alpha_bar_s - sigma^2",
    "sigma2": "sigma^2",
}
_KINDS = [
    ("bar", "bar_s", "bar_before", "bar_after"),
    ("noise", "noise_s", "noise_before", "noise_after"),
    ("alpha", "alpha_before", "alpha_after"),
    ("beta", "beta_before", "beta_after"),
]
_INSTEAD = ("alpha", "bar", "beta", "noise", "bar_s", "noise_s", "tilde", "alpha_t", "beta_t")
Candidate = tuple[str, Floats]
_OUTPUTS: dict[tuple[str, str], dict[str, Formula]] = {
    ("reverse_step", "x_t"): {
        "v": [Product(1, {"alpha": 0.5})],
        "x_0": FORMULAS["q_posterior_mean_variance", "x_t"][0],
    },
    ("reverse_step", "eps"): {
        "v": [Product(-1, {"beta": 1, "bar_s": 0.5, "noise": -0.5})],
        "x_0": FORMULAS["q_posterior_mean_variance", "x_0"][0],
    },
}


def candidates(
    operation: str, coefficient: str, tables: Tables, steps: Steps
) -> Iterator[Candidate]:
    """Names and values, the likeliest first."""
    formulas, at = FORMULAS[operation, coefficient], symbols(tables, steps)
    if operation == "reverse_step" and coefficient == "z":
        yield from _last_noise(at, steps)
    for name, formula in _OUTPUTS.get((operation, coefficient), {}).items():
        yield f"the model's output is taken for {name}, not for eps", value(formula, at)
    if coefficient == "variance":
        yield from _variances(at, steps)
    for name, other in _elsewhere(operation, tables, steps, at):
        for formula in formulas:
            yield name, value(formula, other)
    for formula in formulas:
        for name, edited in _edits(formula, operation == "ddim_step"):
            values = value(edited, at)
            if operation == "reverse_step" and coefficient == "z":
                yield name, np.where(steps.t == 1, 0, values)
                if formula is formulas[1]:  # of beta, which is not 0 at t = 1
                    yield f"noise at the last step; and {name}", values
            else:
                yield name, values


def pairs(operation: str, coefficient: str, tables: Tables, steps: Steps) -> Iterator[Candidate]:
    """Two edits of the formula at once."""
    at, skips = symbols(tables, steps), operation == "ddim_step"
    for formula in FORMULAS[operation, coefficient]:
        for first, once in _edits(formula, skips):
            for second, twice in _edits(once, skips):
                values = value(twice, at)
                if operation == "reverse_step" and coefficient == "z":  # none at the last step
                    values = np.where(steps.t == 1, 0, values)
                yield f"{first}; and {second}", values


def _variances(at: Symbols, steps: Steps) -> Iterator[Candidate]:
    """Other variances than beta_tilde, which is 0 at t = 1."""
    yield "beta for beta_tilde", at["beta"]
    first = np.where(steps.t == 1, at["beta"], at["tilde"])
    yield "beta_1 for beta_tilde_1, which is 0, as from alpha_bar_0 = alpha_bar_1", first
    with np.errstate(all="ignore"):
        after = at["beta_after"] * at["noise"] / at["noise_after"]
        log, turned = np.log(at["tilde"]), at["beta"] * at["noise"] / at["noise_s"]
    yield "beta_tilde_2 for beta_tilde_1, which is 0", np.where(steps.t == 1, after, first)
    yield "the logarithm of the variance for the variance", log
    yield "the fraction (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t) is turned over", turned
    yield "a root too many: the standard deviation for the variance", np.sqrt(at["tilde"])


def _last_noise(at: Symbols, steps: Steps) -> Iterator[Candidate]:
    """Noise at the last step, with either variance before."""
    last, beta, tilde = steps.t == 1, np.sqrt(at["beta"]), np.sqrt(at["tilde"])
    after = np.sqrt(at["beta_after"] * at["noise"] / at["noise_after"])
    first = {"beta_1": beta, "beta_tilde_2": after, "beta_2": np.sqrt(at["beta_after"])}
    for before in (beta, tilde):
        for name, of in first.items():
            text = f"noise at the last step: t = 1 adds noise of variance {name}"
            yield text, np.where(last, of, before)


def _elsewhere(
    operation: str, tables: Tables, steps: Steps, at: Symbols
) -> Iterator[tuple[str, Symbols]]:
    """The same formula on other tables."""
    yield "t off by one: the tables at t - 1 for those at t", symbols(tables, steps, shift=-1)
    yield "t off by one: the tables at t + 1 for those at t", symbols(tables, steps, shift=1)
    if tables.given is not None and operation != "alphas_cumprod":
        yield "its own alphas_cumprod, which is not that of its betas", symbols(tables.own(), steps)
    first = steps.s == 0
    bar_1, noise_1 = tables.bar[2], tables.noise[2]
    one = at | {"bar_s": np.where(first, bar_1, at["bar_s"])}
    one["noise_s"] = np.where(first, noise_1, at["noise_s"])
    one["tilde"] = one["beta"] * one["noise_s"] / one["noise"]
    yield "alpha_bar_0 = alpha_bar_1", with_sigma2(one, value([SIGMA2], one))
    two = dict(one)
    two["alpha"] = np.where(first, at["bar"] / bar_1, at["alpha"])
    two["beta"] = np.where(first, 1 - two["alpha"], at["beta"])
    yield "alpha_bar_0 = alpha_bar_1", with_sigma2(two, value([SIGMA2], two))
    if operation != "ddim_step":
        return
    sigma2, eta = at["sigma2"], at["eta"]
    yield "sigma^2 is not subtracted from 1 - alpha_bar_s", with_sigma2(at, sigma2, 0 * sigma2)
    yield (
        "sigma for sigma^2 subtracted from 1 - alpha_bar_s",
        with_sigma2(at, sigma2, np.sqrt(sigma2)),
    )
    yield "beta for beta_tilde in sigma^2", with_sigma2(at, eta**2 * at["beta"])
    yield (
        "t off by one: s = t - 1 for the s that was asked for",
        symbols(tables, steps._replace(s=steps.t - 1)),
    )
    for name, edited in _edits([SIGMA2], True):
        text = f"in sigma^2: {name}".replace("sqrt(eta) for eta", "eta for eta^2")
        yield text, with_sigma2(at, value(edited, at))


def _edits(formula: Formula, skips: bool) -> Iterator[tuple[str, Formula]]:
    """The formula with one thing changed."""
    label = _labels(skips)

    def powered(symbol: str, power: float) -> str:
        name = label[symbol]
        size = abs(power)
        if size == 1:
            return name
        inner = f"({name})" if " " in name and size != 0.5 else name
        return f"sqrt({name})" if size == 0.5 else f"{inner}^{size:g}"

    yield "the sign is turned", [Product(-sign, powers) for sign, powers in formula]
    if len(formula) == 1:
        ((sign, powers),) = formula
        doubled = {k: 2 * p for k, p in powers.items()}
        halves = any(p % 1 for p in powers.values())
        if halves:
            yield (
                "a missing root: the variance for the standard deviation",
                [Product(sign, doubled)],
            )
        else:
            yield "a root too many", [Product(sign, {k: p / 2 for k, p in powers.items()})]
    for i, (sign, powers) in enumerate(formula):

        def changed(new: dict[str, float], i: int = i, sign: int = sign) -> Formula:
            return [*formula[:i], Product(sign, new), *formula[i + 1 :]]

        if len(formula) > 1:
            yield "the sign of one term is turned", changed(powers, sign=-sign)
            yield "a term is missing", [*formula[:i], *formula[i + 1 :]]
        for symbol, power in powers.items():
            rest = {k: p for k, p in powers.items() if k != symbol}
            what = powered(symbol, power)
            if power % 1:
                yield (
                    f"a missing root: {label[symbol]} for {what}",
                    changed(rest | {symbol: 2 * power}),
                )
            yield (
                (
                    f"the factor {what} is missing"
                    if power > 0
                    else f"the division by {what} is missing"
                ),
                changed(rest),
            )
            for other in (
                _INSTEAD
                + _same_kind(symbol)
                + (f"plus{symbol[5:]}",) * (symbol in ("noise", "noise_s"))
            ):
                if other == symbol or label[other] == label[symbol]:
                    continue
                new = {**rest, other: rest.get(other, 0) + power}
                off = "t off by one: " if other in _same_kind(symbol) else ""
                yield f"{off}{powered(other, power)} for {what}", changed(new)
            if not power % 1:
                yield (
                    f"a root too many: sqrt({label[symbol]}) for {what}",
                    changed(rest | {symbol: power / 2}),
                )
                yield f"{what} is squared", changed(rest | {symbol: 2 * power})
            turned = "divided by" if power > 0 else "multiplied by"
            yield f"{turned} {what}, the wrong way round", changed(rest | {symbol: -power})


def _same_kind(symbol: str) -> tuple[str, ...]:
    return next((k for k in _KINDS if symbol in k), ())


def _labels(skips: bool) -> dict[str, str]:
    """The symbols' names: a single step leads to t - 1, a DDIM step to any s."""
    if skips:
        return _NAMES | {"alpha": "alpha_{t|s}", "beta": "beta_{t|s}", "tilde": "beta_tilde_{t|s}"}
    return {k: v.replace("_bar_s", "_bar_{t-1}") for k, v in _NAMES.items()}
