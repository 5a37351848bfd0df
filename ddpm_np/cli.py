"""The command line: run, sample, demo, verify, errata, check, companion.

Each command has two functions here: one adds it to the parser, one reads its arguments and calls
the module that does the work. A refusal becomes one line on standard error. Exit codes: 0 done,
1 the work itself failed (training diverged, a proof or a checked equation did not hold, the disk is
full), 2 bad input, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from ddpm_np import __version__
from ddpm_np._checks import Array
from ddpm_np.experiments.progress import open_streams, say

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

Arguments = argparse.Namespace


class _Parser(argparse.ArgumentParser):
    """argparse with errors of one line; --help shows the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {' '.join(message.split())} (see {self.prog} --help)\n")


def _whole(low: int) -> Callable[[str], int]:
    """The argparse type of a whole number that is at least ``low``."""

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:  # also for more digits than Python converts
            number = low - 1
        if number < low:
            what = text if len(text) <= 40 else f"{text[:40]}..."
            raise argparse.ArgumentTypeError(
                f"must be a whole number, at least {low}, got {what!r}"
            )
        return number

    return whole


def _path(text: str) -> str:
    """The argparse type of a path: not empty, as that of an unset shell variable is."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    if "\0" in text:
        raise argparse.ArgumentTypeError("must not hold a null character")
    return text


class _Commands:
    """The commands of the parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._subparsers = parser.add_subparsers(
            dest="command", metavar="COMMAND", parser_class=_Parser
        )

    def add(self, name: str, action: Callable[[Arguments], int], about: str) -> _Parser:
        """A new command, to which its options are added."""
        parser: _Parser = self._subparsers.add_parser(
            name, help=about, description=about[0].upper() + about[1:] + ".", allow_abbrev=False
        )
        parser.set_defaults(action=action)
        return parser


def _parser() -> _Parser:
    name = Path(sys.argv[0]).name
    parser = _Parser(
        prog=name if name.startswith("ddpm-np") else "python -m ddpm_np",
        description="Denoising diffusion in NumPy, with the exact answer next to the learned one.",
        epilog="Exit codes: 0 done, 1 the work failed (training diverged, a proof or a checked "
        "equation did not hold, the disk is full), 2 bad input, 130 stopped with Ctrl-C.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ddpm_np {__version__}")
    commands = _Commands(parser)
    for add in (
        _add_run,
        _add_sample,
        _add_demo,
        _add_verify,
        _add_errata,
        _add_check,
        _add_companion,
    ):
        add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    open_streams()
    try:
        parser = _parser()
        arguments = parser.parse_args(argv)
        if arguments.command is None:
            say(parser.format_help().rstrip())
            return DONE
        code: int = arguments.action(arguments)
        return code
    except KeyboardInterrupt:
        return _complain("stopped", INTERRUPTED)
    except MemoryError:
        return _complain("error: there is not enough memory", FAILED)
    except OSError as error:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        return _complain(f"error: {where}{error.strerror or error}", BAD_INPUT)


def _complain(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


# ---- run ---------------------------------------------------------------------------------------


def _add_run(commands: _Commands) -> None:
    run = commands.add(
        "run", _run, "train on the notes' curve and on the multi-sine ensemble, and write a report"
    )
    run.add_argument(
        "--experiment",
        choices=["curve", "ensemble", "rings"],
        help="run only this one (default: curve and ensemble)",
    )
    run.add_argument(
        "--out",
        type=_path,
        metavar="DIR",
        help="folder for the results (default: a new numbered folder under runs/)",
    )
    run.add_argument("--seed", type=_whole(0), metavar="N", help="random seed (default: 0)")
    run.add_argument("--steps", type=_whole(1), metavar="N", help="training steps per experiment")
    run.add_argument(
        "--quick",
        action="store_true",
        help="train for few steps and draw few samples: checks in seconds that everything works",
    )
    run.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out, with the settings it was started with",
    )


