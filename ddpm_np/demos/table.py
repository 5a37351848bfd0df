"""The numbers of a demo, each next to its exact value, and as lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Comparison(NamedTuple):
    """One number next to its exact value.

    exact: None where nobody knows it. error: the standard error of a sampled number; 0 for a number
    that was computed in another way and must agree to rounding; None where the two need not agree
    and the point is how much they differ.
    """

    what: str
    measured: float
    exact: float | None = None
    error: float | None = None

    @property
    def agrees(self) -> bool:
        """Within five standard errors, or 1e-9 relative for a number that was computed twice.

        An exact value of 0 must be met to 1e-9.
        """
        if self.exact is None or self.error is None:
            return True
        if self.error == 0:
            return abs(self.measured - self.exact) <= 1e-9 * (abs(self.exact) or 1.0)
        return abs(self.measured - self.exact) <= 5 * self.error


class Shown(NamedTuple):
    """What a demo shows: its numbers, what to notice in them, and the arrays of its picture."""

    rows: list[Comparison]
    notice: str
    drawn: Any


def sampled(what: str, values: NDArray[np.float64], exact: float | None = None) -> Comparison:
    """The mean of independent values, with its standard error."""
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return Comparison(what, float(values.mean()), None if exact is None else float(exact), error)


def format_table(shown: Shown) -> Iterator[str]:
    """The table line by line, then what to notice."""
    width = max(len(row.what) for row in shown.rows)
    yield f"  {'':{width}}  {'measured':>10}  {'s.e.':>9}  {'exact':>10}"
    for row in shown.rows:
        error = f"{row.error:.1e}" if row.error else ""
        exact = "" if row.exact is None else f"{row.exact:.5g}"
        remark = ""
        if not row.agrees:
            remark = "   more than five s.e. off" if row.error else "   should be equal"
        yield (
            f"  {row.what:{width}}  {row.measured:>10.5g}  {error:>9}  {exact:>10}{remark}"
        ).rstrip()
    yield from textwrap.wrap(shown.notice, 98, initial_indent="  ", subsequent_indent="  ")
