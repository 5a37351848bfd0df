"""Run folders: one process at a time, nothing trusted that was not checked, nothing lost."""

import copy
import errno
import functools
import json
import os
import random
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ROOT, files, main, refused, start
from tiny import TINY

from ddpm_np import _files
from ddpm_np._console import Refused
from ddpm_np.experiments import folder as folders
from ddpm_np.experiments.experiment import from_config
from ddpm_np.experiments.lock import FolderLock
from ddpm_np.experiments.settings import KINDS
from ddpm_np.experiments.training import Training
from ddpm_np.learning.checkpoint import load_checkpoint

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


# ---- the lock ------------------------------------------------------------------------------------


def test_a_lock_is_held_once_and_names_its_holder(tmp_path):
    lock = FolderLock(tmp_path, "--out")
    with pytest.raises(Refused, match=f"process {os.getpid()} on "):
        FolderLock(tmp_path, "--out")
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []
    FolderLock(tmp_path, "--out").release()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    hold = "import sys, time, pathlib\nfrom ddpm_np.experiments.lock import FolderLock\n"
    hold += "lock = FolderLock(pathlib.Path(sys.argv[1]), '--out')\n"
    hold += "print('held', flush=True)\ntime.sleep(60)"
    command = [sys.executable, "-c", hold, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Refused, match=f"process {process.pid} on "):
        FolderLock(tmp_path, "--out")
    process.send_signal(KILL)
    process.communicate()
    assert (tmp_path / "run.lock").exists()
    FolderLock(tmp_path, "--out").release()


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("x")
    (tmp_path / "run.lock").symlink_to("precious")
    with pytest.raises(OSError):
        FolderLock(tmp_path, "--out")
    assert (tmp_path / "precious").read_text() == "x"


def test_a_second_process_is_refused_while_a_run_goes_on(tiny, capsys):
    process = start("run", "--experiment", "curve", "--steps", "10000", "--out", "x")
    while "step" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    for argv in (["run", "--resume", "--out", "x"], ["run", "--out", "x", "--seed", "1"]):
        assert main(*argv) == 2
        error = capsys.readouterr().err
        assert f"x is in use by process {process.pid} on " in error and error.count("\n") == 1
    process.send_signal(KILL)
    process.communicate()
    assert not Path("x/report.json").exists() and Path("x/checkpoint.npz").exists()


def test_of_two_runs_that_start_at_once_one_is_refused(tiny):
    argv = "run", "--experiment", "curve", "--out", "x", "--seed"
    processes = [start(*argv, str(seed)) for seed in range(2)]
    codes = [(p.communicate(), p.returncode)[1] for p in processes]
    assert sorted(codes) == [0, 2]
    seed = codes.index(0)
    assert json.loads(Path("x/report.json").read_text())[
        "seed"
    ] == seed and "run.lock" not in files("x")


# ---- what a folder says about itself -------------------------------------------------------------


def laid(whole, **changed):
    """The files in x, some of them changed."""
    Path("x").mkdir()
    for name, content in {**whole, **changed}.items():
        if content is not None:
            Path("x", name).write_bytes(content)


def test_a_report_is_trusted_only_at_the_last_step(tiny, whole, capsys):
    laid(whole)
    experiment = from_config(json.loads(whole["run.json"])["experiments"][0])
    training = Training(experiment)
    for record in training.run():
        if record.step == 600:
            break
    training.save("x/checkpoint.npz")
    assert main("run", "--resume", "--out", "x") == 0
    out = capsys.readouterr().out
    assert "at step 600 of 1000" in out and "already complete" not in out
    assert files("x")["checkpoint.npz"] == whole["checkpoint.npz"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: b"",
        lambda text: b"[]",
        lambda text: b"\xff" + text,
        lambda text: text.replace(b'"step": 1000', b'"step": 600'),
        lambda text: text.replace(b'"seed": 0', b'"seed": 1'),
        lambda text: text.replace(b'"numbers"', b'"numbres"'),
        lambda text: text.replace(b'"measured": ', b'"measured": "x", "x": '),
    ],
)
def test_a_damaged_report_is_rebuilt(tiny, whole, capsys, damage):
    laid(whole, **{"report.json": damage(whole["report.json"])})
    assert main("run", "--resume", "--out", "x") == 0
    assert "already complete" not in capsys.readouterr().out
    assert numbers("x") == json.loads(whole["report.json"])["numbers"]
    assert files("x")["samples.npz"] == whole["samples.npz"]


def numbers(folder):
    return json.loads(Path(folder, "report.json").read_text())["numbers"]


