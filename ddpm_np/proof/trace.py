"""What a call runs: its instructions in order, exceptions on the way, and what that covers.

The prover runs an identity twice under :func:`tracing`, on symbols and on floats, and compares
what it sees. :mod:`ddpm_np.proof.verify` asks what a proof covers of a function.

Four kinds of code are told apart, by the module a frame belongs to:

- ``ddpm_np.proof`` is the prover itself, ``ddpm_np.equations`` what the formulas say; neither is
  followed;
- the argument checks, :data:`CHECKS`, are where the package may ask what type a number has. Their
  instructions are not compared, but an exception that they catch counts;
- the functions in :data:`ASK_FOR_THE_TYPE` are treated like it;
- everything else but the libraries is compared instruction by instruction, so that the two sides
  of a conditional expression on one line differ, too.

Code of the last three kinds that could see the tracer is refused by the names in it.
"""

import dis
import inspect
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np

from ddpm_np.proof.callers import place
from ddpm_np.proof.coverage import Coverage, codes_in, lines_of

CHECKS = {"ddpm_np._checks", "ddpm_np.closed_form.arguments"}
# Functions outside of the argument checks that ask whether numbers are exact: floats become
# decimals there, or are rounded, or refused, and nothing else happens.
ASK_FOR_THE_TYPE = {
    ("ddpm_np.schedule", "_decimal"),
    ("ddpm_np.schedule", "_digits_kept"),
    ("ddpm_np.schedule", "_rounded"),
    ("ddpm_np.sampling", "_between"),
    ("ddpm_np.sampling", "_variance_table"),
}

# Modules and attributes by which code could tell a run that is traced from a plain one, or run what
# is not traced. A name that is only put together when the code runs is not seen.
INTERPRETER = {"sys", "inspect", "traceback", "gc", "ctypes", "_thread"}
TRACERS = {"gettrace", "settrace", "getprofile", "setprofile", "f_trace", "f_back"}
SEES_THE_TRACER = INTERPRETER | TRACERS

LIBRARIES = tuple(
    {str(Path(p)) for p in sysconfig.get_paths().values()} | {str(Path(np.__file__).parents[1])}
)
IGNORED, CHECKING, COMPARED = range(3)
WIDTH = 1 << 32  # above every place in a code object


