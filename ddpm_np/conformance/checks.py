"""The one call: every operation of a subject against the equations, as a report."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ddpm_np.conformance.adapters import adapt
from ddpm_np.conformance.diagnosis import judge, rows_of
from ddpm_np.conformance.formulas import Steps, Tables
from ddpm_np.conformance.laws import laws_of
from ddpm_np.conformance.losses import loss_rows
from ddpm_np.conformance.operations import COEFFICIENTS, Measured, measure
from ddpm_np.conformance.report import Law, Report, Row, check_name
from ddpm_np.conformance.subject import Subject


class ConformanceError(AssertionError):
    """An equation does not hold; ``report`` says which."""

    def __init__(self, report: Report) -> None:
        self.report = report
        failing = ", ".join(dict.fromkeys(row.check for row in report.failures))
        super().__init__(f"{report.name} does not keep {failing}\n{report}")


class ConformanceWarning(UserWarning):
    """The same, as a warning."""


def check_diffusion(
    subject: Any,
    *,
    on_fail: str | None = "raise",
    expected_failed_checks: Mapping[str, str] | Collection[str] | None = None,
) -> Report:
    """Compares a diffusion code with the equations E2, E6, E11 to E13, E15, E17 and E18.

    subject: an object with ``betas`` (T,) or ``alphas_cumprod`` (T,), ``first_step`` (the t of the
    first noising step in that code, 0 or 1; by default 0) and any of

    - ``q_sample(x_0, t, noise)`` (E6),
    - ``q_posterior_mean_variance(x_0, x_t, t)``, a pair (E11, E12),
    - ``predict_x0(x_t, t, eps)`` (E13),
    - ``loss(eps_hat, eps)``, a number (E15),
    - ``reverse_step(x_t, t, eps, z)``, the ancestral step to t - 1 (E17),
    - ``ddim_step(x_t, t, s, eps, z, eta)``, to x_s; s = first_step - 1 is the clean signal (E18),
    - ``from_betas(betas)``, which builds the like for any schedule.

    Arrays are (n, dim), NumPy's or PyTorch's, t is an int, variances broadcast. What is missing is
    skipped. Anything else goes through :func:`ddpm_np.conformance.adapt` first.

    Parameters
    ----------
    on_fail : "raise" raises :class:`ConformanceError` where an equation does not hold, "warn" warns
        with :class:`ConformanceWarning`, None only reports
    expected_failed_checks : names of checks that may fail, such as "E17 step", with a reason each

    Returns
    -------
    Report : its ``rows`` have the verdicts "holds", "digits", "clips", "differs" or "raises".
        "digits" is the right formula with digits lost to rounding, and no failure.

    Raises TypeError where nothing is recognised, ValueError for betas that are no schedule.

    >>> class Mine:
    ...     betas = np.array([0.1, 0.2])
    ...     def q_sample(self, x_0, t, noise):
    ...         bar = np.cumprod(1 - self.betas)[t]
    ...         return np.sqrt(bar) * x_0 + (1 - bar) * noise
    >>> [row.diagnosis for row in check_diffusion(Mine(), on_fail=None).rows if row.fails]
    ['a missing root: the variance for the standard deviation']
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f'on_fail must be "raise", "warn" or None, got {on_fail!r}')
    view = subject_of(subject)
    expected = expected_of(expected_failed_checks)
    report = _report(view, [*COEFFICIENTS, "alphas_cumprod"], expected)
    if report.failures and on_fail == "raise":
        raise ConformanceError(report)
    if report.failures and on_fail == "warn":
        failing = ", ".join(dict.fromkeys(row.check for row in report.failures))
        text = f"{report.name} does not keep {failing}\n{report}"
        warnings.warn(text, ConformanceWarning, stacklevel=2)
    return report


def check_names() -> dict[str, str]:
    """The checks by name, each with the operation that it needs."""
    names = {check_name("E2", "alphas_cumprod"): "alphas_cumprod"}
    for operation, coefficients in COEFFICIENTS.items():
        names |= {check_name(equation, operation): operation for equation, _ in coefficients}
    return names


