"""Charts: variables in which the square roots of the derivation are rational, and the exact schedules they build.

A proof needs both sides as rational functions (:mod:`ddpm_np.proof`), but the formulas take roots of alpha_t, alpha_bar_t,
1 - alpha_bar_t, beta_t and beta_tilde_t, and no choice of variables makes all of them rational at once. Each chart makes those
rational that some formulas take. Its variables reach every step of every schedule: the intervals only say where the grid lies, and
an identity between rational functions that holds on the grid holds everywhere. The identities pick the chart they need.
"""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpm_np.proof.degree import Degree
from ddpm_np.proof.exact import Root
from ddpm_np.proof.prover import UNIT, Chart
from ddpm_np.schedule import Schedule

__all__ = [
    "BETAS", "BETA_TILDE", "BETA_TILDE_SKIPPING", "DDIM_STEP", "DDIM_STEP_WITH_STD", "LEVELS", "ROUTES", "SIGNAL_ROOTS", "SKIP",
    "STEP", "STEP_AT", "STEP_BETWEEN_LEVELS", "STEP_ROOTS",
]

ROUTES = [(s, t) for t in (1, 2, 3) for s in range(t)]


def _circle(w: Any) -> tuple[Any, Any]:
    """A rational point (x, y) of x^2 + y^2 = 1 for every rational w; all of the quarter circle for w in (0, 1)."""
    radius = 1 + w * w
    return (1 - w * w) / radius, 2 * w / radius


def _schedule(alpha: list[Any], alpha_bar: list[Any], one_minus_alpha_bar: list[Any]) -> Schedule:
    """The schedule with these tables, t = 1 .. T.

    It is made by the public constructor from the betas. When degrees are counted its tables are then set to the given forms, which
    are the same functions (the identities "tables of a schedule" prove it on the constructor) with far smaller degrees.
    """
    beta = [1 - a for a in alpha]
    schedule = Schedule.from_beta(beta)
    if not isinstance(beta[0], Degree):
        return schedule
    zero = beta[0] - beta[0]
    tables = {
        "beta": [zero, *beta], "alpha": [zero + 1, *alpha], "alpha_bar": [zero + 1, *alpha_bar],
        "one_minus_alpha_bar": [zero, *one_minus_alpha_bar],
        "beta_tilde": [zero, zero, *(b * m / n for b, m, n in zip(beta[1:], one_minus_alpha_bar, one_minus_alpha_bar[1:]))],
    }
    schedule.__dict__.update({name: np.array(table, dtype=object) for name, table in tables.items()})
    schedule.__dict__["_unrounded"] = (tables["alpha_bar"], tables["one_minus_alpha_bar"])
    return schedule


# ---- schedules with T = 3 -------------------------------------------------------------------------------------------------------


def _from_betas(**b: Any) -> SimpleNamespace:
    beta = list(b.values())
    return SimpleNamespace(beta=beta, schedule=Schedule.from_beta(beta))


def _from_signal_roots(a1: Any, a2: Any, a3: Any) -> SimpleNamespace:
    """a[t] = sqrt(alpha_t), p[t] = sqrt(alpha_bar_t)."""
    a, p = [None, a1, a2, a3], [a1 - a1 + 1, a1, a1 * a2, a1 * a2 * a3]
    squares = [x * x for x in p[1:]]
    schedule = _schedule([x * x for x in a[1:]], squares, [1 - x for x in squares])
    return SimpleNamespace(a=a, p=p, schedule=schedule, roots=[*a[1:], *p[2:]])


def _from_step_roots(w1: Any, w2: Any, w3: Any) -> SimpleNamespace:
    """a[t] = sqrt(alpha_t), b[t] = sqrt(beta_t)."""
    (a1, b1), (a2, b2), (a3, b3) = map(_circle, (w1, w2, w3))
    v = _from_signal_roots(a1, a2, a3)
    return SimpleNamespace(a=v.a, b=[None, b1, b2, b3], schedule=v.schedule, roots=[a1, b1, a2, b2, a3, b3])


