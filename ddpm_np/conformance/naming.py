"""The name of a deviation: what explains the coefficients that differ, or what is known instead.

And where large values get another coefficient than small ones, the limit that explains it.
"""

from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.conventions import Candidate, World, candidates
from ddpm_np.conformance.edits import edits_of
from ddpm_np.conformance.formulas import bases, parts
from ddpm_np.conformance.judged import Coefficient, Judged
from ddpm_np.conformance.operations import SAMPLING
from ddpm_np.conformance.probe import LARGE
from ddpm_np.conformance.values import Evaluator, Value
from ddpm_np.equations import formulas

_LIMITS = (1.0, 2.0, 3.0, 5.0, 10.0, 0.5, 1.5, 4.0, 6.0, 8.0, 20.0, 100.0)
NOT_LINEAR = "clipping, or anything else that is not linear in large values"


def named(judged: Judged, failing: list[str]) -> dict[str, str]:
    """For every failing coefficient what explains it, or what is known instead."""
    finite = np.all([np.isfinite(c.values) for c in judged.of.values()], axis=0)
    if not finite.all():
        return _not_finite(judged, failing, finite)
    said = _explained(judged, failing)
    for name in failing:
        c = judged.of[name]
        said[name] = said.get(name) or _otherwise(judged, name, c)
        turned = np.abs(c.values + c.right) <= 4 * c.allowed
        if "one term is turned" in said[name] and turned.all():
            said[name] = "the sign is turned"
        if "a term is missing" in said[name] and not np.any(c.values):
            said[name] = "the term is missing: it is 0 at every step"
    return said


def _not_finite(judged: Judged, failing: list[str], finite: Array) -> dict[str, str]:
    """Where it is NaN or infinite, and the name of what is wrong elsewhere."""
    said: dict[str, str] = {}
    if finite.any():
        rest = type(judged)(judged.view, judged.operation, judged.measured.only(finite))
        bad = [name for name, c in rest.of.items() if c.fails]
        said = named(rest, bad) if bad else {}
    for name in failing:
        values = judged.of[name].values
        wrong = judged.steps.t[~np.isfinite(values)]
        if len(wrong):
            what = "NaN" if np.isnan(values).any() else "infinite"
            text = f"{what} at {len(wrong)} of {len(values)} steps, first at t = {wrong.min()}"
            if not judged.view.exact.bar[wrong].any():
                text += ", where alpha_bar_t = 0 and no signal is left"
            elsewhere = f"{text}; elsewhere {said.get(name) or 'it holds'}"
            said[name] = elsewhere if finite.any() else text
    return said


def _explained(judged: Judged, failing: list[str]) -> dict[str, str]:
    """The first candidate that gives all the coefficients; else the first for each of them.

    With the roundoff of its dtype, before one that does so only with that of float32.
    """
    coarse, every = judged.coarse, list(judged.of)
    fine = coarse if coarse.u == judged.unit else judged.world(judged.unit)
    each: dict[World, dict[str, str]] = {coarse: {}, fine: {}}
    wholly = ""
    for candidate in candidates(judged.operation, coarse.output, judged.tables, judged.single):
        if not _given(judged, coarse, candidate, failing):
            continue
        for world in dict.fromkeys((fine, coarse)):
            near = _given(judged, world, candidate, failing)
            each[world] = dict.fromkeys(near, candidate.name) | each[world]
            if len(near) == len(failing) and _given(judged, world, candidate, every) == every:
                if world is fine:
                    return dict.fromkeys(failing, candidate.name)
                wholly = wholly or candidate.name
    if wholly and len(each[fine]) < len(failing):
        return dict.fromkeys(failing, wholly)
    found = each[coarse] | each[fine]
    missing = [n for n in failing if n not in found]
    return found | _pairs(judged, missing) if missing and len(judged.steps.t) >= 8 else found


def _given(judged: Judged, world: World, candidate: Candidate, wanted: list[str]) -> list[str]:
    """The wanted coefficients that a candidate gives."""
    found = world.found(candidate, wanted)
    return [n for n in wanted if n in found and _agree(n, judged.of[n], found[n], world.u)]


