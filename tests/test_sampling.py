"""The reverse steps against decimals, and the loops: order, shapes, noise, seeds, and where they
lead.
"""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.conformance.strategies import assert_close, schedules, schedules_and_steps, signals
from ddpm_np.learning.random_numbers import fill_normal
from ddpm_np.posterior import posterior_mean_from_eps, posterior_mean_variance
from ddpm_np.sampling import (
    ancestral_sample,
    ancestral_step,
    ancestral_steps,
    ddim_sample,
    ddim_step,
    ddim_steps,
    step_sequence,
)
from ddpm_np.schedule import Schedule

ETAS = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5]))


def rng(seed=0):
    return np.random.default_rng(seed)


def denoiser(x_t, t):
    """Any function of both arguments will do."""
    return (x_t / 2 + np.float32(t / 8)).astype(x_t.dtype)


def sub_sequences(schedule):
    """Increasing steps that end in T."""
    return st.sets(st.integers(1, schedule.T), max_size=6).map(lambda s: sorted(s | {schedule.T}))


@st.composite
def schedules_and_sequences(draw, max_T=12):
    schedule = draw(schedules(max_T=max_T))
    return schedule, draw(sub_sequences(schedule))


SAMPLERS = {
    "ancestral": ancestral_sample,
    "beta": partial(ancestral_sample, variance="beta"),
    "ddim": ddim_sample,
    "ddim, eta = 1": partial(ddim_sample, eta=1.0),
}
every_sampler = pytest.mark.parametrize("name", SAMPLERS)


# ---- one step -----------------------------------------------------------------------------------


@pytest.mark.E14
@pytest.mark.E17
@given(schedules_and_steps(max_T=40), signals(2, dtype=np.float64))
def test_by_default_the_step_goes_back_by_one_and_its_mean_is_the_posteriors(case, arrays):
    (schedule, t), (x_t, eps) = case, arrays
    step = ancestral_step(schedule, t)
    assert step == ancestral_step(schedule, t, t - 1) and ddim_step(schedule, t) == ddim_step(
        schedule, t, t - 1
    )
    assert np.array_equal(
        step.xt_coef * x_t + step.eps_coef * eps, posterior_mean_from_eps(schedule, x_t, t, eps)
    )
    assert_close(step.std**2, posterior_mean_variance(schedule, x_t, x_t, t)[1], ulp=6)


@pytest.mark.E17
@pytest.mark.E18
@given(schedules_and_steps(max_T=40))
def test_the_last_step_adds_no_noise(case):
    schedule, t = case
    for step in (
        *(ancestral_step(schedule, t, 0, variance=v) for v in ("posterior", "beta")),
        ddim_step(schedule, t, 0, eta=1.0),
    ):
        assert step.std == 0


@pytest.mark.E17
@given(schedules_and_steps(max_T=12), st.data())
def test_a_table_of_variances_is_used_as_given_and_entry_0_is_not_read(case, data):
    schedule, t = case
    table = np.array(
        [np.nan, *data.draw(st.lists(st.floats(0, 1e6), min_size=schedule.T, max_size=schedule.T))]
    )
    for entry_0 in (np.nan, np.inf, -1.0):
        table[0] = entry_0
        step = ancestral_step(schedule, t, variance=table)
        assert step.std == np.sqrt(table[t]) and step[:2] == ancestral_step(schedule, t)[:2]
    assert ancestral_step(schedule, t, 0, variance=table.tolist()).std == np.sqrt(table[t])


@pytest.mark.E17
@pytest.mark.E18
@given(schedules_and_sequences(), ETAS)
def test_a_route_is_its_steps_and_a_step_of_arrays_is_the_step_of_each(case, eta):
    schedule, visited = case
    pairs = list(zip([0, *visited], visited))[::-1]
    for route, step in (
        (ancestral_steps(schedule, visited), ancestral_step),
        (
            ancestral_steps(schedule, visited, variance="beta"),
            partial(ancestral_step, variance="beta"),
        ),
        (ddim_steps(schedule, visited, eta=eta), partial(ddim_step, eta=eta)),
    ):
        assert list(route) == visited[::-1]
        assert list(route.values()) == [step(schedule, t, s) for s, t in pairs]
    assert list(ancestral_steps(schedule, last=1)) == [1] and ddim_steps(schedule, last=0) == {}


# ---- the order of things ------------------------------------------------------------------------


@every_sampler
@given(
    schedules_and_sequences(),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([np.float32, np.float64]),
)
def test_trajectories_run_in_the_order_of_t(name, case, n, dim, dtype):
    (schedule, visited), sample = case, SAMPLERS[name]
    path = sample(
        denoiser, schedule, n, dim, rng=rng(), steps=visited, trajectory=True, dtype=dtype
    )
    assert path.shape == (len(visited) + 1, n, dim) and path.dtype == dtype
    assert np.array_equal(path[-1], fill_normal(np.empty((n, dim), dtype), rng=rng()))
    assert np.array_equal(
        path[0], sample(denoiser, schedule, n, dim, rng=rng(), steps=visited, dtype=dtype)
    )


