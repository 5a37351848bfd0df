"""The tables of a schedule in somebody's object: found by their names, and as exact numbers."""

import re
import types
from collections.abc import Callable, Mapping
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import contained, library_of, line, read, to_numpy
from ddpm_np.conformance.state import own_classes
from ddpm_np.conformance.values import DIGITS, Numbers

_BARS = (
    r"alphas?_?(cum_?prod|bars?|hats?|prod|cum)s?(_t)?|(bar_?alphas?|a_?bars?|abar|cum_?alphas?)"
)
# Of each table: what it is called, its entry for the clean signal, and what it gives where neither
# betas nor alphas_cumprod are there.
_TABLES: dict[str, tuple[str, int, tuple[str, Callable[[Any], Any]]]] = {
    "betas": ("betas?(_t)?|noise_?variances?", 0, ("betas", abs)),
    "alphas_cumprod": (_BARS, 1, ("alphas_cumprod", abs)),
    "alphas": ("alphas?(_t)?", 1, ("betas", lambda a: 1 - a)),
    "sqrt_alphas_cumprod": (rf"(sqrt|root)_?({_BARS})", 1, ("alphas_cumprod", lambda r: r * r)),
    "sqrt_one_minus_alphas_cumprod": (
        rf"(sqrt|root)_?(one|1)_?minus_?({_BARS})",
        0,
        ("alphas_cumprod", lambda r: 1 - r * r),
    ),
}


class Tables:
    """The tables of an object.

    found: as they are, by our names; betas and bars: as float64 from t = 1, or None; padded:
    whether they start with an entry for the clean signal; exact: the schedule in decimals.
    """

    def __init__(self, given: Any) -> None:
        self.found = tables_of(given)
        numbers = {name: _numbers(table, name) for name, table in self.found.items()}
        self.padded = bool(numbers) and all(
            len(table) > 1 and table[0] == _TABLES[name][1] for name, table in numbers.items()
        )
        if self.padded:
            numbers = {name: table[1:] for name, table in numbers.items()}
        with localcontext(DIGITS):
            exact = {k: [Decimal(float(x)) for x in table] for k, table in numbers.items()}
            if numbers and not {"betas", "alphas_cumprod"} & set(numbers):
                name = next(n for n in _TABLES if n in numbers)
                ours, derive = _TABLES[name][2]
                numbers[ours], exact[ours] = derive(numbers[name]), [*map(derive, exact[name])]
            self.betas, self.bars = numbers.get("betas"), numbers.get("alphas_cumprod")
            if numbers:
                self.exact = self._schedule(exact)

    def _schedule(self, exact: dict[str, list[Decimal]]) -> Numbers:
        if self.betas is not None:
            bad = self.betas[~((self.betas > 0) & (self.betas <= 1))]
            if len(bad):
                raise ValueError(f"betas must be above 0 and at most 1, got {bad[0]}")
            if self.bars is not None and self.bars.shape != self.betas.shape:
                both = f"{self.bars.shape} and {self.betas.shape}"
                raise ValueError(f"alphas_cumprod must have the shape of betas, got {both}")
            return Numbers(exact["betas"])
        table = [Decimal(1), *exact["alphas_cumprod"]]
        if not all(0 <= b < a for a, b in zip(table, table[1:])):
            raise ValueError(
                "alphas_cumprod must fall from below 1 and stay at least 0, with no betas"
            )
        return Numbers([1 - b / a for a, b in zip(table, table[1:])], table)


def with_attributes(given: Any) -> Any:
    """An object with attributes: of a dict its entries, of a class what it makes."""
    if isinstance(given, Mapping):
        return types.SimpleNamespace(**{str(k): v for k, v in given.items()})
    if isinstance(given, type) and given.__module__ != "builtins":
        try:
            with contained():
                return given()
        except Exception as error:
            raise TypeError(
                f"{given.__name__} is a class and cannot be built without arguments "
                f"({line(error)}): pass an object that it made"
            ) from None
    return given


def is_plain(obj: Any) -> bool:
    """Whether an object has the names of :func:`check_diffusion` already."""
    own = ("predict_x0", "reverse_step", "ddim_step", "from_betas", "first_step")
    return any(hasattr(type(obj), n) or n in (read(obj, "__dict__") or ()) for n in own)


def tables_of(obj: Any) -> dict[str, Any]:
    """The tables under our names, in the object or in the first of its parts that has some."""
    slots = [n for c in own_classes(obj) for n in vars(c).get("__slots__", ())]
    parts = [*(read(obj, "__dict__") or {}).values(), *(read(obj, n) for n in slots)]
    made = [p for p in parts if isinstance(p, Mapping) or own_classes(p) or hasattr(p, "__dict__")]
    for holder in [obj, *(with_attributes(p) for p in made if not isinstance(p, type))]:
        own = [n for n in ("betas", "alphas_cumprod") if read(holder, n) is not None]
        fixed = isinstance(holder, types.ModuleType) or (own and is_plain(holder))
        names = [n for n in (own if fixed else dir(holder)) if not n.startswith("__")]
        found: dict[str, Any] = {}
        for ours, (pattern, *_) in _TABLES.items():
            for name in sorted(names, key=lambda n: (n != ours, len(n))):
                if ours not in found and re.fullmatch(pattern, name.lower().strip("_")):
                    table = _table(holder, name, strict=name == ours and holder is obj)
                    if table is not None:
                        found[ours] = table
        if found:
            return found
    return {}


def _table(holder: Any, name: str, strict: bool) -> Any:
    """The attribute, if it is a table; strict: an attribute that cannot be read is an error."""
    try:
        with contained():
            table = getattr(holder, name)
    except Exception as error:
        if strict:
            raise TypeError(f"{name} cannot be read: {line(error)}") from None
        return None
    try:
        len(table)
    except Exception:
        return None
    if callable(table) or isinstance(table, str) or library_of(table) is not None:
        return table if library_of(table) else None
    try:
        return np.asarray(table)
    except ValueError:
        raise ValueError(f"{name} must be a row of T numbers, got a ragged list") from None


def _numbers(table: Any, name: str) -> Array:
    array = to_numpy(table)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if not array.size or max(array.shape) != array.size:
        raise ValueError(f"{name} must have shape (T,) with T at least 1, got {array.shape}")
    array = array.reshape(-1).astype(np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array