def _pairs(judged: Judged, failing: list[str]) -> dict[str, str]:
    """Two edits of the formula at once, each a factor on the right value at every step."""
    world = judged.world(judged.unit)
    each: dict[str, str] = {}
    with np.errstate(all="ignore"):
        edited = [(label, world.of(form)) for label, form in edits_of(judged.base, judged.single)]
        for name in failing:
            c = judged.of[name]
            right = np.asarray(world.of(judged.base)[name].value, float)
            ratio = c.values / right
            used = np.isfinite(ratio) & (ratio != 0)
            if used.sum() < 8 or not used[c.grades >= 2].all():
                continue
            table = np.array([np.asarray(f[name].value, float) / right for _, f in edited])
            near = np.minimum(64 * judged.unit + 4 * c.allowed / np.abs(right), 1e-3)[used]
            table = np.broadcast_to(table, (len(edited), len(used)))[:, used]
            for i, (first, _) in enumerate(edited):
                off = np.abs(table[i] * table / ratio[used] - 1) <= near
                for j in np.flatnonzero(off.all(axis=1))[:1]:
                    each.setdefault(name, f"{first}; and {edited[j][0]}")
    return each


def _agree(name: str, c: Coefficient, value: Value, u: float) -> bool:
    """Whether a candidate gives the measured values wherever it is defined."""
    actual, failing = c.values, c.grades >= 2
    with np.errstate(all="ignore"):
        values, off = (
            np.broadcast_to(np.asarray(x, dtype=np.float64), actual.shape)
            for x in (value.value, value.off)
        )
        defined = np.isfinite(values)
        near = np.minimum(4 * off, 0.05 * np.abs(values)) + 64 * u * np.abs(values)
        floor = 64 * u * np.median(np.abs(actual)) + 4 * np.where(np.isfinite(off), off, 0)
        near = np.where(values == 0, floor, near)
        if name == "log variance":
            near = near + 64 * u * (1 + np.abs(values))
        right = (np.abs(actual - values) <= near) | ~defined
    told = np.any(defined & failing) or not failing.any()
    return bool(told and right.all() and defined.sum() * 2 >= len(values))


def _otherwise(judged: Judged, name: str, c: Coefficient) -> str:
    """What can be said where no candidate explains it."""
    actual, right = c.values, c.right
    wrong = judged.steps.t[c.grades >= 2]
    if judged.operation == "reverse_step" and name == "z" and set(wrong) == {1}:
        last = actual[judged.steps.t == 1][0] ** 2
        return f"noise at the last step: t = 1 adds noise of variance {last:.3g}"
    if not np.any(actual):
        return "the term is missing: it is 0 at every step"
    mantissas = np.abs(np.frexp(actual)[0])
    for bits, kind in ((11, "float16"), (8, "bfloat16")):
        if np.all(mantissas * 2**bits == np.round(mantissas * 2**bits)):
            return f"half precision: its numbers are {kind}'s, of {bits} bits"
    there = right != 0
    ratio = actual[there] / right[there]
    share = np.max(c.allowed[there] / np.abs(right[there]), initial=0)
    near = (min(share, 1e-4) + 64 * judged.unit) * np.abs(ratio).max(initial=0)
    if len(ratio) > 1 and np.ptp(ratio) <= near and np.all(actual[~there] == 0):
        factor = float(np.median(ratio))
        if judged.operation == "alphas_cumprod" and factor < 1:
            return f"one step off: the product starts before t = 1, at {factor:.6g}"
        if abs(factor + 1) < 1e-3:
            return "the sign is turned"
        return f"a constant factor: {factor:.6g} times what it should be"
    where = f"wrong at {len(wrong)} of {len(actual)} steps, first at t = {wrong.min()}"
    return f"no convention that is known here; {where}"


# ---- large values ------------------------------------------------------------------------------


