"""How an identity is written down: a function of the chart that returns the two sides, entered into the list."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ddpm_np.proof.prover import Chart, Identity

__all__ = ["IDENTITIES", "Sides", "V", "identity"]

IDENTITIES: list[Identity] = []
Sides = tuple[Any, Any]
V = SimpleNamespace


def identity(equations: str, chart: Chart | dict[Any, Chart], *cases: Any, **free: Any) -> Callable[..., Any]:
    """Enter a function (v, case) -> (left, right) into the list, once for each case; with a dict of charts these are its keys."""

    def enter(sides: Callable[..., Sides]) -> Callable[..., Sides]:
        name, statement = sides.__name__.strip("_").replace("_", " "), " ".join((sides.__doc__ or "").split()).rstrip(".")
        of_case = chart if isinstance(chart, dict) else dict.fromkeys(cases, chart)
        for case, its_chart in of_case.items():
            title = f"{name}, t = {case}" if isinstance(case, int) else f"{name}, {' to '.join(map(str, case))}"
            IDENTITIES.append(
                Identity(title, tuple(equations.split()), statement, its_chart.also(**free), lambda v, case=case: sides(v, case))
            )
        if not of_case:
            IDENTITIES.append(Identity(name, tuple(equations.split()), statement, chart.also(**free), sides))
        return sides

    return enter
