"""Calling one operation of a subject: by its parameters' names, in its kind of array and of time.

Where the operation asks a model, a stand-in answers; where it draws noise, it gets ours; where it
changes an argument or a table, that is said.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import FAULTS, Unusable, floats, from_numpy, line, read, to_numpy
from ddpm_np.conformance.names import OPERATIONS, Method, plain
from ddpm_np.conformance.noise import Takeover
from ddpm_np.conformance.state import Snapshot

if TYPE_CHECKING:
    from ddpm_np.conformance.subject import Subject

VECTORS = ("x_prev", "x_0", "x_t", "noise", "eps", "v", "z", "eps_hat")
FORMS = {"int": "an int", "rows": "of shape (n,)", "scalar": "a 0-dim array", "column": "(n, 1)"}
# Errors that come of the form of t alone.
_OF_THE_FORM = re.compile(
    r"not subscriptable|has no (attribute|len)|too many indices|not iterable|ambiguous|'int' object"
    r"|unsized|0-d(im)? |be broadcast|only (integer|one element|length-1)|invalid index"
    r"|must be Tensor"
)
_PAIRS = ("q_posterior_mean_variance", "p_mean_variance", "q_mean_variance")
_STEPS = ("reverse_step", "ddim_step")
_ANSWERS = ("prev_sample", "sample", "x_prev", "prev", "pred", "x", "mean")


class Result(NamedTuple):
    """What an operation returned: an array, or a mean with its variance and its logarithm."""

    value: Array
    variance: Array | None = None
    log_variance: Array | None = None


class Model:
    """Answers for a model, keeps what it was asked, and has every other attribute of it."""

    def __init__(self, answer: Any, instead: Any = None) -> None:
        self._answer, self._instead = answer, instead
        self.asked: list[list[Any]] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.asked.append([*arguments, *named.values()])
        return self._answer

    forward = __call__

    def __getattr__(self, name: str) -> Any:
        if self._instead is None and name in ("eval", "train", "to", "requires_grad_"):
            return lambda *a, **k: self
        return getattr(self._instead, name)


class Caller:
    """One operation, called in the form of t that it takes."""

    def __init__(self, view: Subject, operation: str, snapshot: Snapshot | None = None) -> None:
        self.view, self.operation = view, operation
        self.method: Method = view.methods[operation]
        self.snapshot, self.library, self.axes, self.form = snapshot, view.library, view.axes, "int"
        self.trouble: dict[str, str] = {}
        self.settled = False
        self.output = self._output()
        names = [self.output if n == "eps" else n for n in OPERATIONS[operation]]
        self.vectors = [n for n in names if n in VECTORS]
        fresh = next((n for n in ("z", "noise") if n in names), None)
        self.draws = fresh if fresh and self.method.roles and not self.method.takes(fresh) else None
        self.takeover = Takeover(view.given, self._functions()) if self.draws else None
        self.model: Model | None = None
        self.judged: Any = None  # what came of it, once it was compared

    def _functions(self) -> list[Any]:
        """The method, and the others of its object, which it may call."""
        cls = type(self.view.given)
        own = [f for c in cls.__mro__ for f in vars(c).values() if hasattr(f, "__code__")]
        return [self.method.function, *own]

    def _output(self) -> str:
        """What stands for eps: what its model answers, or what it is given."""
        if self.operation not in (*_STEPS, "p_mean_variance", "predict_x0"):
            return "eps"
        stated = next((r for r in ("v", "x_0") if self.method.takes(r)), None)
        return stated or ("eps" if self.operation == "predict_x0" else self.view.prediction)

    # ---- the call -----------------------------------------------------------------------------

    def __call__(
        self, t: int | Array, s: int | Array = 0, eta: float = 0.0, **arrays: Array
    ) -> Result:
        """The result on NumPy arrays (n, dim); t and s in the mathematics' time, or one a row.

        Raises what the operation raises, and :class:`Unusable` where the result cannot be compared.
        """
        shape = next(iter(arrays.values())).shape
        if self.operation == "p_losses":
            self.raw(t, s, eta, **arrays)
            return Result(self._asked(shape))
        return self.split(self.raw(t, s, eta, **arrays), shape)

    def _asked(self, shape: tuple[int, ...]) -> Array:
        """The x_t at which the model was asked."""
        for argument in self.model.asked[-1] if self.model and self.model.asked else ():
            if read(argument, "ndim") == len(shape) + self.axes:
                return self._array(argument, shape, "noised x_0")
        raise Unusable("does not ask its model")

    def raw(self, t: Any, s: Any = 0, eta: float = 0.0, **arrays: Array) -> Any:
        """The same as the operation returns it."""
        if self.operation == "p_losses":
            arrays = {"eps": np.zeros_like(arrays["x_0"]), **arrays}
        wide = {
            k: a.astype(self.view.dtype)[(..., *(None,) * self.axes)] for k, a in arrays.items()
        }
        values: dict[str, Any] = {k: self._own(a) for k, a in wide.items()}
        n = len(next(iter(arrays.values())))
        first = self.view.first_step - 1
        values |= {"t": self._time(t + first, n), "s": self._time(s + first, n), "eta": float(eta)}
        values["t_int"] = int(np.ravel(t)[0]) + first
        if self.operation in _STEPS and not self.method.takes("s") and self.method.roles:
            self._stride(t, s)
        result = self.native(values)
        for name, before in wide.items():
            if not np.array_equal(before, to_numpy(values[name]), equal_nan=True):
                raise Unusable(f"changes its argument {name} in place")
        changed = self.snapshot.changed_table() if self.snapshot else None
        if changed:
            raise Unusable(changed)
        return result

    def native(self, values: dict[str, Any]) -> Any:
        """The call with arguments that are the operation's own kind already."""
        method, given = self.method, dict(values)
        if self.output != "eps" and "eps" in given:
            given[self.output] = given["eps"]
        with ExitStack() as stack:
            stack.enter_context(np.errstate(all="ignore"))
            if "torch" in sys.modules:
                stack.enter_context(sys.modules["torch"].no_grad())
            if method.roles is None:
                names = [self.output if n == "eps" else n for n in OPERATIONS[self.operation]]
                extra = ["t"] if self.operation == "loss" and "t" in given else []
                return method.function(*(given[n] for n in [*names, *extra]))
            given["model"] = self.model = Model(given.get(self.output), self._real_model())
            given |= {"rng": self._rng(), "device": self.view.device or "cpu"}
            if method.by_model and "model" not in method.roles.values():
                stack.enter_context(_answering(self.view.models, self.model))
            draws = None
            if self.takeover and self.draws in given:
                z = to_numpy(given[self.draws])
                draws = stack.enter_context(self.takeover.of(z))
                given["rng"] = self.takeover.generator if self.library == "numpy" else given["rng"]
            several = sum(r == "t" for r in method.roles.values()) > 1
            positional, named = [], {}
            for name, role in method.roles.items():
                role = self.output if role == "eps" else role
                if role not in given:
                    continue
                value = given[role]
                if role == "t" and several and plain(name) != "t" and "t_int" in given:
                    value = given["t_int"]
                if name in method.positional:
                    positional.append(value)
                else:
                    named[name] = value
            result = method.function(*positional, **named)
            if draws is not None and draws.verdict():
                raise Unusable(draws.verdict())
            return result

    def _real_model(self) -> Any:
        for holder, name in self.view.models:
            return holder[name] if isinstance(holder, dict) else read(holder, name)
        return None

    def _rng(self) -> Any:
        if self.library == "torch":
            return sys.modules["torch"].Generator()
        return sys.modules["jax"].random.PRNGKey(0) if self.library == "jax" else None

    def _own(self, array: Array) -> Any:
        return from_numpy(array, self.library, self.view.device)

    def _time(self, t: int | Array, n: int) -> Any:
        if self.form == "int" and not isinstance(t, np.ndarray):
            return int(t)
        if self.form == "scalar":
            return self._own(np.array(int(np.ravel(t)[0]), dtype=np.int64))
        rows = np.broadcast_to(np.asarray(t, dtype=np.int64), (n,))
        return self._own(rows[:, None] if self.form == "column" else rows)

    def _stride(self, t: Any, s: Any) -> None:
        """A step that takes its length from a number of inference steps (diffusers, MONAI)."""
        if self.view.routes() is not None or np.all(t - s == 1):
            return self._one_step()
        if isinstance(t, np.ndarray):
            raise NotImplementedError("one length for all rows")
        length = int(t - s) if s > 0 else self.view.T
        given = self.view.given
        if not hasattr(given, "num_inference_steps") or self.operation == "reverse_step":
            raise NotImplementedError("only steps from t to t - 1")
        number = self.view.T // length
        if self.view.T // number != length:
            raise NotImplementedError("no number of inference steps gives this one")
        try:
            given.num_inference_steps = number
        except AttributeError:
            raise NotImplementedError("its number of steps cannot be set") from None

    def _one_step(self) -> None:
        """A length of 1, where the number of inference steps decides on it."""
        given = self.view.given
        if self.operation == "ddim_step" and self.view.routes() is None:
            if hasattr(given, "num_inference_steps"):
                given.num_inference_steps = self.view.T

    # ---- what it returns ----------------------------------------------------------------------

    def split(self, result: Any, shape: tuple[int, ...]) -> Result:
        """The arrays in what was returned."""
        if self.operation not in _PAIRS:
            return Result(self._array(self._first(result), shape))
        if isinstance(result, dict):
            keys = (("mean",), ("variance", "var"), ("log_variance", "log_var"))
            parts = [next((result[k] for k in names if k in result), None) for names in keys]
        elif isinstance(result, (tuple, list)) and len(result) > 1:
            parts = [*result[:3], None][:3]
        elif hasattr(result, "shape") and self.operation == "q_posterior_mean_variance":
            parts = [result[0] if isinstance(result, tuple) else result, None, None]
        else:
            raise Unusable(f"returns a {type(result).__name__}, not a pair (mean, variance)")
        mean = self._array(parts[0], shape, what="mean")
        spreads = [None if p is None else self._spread(p, shape) for p in parts[1:]]
        return Result(mean, *spreads)

    def _first(self, result: Any) -> Any:
        for name in _ANSWERS[:1] if not isinstance(result, dict) else ():
            if hasattr(result, name):
                return getattr(result, name)
        if isinstance(result, dict) and result:
            return next((result[k] for k in _ANSWERS if k in result), next(iter(result.values())))
        return result[0] if isinstance(result, tuple) and result else result

    def _array(self, result: Any, shape: tuple[int, ...], what: str = "result") -> Array:
        if self.axes and tuple(read(result, "shape", ())) == (*shape, *(1,) * self.axes):
            result = result[(..., *(0,) * self.axes)]
        return floats(result, shape, what)

    def _spread(self, variance: Any, shape: tuple[int, ...]) -> Array:
        """A variance for every entry, as it broadcasts; of shape (n,) one for each row."""
        array: Any = floats(variance, None, "variance")
        if self.axes and array.ndim > len(shape):
            array = array[(..., *(0,) * self.axes)]
        if array.shape == shape[:1] and shape[0] != shape[-1]:
            array = array[:, None]
        try:
            return np.array(np.broadcast_to(array, shape))
        except ValueError:
            text = f"returns a variance of shape {array.shape} for arguments of shape {shape}"
            raise Unusable(text) from None

    # ---- the form of t ------------------------------------------------------------------------

    def settle(self, probes: list[tuple[int, int, float]]) -> None:
        """Finds the kind of array and of t with which it works, or leaves why none does."""
        libraries = dict.fromkeys([self.view.library, *_loaded(self.view.library)])
        first: tuple[str, str, int] | None = None
        for library in libraries:
            for axes in (self.view.axes,) if self.view.axes else (0, 2, 1):
                for form in FORMS:
                    self.library, self.axes, self.form = library, axes, form
                    works, unusable = self._try(probes)
                    if works:
                        if axes != self.view.axes:
                            shape = f"(n, dim{', 1' * axes})"
                            text = f"{self.method.name} takes arrays {shape} only: axes={axes}"
                            self.view.notes.append(text)
                        self.trouble, self.settled = {}, True
                        return
                    if unusable and first is None:
                        first = (library, form, axes)
        self.library, self.form, self.axes = first or (self.view.library, "int", self.view.axes)
        if first:
            self.trouble = {}

    def _try(self, probes: list[tuple[int, int, float]]) -> tuple[bool, bool]:
        unusable = False
        for t, s, eta in probes:
            rng = np.random.default_rng(0)
            arrays = {name: rng.normal(size=(3, 5)) for name in self.vectors}
            try:
                self(t, s, eta, **arrays)
                return True, False
            except Unusable as why:
                unusable = True
                self.trouble.setdefault(self.form, str(why))
            except NotImplementedError:
                continue
            except FAULTS as error:
                self.trouble.setdefault(self.form, line(error))
        return False, unusable

    def message(self, error: BaseException) -> str:
        """An error, with what other forms of t gave where none works."""
        real = {f: text for f, text in self.trouble.items() if not _OF_THE_FORM.search(text)}
        told = {text: FORMS[form] for form, text in reversed((real or self.trouble).items())}
        if len(told) < 2:
            return next(iter(told), line(error))
        return "; ".join(f"{text[:100]} (t {form})" for text, form in list(told.items())[-2:][::-1])


def _loaded(library: str) -> list[str]:
    return [name for name in ("torch", "jax") if name in sys.modules and library == "numpy"]


@contextlib.contextmanager
def _answering(models: list[tuple[Any, str]], stub: Model) -> Iterator[None]:
    """While a step asks its model, the stand-in answers."""
    with ExitStack() as stack:
        for holder, name in models:
            modules = holder if isinstance(holder, dict) else read(holder, "_modules")
            if isinstance(modules, dict) and name in modules:
                stack.enter_context(mock.patch.dict(modules, {name: stub}))
            else:
                stack.enter_context(mock.patch.object(holder, name, stub))
        yield
