"""The numbers of a demo as rows, measured beside exact, and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Row", "Shown", "format_rows", "sampled"]


class Row(NamedTuple):
    """One number beside its exact value.

    error: the standard error where the number was sampled; 0 where it was computed in another way and must agree to rounding; None
    where nothing says that the two agree, and to see by how much they differ is the point. exact: None where nobody knows it.
    """

    what: str
    measured: float
    exact: float | None = None
    error: float | None = None

    @property
    def agrees(self) -> bool:
        """Within five standard errors, or to 1e-9 relative (1e-9 where the exact value is 0) for what was computed twice."""
        if self.exact is None or self.error is None:
            return True
        if self.error == 0:
            return abs(self.measured - self.exact) <= 1e-9 * (abs(self.exact) or 1.0)
        return abs(self.measured - self.exact) <= 5 * self.error


class Shown(NamedTuple):
    """What a demo shows: its rows, a sentence or two of what to notice, and what its picture needs."""

    rows: list[Row]
    notice: str
    drawn: Any


def sampled(what: str, values: NDArray[np.float64], exact: float | None = None) -> Row:
    """The mean of independent values, with its standard error."""
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Row(what, float(values.mean()), None if exact is None else float(exact), error)


def format_rows(shown: Shown) -> Iterator[str]:
    """The table, line by line, and below it what to notice."""
    width = max(len(row.what) for row in shown.rows)
    yield f"  {'':{width}}  {'measured':>10}  {'s.e.':>9}  {'exact':>10}"
    for row in shown.rows:
        error = f"{row.error:.1e}" if row.error else ""
        exact = "" if row.exact is None else f"{row.exact:.5g}"
        remark = "" if row.agrees else "   more than five s.e. off" if row.error else "   should be equal"
        yield f"  {row.what:{width}}  {row.measured:>10.5g}  {error:>9}  {exact:>10}{remark}".rstrip()
    yield from textwrap.wrap(shown.notice, 110, initial_indent="  ", subsequent_indent="  ")
