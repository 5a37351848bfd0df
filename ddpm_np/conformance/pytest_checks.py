"""The checks as pytest's tests, one for each subject and equation."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ddpm_np.conformance.checks import (
    ConformanceError,
    check_one,
    checks_of,
    expected_of,
    nothing_in,
    subject_of,
)
from ddpm_np.conformance.operations import check_names
from ddpm_np.conformance.subject import Subject

Expected = Callable[[Any], Mapping[str, str] | Collection[str] | None]


class Check:
    """One equation of one subject; calling it raises :class:`ConformanceError` where it fails.

    Of what is no subject there is one check, "recognised", which raises why it is none.
    """

    def __init__(self, of: str, name: str, view: Subject | None, error: Exception | None) -> None:
        self.of, self.name, self.view, self.error = of, name, view, error

    def __call__(self, subject: Any = None) -> None:
        """subject: another one than the one that it was made for."""
        import pytest

        if self.error is not None or self.view is None:
            raise self.error or TypeError(self.of)
        view = self.view if subject is None or subject is self.view.given else subject_of(subject)
        report = check_one(view, self.name)
        if not report.rows:
            pytest.skip(f"{view.name} has no {check_names()[self.name]}")
        if report.failures:
            raise ConformanceError(report)

    def __repr__(self) -> str:
        return f"{self.of}: {self.name}"


def parametrize_with_checks(
    subjects: Sequence[Any], *, expected_failed_checks: Expected | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a test that takes ``check``, or ``subject`` and ``check``: it runs for each pair.

    The ids read ``labml: E17 step``: the subject's ``name``, or that of its class, and the check.
    Operations that a subject does not have are skipped. expected_failed_checks: a callable that
    gives, for a subject, the checks that fail and why; they become strict xfails.
    """
    import pytest

    if isinstance(subjects, (str, bytes)) or not isinstance(subjects, Sequence):
        raise TypeError(f"subjects must be a list of subjects, got {type(subjects).__name__}")
    if expected_failed_checks is not None and not callable(expected_failed_checks):
        raise TypeError("expected_failed_checks must be a callable: subject -> {check: reason}")
    rows: list[tuple[Any, Check, list[Any]]] = []
    for given in subjects:
        try:
            view = subject_of(given)
            if not view.methods:
                raise TypeError(nothing_in(view))
        except Exception as error:
            rows.append((given, Check(type(given).__name__, "recognised", None, error), []))
            continue
        expected = expected_of(expected_failed_checks(given) if expected_failed_checks else None)
        for name in checks_of(view):
            why: dict[str, Any] = {"strict": True, "raises": ConformanceError}
            mark = pytest.mark.xfail(reason=expected.get(name, ""), **why)
            marks = [mark] if name in expected else []
            rows.append((given, Check(view.name, name, view, None), marks))

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        both = "subject" in inspect.signature(test).parameters
        params = [
            pytest.param(*((given, check) if both else (check,)), marks=marks, id=repr(check))
            for given, check, marks in rows
        ]
        names = ["subject", "check"] if both else ["check"]
        decorated: Callable[..., Any] = pytest.mark.parametrize(names, params)(test)
        return decorated

    return decorate
