"""Where the code stands that is being run, for the words of a refusal."""

import linecache
import sys
import traceback
from pathlib import Path
from types import FrameType

# The files of the symbols, which are not what asked for an operation of theirs.
OWN = {
    str(Path(__file__).with_name(name))
    for name in ("callers.py", "polynomials.py", "rational.py", "symbols.py")
}


def place(path: str, line: int) -> str:
    """A line and what stands there, as "forward.py, line 5, return x"."""
    text = linecache.getline(path, line).strip()
    return f"{Path(path).name}, line {line}" + (f", {text}" if text else "")


def line_outside() -> str:
    """The line that asked for an operation of symbols."""
    frame = _frame_outside()
    return place(frame.f_code.co_filename, frame.f_lineno) if frame else "unknown line"


def in_numpy() -> bool:
    """Whether the operation was asked for by NumPy itself, as ``mean`` divides by a number."""
    frame = _frame_outside()
    return frame is not None and frame.f_globals.get("__name__", "").startswith("numpy.")


def where_raised(error: Exception) -> str:
    """The line in which an error was raised, outside of the symbols, if it does not say so."""
    frames = traceback.extract_tb(error.__traceback__)
    found = [f for f in frames if f.filename not in OWN]
    if ", line " in str(error) or not found:
        return ""
    return f" ({Path(found[-1].filename).name}, line {found[-1].lineno})"


def _frame_outside() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename in OWN:
        frame = frame.f_back
    return frame