def _from_levels(u1: Any, u2: Any, u3: Any) -> SimpleNamespace:
    """p[t] = sqrt(alpha_bar_t), c[t] = sqrt(1 - alpha_bar_t), and with them sqrt(alpha_{t|s}) on every route."""
    one = u1 - u1 + 1
    p, c = map(list, zip((one, one - one), *map(_circle, (u1, u2, u3))))
    alpha = [(p[t] / p[t - 1]) ** 2 for t in (1, 2, 3)]
    schedule = _schedule(alpha, [x * x for x in p[1:]], [x * x for x in c[1:]])
    forward = [p[t] / p[s] for s, t in ROUTES]
    backward = [c[t] * p[s] / p[t] for s, t in ROUTES]
    return SimpleNamespace(p=p, c=c, schedule=schedule, roots=[*p[1:], *c[1:], *forward, *backward])


def _skip_in_the_middle(a1: Any, w: Any, m: Any) -> SimpleNamespace:
    """kept^2 = alpha_bar_3 / alpha_bar_1, noise^2 = 1 - kept^2, and step 2 anywhere between."""
    kept, noise = _circle(w)
    first, last = a1 * a1, (a1 * kept) ** 2
    middle = last + m * (first - last)
    levels = [first, middle, last]
    schedule = _schedule([first, middle / first, last / middle], levels, [1 - x for x in levels])
    return SimpleNamespace(kept=kept, noise=noise, schedule=schedule, roots=[kept, noise])


# ---- one step -------------------------------------------------------------------------------------------------------------------


def _step(a: Any, p: Any) -> SimpleNamespace:
    """The symbols of one step, from a = sqrt(alpha_t) and p = sqrt(alpha_bar_{t-1})."""
    alpha, before = a * a, p * p
    now = alpha * before
    return SimpleNamespace(
        a=a, p=p, alpha=alpha, beta=1 - alpha, alpha_bar_prev=before, alpha_bar=now, one_minus_prev=1 - before, one_minus=1 - now,
        roots=[a, p, a * p],
    )


def _step_at_2(a: Any, p: Any) -> SimpleNamespace:
    """The same step as the last of a schedule with T = 2."""
    v = _step(a, p)
    v.schedule = _schedule([v.alpha_bar_prev, v.alpha], [v.alpha_bar_prev, v.alpha_bar], [v.one_minus_prev, v.one_minus])
    return v


def _step_at_3(a: Any, p: Any, m: Any) -> SimpleNamespace:
    """The same step as the last of a schedule with T = 3, the level at t = 1 anywhere above."""
    v = _step(a, p)
    first = v.alpha_bar_prev + m * v.one_minus_prev
    alpha, alpha_bar = [first, v.alpha_bar_prev / first, v.alpha], [first, v.alpha_bar_prev, v.alpha_bar]
    v.schedule = _schedule(alpha, alpha_bar, [1 - first, v.one_minus_prev, v.one_minus])
    return v


def _step_between_levels(u_s: Any, u_t: Any) -> SimpleNamespace:
    """The same symbols, with c = sqrt(1 - alpha_bar_t) and q = sqrt(alpha_bar_t) rational too."""
    (p, c_prev), (q, c) = _circle(u_s), _circle(u_t)
    a = q / p
    return SimpleNamespace(
        a=a, p=p, q=q, c=c, alpha=a * a, beta=1 - a * a, one_minus_prev=c_prev * c_prev, one_minus=c * c, roots=[a, p, c]
    )


def _with_beta_tilde(w: Any, n: Any) -> SimpleNamespace:
    """The step from t = 2 to 1 with a, b, c, std, the roots of alpha_t, beta_t, 1 - alpha_bar_t and beta_tilde_t, all rational.

    beta_tilde_t (1 - alpha_bar_t) = beta_t (1 - alpha_bar_{t-1}) is a conic over the circle of a and b, with a rational point.
    """
    a, b = _circle(w)
    c, c_prev = b * (1 + n * n) / (2 * n), b * (1 - n * n) / (2 * n * a)
    before, now = c_prev * c_prev, c * c
    schedule = _schedule([1 - before, a * a], [1 - before, 1 - now], [before, now])
    std = b * c_prev / c
    roots = [a, b, c, std, a * before / c, c / a]
    return SimpleNamespace(a=a, b=b, c=c, c_prev=c_prev, std=std, route=(schedule, 2, 1), roots=roots)


