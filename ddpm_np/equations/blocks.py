"""The package's words, read from text files: blocks between blank lines.

A block is a heading and one line for each entry; a line that is indented goes on with the one
before, and the first block of a file says what it holds::

    E3 N2:316
    title: The covariance after one more step
    title zh: 协方差的一步递推
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeVar

from ddpm_np.equations.words import Words

_T = TypeVar("_T")


@dataclass(frozen=True)
class Block:
    """A block: the file and the line where it starts, its heading, and its entries by key."""

    file: str
    line: int
    heading: str
    entries: dict[str, list[tuple[int, str]]]

    def text(self, key: str, default: str | None = None) -> str:
        """The one entry with this key; ValueError where there are two, or none and no default."""
        found = self.entries.get(key, [])
        if len(found) == 1:
            return found[0][1]
        if found:
            raise self.error(f"{key!r} stands here twice", found[1][0])
        if default is None:
            raise self.error(f"{key!r} is missing")
        return default

    def words(self, key: str, chinese: str = "", default: str | None = None) -> Words:
        """The entry in both languages; where there is no Chinese, it reads the same."""
        en = self.text(key, default)
        return Words(en, self.text(chinese or f"{key} zh", en))

    def listed(self, key: str) -> list[str]:
        """The words of the entries with this key, between blanks."""
        return " ".join(text for _, text in self.entries.get(key, [])).split()

    def error(self, message: object, line: int = 0) -> ValueError:
        """The error to raise, with the file and the line, by default the block's."""
        return ValueError(f"{self.file}:{line or self.line}: {message}")

    def read(self, key: str, as_: Callable[[str], _T], text: str) -> _T:
        """What ``as_`` makes of the text; its ValueError names the line of the key."""
        try:
            return as_(text)
        except ValueError as error:
            line = self.entries[key][0][0] if key in self.entries else self.line
            raise self.error(error, line) from None


def read_text(package: str, name: str) -> str:
    """A text file in a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def read_file(package: str, name: str, keys: str) -> Iterator[Block]:
    """The blocks of a text file in a package."""
    return blocks(read_text(package, name), name, keys)


def blocks(text: str, name: str, keys: str) -> Iterator[Block]:
    """The blocks after the first; ValueError, with file and line, for a key not among ``keys``,
    which are given as "one, another"."""
    known = keys.split(", ")
    line = 1
    for i, block in enumerate(text.rstrip("\n").split("\n\n")):
        heading, *rest = block.split("\n")
        found = Block(name, line, heading, {})
        last: list[tuple[int, str]] = []
        for n, entry in enumerate(rest if i else [], line + 1):
            if last and entry.startswith("    "):
                place, before = last[-1]
                last[-1] = place, f"{before} {entry.strip()}"
                continue
            key, colon, value = entry.partition(": ")
            if key not in known or not colon or not value.strip():
                raise found.error(f"a line must be one of {keys}, and a text", n)
            last = found.entries.setdefault(key, [])
            last.append((n, value))
        if i:
            yield found
        line += len(rest) + 2
