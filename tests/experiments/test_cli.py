"""The command line: what a run leaves, how it is resumed, and what is refused."""

import io
import json
import os
import runpy
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import files, main, refused, start
from tiny import TINY

import ddpm_np
from ddpm_np import _figure_style
from ddpm_np.experiments import experiment as experiments
from ddpm_np.experiments import saved
from ddpm_np.experiments.runs import next_numbered
from ddpm_np.experiments.settings import KINDS
from ddpm_np.experiments.training import Training
from ddpm_np.learning.checkpoint import load_checkpoint
from ddpm_np.learning.fast import denoiser
from ddpm_np.learning.threads import CHOSEN
from ddpm_np.sampling import ancestral_sample, ddim_sample
from ddpm_np.training import Divergence

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows has one way only to end a process
LONG = 4000  # steps of a tiny training that lasts long enough to be stopped in the middle


def weights(path):
    state = load_checkpoint(path, KINDS).state
    return [state.network.flat, state.optimizer.m, state.optimizer.v, state.ema.average]


# ---- run -----------------------------------------------------------------------------------------


@pytest.mark.E16
def test_both_experiments_leave_their_files_and_a_page_above_them(tiny, capsys):
    assert main("run") == 0
    assert capsys.readouterr().out.count("matplotlib is not installed") == 1
    left = files("runs/001")
    each = {"checkpoint.npz", "report.json", "report.md", "samples.npz"}
    below = {f"{experiment}/{file}" for experiment in TINY for file in each}
    assert left.keys() == {"run.json", "report.json", "report.md", *below}
    with np.load("runs/001/ensemble/samples.npz") as arrays:
        assert arrays["samples"].shape == arrays["data"].shape == (20, 6)
    assert load_checkpoint("runs/001/curve/checkpoint.npz", KINDS).state.step == 30


def test_one_experiment_fills_the_folder_itself(tiny):
    assert main("run", "--experiment", "curve", "--out", "a/b") == 0
    wanted = {"run.json", "checkpoint.npz", "report.json", "report.md", "samples.npz"}
    assert files("a/b").keys() == wanted


def test_numbered_folders_go_up_from_the_highest(tiny):
    for name in ("runs/007", "runs/notes"):
        Path(name).mkdir(parents=True)
    main("run", "--experiment", "curve")
    assert Path("runs/008/report.md").exists()


def test_numbered_folders_are_never_shared(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(next_numbered, [tmp_path] * 24))
    assert len(set(made)) == 24


def test_quick_takes_its_own_number_of_steps_unless_told(tiny):
    quick = TINY["curve"].variant(quick=True)
    assert (quick.steps, quick.samples) == (500, 500)
    assert TINY["curve"].variant(quick=True, steps=3).steps == 3


# ---- stop and resume -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A long tiny run that never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    process = start("run", "--experiment", "ensemble", "--steps", str(LONG), "--out", str(folder))
    out, error = process.communicate()
    assert process.returncode == 0, error
    return folder


@pytest.mark.E16
@pytest.mark.long  # short forms: one interrupt and some kills in test_folder.py
@pytest.mark.parametrize("stop", [KILL, signal.SIGINT])
def test_a_stopped_run_resumes_bit_for_bit(tiny, capsys, uninterrupted, stop):
    process = start("run", "--experiment", "ensemble", "--steps", str(LONG), "--out", "x")
    while "step 800/" not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    process.send_signal(stop)
    _, error = process.communicate()
    assert "Traceback" not in error
    step = load_checkpoint("x/checkpoint.npz", KINDS).state.step
    if stop == signal.SIGINT:
        assert process.returncode == 130
        assert error.startswith(f"stopped at step {step} of {LONG}") and error.count("\n") == 1
        assert "--resume --out x" in error
    else:
        assert step % 700 == 0, "a kill leaves the last periodic checkpoint"
    assert 0 < step < LONG and not Path("x/report.json").exists()

    assert main("run", "--resume", "--out", "x") == 0
    whole = weights(uninterrupted / "checkpoint.npz")
    assert all(map(np.array_equal, weights("x/checkpoint.npz"), whole))
    reports = (Path(folder) / "report.json" for folder in ("x", uninterrupted))
    numbers = [json.loads(report.read_text()) for report in reports]
    assert numbers[0]["numbers"] == numbers[1]["numbers"]
    assert numbers[0]["training_loss"] == numbers[1]["training_loss"]


def test_a_run_killed_before_its_first_checkpoint_resumes(tiny):
    main("run", "--out", "whole")
    main("run", "--out", "x")
    for path in (
        "x/report.md",
        "x/report.json",
        *(
            f"x/{name}/{file}"
            for name, file in [
                ("curve", "report.json"),
                ("ensemble", "report.json"),
                ("ensemble", "checkpoint.npz"),
            ]
        ),
    ):
        Path(path).unlink()
    assert main("run", "--resume", "--out", "x") == 0
    assert files("x")["ensemble/checkpoint.npz"] == files("whole")["ensemble/checkpoint.npz"]
    assert files("x").keys() == files("whole").keys()


