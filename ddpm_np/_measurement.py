"""One number beside its exact value, and tables of them: as lines of text, and in Markdown."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import NDArray


class Measurement(NamedTuple):
    """What was measured, the number, its exact value, its standard error, and a remark.

    exact: None where nobody knows it. error: the standard error of a sampled number; 0 for a number
    that was computed in another way and must agree to rounding; None where the two need not agree
    and the point is how much they differ.
    """

    what: str
    measured: float
    exact: float | None = None
    error: float | None = None
    remark: str = ""

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

    def in_words(self) -> str:
        """The measurement as a line of text."""
        error = "" if self.error is None else f" +- {self.error:.1g}"
        exact = "" if self.exact is None else f", exact {self.exact:.4g}"
        remark = f" ({self.remark})" if self.remark else ""
        return f"{self.what}: {self.measured:.4g}{error}{exact}{remark}"


def mean_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean of independent values, and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def computed(what: str, measured: SupportsFloat, exact: SupportsFloat) -> Measurement:
    """A number that was computed in two ways, which must agree to rounding."""
    return Measurement(what, float(measured), float(exact), 0.0)


def sampled(what: str, values: NDArray[np.float64], exact: float | None = None) -> Measurement:
    """The mean of independent values, with its standard error."""
    mean, error = mean_and_error(values)
    return Measurement(what, mean, None if exact is None else float(exact), error)


def text_table(rows: Sequence[Measurement]) -> Iterator[str]:
    """The table as lines of text; a number that is off says so."""
    width = max(len(row.what) for row in rows)
    yield f"  {'':{width}}  {'measured':>10}  {'s.e.':>9}  {'exact':>10}"
    for row in rows:
        error = f"{row.error:.1e}" if row.error else ""
        exact = "" if row.exact is None else f"{row.exact:.5g}"
        off = "   more than five s.e. off" if row.error else "   should be equal"
        remark = "" if row.agrees else off
        line = f"  {row.what:{width}}  {row.measured:>10.5g}  {error:>9}  {exact:>10}{remark}"
        yield line.rstrip()


def markdown_table(rows: Sequence[Measurement]) -> Iterator[str]:
    """The table in Markdown, with the remarks."""
    yield "| | measured | s.e. | exact | |"
    yield "|---|---:|---:|---:|---|"
    for row in rows:
        what, remark = (text.replace("|", "\\|") for text in (row.what, row.remark))
        error = "" if row.error is None else f"{row.error:.2g}"
        exact = "" if row.exact is None else f"{row.exact:.4g}"
        yield f"| {what} | {row.measured:.4g} | {error} | {exact} | {remark} |"
