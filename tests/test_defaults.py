"""What a caller gets who leaves an argument out: the numbers are part of the interface."""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import ddpm_np

DEFAULTS = Path(__file__).with_name("defaults.txt").read_text(encoding="utf-8")
PARTS = ("closed_form", "learning", "schedule", "sampling", "signals", "network", "training")


def callables(module):
    """The public functions of a module, and the methods of its classes, by name."""
    for name, found in vars(module).items():
        if getattr(found, "__module__", None) == module.__name__ and name[0] != "_":
            if callable(found) and name != "Divergence":  # an exception has no signature
                yield name, found
            for key in vars(found) if inspect.isclass(found) else ():
                method = getattr(found, key)
                if callable(method) and key[0] != "_":
                    yield f"{name}.{key}", method


def given(value):
    return value.__name__ if isinstance(value, type) else repr(value)


def test_the_defaults_stay():
    found = []
    for module in pkgutil.walk_packages(ddpm_np.__path__, "ddpm_np."):
        part = module.name.removeprefix("ddpm_np.")
        if part.partition(".")[0] not in PARTS:
            continue
        for name, function in callables(import_module(module.name)):
            parameters = inspect.signature(function).parameters.values()
            told = [
                f"{p.name}={given(p.default)}"
                for p in parameters
                if p.default not in (p.empty, None)
            ]
            if told and name != "VLBTerms":
                found.append(f"{part}.{name}: {' '.join(told)}")
    assert sorted(found) == DEFAULTS.replace("\n ", " ").strip().splitlines()
