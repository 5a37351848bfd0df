"""The command line for tests: in this process, or as the tiny program in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

from ddpm_np import cli

ROOT = Path(__file__).parents[1]


def main(*argv):
    """The exit code, also where argparse ends the program itself."""
    try:
        return cli.main([str(a) for a in argv])
    except SystemExit as end:
        return end.code


def files(folder):
    """The content of every ordinary file below the folder."""
    found = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def refused(capsys, *argv):
    """Runs a command that must be refused with one line; returns that line."""
    before = files(".")
    assert main(*argv) == 2
    assert files(".") == before, "a refused command must not write"
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and error.endswith("\n")
    return error


def start(*argv, **options):
    """The tiny program in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    command = [sys.executable, str(ROOT / "tests" / "tiny.py"), *argv]
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen(command, env=environment, **settings)
