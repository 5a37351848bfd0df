"""What a call runs: its instructions in order, the lines of each function, exceptions on the way.

The prover runs an identity twice under :func:`tracing`, on symbols and on floats, and compares
what it sees. :mod:`ddpm_np.proof.verify` asks which lines of a function a proof has run.

Four kinds of code are told apart, by the module a frame belongs to:

- ``ddpm_np.proof`` is the prover itself, ``ddpm_np.equations`` what the formulas say; neither is
  followed;
- the argument checks, :data:`CHECKS`, are where the package may ask what type a number has. Their
  instructions are not compared, but an exception that they catch counts;
- the functions in :data:`ASK_FOR_THE_TYPE` are treated like it;
- everything else but the libraries is compared instruction by instruction, so that the two sides
  of a conditional expression on one line differ, too.
"""

from __future__ import annotations

import ast
import dis
import inspect
import linecache
import sys
import sysconfig
import textwrap
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from types import CodeType, FrameType
from typing import Any

import numpy as np

from ddpm_np.schedule import Schedule

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

LIBRARIES = tuple(
    {str(Path(p)) for p in sysconfig.get_paths().values()} | {str(Path(np.__file__).parents[1])}
)
IGNORED, CHECKING, COMPARED = range(3)
WIDTH = 1 << 32  # above every place in a code object


@dataclass
class Coverage:
    """On what a function was run: T of the schedules, kinds of t, shapes of the arrays, lines.

    places : the instructions, each with the first line of its code object
    """

    T: set[int] = field(default_factory=set)
    t: set[str] = field(default_factory=set)
    shapes: set[tuple[int, ...]] = field(default_factory=set)
    lines: set[int] = field(default_factory=set)
    places: set[tuple[int, int]] = field(default_factory=set)

    def __str__(self) -> str:
        parts = []
        if self.T:
            low, high = min(self.T), max(self.T)
            parts.append(f"T = {low}" if low == high else f"T = {low} to {high}")
        if self.t:
            parts.append("t " + " and ".join(sorted(self.t, reverse=True)))
        shapes = sorted(self.shapes, key=lambda shape: (len(shape), shape))
        if shapes:
            parts.append(f"shapes {' '.join(str(shape) for shape in shapes)}")
        return ", ".join(parts) or "scalars"

    def add(self, arguments: dict[str, Any]) -> None:
        """One more call, with these arguments."""
        for name, value in arguments.items():
            if name == "self" and not isinstance(value, Schedule):
                value = getattr(value, "schedule", None)
            if isinstance(value, Schedule):
                self.T |= {value.T} if "beta" in vars(value) else set()
            elif name in ("t", "steps"):
                self.t.add("as an array" if isinstance(value, np.ndarray) else "as an int")
            elif isinstance(value, np.ndarray) and value.ndim:
                self.shapes.add(value.shape)

    def join(self, other: Coverage) -> None:
        """Also what the other covers."""
        for name, mine in vars(self).items():
            mine.update(vars(other)[name])


