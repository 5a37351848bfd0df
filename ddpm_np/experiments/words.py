"""The words of a report: title, story, and what each number is, read from words.txt."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, SupportsFloat

from ddpm_np import _figure_style as style
from ddpm_np._measurement import Measurement


class Wording(NamedTuple):
    """What the report of one experiment says; the texts have places for its facts, {n}."""

    title: str
    story: str
    rows: Mapping[str, tuple[str, str]]  # what a number is, and a remark


class Rows(dict[str, Measurement]):
    """The numbers of a report by name, in the words of its experiment."""

    def __init__(self, experiment: str) -> None:
        super().__init__()
        self._words = wordings()[experiment].rows

    def add(
        self,
        name: str,
        measured: SupportsFloat,
        error: float | None = None,
        exact: float | None = None,
        /,
        key: str = "",
        **facts: Any,
    ) -> None:
        """Adds the number of that name; where there are several, each under a key of its own."""
        what, remark = (text.format(**facts) for text in self._words[name])
        self[key or name] = Measurement(what, float(measured), exact, error, remark)


@cache
def wordings() -> Mapping[str, Wording]:
    """The words of each experiment, by its name."""
    text = (files("ddpm_np.experiments") / "words.txt").read_text(encoding="utf-8")
    found = {}
    for block in text.split("\n[")[1:]:
        head, story, *lines = block.strip().splitlines()
        name, title = head.split("] ")
        rows = (line.split("::") for line in lines)
        found[name] = Wording(title, story, {k.strip(): (w.strip(), r.strip()) for k, w, r in rows})
    return found


def captioned(figure: style.Figure, name: str, **facts: Any) -> style.Figure:
    """The picture of that name, with what to see in it below."""
    style.caption(figure, wordings()["pictures"].rows[name][0].format(**facts))
    return figure
