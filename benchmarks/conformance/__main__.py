"""Checks public diffusion code and puts the table into docs/conformance.md.

It needs what benchmarks/conformance/requirements.txt names: ``python -m benchmarks.conformance``.
With ``--show`` it prints the reports instead. An entry that departs otherwise than its words say
is an error, and nothing is written.
"""

import argparse
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from benchmarks.conformance import installed, published
from benchmarks.conformance.entry import Entry
from benchmarks.pages import table_at
from ddpm_np.conformance import Report, check_diffusion

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


def code_of(entry: Entry) -> str:
    """The name, with the version that is installed."""
    try:
        return f"{entry.code} {version(entry.code)}"
    except (PackageNotFoundError, ValueError):
        return entry.code


def cells(entry: Entry, report: Report) -> list[str]:
    """The line of the table: what holds to how many ulp, what departs, the output variance."""
    keeps: dict[str, float] = {}
    for row in report.rows:
        if not row.fails:
            keeps[row.equation] = max(keeps.get(row.equation, 0), row.ulp)
    failing = {row.equation for row in report.failures}
    kept = ", ".join(
        f"{e} {u:.2g}" if u < 100 else f"{e} {u:.0f}" for e, u in keeps.items() if e not in failing
    )
    departs = dict.fromkeys(f"{row.equation}: {row.diagnosis}" for row in report.failures)
    output = next((output for output in report.outputs if output.v == 0), None)
    out = "" if output is None else f"{output.subject:.2g}" if output.subject > 1e-9 else "0"
    variance = next(
        (
            row.diagnosis.split("the variance is ")[1]
            for row in report.rows
            if "the variance is " in row.diagnosis
        ),
        "",
    )
    link = f" [upstream]({entry.link})" if entry.link else ""
    said = f"<br>{entry.words}{link}" if entry.words else ""
    return [code_of(entry), entry.setting, kept, variance, "<br>".join(departs) + said, out]


def main() -> int:
    """Checks every entry; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conformance", description=__doc__)
    parser.add_argument("--show", action="store_true", help="print the reports, write nothing")
    show = parser.parse_args().show
    warnings.simplefilter("ignore")
    head = ["code", "what was run", "holds, to ulp", "noise", "departs", "output variance"]
    lines = [head, ["---"] * len(head)]
    for entry in [*installed.ENTRIES, *published.ENTRIES]:
        try:
            subject = entry.make()
        except ImportError as error:
            print(f"{entry.code} is not installed: {error}", file=sys.stderr)
            return 2
        report = check_diffusion(subject, on_fail=None)
        if show:
            print(f"## {code_of(entry)}: {entry.setting}\n{report}\n")
        departs = dict.fromkeys(row.check for row in report.failures)
        if set(departs) != set(entry.departs):
            print(
                f"{entry.code}, {entry.setting}: departs in {list(departs)}, not in "
                f"{list(entry.departs)}\n{report}",
                file=sys.stderr,
            )
            return 1
        lines.append(cells(entry, report))
    if not show:
        import torch

        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        about = f"With torch {torch.__version__.partition('+')[0]} and NumPy {np.__version__}:"
        table_at(PAGE, "evidence", f"{about}\n\n{table}").put()
    return 0


if __name__ == "__main__":
    sys.exit(main())
