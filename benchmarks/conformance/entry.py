"""One line of the evidence: which code, how to make it a subject, and what is said of it."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """code: the distribution's name, whose version is looked up; or a repository and its commit.

    setting: what was run. departs: the checks that fail, which the command verifies. words: what
    kind of departure it is, and why. link: the upstream thread, where there is one.
    """

    code: str
    setting: str
    make: Callable[[], Any]
    departs: tuple[str, ...] = ()
    words: str = ""
    link: str = ""
