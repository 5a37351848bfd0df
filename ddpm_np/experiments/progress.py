"""What a run prints: plain lines, or a progress bar on a terminal.

A reader that leaves (``| head``) or a closed stream does not stop the run.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ddpm_np.training import StepRecord

LINES = 10  # plain lines in a whole run
MEMORY = 0.98  # decay of the smoothed loss: about the last 50 steps


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
    """Prints one line at once."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Standard output now leads nowhere, so that neither a later line nor the flush at exit
        # meets the broken pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def follow(
    records: Iterable[StepRecord], *, name: str, start: int, steps: int
) -> Iterator[StepRecord]:
    """The same records, while the loss and the time left are shown.

    A bar is shown where standard error is a terminal and tqdm is installed, else plain lines.
    """
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            return _bar(tqdm, records, name, start, steps)
    return _lines(records, name, start, steps)


def _bar(
    tqdm: Any, records: Iterable[StepRecord], name: str, start: int, steps: int
) -> Iterator[StepRecord]:
    loss: float | None = None
    # The loss comes before the bar, so that a narrow terminal cuts off the rest and not the loss.
    form = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]"
    with tqdm(
        total=steps, initial=start, desc=name, bar_format=form, ncols=_columns(), nrows=24
    ) as bar:
        for record in records:
            loss = _smoothed(loss, record.loss)
            bar.set_description_str(f"{name}: loss {loss:.4f}", refresh=False)
            if bar.update():  # it was drawn: look whether the terminal has been resized
                bar.ncols = _columns()
            yield record


def _columns() -> int:
    """The width of the terminal, or 80 where it does not tell."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _lines(
    records: Iterable[StepRecord], name: str, start: int, steps: int
) -> Iterator[StepRecord]:
    loss: float | None = None
    began, every = time.perf_counter(), max(1, steps // LINES)
    for record in records:
        loss = _smoothed(loss, record.loss)
        if record.step % every == 0 or record.step == steps:
            per_step = (time.perf_counter() - began) / (record.step - start)
            left = per_step * (steps - record.step)
            say(f"{name}: step {record.step}/{steps}, loss {loss:.4f}, {left:.0f} s left")
        yield record


def _smoothed(before: float | None, loss: float) -> float:
    return loss if before is None else MEMORY * before + (1 - MEMORY) * loss


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Notes the first Ctrl-C instead of raising it, so that no training step is cut in half.

    A second Ctrl-C is raised. Yields a function that tells whether there was one. Outside the main
    thread, or where the interrupt is ignored, nothing changes.
    """
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)