def test_resuming_a_complete_run_changes_nothing(tiny, capsys):
    main("run", "--out", "x", "--seed", 4)
    before = files("x")
    assert main("run", "--resume", "--out", "x", "--seed", 4) == 0
    assert files("x") == before
    assert capsys.readouterr().out.count("already complete") == 2


def test_divergence_stops_with_the_step_and_keeps_the_checkpoint(tiny, capsys, monkeypatch):
    wild = replace(TINY["ensemble"], learning_rate=1e38)
    monkeypatch.setitem(experiments.EXPERIMENTS, "ensemble", wild)
    assert main("run", "--experiment", "ensemble", "--out", "x") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ensemble: the loss is") and error.count("\n") == 1
    assert "try a lower learning_rate" in error
    assert "x/checkpoint.npz keeps step 0" in error
    assert np.isfinite(load_checkpoint("x/checkpoint.npz", KINDS).state.network.flat).all()


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["errata"], marks=pytest.mark.long),
        ["run", "--experiment", "curve", "--out", "x"],
    ],
)
def test_a_reader_that_leaves_does_no_harm(tiny, argv):
    process = start(*argv)
    process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait() == 0 and error == ""
    process.stderr.close()
    assert argv[0] != "run" or Path("x/report.json").exists()


# ---- the parser itself ---------------------------------------------------------------------------


def test_without_a_command_it_shows_the_help(tiny, capsys):
    assert main() == 0
    assert "COMMAND" in capsys.readouterr().out


def test_it_tells_its_version(capsys):
    assert main("--version") == 0
    assert capsys.readouterr().out == f"ddpm_np {ddpm_np.__version__}\n"


USAGE = """
run [--experiment {curve,ensemble,rings} | --data FILE] [--out DIR] [--seed N] [--steps N]
 [--batch-size N] [--T N] [--schedule {sigmoid,linear,cosine}] [--quick] [--resume]
sample [-n N] --out FILE [--plot] [--seed N] [--sampler {ancestral,ddim}] [--sampler-steps N] RUN
demo [--out DIR] [--seed N] [NAME]
verify
errata [--lang {en,zh}] [PLACE]
check [--markdown] MODULE:OBJECT
companion [--out FILE]
"""


@pytest.mark.parametrize("usage", USAGE.replace("\n ", " ").strip().splitlines())
def test_the_help_of_every_command_shows_all_of_its_options(capsys, monkeypatch, usage):
    monkeypatch.setenv("COLUMNS", "300")
    command = usage.split()[0]
    assert main(command, "--help") == 0
    shown = capsys.readouterr().out.splitlines()[0].replace(" [-h]", "")
    assert shown == f"usage: python -m ddpm_np {usage}"


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv, names",
    [
        (["fly"], "fly"),
        (["run", "--experiment", "moon"], "--experiment"),
        (["run", "--steps", "0"], "--steps"),
        (["run", "--steps", "1e3"], "--steps"),
        (["run", "--steps", "1" + "0" * 400], "--steps"),
        (["run", "--steps", "9" * 5000], "--steps"),
        (["run", "--seed", "1\n2"], "--seed"),
        (["run", "--out", "a\0b"], "--out"),
        (["run", "--out", "a" * 300], "--out"),
        (["run", "--resume", "--out", "a" * 300], "--resume"),
        (["sample", "a" * 300, "--out", "s.npz"], "File name too long"),
        (["run", "--seed", "-1"], "--seed"),
        (["run", "--seed", "nan"], "--seed"),
        (["run", "--lr", "1"], "--lr"),
        (["run", "--resume"], "--out"),
        (["run", "--resume", "--out", "nowhere"], "nowhere"),
        (["run", "--resume", "--out", "file"], "file"),
        (["run", "--out", "file"], "file"),
        (["run", "--out", "file/x"], "file"),
        (["sample"], "RUN"),
        (["sample", "file", "--out", "s.npz"], "file"),
        (["sample", "nowhere.npz", "--out", "s.npz"], "nowhere.npz"),
        (["sample", ".", "--out", "s.npz"], ". must hold one trained network"),
        (["sample", "file", "--out", "file"], "--out"),
        (["sample", "file", "--out", "nowhere/s.npz"], "--out"),
        (["sample", "file", "-n", "0", "--out", "s.npz"], "-n"),
        (["demo", "sun"], "averaging"),
        (["errata", "N9:1"], "place must be a note and its line"),
        (["errata", "N2:351", "N2:352"], "unknown arguments"),
        (["errata", "--lang", "de"], "must be one of en, zh, got 'de'"),
        (["demo", "averaging", "--seed", "x"], "--seed"),
    ],
)
def test_bad_input_is_refused_in_one_line(tiny, capsys, argv, names):
    Path("file").write_text("not ours")
    assert names in refused(capsys, *argv)


