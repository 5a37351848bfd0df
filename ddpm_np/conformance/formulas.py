"""The coefficients of the equations as products of powers, and how much rounding may cost them.

A coefficient is a sum of :class:`Product`, of symbols at t and at the step s that it leads to. That
form is what :mod:`ddpm_np.conformance.conventions` edits to name a deviation. The exact values come
from :class:`ddpm_np.proof.reference.Reference`; these are its float64 shadow.
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddpm_np.proof.reference import Reference

Floats = NDArray[np.float64]
Symbols = dict[str, Floats]


class Product(NamedTuple):
    """sign times the product of symbol^power."""

    sign: int
    powers: dict[str, float]


Formula = list[Product]


def _p(sign: int = 1, **powers: float) -> Product:
    return Product(sign, powers)


# Symbols: bar, noise = alpha_bar_t, 1 - alpha_bar_t; bar_s, noise_s the same at s; alpha, beta of
# the step from s to t; direction = 1 - alpha_bar_s - sigma^2; sigma2 the variance of a DDIM step.
# Where code goes another way to the same coefficient, that form stands beside the first.
_X0 = _p(beta=1, bar_s=0.5, noise=-1)
_XT = _p(alpha=0.5, noise_s=1, noise=-1)
FORMULAS: dict[tuple[str, str], list[Formula]] = {
    ("alphas_cumprod", "alpha_bar_t"): [[_p(bar=1)]],
    ("q_sample", "x_0"): [[_p(bar=0.5)]],
    ("q_sample", "noise"): [[_p(noise=0.5)]],
    ("q_posterior_mean_variance", "x_0"): [[_X0]],
    ("q_posterior_mean_variance", "x_t"): [[_XT]],
    ("q_posterior_mean_variance", "variance"): [[_p(beta=1, noise_s=1, noise=-1)]],
    ("predict_x0", "x_t"): [[_p(bar=-0.5)]],
    ("predict_x0", "eps"): [[_p(-1, noise=0.5, bar=-0.5)]],
    ("reverse_step", "x_t"): [[_p(alpha=-0.5)], [_p(beta=1, bar_s=0.5, noise=-1, bar=-0.5), _XT]],
    ("reverse_step", "eps"): [
        [_p(-1, beta=1, alpha=-0.5, noise=-0.5)],
        [_p(-1, beta=1, bar_s=0.5, noise=-0.5, bar=-0.5)],
    ],
    ("reverse_step", "z"): [[_p(beta=0.5, noise_s=0.5, noise=-0.5)], [_p(beta=0.5)]],
    ("ddim_step", "x_t"): [[_p(bar_s=0.5, bar=-0.5)]],
    ("ddim_step", "eps"): [[_p(direction=0.5), _p(-1, bar_s=0.5, noise=0.5, bar=-0.5)]],
    ("ddim_step", "z"): [[_p(sigma2=0.5)]],
    ("loss", "weight"): [[_p()]],
}
SIGMA2 = _p(eta=2, beta=1, noise_s=1, noise=-1)


class Steps(NamedTuple):
    """The probed steps: from t to s, with eta where it matters."""

    t: NDArray[np.intp]
    s: NDArray[np.intp]
    eta: Floats

    def only(self, which: Any) -> Steps:
        """Some of them."""
        return Steps(self.t[which], self.s[which], self.eta[which])


class Tables:
    """alpha_bar, 1 - alpha_bar and beta as float64, index t; NaN outside 0..T.

    given: the alpha_bar that the code itself says it uses, for t = 1..T.
    """

    def __init__(self, reference: Reference, given: Floats | None = None) -> None:
        self.given = given
        names = ("alpha_bar", "one_minus_alpha_bar", "alpha", "beta")
        padded = ([np.nan, *map(float, getattr(reference, n)), np.nan] for n in names)
        self.bar, self.noise, self.alpha, self.beta = map(np.array, padded)
        self.alpha[1] = self.beta[1] = np.nan  # no step leads to the clean signal

    def own(self) -> Tables:
        """The same with the code's own alpha_bar."""
        other = copy(self)
        if self.given is not None:
            other.bar = np.array([np.nan, 1, *self.given, np.nan])
            other.noise = 1 - other.bar
        return other

    def at(self, name: str, t: NDArray[np.intp]) -> Floats:
        table: Floats = getattr(self, name)
        found: Floats = table[np.clip(t + 1, 0, len(table) - 1)]
        return found


