"""Short forms of the hunts of tests/hostile.py, each with its seed."""

import pytest
from hostile import HUNTS, hunted
from hostile_calls import hostile, kind
from refusals import CASES


@pytest.mark.parametrize(
    "name, number",
    [
        *[("files", 200), ("calls", 1000), ("commands", 40), ("faults", 4)],
        *(
            pytest.param(name, number, marks=pytest.mark.long)
            for name, number in [("files", 500), ("calls", 5000), ("commands", 300), ("faults", 40)]
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")  # overflow of arguments as large as can be
def test_a_short_hunt_finds_nothing(name, number):
    assert hunted(name, number, seed=13) == []


def test_every_hunt_has_a_short_form():
    # That of the kills is in tests/experiments/test_folder.py.
    assert HUNTS.keys() == {"files", "calls", "commands", "faults", "kills"}
    assert len(CASES) > 80 and kind(1) == kind(2.5) != kind([1]) and hostile
