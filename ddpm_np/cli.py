"""The command line: run, sample, demo, verify, errata.

The last room: it reads arguments, calls the room that does the work, and turns what is refused into one line. Exit codes: 0 done,
1 the work itself failed (training diverged, a proof did not hold), 2 bad input, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from ddpm_np.experiments.progress import say

__all__ = ["main"]

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """argparse with its complaint in one line; the usage is what --help is for."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message} (see {self.prog} --help)\n")


def _whole(low: int) -> Callable[[str], int]:
    """A whole number, at least ``low``, for argparse."""

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = low - 1
        if number < low:
            raise argparse.ArgumentTypeError(f"must be a whole number, at least {low}, got {text!r}")
        return number

    return whole


def _path(text: str) -> str:
    """A path that is not empty, as that of an unset shell variable is."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _parser() -> argparse.ArgumentParser:
    about = "Denoising diffusion in NumPy, beside the exact theory."
    codes = "Exit codes: 0 done, 1 training diverged or a proof did not hold, 2 bad input, 130 stopped with Ctrl-C."
    parser = _Parser(prog="python -m ddpm_np", description=about, epilog=codes, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        sub.set_defaults(action=action)
        return sub

    run = command("run", _run, "learn the notes' curve and the multi-sine ensemble; leaves a report, pictures and a checkpoint")
    run.add_argument("--experiment", choices=["curve", "ensemble"], help="one of the two; by default both, each in its subfolder")
    run.add_argument("--out", type=_path, metavar="DIR", help="folder of the run; by default a new numbered one under runs/")
    run.add_argument("--seed", type=_whole(0), metavar="N", help="of everything that is drawn; by default 0")
    run.add_argument("--steps", type=_whole(1), metavar="N", help="training steps of each experiment")
    run.add_argument("--quick", action="store_true", help="few steps and few samples: shows in seconds that everything works")
    run.add_argument("--resume", action="store_true", help="go on with the run in --out, with the settings it was started with")

    sample = command("sample", _sample, "draw signals from a saved run, with its averaged weights")
    sample.add_argument("checkpoint", type=_path, metavar="CHECKPOINT", help="checkpoint.npz of a run")
    sample.add_argument("-n", type=_whole(1), default=16, metavar="N", help="number of signals; by default 16")
    sample.add_argument("--out", type=_path, required=True, metavar="FILE", help="new .npz file with the array samples, (n, dim)")
    sample.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="of the noise; by default 0")
    sample.add_argument("--sampler", choices=["ancestral", "ddim"], default="ancestral", help="by default ancestral")
    sample.add_argument("--sampler-steps", type=_whole(1), metavar="N", help="number of steps, at most T; by default all T")

    demo = command("demo", _demo, "what the notes show and claim, beside its closed form; without a name, lists the demos")
    demo.add_argument("name", nargs="?", metavar="NAME", help="one of those listed, or all")
    demo.add_argument("--out", type=_path, metavar="DIR", help="folder of the pictures; by default runs/demos")
    demo.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="by default 0")

    command("verify", _verify, "prove every identity of the derivation, and measure the worst error in float64")
    errata = command("errata", _errata, "the errors of the notes, corrected, each with a computed counterexample")
    errata.add_argument("place", nargs="?", metavar="PLACE", help="a note and its line or lines, such as N2:351; by default all")
    errata.add_argument("--lang", choices=["en", "zh"], default="en", help="language of the table; by default en")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    try:
        arguments = _parser().parse_args(argv)
        return arguments.action(arguments)
    except KeyboardInterrupt:
        return _complain("stopped", INTERRUPTED)
    except OSError as error:
        return _complain(f"error: {error.filename!r}: {error.strerror}" if error.filename else f"error: {error}", BAD_INPUT)


def _complain(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _run(arguments: argparse.Namespace) -> int:
    from ddpm_np.experiments.experiment import EXPERIMENTS
    from ddpm_np.experiments.folder import Failed, Interrupted, Refused, RunFolder

    chosen = EXPERIMENTS if arguments.experiment is None else [arguments.experiment]
    try:
        if arguments.resume:
            given = {"seed": arguments.seed, "steps": arguments.steps, "quick": arguments.quick or None}
            folder = RunFolder.existing(arguments.out, experiment=arguments.experiment, **given)
        else:
            settings = {"seed": arguments.seed, "steps": arguments.steps, "quick": arguments.quick}
            folder = RunFolder.new(arguments.out, [EXPERIMENTS[name].variant(**settings) for name in chosen])
        say(f"run in {folder.path}")
        folder.complete()
    except Refused as error:
        return _complain(f"error: {error}", BAD_INPUT)
    except Failed as error:
        return _complain(f"error: {error}", FAILED)
    except Interrupted as error:
        return _complain(str(error), INTERRUPTED)
    return 0


def _sample(arguments: argparse.Namespace) -> int:
    from ddpm_np.learning.checkpoint import load_checkpoint, write_atomically
    from ddpm_np.sampling import ancestral_sample, ddim_sample

    out = Path(arguments.out)
    if out.exists():
        return _complain(f"error: argument --out: must be a new file, but {out} exists", BAD_INPUT)
    if not out.parent.is_dir():
        return _complain(f"error: argument --out: must be in an existing folder, got {out}", BAD_INPUT)
    try:
        state, schedule, _ = load_checkpoint(arguments.checkpoint)
    except ValueError as error:
        return _complain(f"error: argument CHECKPOINT: {error}", BAD_INPUT)
    if arguments.sampler_steps is not None and arguments.sampler_steps > schedule.T:
        message = f"error: argument --sampler-steps: must be at most T = {schedule.T}, got {arguments.sampler_steps}"
        return _complain(message, BAD_INPUT)
    network, draw = state.ema_network(), {"ancestral": ancestral_sample, "ddim": ddim_sample}[arguments.sampler]
    rng = np.random.default_rng(arguments.seed)
    try:
        samples = draw(network, schedule, arguments.n, network.dim, rng=rng, steps=arguments.sampler_steps)
    except (MemoryError, ValueError):  # NumPy's, for an array larger than memory, or than any array can be
        return _complain(f"error: argument -n: must be a number of signals that fit into memory, got {arguments.n}", BAD_INPUT)
    write_atomically(out, lambda file: np.savez(file, samples=samples))
    say(f"{len(samples)} signals of {network.dim} points in {out}, from a network trained for {state.step} steps")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from ddpm_np.demos import DEMOS, run_demo

    if arguments.name is None:
        for name, about in DEMOS.items():
            say(f"{name:14} {about}")
        return 0
    try:
        run_demo(arguments.name, out=arguments.out, seed=arguments.seed, write=say)
    except ValueError as error:
        return _complain(f"error: {error}", BAD_INPUT)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from ddpm_np.proof.verify import verify

    return 0 if verify(out=say) else FAILED


def _errata(arguments: argparse.Namespace) -> int:
    from ddpm_np.errata import errata_table

    try:
        table = errata_table(arguments.place, lang=arguments.lang)
    except ValueError as error:
        return _complain(f"error: {error}", BAD_INPUT)
    for line in table:
        say(line)
    return 0