def symbols(tables: Tables, steps: Steps, *, shift: int = 0) -> Symbols:
    """Every symbol at every step; with a shift, those of t + shift and s + shift."""
    t, s, eta = steps.t + shift, steps.s + shift, steps.eta
    with np.errstate(all="ignore"):
        at = {"bar": tables.at("bar", t), "noise": tables.at("noise", t)}
        at |= {"bar_s": tables.at("bar", s), "noise_s": tables.at("noise", s)}
        one = steps.t - steps.s == 1
        at["alpha"] = np.where(one, tables.at("alpha", t), at["bar"] / at["bar_s"])
        at["beta"] = np.where(one, tables.at("beta", t), at["noise"] - at["alpha"] * at["noise_s"])
        at["eta"] = eta
        at["plus"], at["plus_s"] = 1 + at["bar"], 1 + at["bar_s"]
        for name, near in (("before", -1), ("after", 1)):
            at |= {f"{k}_{name}": tables.at(k, t + near) for k in ("bar", "noise", "alpha", "beta")}
        at["alpha_t"], at["beta_t"] = tables.at("alpha", t), tables.at("beta", t)
        at["tilde"] = at["beta"] * at["noise_s"] / at["noise"]
        at["snr"] = at["bar"] / at["noise"]
        return with_sigma2(at, value([SIGMA2], at))


def with_sigma2(at: Symbols, sigma2: Floats, subtracted: Floats | None = None) -> Symbols:
    """The symbols with another sigma^2, and the direction that goes with it."""
    with np.errstate(all="ignore"):
        direction = at["noise_s"] - (sigma2 if subtracted is None else subtracted)
        # 1 - 0 - sigma^2 at s = 0 may come out as minus a rounding error.
        direction = np.where(np.abs(direction) < 1e-12 * at["noise_s"], 0, direction)
    return at | {"sigma2": sigma2, "direction": direction}


def value(formula: Formula, at: Symbols) -> Floats:
    """The formula at every step."""
    with np.errstate(all="ignore"):
        total = np.zeros_like(at["bar"])
        for sign, powers in formula:
            term = np.full_like(total, sign)
            for symbol, power in powers.items():
                term = term * at[symbol] ** power
            total = total + term
    return total


def rounding_bound(formula: Formula, at: Symbols, steps: Steps, u: float) -> Floats:
    """What the formula may be off by if every table is rounded to unit roundoff u as code does it.

    The running product to t has t factors, so alpha_bar_t is off by (t + 4) u of itself at most;
    1 - alpha_bar_t by the same as a number, however small it is; beta from 1 - alpha likewise.
    """
    c, c_s = (4 + steps.t) * u, np.where(steps.s == 0, 4, 4 + steps.s) * u
    with np.errstate(all="ignore"):
        relative = {"bar": c, "bar_s": c_s, "noise": c / at["noise"], "alpha": c, "eta": 0 * c}
        relative["beta"] = np.minimum(c / at["beta"], 1)
        relative["noise_s"] = np.where(at["noise_s"] > 0, c_s / at["noise_s"], 0)
        parts = relative["beta"] + relative["noise_s"] + relative["noise"]
        relative["sigma2"] = parts
        off = 2 * c_s + at["sigma2"] * parts
        d = at["direction"]
        root = np.where(d > 0, np.minimum(off / (2 * d), np.sqrt(off / np.where(d > 0, d, 1))), 0)
        relative["direction"] = 2 * root
        total = np.zeros_like(at["bar"])
        for sign, powers in formula:
            size = np.abs(value([Product(sign, powers)], at))
            share = sum((abs(p) * relative.get(k, c) for k, p in powers.items()), 0 * c)
            total += np.where(size > 0, size * share, 0)
        # Where 1 - alpha_bar_0 = 0 is a factor, code that computes it may find 4 u for it.
        least = at | {"noise_s": np.maximum(at["noise_s"], 4 * u)}
        least = with_sigma2(least, value([SIGMA2], least)) if "sigma2" in at else least
        zero = value(formula, at) == 0
        total = np.where(zero, np.abs(value(formula, least)), total)
    return np.nan_to_num(total, nan=0.0, posinf=0.0)
