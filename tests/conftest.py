"""Hypothesis profiles and the equation markers: ``pytest -m E10`` runs what checks equation E10, ``pytest --deep`` looks harder."""

from __future__ import annotations

import os

# One thread for the matrix products: those of the tests are small, and two threads that share a busy core only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from ddpm_np.equations import EQUATIONS

# The suite never looks at a clock and never draws its own seed: derandomised, no deadline, no example database.
COMMON = {"derandomize": True, "deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=40, **COMMON)
settings.register_profile("deep", max_examples=1000, **COMMON)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--deep", action="store_true", help="run every property on 1000 examples instead of 40")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("deep" if config.getoption("--deep") else "default")
    for equation in EQUATIONS.values():
        config.addinivalue_line("markers", f"{equation.number}: {equation.title}")
