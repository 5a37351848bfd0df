"""``python -m ddpm_np check module:object``: the report from the command line."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ddpm_np.conformance.checks import check_diffusion
from ddpm_np.conformance.report import Report


class BadSubject(ValueError):
    """No object to check; the message is one line."""


def object_of(path: str) -> Any:
    """The object behind "module:object" or "module:object.attribute".

    A class, or a function without arguments, is called; the working directory is searched first.
    """
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise BadSubject(f"must be module:object, got {path!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:
        raise BadSubject(f"{module} cannot be imported: {_line(error)}") from None
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except Exception:
            raise BadSubject(f"{module} has no {name}") from None
    recipe = isinstance(found, type) or type(found).__name__ == "function"
    if recipe:
        try:
            found = found()
        except Exception as error:
            raise BadSubject(f"{path} cannot be built without arguments: {_line(error)}") from None
    return found


def check_path(path: str, *, markdown: bool = False) -> tuple[str, Report]:
    """The report on the object behind the path, as text and as it is.

    Raises :class:`BadSubject` where there is none, or nothing in it is recognised.
    """
    subject = object_of(path)
    try:
        report = check_diffusion(subject, on_fail=None)
    except (TypeError, ValueError) as error:
        raise BadSubject(_line(error, kind=False)) from None
    return (report.to_markdown() if markdown else str(report)), report


def _line(error: Exception, *, kind: bool = True) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if kind else text
