"""The command line: its parser, its exit codes, and how it says what went wrong.

What the commands do is in :mod:`ddpm_np.commands`. A refusal becomes one line on standard error.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from ddpm_np import __version__
from ddpm_np import _console as console
from ddpm_np._files import disk_failed
from ddpm_np.commands import COMMANDS

BAD_INPUT = 2
CODES = (
    "Exit codes: 0 done; 1 the work failed (training diverged, a proof or a checked equation did "
    "not hold, the disk is full, a package is missing); 2 bad input; 130 stopped with Ctrl-C or "
    "another signal."
)


class _Parser(argparse.ArgumentParser):
    """argparse with errors of one line; --help shows the usage."""

    def error(self, message: str) -> NoReturn:
        text = _one_line(" ".join(message.split()))
        self.exit(BAD_INPUT, f"error: {text} (see {self.prog} --help)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message or "")  # argparse would swallow that the disk is full

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            meant = _meant(value, action.choices)
            text = f"must be one of {', '.join(action.choices)}, got {value!r}{meant}"
            raise argparse.ArgumentError(action, text)

    def refuse_unknown(self, unknown: Sequence[str]) -> NoReturn:
        """The error for arguments that this command does not have."""
        first, options = unknown[0].partition("=")[0], self._option_string_actions
        self.error(f"unknown arguments: {' '.join(unknown)}{_meant(first, options)}")


def _meant(word: Any, known: Iterable[str]) -> str:
    close = get_close_matches(str(word), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    """The parser, and those of its commands by name."""
    name = Path(sys.argv[0]).name
    parser = _Parser(
        prog=name if name.startswith("ddpm-np") else "python -m ddpm_np",
        description="Denoising diffusion in NumPy, with the exact answer next to the learned one.",
        epilog=CODES,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ddpm_np {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    parsers: dict[str, _Parser] = {}
    for name, (about, add_options, action) in COMMANDS.items():
        parsers[name] = one = subparsers.add_parser(
            name, help=about, description=about[0].upper() + about[1:] + ".", allow_abbrev=False
        )
        add_options(one)
        one.set_defaults(action=action)
    return parser, parsers


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    console.open_streams()
    try:
        code = _run_command(argv)
    except SystemExit as end:  # of argparse: --help, or an error that it has told
        code = end.code if isinstance(end.code, int) else console.FAILED
    try:
        sys.stdout.flush()
    except OSError as error:
        console.silence()
        code = code or _end(console.Failed(f"standard output: {error.strerror}"))
    return code


def _run_command(argv: Sequence[str] | None) -> int:
    try:
        parser, commands = _parsers()
        arguments, unknown = parser.parse_known_args(argv)
        if unknown:
            commands.get(arguments.command, parser).refuse_unknown(unknown)
        if arguments.command is None:
            console.say(parser.format_help().rstrip())
            return console.DONE
        code: int = arguments.action(arguments)
        return code
    except KeyboardInterrupt:
        return _end(console.Interrupted("stopped"))
    except console.Ended as end:
        return _end(end)
    except MemoryError:
        return _end(console.Failed("there is not enough memory"))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("scipy", "matplotlib", "PIL"):
            raise
        text = f'{package} is not installed; python -m pip install ".[figures]"'
        return _end(console.Failed(f"{text} in the project's folder installs what is needed"))
    except OSError as error:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        kind = console.Failed if disk_failed(error) else console.Refused
        return _end(kind(f"{where}{error.strerror or error}"))


def _end(end: console.Ended) -> int:
    prefix = "" if isinstance(end, console.Interrupted) else "error: "
    print(f"{prefix}{_one_line(str(end))}", file=sys.stderr)
    return end.code


def _one_line(text: str) -> str:
    """The text with escapes for line ends and control characters, which a file's name may hold."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
