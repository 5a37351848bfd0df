"""The one call: every operation of a subject against the equations, as a report."""

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ddpm_np.conformance.arrays import contained, dtype_name, line
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.diagnosis import coefficient_rows, rows_of
from ddpm_np.conformance.judged import Judged
from ddpm_np.conformance.losses import loss_rows
from ddpm_np.conformance.operations import OPERATIONS, SAMPLING, check_names
from ddpm_np.conformance.probe import Measured, measure
from ddpm_np.conformance.report import Output, Report, Row
from ddpm_np.conformance.state import Snapshot
from ddpm_np.conformance.subject import Subject
from ddpm_np.conformance.tables import is_plain
from ddpm_np.conformance.values import Steps


class ConformanceError(AssertionError):
    """An equation does not hold; ``report`` says which."""

    def __init__(self, report: Report) -> None:
        self.report = report
        failing = ", ".join(dict.fromkeys(row.check for row in report.failures))
        what = f"does not keep {failing}" if failing else "has no operation that was compared"
        super().__init__(f"{report.name} {what}\n{report}")


class ConformanceWarning(UserWarning):
    """The same, as a warning."""


def check_diffusion(
    subject: Any,
    *,
    on_fail: str | None = "raise",
    expected_failed_checks: Mapping[str, str] | Collection[str] | None = None,
) -> Report:
    """Compares a diffusion code with the equations E1, E2, E6 and E11 to E18.

    subject: an object with ``betas`` (T,) or ``alphas_cumprod`` (T,), ``first_step`` (the t of the
    first noising step in that code, 0 or 1; by default 0) and any of

    - ``q_sample(x_0, t, noise)`` (E6),
    - ``q_posterior_mean_variance(x_0, x_t, t)``, a pair (E11, E12),
    - ``predict_x0(x_t, t, eps)`` (E13),
    - ``loss(eps_hat, eps)``, a number (E15),
    - ``reverse_step(x_t, t, eps, z)``, the ancestral step to t - 1 (E17),
    - ``ddim_step(x_t, t, s, eps, z, eta)``, to x_s; s = first_step - 1 is the clean signal (E18),
    - ``from_betas(betas)``, which builds one of its kind for any schedule,

    or with other usual names (:func:`adapt`). Arrays are (n, dim), variances broadcast.

    on_fail: "raise" raises :class:`ConformanceError` where an equation does not hold, "warn" warns
    with :class:`ConformanceWarning`, None only reports. expected_failed_checks: names of checks
    that may fail, such as "E17 step", with a reason each. Raises TypeError where nothing is
    recognised, ValueError for betas that are no schedule.

    >>> class Mine:
    ...     betas = np.array([0.1, 0.2])
    ...     def q_sample(self, x_0, t, noise):
    ...         bar = np.cumprod(1 - self.betas)[t]
    ...         return np.sqrt(bar) * x_0 + (1 - bar) * noise
    >>> [row.diagnosis for row in check_diffusion(Mine(), on_fail=None).rows if row.fails]
    ['a missing root: 1 - alpha_bar_t for sqrt(1 - alpha_bar_t)']
    """
    if on_fail not in ("raise", "warn", None):
        raise ValueError(f'on_fail must be "raise", "warn" or None, got {on_fail!r}')
    view = subject_of(subject)
    expected = expected_of(expected_failed_checks)
    report = _report(view, ["alphas_cumprod", *OPERATIONS], expected)
    if not report.passed and on_fail == "raise":
        raise ConformanceError(report)
    if not report.passed and on_fail == "warn":
        warnings.warn(str(ConformanceError(report)), ConformanceWarning, stacklevel=2)
    return report


def checks_of(view: Subject) -> list[str]:
    """The checks that a subject is up for: the usual ones, and those of what else it has."""
    return [n for n, o in check_names().items() if not _rare(o) or o in view.methods]


def _rare(operation: str) -> bool:
    return operation in OPERATIONS and OPERATIONS[operation].rare


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


class Adapted(Subject):
    """A subject with its operations under our names, which take arrays of its own kind."""

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("methods", {}):
            return lambda *values: Caller(self, name).native(
                dict(zip(OPERATIONS[name].arguments, values))
            )
        if name in self.__dict__.get("tables", {}):
            return self.tables[name]
        raise AttributeError(name)


def adapt(
    obj: Any,
    *,
    first_step: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    axes: int = 0,
) -> Any:
    """A subject for :func:`check_diffusion`, from an object with other usual names.

    What is recognised is in docs/conformance.md.

    first_step : the t of its first noising step; by default 1 where its tables have an entry for
        the clean signal (beta 0 or alpha_bar 1) in front, else its own ``first_step``, else 0
    dtype : of the arrays it is given; by default that of its tables
    name : for the report; by default its class's
    axes : how many axes of length 1 its arrays need after (n, dim); 2 for code made for images

    Raises TypeError where no schedule is recognised, or no operation. Then write the class:

    >>> class Adapter:                  # of code with 1-based time and a list of sigmas
    ...     first_step = 1
    ...     def __init__(self, theirs):
    ...         self.theirs, self.betas = theirs, theirs.noise_variances
    ...     def q_sample(self, x_0, t, noise):
    ...         return self.theirs.corrupt(x_0, noise, index=t)
    ...     def reverse_step(self, x_t, t, eps, z):
    ...         return self.theirs.denoise(lambda x: eps, x_t, index=t, fresh=z)
    """
    if first_step not in (None, 0, 1):
        raise ValueError(f"first_step must be 0 or 1, got {first_step!r}")
    view = Adapted(obj, first_step=first_step, dtype=dtype, name=name, axes=axes)
    if not view.methods:
        raise TypeError(nothing_in(view))
    canonical = any(name in OPERATIONS for name in (m.name for m in view.methods.values()))
    as_it_is = first_step is None and not (dtype or name or axes)
    return obj if as_it_is and canonical and is_plain(obj) else view


