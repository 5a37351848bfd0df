"""Calling one operation of a subject: by its parameters' names, in its kind of array and of time.

Where the operation asks a model, a stand-in answers; where it draws noise, it gets ours; where it
changes an argument or a table, that is said.
"""

import contextlib
import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import Unusable, contained, from_numpy, line, read, to_numpy
from ddpm_np.conformance.formulas import VECTORS
from ddpm_np.conformance.names import Method, plain
from ddpm_np.conformance.noise import Draws, Takeover
from ddpm_np.conformance.operations import OPERATIONS, SAMPLING, STEPS
from ddpm_np.conformance.results import Result, flat, split
from ddpm_np.conformance.state import Snapshot
from ddpm_np.conformance.subject import Subject

FORMS = {"int": "an int", "rows": "of shape (n,)", "scalar": "a 0-dim array", "column": "(n, 1)"}
# Errors that come of the form of t alone.
_OF_THE_FORM = re.compile(
    r"not subscriptable|has no (attribute|len)|too many indices|not iterable|ambiguous|'int' object"
    r"|unsized|0-d(im)? |be broadcast|only (integer|one element|length-1)|invalid index"
    r"|must be Tensor"
)


class Model:
    """Answers for a model, keeps what it was asked, and has every other attribute of it."""

    def __init__(self, answer: Any, instead: Any = None) -> None:
        self._answer, self._instead = _with_sample(answer), instead
        self.asked: list[list[Any]] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.asked.append([*arguments, *named.values()])
        answer = self._for_rows(self.asked[-1])
        return (answer,) if named.get("return_dict") is False else answer

    def _for_rows(self, asked: list[Any]) -> Any:
        """The answer for as many rows as it is asked for, which guidance asks for twice over."""
        n, *rest = read(self._answer, "shape", ()) or (0,)
        for argument in asked if n else ():
            rows, *others = read(argument, "shape", ()) or (0,)
            if others == rest and rows > n and rows % n == 0:
                return _with_sample(self._answer[np.arange(rows) % n])
        return self._answer

    forward = apply = __call__

    def __getattr__(self, name: str) -> Any:
        if self._instead is None and name in ("eval", "train", "to", "requires_grad_"):
            return lambda *a, **k: self
        return getattr(self._instead, name)


def _with_sample(answer: Any) -> Any:
    """With an attribute ``sample``, as the networks of diffusers answer."""
    with contextlib.suppress(Exception):
        answer.sample = answer
    return answer


