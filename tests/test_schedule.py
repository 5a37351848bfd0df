"""The tables against integer arithmetic, their properties, the constructors, and everything a
schedule refuses.
"""

import copy
import pickle
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.conformance.strategies import assert_close, schedules, schedules_and_routes
from ddpm_np.equations.values import ExactTables, exact
from ddpm_np.proof.exact import Exact
from ddpm_np.proof.reference import ulp_error
from ddpm_np.schedule import Schedule

TABLES = "beta", "alpha", "alpha_bar", "one_minus_alpha_bar", "beta_tilde", "log_snr"
EPS = np.finfo(np.float64).eps


def exact_tables(beta):
    """The tables as ratios of whole numbers: every float is a whole number over a power of two, so
    nothing is ever rounded.
    """
    kept, over, before = 1, 1, (0, 1)
    tables = {name: [] for name in TABLES[:-1]}
    for b, d in (float(b).as_integer_ratio() for b in beta):
        kept, over = kept * (d - b), over * d
        noise = over - kept, over
        tables["beta"].append((b, d))
        tables["alpha"].append((d - b, d))
        tables["alpha_bar"].append((kept, over))
        tables["one_minus_alpha_bar"].append(noise)
        tables["beta_tilde"].append((b * before[0] * over, d * before[1] * noise[0]))
        before = noise
    return tables


def is_rounded(value, exact):
    """value is the nearest float, or one of two that are equally near. Python divides whole numbers
    with one rounding.
    """
    p, q = exact
    nearest = p / q
    if value == nearest:
        return True
    (a, b), (c, d) = float(value).as_integer_ratio(), nearest.as_integer_ratio()
    return abs(a * q - p * b) * d == abs(c * q - p * d) * b


def assert_tables(schedule):
    for name, column in exact_tables(schedule.beta[1:]).items():
        table = getattr(schedule, name)
        wrong = [t for t, exact in enumerate(column, 1) if not is_rounded(table[t], exact)]
        assert not wrong, f"{name} is not the exact value rounded at t = {wrong}"


# ---- the tables ---------------------------------------------------------------------------------


@pytest.mark.E2
@given(schedules())
def test_every_entry_is_the_exact_value_rounded_once(schedule):
    assert_tables(schedule)


UNDERFLOW = Schedule.from_beta(np.full(300, 1 - 1e-6))
LONG = {
    "linear": Schedule.linear(),
    "cosine": Schedule.cosine(300),
    "beta = 1e-12": Schedule.from_beta(np.full(300, 1e-12)),
    "beta = 1 - 1e-6, underflow": UNDERFLOW,
    "1e-12 to 1 - 1e-6": Schedule.from_beta(
        1 / (1 + np.exp(-np.linspace(np.log(1e-12), np.log(1e6 - 1), 300)))
    ),
    "shuffled": Schedule.from_beta(
        np.random.default_rng(0).permutation(10.0 ** np.linspace(-12, -0.01, 300))
    ),
}


@pytest.mark.E2
@pytest.mark.parametrize("name", LONG)
def test_hundreds_of_steps_are_as_exact(name):
    assert_tables(LONG[name])


@pytest.mark.E2
@given(schedules(max_T=60))
def test_log_snr_is_the_exact_logarithm_rounded_once(schedule):
    logarithms = ExactTables(schedule.beta[1:]).log_snr[1:]
    assert np.isposinf(schedule.log_snr[0])
    assert_close(schedule.log_snr[1:], np.array([x.value for x in logarithms]), ulp=0.501)


@pytest.mark.E2
@given(schedules())
def test_tables_are_ordered_as_the_mathematics_says(schedule):
    s, later = schedule, slice(1, None)
    assert [getattr(s, name)[0] for name in TABLES] == [0, 1, 1, 0, 0, np.inf]
    assert all(
        getattr(s, name).shape == (s.T + 1,) and getattr(s, name).dtype == np.float64
        for name in TABLES
    )
    assert np.all(np.diff(s.alpha_bar) <= 0)
    assert np.all(np.diff(s.one_minus_alpha_bar) >= 0)
    assert np.all(np.diff(s.log_snr) <= 0)
    assert s.beta_tilde[1] == 0
    assert np.all(s.beta_tilde[later] <= s.beta[later])
    assert np.all(s.beta_tilde[2:] > 0)
    assert np.all(s.alpha[later] < 1) and np.all(s.one_minus_alpha_bar[later] > 0)


