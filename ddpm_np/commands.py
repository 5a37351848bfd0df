"""The commands of the command line: the options of each, and what it does with them.

Each command has two functions here: one adds its options to the parser, one reads them and calls
the module that does the work. :data:`COMMANDS` lists them.
"""

import argparse
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ddpm_np.experiments.progress import Failed, Refused, say

DONE, FAILED = 0, 1  # exit codes

Arguments = argparse.Namespace


class Command(NamedTuple):
    """What ``python -m ddpm_np NAME`` does, in a line; its options; its function."""

    about: str
    add_options: Callable[[argparse.ArgumentParser], None]
    action: Callable[[Arguments], int]


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


@contextmanager
def _refusing(what: str = "") -> Iterator[None]:
    """Refuses the request where a ValueError says why."""
    try:
        yield
    except ValueError as error:
        raise Refused(f"{what}{error}") from None


# ---- run ---------------------------------------------------------------------------------------


def _run_options(run: argparse.ArgumentParser) -> None:
    which = run.add_mutually_exclusive_group()
    which.add_argument(
        "--experiment",
        choices=["curve", "ensemble", "rings"],
        help="run only this one (default: curve and ensemble)",
    )
    which.add_argument(
        "--data",
        type=_path,
        metavar="FILE",
        help="train on the signals of a .npy, .npz or .csv file: (n, dim) finite numbers",
    )
    run.add_argument(
        "--out",
        type=_path,
        metavar="DIR",
        help="folder for the results (default: a new numbered folder under runs/)",
    )
    run.add_argument("--seed", type=_whole(0), metavar="N", help="random seed (default: 0)")
    run.add_argument("--steps", type=_whole(1), metavar="N", help="training steps per experiment")
    run.add_argument("--batch-size", type=_whole(1), metavar="N", help="signals in a step")
    run.add_argument("--T", type=_whole(2), metavar="N", help="steps of diffusion (default: 100)")
    run.add_argument(
        "--schedule",
        choices=["sigmoid", "linear", "cosine"],
        help="how the noise grows with the steps (default: sigmoid, as in the notes)",
    )
    run.add_argument(
        "--quick",
        action="store_true",
        help="train for few steps and draw few samples: checks in seconds that everything works",
    )
    run.add_argument(
        "--resume",
        action="store_true",
        help="continue the run in --out, or the newest unfinished one under runs/, as it began",
    )


def _run(arguments: Arguments) -> int:
    from ddpm_np.experiments.experiment import BY_DEFAULT, EXPERIMENTS
    from ddpm_np.experiments.folder import OPTIONS, RunFolder
    from ddpm_np.experiments.own import Own

    one, data = arguments.experiment, arguments.data
    settings = {
        "seed": arguments.seed,
        "steps": arguments.steps,
        "batch_size": arguments.batch_size,
        "T": arguments.T,
        "noise": arguments.schedule,
    }
    if arguments.resume:
        given = {"data": data and str(Path(data).absolute()), "quick": arguments.quick or None}
        folder = RunFolder.existing(arguments.out, experiment=one, **given, **settings)
    else:
        settings["quick"] = arguments.quick
        try:
            if data is None:
                chosen = [EXPERIMENTS[name] for name in (BY_DEFAULT if one is None else [one])]
                experiments = [experiment.variant(**settings) for experiment in chosen]
            else:
                experiments = [Own.of_file(data, **settings)]
        except ValueError as error:
            name, _, rest = str(error).partition(" ")
            if name in settings:
                raise Refused(f"argument --{OPTIONS.get(name, name)}: {rest}") from None
            raise Refused(f"argument --{'data: ' if data else ''}{error}") from None
        folder = RunFolder.new(arguments.out, experiments)
    folder.complete()
    return DONE


# ---- sample ------------------------------------------------------------------------------------