def test_files_left_by_a_killed_process_are_removed(tiny, whole):
    laid(whole, **{".ddpm_np-00.tmp": b"half"})
    assert main("run", "--resume", "--out", "x") == 0
    assert files("x").keys() == whole.keys()


VALUES = [None, "x", [], {}, -1, 1.5, True, float("nan"), 1e400, 10**400, "../evil"]


def mutations(config, every):
    """Edits of a run.json, each of which must be refused, with the name that the line must hold."""
    first = config["experiments"][0]
    for key in first:
        edited = copy.deepcopy(config)
        del edited["experiments"][0][key]
        yield edited, key
        some = VALUES if every else random.Random(key).sample(VALUES, 4)
        for value in some:
            valid = [("quick", True), ("mirrored", True), ("learning_rate", 1.5), ("max_norm", 1.5)]
            if (key, value) not in [*valid, ("seed", 10**400)]:
                edited = copy.deepcopy(config)
                edited["experiments"][0][key] = value
                yield edited, key
    for edit, name in [
        ({"format": "ddpm_np run 1"}, "format"),
        ({"format": None}, "format"),
        ({"more": 1}, "nothing else"),
        ({"arithmetic": {}}, "arithmetic"),
        ({"experiments": []}, "experiments"),
        ({"experiments": {}}, "experiments"),
        ({"experiments": [1]}, "experiment"),
        ({"experiments": [first, first]}, "each once"),
        ({"experiments": [{**first, "unknown": 1}]}, "unknown"),
        ({"experiments": [{**first, "name": "moon"}]}, "name"),
        ({"experiments": [{**first, "hidden": [6, 0]}]}, "hidden"),
        ({"experiments": [{**first, "hidden": [6.0]}]}, "hidden"),
        ({"experiments": [{**first, "dim": 10**9}]}, "dim"),
        ({"experiments": [{**first, "beta_max": 0}]}, "beta_max"),
        ({"experiments": [{**first, "hidden": [5], "mirrored": True}]}, "even"),
    ]:
        yield {**config, **edit}, name


def test_every_edit_of_run_json_is_refused_by_name(tiny, capsys, whole, pytestconfig):
    laid(whole, **{"checkpoint.npz": None, "report.json": None})
    config, tried = json.loads(whole["run.json"]), 0
    for edited, name in mutations(config, every=pytestconfig.getoption("--long")):
        Path("x/run.json").write_text(json.dumps(edited))
        error = refused(capsys, "run", "--resume", "--out", "x")
        assert "run.json" in error and name in error, edited
        tried += 1
    assert tried > 90


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"null",
        b"3",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b" " * (10**6 + 1),
    ],
)
def test_a_run_json_that_is_no_configuration_is_refused(tiny, capsys, whole, content):
    laid(whole, **{"run.json": content})
    assert "run.json" in refused(capsys, "run", "--resume", "--out", "x")


def test_another_setting_of_a_run_with_a_checkpoint_is_refused(tiny, capsys, whole):
    config = json.loads(whole["run.json"])
    for key, value in [("seed", 1), ("steps", 2000), ("samples", 21), ("ema_decay", 0.5)]:
        Path("x").exists() or laid(whole)
        edited = copy.deepcopy(config)
        edited["experiments"][0][key] = value
        Path("x/run.json").write_text(json.dumps(edited))
        assert f"its {key} is" in refused(capsys, "run", "--resume", "--out", "x")