def nothing_in(view: Subject) -> str:
    """What is said of an object without an operation."""
    seen = "".join(f"; {name}: {why}" for name, why in list(view.unused.items())[:6])
    return (
        f"no operation is recognised in {view.name}; see the adapter class in "
        f"help(ddpm_np.conformance.adapt){seen}"
    )


def subject_of(given: Any) -> Subject:
    """The view of a subject."""
    with contained():
        return given if isinstance(given, Subject) else Subject(given)


def check_one(view: Subject, check: str) -> Report:
    """A report of one check only."""
    operation = check_names()[check]
    others = SAMPLING if operation == "p_losses" else ()  # the model's t is compared with theirs
    report = _report(view, [operation, *others], {})
    report.rows = [row for row in report.rows if row.check == check]
    report.outputs, report.skipped = [], []
    return report


def _report(view: Subject, operations: list[str], expected: dict[str, str]) -> Report:
    view.notes, rows = {}, list[Row]()
    outputs: list[Output] = []
    asked: dict[str, set[int]] = {}
    snapshot = Snapshot(view.given, view.T)
    with contained(), np.printoptions(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for operation in operations:
                if operation == "alphas_cumprod":
                    rows += _table_rows(view)
                elif operation in view.methods:
                    caller = Caller(view, operation, snapshot)
                    rows += _rows(caller)
                    outputs += caller.judged.outputs() if caller.judged else []
                    asked[operation] = caller.asked
                snapshot.restore()
            rows = _with_smallest(view, rows + _other_times(view, asked))
        finally:
            snapshot.restore()
    rows.sort(key=lambda row: int(row.equation[1:]))
    there = {row.check for row in rows}
    usual = [n for n, o in check_names().items() if o in operations and not _rare(o)]
    skipped = [name for name in usual if name not in there]
    about = (
        f"{view.name}: T = {view.T}, {np.dtype(view.dtype).name}, "
        f"{view.library if view.library != 'numpy' else 'NumPy'}, "
        f"t = 1 is its step {view.first_step}"
    )
    of_all = [text for text, of in view.notes.items() if not of]
    of_some = sorted(((text, of) for text, of in view.notes.items() if of), reverse=True)
    notes = of_all + [f"{text}: {', '.join(of)}" for text, of in of_some]
    return Report(view.name, about, rows, skipped, outputs, expected, view.unused, notes)


def _rows(caller: Caller) -> list[Row]:
    """The rows of one operation that is there."""
    view, operation = caller.view, caller.operation
    if operation == "loss":
        return loss_rows(caller)
    measured = measure(caller)
    rows = rows_of(caller, measured)
    if operation == "q_posterior_mean_variance" and "variance" not in measured.values:
        view.note(f"{caller.method.name} returns a mean and no variance (E11)")
    return rows + loss_rows(caller) if operation == "p_losses" else rows


def _other_times(view: Subject, asked: dict[str, set[int]]) -> list[Row]:
    """A row where the model is asked at another t in training than in sampling."""
    later = {o: times.pop() for o, times in asked.items() if len(times) == 1}
    sampling = [o for o in SAMPLING if o in later]
    for operation in sampling:
        if "p_losses" in later and later[operation] != later["p_losses"]:
            text = "in training the model is asked at t {:+d}, in {} at t {:+d}"
            text = text.format(later["p_losses"], view.methods[operation].name, later[operation])
            return [Row("E16", "p_losses", "t of the model", "differs", diagnosis=text)]
    if sampling and later[sampling[0]] and "p_losses" not in later:
        name, by = view.methods[sampling[0]].name, later[sampling[0]]
        view.note(f"{name} asks its model at t {by:+d}; no loss says at which t it learns")
    return []


def _table_rows(view: Subject) -> list[Row]:
    """E2: alphas_cumprod against the exact product of 1 - betas, where both are there."""
    if view.alphas_cumprod is None or not view.has_betas:
        return []
    t = np.arange(1, view.T + 1)
    values, none = {"alpha_bar_t": view.alphas_cumprod}, np.zeros(view.T)
    dtype = np.float32 if dtype_name(view.tables["alphas_cumprod"]) == "float32" else np.float64
    measured = Measured(Steps(t, t - 1, none + 1), values, values, none, none, [], dtype)
    return coefficient_rows(Judged(view, "alphas_cumprod", measured))


def _with_smallest(view: Subject, rows: list[Row]) -> list[Row]:
    """The rows, with failures that only other schedules show, each with its smallest schedule."""
    make = view.build()
    if make is None or not rows:
        return rows
    try:
        from ddpm_np.conformance.examples import Drawn
    except ImportError:  # Hypothesis is not there
        return rows
    found = {row[:3]: row for row in rows}
    for operation in dict.fromkeys(row.operation for row in rows):
        if operation in ("p_losses", "loss", "alphas_cumprod"):
            continue
        drawn = Drawn(view, make, operation)
        try:
            elsewhere = drawn.failing()
        except Exception as error:
            text = f"from_betas: {line(error)}"
            return [*found.values(), Row("E2", "from_betas", "all", "raises", diagnosis=text)]
        found |= {r[:3]: r for r in elsewhere if r[:3] not in found or not found[r[:3]].fails}
        for key, row in found.items():
            if row.fails and row.operation == operation:
                found[key] = row._replace(smallest_example=drawn.smallest(row))
    return list(found.values())
