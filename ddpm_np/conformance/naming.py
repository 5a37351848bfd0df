"""The name of a deviation: what explains the coefficients that differ, or what is known instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.conventions import Candidate, World, candidates
from ddpm_np.conformance.edits import edits_of
from ddpm_np.conformance.values import Value

if TYPE_CHECKING:
    from ddpm_np.conformance.judged import Judged

_FLOAT32 = 2.0**-24


def named(judged: Judged, failing: list[str]) -> dict[str, str]:
    """For every failing coefficient what explains it, or what is known instead."""
    values = judged.measured.values
    finite = np.all([np.isfinite(values[n]) for n in judged.names], axis=0)
    if not finite.all():
        return _not_finite(judged, failing, finite)
    wholly = _explained(judged, failing)
    said = {}
    for name in failing:
        said[name] = wholly.get(name) or _otherwise(judged, name)
        turned = np.abs(values[name] + judged.right(name)) <= 4 * judged.allowed[name]
        if "one term is turned" in said[name] and turned.all():
            said[name] = "the sign is turned"
        if "a term is missing" in said[name] and not np.any(values[name]):
            said[name] = "the term is missing: it is 0 at every step"
    return said


def _not_finite(judged: Judged, failing: list[str], finite: Array) -> dict[str, str]:
    """Where it is NaN or infinite, and the name of what is wrong elsewhere."""
    others: dict[str, str] = {}
    if finite.any():
        rest = type(judged)(judged.view, judged.operation, judged.measured.only(finite))
        bad = [n for n in rest.names if rest.grades[n].max() >= 2]
        others = named(rest, bad) if bad else {}
    said = {}
    for name in failing:
        values = judged.measured.values[name]
        wrong = judged.steps.t[~np.isfinite(values)]
        said[name] = others.get(name, "")
        if len(wrong):
            what = "NaN" if np.isnan(values).any() else "infinite"
            text = f"{what} at {len(wrong)} of {len(values)} steps, first at t = {wrong.min()}"
            if all(judged.view.exact.bar[t] == 0 for t in wrong):
                text += ", where alpha_bar_t = 0 and no signal is left"
            said[name] = f"{text}; elsewhere {said[name] or 'it holds'}" if finite.any() else text
    return said


def _explained(judged: Judged, failing: list[str]) -> dict[str, str]:
    """The first candidate that gives all the coefficients; else the first for each of them.

    With the roundoff of its dtype, before one that does so only with that of float32.
    """
    worlds = [judged.world(u) for u in dict.fromkeys((max(_FLOAT32, judged.unit), judged.unit))]
    coarse, fine = worlds[0], worlds[-1]
    each: dict[World, dict[str, str]] = {world: {} for world in worlds}
    wholly = ""
    for candidate in candidates(judged.operation, coarse.output, judged.tables, judged.single):
        if not _given(judged, coarse, candidate, failing):
            continue
        for world in reversed(worlds):
            near = _given(judged, world, candidate, failing)
            each[world] |= {n: candidate.name for n in near if n not in each[world]}
            if len(near) < len(failing):
                continue
            if len(_given(judged, world, candidate, judged.names)) == len(judged.names):
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
    return [n for n in wanted if n in found and _agree(judged, n, found[n], world.u)]


def _pairs(judged: Judged, failing: list[str]) -> dict[str, str]:
    """Two edits of the formula at once, each a factor on the right value at every step."""
    world = judged.world(judged.unit)
    each: dict[str, str] = {}
    with np.errstate(all="ignore"):
        right = {n: np.asarray(v.value, float) for n, v in world.of(judged.base).items()}
        edited = [(label, world.of(form)) for label, form in edits_of(judged.base, judged.single)]
        for name in failing:
            ratio = judged.measured.values[name] / right[name]
            used = np.isfinite(ratio) & (ratio != 0)
            if used.sum() < 8 or not used[judged.grades[name] >= 2].all():
                continue
            table = np.array([np.asarray(f[name].value, float) / right[name] for _, f in edited])
            near = 64 * judged.unit + 4 * judged.allowed[name] / np.abs(right[name])
            near = np.minimum(near, 1e-3)[used]
            table = np.broadcast_to(table, (len(edited), len(used)))[:, used]
            for i, (first, _) in enumerate(edited):
                off = np.abs(table[i] * table / ratio[used] - 1) <= near
                for j in np.flatnonzero(off.all(axis=1))[:1]:
                    each.setdefault(name, f"{first}; and {edited[j][0]}")
    return each


def _agree(judged: Judged, name: str, value: Value, u: float) -> bool:
    """Whether a candidate gives the measured values wherever it is defined."""
    actual, failing = judged.measured.values[name], judged.grades[name] >= 2
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


def _otherwise(judged: Judged, name: str) -> str:
    """What can be said where no candidate explains it."""
    actual, grades, right = judged.measured.values[name], judged.grades[name], judged.right(name)
    wrong = judged.steps.t[grades >= 2]
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
    share = np.max(judged.allowed[name][there] / np.abs(right[there]), initial=0)
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
