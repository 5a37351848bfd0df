"""The parity checks and the measured times as Markdown, on the terminal and in README.md."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.pages import markdown

__all__ = ["SHORT", "checks", "grid_ratios", "short", "timing"]

Rows = Sequence[dict[str, Any]]
SHORT = {
    "PyTorch eager": "eager", "PyTorch eager, fused AdamW": "fused", "torch.compile, fused AdamW": "compile", "JAX jit": "JAX",
    "matrix products alone": "products", "optimizer's memory traffic alone": "traffic",
}
LIMITS = ("matrix products alone", "optimizer's memory traffic alone")


def checks(found: Iterable[Any]) -> str:
    """The parity checks: error, limit, and whether it passed."""
    return markdown(
        ("compared", "error", "allowed", ""),
        [(c.name, f"{c.error:.2g}", f"{c.limit:g} {c.unit}", "ok" if c.passed else "FAILED") for c in found],
    )


def timing(rows: Rows) -> str:
    """All tables of one or more runs, a section for each BLAS kernel."""
    kernels = list(dict.fromkeys(row["kernel"] for row in rows))
    sections = []
    for kernel in kernels:
        own = [row for row in rows if row["kernel"] == kernel]
        parts = [f"### With NumPy's {kernel} kernels", _steps(own), *_grids(own), _summary(own), _startup(own)]
        sections.append("\n\n".join(part for part in parts if part))
    return "\n\n".join(sections)


def short(rows: Rows) -> str:
    """For the main README: the named configurations only, a table for each BLAS kernel, on one thread."""
    sections = []
    for kernel in dict.fromkeys(row["kernel"] for row in rows):
        own = [row for row in rows if row["kernel"] == kernel and row["threads"] == 1]
        sections.append("\n\n".join(part for part in (f"With NumPy's {kernel} kernels, one thread:", _steps(own), _summary(own)) if part))
    return "\n\n".join(sections)


def grid_ratios(rows: Rows, rival: str, threads: int) -> dict[tuple[int, int], float]:
    """(width, batch) -> median ratio, over the grid's cells."""
    found = {}
    for row in rows:
        words = row["config"].replace(",", "").split()
        if words[0] == "width" and row["rival"] == rival and row["threads"] == threads:
            found[int(words[1]), int(words[3])] = row["ratio"]
    return found


def _steps(rows: Rows) -> str:
    own = [row for row in rows if "spread" in row and not row["config"].startswith("width")]
    rivals = [rival for rival in SHORT if any(row["rival"] == rival for row in own)]
    cell = {}
    for row in own:
        if row["rival"] in LIMITS:
            cell[row["config"], str(row["threads"]), row["rival"]] = f"{100 * row['ratio']:.0f} %"
        else:
            low, high = row["spread"]
            cell[row["config"], str(row["threads"]), row["rival"]] = f"{row['ratio']:.2f} ({low:.2f}-{high:.2f})"
    ours = {(row["config"], str(row["threads"])): f"{row['ours_us']:.0f}" for row in own}
    lines = [(*key, us, *(cell.get((*key, rival), "") for rival in rivals)) for key, us in ours.items()]
    return markdown(("", "threads", "ours, us", *(SHORT[rival] for rival in rivals)), lines)


def _grids(rows: Rows) -> list[str]:
    parts = []
    for rival in ("PyTorch eager", "torch.compile, fused AdamW", "matrix products alone"):
        for threads in (1, 2):
            ratios = grid_ratios(rows, rival, threads)
            if not ratios:
                continue
            widths, batches = (sorted({key[i] for key in ratios}) for i in (0, 1))
            what = "share of our step" if rival in LIMITS else "time over ours"
            body = [(str(w), *(f"{ratios[w, n]:.2f}" if (w, n) in ratios else "" for n in batches)) for w in widths]
            head = f"Grid, {rival}: {what}, {threads} thread{'s' * (threads > 1)}"
            parts.append(f"{head}\n\n{markdown(('width / batch', *map(str, batches)), body)}")
    return parts


def _summary(rows: Rows) -> str:
    lines = []
    for rival in ("PyTorch eager", "torch.compile, fused AdamW"):
        for threads in (1, 2):
            ratios = grid_ratios(rows, rival, threads)
            if ratios:
                mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
                (width, batch), worst = min(ratios.items(), key=lambda item: item[1])
                lines.append(
                    f"- Grid against {rival}, {threads} thread{'s' * (threads > 1)}: geometric mean {mean:.2f}, "
                    f"least {worst:.2f} (width {width}, batch {batch})."
                )
    times = {(row["config"], row["threads"]): row["ours_us"] for row in rows if "spread" in row}
    slower = [config for config, threads in times if threads == 2 and times[config, 2] > times.get((config, 1), math.inf)]
    if any(threads == 2 for _, threads in times):
        lines.append(f"- Slower on two threads than on one, for us: {'; '.join(slower) if slower else 'none'}.")
    return "\n".join(lines)


def _startup(rows: Rows) -> str:
    """A line for each contender: import, first step, peak memory."""
    own = [row for row in rows if "spread" not in row]
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
    return markdown(("a process of its own", *(f"{config}, {unit[config]}" for config in configs)), body)