class Trace:
    """What ran while it was active; :func:`tracing` makes one."""

    def __init__(self) -> None:
        self.instructions: list[int] = []  # a code object times WIDTH, and the place in it
        self.caught: list[str] = []  # exceptions seen in code that went on
        self.calls: dict[int, Coverage] = {}
        self.codes: dict[int, CodeType] = {}  # kept alive, so that no identity is used twice
        self.outside = True
        self._kinds: dict[int, int] = {}
        self._within: dict[int, Callable[[FrameType, str, Any], Any]] = {}

    def close(self) -> None:
        """Keep the lines and forget the order."""
        lines = {number: _line_by_place(code) for number, code in self.codes.items()}
        for code, place in (divmod(each, WIDTH) for each in set(self.instructions)):
            self.calls[code].lines.add(lines[code][place])
            self.calls[code].places.add((self.codes[code].co_firstlineno, place))
        self.instructions.clear()

    def coverage(self, function: Any) -> Coverage | None:
        """What ran of a function, with the comprehensions in it; None if it was not called."""
        if id(function.__code__) not in self.calls:
            return None
        first, *inside = _codes(function.__code__)
        found = Coverage()
        found.join(self.calls[id(first)])
        for code in inside:
            found.lines |= self.calls.get(id(code), Coverage()).lines
            found.places |= self.calls.get(id(code), Coverage()).places
        return found

    def called(self, frame: FrameType, event: str, arg: Any) -> Any:
        """The tracer of calls: says whether and how a frame is followed."""
        code = frame.f_code
        kind = self._kinds.get(id(code))
        if kind is None:
            kind = self._kinds[id(code)] = self._kind(frame)
            self.codes[id(code)] = code
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
        first, keep, catch = number * WIDTH, self.instructions.append, self.caught.append

        def ran(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "opcode":
                keep(first + frame.f_lasti)
            elif event == "exception" and not _end_of_a_loop(frame, arg[0]):
                place = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
                catch(f"{arg[0].__name__} was raised and caught: {place}")
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
    pairs = zip(one.instructions, other.instructions)
    same = next((i for i, (a, b) in enumerate(pairs) if a != b), -1)
    longer = max(one.instructions, other.instructions, key=len)
    if same < 0:
        same = min(len(one.instructions), len(other.instructions))
    number, place = divmod(longer[max(same - 1, 0)], WIDTH)
    code = one.codes.get(number) or other.codes[number]
    line = _line_of(code, place)
    text = linecache.getline(code.co_filename, line).strip()
    return f"{Path(code.co_filename).name}, line {line}" + (f", {text}" if text else "")


def function_of(name: str) -> Any:
    """The function with a dotted name below ``ddpm_np``; for a class, what calling its objects is.

    >>> function_of("forward.q_sample").__name__
    'q_sample'
    """
    found = resolve_name(f"ddpm_np.{name}")
    if inspect.isclass(found):
        found = vars(found).get("__call__", vars(found).get("__init__"))
    return getattr(found, "__func__", getattr(found, "fget", found))


def lines_not_run(
    function: Any, lines: Iterable[int], places: Container[tuple[int, int]] | None = None
) -> list[str]:
    """Where a function has lines that are not among these, as "lines 5 to 8: text"; refusals aside.

    The text is that of the first line. With places, those of the instructions that ran, also lines
    of which one side of a conditional expression did not, as "a side of line 5: text".
    """
    source, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(source)))
    aside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            aside |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    own = {line for code in _codes(function.__code__) for _, _, line in code.co_lines() if line}
    definition = set(range(first, _first_statement(tree) + first - 1))
    missing = sorted(own - set(lines) - {line + first - 1 for line in aside} - definition)
    starts = [line for line in missing if not {line - 1, line - 2} & set(missing)]
    ends = [line for line in missing if not {line + 1, line + 2} & set(missing)]
    found = [
        (f"line {a}" if a == b else f"lines {a} to {b}") + f": {source[a - first].strip()}"
        for a, b in zip(starts, ends)
    ]
    if places is not None:
        choices = {n.lineno + first - 1 for n in ast.walk(tree) if isinstance(n, ast.IfExp)}
        sides = _partly_run(function, places) & choices - set(missing) - aside
        found += [f"a side of line {a}: {source[a - first].strip()}" for a in sorted(sides)]
    return found


def _partly_run(function: Any, places: Container[tuple[int, int]]) -> set[int]:
    """The lines with an instruction that is not among the places."""
    return {
        _line_of(code, step.offset)
        for code in _codes(function.__code__)
        for step in dis.get_instructions(code)
        if step.opname not in ("EXTENDED_ARG", "RESUME", "NOP", "CACHE")
        and (code.co_firstlineno, step.offset) not in places
    }


def _first_statement(tree: ast.Module) -> int:
    """The line of the first statement of a function after its docstring."""
    [definition] = tree.body
    assert isinstance(definition, ast.FunctionDef)
    body = definition.body
    skip = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return body[1 if skip and len(body) > 1 else 0].lineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A code object and those of the comprehensions and functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _line_of(code: CodeType, place: int) -> int:
    return _line_by_place(code).get(place, code.co_firstlineno)


@cache
def _line_by_place(code: CodeType) -> dict[int, int]:
    """The line of each place in a code object."""
    found = code.co_firstlineno
    lines: dict[int, int] = {}
    for start, end, line in code.co_lines():
        found = line or found
        lines |= dict.fromkeys(range(start, end, 2), found)
    return lines


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
