"""What a run prints while it trains, and how a signal stops it between two steps."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ddpm_np._console import say
from ddpm_np.training import StepRecord

LINES = 10  # plain lines in a whole run
MEMORY = 0.98  # decay of the smoothed loss: about the last 50 steps


def follow(
    records: Iterable[StepRecord], *, name: str, start: int, steps: int, after: float = 0
) -> Iterator[StepRecord]:
    """The same records, while the loss and the time left are shown.

    after: the steps of the trainings that follow, to tell how long all of them take. A bar is shown
    where standard error is a terminal and tqdm is installed, else plain lines.
    """
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            return _bar(tqdm, records, name, start, steps)
    return _lines(records, name, start, steps, after)


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
    records: Iterable[StepRecord], name: str, start: int, steps: int, after: float
) -> Iterator[StepRecord]:
    loss: float | None = None
    began, every = time.perf_counter(), max(1, steps // LINES)
    for record in records:
        loss = _smoothed(loss, record.loss)
        if record.step % every == 0 or record.step == steps:
            per_step = (time.perf_counter() - began) / (record.step - start)
            left = per_step * (steps - record.step)
            more = f", {left + per_step * after:.0f} s with the trainings that follow"
            say(
                f"{name}: step {record.step}/{steps}, loss {loss:.4f}, {left:.0f} s left"
                f"{more if after else ''}"
            )
        yield record


def _smoothed(before: float | None, loss: float) -> float:
    return loss if before is None else MEMORY * before + (1 - MEMORY) * loss


# Ctrl-C, the end of a service or of a job, a terminal that is closed. Windows lacks the last.
STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Every signal of STOPPING raises KeyboardInterrupt inside, unless it is ignored."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with _handled(stop):
        yield


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Notes the first signal of STOPPING, so that no training step is cut in half.

    A second one raises KeyboardInterrupt. Yields a function that tells whether there was one.
    Outside the main thread, or where the signal is ignored, nothing changes.
    """
    noted: list[int] = []

    def note(number: int, frame: object) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    with _handled(note):
        yield lambda: bool(noted)


@contextmanager
def _handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
