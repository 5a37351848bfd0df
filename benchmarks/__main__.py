"""``python -m benchmarks``: parity, then the clock. ``python -m benchmarks learning``: what is learned, in twenty runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from benchmarks.pages import HERE, put

RESULTS = HERE / "results.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("timing", "parity", "learning"), default="timing", help="by default timing")
    parser.add_argument("--quick", action="store_true", help="a small part, on the terminal only: no file is written")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="learning: runs at a time, each on one thread (by default one, on all)"
    )
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"argument --jobs: must be at least 1, got {options.jobs}")
    if options.what == "learning":
        from benchmarks.learning import learning

        learning(quick=options.quick, jobs=options.jobs)
        return 0
    try:
        import threadpoolctl  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        print(f"{error}; the benchmark needs torch and threadpoolctl: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    if not _parity():
        print("Parity fails, so nothing is timed: it would compare different computations.", file=sys.stderr)
        return 1
    if options.what == "timing":
        _timing(options.quick)
    return 0


def _parity() -> bool:
    from benchmarks import tables
    from benchmarks.parity import parity
    from benchmarks.timing import pinned

    with pinned(1):
        found = list(parity())
    print(tables.checks(found), end="\n\n")
    return all(check.passed for check in found)


def _timing(quick: bool) -> None:
    from benchmarks import machine, startup, tables, timing
    from benchmarks.rivals import cannot_compile

    notes = [*machine.lines()]
    if cannot_compile():
        notes.append(cannot_compile())
    if timing.jax_training is None:
        notes.append("JAX is not installed, so it is left out")
    print("\n".join(notes), end="\n\n", flush=True)
    start, rows = time.perf_counter(), []
    for cell in timing.cells(quick, threads=(1,) if quick else (1, 2)):
        found = timing.measure(cell, quick=quick)
        rows += found
        ratios = ", ".join(f"{row['ratio']:.2f} {tables.SHORT[row['rival']]}" for row in found)
        print(f"{cell.config}, {cell.threads} thread{'s' * (cell.threads > 1)}: {found[0]['ours_us']:.0f} us; {ratios}", flush=True)
    if not quick:
        rows += _startup(startup)
    print(f"\n{tables.timing(rows)}\n\n{time.perf_counter() - start:.0f} s")
    if quick:
        return
    from benchmarks.chart import draw

    kept = [row for row in _saved() if row["kernel"] != machine.kernel()]
    RESULTS.write_text("[\n" + ",\n".join(json.dumps(row) for row in [*rows, *kept]) + "\n]\n", encoding="utf-8")
    page = HERE / "README.md"
    put(page, "timing", "\n".join(f"- {line}" for line in notes) + "\n\n" + tables.timing([*rows, *kept]))
    put(HERE.parent / "README.md", "timing", tables.short([*rows, *kept]))
    print(f"Wrote {RESULTS}, {draw(rows)} and the tables of {page}")


def _saved() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []


def _startup(startup: Any) -> list[dict[str, Any]]:
    from benchmarks import timing
    from benchmarks.machine import kernel
    from benchmarks.rivals import cannot_compile

    absent = {"compiled": cannot_compile() is not None, "jax": timing.jax_training is None}
    measured = {name: startup.measure(name) for name in startup.NAMES if not absent.get(name)}
    ours, rows = measured.pop("ours"), []
    for name, found in measured.items():
        for config, value in found.items():
            unit, scale = ("mb", 1) if "memory" in config else ("us", 1e6)
            rows.append(
                {
                    "config": config, "rival": startup.NAMES[name], "threads": 1, "kernel": kernel(),
                    f"ours_{unit}": round(scale * ours[config], 1), f"rival_{unit}": round(scale * value, 1),
                    "ratio": round(value / ours[config], 3),
                }
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