def _sample_options(sample: argparse.ArgumentParser) -> None:
    sample.add_argument(
        "run",
        type=_path,
        metavar="RUN",
        help="folder with one trained network, such as runs/001/curve, or its checkpoint.npz",
    )
    sample.add_argument(
        "-n", type=_whole(1), default=16, metavar="N", help="number of samples (default: 16)"
    )
    sample.add_argument(
        "--out",
        type=_path,
        required=True,
        metavar="FILE",
        help="new file with the samples (n, dim): .npy, .csv, or else an .npz that calls them "
        "samples",
    )
    sample.add_argument("--plot", action="store_true", help="draw them, in a .png beside FILE")
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

    from ddpm_np import _figure_style
    from ddpm_np.experiments.saved import load, save_samples

    out, n, steps = Path(arguments.out), arguments.n, arguments.sampler_steps
    picture = out.with_suffix(".png") if arguments.plot else None
    if str(out) == "-":
        raise Refused("argument --out: must be a file, and not standard output")
    for path in [out] if picture is None else [out, picture]:
        _check_new(path)
    if not out.parent.is_dir():
        raise Refused(f"argument --out: must be in an existing folder, got {out}")
    if picture == out:
        raise Refused(f"argument --out: must be the file of the numbers, got {out}")
    if picture is not None and not _figure_style.available():
        raise Failed(f"argument --plot: {_figure_style.MISSING}")
    with _refusing("argument RUN: "):
        saved = load(arguments.run)
    T, dim = saved.schedule.T, saved.columns
    if steps is not None and steps > T:
        raise Refused(f"argument --sampler-steps: must be at most T = {T}, got {steps}")
    too_many = f"argument -n: must be a number of samples that fit into memory, got {n}"
    if n * dim * 8 > sys.maxsize:  # NumPy makes no such array
        raise Refused(too_many)
    rng = np.random.default_rng(arguments.seed)
    try:
        samples = saved.sample(n, rng=rng, sampler=arguments.sampler, steps=steps)
    except MemoryError:
        raise Refused(too_many) from None
    if not np.isfinite(samples).all():
        raise Failed("the samples are not finite; the network has diverged")
    save_samples(out, samples)
    say(f"{n} samples of dimension {dim} in {out}, from a network trained for {saved.step} steps")
    if picture is not None:
        _figure_style.save(saved.picture(samples), picture)
        say(f"picture in {picture}")
    return DONE


# ---- demo --------------------------------------------------------------------------------------


def _demo_options(demo: argparse.ArgumentParser) -> None:
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
    with _refusing():
        run_demo(arguments.name, out=arguments.out, seed=arguments.seed, write=say)
    return DONE


# ---- verify ------------------------------------------------------------------------------------


def _verify(arguments: Arguments) -> int:
    import scipy  # noqa: F401  # the proofs would take its absence for a failure

    from ddpm_np.proof.verify import verify

    gc.freeze()  # what is loaded stays; the collector would look through it again and again
    return DONE if verify(out=say) else FAILED


# ---- errata ------------------------------------------------------------------------------------


def _errata_options(errata: argparse.ArgumentParser) -> None:
    errata.add_argument(
        "place",
        nargs="?",
        metavar="PLACE",
        help="a note and its line or lines, such as N2:351, or an equation, such as E10; by "
        "default all of them",
    )
    errata.add_argument(
        "--lang", choices=["en", "zh"], default="en", help="language of the list; by default en"
    )


def _errata(arguments: Arguments) -> int:
    from ddpm_np.errata import errata_table

    with _refusing():
        lines = errata_table(arguments.place, lang=arguments.lang)
    for line in lines:
        say(line)
    return DONE


# ---- check -------------------------------------------------------------------------------------


def _check_options(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "subject",
        metavar="MODULE:OBJECT",
        help="an object with betas and operations such as q_sample, or what makes one without "
        "arguments; the working directory is searched first",
    )
    check.add_argument("--markdown", action="store_true", help="print the report as Markdown")


def _check(arguments: Arguments) -> int:
    from ddpm_np.conformance.command import check_path

    with _refusing("argument MODULE:OBJECT: "):
        text, report = check_path(arguments.subject, markdown=arguments.markdown)
    say(text)
    return DONE if report.passed else FAILED


# ---- companion ---------------------------------------------------------------------------------


def _companion_options(companion: argparse.ArgumentParser) -> None:
    companion.add_argument(
        "--out",
        type=_path,
        default="companion.html",
        metavar="FILE",
        help="new HTML file, or a notebook for .ipynb (default: companion.html)",
    )


def _companion(arguments: Arguments) -> int:
    from ddpm_np.companion.build import MissingPackages, write

    out = Path(arguments.out)
    _check_new(out)
    try:
        write(out)
    except MissingPackages as error:
        raise Refused(str(error)) from None
    except RuntimeError as error:  # a formula that differs from its function, a failed proof
        raise Failed(str(error)) from None
    say(f"the companion {'notebook' if out.suffix == '.ipynb' else 'page'} is in {out}")
    return DONE


def _check_new(path: Path) -> None:
    if path.exists():
        raise Refused(f"argument --out: must be a new file, but {path} exists")


COMMANDS = {
    "run": Command(
        "train on the notes' signals, on rings or on your own, and write a report",
        _run_options,
        _run,
    ),
    "sample": Command("draw samples from the averaged weights of a run", _sample_options, _sample),
    "demo": Command(
        "show a claim of the notes next to its closed form; without a name, list the demos",
        _demo_options,
        _demo,
    ),
    "verify": Command(
        "prove every identity of the derivation, and measure the largest rounding errors",
        lambda verify: None,
        _verify,
    ),
    "errata": Command(
        "list the errors in the notes: as printed, as corrected, with a deciding number",
        _errata_options,
        _errata,
    ),
    "check": Command(
        "compare a diffusion code with the equations, coefficient by coefficient",
        _check_options,
        _check,
    ),
    "companion": Command(
        "build the page, or the notebook, of formulas beside their code",
        _companion_options,
        _companion,
    ),
}
