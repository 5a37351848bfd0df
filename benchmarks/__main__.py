"""``python -m benchmarks``: parity, then the clock. ``python -m benchmarks learning``: what is
learned.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from benchmarks.pages import HERE, put

RESULTS = HERE / "results.json"
WHAT = ("timing", "parity", "learning", "tables")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=WHAT,
        default="timing",
        help="by default timing; tables writes the pages again from the saved results",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small part, on the terminal only: no file is written",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="learning: runs at a time, each on one thread (by default one)",
    )
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"argument --jobs: must be at least 1, got {options.jobs}")
    if options.what == "tables":
        _pages()
        return 0
    from benchmarks import machine

    if machine.forced() and not options.quick and options.what != "parity":
        print(machine.forced(), file=sys.stderr)
        return 2
    if options.what == "learning":
        from benchmarks.learning import learning

        learning(quick=options.quick, jobs=options.jobs)
        return 0
    try:
        import torch  # noqa: F401
    except ImportError as error:
        needs = "the benchmark needs torch and threadpoolctl: pip install -e '.[bench]'"
        print(f"{error}; {needs}", file=sys.stderr)
        return 2
    if not _parity():
        print(
            "Parity fails, so nothing is timed: it would compare different computations.",
            file=sys.stderr,
        )
        return 1
    if options.what == "timing":
        _timing(options.quick)
    return 0


def _parity() -> bool:
    from benchmarks import tables
    from benchmarks.parity import parity
    from benchmarks.timing import one_thread
    from benchmarks.unet_twin import unet_checks

    with one_thread():
        found = [*parity(), *unet_checks()]
    print(tables.checks(found), end="\n\n")
    return all(check.passed for check in found)


def _timing(quick: bool) -> None:
    from benchmarks import machine, startup, tables, timing
    from benchmarks.rivals import cannot_compile

    notes = [*machine.lines()]
    if cannot_compile():
        notes.append(cannot_compile())
    if timing.jax_rival is None:
        notes.append("JAX is not installed, so it is left out.")
    print("\n".join(notes), end="\n\n", flush=True)
    start, rows = time.perf_counter(), []
    for cell in timing.cells(quick):
        found = timing.measure(cell, quick=quick)
        rows += found
        ratios = ", ".join(f"{row['ratio']:.2f} {tables.SHORT[row['rival']]}" for row in found)
        print(f"{cell.config}: {found[0]['ours_us']:.0f} us; {ratios}", flush=True)
    lengths = timing.by_length()
    rows += [
        {"config": T, "kernel": machine.kernel(), "ours_us": round(us, 1)}
        for T, us in lengths.items()
    ]
    if not quick:
        rows += _startup(startup)
    print(f"\n{tables.timing(rows)}\n\n{time.perf_counter() - start:.0f} s")
    if quick:
        return
    saved = {"machine": notes, "rows": rows}
    RESULTS.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    _pages()


def _pages() -> None:
    """results.json and learning.json as tables and pictures."""
    from benchmarks import tables
    from benchmarks.chart import draw_learning, draw_timing
    from benchmarks.learning import RESULTS as LEARNING
    from benchmarks.learning import write_tables

    page = HERE / "README.md"
    if RESULTS.exists():
        saved = json.loads(RESULTS.read_text(encoding="utf-8"))
        machine = "\n".join(f"- {line}" for line in saved["machine"])
        put(page, "timing", f"{machine}\n\n{tables.timing(saved['rows'])}")
        put(HERE.parent / "README.md", "timing", tables.short(saved["rows"]))
        print(f"Wrote the tables of {page} and {draw_timing(saved['rows'])}")
    if LEARNING.exists():
        rows = json.loads(LEARNING.read_text(encoding="utf-8"))
        write_tables(rows)
        print(f"Wrote the learning tables of {page} and {draw_learning(rows)}")


def _startup(startup: Any) -> list[dict[str, Any]]:
    from benchmarks import timing
    from benchmarks.machine import kernel
    from benchmarks.rivals import cannot_compile

    absent = {"best": cannot_compile() is not None, "jax": timing.jax_rival is None}
    repeats = dict.fromkeys(startup.NAMES, 3) | {"best": 1}  # its compiler takes long
    measured = {
        name: startup.measure(name, repeats[name]) for name in startup.NAMES if not absent.get(name)
    }
    ours, rows = measured.pop("ours"), []
    for name, found in measured.items():
        for config, value in found.items():
            unit, scale = ("mb", 1) if "memory" in config else ("us", 1e6)
            rows.append(
                {
                    "config": config,
                    "rival": startup.NAMES[name],
                    "kernel": kernel(),
                    f"ours_{unit}": round(scale * ours[config], 1),
                    f"rival_{unit}": round(scale * value, 1),
                    "ratio": round(value / ours[config], 3),
                }
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
