"""A view of somebody's diffusion code: its tables as exact numbers, and the operations in it."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import (
    FAULTS,
    HALF,
    dtype_name,
    library_of,
    line,
    printable,
    read,
    to_numpy,
)
from ddpm_np.conformance.names import OPERATIONS, Method, bind, models_in, operations_named
from ddpm_np.conformance.state import own_classes

DIGITS = Context(prec=120, Emin=MIN_EMIN, Emax=MAX_EMAX, traps=[])
_BARS = r"alphas?_?(cum_?prod|bars?|hats?|prod|cum)s?|(bar_?alphas?|a_?bars?|abar|cum_?alphas?)"
_TABLES = {
    "betas": "betas?|noise_?variances?",
    "alphas_cumprod": _BARS,
    "alphas": "alphas?",
    "sqrt_alphas_cumprod": rf"(sqrt|root)_?({_BARS})",
    "sqrt_one_minus_alphas_cumprod": rf"(sqrt|root)_?(one|1)_?minus_?({_BARS})",
}
_PREDICTIONS = {
    "eps": r"eps(ilon)?|(pred_)?noise|pred_eps(ilon)?",
    "x_0": r"sample|(pred_)?(x_?0|x_?start)|start_x|original",
    "v": r"v|v_prediction|(pred_)?v(elocity)?",
}
_SEVERAL = re.compile(
    r"pndm|plms|lcm|inverse|multistep|euler|heun|unipc|(?<!d)dpm|tcd|edm|ipndm|sde"
)


class Exact:
    """The tables in decimals, index t: beta, alpha, alpha_bar, one_minus_alpha_bar."""

    def __init__(self, beta: list[Decimal], alpha_bar: list[Decimal] | None = None) -> None:
        with localcontext(DIGITS):
            self.beta, self.alpha = [Decimal(0), *beta], [1 - b for b in [Decimal(0), *beta]]
            self.alpha_bar = [Decimal(1)]
            for a in self.alpha[1:]:
                self.alpha_bar.append(self.alpha_bar[-1] * a)
            self.alpha_bar = alpha_bar or self.alpha_bar
            self.one_minus_alpha_bar = [1 - a for a in self.alpha_bar]


class Subject:
    """One object under test; see :func:`ddpm_np.conformance.adapt` for the options.

    name, first_step, T, dtype (of its arrays), library, exact (its tables), alphas_cumprod (the
    given table as float64, or None), methods (by operation), unused (methods seen and not used,
    each with the reason), prediction ("eps", "x_0" or "v": what its model answers).
    """

    def __init__(
        self,
        given: Any,
        *,
        first_step: int | None = None,
        dtype: Any = None,
        name: str | None = None,
        axes: int = 0,
    ) -> None:
        self.given, self.axes = _object(given), axes
        named = (name, read(self.given, "name"))
        found = next((n for n in named if isinstance(n, str) and n), type(self.given).__name__)
        self.name = printable(found)
        self.notes: list[str] = []
        self.unused: dict[str, str] = {}
        self.methods: dict[str, Method] = {}
        self.prediction = self._prediction()
        self._recognise()
        self.tables, self.holder = _tables_of(self.given)
        if not self.tables:
            raise TypeError(self._nothing())
        self._read_tables(first_step)
        table = next(iter(self.tables.values()))
        self.library = next(filter(None, map(library_of, self.tables.values())), "numpy")
        self.device = read(table, "device") if self.library == "torch" else None
        wanted = dtype_name(dtype or read(self.given, "dtype") or "")
        if wanted not in ("float32", "float64"):
            wanted = dtype_name(table)
        self.half = wanted in HALF
        self.dtype: Any = np.float32 if self.half or wanted == "float32" else np.float64
        self.models = models_in(self.given, [m.function for m in self.methods.values()])

    # ---- what is in it ------------------------------------------------------------------------

    def _recognise(self) -> None:
        """Every method under our names, or with the reason why it is not used."""
        from_dict = isinstance(self.given, types.SimpleNamespace)
        names = list(vars(self.given)) if from_dict else [n for n in dir(self.given)]
        methods: dict[str, Any] = {}
        for name in names:
            value = None if name.startswith("__") else read(self.given, name)
            if inspect.isroutine(value) or (operations_named(name) and callable(value)):
                methods[name] = value
        has_model = bool(models_in(self.given, list(methods.values())))
        reasons: dict[str, list[str]] = {}
        for operation in OPERATIONS:
            named = [n for n in methods if operation in operations_named(n)]
            for name in sorted(named, key=lambda n: (n != operation, n.startswith("_"))):
                if name == "step" and self._several():
                    reasons[name] = ["not a single-step DDPM or DDIM sampler"]
                    continue
                found = bind(operation, name, methods[name], has_model)
                if isinstance(found, str):
                    reasons.setdefault(name, []).append(found)
                elif operation in self.methods:
                    reasons.setdefault(name, []).append(
                        f"{self.methods[operation].name} is used for {operation}"
                    )
                else:
                    self.methods[operation] = found
        used = {m.name for m in self.methods.values()}
        for name in methods:
            if name in used or name in ("from_betas", *OPERATIONS) and name in used:
                continue
            if name in reasons:
                self.unused[name] = "; or ".join(dict.fromkeys(reasons[name]))
            elif self._theirs(name) and not name.startswith("_") and name != "from_betas":
                self.unused[name] = "not the name of an operation"

    def _several(self) -> bool:
        """Whether its step is one of several that belong together, or of another process."""
        if (
            _SEVERAL.search(type(self.given).__name__.lower())
            or read(self.given, "sigmas") is not None
        ):
            return True
        return any(hasattr(self.given, n) for n in ("ets", "model_outputs", "lower_order_nums"))

    def _theirs(self, name: str) -> bool:
        """Whether a method is its author's, and not a library's."""
        if isinstance(self.given, types.SimpleNamespace):
            return True
        where = next((c for c in type(self.given).__mro__ if name in vars(c)), type(self.given))
        return where in own_classes(self.given)

    def _prediction(self) -> str:
        """What its model answers, by its settings."""
        config = read(self.given, "config")
        holders = (config, self.given, read(self.given, "model"))
        names = ("prediction_type", "objective", "parameterization", "model_mean_type", "pred_type")
        for holder in holders:
            for name in names:
                said = holder.get(name) if isinstance(holder, dict) else read(holder, name)
                text = str(read(said, "name", said)).lower().removeprefix("modelmeantype.")
                if said is None or callable(said):
                    continue
                for kind, pattern in _PREDICTIONS.items():
                    if re.fullmatch(pattern, text):
                        return kind
                raise TypeError(
                    f"{self.name} must be set to predict eps, x_0 or v, is set to {printable(text)}"
                )
        return "eps"

    def _nothing(self) -> str:
        """Why it is no subject."""
        if self.methods:
            have = f"; it has {', '.join(m.name for m in self.methods.values())}"
            return (
                f"{self.name} must have betas (T,) or alphas_cumprod (T,){have}; "
                "ddpm_np.conformance.adapt recognises some other names"
            )
        return (
            f"nothing is recognised in {self.name}: it needs betas or alphas_cumprod and an "
            "operation such as q_sample; see the adapter class in help(ddpm_np.conformance.adapt)"
        )

    # ---- its tables ---------------------------------------------------------------------------

    def _read_tables(self, first_step: int | None) -> None:
        numbers = {name: _numbers(table, name) for name, table in self.tables.items()}
        padded = _padded(numbers)
        if padded:
            numbers = {name: table[1:] for name, table in numbers.items()}
        own = read(self.given, "first_step")
        guess = 1 if padded else 0 if own is None else own
        self.first_step = _first_step(guess if first_step is None else first_step)
        self.stated_time = first_step is not None or padded or own is not None
        betas, bars = numbers.get("betas"), numbers.get("alphas_cumprod")
        with localcontext(DIGITS):
            exact = {k: [Decimal(float(x)) for x in t] for k, t in numbers.items()}
            if betas is None and bars is None and "alphas" in exact:
                exact["betas"] = [1 - a for a in exact["alphas"]]
                betas = 1 - numbers["alphas"]
            if betas is None and bars is None and "sqrt_alphas_cumprod" in exact:
                exact["alphas_cumprod"] = [r * r for r in exact["sqrt_alphas_cumprod"]]
                bars = numbers["sqrt_alphas_cumprod"] ** 2
            elif betas is None and bars is None:
                roots = exact["sqrt_one_minus_alphas_cumprod"]
                exact["alphas_cumprod"] = [1 - r * r for r in roots]
                bars = 1 - numbers["sqrt_one_minus_alphas_cumprod"] ** 2
            if betas is not None:
                if not np.all((betas > 0) & (betas <= 1)):
                    bad = betas[~((betas > 0) & (betas <= 1))][0]
                    raise ValueError(f"betas must be above 0 and at most 1, got {bad}")
                if bars is not None and bars.shape != betas.shape:
                    both = f"{bars.shape} and {betas.shape}"
                    raise ValueError(f"alphas_cumprod must have the shape of betas, got {both}")
                self.exact = Exact(exact["betas"])
            else:
                table = [Decimal(1), *exact["alphas_cumprod"]]
                if not all(0 <= b < a for a, b in zip(table, table[1:])):
                    raise ValueError(
                        "alphas_cumprod must fall from below 1 and stay at least 0, with no betas"
                    )
                self.exact = Exact([1 - b / a for a, b in zip(table, table[1:])], table)
        self.has_betas, self.alphas_cumprod = betas is not None, bars
        self.T = len(self.exact.beta) - 1
        self.padded = padded

    def routes(self) -> list[tuple[int, int]] | None:
        """The (t, s) that it offers, in the mathematics' time, where it says so; else None."""
        first = self.first_step - 1
        stated = read(self.given, "ddim_routes")
        if stated is not None:
            return sorted((t - first, s - first) for t, s in stated)
        listed = read(self.given, "timesteps")
        if read(self.given, "num_inference_steps") is None or library_of(listed) is None:
            return None
        steps = [int(t) - first for t in to_numpy(listed).ravel()]
        inside = all(1 <= t <= self.T for t in steps)
        return list(zip(steps, [*steps[1:], 0])) if inside and len(steps) < self.T else None

    def step(self, t: int) -> int:
        """The subject's own number for step t of the mathematics; 0 is the clean signal."""
        return t - 1 + self.first_step

    def build(self) -> Callable[[Any], Any] | None:
        """The subject's from_betas, or None."""
        make = read(self.given, "from_betas")
        if not callable(make):
            return None
        static = inspect.getattr_static(type(self.given), "from_betas", None)
        if inspect.isfunction(static) and len(inspect.signature(static).parameters) == 1:
            make = static  # a plain function of betas in the class
        build: Callable[[Any], Any] = make
        return build

    def __getattr__(self, name: str) -> Any:
        """Its operations under our names, with arguments of its own kind by position."""
        methods = self.__dict__.get("methods", {})
        if name not in methods:
            tables = self.__dict__.get("tables", {})
            if name in tables:
                return tables[name]
            raise AttributeError(name)
        from ddpm_np.conformance.calls import Caller

        return lambda *values: Caller(self, name).native(dict(zip(OPERATIONS[name], values)))


