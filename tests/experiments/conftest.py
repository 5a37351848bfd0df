"""The experiments made small, in an empty working directory."""

import pytest
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