def test_resuming_with_another_configuration_is_refused_by_name(curve, capsys):
    for option in (("--seed", 1), ("--steps", 31), ("--quick",), ("--experiment", "ensemble")):
        assert option[0] in refused(capsys, "run", "--resume", "--out", "x", *option)


def test_a_folder_with_a_run_is_refused(curve, capsys):
    assert "--resume" in refused(capsys, "run", "--out", "x")


def test_a_damaged_checkpoint_is_refused_and_kept(curve, capsys):
    main("run", "--experiment", "curve", "--out", "y", "--seed", 1)
    path = Path("x/checkpoint.npz")
    content = path.read_bytes()
    np.savez("foreign.npz", a=np.zeros(3))
    capsys.readouterr()
    for damaged in (
        content[: len(content) // 2],
        content[:500] + bytes([content[500] ^ 1]) + content[501:],
        Path("foreign.npz").read_bytes(),
        Path("y/checkpoint.npz").read_bytes(),
    ):
        path.write_bytes(damaged)
        assert "checkpoint.npz" in refused(capsys, "run", "--resume", "--out", "x")
    path.unlink()
    assert "checkpoint.npz" in refused(capsys, "run", "--resume", "--out", "x")


# ---- text --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding, argv",
    [
        ("ascii", ["errata", "N2:351"]),
        ("cp1252", ["demo"]),
        ("latin-1", ["run", "--out", "一条 曲线"]),
    ],
)
def test_any_text_is_printed_in_the_encoding_of_standard_output(tiny, monkeypatch, argv, encoding):
    stream = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, encoding=encoding))
    assert main(*argv) == 0 and stream.getvalue()
    assert argv[0] != "run" or Path("一条 曲线/report.md").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_a_folder_whose_name_is_no_text_can_be_used(tiny):
    assert main("run", "--experiment", "curve", "--out", os.fsdecode(b"a\xff")) == 0
    with open(b"a\xff/report.md", encoding="utf-8") as page:
        assert "a\\udcff/checkpoint.npz" in page.read()


# ---- sample, demo --------------------------------------------------------------------------------


@pytest.mark.E17
@pytest.mark.E18
def test_sample_draws_from_the_averaged_weights(tiny):
    main("run", "--experiment", "ensemble", "--out", "x")
    assert main("sample", "x/checkpoint.npz", "-n", 5, "--out", "a", "--seed", 3) == 0
    ddim = ["--sampler", "ddim", "--sampler-steps", 4]
    assert main("sample", "x/checkpoint.npz", "--out", "b.npz", *ddim) == 0
    state, schedule, _ = load_checkpoint("x/checkpoint.npz", KINDS)
    network = denoiser(state.ema_network())
    with np.load("a") as a, np.load("b.npz") as b:
        expected = ancestral_sample(network, schedule, 5, 6, rng=np.random.default_rng(3))
        assert np.array_equal(a["samples"], expected)
        expected = ddim_sample(network, schedule, 16, 6, rng=np.random.default_rng(0), steps=4)
        assert np.array_equal(b["samples"], expected)


def test_sample_refuses_what_cannot_be(curve, capsys):
    argv = ["sample", "x/checkpoint.npz", "--out", "s.npz"]
    assert "T = 8" in refused(capsys, *argv, "--sampler-steps", 9)
    for n in (10**30, 10**17):  # no array can be so large; no memory can hold it
        assert "-n" in refused(capsys, *argv, "-n", n)


def test_the_least_that_can_be_asked_for_is_done(tiny):
    least = ["--steps", 1, "--batch-size", 1, "--T", 2, "--seed", 0]
    assert main("run", "--experiment", "curve", "--out", "x", *least) == 0
    assert main("sample", "x", "-n", 1, "--sampler-steps", 1, "--out", "s.npy") == 0
    assert np.load("s.npy").shape == (1, 6)


def test_a_refusal_of_the_sampler_is_not_told_as_lack_of_memory(curve, monkeypatch):

    def refuses(*args, **options):
        raise ValueError("something else")

    monkeypatch.setitem(saved.SAMPLERS, "ancestral", refuses)
    with pytest.raises(ValueError, match="something else"):
        main("sample", "x/checkpoint.npz", "--out", "s.npz")


def test_demo_without_a_name_lists_them(tiny, capsys):
    from ddpm_np.demos import DEMOS

    assert main("demo") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(DEMOS)