def _run(arguments: Arguments) -> int:
    from ddpm_np.experiments.experiment import BY_DEFAULT, EXPERIMENTS
    from ddpm_np.experiments.folder import Failed, Interrupted, Refused, RunFolder

    one = arguments.experiment
    try:
        if arguments.resume:
            given = {
                "experiment": one,
                "seed": arguments.seed,
                "steps": arguments.steps,
                "quick": arguments.quick or None,
            }
            folder = RunFolder.existing(arguments.out, **given)
        else:
            settings = {"seed": arguments.seed, "steps": arguments.steps, "quick": arguments.quick}
            chosen = [EXPERIMENTS[name] for name in (BY_DEFAULT if one is None else [one])]
            try:
                experiments = [experiment.variant(**settings) for experiment in chosen]
            except ValueError as error:  # it names the setting
                return _complain(f"error: argument --{error}", BAD_INPUT)
            folder = RunFolder.new(arguments.out, experiments)
        say(f"run in {folder.path}")
        folder.complete()
    except Refused as error:
        return _complain(f"error: {error}", BAD_INPUT)
    except Failed as error:
        return _complain(f"error: {error}", FAILED)
    except Interrupted as error:
        return _complain(str(error), INTERRUPTED)
    return DONE


# ---- sample ------------------------------------------------------------------------------------


def _add_sample(commands: _Commands) -> None:
    sample = commands.add("sample", _sample, "draw samples from the averaged weights of a run")
    sample.add_argument(
        "checkpoint", type=_path, metavar="CHECKPOINT", help="checkpoint.npz of a run"
    )
    sample.add_argument(
        "-n", type=_whole(1), default=16, metavar="N", help="number of samples (default: 16)"
    )
    sample.add_argument(
        "--out",
        type=_path,
        required=True,
        metavar="FILE",
        help="new .npz file, with one array: samples (n, dim)",
    )
    sample.add_argument(
        "--seed", type=_whole(0), default=0, metavar="N", help="random seed (default: 0)"
    )
    sample.add_argument(
        "--sampler",
        choices=["ancestral", "ddim"],
        default="ancestral",
        help="ancestral sampling or DDIM (default: ancestral)",
    )
    sample.add_argument(
        "--sampler-steps",
        type=_whole(1),
        metavar="N",
        help="number of sampling steps, at most T (default: T)",
    )


def _sample(arguments: Arguments) -> int:
    import numpy as np

    from ddpm_np._files import write_atomically
    from ddpm_np.learning.checkpoint import load_checkpoint
    from ddpm_np.sampling import ancestral_sample, ddim_sample

    out, n = Path(arguments.out), arguments.n
    if out.exists():
        return _complain(f"error: argument --out: must be a new file, but {out} exists", BAD_INPUT)
    if not out.parent.is_dir():
        return _complain(
            f"error: argument --out: must be in an existing folder, got {out}", BAD_INPUT
        )
    try:
        state, schedule, _ = load_checkpoint(arguments.checkpoint)
    except ValueError as error:
        return _complain(f"error: argument CHECKPOINT: {error}", BAD_INPUT)
    steps = arguments.sampler_steps
    if steps is not None and steps > schedule.T:
        return _complain(
            f"error: argument --sampler-steps: must be at most T = {schedule.T}, got {steps}",
            BAD_INPUT,
        )
    network = state.ema_network()
    samplers: dict[str, Callable[..., Array]] = {"ancestral": ancestral_sample, "ddim": ddim_sample}
    too_many = f"error: argument -n: must be a number of samples that fit into memory, got {n}"
    if n * network.dim * 8 > sys.maxsize:  # NumPy makes no such array
        return _complain(too_many, BAD_INPUT)
    rng = np.random.default_rng(arguments.seed)
    try:
        draw = samplers[arguments.sampler]
        samples = draw(network, schedule, n, network.dim, rng=rng, steps=steps)
    except MemoryError:
        return _complain(too_many, BAD_INPUT)
    if not np.isfinite(samples).all():
        return _complain("error: the samples are not finite; the network has diverged", FAILED)
    write_atomically(out, lambda file: np.savez(file, samples=samples))
    say(
        f"{n} samples of dimension {network.dim} in {out}, "
        f"from a network trained for {state.step} steps"
    )
    return DONE


