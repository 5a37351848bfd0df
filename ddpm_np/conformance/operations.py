"""The operations of a subject, their exact coefficients, and how unit vectors read them off.

Every operation is affine and acts coordinate by coordinate: with as many coordinates as arguments,
one call on unit vectors returns all its coefficients. A second row with large values shows clipping
or anything that is not affine, and a coordinate of zeros an offset.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.formulas import Steps
from ddpm_np.conformance.subject import OPERATIONS, Subject, Unusable, array_of, numpy_of
from ddpm_np.proof.reference import Reference

# Which rows an operation gives: equation and coefficient.
COEFFICIENTS = {
    "q_sample": [("E6", "x_0"), ("E6", "noise")],
    "q_posterior_mean_variance": [("E11", "variance"), ("E12", "x_0"), ("E12", "x_t")],
    "predict_x0": [("E13", "x_t"), ("E13", "eps")],
    "reverse_step": [("E17", "x_t"), ("E17", "eps"), ("E17", "z")],
    "ddim_step": [("E18", "x_t"), ("E18", "eps"), ("E18", "z")],
    "loss": [("E15", "mean square")],
}
VECTORS = ("x_0", "noise", "x_t", "eps", "z")
LARGE = 1024.0


class Measured(NamedTuple):
    """What probing an operation gave.

    steps: those where it returned something; values: the coefficients there, float64; large: what
    the coefficient seems to be for large values; offset and mixed: its result at 0, and its error
    on all large arguments together, both as multiples of the unit; failed: (t, message, raised)
    for the steps where it did not; dtype: that of its results.
    """

    steps: Steps
    values: dict[str, Array]
    large: dict[str, Array]
    offset: Array
    mixed: Array
    failed: list[tuple[int, str, bool]]
    dtype: Any


def probed_steps(subject: Subject, operation: str) -> list[tuple[int, int, float]]:
    """(t, s, eta) for every t where alpha_bar_t has all its digits; for DDIM also longer steps."""
    T, least = subject.T, 1e-20 if subject.dtype == np.float32 else 1e-200
    every = range(1, T + 1)
    if T > 2000:
        chosen = {*range(1, 101), *np.linspace(1, T, 1900).astype(int).tolist()}
        every = sorted(chosen)  # type: ignore[assignment]
    usable = [t for t in every if subject.reference.alpha_bar[t] > least]
    if operation != "ddim_step":
        return [(t, t - 1, 1.0) for t in usable]
    few = sorted({*usable[:10], *usable[:: max(len(usable) // 30, 1)], *usable[-1:]})
    routes = getattr(subject.given, "ddim_routes", None)
    if routes is not None:  # code that takes only these steps
        first = subject.first_step - 1
        chosen_pairs = sorted((t - first, s - first) for t, s in routes)
        return [(t, s, e) for t, s in chosen_pairs if t in usable for e in (0, 0.5, 1)]
    single = [(t, t - 1, 0.5) for t in usable] + [(t, t - 1, e) for t in few for e in (0, 1)]
    longer = [(t, s, e) for t in few for s in {0, t // 2} if s < t - 1 for e in (0, 0.5)]
    return single + sorted(longer)


def measure(subject: Subject, operation: str) -> Measured:
    """Probes an operation at every step, and never raises for what the operation does."""
    with np.errstate(all="ignore"):
        return _measure(subject, operation)


def _measure(subject: Subject, operation: str) -> Measured:
    names = [name for name in OPERATIONS[operation] if name in VECTORS]
    wanted = [name for _, name in COEFFICIENTS[operation]]
    done: list[tuple[int, int, float]] = []
    found: list[dict[str, float]] = []
    large: list[dict[str, float]] = []
    rest: list[tuple[float, float]] = []
    failed: list[tuple[int, str, bool]] = []
    declined: tuple[int, str, bool] | None = None
    dtype = subject.dtype
    probes = probed_steps(subject, operation)
    for i, (t, s, eta) in enumerate(probes):
        root = float(subject.reference.alpha_bar[t]) ** 0.5
        unit = 2.0 ** (np.floor(np.log2(root)) - 3)
        vectors = _vectors(names, unit)
        at = {"t": subject.step(t), "s": subject.step(s), "eta": float(eta), **vectors}
        try:
            result = subject.call(operation, *(at[name] for name in OPERATIONS[operation]))
            out, variance = _split(operation, result, vectors[names[0]].shape)
            if i in (0, len(probes) - 1):
                again = subject.call(operation, *(at[name] for name in OPERATIONS[operation]))
                if not np.array_equal(_split(operation, again, out.shape)[0], out, equal_nan=True):
                    failed = [(t, "two equal calls give different results", False)]
                    done, found, large, rest = [], [], [], []
                    break
        except Unusable as why:
            failed.append((t, str(why), False))
            continue
        except Exception as error:
            if operation == "ddim_step" and isinstance(error, NotImplementedError):
                declined = declined or (t, "NotImplementedError at every step", True)
                continue  # a step that this code does not offer
            line = " ".join(str(error).split())
            failed.append((t, f"{type(error).__name__}: {line}"[:120], True))
            continue
        dtype = out.dtype
        wide = out.astype(np.float64)
        zero, k = wide[0, -1], len(names)
        small = {name: (wide[0, i] - zero) / unit for i, name in enumerate(names)}
        big = {name: wide[1, i] / LARGE for i, name in enumerate(names)}
        together = sum(v * 2.0**-i for i, v in enumerate(small.values()))
        if variance is not None:
            small["variance"] = big["variance"] = variance
        done.append((t, s, eta))
        found.append(small)
        large.append(big)
        rest.append((zero / unit, wide[1, k] / LARGE - together))
    if declined and not done and not failed:
        failed = [declined]
    return Measured(
        _steps(done),
        _columns(found, wanted),
        _columns(large, wanted),
        np.array([r[0] for r in rest]),
        np.array([r[1] for r in rest]),
        failed,
        dtype,
    )


def _vectors(names: list[str], unit: float) -> dict[str, Array]:
    """Row 0: for each a unit in a coordinate of its own, then zeros. Row 1: large ones."""
    k = len(names)
    vectors = {name: np.zeros((2, k + 2)) for name in names}
    for i, vector in enumerate(vectors.values()):
        vector[0, i], vector[1, i], vector[1, k] = unit, LARGE, LARGE * 2.0**-i
    return vectors


def _split(operation: str, result: Any, shape: tuple[int, ...]) -> tuple[Array, float | None]:
    if operation != "q_posterior_mean_variance":
        return array_of(result, shape), None
    if not isinstance(result, (tuple, list)) or len(result) < 2:
        raise Unusable(f"returns a {type(result).__name__}, not a pair (mean, variance)")
    mean, variance = array_of(result[0], shape, what="mean"), numpy_of(result[1])
    try:
        spread = np.broadcast_to(variance, shape)
    except ValueError:
        if variance.shape != shape[:1]:
            raise Unusable(
                f"returns a variance of shape {variance.shape} for arguments of shape {shape}"
            ) from None
        spread = np.broadcast_to(variance[:, None], shape)
    if spread.dtype.kind not in "fiu":
        raise Unusable(f"returns a variance of dtype {spread.dtype}, not real numbers")
    if not np.array_equal(spread, np.full(shape, spread[0, 0]), equal_nan=True):
        raise Unusable("returns a variance that depends on the values of x_0 or x_t")
    return mean, float(spread[0, 0])


def _columns(rows: list[dict[str, float]], names: list[str]) -> dict[str, Array]:
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def _steps(done: list[tuple[int, int, float]]) -> Steps:
    t, s, eta = (np.array([d[i] for d in done]) for i in range(3))
    return Steps(t.astype(np.intp), s.astype(np.intp), eta.astype(np.float64))


def exact(reference: Reference, operation: str, steps: Steps) -> dict[str, tuple[Any, Any]]:
    """For each coefficient its exact values, and the magnitudes whose last place counts.

    The noise of a reverse step has two values that conform: "z" is that with beta_tilde, "z, beta"
    that with beta.
    """
    rows = [_EXACT[operation](reference, *map(_plain, step)) for step in zip(*steps)]

    def column(name: str, i: int) -> Array:
        return np.array([row[name][i] for row in rows], dtype=object)

    return {name: (column(name, 0), column(name, 1)) for name in (rows[0] if rows else {})}


def _plain(x: Any) -> Any:
    return x.item()


_ONE, _OTHER = np.array([1.0, 0.0]), np.array([0.0, 1.0])
_Pairs = dict[str, tuple[Decimal, Decimal]]


def _pair(names: tuple[str, str], total: Any, least: Decimal | None = None) -> _Pairs:
    """The two coefficients of a sum taken on unit vectors, each with its magnitude."""
    value = [Decimal(v) for v in total.value]
    scale = [
        max(Decimal(s), Decimal(0) if least is None or v else least)
        for s, v in zip(total.scale, value)
    ]
    return dict(zip(names, zip(value, scale)))


def _q_sample(r: Reference, t: int, s: int, eta: float) -> _Pairs:
    return _pair(("x_0", "noise"), r.q_skip(_ONE, 0, t, _OTHER))


def _posterior(r: Reference, t: int, s: int, eta: float) -> _Pairs:
    mean = _pair(("x_0", "x_t"), r.posterior_mean(_ONE, _OTHER, t), Decimal(1))
    tilde = r.beta_tilde[t]
    return {"variance": (tilde, tilde or r.beta[t]), **mean}


def _predict(r: Reference, t: int, s: int, eta: float) -> _Pairs:
    return _pair(("x_t", "eps"), r.predict_x0(_ONE, t, _OTHER))


def _reverse(r: Reference, t: int, s: int, eta: float) -> _Pairs:
    found = _pair(("x_t", "eps"), r.mean_from_eps(_ONE, t, _OTHER))
    with localcontext() as context:
        context.prec = 120
        tilde, beta = r.beta_tilde[t].sqrt(), r.beta[t].sqrt()
    last = Decimal(0)  # the last step adds no noise, whatever the variance
    named = {"z": tilde, "z, beta": beta}
    return found | {k: ((v if t > 1 else last), v or beta) for k, v in named.items()}


def _ddim(r: Reference, t: int, s: int, eta: float) -> _Pairs:
    found = _pair(("x_t", "eps"), r.ddim_mean(_ONE, t, _OTHER, s, eta))
    with localcontext() as context:
        context.prec = 120
        ratio, variance = r.between(s, t)[0], r.reverse_variance(t, s, eta)
        direction = max(1 - r.alpha_bar[s] - variance, Decimal(0)).sqrt()
        # The two terms of eps nearly cancel: their own last place counts, as E18 writes them.
        terms = direction + ((1 - r.alpha_bar[t]) / ratio).sqrt()
        root, least = variance.sqrt(), r.between(s, t)[1].sqrt()
    return {"x_t": found["x_t"], "eps": (found["eps"][0], terms), "z": (root, root or least)}


_EXACT: dict[str, Callable[[Reference, int, int, float], _Pairs]] = {
    "q_sample": _q_sample,
    "q_posterior_mean_variance": _posterior,
    "predict_x0": _predict,
    "reverse_step": _reverse,
    "ddim_step": _ddim,
}