class Trace:
    """What ran while it was active; :func:`tracing` makes one."""

    def __init__(self) -> None:
        self.instructions: list[int] = []  # a code object times WIDTH, and the place in it
        self.refusals: list[str] = []  # exceptions seen in code that went on, and views of this
        self.calls: dict[int, Coverage] = {}
        self.codes: dict[int, CodeType] = {}  # kept alive, so that no identity is used twice
        self.outside = True
        self._kinds: dict[int, int] = {}
        self._within: dict[int, Callable[[FrameType, str, Any], Any]] = {}

    def close(self) -> None:
        """Keep the instructions and forget their order."""
        for code, at in (divmod(each, WIDTH) for each in set(self.instructions)):
            self.calls[code].places.add((self.codes[code].co_firstlineno, at))
        self.instructions.clear()

    def coverage(self, function: Any) -> Coverage | None:
        """What ran of a function, with the comprehensions in it; None if it was not called."""
        if id(function.__code__) not in self.calls:
            return None
        first, *inside = codes_in(function.__code__)
        found = Coverage()
        found.join(self.calls[id(first)])
        for code in inside:
            found.places |= self.calls.get(id(code), Coverage()).places
        return found

    def called(self, frame: FrameType, event: str, arg: Any) -> Any:
        """The tracer of calls: says whether and how a frame is followed."""
        code = frame.f_code
        kind = self._kinds.get(id(code))
        if kind is None:
            kind = self._kinds[id(code)] = self._kind(frame)
            self.codes[id(code)] = code
            if kind != IGNORED and (name := _sees_the_tracer(frame, checks=kind == CHECKING)):
                where = place(code.co_filename, code.co_firstlineno)
                self.refusals.append(f"{name} can tell a proof from a plain run: {where}")
        if kind == IGNORED or (not self.outside and _module(frame) == ""):
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = kind == COMPARED
        number = id(code)
        if number not in self.calls:
            self.calls[number] = Coverage()
            self._within[number] = self._tracer_within(number)
        self.calls[number].add(frame.f_locals)
        return self._within[number]

    def _kind(self, frame: FrameType) -> int:
        code, name, caller = frame.f_code, _module(frame), frame.f_back
        if not code.co_flags & inspect.CO_OPTIMIZED and _imported(caller):
            return IGNORED  # the body of a module or a class
        if code.co_name.endswith("comp>") and caller and caller.f_globals is frame.f_globals:
            return self._kinds.get(id(caller.f_code), IGNORED)
        if name:
            if name.startswith(("ddpm_np.proof", "ddpm_np.equations")):
                return IGNORED
            asks = name in CHECKS or (name, code.co_name) in ASK_FOR_THE_TYPE
            return CHECKING if asks else COMPARED
        path = code.co_filename
        return IGNORED if path.startswith((*LIBRARIES, "<frozen")) else COMPARED

    def _tracer_within(self, number: int) -> Callable[[FrameType, str, Any], Any]:
        """The tracer within the frames of one code object: keeps instructions and exceptions."""
        first, keep, catch = number * WIDTH, self.instructions.append, self.refusals.append

        def ran(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "opcode":
                keep(first + frame.f_lasti)
            elif event == "exception" and not _end_of_a_loop(frame, arg[0]):
                where = place(frame.f_code.co_filename, frame.f_lineno)
                catch(f"{arg[0].__name__} was raised and caught: {where}")
            return frame.f_trace

        return ran


@contextmanager
def tracing(trace: Trace, *, outside: bool = True) -> Iterator[None]:
    """Follow what is run meanwhile. ``outside``: also code that is not of the package."""
    trace.outside = outside
    before = sys.gettrace()
    threading.settrace(trace.called)
    sys.settrace(trace.called)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(before)


def first_difference(one: Trace, other: Trace) -> str:
    """Where two runs part, empty if they run the same instructions in the same order."""
    if one.instructions == other.instructions:
        return ""
    pairs = zip_longest(one.instructions, other.instructions)
    first = next(i for i, (a, b) in enumerate(pairs) if a != b)
    longer = max(one.instructions, other.instructions, key=len)
    number, at = divmod(longer[max(first - 1, 0)], WIDTH)
    code = one.codes.get(number) or other.codes[number]
    return place(code.co_filename, lines_of(code)[at])


def _sees_the_tracer(frame: FrameType, *, checks: bool) -> str:
    """The name by which the code of a frame could see the tracer, empty if it has none.

    checks : whether it checks arguments, and so may ask sys how large a number can be
    """
    names = {*frame.f_code.co_names} - ({"sys"} if checks else set())
    texts = {constant for constant in frame.f_code.co_consts if type(constant) is str}
    if found := (names | texts) & SEES_THE_TRACER:
        return min(found)
    for value in (*map(frame.f_globals.get, names), *frame.f_locals.values()):
        if type(value) in (FunctionType, BuiltinFunctionType, ModuleType):
            module = value.__name__ if isinstance(value, ModuleType) else value.__module__
            if module in INTERPRETER:
                return module
    return ""


def _module(frame: FrameType) -> str:
    """The module of the package that a frame belongs to, empty for other code."""
    name = frame.f_globals.get("__name__") or ""
    return name if name.split(".")[0] == "ddpm_np" else ""


def _imported(frame: FrameType | None) -> bool:
    """Whether an import is under way, in which the frame has a part."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def _end_of_a_loop(frame: FrameType, kind: type[BaseException]) -> bool:
    """Whether it is the StopIteration with which an iterator tells a for loop that it is done."""
    if kind is not StopIteration:
        return False
    return dis.opname[frame.f_code.co_code[frame.f_lasti]] in ("FOR_ITER", "SEND", "YIELD_FROM")
