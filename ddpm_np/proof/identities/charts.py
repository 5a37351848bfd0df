"""Charts: variables in which the square roots of the derivation are rational.

A proof needs both sides as rational functions, but the formulas take roots of alpha_t,
alpha_bar_t, 1 - alpha_bar_t, beta_t and beta_tilde_t, and no choice of variables makes all of them
rational at once. Each chart makes those rational that some formulas take.

Each chart of a schedule reaches every schedule with its number of steps T: the docstrings say how
to find the variables for given betas. So an identity that is proved on a chart holds for all
betas. The schedules are made by the public constructor.
"""

from collections.abc import Mapping
from itertools import accumulate
from operator import mul
from types import SimpleNamespace
from typing import Any

from ddpm_np.proof.exact import Root
from ddpm_np.proof.prover import Chart
from ddpm_np.proof.rational import Symbol
from ddpm_np.proof.symbols import UNIT

TS = (1, 2, 3, 4, 5)


def routes(T: int) -> list[tuple[int, int]]:
    """Every s < t up to T."""
    return [(s, t) for t in range(1, T + 1) for s in range(t)]


def circle(w: Any) -> tuple[Any, Any]:
    """The point (x, y) of x^2 + y^2 = 1 with w = y / (1 + x): each of the quarter circle once."""
    radius = 1 + w * w
    return (1 - w * w) / radius, 2 * w / radius


def _names(letter: str, T: int) -> list[str]:
    return [f"{letter}{t}" for t in range(1, T + 1)]


# ---- schedules ----------------------------------------------------------------------------------


def betas(T: int) -> Chart:
    """The betas themselves; no root is rational."""

    def build(**b: Symbol) -> SimpleNamespace:
        beta = list(b.values())
        return SimpleNamespace(T=T, beta=beta, schedule=beta[0].domain.schedule(beta))

    return Chart(dict.fromkeys(_names("beta_", T), UNIT), build)


def levels(T: int) -> Chart:
    """p[t] = sqrt(alpha_bar_t) and c[t] = sqrt(1 - alpha_bar_t), with sqrt(alpha_{t|s}) for s < t.

    The variables are u_t = c_t / (1 + p_t), which increase with t.
    """

    def build(**u: Symbol) -> SimpleNamespace:
        p, c = map(list, zip((1, 0), *map(circle, u.values())))
        schedule = u["u1"].domain.schedule([1 - (b / a) ** 2 for a, b in zip(p, p[1:])])
        forward = [p[t] / p[s] for s, t in routes(T)]
        backward = [c[t] * p[s] / p[t] for s, t in routes(T)]
        roots = [*p[1:], *c[1:], *forward, *backward]
        return SimpleNamespace(T=T, p=p, c=c, schedule=schedule, roots=roots)

    names = _names("u", T)
    lows: list[int | str] = [0, *names]
    return Chart({name: (low, 1) for low, name in zip(lows, names)}, build)


def segments(T: int, *cuts: int) -> Chart:
    """kept[i] = sqrt(alpha_{t|s}), noise[i] = sqrt(1 - alpha_{t|s}) for consecutive cuts s < t.

    The route from 0 to T is cut there. Within a segment the levels alpha_bar_k / alpha_bar_s,
    s < k < t, divide the interval from 1 to alpha_{t|s}: each m_k in (0, 1) is how far the level
    stays above alpha_{t|s}, as a fraction of what the level before does.
    """
    ends = [*cuts, T]

    def build(**variables: Symbol) -> SimpleNamespace:
        kept, noise = zip(*(circle(variables[f"w{t}"]) for t in ends))
        known = dict(zip(ends, accumulate((root**2 for root in kept), mul)))
        schedule = _schedule(T, known, variables)
        return SimpleNamespace(
            T=T, kept=kept, noise=noise, schedule=schedule, roots=[*kept, *noise]
        )

    names = [f"w{t}" if t in ends else f"m{t}" for t in range(1, T + 1)]
    return Chart(dict.fromkeys(names, UNIT), build)


def single_steps(T: int) -> Chart:
    """kept[t - 1] = sqrt(alpha_t), noise[t - 1] = sqrt(beta_t)."""
    return segments(T, *range(1, T))


