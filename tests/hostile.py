"""The long hunt for what breaks files, runs, command lines and functions.

    python tests/hostile.py files 20000       damaged and forged checkpoints
    python tests/hostile.py calls 20000       functions with one argument that makes no sense
    python tests/hostile.py commands 1500     command lines put together at random
    python tests/hostile.py kills 100         a run that is killed again and again, and resumed
    python tests/hostile.py faults 150        a run whose disk fails at one call after the other

Each prints how many it tried and what went wrong, and exits with 1 if anything did. ``--seed``
gives other ones. The suite runs a short form of each.
"""

import argparse
import contextlib
import errno
import io
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from commands import files, main, start  # noqa: E402
from hostile_calls import hunt  # noqa: E402
from tiny import TINY  # noqa: E402

from ddpm_np import _figure_style, _files  # noqa: E402
from ddpm_np.experiments import experiment as experiments  # noqa: E402
from ddpm_np.experiments import folder as folders  # noqa: E402
from ddpm_np.experiments.settings import KINDS  # noqa: E402
from ddpm_np.experiments.training import Training  # noqa: E402
from ddpm_np.learning.checkpoint import load_checkpoint  # noqa: E402

RUN = ["run", "--experiment", "curve", "--steps", "300", "--out", "x"]
RESUME = ["run", "--resume", "--out", "x"]


# ---- files -------------------------------------------------------------------------------------


def damaged(content, rng):
    """The bytes with one kind of damage: cut, flipped, overwritten, repeated or mixed up."""
    i, j = sorted(rng.randrange(len(content)) for _ in range(2))
    j = min(j, i + 200)
    kind = rng.randrange(6)
    if kind == 0:
        return content[:i]
    if kind == 1:
        return content[:i] + bytes([content[i] ^ (1 << rng.randrange(8))]) + content[i + 1 :]
    if kind == 2:
        return content[:i] + rng.randbytes(j - i) + content[j:]
    if kind == 3:
        return content[:i] + content[j:]
    if kind == 4:
        return content[:j] + content[i:]
    return content[:i] + rng.choice([b"\0", b"\xff"]) * (j - i) + content[j:]


def hunt_files(number, seed):
    """Loads damaged checkpoints: a ValueError of one line with the name, or the same weights."""
    rng, wrong = random.Random(seed), []
    path = Path("checkpoint.npz")
    training = Training(TINY["curve"])
    training.save(path)
    content, weights = path.read_bytes(), training.state.network.flat
    for _ in range(number):
        path.write_bytes(damaged(content, rng))
        try:
            loaded = load_checkpoint(path, KINDS).state.network.flat
        except ValueError as error:
            if str(path) not in str(error) or "\n" in str(error):
                wrong.append(f"ValueError without the name, or of two lines: {error}")
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        else:
            if not np.array_equal(loaded, weights):
                wrong.append("other weights were loaded")
    return wrong


# ---- command lines -----------------------------------------------------------------------------

COMMANDS = ["", *"run sample demo errata companion check moon --version -h".split()]
OPTIONS = (
    "--experiment --out --seed --steps --quick --resume -n --sampler --sampler-steps --lang --help"
    " --data --T --schedule --batch-size --plot --lr -x --"
).split()
WORDS = (
    "curve ensemble x x/checkpoint.npz x/run.json y nowhere/s.npz . 0 1 -1 7 1e3 nan 如何 /dev/null"
    " /dev/zero ancestral ddim N2:351 zh math:sqrt sun averaging"
    " E10 s.npy s.csv bad.csv - cosine"
).split()
WORDS += ["", "\udcff", "\0", "a\nb", "9" * 400, "9" * 5000, "a" * 300, "x" * 40 + "/" + "y" * 40]


