"""A view of somebody's diffusion code: its tables as exact numbers, its operations on NumPy arrays.

A subject is any object with ``betas`` (T,) or ``alphas_cumprod`` (T,) and any of the operations of
:mod:`ddpm_np.conformance.operations`. PyTorch is not imported here: a subject that uses it has.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.proof.reference import Reference

# The operations, with the names of their arguments; t and s are ints.
OPERATIONS = {
    "q_sample": ("x_0", "t", "noise"),
    "q_posterior_mean_variance": ("x_0", "x_t", "t"),
    "predict_x0": ("x_t", "t", "eps"),
    "reverse_step": ("x_t", "t", "eps", "z"),
    "ddim_step": ("x_t", "t", "s", "eps", "z", "eta"),
    "loss": ("eps_hat", "eps"),
}


class Unusable(Exception):
    """What an operation returned cannot be compared; the message says why."""


class Subject:
    """One object under test.

    name, first_step, T, dtype (of the tables, or the object's own ``dtype``), reference (the exact
    tables of its betas, or of its alphas_cumprod where it has no betas), alphas_cumprod (the given
    table as float64, or None), operations (the names of those it has).
    """

    def __init__(self, given: Any) -> None:
        self.given = given
        names = (getattr(given, n, None) for n in ("name", "__name__"))
        named = next((n for n in names if isinstance(n, str) and n), None)
        self.name = named or type(given).__name__
        self.operations = [name for name in OPERATIONS if callable(getattr(given, name, None))]
        tables = {name: _table(given, name) for name in ("betas", "alphas_cumprod")}
        found = [table for table in tables.values() if table is not None]
        if not found:
            ops = f"; it has {', '.join(self.operations)}" if self.operations else ""
            raise TypeError(
                f"{self.name} must have betas (T,) or alphas_cumprod (T,){ops}; "
                "ddpm_np.conformance.adapt recognises some other names"
            )
        self.library = next((t for t in map(_library, found) if t is not None), None)
        self.device = getattr(found[0], "device", None) if self.library else None
        self.dtype = _dtype(getattr(given, "dtype", None)) or _dtype(found[0].dtype) or np.float64
        betas, bars = (None if t is None else _numbers(t, n) for n, t in tables.items())
        self.alphas_cumprod = bars
        self.first_step = _first_step(given)
        if betas is not None:
            if not np.all((betas > 0) & (betas <= 1)):
                bad = betas[~((betas > 0) & (betas <= 1))][0]
                raise ValueError(f"betas must be above 0 and at most 1, got {bad}")
            if bars is not None and bars.shape != betas.shape:
                both = f"{bars.shape} and {betas.shape}"
                raise ValueError(f"alphas_cumprod must have the shape of betas, got {both}")
            self.reference = Reference(betas)
        else:
            assert bars is not None
            self.reference = _reference_of(bars)
        self.T = self.reference.T
        # An int, or where the code wants one step a row, an array of them.
        self._torch_arrays = self.library is not None

    def build(self) -> Callable[[Any], Any] | None:
        """The subject's from_betas, which takes its own kind of array, or None."""
        make = getattr(self.given, "from_betas", None)
        if not callable(make):
            return None
        static = inspect.getattr_static(type(self.given), "from_betas", None)
        if inspect.isfunction(static) and len(inspect.signature(static).parameters) == 1:
            make = static  # a plain function of betas in the class
        return lambda betas: make(self._own(np.asarray(betas)))

    def call(self, operation: str, *arguments: Any) -> Any:
        """The operation on NumPy arrays, in the subject's own kind of array and dtype.

        Raises what the operation raises, and :class:`Unusable` where an argument was changed.
        """
        method = getattr(self.given, operation)
        own = [self._own(a) if isinstance(a, np.ndarray) else a for a in arguments]
        with self._quiet():
            try:
                result = method(*own)
            except (TypeError, AttributeError):
                torch = sys.modules.get("torch")
                if torch is None or self.library is not None:
                    raise
                self.library = torch  # NumPy tables, but operations on tensors
                own = [self._own(a) if isinstance(a, np.ndarray) else a for a in arguments]
                try:
                    result = method(*own)
                except Exception:
                    self.library = None
                    raise
        for name, before, after in zip(OPERATIONS[operation], arguments, own):
            if isinstance(before, np.ndarray) and not np.array_equal(before, _numpy(after)):
                raise Unusable(f"changes its argument {name} in place")
        return result

    def step(self, t: int) -> int:
        """The subject's own number for step t of the mathematics; 0 is the clean signal."""
        return t - 1 + self.first_step

    def _own(self, array: Array) -> Any:
        array = np.array(array, dtype=self.dtype)
        if self.library is None:
            return array
        return self.library.from_numpy(array).to(self.device or "cpu")

    @contextlib.contextmanager
    def _quiet(self) -> Any:
        no_grad = self.library.no_grad() if self.library else contextlib.nullcontext()
        with no_grad, np.errstate(all="ignore"):
            yield


