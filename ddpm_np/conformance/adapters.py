"""Other names for the same things: from somebody's object to a subject.

:func:`adapt` goes by the names of attributes, methods and parameters, and calls nothing yet. Where
it cannot tell, write a class with the names of :func:`check_diffusion` that calls your code.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from ddpm_np.conformance.subject import OPERATIONS

_TABLES = {
    "betas": ("betas", "beta"),
    "alphas_cumprod": ("alphas_cumprod", "alpha_bar", "alpha_bars", "alphas_bar", "alpha_cumprod"),
}
_METHODS = {
    "q_sample": ("q_sample", "add_noise"),
    "q_posterior_mean_variance": ("q_posterior_mean_variance", "q_posterior"),
    "predict_x0": (
        "predict_x0",
        "predict_start_from_noise",
        "_predict_xstart_from_eps",
        "predict_xstart_from_eps",
    ),
    "reverse_step": ("reverse_step", "p_sample", "step"),
    "ddim_step": ("ddim_step", "step"),
    "loss": ("loss",),
}
_PARAMETERS = {
    "x_0": ("x_0", "x0", "x_start", "xstart", "original_samples"),
    "x_t": ("x_t", "xt", "x", "sample", "img"),
    "t": ("t", "timestep", "timesteps", "step", "time"),
    "s": ("s", "t_prev", "t_next", "prev_timestep"),
    "noise": ("noise", "eps", "epsilon"),
    "eps": ("eps", "noise", "epsilon", "model_output", "eps_hat"),
    "z": ("z", "noise", "variance_noise"),
    "eta": ("eta",),
    "eps_hat": ("eps_hat", "prediction", "pred", "input", "output"),
}
_MODELS = ("eps_model", "model", "denoise_fn", "denoiser", "network", "net", "unet")
_OWN = ("predict_x0", "reverse_step", "ddim_step", "from_betas", "first_step")


def adapt(
    obj: Any,
    *,
    first_step: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    axes: int = 0,
) -> Any:
    """A subject for :func:`check_diffusion`, from an object with other usual names.

    It recognises the tables betas and alphas_cumprod (also beta, alpha_bar, ...), and q_sample
    (add_noise), q_posterior_mean_variance (q_posterior), predict_x0 (predict_start_from_noise),
    p_sample or step, a step with eta (DDIM), and loss, by the names of their parameters or by their
    number. t may be an int or one a row. A p_sample that asks a model within gets one that answers
    eps, and fresh noise that is drawn within, by torch.randn, torch.randn_like or the functions of
    numpy.random, is replaced by z for the call.

    An object that is a subject already is returned as it is.

    Parameters
    ----------
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
    own = [o for o in OPERATIONS if callable(getattr(obj, o, None))]
    tables = any(_has_table(obj, name) for name in _TABLES)
    plain = first_step is None and not (dtype or name or axes)
    if plain and tables and own and any(hasattr(obj, o) for o in _OWN):
        return obj
    adapted = _Adapted(obj, first_step, dtype, name, axes)
    kind = adapted.name
    if not adapted.tables:
        raise TypeError(
            f"nothing is recognised in {kind}: it needs betas or alphas_cumprod and an operation "
            "such as q_sample; see the adapter class in help(ddpm_np.conformance.adapt)"
        )
    if not adapted.methods and own and hasattr(obj, "betas"):
        return obj  # the report will say what is wrong with its operations
    if not adapted.methods and "alphas_cumprod" not in adapted.tables:
        raise TypeError(
            f"no operation is recognised in {kind}; see the adapter class in "
            "help(ddpm_np.conformance.adapt)"
        )
    return adapted


