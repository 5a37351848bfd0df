"""What can go wrong around a run: its folder, its disk, its process, and what is not installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ROOT, files, main, refused, start
from tiny import TINY

from ddpm_np import _figure_style
from ddpm_np._console import Failed
from ddpm_np.experiments import folder as folders
from ddpm_np.experiments import machine
from ddpm_np.experiments.lock import FolderLock
from ddpm_np.experiments.report import is_reported, write_report
from ddpm_np.experiments.settings import KINDS
from ddpm_np.experiments.training import Training
from ddpm_np.learning.checkpoint import load_checkpoint

RUN = ["run", "--experiment", "curve", "--steps", "8000", "--out", "x"]
long = pytest.mark.long
linux = pytest.mark.skipif(sys.platform != "linux", reason="devices, signals and limits of Linux")


def shell(line, **environment):
    """A command line of the shell, in which $RUN is the tiny program."""
    program = f"{sys.executable} {ROOT / 'tests' / 'tiny.py'}"
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "RUN": program, **environment}
    return subprocess.run(line, shell=True, capture_output=True, text=True, env=settings)


def one_line(text):
    assert text.count("\n") == 1 and "Traceback" not in text, text
    return text


# ---- a folder that is no longer this run's -------------------------------------------------------


@linux
@pytest.mark.parametrize(
    "then",
    [*(pytest.param(t, marks=long) for t in ("moved", "lock deleted")), "moved and made again"],
)
def test_a_run_whose_folder_is_another_stops_and_writes_no_more(tiny, then):
    process = start(*RUN)
    while "step" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    if then == "lock deleted":
        Path("x/run.lock").unlink()
    else:
        Path("x").rename("y")
    if then == "moved and made again":
        assert main("run", "--experiment", "ensemble", "--out", "x") == 0
        shutil.copy("y/run.json", "before")
    kept = files("x") if Path("x").exists() else {}
    error = one_line(process.communicate()[1])
    assert process.returncode == 1 and "x/run.lock is not the lock of this run any more" in error
    if then == "lock deleted":
        assert Path("x/checkpoint.npz").exists()
    else:
        assert "--resume --out" in error and str(Path("y").absolute()) in error
        assert (files("x") if Path("x").exists() else {}) == kept
        assert not list(Path("y").glob("*.tmp"))
    assert not Path("x/report.json").exists() or then == "moved and made again"


def test_a_lock_that_was_taken_over_is_not_removed(tmp_path):
    ours = FolderLock(tmp_path, "--out")
    (tmp_path / "run.lock").unlink()
    theirs = FolderLock(tmp_path, "--out")
    with pytest.raises(Failed, match="not the lock of this run"):
        ours.check()
    ours.release()
    assert (tmp_path / "run.lock").exists()
    theirs.check()
    theirs.release()
    assert not list(tmp_path.iterdir())


# ---- the disk and the streams --------------------------------------------------------------------


@linux
@pytest.mark.parametrize(
    "line",
    [
        "$RUN run --help > /dev/full",
        "$RUN run --experiment curve --out x > /dev/full",
        *(pytest.param(f"$RUN {c} > /dev/full", marks=long) for c in ("--version", "errata")),
    ],
)
def test_standard_output_on_a_full_disk_is_told_and_leaves_no_lock(tiny, line):
    done = shell(line)
    assert done.returncode == 1 and "No space left" in one_line(done.stderr)
    assert not Path("x/run.lock").exists()


@linux
def test_a_folder_on_a_full_disk_has_the_exit_code_of_a_full_disk(tiny):
    done = shell("mkdir x && ulimit -f 0 && trap '' XFSZ && $RUN run --experiment curve --out x")
    assert done.returncode == 1 and "x/run.json: File too large" in one_line(done.stderr)
    assert not files("x")


def test_too_little_memory_is_one_line(tiny, monkeypatch, capsys):
    def short(self, training, networks):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr(type(TINY["curve"]), "evaluate", short)
    assert main("run", "--experiment", "curve", "--out", "x") == 1
    assert "not enough memory" in one_line(capsys.readouterr().err)
    assert "run.lock" not in files("x")


# ---- signals -------------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=long)])
def test_the_end_of_a_job_or_a_terminal_saves_as_an_interrupt_does(tiny, number):
    # The tests may themselves run under nohup, which a child inherits.
    process = start(*RUN, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    while "step" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.send_signal(number)
    error = one_line(process.communicate()[1])
    step = load_checkpoint("x/checkpoint.npz", KINDS).state.step
    assert process.returncode == 130 and error.startswith(f"stopped at step {step} of 8000")
    assert "run.lock" not in files("x")


@linux
@long
def test_a_run_under_nohup_ignores_the_terminal(tiny):
    process = start(*RUN, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    while "step 1600/" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.kill()
    process.communicate()


# ---- results that are not whole ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, damage", [("loss.png", "empty"), ("samples.npz", "cut"), ("report.md", "deleted")]
)
def test_results_that_are_missing_or_not_whole_are_made_again(
    tiny, quick_pictures, monkeypatch, name, damage
):
    monkeypatch.setattr(_figure_style, "available", lambda: True)
    monkeypatch.setattr(
        type(TINY["curve"]),
        "pictures",
        lambda *args: ((n, _figure_style.new_figure()[0]) for n in ("samples", "loss")),
    )
    main("run", "--experiment", "curve", "--out", "x")
    whole, path = files("x"), Path("x", name)
    path.unlink() if damage == "deleted" else path.write_bytes(whole[name][: -(damage == "cut")])
    assert main("run", "--resume", "--out", "x") == 0
    again = files("x")
    assert again.keys() == whole.keys()
    assert name == "report.md" or again[name] == whole[name]


def test_a_report_is_whole_only_with_all_of_its_files(tmp_path):
    training = Training(replace(TINY["curve"], steps=1))
    found = training.experiment.evaluate(training, {})
    next(training.run())
    times = {"training_s": 1.0, "from_step": 0, "measuring_s": 1.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_figure_style, "available", lambda: False)
        write_report(tmp_path, tmp_path, training.experiment, training, found, times)
    assert is_reported(tmp_path, training.experiment)
    assert not is_reported(tmp_path, replace(training.experiment, seed=1))
    for name in ("samples.npz", "report.md"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1])
        assert not is_reported(tmp_path, training.experiment)
        (tmp_path / name).write_bytes(content)


def test_what_a_killed_run_left_in_any_of_its_folders_is_removed(tiny):
    main("run", "--out", "x")
    for folder in ("x", "x/curve", "x/ensemble"):
        Path(folder, ".ddpm_np-0123456789abcdef.tmp").write_text("half")
    assert main("run", "--resume", "--out", "x") == 0
    assert not [name for name in files("x") if name.endswith(".tmp")]


def test_a_folder_in_the_place_of_a_report_is_refused(curve, capsys):
    Path("x/report.json").unlink()
    Path("x/report.json").mkdir()
    capsys.readouterr()
    assert "x/report.json must be a file" in refused(capsys, "run", "--resume", "--out", "x")


# ---- what is not there, or not as it was ---------------------------------------------------------


@pytest.mark.parametrize(
    "package, argv",
    [
        ("scipy", ["run", "--out", "x"]),
        *(pytest.param("scipy", [command], marks=long) for command in ("errata", "verify")),
        # tests/test_style.py has a short form of it
        pytest.param("matplotlib", ["run", "--out", "x"], marks=long),
    ],
)
def test_without_a_package_one_line_says_what_to_install(tmp_path, package, argv):
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv = ['x']\n"
        "from tiny import TINY; from ddpm_np.experiments import experiment\n"
        "experiment.EXPERIMENTS.update(TINY)\n"
        "from ddpm_np.cli import main\n"
        f"sys.exit(main({argv!r}))"
    )
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    settings = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": paths}, "text": True}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, **settings)
    if package == "scipy":
        assert done.returncode == 1 and "pip install" in one_line(done.stderr)
        assert "scipy is not installed" in done.stderr
    else:
        assert done.returncode == 0 and "Traceback" not in done.stderr
        assert done.stdout.count("matplotlib is not installed") == 1


def test_other_kernels_or_threads_are_told_on_resume(tiny, monkeypatch, capsys):
    known = machine.arithmetic()
    assert known.keys() == {"BLAS", "kernels", "threads"}
    main("run", "--experiment", "curve", "--out", "x")
    assert json.loads(Path("x/run.json").read_text())["arithmetic"] == known
    capsys.readouterr()
    main("run", "--resume", "--out", "x")
    assert "note:" not in capsys.readouterr().out
    monkeypatch.setattr(folders, "arithmetic", lambda: {**known, "threads": 7})
    main("run", "--resume", "--out", "x")
    said = capsys.readouterr().out
    assert said.count("note:") == 1 and "threads" in said and "goes on with 7" in said


# ---- which run is resumed ------------------------------------------------------------------------


def test_resume_alone_takes_the_newest_unfinished_run(tiny, capsys):
    assert "no unfinished run" in refused(capsys, "run", "--resume")
    for _ in range(3):
        main("run", "--experiment", "curve")
    for number in ("001", "002"):
        Path("runs", number, "report.json").unlink()
    Path("runs/notes").mkdir()
    Path("runs/004").mkdir()
    capsys.readouterr()
    assert main("run", "--resume") == 0
    assert "run in runs/002" in capsys.readouterr().out
    assert Path("runs/002/report.json").exists() and not Path("runs/001/report.json").exists()


def test_the_report_names_the_real_folder_and_the_last_line_the_page_above_all(tiny, capsys):
    main("run", "--out", "a b")
    assert capsys.readouterr().out.splitlines()[-1] == "report in a b/report.md"
    page = Path("a b/curve/report.md").read_text()
    assert "run --resume --out 'a b'\n" in page and "sample 'a b/curve/checkpoint.npz'" in page
    assert TINY.keys() == {"curve", "ensemble"}
