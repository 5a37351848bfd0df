"""Hypothesis profiles and the equation markers: ``pytest -m E10`` runs what checks equation E10.

``pytest --deep`` tries 1,000 new examples of every property and prints the seed that repeats them;
``pytest --long`` tries 100 and runs the tests marked long, too, as .ci/run does.
"""

import gc
import os

# One thread for the matrix products: those of the tests are small, and two threads that share a
# busy core only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What the processes of xdist free they keep: to be given it again page by page takes longer.
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str(2**28))
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(2**28))

import secrets

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from ddpm_np.equations import EQUATIONS

# By default the suite looks at no clock and draws no seed of its own: the same examples each time,
# no deadline, no example database.
COMMON = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=15, derandomize=True, **COMMON)
settings.register_profile("long", max_examples=100, derandomize=True, **COMMON)
settings.register_profile("deep", max_examples=1000, derandomize=False, **COMMON)


@pytest.fixture(scope="module")
def quick_pictures(pytestconfig):
    """Few pixels, no ticks, and panels that stay where they are: all three take longer than the
    rest of a picture (tests/test_style.py looks at them, and ``--long`` draws them)."""
    engine = pytest.importorskip("matplotlib.layout_engine").ConstrainedLayoutEngine
    axis = pytest.importorskip("matplotlib.axis").Axis
    figure = pytest.importorskip("matplotlib.figure").Figure
    set_dpi = figure.set_dpi
    with pytest.MonkeyPatch.context() as patch:
        if not pytestconfig.getoption("--long"):
            patch.setattr(engine, "execute", lambda self, figure: None)
            patch.setattr(axis, "_update_ticks", lambda self: [])
            patch.setattr(figure, "set_dpi", lambda self, dpi: set_dpi(self, dpi / 2))
        yield


def pytest_addoption(parser):
    told = "run every property on 1000 new examples instead of the same few, and print the seed"
    parser.addoption("--deep", action="store_true", help=told)
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")


@pytest.hookimpl(tryfirst=True)  # before Hypothesis reads its seed
def pytest_configure(config):
    deep = config.getoption("--deep")
    if not deep and hasattr(providers, "_get_local_constants"):
        # Else numbers from whatever modules are loaded by then are among the examples, which would
        # change with the order of the tests.
        providers._get_local_constants = lambda: providers._local_constants
    chosen = [name for name in ("deep", "long") if config.getoption(f"--{name}")]
    settings.load_profile(chosen[0] if chosen else "default")
    if deep and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))
    config.addinivalue_line("markers", "long: takes its time; run with --long only")
    for equation in EQUATIONS.values():
        config.addinivalue_line("markers", f"{equation.number}: {equation.title.en}")


def pytest_collection_modifyitems(config, items):
    long = [] if config.getoption("--long") else [i for i in items if i.get_closest_marker("long")]
    items[:] = [item for item in items if item not in long]
    config.hook.pytest_deselected(items=long)


def pytest_collection_finish(session):
    # What is loaded by now stays: to look through it for garbage again and again takes long.
    gc.freeze()
    gc.set_threshold(200_000)


def pytest_terminal_summary(terminalreporter, config):
    if config.getoption("--deep"):
        seed = config.option.hypothesis_seed
        again = f"pytest --deep --hypothesis-seed={seed} repeats them"
        terminalreporter.write_line(f"The examples were drawn with seed {seed}: {again}.")