# ---- several steps as one -----------------------------------------------------------------------


@pytest.mark.E4
@given(schedules_and_routes())
def test_between_is_the_exact_value_rounded_once(case):
    schedule, s, t = case
    tables = ExactTables(schedule.beta[1:])
    for part, actual in enumerate(schedule.between(s, t)):
        expected = exact("schedule.Schedule.between", tables, t, s, part=part)
        assert_close(actual, expected.value, ulp=0.501)


@pytest.mark.E4
@given(schedules())
def test_between_over_one_step_and_from_the_signal_is_the_table(schedule):
    t = np.arange(1, schedule.T + 1)
    for actual, table in zip(schedule.between(t - 1, t), (schedule.alpha, schedule.beta)):
        assert np.array_equal(actual, table[1:])
    for actual, table in zip(
        schedule.between(0, t), (schedule.alpha_bar, schedule.one_minus_alpha_bar)
    ):
        assert np.array_equal(actual, table[1:])


@pytest.mark.E4
def test_between_over_one_step_is_the_table_even_where_alpha_is_a_tie():
    # For an odd multiple of 2^-54, 1 - beta lies halfway between two floats: the last digit of a
    # quotient would decide.
    odd = np.random.default_rng(0).integers(2**49, 2**51, 50) * 2 + 1
    schedule = Schedule.from_beta(odd * 2.0**-54)
    t = np.arange(1, 51)
    assert np.array_equal(schedule.between(t - 1, t)[0], schedule.alpha[1:])


@pytest.mark.E4
@given(schedules_and_routes(stops=3, max_T=40))
def test_between_composes(case):
    schedule, r, s, t = case
    (a, b) = schedule.between(r, s)
    (c, d) = schedule.between(s, t)
    (alpha, beta) = schedule.between(r, t)
    assert_close(c * a, alpha, ulp=3)
    assert_close(c * b + d, beta, ulp=4)


@pytest.mark.E4
def test_between_broadcasts():
    schedule = LONG["linear"]
    s, t = np.array([[0], [3]]), np.array([5, 600, 1000])
    alpha, beta = schedule.between(s, t)
    assert alpha.shape == beta.shape == (2, 3)
    assert all(
        (alpha[i, j], beta[i, j]) == schedule.between(int(s[i, 0]), int(t[j]))
        for i in range(2)
        for j in range(3)
    )
    assert all(np.ndim(v) == 0 for v in schedule.between(3, 5))


# ---- a schedule is a value ----------------------------------------------------------------------


@given(schedules(max_T=12), st.sampled_from(TABLES))
def test_nothing_about_it_can_be_changed(schedule, name):
    table = getattr(schedule, name)
    before = table.copy()
    for change in (
        lambda: table.__setitem__(1, 0.5),
        lambda: table.sort(),
        lambda: np.multiply(table, 2, out=table),
        lambda: table.fill(0),
        lambda: setattr(schedule, name, before),
        lambda: delattr(schedule, name),
        lambda: setattr(schedule, "anything", 1),
    ):
        with pytest.raises(
            (ValueError, AttributeError), match="read-only|cannot assign|cannot delete"
        ):
            change()
    assert getattr(schedule, name) is table and np.array_equal(table, before)


def test_equality_is_that_of_the_betas():
    schedule = Schedule.from_beta([0.25, 0.5])
    assert schedule == Schedule.from_beta(np.array([0.25, 0.5], np.float32))
    assert len({schedule, Schedule.from_beta([0.25, 0.5])}) == 1
    for other in (
        Schedule.from_beta([0.25]),
        Schedule.from_beta([0.5, 0.25]),
        Schedule.from_beta([0.25, np.nextafter(0.5, 1)]),
        [0.25, 0.5],
        None,
        1,
    ):
        assert schedule != other and other != schedule
    exact = Schedule.from_beta([Exact(1, 4), Exact(1, 2)])
    for twin in (copy.copy(exact), copy.deepcopy(exact), pickle.loads(pickle.dumps(exact))):
        assert twin == exact and hash(twin) == hash(exact)
    assert exact != schedule
    assert schedule != exact
    assert exact == Schedule.from_beta([Exact(1, 4), Exact(2, 4)])


@given(schedules())
def test_its_repr_is_one_short_line(schedule):
    assert (
        repr(Schedule.from_beta([0.125, 0.0625, 0.25]))
        == "Schedule(T=3, beta=0.125..0.25, alpha_bar_T=0.615)"
    )
    text = repr(schedule)
    assert text.startswith(f"Schedule(T={schedule.T}, beta=")
    assert text.endswith(")")
    assert "\n" not in text
    assert len(text) < 80


