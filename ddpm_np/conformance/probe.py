"""Probing an operation: unit vectors read off its coefficients at every step.

Every operation is affine and acts coordinate by coordinate: with as many coordinates as arguments,
one call on unit vectors returns all its coefficients. A second row with large values shows clipping
or anything that is not affine, and a coordinate of zeros an offset.
"""

from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import Unusable
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.operations import wanted
from ddpm_np.conformance.results import Result
from ddpm_np.conformance.values import Steps

LARGE = 1024.0
_MOST = 2000
Step = tuple[int, int, float]  # from t to s, with eta


class Measured(NamedTuple):
    """What probing an operation gave.

    steps: those where it returned something; values: the coefficients there, float64; large: what
    the coefficient seems to be for large values; offset and mixed: its result at 0, and its error
    on all large arguments together, both as multiples of the unit; failed: (t, message, raised)
    for the steps where it did not; dtype: that of its results; output: what stands for eps.
    """

    steps: Steps
    values: dict[str, Array]
    large: dict[str, Array]
    offset: Array
    mixed: Array
    failed: list[tuple[int, str, bool]]
    dtype: Any
    output: str = "eps"

    def only(self, which: Array) -> "Measured":
        """The same at some of the steps."""
        steps, offset, mixed = self.steps.only(which), self.offset[which], self.mixed[which]
        values, large = ({k: v[which] for k, v in d.items()} for d in (self.values, self.large))
        return self._replace(steps=steps, values=values, large=large, offset=offset, mixed=mixed)


def probed_steps(caller: Caller) -> list[Step]:
    """(t, s, eta) for every t, for steps with s or eta also others; what is left out is noted."""
    view, operation, method = caller.view, caller.operation, caller.method
    T, every = view.T, list(range(1, view.T + 1))
    if T > _MOST:
        every = sorted({*range(1, 101), *np.linspace(1, T, _MOST - 100).astype(int).tolist()})
        view.note(f"{operation}: {len(every)} of {T} steps were probed")
    ddim = operation == "ddim_step"
    etas: tuple[float, ...] = (0.0, 0.5, 1.0) if ddim else (1.0,)
    if ddim and not method.takes("eta"):
        etas = (0.0,)
    if ddim or (operation == "reverse_step" and method.name == "step"):
        routes = view.routes()
        if routes is not None:
            view.note(f"{operation}: only the {len(routes)} steps of its own list were probed")
            return [(t, s, eta) for t, s in sorted(routes) for eta in etas]
    single = [(t, t - 1, etas[len(etas) // 2]) for t in every]
    if not ddim and not (operation == "reverse_step" and method.takes("s")):
        return single
    few = sorted({*every[:10], *every[:: max(len(every) // 30, 1)], *every[-1:]})
    other = [(t, t - 1, eta) for t in few for eta in etas if eta != single[0][2]]
    longer = [(t, s) for t in few for s in sorted({0, t // 2, t - 2}) if 0 <= s < t - 1]
    strides = sorted((t, s, min(eta, 0.8) if ddim else eta) for t, s in longer for eta in etas)
    return single + other + strides


def measure(caller: Caller) -> Measured:
    """Probes an operation at every step, and never raises for what the operation does."""
    operation, view = caller.operation, caller.view
    probes = probed_steps(caller)
    caller.settle([probes[i] for i in sorted({len(probes) // 2, 0, len(probes) - 1})])
    done: list[Step] = []
    read: list[tuple[Any, ...]] = []
    failed: list[tuple[int, str, bool]] = []
    declined = 0
    dtype: Any = view.dtype
    for i, step in enumerate(probes):
        bar = float(view.exact.bar[step[0]])
        unit = 2.0 ** (np.floor(np.log2(max(bar, 1e-20) ** 0.5)) - 3)
        vectors = _vectors(caller.vectors, unit)
        try:
            out = caller(*step, **vectors)
            if i in (0, len(probes) - 1):
                again = caller(*step, **vectors).value
                if not np.array_equal(again, out.value, equal_nan=True):
                    done, read, failed = [], [], [(step[0], _why_not_equal(caller), False)]
                    break
            read.append(_read(caller.vectors, out, unit))
            done.append(step)
            dtype = out.value.dtype if out.value.itemsize > 2 else view.dtype
        except Unusable as why:
            failed.append((step[0], str(why), False))
        except NotImplementedError:
            declined += 1  # a step that this code does not offer
        except Exception as error:
            if bar < 1e-60 and isinstance(error, ValueError):
                view.note(f"{operation} refuses t = {step[0]}, where no signal is left")
            else:
                failed.append((step[0], caller.message(error), True))
    if declined and not done and not failed:
        failed = [(probes[0][0], "NotImplementedError at every step", True)]
    elif declined:
        view.note(f"{operation}: {declined} of {len(probes)} steps are not offered")
    names = [n for _, n in wanted(operation, caller.output) if not read or n in read[0][0]]
    columns = list(zip(*read)) or [()] * 4
    small, large = (
        {n: np.array([r.get(n, np.nan) for r in column]) for n in names} for column in columns[:2]
    )
    offset, mixed = (np.array(column, dtype=np.float64) for column in columns[2:])
    return Measured(Steps.of(done), small, large, offset, mixed, failed, dtype, caller.output)


def _why_not_equal(caller: Caller) -> str:
    text = "two equal calls give different results"
    if caller.draws:
        return f"{text}: it draws noise that the kit cannot replace"
    if any(n in caller.vectors for n in ("z", "noise")):
        return f"{text}: it draws noise besides that which it is given"
    return text


def _vectors(names: list[str], unit: float) -> dict[str, Array]:
    """Row 0: for each a unit in a coordinate of its own, then zeros. Row 1: large ones."""
    k = len(names)
    vectors = {name: np.zeros((2, k + 2)) for name in names}
    for i, vector in enumerate(vectors.values()):
        vector[0, i], vector[1, i], vector[1, k] = unit, LARGE, LARGE * 2.0**-i
    return vectors


def _read(names: list[str], out: Result, unit: float) -> tuple[Any, ...]:
    """The coefficients for small and for large values, the offset, and what does not add up."""
    wide = out.value.astype(np.float64)
    zero, k = wide[0, -1], len(names)
    with np.errstate(all="ignore"):
        small = {name: (wide[0, i] - zero) / unit for i, name in enumerate(names)}
        large = {name: wide[1, i] / LARGE for i, name in enumerate(names)}
        together = sum(v * 2.0**-i for i, v in enumerate(small.values()))
    for name, spread in (("variance", out.variance), ("log variance", out.log_variance)):
        if spread is not None:
            if not np.array_equal(spread, np.full_like(spread, spread[0, 0]), equal_nan=True):
                raise Unusable(f"returns a {name} that depends on the values of x_0 or x_t")
            small[name] = large[name] = float(spread[0, 0])
    return small, large, zero / unit, wide[1, k] / LARGE - together