def complaint_about(argv):
    """What is wrong with how a command line ends: a traceback, or a refusal of several lines."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = main(*argv)
        except BaseException as raised:
            return f"{type(raised).__name__}: {raised}"
    lines = error.getvalue().splitlines()
    refused = [line for line in lines if not line.startswith(("curve:", "ensemble:"))]
    if code not in (0, 1, 2) or (code == 2 and len(refused) != 1):
        return f"exit code {code}, {len(refused)} lines on standard error"
    return None


def hunt_commands(number, seed):
    """Command lines of known and unknown words: exit code 0, 1 or 2, and one line if refused."""
    rng, wrong = random.Random(seed), []
    main("run", "--experiment", "curve", "--out", "x")
    np.savetxt("s.csv", np.random.default_rng(0).standard_normal((9, 3)), delimiter=",")
    Path("bad.csv").write_text("1,2\n3,four\n")
    for _ in range(number):
        argv = [rng.choice(COMMANDS)]
        for _ in range(rng.randrange(6)):
            argv.append(rng.choice(OPTIONS if rng.random() < 0.5 else WORDS))
        if argv[0] == "demo" and {"averaging", "all"} & {*argv}:
            continue  # it draws for a second, with nothing to refuse
        if argv == ["errata"]:
            continue  # a second, too, and tests/test_errata.py looks at what it prints
        if argv[0] == "companion" and "--help" not in argv:
            continue
        if "--data" in argv:
            argv += ["--steps", "9"]  # and not the thousands of a user's run
        said = complaint_about(argv)
        if said is not None:
            wrong.append(f"{argv}: {said}")
    return wrong


# ---- kills and faults --------------------------------------------------------------------------


def whole_run():
    """The files of the run when nothing disturbs it."""
    if main(*RUN) != 0:
        raise RuntimeError("the undisturbed run failed")
    found = files("x")
    empty("x")
    return found


def empty(folder):
    """Removes the folder and all that is in it."""
    for path in sorted(Path(folder).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    Path(folder).rmdir()


def same(found, wanted):
    """What differs between two runs, apart from the times in the report and its length."""
    times = rb"_s\": [0-9.e-]+|[0-9.]+ s\b|\"from_step\": \d+| \(resumed.*?\)|\"report.md\": \d+"
    if found.keys() != wanted.keys():
        return f"other files: {sorted(found.keys() ^ wanted.keys())}"
    for name in found:
        if re.sub(times, b"", found[name]) != re.sub(times, b"", wanted[name]):
            return f"another {name}"
    return None


def hunt_kills(number, seed):
    """Kills a run after a random number of its lines, until it is complete, again and again."""
    rng, wrong, wanted = random.Random(seed), [], whole_run()
    kill = getattr(signal, "SIGKILL", signal.SIGTERM)
    for _ in range(number):
        resume = Path("x/run.json").exists()
        process = start(*(RESUME if resume else RUN), stderr=subprocess.STDOUT)
        for _ in range(rng.randrange(16)):
            process.stdout.readline()
        process.send_signal(kill)
        if "Traceback" in process.communicate()[0]:
            wrong.append("a traceback")
        if rng.random() < 0.3 or Path("x/report.json").exists():
            if main(*(RESUME if Path("x/run.json").exists() else RUN)) != 0:
                wrong.append("it could not be resumed")
            difference = same(files("x"), wanted)
            if difference:
                wrong.append(difference)
            empty("x")
    return wrong


@contextlib.contextmanager
def failing(at, code):
    """Lets the call number ``at`` that writes to the disk fail; yields the calls so far."""
    calls = []
    kept = {name: getattr(os, name) for name in ("fsync", "replace", "open")}

    def wrapped(name):
        def call(*args, **options):
            if args and (name != "open" or str(args[0]).startswith("x")):
                calls.append(1)
                if len(calls) == at:
                    raise OSError(code, os.strerror(code), *map(str, args[:1]))
            return kept[name](*args, **options)

        return call

    for name in kept:
        setattr(_files.os, name, wrapped(name))
    try:
        yield calls
    finally:
        for name, call in kept.items():
            setattr(_files.os, name, call)


def hunt_faults(number, seed):
    """Lets one call after the other fail: one line, nothing lost, and the same run in the end."""
    wrong, wanted = [], whole_run()
    codes = errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT
    for trial in range(number):
        with failing(1 + trial // len(codes), codes[(trial + seed) % len(codes)]):
            said = complaint_about(RUN)
        if said is not None:
            wrong.append(f"trial {trial}: {said}")
        left = [name for name in files("x")] if Path("x").exists() else []
        if any(name.endswith(".tmp") for name in left):
            wrong.append(f"trial {trial}: half a file was left")
        said = complaint_about(RESUME if "run.json" in left else RUN) or same(files("x"), wanted)
        if said is not None:
            wrong.append(f"trial {trial}, resumed: {said}")
        empty("x")
    return wrong


# ---- the command -------------------------------------------------------------------------------


def hunt_calls(number, seed):
    return [f"{' '.join(what)}, given {value}" for what, value in hunt(number, seed)[1].items()]


HUNTS = {
    "files": hunt_files,
    "calls": hunt_calls,
    "commands": hunt_commands,
    "kills": hunt_kills,
    "faults": hunt_faults,
}


def hunted(name, number, seed=0):
    """What one hunt finds, in an empty folder with the tiny experiments."""
    before, kept = os.getcwd(), dict(experiments.EXPERIMENTS)
    available, every = _figure_style.available, folders.CHECKPOINT_EVERY
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        experiments.EXPERIMENTS.update(TINY)
        _figure_style.available, folders.CHECKPOINT_EVERY = lambda: False, 100
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                return HUNTS[name](number, seed)
        finally:
            os.chdir(before)
            experiments.EXPERIMENTS.update(kept)
            _figure_style.available, folders.CHECKPOINT_EVERY = available, every


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hunt", choices=HUNTS)
    parser.add_argument("number", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found = hunted(given.hunt, given.number, given.seed)
    print(f"{given.hunt}: {given.number} tried with seed {given.seed}, {len(found)} went wrong")
    for line in found[:50]:
        print(f"  {line[:300]}")
    sys.exit(bool(found))
