"""What all functions of the table of tests/refusals.py have in common."""

import copy

import numpy as np
import pytest
from refusals import CASES

ROWS = np.array([2, 2, 2])  # what no function takes whose steps belong to the rows of a batch


def by_row(case):
    steps = case.arguments.get("t")
    return steps is not None and any(np.array_equal(ROWS, v) for v in steps.values)


# Networks, of rows alone, are in tests/test_network.py and tests/closed_form/test_patches.py.
NOT_HERE = {"check_steps", "MLP.forward", "MLP.__call__", "PatchDenoiser.__call__"}
BY_ROW = [*(name for name, case in CASES.items() if by_row(case) and name not in NOT_HERE), "psi_2"]


def parts(result):
    return result if isinstance(result, tuple) else (result,)


def arrays(values):
    return {k: v for k, v in values.items() if isinstance(v, np.ndarray) and v.dtype.kind == "f"}


@pytest.mark.parametrize("name", [name for name in CASES if name != "fill_normal"])
def test_arguments_are_left_as_they_were_and_are_no_part_of_the_result(name):
    given = copy.deepcopy(CASES[name].values)
    before = {key: value.copy() for key, value in arrays(given).items()}
    result = CASES[name].call(**given)
    for key, value in before.items():
        assert np.array_equal(given[key], value), key
        for part in parts(result):
            if isinstance(part, np.ndarray) and not name.startswith("check_"):
                assert not np.shares_memory(part, given[key]), key


@pytest.mark.parametrize("name", BY_ROW)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_of_steps_is_one_step_for_each_row(name, dtype):
    call, values = CASES[name].call, CASES[name].values
    t, s = np.array([3, 4]), np.array([0, 2])
    of = {key: value.astype(dtype) for key, value in arrays(values).items()}
    rest = {key: value for key, value in values.items() if key not in of}

    def at(rows, steps):
        route = {"t": steps(t)} | ({"s": steps(s)} if "s" in values else {})
        return parts(call(**rest | route, **{key: rows(value) for key, value in of.items()}))

    whole = at(lambda x: x, lambda t: t)
    grid = at(lambda x: np.stack([x, x]), lambda t: t[:, None])
    for i in range(2):
        row = at(lambda x: x[i], lambda t: int(t[i]))
        for found, expected in zip(whole, row):
            assert np.array_equal(np.reshape(found[i], np.shape(expected)), expected)
            assert len(found) == 2
        other = at(lambda x: x[1 - i], lambda t: int(t[i]))
        for found, expected in zip(grid, other):
            one = found[i] if len(found[i]) == 1 else found[i][1 - i]  # or the same for all rows
            assert np.array_equal(np.reshape(one, np.shape(expected)), expected)
    if of:
        assert whole[0].dtype == dtype and all(len(part) == 2 for part in grid)


@pytest.mark.parametrize("name", [name for name in BY_ROW if len(arrays(CASES[name].values)) > 1])
def test_float32_is_kept_where_everything_is_float32(name):
    values, one = CASES[name].values, np.float32
    for first, second in [
        (one, one),
        (one, float),
        (float, one),
        (int, one),
        ("f2", one),
        (">f8", one),
    ]:
        kinds = dict(zip(arrays(values), (first, second)))
        mixed = {key: value.astype(kinds[key]) for key, value in arrays(values).items()}
        found = parts(CASES[name].call(**values | mixed))[0].dtype
        assert found == (one if first == second == one else float) and found.isnative