@every_sampler
def test_the_denoiser_sees_each_step_once_from_T_down(name):
    seen = []

    def spy(x_t, t):
        seen.append((t, x_t.copy()))
        return denoiser(x_t, t)

    schedule = Schedule.linear(7)
    for steps, visited in (
        (None, [1, 2, 3, 4, 5, 6, 7]),
        (3, [2, 4, 7]),
        ([2, 5, 7], [2, 5, 7]),
        (np.array([7]), [7]),
    ):
        seen.clear()
        path = SAMPLERS[name](spy, schedule, 2, 3, rng=rng(), steps=steps, trajectory=True)
        assert [t for t, _ in seen] == visited[::-1] and all(type(t) is int for t, _ in seen)
        assert all(
            np.array_equal(x, path[i]) for i, (_, x) in zip(range(len(visited), 0, -1), seen)
        )


@pytest.mark.E17
@pytest.mark.parametrize("name", [*SAMPLERS, "a table"])
@given(schedules_and_sequences(), st.integers(0, 2**32), st.sampled_from([np.float32, np.float64]))
def test_every_step_is_its_coefficients_with_fresh_noise_but_none_at_the_end(
    name, case, seed, dtype
):
    """By the proofs of E17 and E18, this is all that there is to say of where the samples go."""
    schedule, visited = case
    table = np.linspace(0.5, 0.1, schedule.T + 1)
    samplers = SAMPLERS | {"a table": partial(ancestral_sample, variance=table)}
    generator, again = rng(seed), rng(seed)
    path = samplers[name](
        denoiser, schedule, 2, 3, rng=generator, steps=visited, trajectory=True, dtype=dtype
    )
    fill_normal(np.empty((2, 3), dtype), rng=again)
    for i in range(len(visited), 0, -1):
        s, t = ([0, *visited])[i - 1], visited[i - 1]
        step = {
            "ancestral": partial(ancestral_step, schedule, t, s),
            "beta": partial(ancestral_step, schedule, t, s, variance="beta"),
            "a table": partial(ancestral_step, schedule, t, s, variance=table),
            "ddim": partial(ddim_step, schedule, t, s),
            "ddim, eta = 1": partial(ddim_step, schedule, t, s, eta=1.0),
        }[name]()
        xt_coef, eps_coef, std = map(dtype, step)
        expected = xt_coef * path[i] + eps_coef * denoiser(path[i], t)
        assert (std > 0) == (name == "a table" or s > 0 and name != "ddim")
        if std > 0:
            expected = expected + std * fill_normal(np.empty((2, 3), dtype), rng=again)
        assert np.array_equal(path[i - 1], expected)
    # Nothing else was drawn.
    assert generator.bit_generator.state == again.bit_generator.state


@given(schedules(max_T=60), st.data())
def test_a_number_of_steps_is_spread_evenly_and_ends_in_T(schedule, data):
    number = data.draw(st.integers(1, schedule.T))
    visited = step_sequence(schedule, number)
    assert len(visited) == number and visited[-1] == schedule.T and visited[0] >= 1
    gaps = set(np.diff([0, *visited]).tolist())
    assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1
    assert (
        step_sequence(schedule, None)
        == step_sequence(schedule, schedule.T)
        == list(range(1, schedule.T + 1))
    )
    explicit = data.draw(sub_sequences(schedule))
    assert all(
        step_sequence(schedule, kind(explicit)) == explicit for kind in (list, tuple, np.array)
    )


# ---- seeds, dtypes, edges -----------------------------------------------------------------------


@every_sampler
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(name):
    def bits(seed, **options):
        return SAMPLERS[name](
            denoiser, Schedule.linear(20), 3, 4, rng=rng(seed), **options
        ).tobytes()

    assert bits(1) == bits(1) == bits(1, steps=20) == bits(1, steps=range(1, 21)) != bits(2)
    state = np.random.get_state()[1].tobytes()
    bits(3)
    assert np.random.get_state()[1].tobytes() == state


@every_sampler
def test_dtype_is_asked_for_or_the_denoisers_or_float64(name):
    class Denoiser:
        dtype = np.float32

        def __call__(self, x_t, t):
            assert x_t.dtype == self.dtype
            return denoiser(x_t, t)

    def kind(denoise, **options):
        return SAMPLERS[name](denoise, Schedule.linear(5), 2, 3, rng=rng(), **options).dtype

    assert kind(Denoiser()) == np.float32 and kind(denoiser) == np.float64
    assert kind(denoiser, dtype=np.float32) == kind(denoiser, dtype="float32") == np.float32
    # What the denoiser returns is brought to the dtype of the samples.
    assert kind(lambda x, t: x.astype(np.float64), dtype=np.float32) == np.float32
    assert kind(lambda x, t: x.tolist()) == np.float64


@every_sampler
def test_steps_that_are_too_far_apart_are_refused(name):
    far = Schedule.from_beta([1 - 1e-6] * 60)
    for options in ({"steps": 1}, {"steps": 4, "dtype": np.float32}):
        with pytest.raises(ValueError, match="^steps must"):
            SAMPLERS[name](denoiser, far, 2, 3, rng=rng(), **options)
    assert np.all(
        np.isfinite(SAMPLERS[name](denoiser, far, 2, 3, rng=rng(), steps=[14, 28, 44, 60]))
    )
