"""The parity checks and the measured times as Markdown, on the terminal and in README.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.pages import markdown

Rows = Sequence[dict[str, Any]]
SHORT = {
    "PyTorch eager": "eager",
    "PyTorch eager, fused AdamW": "fused",
    "PyTorch, one compiled graph": "torch best",
    "JAX jit": "JAX",
    "JAX scan of 100 steps": "JAX scan",
    "PyTorch eager, channels last": "channels last",
    "PyTorch, torch.compile": "compile",
    "matrix products alone": "products",
}
PRODUCTS = "matrix products alone"


def checks(found: Iterable[Any]) -> str:
    """The parity checks: error, limit, and whether it passed."""
    return markdown(
        ("compared", "error", "allowed", ""),
        [
            (c.name, f"{c.error:.2g}", f"{c.limit:g} {c.unit}", "ok" if c.passed else "FAILED")
            for c in found
        ],
    )


def timing(rows: Rows) -> str:
    """All tables."""
    unet = _steps(rows, unet=True)
    parts = [_steps(rows), unet, *_grids(rows), _summary(rows), _lengths(rows), _startup(rows)]
    return "\n\n".join(part for part in parts if part)


def short(rows: Rows) -> str:
    """For the main README: the named configurations only, without quartiles."""
    kernel = f"One thread, NumPy's default kernels here ({rows[0]['kernel']})."
    return f"{_steps(rows, quartiles=False)}\n\n{kernel}"


def grid_ratios(rows: Rows, rival: str) -> dict[tuple[int, int], float]:
    """(width, batch) -> median ratio, over the grid's cells."""
    found = {}
    for row in rows:
        words = row["config"].replace(",", "").split()
        if words[0] == "width" and row.get("rival") == rival:
            found[int(words[1]), int(words[3])] = row["ratio"]
    return found


def _steps(rows: Rows, *, quartiles: bool = True, unet: bool = False) -> str:
    own = [
        row
        for row in rows
        if "spread" in row
        and not row["config"].startswith("width")
        and row["config"].startswith("U-Net") == unet
    ]
    if not own:
        return ""
    rivals = [rival for rival in SHORT if any(row["rival"] == rival for row in own)]
    cell = {}
    for row in own:
        low, high = row["spread"]
        ratio = f"{row['ratio']:.2f}" + f" ({low:.2f}-{high:.2f})" * quartiles
        share = f"{100 * row['ratio']:.0f} %"
        cell[row["config"], row["rival"]] = share if row["rival"] == PRODUCTS else ratio
    ours = {row["config"]: f"{row['ours_us']:.0f}" for row in own}
    lines = [
        (config, us, *(cell.get((config, rival), "") for rival in rivals))
        for config, us in ours.items()
    ]
    return markdown(("", "ours, us", *(SHORT[rival] for rival in rivals)), lines)


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


def _lengths(rows: Rows) -> str:
    """Our step for each T."""
    found = [
        (row["config"], f"{row['ours_us']:.0f}") for row in rows if row["config"].startswith("T =")
    ]
    return markdown(("our step, main job's network", "us"), found) if found else ""


def _startup(rows: Rows) -> str:
    """A line for each contender: import, first step, peak memory."""
    own = [row for row in rows if "spread" not in row and "rival" in row]
    if not own:
        return ""
    cell = {(row["rival"], row["config"]): row for row in own}
    configs = list(dict.fromkeys(row["config"] for row in own))
    unit = {config: "MB" if "memory" in config else "s" for config in configs}

    def number(row: dict[str, Any], side: str) -> str:
        memory = "memory" in row["config"]
        return f"{row[f'{side}_mb']:.0f}" if memory else f"{row[f'{side}_us'] / 1e6:.2f}"

    first = own[0]["rival"]
    body = [("ours", *(number(cell[first, config], "ours") for config in configs))]
    for rival in dict.fromkeys(row["rival"] for row in own):
        body.append((rival, *(number(cell[rival, config], "rival") for config in configs)))
    head = ("a process of its own", *(f"{config}, {unit[config]}" for config in configs))
    return markdown(head, body)
