"""What a run prints: few lines, a bar that fits its terminal, and text for any stream."""

import io
import re
import signal
import subprocess
import sys

import pytest

from ddpm_np.experiments import progress
from ddpm_np.experiments.progress import deferred_interrupt, follow
from ddpm_np.training import StepRecord


def records(losses):
    return [StepRecord(step, loss, 1.0, 1e-3) for step, loss in enumerate(losses, 1)]


class Terminal(io.StringIO):
    """A terminal in the place of standard error, whose width the test sets."""

    def __init__(self, monkeypatch, width=80):
        super().__init__()
        self.width = width
        monkeypatch.setattr(sys, "stderr", self)
        monkeypatch.setattr(progress, "_columns", lambda: self.width)

    def isatty(self):
        return True


def shown(terminal):
    return [line for line in re.split(r"[\r\n]", terminal.getvalue()) if line.strip()]


def test_lines_are_few_and_tell_loss_and_time(capsys):
    losses = [1.0] * 500 + [2.0] * 500
    assert list(follow(records(losses), name="curve", start=0, steps=1000)) == records(losses)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 10
    form = r"curve: step \d+00/1000, loss \d\.\d{4}, \d+ s left"
    assert all(re.fullmatch(form, line) for line in told)
    # After a jump the smoothed loss approaches the new value as 0.98^k.
    assert "loss 1.0000" in told[4] and f"loss {2 - 0.98**100:.4f}" in told[5]


def test_a_resumed_run_estimates_the_time_of_its_own_steps(capsys, monkeypatch):
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    for _ in follow([StepRecord(91, 1.0, 1.0, 1e-3)], name="curve", start=90, steps=910):
        pass
    assert "8190 s left" in capsys.readouterr().out


def test_a_terminal_gets_a_bar_with_the_smoothed_loss(monkeypatch):
    pytest.importorskip("tqdm")
    terminal = Terminal(monkeypatch)
    assert list(follow(records([1.0, 2.0]), name="curve", start=0, steps=2)) == records([1.0, 2.0])
    assert shown(terminal)[-1].startswith("curve: loss 1.0200 100%")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_bar_fits_and_keeps_the_loss(monkeypatch, width):
    pytest.importorskip("tqdm")
    terminal = Terminal(monkeypatch, width)
    list(follow(records([0.5] * 3), name="ensemble", start=0, steps=3))
    assert all(len(line) <= width for line in shown(terminal))
    assert "ensemble: loss 0.5000 100%" in shown(terminal)[-1]


def test_the_bar_follows_a_resized_terminal(monkeypatch):
    tqdm = pytest.importorskip("tqdm").tqdm
    monkeypatch.setattr(tqdm, "update", lambda bar, n=1: not setattr(bar, "n", bar.n + n))  # draws
    terminal = Terminal(monkeypatch)
    for record in follow(records([0.5] * 9), name="curve", start=0, steps=9):
        if record.step == 5:
            terminal.width = 50
    assert len(shown(terminal)[0]) == 80 and len(shown(terminal)[-1].rstrip()) <= 50


def test_the_width_is_that_of_standard_error(monkeypatch):
    with open(progress.os.devnull, "w") as null:  # it tells no width
        monkeypatch.setattr(sys, "stderr", null)
        assert progress._columns() == 80
        monkeypatch.undo()
    size = progress.os.terminal_size((33, 5))
    monkeypatch.setattr(progress.os, "get_terminal_size", lambda handle: size)
    assert progress._columns() == 33


def test_a_second_interrupt_is_not_held_back():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been ignored
    try:
        with pytest.raises(KeyboardInterrupt), deferred_interrupt() as interrupted:
            assert not interrupted()
            signal.raise_signal(signal.SIGINT)
            assert interrupted()
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_interrupt_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupt() as interrupted:
            signal.raise_signal(signal.SIGINT)
            assert not interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


SAY = """
import sys
from ddpm_np._console import open_streams, say
open_streams()
say("x̂ 如何手搓 \\udcff")
print("如何 \\udcff", file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_any_text_can_be_printed_in_any_encoding(encoding):
    environment = {**progress.os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", SAY], capture_output=True, env=environment)
    assert done.returncode == 0 and b"\\udcff" in done.stdout and b"Traceback" not in done.stderr
    assert (b"\\u5982" in done.stdout) == (encoding != "utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="closed by the shell")
@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_closed_streams_do_no_harm_and_no_file_takes_their_place(closed, tmp_path):
    check = f"{SAY}\nhandle = open({str(tmp_path / 'file')!r}, 'w')\nsys.exit(handle.fileno() < 3)"
    done = subprocess.run(f'"{sys.executable}" - {closed}', shell=True, input=check.encode())
    assert done.returncode == 0
