"""What holds for the steps of a short schedule holds for every step of a long one."""

import numpy as np
import pytest

from ddpm_np import sampling
from ddpm_np.equations.docstrings import function_at
from ddpm_np.equations.values import SymbolValues, arguments
from ddpm_np.proof.errors import in_batches, measured_paths
from ddpm_np.proof.identities.charts import reverse_step
from ddpm_np.proof.parts import MATRICES, ROWS
from ddpm_np.proof.symbols import ANY, POSITIVE, Domain, same
from ddpm_np.schedule import Schedule

# ---- every step of a schedule with T = 1000 -----------------------------------------------------
#
# The proofs take T up to 5. Here each function runs at many steps of T = 1000, at every step in the
# long form, on tables that hold symbols at the entries it may read and refuse every other entry.
# What it returns must be the same function of the entries t - 1 and t as it is of the entries 1 and
# 2 at t = 2, so that each identity at t = 2 holds at every t.

T = 1000
TABLES = ("beta", "alpha", "alpha_bar", "one_minus_alpha_bar", "beta_tilde")


class Window:
    """A table of length T + 1 that can be read at some entries only; writes down which."""

    def __init__(self, entries, read):
        self.entries, self.read = entries, read

    def __getitem__(self, t):
        if isinstance(t, np.ndarray):
            return np.array([self[int(i)] for i in t.flat], dtype=object).reshape(t.shape)
        self.read.add(t)
        return self.entries[t]

    def __len__(self):
        return T + 1


def window(tables, at):
    """T = 1000, where entry t of each table is entry at[t] of the given one."""
    read = set()
    schedule = object.__new__(Schedule)
    for name, table in tables.items():
        schedule.__dict__[name] = Window({t: table[i] for t, i in at.items()}, read)
        schedule.__dict__[name].dtype = np.dtype(object)
    schedule.__dict__["_unrounded"] = (schedule.alpha_bar, schedule.one_minus_alpha_bar)
    return schedule, read


def squares():
    """Tables of two entries that are squares of variables, all independent; and what is noised."""
    names = [f"{name}_{i}" for name in TABLES for i in (1, 2)]
    domain = Domain(**dict.fromkeys(names, POSITIVE), **dict.fromkeys((*ROWS, *MATRICES), ANY))
    domain.declare(*(domain[name] for name in names))
    tables = {name: [None, domain[f"{name}_1"] ** 2, domain[f"{name}_2"] ** 2] for name in TABLES}
    return tables, {name: np.array([[domain[name]]]) for name in (*ROWS, *MATRICES)}


def called(path, schedule, t, given):
    """The numbers that a function returns."""
    return numbers(function_at(path)(**arguments(path, SymbolValues(schedule, t, **given))))


def numbers(value):
    if isinstance(value, tuple):
        return [number for part in value for number in numbers(part)]
    return list(np.asarray(value, dtype=object).ravel())


WITHOUT_ROWS = ["posterior.psi_2", "forward.covariance_step", "forward.covariance_at"]


@pytest.mark.parametrize("path", [*filter(in_batches, measured_paths()), *WITHOUT_ROWS])
def test_at_every_step_only_the_entries_t_and_t_minus_1_are_read(path, pytestconfig):
    every = 1 if pytestconfig.getoption("--long") else 13
    tables, given = squares()
    expected = called(path, window(tables, {1: 1, 2: 2})[0], 2, given)
    for t in [2, 3, *range(4, T - 1, every), T - 1, T]:
        schedule, read = window(tables, {t - 1: 1, t: 2})
        found = called(path, schedule, t, given)
        assert read <= {t - 1, t} and read
        if "covariance" not in path:  # t for each row of the batch
            found += called(path, schedule, np.full(1, t), given)
        assert all(same(a, b) for a, b in zip(found, expected * 2)), t


@pytest.mark.parametrize("name", ["between", "ancestral_step", "ddim_step"])
def test_on_every_route_only_the_entries_s_and_t_are_read(name):
    calls = {
        "between": lambda s, t, at: s.between(at, t),
        "ancestral_step": lambda s, t, at: tuple(sampling.ancestral_step(s, t, at)),
        "ddim_step": lambda s, t, at: tuple(sampling.ddim_step(s, t, at, eta=1)),
    }
    _, v = reverse_step(3, 1, 3).namespace()
    tables = {name: getattr(v.schedule, name) for name in TABLES}
    expected = numbers(calls[name](v.schedule, 3, 1))
    rng = np.random.default_rng(0)
    routes = [(1, T), (1, 3), (T - 2, T), *np.sort(rng.choice(np.arange(1, T), (100, 2)), axis=1)]
    for s, t in ((int(s), int(t)) for s, t in routes if t - s > 1):
        schedule, read = window(tables, {s: 1, t: 3})
        assert all(same(a, b) for a, b in zip(numbers(calls[name](schedule, t, s)), expected))
        assert read <= {s, t}, (s, t)


def test_a_function_that_reads_another_entry_is_caught():
    schedule, _ = window(squares()[0], {T - 1: 1, T: 2})
    with pytest.raises(KeyError):
        schedule.alpha_bar[T - 2]
    with pytest.raises(KeyError):
        schedule.alpha_bar[np.array([T, 0])]
