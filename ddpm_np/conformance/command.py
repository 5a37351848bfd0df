"""``python -m ddpm_np check module:object``: the report from the command line."""

import importlib
import importlib.util
import sys
import types
from operator import attrgetter
from pathlib import Path
from typing import Any

from ddpm_np.conformance.arrays import contained, line
from ddpm_np.conformance.checks import check_diffusion
from ddpm_np.conformance.report import Report


class BadSubject(ValueError):
    """No object to check; the message is one line."""


def object_of(path: str) -> Any:
    """The object behind "module:object" or "module:object.attribute".

    A class, or a function without arguments, is called; the working directory is searched first.
    """
    module, colon, name = path.rpartition(":")
    if not (module and colon and name):
        raise BadSubject(f"must be module:object, got {path!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        with contained():
            found: Any = _imported(module)
    except Exception as error:
        raise BadSubject(f"{module} cannot be imported: {line(error)}") from None
    try:
        with contained():
            found = attrgetter(name)(found)
    except Exception:
        raise BadSubject(f"{module} has no {name}") from None
    if isinstance(found, (type, types.FunctionType)):
        try:
            with contained():
                found = found()
        except Exception as error:
            raise BadSubject(f"{path} cannot be built without arguments: {line(error)}") from None
    return found


def check_path(path: str, *, markdown: bool = False) -> tuple[str, Report]:
    """The report on the object behind the path, as text and as it is.

    Raises :class:`BadSubject` where there is none, or nothing in it is recognised.
    """
    try:
        report = check_diffusion(object_of(path), on_fail=None)
    except BadSubject:
        raise
    except (TypeError, ValueError) as error:
        raise BadSubject(line(error, kind=False)) from None
    except Exception as error:
        raise BadSubject(f"{path} raises {line(error)}") from None
    return (report.to_markdown() if markdown else str(report)), report


def _imported(module: str) -> Any:
    """A module by its name, or by the path of its file."""
    if not (module.endswith(".py") or "/" in module or Path(module).is_absolute()):
        return importlib.import_module(module)
    file = Path(module.removesuffix(".py") + ".py")
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    sys.path.insert(0, str(file.resolve().parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    made = sys.modules[file.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made