def expected_of(given: Mapping[str, str] | Collection[str] | None) -> dict[str, str]:
    """Names of checks with a reason each; an operation's name stands for all of its checks."""
    if given is None:
        return {}
    if isinstance(given, str):
        given = [given]
    items = given.items() if isinstance(given, Mapping) else ((name, "") for name in given)
    known = check_names()
    found: dict[str, str] = {}
    for name, reason in items:
        named = [
            check
            for check, operation in known.items()
            if name in (check, operation, check.split()[0], f"{check.split()[0]} {operation}")
        ]
        if not named:
            raise ValueError(
                f"expected_failed_checks must name checks ({', '.join(known)}), got {name!r}"
            )
        found |= {check: str(reason) for check in named}
    return found


def subject_of(given: Any) -> Subject:
    """The view of a subject; of anything that is none, of what adapt makes of it."""
    return Subject(adapt(given))


def check_one(view: Subject, check: str) -> Report:
    """A report of one check only."""
    report = _report(view, [check_names()[check]], {})
    report.rows = [row for row in report.rows if row.check == check]
    report.laws, report.skipped = [], []
    return report


def _report(view: Subject, operations: list[str], expected: dict[str, str]) -> Report:
    rows: list[Row] = []
    skipped: list[str] = []
    laws: list[Law] = []
    for operation in operations:
        checks = [name for name, needs in check_names().items() if needs == operation]
        found, measured = _rows(view, operation)
        if not found:
            skipped += checks
        rows += found
        if operation in ("reverse_step", "ddim_step") and measured is not None:
            beta = any(row.diagnosis.endswith("the variance is beta") for row in found)
            laws += laws_of(view, operation, measured, beta)
    rows = _with_smallest(view, rows)
    rows.sort(key=lambda row: int(row.equation[1:]))
    kind = "torch" if view.library else "NumPy"
    about = (
        f"{view.name}: T = {view.T}, {np.dtype(view.dtype).name}, {kind}, "
        f"t = 1 is its step {view.first_step}"
    )
    return Report(view.name, about, rows, skipped, laws, expected)


def _rows(
    view: Subject, operation: str, *, explain: bool = True
) -> tuple[list[Row], Measured | None]:
    if operation == "alphas_cumprod":
        return _table_rows(view), None
    if operation not in view.operations:
        return [], None
    if operation == "loss":
        return loss_rows(view), None
    measured = measure(view, operation)
    return rows_of(view, operation, measured, explain=explain), measured


def _table_rows(view: Subject) -> list[Row]:
    """E2: alphas_cumprod against the exact product of 1 - betas, where both are there."""
    if view.alphas_cumprod is None or getattr(view.given, "betas", None) is None:
        return []
    t = np.arange(1, view.T + 1)
    bars, none = view.alphas_cumprod, np.zeros(view.T)
    table = getattr(view.given, "alphas_cumprod", None)
    dtype = np.float32 if "float32" in str(getattr(table, "dtype", "")) else np.float64
    values = {"alpha_bar_t": bars}
    measured = Measured(Steps(t, t - 1, none + 1), values, values, none, none, [], dtype)
    exact = np.array(view.reference.alpha_bar[1:], dtype=object)
    expected = {"alpha_bar_t": (exact, exact)}
    name = "alpha_bar_t"
    return [judge("E2", "alphas_cumprod", name, measured, expected, Tables(view.reference))]


def _with_smallest(view: Subject, rows: list[Row]) -> list[Row]:
    """The rows, with failures that only other schedules show, each with its smallest schedule."""
    make = view.build()
    if make is None or not rows:
        return rows
    try:
        from ddpm_np.conformance.examples import Drawn
    except ImportError:  # Hypothesis is not there
        return rows
    for operation in dict.fromkeys(row.operation for row in rows):
        if operation not in COEFFICIENTS or operation == "loss":
            continue
        drawn = Drawn(view, make, operation)
        try:
            new_rows = drawn.failing()
        except Exception as error:
            line = " ".join(str(error).split())[:120]
            text = f"from_betas: {type(error).__name__}: {line}"
            return [*rows, Row("E2", "from_betas", "all", "raises", np.nan, None, text, "")]
        for new in new_rows:
            at = [i for i, row in enumerate(rows) if row[:3] == new[:3]]
            if not at:
                rows = [*rows, new]
            elif not rows[at[0]].fails:
                rows[at[0]] = new
        rows = [
            row._replace(smallest_example=drawn.smallest(row))
            if row.fails and row.operation == operation
            else row
            for row in rows
        ]
    return rows