def test_the_logarithms_wait_until_they_are_asked_for():
    schedule = Schedule.from_beta([0.1])
    assert "log_snr" not in vars(schedule)
    assert schedule.log_snr is schedule.log_snr


# ---- the constructors ---------------------------------------------------------------------------


@pytest.mark.E19
def test_sigmoid_is_the_notes_by_default():
    schedule = Schedule.sigmoid()
    assert schedule.T == 100 and schedule == Schedule.sigmoid(
        100, beta_max=0.1, beta_min=0.0, span=6.0
    )
    sigmoid = 1 / (1 + np.exp(-np.linspace(-6, 6, 100)))
    assert np.abs(schedule.beta[1:] / (0.1 * sigmoid) - 1).max() < 20 * EPS
    # their program's own alpha_bar_100, with beta_min = 1e-5
    assert f"{Schedule.sigmoid(beta_min=1e-5).alpha_bar[-1]:.3g}" == "0.00539"


def test_linear_is_a_line_that_ends_where_it_should():
    schedule = Schedule.linear()
    assert schedule.T == 1000 and schedule.beta[1] == 1e-4 and schedule.beta[-1] == 0.02
    steps = np.diff(schedule.beta[1:])
    assert np.abs(steps - (0.02 - 1e-4) / 999).max() < 2 * np.spacing(0.02)
    assert (
        f"{schedule.alpha_bar[-1]:.3g}" == "4.04e-05"
    )  # Ho et al. 2020, section 4: the KL of q(x_T) is close to 0
    falling = Schedule.linear(7, beta_min=0.3, beta_max=0.1)
    assert np.all(np.diff(falling.beta[1:]) < 0)


def decimal_cosine(x):
    term = total = Decimal(1)
    for k in range(2, 80, 2):
        term *= -x * x / (k * (k - 1))
        total += term
    return total


@pytest.mark.parametrize("T, s", [(1, 0.008), (2, 0.0), (10, 0.5), (100, 0.0), (1000, 0.008)])
def test_cosine_is_the_squared_cosine_to_its_last_digit_up_to_the_clipped_steps(T, s):
    with localcontext() as context:
        context.prec = 60
        # Machin's formula for pi, each arc tangent as its series.
        pi = 4 * sum(
            k
            * sum(Decimal((-1) ** i) / ((2 * i + 1) * Decimal(n) ** (2 * i + 1)) for i in range(45))
            for k, n in ((4, 5), (-1, 239))
        )
        at = [(Decimal(t) / T + Decimal(s)) / (1 + Decimal(s)) for t in range(T + 1)]
        f = [decimal_cosine(pi / 2 * x) ** 2 for x in at]
        exact = np.array([float(1 - f[t] / f[t - 1]) for t in range(1, T + 1)])
    beta = Schedule.cosine(T, s=s).beta[1:]
    assert np.all(np.abs(beta / np.minimum(exact, 0.999) - 1) <= 4 * np.finfo(float).eps)


def test_cosine_is_the_papers_by_default_and_clips_where_it_is_told():
    assert Schedule.cosine() == Schedule.cosine(1000, s=0.008, beta_max=0.999)
    assert Schedule.cosine(10, beta_max=0.25).beta.max() == 0.25
    assert np.array_equal(
        Schedule.cosine(10, beta_max=0.25).beta[1:3], Schedule.cosine(10).beta[1:3]
    )


@pytest.mark.parametrize("make", [Schedule.sigmoid, Schedule.linear, Schedule.cosine])
@pytest.mark.parametrize("T", [1, 2, np.int32(3)])
def test_constructors_work_from_one_step_on(make, T):
    assert make(T).T == T and type(make(T).T) is int and make(T) == make(T)


def test_the_checker_of_this_file_can_fail():
    beta = np.array([0.1, 0.2])
    for name, column in exact_tables(beta).items():
        value = getattr(Schedule.from_beta(beta), name)[2]
        assert is_rounded(value, column[1]) and not is_rounded(np.nextafter(value, 2), column[1])
    assert is_rounded(1.0, (2**54 + 1, 2**54)) and not is_rounded(1.0, (2**53 + 1, 2**53 - 1))
    assert ulp_error(0.5, Fraction(1, 2)) == 0
