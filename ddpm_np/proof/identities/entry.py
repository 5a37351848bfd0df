"""How an identity is written down: a function that returns the two sides, entered into the list."""

import inspect
from collections.abc import Callable, Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.proof.identities.charts import TS, routes
from ddpm_np.proof.prover import Chart, Identity

IDENTITIES: list[Identity] = []
Sides = tuple[Any, Any]
V = SimpleNamespace
Cases = dict[str, tuple[Chart, Any]]


def identity(equations: str, chart: Chart | Cases, **arrays: tuple[int, ...]) -> Callable[..., Any]:
    """Enter a function into the list: v -> (left, right), or (v, case) -> ... for each case.

    Its docstring is the statement. arrays: name -> the shape of an array of variables.
    """
    cases: Cases = {"": (chart, None)} if isinstance(chart, Chart) else chart

    def enter(sides: Callable[..., Sides]) -> Callable[..., Sides]:
        name = sides.__name__.strip("_").replace("_", " ")
        statement = " ".join((sides.__doc__ or "").split()).rstrip(".")
        for label, (of_case, case) in cases.items():
            IDENTITIES.append(
                Identity(
                    f"{name}, {label}".rstrip(", "),
                    tuple(equations.split()),
                    statement,
                    of_case.with_arrays(**arrays),
                    sides if case is None else partial(_at_case, sides, case),
                )
            )
        return sides

    return enter


def _at_case(sides: Callable[..., Sides], case: Any, v: V) -> Sides:
    return sides(v, case)


def of(kernel: Callable[..., Any], v: V, **given: Any) -> Any:
    """What a kernel returns, with its parameters found in v by their names, or given."""
    names = inspect.signature(kernel).parameters
    return kernel(**{n: given[n] if n in given else getattr(v, n) for n in names})


# ---- the cases ----------------------------------------------------------------------------------


def each_step(chart: Callable[[int], Chart], first: int = 1) -> Cases:
    """t = first .. 5 of a schedule with T = 5, as an int."""
    return {f"t = {t}": (chart(TS[-1]), t) for t in range(first, TS[-1] + 1)}


def each_T(chart: Callable[[int], Chart], first: int = 1) -> Cases:
    """T = first .. 5."""
    return {f"T = {T}": (chart(T), T) for T in TS if T >= first}


def each_route(
    chart: Callable[[int, int, int], Chart], Ts: Iterable[int] = (TS[-1],), *, first: int = 0
) -> Cases:
    """Every s < t with s >= first."""
    return {
        f"{s} to {t} of {T}": (chart(T, s, t), (s, t))
        for T in Ts
        for s, t in routes(T)
        if s >= first
    }


# ---- batches ------------------------------------------------------------------------------------

BATCH = (7, 2)
STACK = (2, 3, 2)


def steps_in_batch(T: int, first: int = 1) -> Array:
    """t for a batch of 7 rows: every step from the last down, then some of them again."""
    return T - np.arange(BATCH[0]) % (T + 1 - first)


def steps_in_stack(T: int, first: int = 1) -> list[Array]:
    """t for the rows of a stack (2, 3, dim): of shape (3,), (2, 1) and (2, 3)."""
    t = steps_in_batch(T, first)[:6].reshape(2, 3)
    return [t[0], t[:, :1], t]


def at(table: Any, t: Any) -> Any:
    """The entries of a table at t, shaped to multiply rows."""
    entries = np.array(list(table))[t]
    return entries[..., None] if np.ndim(t) else entries