def _object(given: Any) -> Any:
    """An object with attributes: of a dict its entries, of a class what it makes."""
    if isinstance(given, Mapping):
        return types.SimpleNamespace(**{str(k): v for k, v in given.items()})
    if isinstance(given, type) and given.__module__ != "builtins":
        try:
            return given()
        except FAULTS as error:
            raise TypeError(
                f"{given.__name__} is a class and cannot be built without arguments "
                f"({line(error)}): pass an object that it made"
            ) from None
    return given


def _tables_of(obj: Any) -> tuple[dict[str, Any], Any]:
    """The tables under our names, in the object or in the first of its parts that has some."""
    holders = [obj]
    parts = read(obj, "__dict__")
    for part in (parts or {}).values() if isinstance(parts, dict) else ():
        if isinstance(part, Mapping) or isinstance(read(part, "__dict__"), dict):
            holders.append(_object(part) if isinstance(part, Mapping) else part)
    for holder in holders:
        found: dict[str, Any] = {}
        own = [n for n in ("betas", "alphas_cumprod") if read(holder, n) is not None]
        module = isinstance(holder, types.ModuleType)
        names = own if module or (own and is_plain(holder)) else dir(holder)
        names = [n for n in names if not n.startswith("__")]
        for ours, pattern in _TABLES.items():
            for name in sorted(names, key=lambda n: (n != ours, len(n))):
                if ours not in found and re.fullmatch(pattern, name.lower().strip("_")):
                    table = _table(holder, name, strict=name == ours and holder is obj)
                    if table is not None:
                        found[ours] = table
        if found:
            return found, holder
    return {}, obj


