"""What :func:`ddpm_np.conformance.check_diffusion` returns: a row for each coefficient."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from ddpm_np.conformance.operations import check_name

FAILING = ("clips", "differs", "raises")


class Row(NamedTuple):
    """One coefficient of one operation, compared at every step.

    equation: "E6"; operation: the method's name; coefficient: what it multiplies, or "variance".
    verdict: "holds", "digits", or one that fails. ulp: the largest error, in units in the last
    place of the subject's dtype. t: the step of the largest error, for a failing row the smallest
    failing step; in the mathematics' time, 1..T. diagnosis: the convention that explains the
    deviation; for the noise of a step that holds, its named variance. smallest_example: for a
    failing row, the smallest schedule and step that show it.
    """

    equation: str
    operation: str
    coefficient: str
    verdict: str
    ulp: float = math.nan
    t: int | None = None
    diagnosis: str = ""
    smallest_example: str = ""

    @property
    def fails(self) -> bool:
        """Whether the equation does not hold; lost digits alone are no failure."""
        return self.verdict in FAILING

    @property
    def check(self) -> str:
        """The name of the check it belongs to, such as "E17 step"."""
        return check_name(self.equation, self.operation)


class Output(NamedTuple):
    """The output variance of a sampler on N(0, v) data with the ideal denoiser.

    subject: with the subject's coefficients; exact: with those of the equation. From x_T ~ N(0, 1),
    V_s = (xt_coef + eps_coef g_t)^2 V_t + std^2 with g_t = sqrt(1 - alpha_bar_t) / (alpha_bar_t v
    + 1 - alpha_bar_t), the ideal denoiser's slope (E24, E27).
    """

    operation: str
    v: float
    subject: float
    exact: float


@dataclass(eq=False, repr=False)
class Report:
    """The rows of a check, what was not looked at, and the output variances.

    skipped: the checks whose operation is not there; expected: those that may fail, each with the
    reason; unused: methods that were seen and not used, each with the reason; notes: what else was
    left out. ``str(report)`` is a table for a terminal and :meth:`to_markdown` one for a page.
    """

    name: str
    about: str
    rows: list[Row]
    skipped: list[str]
    outputs: list[Output]
    expected: dict[str, str]
    unused: dict[str, str]
    notes: list[str]

    @property
    def failures(self) -> list[Row]:
        """The rows that fail and were not expected to."""
        return [row for row in self.rows if row.fails and row.check not in self.expected]

    @property
    def covered(self) -> bool:
        """Whether any operation was compared, and not only a table."""
        return any(row.equation != "E2" for row in self.rows)

    @property
    def passed(self) -> bool:
        """Whether an operation was compared, and every equation holds that was not to fail."""
        return self.covered and not self.failures

    def __str__(self) -> str:
        cells = [_HEAD, *(_cells(row) for row in self.rows)]
        widths = [max(len(row[k]) for row in cells) for k in range(len(_HEAD))]
        lines = [self.about]
        lines += ["  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells]
        return "\n".join([*lines, *self._notes()])

    def to_markdown(self) -> str:
        """The same as a Markdown table, with a line for each note."""
        rows = [_HEAD, tuple("---" for _ in _HEAD), *(_cells(row) for row in self.rows)]
        bar = r"\|"
        table = [f"| {' | '.join(c.replace('|', bar) for c in row)} |" for row in rows]
        return "\n\n".join([self.about, "\n".join(table), *self._notes()])

    def _notes(self) -> list[str]:
        notes = []
        if not self.covered:
            notes.append("not enough to pass: no operation was compared, only the tables")
        if self.skipped:
            notes.append(f"skipped, not there: {', '.join(self.skipped)}")
        reasons: dict[str, list[str]] = {}
        for method, reason in self.unused.items():
            reasons.setdefault(reason, []).append(method)
        if reasons:
            told = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
            notes.append(f"seen and not used: {told}")
        notes += self.notes
        failing = {row.check for row in self.rows if row.fails}
        for check, reason in self.expected.items():
            what = "expected to fail" if check in failing else "expected to fail, but holds"
            notes.append(f"{what}: {check}{f' ({reason})' if reason else ''}")
        notes += [
            f"output variance of {output.operation} on N(0, {output.v:g}) data, ideal denoiser: "
            f"{output.subject:.4g}, by the equation {output.exact:.4g}"
            for output in self.outputs
        ]
        return notes


_HEAD = ("equation", "operation", "coefficient", "verdict", "ulp", "t", "diagnosis", "example")


def _cells(row: Row) -> tuple[str, ...]:
    ulp = f"{row.ulp:.2g}" if row.ulp < 100 else f"{row.ulp:.3g}" if row.ulp < 1e6 else ">1e6"
    ulp = "" if row.ulp != row.ulp else f"{row.ulp:.0f}" if 100 <= row.ulp < 1e6 else ulp
    t = "" if row.t is None else str(row.t)
    named = (row.equation, row.operation, row.coefficient, row.verdict)
    return (*named, ulp, t, row.diagnosis, row.smallest_example)
