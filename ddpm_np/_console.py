"""What every command needs: how it takes options, prints lines, refuses and ends.

A reader that leaves (``| head``) or a closed stream does not stop a command.
"""

import argparse
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

DONE, FAILED = 0, 1  # exit codes
GONE = (errno.EPIPE, errno.EIO)  # whoever reads has left: a pipe, or a terminal that was closed

Arguments = argparse.Namespace


class Ended(Exception):
    """The command ends with this line and this exit code."""

    code = 1


class Refused(Ended):
    """The request cannot be carried out; the text says why in one line. Nothing was written."""

    code = 2


class Failed(Ended):
    """The work failed; the text says what was kept and what to do."""


class Interrupted(Ended):
    """Ctrl-C or a signal; the text says what was kept and how to continue."""

    code = 130


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
    """Prints one line at once. OSError where standard output is a file on a full disk."""
    try:
        print(text, flush=True)
    except OSError as error:
        silence()
        if error.errno not in GONE:
            raise


def silence() -> None:
    """Lets standard output lead nowhere, so that neither a line nor the flush at exit fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Command(NamedTuple):
    """What ``python -m ddpm_np NAME`` does, in a line; its options; its function."""

    about: str
    add_options: Callable[[argparse.ArgumentParser], None]
    action: Callable[[Arguments], int]


def whole(low: int) -> Callable[[str], int]:
    """The argparse type of a whole number that is at least ``low``."""

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:  # also for more digits than Python converts
            number = low - 1
        if number < low:
            what = text if len(text) <= 40 else f"{text[:40]}..."
            raise argparse.ArgumentTypeError(
                f"must be a whole number, at least {low}, got {what!r}"
            )
        return number

    return convert


def path_text(text: str) -> str:
    """The argparse type of a path: not empty, as that of an unset shell variable is."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    if "\0" in text:
        raise argparse.ArgumentTypeError("must not hold a null character")
    return text


@contextmanager
def refusing(what: str = "") -> Iterator[None]:
    """Refuses the request where a ValueError says why."""
    try:
        yield
    except ValueError as error:
        raise Refused(f"{what}{error}") from None


def check_new(path: Path) -> None:
    """Refuses an output that is there already."""
    if path.exists():
        raise Refused(f"argument --out: must be a new file, but {path} exists")
