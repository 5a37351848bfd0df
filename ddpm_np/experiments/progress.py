"""How a run speaks to the person who started it: plain lines, a bar on a terminal, and no complaint when nobody listens."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from ddpm_np.training import StepRecord

__all__ = ["deferred_interrupt", "follow", "open_streams", "say"]

LINES = 10  # plain lines in a whole run
MEMORY = 0.98  # of the smoothed loss: about the last 50 steps


def open_streams() -> None:
    """Makes standard output and error take any text, also where they are ASCII or closed.

    A character that the encoding lacks is written as an escape. A closed stream leads nowhere.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            # The descriptor itself is taken as well, or the next file opened would get its number.
            null = os.open(os.devnull, os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, "w", encoding="utf-8", errors="backslashreplace"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """One line to standard output. When the reader has gone (``| head``), the rest goes nowhere, and the work goes on."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Standard output now leads nowhere, so that neither later lines nor the flush at exit meet the broken pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def follow(records: Iterable[StepRecord], *, name: str, start: int, steps: int) -> Iterator[StepRecord]:
    """The same records, and on the way loss and time left: a bar where standard error is a terminal and tqdm is installed."""
    show = _bar if sys.stderr.isatty() and find_spec("tqdm") is not None else _lines
    return show(records, name, start, steps)


def _bar(records: Iterable[StepRecord], name: str, start: int, steps: int) -> Iterator[StepRecord]:
    from tqdm import tqdm

    loss, size = None, shutil.get_terminal_size()  # 80 x 24 where a terminal does not tell; tqdm would show nothing there
    with tqdm(total=steps, initial=start, desc=name, unit="step", ncols=size.columns, nrows=size.lines) as bar:
        for record in records:
            loss = record.loss if loss is None else MEMORY * loss + (1 - MEMORY) * record.loss
            bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            bar.update()
            yield record


def _lines(records: Iterable[StepRecord], name: str, start: int, steps: int) -> Iterator[StepRecord]:
    loss, began, every = None, time.perf_counter(), max(1, steps // LINES)
    for record in records:
        loss = record.loss if loss is None else MEMORY * loss + (1 - MEMORY) * record.loss
        if record.step % every == 0 or record.step == steps:
            left = (time.perf_counter() - began) / (record.step - start) * (steps - record.step)
            say(f"{name}: step {record.step}/{steps}, loss {loss:.4f}, {left:.0f} s left")
        yield record


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Inside, the first Ctrl-C is noted instead of raised, so that a training step is never cut in half; a second one is raised.

    Yields the question whether there was one. Outside the main thread, or where the interrupt is ignored, nothing changes.
    """
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)
