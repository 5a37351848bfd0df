"""The commands that train and draw: ``run`` and ``sample``."""

import argparse
import sys
from pathlib import Path

from ddpm_np._console import (
    DONE,
    Arguments,
    Command,
    Failed,
    Refused,
    check_new,
    path_text,
    refusing,
    say,
    whole,
)

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
        type=path_text,
        metavar="FILE",
        help="train on the signals of a .npy, .npz or .csv file: (n, dim) finite numbers",
    )
    run.add_argument(
        "--out",
        type=path_text,
        metavar="DIR",
        help="folder for the results (default: a new numbered folder under runs/)",
    )
    run.add_argument("--seed", type=whole(0), metavar="N", help="random seed (default: 0)")
    run.add_argument("--steps", type=whole(1), metavar="N", help="training steps per experiment")
    run.add_argument("--batch-size", type=whole(1), metavar="N", help="signals in a step")
    run.add_argument("--T", type=whole(2), metavar="N", help="steps of diffusion (default: 100)")
    run.add_argument(
        "--schedule",
        dest="noise",
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
    from ddpm_np.experiments.folder import RunFolder
    from ddpm_np.experiments.own import Own
    from ddpm_np.experiments.settings import option

    one, data = arguments.experiment, arguments.data
    names = "seed", "steps", "batch_size", "T", "noise"
    settings = {name: getattr(arguments, name) for name in names}
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
                raise Refused(f"argument --{option(name)}: {rest}") from None
            raise Refused(f"argument --{'data: ' if data else ''}{error}") from None
        folder = RunFolder.new(arguments.out, experiments)
    folder.complete()
    return DONE


# ---- sample ------------------------------------------------------------------------------------


def _sample_options(sample: argparse.ArgumentParser) -> None:
    sample.add_argument(
        "run",
        type=path_text,
        metavar="RUN",
        help="folder with one trained network, such as runs/001/curve, or its checkpoint.npz",
    )
    sample.add_argument(
        "-n", type=whole(1), default=16, metavar="N", help="number of samples (default: 16)"
    )
    sample.add_argument(
        "--out",
        type=path_text,
        required=True,
        metavar="FILE",
        help="new file with the samples (n, dim): .npy, .csv, or else an .npz that calls them "
        "samples",
    )
    sample.add_argument("--plot", action="store_true", help="draw them, in a .png beside FILE")
    sample.add_argument(
        "--seed", type=whole(0), default=0, metavar="N", help="random seed (default: 0)"
    )
    sample.add_argument(
        "--sampler",
        choices=["ancestral", "ddim"],
        default="ancestral",
        help="ancestral sampling or DDIM (default: ancestral)",
    )
    sample.add_argument(
        "--sampler-steps",
        type=whole(1),
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
        check_new(path)
    if not out.parent.is_dir():
        raise Refused(f"argument --out: must be in an existing folder, got {out}")
    if picture == out:
        raise Refused(f"argument --out: must be the file of the numbers, got {out}")
    if picture is not None and not _figure_style.available():
        raise Failed(f"argument --plot: {_figure_style.MISSING}")
    with refusing("argument RUN: "):
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


RUN = Command(
    "train on the notes' signals, on rings or on your own, and write a report", _run_options, _run
)
SAMPLE = Command("draw samples from the averaged weights of a run", _sample_options, _sample)
