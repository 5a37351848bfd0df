"""``pytest --deep`` draws new examples in each run, and the seed that it prints repeats them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROPERTY = """
from pathlib import Path
from hypothesis import given, strategies as st

@given(st.integers(0, 10**9))
def test_it(n):
    with open(Path(__file__).with_name("drawn.txt"), "a") as file:
        file.write(f"{n}\\n")
"""


def drawn(folder, *options):
    """The examples of one run, and what it printed."""
    record = folder / "drawn.txt"
    record.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "."]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return record.read_text().split(), run.stdout


@pytest.mark.long
def test_deep_draws_new_examples_and_prints_the_seed_that_repeats_them(tmp_path):
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_property.py").write_text(PROPERTY)
    first, text = drawn(tmp_path, "--deep")
    other, _ = drawn(tmp_path, "--deep")
    seed = re.search(r"--hypothesis-seed=(\d+)", text)
    assert seed is not None
    again, _ = drawn(tmp_path, "--deep", seed.group())
    assert first == again != other and len(first) >= 1000
