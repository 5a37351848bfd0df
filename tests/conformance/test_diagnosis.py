"""Bugs in a small diffusion code, each reported at its equation with its name."""

from pathlib import Path

import numpy as np
import pytest
from planted_bugs import read

from ddpm_np.conformance import check_diffusion
from ddpm_np.conformance.checks import check_one
from ddpm_np.conformance.subject import Subject
from ddpm_np.schedule import Schedule

SOURCE = (Path(__file__).parents[1] / "small_code.py").read_text()

BUGS = {bug.name: bug for bug in read(Path(__file__).with_name("small_bugs.txt"))}


def planted(right, wrong, *, T=12, first=0, dtype=np.float64, own=False):
    assert SOURCE.count(right) == 1, f"{right!r} must be there once, is {SOURCE.count(right)} times"
    space = {"__name__": "planted"}
    exec(compile(SOURCE.replace(right, wrong), "<planted>", "exec", dont_inherit=True), space)
    made = space["OneBased" if first else "SmallCode"]
    if not own:
        made.from_betas = None
    return made(Schedule.linear(T).beta[1:].astype(dtype))


def cases():
    """Each bug in zero-based float64 code and in one-based float32 code, by default in one."""
    for i, bug in enumerate(BUGS):
        for k, (first, dtype) in enumerate([(0, np.float64), (1, np.float32)]):
            yield pytest.param(bug, first, dtype, marks=[pytest.mark.long] if (i + k) % 2 else [])


@pytest.mark.parametrize("bug, first, dtype", [*cases()])
def test_a_planted_bug_is_named(bug, first, dtype):
    _, check, right, wrong, _, words = BUGS[bug]
    report = check_one(Subject(planted(right, wrong, first=first, dtype=dtype)), check)
    found = report.failures
    assert any(", ".join(words) in row.diagnosis for row in found), f"{words} not in\n{report}"


def test_what_is_no_bug_is_no_failure():
    right = BUGS["beta for beta_tilde"].right
    assert check_diffusion(planted(right, right)).passed