class Caller:
    """One operation, called in the form of t that it takes."""

    def __init__(self, view: Subject, operation: str, snapshot: Snapshot | None = None) -> None:
        self.view, self.operation = view, operation
        self.method: Method = view.methods[operation]
        self.snapshot, self.library, self.axes, self.form = snapshot, view.library, view.axes, "int"
        self.trouble: dict[str, str] = {}
        self.settled = False
        self.output = self._output()
        names = [self.output if n == "eps" else n for n in OPERATIONS[operation].arguments]
        self.vectors = [n for n in names if n in (*VECTORS, "eps_hat")]
        self.draws_t = operation == "p_losses" and not self.method.takes("t")
        self.draws = any(n in names and not self.method.takes(n) for n in ("z", "noise"))
        takes_over = self.draws or self.draws_t
        self.takeover = Takeover(view.given, self.method.function) if takes_over else None
        self.model: Model | None = None
        self.one_t = list(self.method.roles.values()).count("t") > 1
        self.asked: set[int] = set()  # how much later than t the model is asked
        # A loss may spread the t that it draws over the batch, or mirror it in the second half:
        # then each row is given alone, and twice if the code needs an even number of rows.
        self.alone, self.even, self.drawn = False, False, 0
        self.doubles = False  # whether the code itself takes each row twice
        self.judged: Any = None  # what came of it, once it was compared

    def _output(self) -> str:
        """What stands for eps: what its model answers, or what it is given."""
        if self.operation not in (*SAMPLING, "predict_x0"):
            return "eps"
        stated = next((r for r in ("v", "x_0") if self.method.takes(r)), None)
        return stated or ("eps" if self.operation == "predict_x0" else self.view.prediction)

    # ---- the call -----------------------------------------------------------------------------

    def __call__(self, t: Any, s: Any = 0, eta: Any = 0.0, **arrays: Array) -> Result:
        """The result on NumPy arrays (n, dim); t and s in the mathematics' time, or for each row.

        Raises what the operation raises, and :class:`Unusable` where the result cannot be compared.
        """
        shape = next(iter(arrays.values())).shape
        if self.alone and shape[0] > 1:
            rows = [{k: a[i : i + 1] for k, a in arrays.items()} for i in range(shape[0])]
            times = np.broadcast_to(t, shape[:1]).tolist()
            return Result(np.concatenate([self(t, **row).value for t, row in zip(times, rows)]))
        result = self.raw(t, s, eta, **arrays)
        x_t, time = self.asked_for(0)
        if time is not None and time.dtype.kind == "i" and np.size(t) == 1:
            self.asked.add(int(time.flat[0]) - int(np.ravel(self.view.step(t))[0]))
        if self.operation != "p_losses":
            return split(self.operation, result, shape, self.axes)
        if x_t is None:
            raise Unusable("does not ask its model")
        whole = (len(x_t) if len(x_t) % shape[0] == 0 else shape[0], *shape[1:])
        return Result(flat(x_t, whole, "noised x_0", self.axes)[: shape[0]])

    def asked_for(self, i: int) -> tuple[Any, Array | None]:
        """The x_t and the t that the model was asked for at the i-th time."""
        asked = self.model.asked[i] if self.model and self.model.asked else []
        x_t = next((a for a in asked if read(a, "ndim") == 2 + self.axes), None)
        for argument in asked:
            with contextlib.suppress(Exception):
                time = to_numpy(argument)
                if time.dtype.kind in "if" and time.ndim < 2:
                    return x_t, time
        return x_t, None

    def raw(self, t: Any, s: Any = 0, eta: Any = 0.0, **arrays: Array) -> Any:
        """The same as the operation returns it."""
        if self.operation == "p_losses":
            arrays = {**arrays, "eps": arrays.get("eps", np.zeros_like(arrays["x_0"]))}
        more = (..., *(None,) * self.axes)
        n = len(next(iter(arrays.values())))
        own, own_s = self.view.step(t), self.view.step(s)
        rows = np.broadcast_to(own, (n,))
        if self.even:
            arrays = {k: np.concatenate([a, a]) if len(a) == n else a for k, a in arrays.items()}
            rows = np.concatenate([rows, rows])
        wide = {k: a.astype(self.view.dtype)[more] for k, a in arrays.items()}
        values: dict[str, Any] = {
            k: from_numpy(a, self.library, self.view.device) for k, a in wide.items()
        }
        values |= {"t": self._time(own, n), "s": self._time(own_s, n), "eta": float(eta)}
        values["t_rows"] = rows
        if self.operation in STEPS and not self.method.takes("s"):
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
            given["model"] = self.model = Model(given.get(self.output), self._real_model())
            given |= {"rng": self._rng(), "device": self.view.device or "cpu", "off": False}
            if method.by_model and "model" not in method.roles.values():
                stack.enter_context(_answering(self.view.models, self.model))
            draws = None
            if self.takeover:
                z = to_numpy(next(given[n] for n in ("z", "noise") if n in given))
                ends = self.view.step(1), self.view.step(self.view.T)
                again = -1 if self.operation == "p_losses" else 1
                draws = Draws(z, again, given.get("t_rows") if self.draws_t else None, ends)
                stack.enter_context(self.takeover.of(draws))
                given["rng"] = self.takeover.generator if self.library == "numpy" else given["rng"]
            named = {}
            for name, role in method.roles.items():
                role = self.output if role == "eps" else role
                if role in given:
                    named[name] = given[role]
                if role == "t" and self.one_t and plain(name) != "t" and "t_rows" in given:
                    named[name] = int(given["t_rows"][0])
            positional = [named.pop(name) for name in method.positional if name in named]
            with contained():
                result = method.function(*positional, **named)
            if draws is not None:
                self.one_t |= draws.one_t
                self.drawn = draws.drawn
                if draws.verdict():
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

    def _time(self, own: Any, n: int) -> Any:
        """A step, in its own count, in the form that it takes."""
        if self.form == "int" and not isinstance(own, np.ndarray):
            return int(own)
        rows = np.broadcast_to(np.asarray(own, dtype=np.int64), (n,))
        shaped = {"scalar": rows[0], "column": rows[:, None]}.get(self.form, rows)
        return from_numpy(np.asarray(shaped), self.library, self.view.device)

    def _stride(self, t: Any, s: Any) -> None:
        """A step that takes its length from a number of inference steps (diffusers, MONAI)."""
        given, T, routes = self.view.given, self.view.T, self.view.routes()
        single = routes is not None or bool(np.all(t - s == 1))
        length = 1 if single else T if np.all(s == 0) else int(np.ravel(t - s)[0])
        known = self.operation == "ddim_step" and hasattr(given, "num_inference_steps")
        if not single and (not known or np.ndim(t) or T // (T // length) != length):
            raise NotImplementedError("a length that it cannot take")
        if known and routes is None:
            try:
                given.num_inference_steps = T // length
            except AttributeError:
                raise NotImplementedError("its number of steps cannot be set") from None

    # ---- the form of t ------------------------------------------------------------------------

    def settle(self, probes: list[tuple[int, int, float]]) -> None:
        """Finds the kind of array and of t with which it works, or leaves why none does."""
        view = self.view
        others = [n for n in ("torch", "jax") if n in sys.modules and view.library == "numpy"]
        axes = (view.axes,) if view.axes else (0, 2, 1)
        first: tuple[bool, str, int, str] | None = None
        twice = (False, True) if self.draws_t else (False,)
        for kind in itertools.product(twice, (view.library, *others), axes, FORMS):
            self.even, self.library, self.axes, self.form = kind
            works, unusable = self._try(probes)
            if works:
                self.alone = self.draws_t and self._spreads()
                if self.axes != view.axes:
                    shape = f"(n, dim{', 1' * self.axes})"
                    view.note(f"{self.method.name} takes arrays {shape} only: axes={self.axes}")
                self.trouble, self.settled = {}, True
                return
            first = first or (kind if unusable else None)
        otherwise = (False, view.library, view.axes, "int")
        self.even, self.library, self.axes, self.form = first or otherwise
        if first:
            self.trouble = {}

    def _spreads(self) -> bool:
        """Whether the rows of a batch get different t, at a step that is not its own mirror."""
        with contextlib.suppress(Exception):
            self.raw(min(2, self.view.T), 0, **{n: np.ones((3, 5)) for n in self.vectors})
        x_t, time = self.asked_for(0)
        self.doubles = x_t is not None and len(x_t) == 6
        return time is not None and bool(np.ptp(time) > 0)

    def _try(self, probes: list[tuple[int, int, float]]) -> tuple[bool, bool]:
        """Whether one of the steps works, and whether one gives what cannot be compared."""
        arrays = {n: np.random.default_rng(0).normal(size=(3, 5)) for n in self.vectors}
        call = self.raw if self.operation == "loss" else self
        unusable = False
        for step in probes:
            try:
                call(*step, **arrays)
                return True, False
            except NotImplementedError:
                continue
            except Exception as error:
                unusable |= isinstance(error, Unusable)
                text = str(error) if isinstance(error, Unusable) else line(error)
                self.trouble.setdefault(self.form, text)
        return False, unusable

    def message(self, error: BaseException) -> str:
        """An error, with what other forms of t gave where none works."""
        real = {f: text for f, text in self.trouble.items() if not _OF_THE_FORM.search(text)}
        told = {text: FORMS[form] for form, text in reversed((real or self.trouble).items())}
        if len(told) < 2:
            return next(iter(told), line(error))
        return "; ".join(f"{text[:100]} (t {form})" for text, form in list(told.items())[-2:][::-1])


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