def array_of(result: Any, shape: tuple[int, ...], *, what: str = "result") -> Array:
    """What an operation returned, as a NumPy array of floats that broadcasts to the shape."""
    array = _numpy(result)
    if array.dtype.kind not in "fiu":
        raise Unusable(f"returns a {what} of type {type(result).__name__}, not real numbers")
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float64 if array.dtype.kind != "f" else np.float32)
    if array.shape != shape:
        raise Unusable(f"returns a {what} of shape {array.shape} for arguments of shape {shape}")
    return array


def numpy_of(result: Any) -> Array:
    """An array, a tensor or a number as a NumPy array."""
    return _numpy(result)


def _numpy(x: Any) -> Array:
    for method in ("detach", "cpu", "numpy"):
        if not isinstance(x, np.ndarray) and hasattr(x, method):
            try:
                x = getattr(x, method)()
            except TypeError:  # bfloat16
                x = x.float().numpy()
    try:
        return np.asarray(x)
    except ValueError:
        raise Unusable("returns rows of different lengths") from None


def _library(table: Any) -> Any:
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(table, torch.Tensor) else None


def _table(given: Any, name: str) -> Any:
    try:
        table = getattr(given, name, None)
    except Exception as error:
        raise TypeError(f"{name} cannot be read: {type(error).__name__}: {error}") from None
    if table is None or callable(table):
        return None
    if _library(table) is None:
        try:
            return np.asarray(table)
        except ValueError:
            raise ValueError(f"{name} must be a row of T numbers, got a ragged list") from None
    return table


def _numbers(table: Any, name: str) -> Array:
    array = _numpy(table)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must have shape (T,) with T at least 1, got {array.shape}")
    array = array.astype(np.float64)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _dtype(dtype: Any) -> Any:
    """float32 or float64, from NumPy's or PyTorch's name of it; None for anything else."""
    name = str(dtype).removeprefix("torch.")
    if "float32" in name:
        return np.float32
    return np.float64 if "float64" in name else None


def _first_step(given: Any) -> int:
    first = getattr(given, "first_step", 0)
    if first not in (0, 1) or isinstance(first, bool):
        raise ValueError(f"first_step must be 0 or 1, got {first!r}")
    return int(first)


def _reference_of(bars: Array) -> Reference:
    """The reference whose alpha_bar is exactly the given table."""
    decimals = [Decimal(1), *(Decimal(float(a)) for a in bars)]
    falling = all(0 <= b < a for a, b in zip(decimals, decimals[1:]))
    if not falling:
        raise ValueError("alphas_cumprod must fall from below 1 and stay at least 0, with no betas")
    with localcontext() as context:
        context.prec = 120
        beta = [Decimal(0), *(1 - b / a for a, b in zip(decimals, decimals[1:]))]
        reference = Reference([float(b) for b in beta[1:]])
        reference.beta, reference.alpha = beta, [1 - b for b in beta]
        reference.alpha_bar, noise = decimals, [1 - a for a in decimals]
        reference.one_minus_alpha_bar = noise
        tilde = [b * n0 / n1 for b, n0, n1 in zip(beta[1:], noise, noise[1:])]
        reference.beta_tilde = [Decimal(0), *tilde]
    return reference
