"""The experiments made small, in an empty working directory."""

from pathlib import Path

import pytest
from commands import files, main
from tiny import TINY

from ddpm_np import _figure_style
from ddpm_np.experiments import experiment as experiments


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Small experiments, without pictures, in an empty working directory."""
    for name, experiment in TINY.items():
        monkeypatch.setitem(experiments.EXPERIMENTS, name, experiment)
    monkeypatch.setattr(_figure_style, "available", lambda: False)
    monkeypatch.chdir(tmp_path)


def complete(folder, steps):
    """The files of a whole tiny run of the curve."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(experiments.EXPERIMENTS, "curve", TINY["curve"])
        patch.setattr(_figure_style, "available", lambda: False)
        assert main("run", "--experiment", "curve", "--steps", steps, "--out", folder) == 0
    return files(folder)


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run of 1000 steps that is complete."""
    return complete(tmp_path_factory.mktemp("whole"), steps=1000)


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """A shorter one, of the steps of the tiny curve."""
    return complete(tmp_path_factory.mktemp("short"), steps=30)


@pytest.fixture
def curve(tiny, short):
    """The folder x with the shorter one."""
    Path("x").mkdir()
    for name, content in short.items():
        Path("x", name).write_bytes(content)