# ---- demo --------------------------------------------------------------------------------------


def _add_demo(commands: _Commands) -> None:
    demo = commands.add(
        "demo",
        _demo,
        "show a claim of the notes next to its closed form; without a name, list the demos",
    )
    demo.add_argument("name", nargs="?", metavar="NAME", help="a demo of the list, or all")
    demo.add_argument(
        "--out", type=_path, metavar="DIR", help="folder for the pictures (default: runs/demos)"
    )
    demo.add_argument(
        "--seed", type=_whole(0), default=0, metavar="N", help="random seed (default: 0)"
    )


def _demo(arguments: Arguments) -> int:
    from ddpm_np.demos import DEMOS, run_demo

    if arguments.name is None:
        for name, demo in DEMOS.items():
            say(f"{name:14} {demo.about.en}")
        return DONE
    try:
        run_demo(arguments.name, out=arguments.out, seed=arguments.seed, write=say)
    except ValueError as error:
        return _complain(f"error: {error}", BAD_INPUT)
    return DONE


# ---- verify ------------------------------------------------------------------------------------


def _add_verify(commands: _Commands) -> None:
    commands.add(
        "verify",
        _verify,
        "prove every identity of the derivation, and measure the largest rounding errors",
    )


def _verify(arguments: Arguments) -> int:
    from ddpm_np.proof.verify import verify

    return DONE if verify(out=say) else FAILED


# ---- errata ------------------------------------------------------------------------------------


def _add_errata(commands: _Commands) -> None:
    errata = commands.add(
        "errata",
        _errata,
        "list the errors in the notes: as printed, as corrected, with a deciding number",
    )
    errata.add_argument(
        "place",
        nargs="?",
        metavar="PLACE",
        help="a note and its line or lines, such as N2:351; by default all of them",
    )
    errata.add_argument(
        "--lang", choices=["en", "zh"], default="en", help="language of the list; by default en"
    )


def _errata(arguments: Arguments) -> int:
    from ddpm_np.errata import errata_table

    try:
        lines = errata_table(arguments.place, lang=arguments.lang)
    except ValueError as error:
        return _complain(f"error: {error}", BAD_INPUT)
    for line in lines:
        say(line)
    return DONE


# ---- check -------------------------------------------------------------------------------------


def _add_check(commands: _Commands) -> None:
    check = commands.add(
        "check", _check, "compare a diffusion code with the equations, coefficient by coefficient"
    )
    check.add_argument(
        "subject",
        metavar="MODULE:OBJECT",
        help="an object with betas and operations such as q_sample, or what makes one without "
        "arguments; the working directory is searched first",
    )
    check.add_argument("--markdown", action="store_true", help="print the report as Markdown")


def _check(arguments: Arguments) -> int:
    from ddpm_np.conformance.command import BadSubject, check_path

    try:
        text, report = check_path(arguments.subject, markdown=arguments.markdown)
    except BadSubject as error:
        return _complain(f"error: argument MODULE:OBJECT: {error}", BAD_INPUT)
    say(text)
    return DONE if report.passed else FAILED


# ---- companion ---------------------------------------------------------------------------------


def _add_companion(commands: _Commands) -> None:
    companion = commands.add(
        "companion", _companion, "build the page that shows the notes' formulas beside the code"
    )
    companion.add_argument(
        "--out",
        type=_path,
        default="companion.html",
        metavar="FILE",
        help="new HTML file (default: companion.html)",
    )


def _companion(arguments: Arguments) -> int:
    from ddpm_np.companion import MissingPackages, write_page

    out = Path(arguments.out)
    if out.exists():
        return _complain(f"error: argument --out: must be a new file, but {out} exists", BAD_INPUT)
    try:
        write_page(out)
    except MissingPackages as error:
        return _complain(f"error: {error}", BAD_INPUT)
    except RuntimeError as error:  # a formula that differs from its function, a failed proof
        return _complain(f"error: {error}", FAILED)
    say(f"the companion page is in {out}")
    return DONE