def is_plain(obj: Any) -> bool:
    """Whether an object has the names of :func:`check_diffusion` already."""
    own = ("predict_x0", "reverse_step", "ddim_step", "from_betas", "first_step")
    return any(hasattr(type(obj), n) or n in (read(obj, "__dict__") or ()) for n in own)


def _table(holder: Any, name: str, strict: bool) -> Any:
    try:
        table = getattr(holder, name)
    except FAULTS as error:
        if strict:
            raise TypeError(f"{name} cannot be read: {line(error)}") from None
        return None
    if table is None or callable(table) or not hasattr(table, "__len__") or isinstance(table, str):
        return None
    try:
        len(table)
    except FAULTS:
        return None
    if library_of(table) is None:
        try:
            return np.asarray(table)
        except ValueError:
            raise ValueError(f"{name} must be a row of T numbers, got a ragged list") from None
    return table


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


def _padded(numbers: Mapping[str, Array]) -> bool:
    """Whether the tables start with the clean signal's entry."""
    zero = ("betas", "sqrt_one_minus_alphas_cumprod")
    return all(len(t) > 1 and t[0] == (0 if n in zero else 1) for n, t in numbers.items())


def _first_step(first: Any) -> int:
    if first not in (0, 1) or isinstance(first, bool):
        raise ValueError(f"first_step must be 0 or 1, got {first!r}")
    return int(first)