def _with_beta_tilde_skipping(w: Any, n: Any, m: Any) -> SimpleNamespace:
    """The same as one step from t = 3 to 1, with t = 2 anywhere in between."""
    v = _with_beta_tilde(w, n)
    first, last = 1 - v.c_prev * v.c_prev, 1 - v.c * v.c
    middle = last + m * (first - last)
    alpha, one_minus = [first, middle / first, last / middle], [v.c_prev * v.c_prev, 1 - middle, v.c * v.c]
    v.route = (_schedule(alpha, [first, middle, last], one_minus), 3, 1)
    return v


def _ddim_step(a: Any, far: Any, near: Any) -> SimpleNamespace:
    """A DDIM step with any eta by two of its roots: far^2 = (1 - alpha_bar_t) / alpha, near^2 = 1 - alpha_bar_s - sigma^2."""
    alpha, beta = a * a, 1 - a * a
    now, before = alpha * far * far, far * far - beta / alpha
    eta = Root((before - near * near) * now / (beta * before))
    return SimpleNamespace(
        far=far, near=near, alpha=alpha, beta=beta, one_minus=now, one_minus_prev=before, eta=eta, roots=[a, far, near, a * far]
    )


def _ddim_step_with_std(g: Any, std: Any, gap: Any) -> SimpleNamespace:
    """A DDIM step with any eta whose standard deviation is rational too, g = 1 / sqrt(alpha), gap = far - near.

    far^2 - near^2 = std^2 + beta / alpha is a quadric with a rational point.
    """
    alpha, both = 1 / (g * g), (std * std + g * g - 1) / gap
    far, near = (both + gap) / 2, (both - gap) / 2
    now, before = alpha * far * far, near * near + std * std
    schedule = _schedule([1 - before, alpha], [1 - before, 1 - now], [before, now])
    eta = Root(std * std * now / ((1 - alpha) * before))
    return SimpleNamespace(g=g, far=far, near=near, std=std, schedule=schedule, eta=eta, roots=[1 / g, far, near, std])


# ---- the charts -----------------------------------------------------------------------------------------------------------------


def _third(k: int) -> tuple[Fraction, Fraction]:
    return Fraction(k, 3), Fraction(k + 1, 3)


def _roots(v: SimpleNamespace) -> list[Any]:
    return v.roots


HALF = (Fraction(1, 2), Fraction(1))
QUARTER = (Fraction(0), Fraction(1, 4))
GAP = {"g": (Fraction(10, 9), Fraction(5, 4)), "std": QUARTER, "gap": (Fraction(2, 5), Fraction(12, 25))}

BETAS = Chart({"beta_1": UNIT, "beta_2": UNIT, "beta_3": UNIT}, _from_betas)
SIGNAL_ROOTS = Chart({"a1": UNIT, "a2": UNIT, "a3": UNIT}, _from_signal_roots, _roots)
STEP_ROOTS = Chart({"w1": UNIT, "w2": UNIT, "w3": UNIT}, _from_step_roots, _roots)
LEVELS = Chart({"u1": _third(0), "u2": _third(1), "u3": _third(2)}, _from_levels, _roots)
SKIP = Chart({"a1": UNIT, "w": UNIT, "m": UNIT}, _skip_in_the_middle, _roots)
STEP = Chart({"a": UNIT, "p": UNIT}, _step, _roots)
STEP_AT = {2: Chart({"a": UNIT, "p": UNIT}, _step_at_2, _roots), 3: Chart({"a": UNIT, "p": UNIT, "m": UNIT}, _step_at_3, _roots)}
STEP_BETWEEN_LEVELS = Chart({"u_s": (Fraction(0), Fraction(1, 2)), "u_t": HALF}, _step_between_levels, _roots)
BETA_TILDE = Chart({"w": QUARTER, "n": HALF}, _with_beta_tilde, _roots)
BETA_TILDE_SKIPPING = Chart({"w": QUARTER, "n": HALF, "m": UNIT}, _with_beta_tilde_skipping, _roots)
DDIM_STEP = Chart({"a": HALF, "far": (Fraction(2), Fraction(3)), "near": UNIT}, _ddim_step, _roots)
DDIM_STEP_WITH_STD = Chart(GAP, _ddim_step_with_std, _roots)
