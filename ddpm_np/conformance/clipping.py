"""Large values that get another coefficient than small ones, and the limit that explains it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.formulas import bases, parts
from ddpm_np.conformance.probe import LARGE
from ddpm_np.conformance.values import Evaluator
from ddpm_np.equations import formulas

if TYPE_CHECKING:
    from ddpm_np.conformance.judged import Judged

_LIMITS = (1.0, 2.0, 3.0, 5.0, 10.0, 0.5, 1.5, 4.0, 6.0, 8.0, 20.0, 100.0)
_MEANS = ("reverse_step", "p_mean_variance", "q_posterior_mean_variance")
NOT_LINEAR = "clipping, or anything else that is not linear in large values"


def clipping(judged: Judged, name: str) -> tuple[int, str, str] | None:
    """The first step where large values are cut off, why, and the example; None where none are."""
    if "variance" in name:
        return None
    steps, small, large = judged.steps, judged.measured.values[name], judged.measured.large[name]
    scale = np.maximum(judged.exact[name][1].astype(np.float64), np.abs(small))
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
    got = float(judged.measured.large[name][i] * LARGE)
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
        elif operation in _MEANS and name != "z":
            found[told] = number(known["mean"], x_0=cut, x_t=x_t)
        elif operation == "ddim_step" and name != "z":
            eps, again = number(part["eps"], **given), number(known["eps"], x_0=cut, x_t=x_t)
            stale = f"{told}, and eps is left as it was predicted"
            found[stale] = number(ddim, x0_hat=cut, eps=eps)
            found[f"{told}, and eps is made again from the cut x_0"] = number(
                ddim, x0_hat=cut, eps=again
            )
        elif operation == "q_sample" and name == "x_0":
            found[told] = number(bases("q_sample")[0].value, x_0=limit)
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
    own = judged.measured.values[name][len(judged.steps.t) // 2] * size[0]
    if not out[1] or not np.allclose(out[1:] / out[1], size[0, 1:] / size[0, 1], rtol=1e-3):
        return ""
    if abs(out[1] - own[1]) <= 1e-3 * abs(own[1]):
        return ""
    return "dynamic thresholding: x_0 is scaled by a quantile of its own magnitudes"