def _schedule(T: int, known: dict[int, Any], m: Mapping[str, Symbol]) -> Any:
    """A schedule of T steps with alpha_bar as known at some of them, in order, and others free."""
    levels: list[Any] = [1]
    for k in range(1, T + 1):
        below = next((level for t, level in known.items() if t >= k), 0)
        levels.append(known[k] if k in known else below + m[f"m{k}"] * (levels[-1] - below))
    return levels[-1].domain.schedule([1 - b / a for a, b in zip(levels, levels[1:])])


def _others(T: int, s: int, t: int) -> dict[str, Any]:
    return {f"m{k}": UNIT for k in range(1, T + 1) if k not in (s, t)}


def reverse_step(T: int, s: int, t: int) -> Chart:
    """The step from t to s >= 1 with the roots a, b, c, std of alpha_{t|s}, beta_{t|s},

    1 - alpha_bar_t and beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t).

    With c_s = sqrt(1 - alpha_bar_s), c^2 - a^2 c_s^2 = b^2 is a hyperbola, on which
    n = (c - a c_s) / b is a rational variable. alpha_bar_t > 0 is n > w.
    """

    def build(w: Symbol, n: Symbol, **m: Symbol) -> SimpleNamespace:
        a, b = circle(w)
        c, c_s = b * (1 + n * n) / (2 * n), b * (1 - n * n) / (2 * n * a)
        std = b * c_s / c
        schedule = _schedule(T, {s: 1 - c_s * c_s, t: 1 - c * c}, m)
        roots = [a, b, c, std, a * c_s * c_s / c, c / a]
        return SimpleNamespace(
            a=a, b=b, c=c, std=std, schedule=schedule, route=(schedule, t, s), roots=roots
        )

    return Chart({"w": UNIT, "n": ("w", 1), **_others(T, s, t)}, build)


def ddim_step(T: int, s: int, t: int) -> Chart:
    """The DDIM step from t to s >= 1 with any eta, and the roots of all that it takes.

    near = sqrt(1 - alpha_bar_s - sigma^2) and std = sigma lie on a circle of radius
    sqrt(1 - alpha_bar_s); w is their place on it. The levels are those of :func:`levels`.
    """

    def build(u_s: Symbol, u_t: Symbol, w: Symbol, **m: Symbol) -> SimpleNamespace:
        (p_s, c_s), (p, c), (x, y) = map(circle, (u_s, u_t, w))
        g, near, std = p_s / p, c_s * x, c_s * y
        schedule = _schedule(T, {s: p_s * p_s, t: p * p}, m)
        return SimpleNamespace(
            c=c,
            c_s=c_s,
            p_s=p_s,
            schedule=schedule,
            eta=Root((y * c) ** 2 / (1 - 1 / (g * g))),
            route=(schedule, t, s),
            roots=[1 / g, c * g, near, std, p, p_s, c, c_s],
        )

    variables: dict[str, Any] = {"u_s": UNIT, "u_t": ("u_s", 1), "w": UNIT}
    return Chart(variables | _others(T, s, t), build)


# ---- the symbols of one step, for the scalar kernels ---------------------------------------------


def _step(u_s: Symbol, u_t: Symbol) -> SimpleNamespace:
    """p = sqrt(alpha_bar_{t-1}), q = sqrt(alpha_bar_t), their noises, and the kernels' parameters.

    These have the names that the kernels give them (:func:`ddpm_np.proof.identities.entry.of`).
    """
    (p, c_prev), (q, c) = circle(u_s), circle(u_t)
    a = q / p
    return SimpleNamespace(
        a=a,
        p=p,
        q=q,
        c=c,
        alpha_t=a * a,
        beta_t=1 - a * a,
        alpha_bar_prev=p * p,
        alpha_bar_t=q * q,
        one_minus_alpha_bar_prev=c_prev * c_prev,
        one_minus_alpha_bar_t=c * c,
        roots=[a, p, q, c, c_prev],
    )


STEP = Chart({"u_s": UNIT, "u_t": ("u_s", 1)}, _step)