class _Adapted:
    """A subject that calls somebody's object by its own names."""

    def __init__(
        self, obj: Any, first_step: int | None, dtype: Any, name: str | None, axes: int
    ) -> None:
        self._obj, self._axes = obj, axes
        self.name = name or getattr(obj, "name", None) or type(obj).__name__
        self.tables = {
            ours: getattr(obj, theirs[0])
            for ours, theirs in (
                (o, [n for n in names if _has_table(obj, n)]) for o, names in _TABLES.items()
            )
            if theirs
        }
        padded = self._strip()
        config = getattr(obj, "config", None)
        kinds = ((config, "prediction_type"), (obj, "prediction_type"), (obj, "objective"))
        for kind in (getattr(holder, kind, "") for holder, kind in kinds):
            if isinstance(kind, str) and kind not in ("", "epsilon", "pred_noise"):
                raise TypeError(f"{self.name} must be set to predict eps, is set to {kind}")
        guess = 1 if padded else getattr(obj, "first_step", 0)
        self.first_step = guess if first_step is None else first_step
        self.dtype = dtype or getattr(obj, "dtype", None)
        self._row_of_t: dict[str, bool] = {}
        self.methods: dict[str, tuple[str, dict[str, str]]] = {}
        for operation, names in _METHODS.items():
            found = (_bound(obj, operation, n) for n in names if callable(getattr(obj, n, None)))
            usable = next((f for f in found if f is not None), None)
            if usable:
                self.methods[operation] = usable
        if callable(getattr(obj, "from_betas", None)):
            self.from_betas = lambda b: adapt(
                obj.from_betas(b), first_step=first_step, dtype=dtype, name=name, axes=axes
            )

    def __getattr__(self, name: str) -> Any:
        known = self.__dict__
        if name in known.get("tables", {}):
            return known["tables"][name]
        if name in known.get("methods", {}):
            return lambda *arguments: self._call(name, arguments)
        raise AttributeError(name)

    def _strip(self) -> bool:
        """Drops the clean signal's entry; whether there was one."""
        clean = {"betas": 0.0, "alphas_cumprod": 1.0}
        try:
            padded = all(len(t) > 1 and float(t[0]) == clean[n] for n, t in self.tables.items())
        except (TypeError, ValueError):
            return False
        if padded:
            self.tables = {name: table[1:] for name, table in self.tables.items()}
        return padded

    def _call(self, operation: str, arguments: tuple[Any, ...]) -> Any:
        method, names = self.methods[operation]
        longer = (..., *(None,) * self._axes)
        arguments = tuple(a[longer] if hasattr(a, "shape") else a for a in arguments)
        at = dict(zip(OPERATIONS[operation], arguments))
        x = arguments[0]
        if operation == "ddim_step" and names and "s" not in names:
            self._stride(at["t"], at["s"])
        rowwise = self._row_of_t.get(operation)
        forms = [at["t"]] if "t" in at and rowwise is False else []
        if "t" in at and rowwise is not False:
            rows = _rows_of(at["t"], x)
            forms = [rows] if rowwise else [at["t"], rows]
        first: Exception | None = None
        for form in forms or [None]:
            given = at | ({"t": form} if form is not None else {})
            try:
                result = self._invoke(method, names, given, operation)
            except NotImplementedError:
                raise
            except Exception as error:
                first = first or error
                continue
            self._row_of_t[operation] = form is not None and not isinstance(form, int)
            return self._squeezed(result, x)
        assert first is not None
        raise first

    def _invoke(
        self, method: str, names: dict[str, str], at: dict[str, Any], operation: str
    ) -> Any:
        if not names:  # its parameters have names of its own: by position
            return getattr(self._obj, method)(*(at[name] for name in OPERATIONS[operation]))
        given = {theirs: at[ours] for ours, theirs in names.items() if ours in at}
        with ExitStack() as stack:
            if operation in ("reverse_step", "ddim_step") and "z" not in names:
                stack.enter_context(_drawn(at["z"]))
            if "eps" in at and "eps" not in names:
                if "model" in names:
                    given[names["model"]] = lambda *a, **k: at["eps"]
                else:
                    stack.enter_context(_answering(self._obj, at["eps"]))
            result = getattr(self._obj, method)(**given)
        if operation in ("reverse_step", "ddim_step"):
            if hasattr(result, "prev_sample"):
                return result.prev_sample
            if isinstance(result, dict) and "sample" in result:
                return result["sample"]
            return result[0] if isinstance(result, tuple) else result
        return result

    def _squeezed(self, result: Any, x: Any) -> Any:
        """Without the axes that were added."""
        if not self._axes:
            return result
        if isinstance(result, tuple):
            return tuple(self._squeezed(r, x) for r in result)
        wide = getattr(result, "ndim", 0) == x.ndim
        return result[(..., *(0,) * self._axes)] if wide else result

    def _stride(self, t: int, s: int) -> None:
        """A step that takes its length from a number of inference steps (diffusers, MONAI)."""
        T, first = len(next(iter(self.tables.values()))), self.first_step
        length = t - s if s >= first else T
        if not hasattr(self._obj, "num_inference_steps"):
            if length != 1:
                raise NotImplementedError("only steps from t to t - 1")
            return
        number = T // length
        if T // number != length:
            raise NotImplementedError("no number of inference steps gives this one")
        self._obj.num_inference_steps = number