def clipping(judged: Judged, name: str) -> tuple[int, str, str] | None:
    """The first step where large values are cut off, why, and the example; None where none are."""
    if "variance" in name:
        return None
    c, steps = judged.of[name], judged.steps
    small, large = c.values, c.large
    scale = np.maximum(c.size.astype(np.float64), np.abs(small))
    bad = (np.abs(large - small) > 64 * judged.unit * scale) & np.isfinite(small)
    if not np.any(bad):
        return None
    i = int(np.flatnonzero(bad)[np.argmin(steps.t[bad])])
    inner = np.flatnonzero(bad & (steps.s > 0))
    found = {_limit(judged, name, j) for j in (inner[[0, len(inner) // 2]] if len(inner) else [i])}
    why = found.pop() if len(found) == 1 else NOT_LINEAR
    text = f"{judged.place(i)}: {name} = {LARGE:g} gives {large[i] * LARGE:.6g}, not "
    return int(steps.t[i]), why, f"{text}{small[i] * LARGE:.6g}"


def _limit(judged: Judged, name: str, i: int) -> str:
    """The limit on x_0 or on the result that explains the large value, and what eps is then."""
    world = judged.coarse.only([i])
    got = float(judged.of[name].large[i] * LARGE)
    operation = judged.operation

    def number(tree: Any, **units: float) -> float:
        vectors = dict.fromkeys(("x_0", "x_t", "eps", "v", "z", "noise"), 0.0) | units
        value_of = Evaluator({**world.value_of.at, **vectors, "eps_hat": vectors["eps"]})
        value_of.at["sigma"] = value_of(judged.base.sigma).value
        with np.errstate(all="ignore"):
            return float(np.ravel(value_of(tree).value)[0])

    part, known = parts(judged.measured.output), parts("x_0")
    ddim = formulas("sampling.ddim_step")[0].right
    given = {name: LARGE}
    x_t = given.get("x_t", 0.0)
    sign = float(np.sign(number(part["x_0"], **given)))
    found: dict[str, float] = {}
    for limit in _LIMITS:
        cut, told = sign * limit, f"clipping: x_0 is cut to [-{limit:.3g}, {limit:.3g}]"
        if operation == "predict_x0":
            found[told] = cut
        elif operation == "q_sample" and name == "x_0":
            found[told] = number(bases("q_sample")[0].value, x_0=limit)
        elif operation == "ddim_step" and name != "z":
            eps, again = number(part["eps"], **given), number(known["eps"], x_0=cut, x_t=x_t)
            stale, anew = "eps is left as it was predicted", "eps is made again from the cut x_0"
            for what, direction in ((stale, eps), (anew, again)):
                found[f"{told}, and {what}"] = number(ddim, x0_hat=cut, eps=direction)
        elif operation in (*SAMPLING, "q_posterior_mean_variance") and name != "z":
            found[told] = number(known["mean"], x_0=cut, x_t=x_t)
    for limit in _LIMITS if operation != "predict_x0" else ():
        told = f"clipping: the result is cut to [-{limit:.3g}, {limit:.3g}]"
        found[told] = float(np.copysign(limit, got))
    off = {told: abs(got - value) / max(abs(value), 1e-3) for told, value in found.items()}
    best = min(off, key=lambda told: off[told])
    return best if off[best] <= 1e-3 else NOT_LINEAR


def dynamic(caller: Caller, judged: Judged) -> str:
    """Whether the limit on x_0 depends on the other coordinates of the row."""
    step = judged.steps.listed()[len(judged.steps.t) // 2]
    name = caller.vectors[0]
    size = np.array([[1.0, 0.5, 0.25, 0.125, 0.0625]]) * LARGE
    zeros = {n: np.zeros_like(size) for n in caller.vectors}
    out = caller(*step, **{**zeros, name: size}).value.astype(np.float64)[0]
    own = judged.of[name].values[len(judged.steps.t) // 2] * size[0]
    if not out[1] or not np.allclose(out[1:] / out[1], size[0, 1:] / size[0, 1], rtol=1e-3):
        return ""
    if abs(out[1] - own[1]) <= 1e-3 * abs(own[1]):
        return ""
    return "dynamic thresholding: x_0 is scaled by a quantile of its own magnitudes"