def test_experiments_are_checked_where_they_are_made():
    for change in (
        {"name": "moon"},
        {"hidden": ()},
        {"steps": 0},
        {"samples": 1},
        {"seed": True},
        {"quick": 1},
        {"beta_max": 1.0},
        {"ema_decay": 1.0},
        {"activation": "relu"},
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            replace(TINY["curve"], **change)
        assert next(iter(change)) in str(caught.value)


# ---- checkpoints of another run ------------------------------------------------------------------


@functools.cache
def at_step_301():
    training = Training(replace(TINY["ensemble"], steps=450))
    for record in training.run():
        if record.step == 301:
            return training


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda t: setattr(t.state, "step", 451), "step 451"),
        (lambda t: setattr(t.state.ema, "decay", 0.5), "network differs"),
        (
            lambda t: [
                setattr(owner, "schedule", replace(t.experiment, beta_max=0.2).schedule())
                for owner in (t, t.state.network)
            ],
            "schedule or network differs",
        ),
        (lambda t: setattr(t, "experiment", replace(t.experiment, seed=1)), "its seed is 1, not 0"),
        (lambda t: setattr(t, "losses", t.losses[:-1]), "losses"),
        (lambda t: setattr(t, "losses", None), "losses"),
        (lambda t: setattr(t, "losses", [None] * 150), "losses"),
        (lambda t: setattr(t, "losses", ["x"] * 150), "losses"),
        (lambda t: setattr(t, "block", []), "block"),
        (lambda t: setattr(t, "block", [-1.0]), "block"),
    ],
)
def test_a_checkpoint_that_does_not_fit_its_experiment_is_refused(tmp_path, change, said):
    training = copy.deepcopy(at_step_301())
    experiment = training.experiment
    training.save(tmp_path / "c")
    assert Training.load(tmp_path / "c", experiment).block == training.block
    change(training)
    training.save(tmp_path / "c")
    with pytest.raises(ValueError, match=said) as caught:
        Training.load(tmp_path / "c", experiment)
    assert str(tmp_path / "c") in str(caught.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    training, other = at_step_301(), Training(replace(TINY["ensemble"], steps=450, hidden=(8,)))
    other.experiment = training.experiment
    other.save(tmp_path / "c")
    with pytest.raises(ValueError, match="schedule or network differs"):
        Training.load(tmp_path / "c", training.experiment)


# ---- disks that fail -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fails_at",
    [n if n in (1, 3, 6, 9) else pytest.param(n, marks=pytest.mark.long) for n in range(10)],
)
def test_a_full_disk_is_told_with_file_step_and_how_to_continue(
    tiny, short, capsys, monkeypatch, fails_at
):
    monkeypatch.setattr(folders, "CHECKPOINT_EVERY", 12)
    calls, fsync = [], _files.os.fsync

    def full(handle):
        calls.append(handle)
        if len(calls) == fails_at + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(_files.os, "fsync", full)
    argv = ["run", "--experiment", "curve", "--out", "x"]
    code = main(*argv)
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "No space left on device" in error
    if fails_at < 2:  # the first file of all: there is no run yet
        assert code == 1 and "x/run.json" in error
    else:
        assert code == 1 and "--resume --out x" in error and "is kept" in error
        assert re.search(r"step (0|12|24|30) of 30 is kept", error)
    monkeypatch.setattr(_files.os, "fsync", fsync)
    assert not [name for name in files("x") if name.endswith((".tmp", ".lock"))]
    resume = Path("x/run.json").exists()
    assert main(*(["run", "--resume", "--out", "x"] if resume else argv)) == 0
    assert files("x")["checkpoint.npz"] == short["checkpoint.npz"]
    assert numbers("x") == json.loads(short["report.json"])["numbers"]


@pytest.mark.E16
def test_an_interrupt_saves_the_step_at_which_it_came_and_the_rest_is_the_same(
    tiny, short, capsys, monkeypatch
):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    run = Training.run

    def interrupted(training):
        for record in run(training):
            if record.step == 17:
                signal.raise_signal(signal.SIGINT)
            yield record

    monkeypatch.setattr(Training, "run", interrupted)
    try:
        assert main("run", "--experiment", "curve", "--out", "x") == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopped at step 17 of 30 of curve, saved" in capsys.readouterr().err
    assert load_checkpoint("x/checkpoint.npz", KINDS).state.step == 17
    monkeypatch.setattr(Training, "run", run)
    assert main("run", "--resume", "--out", "x") == 0
    assert files("x")["checkpoint.npz"] == short["checkpoint.npz"]
    reports = json.loads(Path("x/report.json").read_text()), json.loads(short["report.json"])
    for key in ("numbers", "training_loss"):
        assert reports[0][key] == reports[1][key]


# ---- killed at random (the long form is tests/hostile.py) ----------------------------------------


def test_runs_killed_anywhere_end_with_the_same_bits(tiny, whole):
    rng = random.Random(13)
    argv = ["run", "--experiment", "curve", "--steps", "1000", "--out", "x"]
    for _ in range(2):
        resume = Path("x/run.json").exists()
        process = start(*(["run", "--resume", "--out", "x"] if resume else argv))
        for _ in range(rng.randrange(1, 8)):  # lines that it may still print
            process.stdout.readline()
        process.send_signal(KILL)
        process.communicate()
    assert main("run", "--resume", "--out", "x") == 0
    assert files("x")["checkpoint.npz"] == whole["checkpoint.npz"]
    assert numbers("x") == json.loads(whole["report.json"])["numbers"]
    assert files("x").keys() == whole.keys()