def _has_table(obj: Any, name: str) -> bool:
    try:
        table = getattr(obj, name, None)
    except Exception:
        return False
    return table is not None and not callable(table) and hasattr(table, "__len__")


def _bound(obj: Any, operation: str, method: str) -> tuple[str, dict[str, str]] | None:
    """The method's parameters under our names, or None where one that it needs is unknown."""
    try:
        signature = inspect.signature(getattr(obj, method))
        parameters = dict(signature.parameters)
    except (TypeError, ValueError):
        return None
    if method == "step" and (
        ("eta" in parameters) != (operation == "ddim_step") or hasattr(obj, "sigmas")
    ):
        return None
    found: dict[str, str] = {}
    for ours in OPERATIONS[operation]:
        theirs = next(
            (n for n in _PARAMETERS[ours] if n in parameters and n not in found.values()), None
        )
        if ours == "x_0" and theirs is None and operation == "q_sample" and "x" in parameters:
            theirs = "x"
        if theirs is not None:
            found[ours] = theirs
    if method == "p_sample" and "model" in parameters:
        found["model"] = "model"
    needed = {
        n
        for n, p in parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    inside = {"z", "s", "eta"} | (
        {"eps"} if "model" in found or any(hasattr(obj, m) for m in _MODELS) else set()
    )
    missing = {o for o in OPERATIONS[operation] if o not in found} - inside
    if not missing and needed <= set(found.values()):
        return method, found
    by_number = method == operation and len(needed) == len(OPERATIONS[operation])
    return (method, {}) if by_number else None


def _rows_of(t: int, x: Any) -> Any:
    """t for every row of a batch, in its kind of array."""
    if isinstance(x, np.ndarray):
        return np.full(len(x), t)
    return sys.modules["torch"].full((len(x),), t, dtype=sys.modules["torch"].long)


@contextmanager
def _drawn(z: Any) -> Iterator[None]:
    """While a step draws fresh noise, it gets z."""
    torch = None if isinstance(z, np.ndarray) else sys.modules.get("torch")
    places = (
        [(torch, "randn"), (torch, "randn_like")]
        if torch
        else [(np.random, n) for n in ("randn", "normal", "standard_normal")]
    )
    with ExitStack() as stack:
        for module, name in places:
            stack.enter_context(mock.patch.object(module, name, lambda *a, **k: z))
        yield


@contextmanager
def _answering(obj: Any, eps: Any) -> Iterator[None]:
    """While a step asks its model, it gets eps."""
    name = next((m for m in _MODELS if hasattr(obj, m)), None)
    if name is None:
        raise TypeError("its step needs a model, and none is found")
    stub: Callable[..., Any] = _stub(getattr(obj, name), eps)
    modules = getattr(obj, "_modules", None)
    where = (
        mock.patch.dict(modules, {name: stub})
        if modules and name in modules
        else (mock.patch.object(obj, name, stub))
    )
    with where:
        yield


def _stub(model: Any, eps: Any) -> Any:
    """A model that answers eps and has every other attribute of the one it stands for."""

    class Stub:
        def __call__(self, *arguments: Any, **named: Any) -> Any:
            return eps

        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

    return Stub()
