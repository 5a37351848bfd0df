"""The parity checks and the measured times as Markdown, on the terminal and in README.md."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks.contenders import PRODUCTS, SHORT
from benchmarks.pages import README, TABLES, Place, markdown, table_at

Rows = Sequence[dict[str, Any]]


def checks(found: Iterable[Any]) -> str:
    """The parity checks: error, limit, and whether it passed."""
    return markdown(
        ("compared", "error", "allowed", ""),
        [
            (c.name, f"{c.error:.2g}", f"{c.limit:g} {c.unit}", "ok" if c.passed else "FAILED")
            for c in found
        ],
    )


def timing(rows: Rows, started: dict[str, dict[str, float]]) -> str:
    """All tables."""
    one = [row for row in rows if not row.get("all_cores")]
    unet = _steps(one, unet=True)
    parts = [_steps(one), unet, all_cores(rows), *_grids(one), _summary(one), _startup(started)]
    return "\n\n".join(part for part in parts if part)


def line(found: Rows) -> str:
    """The rows of one configuration, for the terminal: time, ratios, and the cores of each."""
    ratios = ", ".join(f"{_ratio(row)} {SHORT[row['rival']]}" for row in found)
    used = max((row["cores"][1], SHORT[row["rival"]]) for row in found)
    return (
        f"{found[0]['config']}: {found[0]['ours_us']:.0f} us; {ratios}; cores used: ours "
        f"{found[0]['cores'][0]:.2f}, at most {used[0]:.2f} ({used[1]})"
    )


def all_cores(rows: Rows) -> str:
    """The table with all cores for everyone, and the cores that each has used."""
    own = [row for row in rows if row.get("all_cores") and row["rival"] != PRODUCTS]
    return _by_rival(
        own,
        ("all cores (cores used)", "ours, us"),
        lambda row: f"{row['ours_us']:.0f} ({row['cores'][0]:.1f})",
        lambda row: f"{_ratio(row)} ({row['cores'][1]:.1f})",
    )


def _by_rival(
    rows: Rows, corner: tuple[str, str], ours: Callable[[Any], str], theirs: Callable[[Any], str]
) -> str:
    """A line for each configuration, with our time, and a column for each rival."""
    rivals = [rival for rival in SHORT if any(row["rival"] == rival for row in rows)]
    body = []
    for config in dict.fromkeys(row["config"] for row in rows):
        own = {row["rival"]: row for row in rows if row["config"] == config}
        cells = [theirs(own[rival]) if rival in own else "" for rival in rivals]
        body.append((config, ours(next(iter(own.values()))), *cells))
    return markdown((*corner, *(SHORT[rival] for rival in rivals)), body) if body else ""


def growth(rows: Rows) -> str:
    """Time at each size over the time at the smallest."""
    body = []
    for row in rows:
        first = row["seconds"][0]
        sizes = ", ".join(f"{size:,}" for size in row["sizes"])
        ratios = ", ".join(f"{second / first:.3g}" for second in row["seconds"])
        body.append((row["growth"], sizes, f"{1000 * first:.3g} ms", ratios))
    return markdown(("what grows", "sizes", "the smallest", "time over that"), body)


def _ratio(row: dict[str, Any]) -> str:
    """The median ratio; a contender that used more than one core has none."""
    return f"{max(row['cores']):.2f} cores" if row["ratio"] is None else f"{row['ratio']:.2f}"


def places(saved: dict[str, Any]) -> Iterator[Place]:
    """Where results.json goes: the tables of benchmarks/README.md, a line of the main README."""
    machine = "\n".join(f"- {line}" for line in saved["machine"])
    yield table_at(TABLES, "timing", f"{machine}\n\n{timing(saved['rows'], saved['startup'])}")
    yield table_at(TABLES, "growth", growth(saved["growth"]))
    yield Place(README, "timing", short(saved["rows"]))


def short(rows: Rows) -> str:
    """For the main README: one line of the ratios that most people ask for."""
    parts = []
    for start, what in (("main job", "a training step"), ("sampling", "sampling")):
        own = [
            row
            for row in rows
            if not row.get("all_cores")
            and row["config"].startswith(start)
            and row["rival"] != PRODUCTS
        ]
        ratios = ", ".join(f"{_ratio(row)} ({SHORT[row['rival']]})" for row in own)
        parts.append(f"{what} {ratios}")
    return (
        f"Their time over ours, on one core with NumPy's default kernels here "
        f"({rows[0]['kernel']}): {'; '.join(parts)}."
    )


def grid_ratios(rows: Rows, rival: str) -> dict[tuple[int, int], float]:
    """(width, batch) -> median ratio, over the grid's cells."""
    found = {}
    for row in rows:
        words = row["config"].replace(",", "").split()
        if words[0] == "width" and row.get("rival") == rival and row["ratio"] is not None:
            found[int(words[1]), int(words[3])] = row["ratio"]
    return found


def _steps(rows: Rows, *, unet: bool = False) -> str:
    own = [
        row
        for row in rows
        if not row["config"].startswith("width") and row["config"].startswith("U-Net") == unet
    ]
    return _by_rival(own, ("", "ours, us"), lambda row: f"{row['ours_us']:.0f}", _with_spread)


def _with_spread(row: dict[str, Any]) -> str:
    """The median ratio and its quartiles; of the products alone, their share of our step."""
    if row["ratio"] is None:
        return _ratio(row)
    if row["rival"] == PRODUCTS:
        return f"{100 * row['ratio']:.0f} %"
    return "{} ({:.2f}-{:.2f})".format(_ratio(row), *row["spread"])


def _grids(rows: Rows) -> list[str]:
    parts = []
    for rival in SHORT:
        ratios = grid_ratios(rows, rival)
        if not ratios:
            continue
        widths, batches = (sorted({key[i] for key in ratios}) for i in (0, 1))
        what = "share of our step" if rival == PRODUCTS else "time over ours"
        body = [
            (str(w), *(f"{ratios[w, n]:.2f}" if (w, n) in ratios else "" for n in batches))
            for w in widths
        ]
        table = markdown(("width / batch", *map(str, batches)), body)
        parts.append(f"Grid, {rival}: {what}\n\n{table}")
    return parts


def _summary(rows: Rows) -> str:
    lines = []
    for rival in SHORT:
        ratios = grid_ratios(rows, rival)
        if ratios and rival != PRODUCTS:
            mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
            (width, batch), worst = min(ratios.items(), key=lambda item: item[1])
            lines.append(
                f"- Grid against {rival}: geometric mean {mean:.2f}, "
                f"least {worst:.2f} (width {width}, batch {batch})."
            )
    return "\n".join(lines)


def _startup(found: dict[str, dict[str, float]]) -> str:
    """A line for each contender: import, first step, peak memory."""
    if not found:
        return ""
    forms = {what: ".0f" if "memory" in what else ".2f" for what in found["ours"]}
    body = [
        (name, *(f"{value:{forms[what]}}" for what, value in own.items()))
        for name, own in found.items()
    ]
    return markdown(("a process of its own", *forms), body)