def test_demo_refuses_a_file_for_a_folder(tiny, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(_figure_style, "available", lambda: True)
    Path("file").write_text("not ours")
    assert "file" in refused(capsys, "demo", "averaging", "--out", "file")


@pytest.mark.parametrize("holds, code", [(True, 0), (False, 1)])
def test_verify_tells_by_its_exit_code(monkeypatch, capsys, holds, code):
    from ddpm_np.proof import verify

    monkeypatch.setattr(verify, "verify", lambda *, out: out("a line") or holds)
    assert main("verify") == code
    assert capsys.readouterr().out == "a line\n"


# ---- what sample writes, and what a typo meets --------------------------------------------------


def test_sample_takes_a_folder_and_writes_what_the_ending_says(tiny, capsys):
    main("run", "--out", "x")
    capsys.readouterr()
    for out in ("s.npy", "s.csv", "s.npz"):
        assert main("sample", "x/ensemble", "-n", 3, "--out", out, "--seed", 2) == 0
    drawn = np.load("s.npy")
    assert drawn.shape == (3, 6) and np.array_equal(np.load("s.npz")["samples"], drawn)
    assert np.allclose(np.loadtxt("s.csv", delimiter=","), drawn, rtol=1e-8, atol=0)
    capsys.readouterr()
    assert "x/curve, x/ensemble" in refused(capsys, "sample", "x", "--out", "t.npz")
    assert "not standard output" in refused(capsys, "sample", "x/curve", "--out", "-")


def test_sample_draws_a_picture_of_what_it_sampled(curve, quick_pictures, capsys, monkeypatch):
    argv = ["sample", "x", "--out", "s.npy", "--plot"]
    assert main(*argv) == 1 and "matplotlib is not installed" in capsys.readouterr().err
    monkeypatch.setattr(_figure_style, "available", lambda: True)
    lines, draw = [], saved.Saved.picture
    monkeypatch.setattr(saved.Saved, "picture", lambda s, x: lines.append(draw(s, x)) or lines[-1])
    assert main(*argv) == 0
    assert Path("s.png").read_bytes().startswith(b"\x89PNG")
    shown = [line.get_ydata() for line in lines[0].axes[0].lines]
    assert np.array_equal(shown, np.load("s.npy"))
    Path("s.npy").unlink()
    capsys.readouterr()
    assert "s.png exists" in refused(capsys, *argv)
    assert "--out" in refused(capsys, *argv[:3], "t.png", "--plot")


@pytest.mark.parametrize(
    "argv, said",
    [
        (["rnu"], "did you mean run?"),
        (["run", "--sed", "3"], "did you mean --seed? (see python -m ddpm_np run --help)"),
        (["run", "--step=3"], "did you mean --steps?"),
        (["run", "--experiment", "curv"], "did you mean curve?"),
        (["sample", "x", "--out", "s", "--smapler", "ddim"], "did you mean --sampler?"),
        (["errata", "--wat"], "unknown arguments: --wat (see python -m ddpm_np errata --help)"),
        (["run", "--schedule", "cosin"], "did you mean cosine?"),
        (["run", "--T", "1"], "--T"),
        (["run", "--batch-size", "0"], "--batch-size"),
        (["run", "--batch-size", "1000001"], "--batch-size: must be at most 1000000, got 1000001"),
    ],
)
def test_a_typo_is_told_with_what_was_meant_and_the_help_of_its_command(
    tiny, capsys, monkeypatch, argv, said
):
    monkeypatch.setattr(sys, "argv", ["ddpm_np"])
    assert said in refused(capsys, *argv)


@pytest.mark.parametrize("option, key, value", [("--T", "T", 9), ("--schedule", "noise", "linear")])
def test_every_experiment_takes_the_settings_of_its_training(tiny, option, key, value, capsys):
    assert main("run", "--out", "x", option, value, "--batch-size", 7) == 0
    for name in TINY:
        settings = json.loads(Path(f"x/{name}/report.json").read_text())["configuration"]
        assert (settings[key], settings["batch_size"]) == (value, 7)
    capsys.readouterr()
    assert "--batch-size" in refused(capsys, "run", "--resume", "--out", "x", "--batch-size", 8)


# ---- threads -----------------------------------------------------------------------------------


def test_the_caller_chooses_the_threads_of_the_matrix_products(monkeypatch):
    for name in CHOSEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = dict(os.environ)
    program = str(Path(ddpm_np.__file__).with_name("__main__.py"))
    runpy.run_path(program, run_name="read")
    assert dict(os.environ) == before
    monkeypatch.delenv("OMP_NUM_THREADS")
    for name in CHOSEN:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    runpy.run_path(program, run_name="read")
    assert {os.environ.pop(name) for name in CHOSEN} == {"1"}


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    training = Training(TINY["curve"])
    training.state.ema.average[0] = np.nan
    with pytest.raises(Divergence, match=r"must be finite at step 0; try a lower learning_rate"):
        training.save(tmp_path / "checkpoint.npz")
    assert not list(tmp_path.iterdir())
