"""``python -m benchmarks``: parity, then the clock. ``python -m benchmarks learning``: what is
learned.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from benchmarks import cores
from benchmarks.pages import HERE

RESULTS = HERE / "results.json"
WHAT = ("timing", "parity", "learning", "tables", "all-cores")


def main() -> int:
    """Reads the command line and does what it asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=WHAT,
        default="timing",
        help="by default timing; tables writes the pages again from the saved results; all-cores "
        "is the second table alone, which timing runs in a process of its own",
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
    pinned = f"{cores.unpin()} cores." if options.what == "all-cores" else cores.pin()
    try:
        import torch  # noqa: F401
    except ImportError as error:
        needs = "the benchmark needs torch and threadpoolctl: pip install -e '.[bench]'"
        print(f"{error}; {needs}", file=sys.stderr)
        return 2
    if options.what == "all-cores":
        _all_cores()
        return 0
    if not _parity():
        print(
            "Parity fails, so nothing is timed: it would compare different computations.",
            file=sys.stderr,
        )
        return 1
    if options.what == "timing":
        _timing(options.quick, pinned)
    return 0


def _parity() -> bool:
    from benchmarks import tables
    from benchmarks.parity import parity
    from benchmarks.unet_twin import unet_checks

    found = [*parity(), *unet_checks()]
    print(tables.checks(found), end="\n\n")
    return all(check.passed for check in found)


def _timing(quick: bool, pinned: str) -> None:
    from benchmarks import machine, startup, tables, timing
    from benchmarks.growth import growth
    from benchmarks.rivals import cannot_compile

    notes = [*machine.lines(), pinned]
    if cannot_compile():
        notes.append(cannot_compile())
    if timing.jax_rival is None:
        notes.append("JAX is not installed, so it is left out.")
    print("\n".join(notes), end="\n\n", flush=True)
    start, rows = time.perf_counter(), []
    for cell in timing.cells(quick):
        found = timing.measure(cell, quick=quick)
        rows += found
        print(tables.line(found), flush=True)
    grown = list(growth(quick))
    if not quick:
        rows += _in_another_process()
    started = {} if quick else startup.measure_all()
    print(f"\n{tables.timing(rows, started)}\n\n{tables.growth(grown)}")
    print(f"\n{time.perf_counter() - start:.0f} s")
    if quick:
        return
    saved = {"machine": notes, "rows": rows, "startup": started, "growth": grown}
    RESULTS.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    _pages()


def _in_another_process() -> list[dict[str, Any]]:
    """The rows with all cores: threads are made when the libraries are loaded."""
    command = [sys.executable, "-m", "benchmarks", "all-cores"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(run.stdout.splitlines()[-1])
    return rows


def _all_cores() -> None:
    """Times with all cores for everyone, as the libraries come; the last line holds the rows."""
    from benchmarks import tables, timing

    rows = []
    for cell in timing.on_all_cores():
        rows += timing.measure(cell, quick=False, one_core=False)
        print(tables.line(rows), flush=True)
    print(tables.all_cores([row | {"all_cores": True} for row in rows]), end="\n\n")
    print(json.dumps([row | {"all_cores": True} for row in rows]))


def _pages() -> None:
    """results.json and learning.json as tables and pictures."""
    from benchmarks import chart, learning, tables

    for results, places, draw in (
        (RESULTS, tables.places, lambda saved: chart.draw_timing(saved["rows"])),
        (learning.RESULTS, learning.places, chart.draw_learning),
    ):
        saved = json.loads(results.read_text(encoding="utf-8"))
        for place in places(saved):
            place.put()
        print(f"Wrote tables of benchmarks/README.md, a line of README.md, and {draw(saved)}")


if __name__ == "__main__":
    sys.exit(main())
