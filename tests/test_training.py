"""The loss and its gradient, the draw of the steps, the loop and its state."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.learning.fast import FastDenoiser, FastGradient
from ddpm_np.learning.optimizer import AdamW, warmup_cosine
from ddpm_np.network import MLP, Layer
from ddpm_np.sampling import ancestral_sample, ddim_sample
from ddpm_np.schedule import Schedule
from ddpm_np.training import (
    Divergence,
    TrainingState,
    _independent_steps,
    _refuse_divergence,
    balanced_steps,
    denoising_loss,
    train,
)

pytestmark = pytest.mark.E16

SCHEDULE = Schedule.sigmoid(10)
DATA = Gaussian(np.zeros(3), np.diag([1.0, 0.5, 0.0]))
FEW = {"steps": 5, "batch_size": 4, "learning_rate": 1e-3}


def generator(seed=0):
    return np.random.default_rng(seed)


def small_network(seed=0, **options):
    skip = np.sqrt(SCHEDULE.one_minus_alpha_bar)
    return MLP(3, 10, hidden=(8,), rng=generator(seed), skip=skip, **options)


def run(steps=20, seed=1, state=None, **options):
    if state is None:
        state = TrainingState(small_network(), rng=generator(seed))
    options = {"batch_size": 16, "learning_rate": 1e-2, **options}
    return state, list(train(state.network, DATA, SCHEDULE, steps=steps, state=state, **options))


@pytest.mark.E15
@given(n=st.integers(1, 6), dim=st.integers(1, 6), seed=st.integers(0, 99))
def test_loss_is_the_mean_square_and_its_gradient_is_that_of_the_number_returned(n, dim, seed):
    rng = generator(seed)
    eps_hat, eps, direction = rng.standard_normal((3, n, dim))
    loss, gradient = denoising_loss(eps_hat, eps)
    assert loss == pytest.approx(np.mean((eps_hat - eps) ** 2), rel=1e-14)
    # The loss is quadratic, so the central difference is exact but for rounding, at any step width.
    slope = (
        denoising_loss(eps_hat + direction, eps)[0] - denoising_loss(eps_hat - direction, eps)[0]
    ) / 2
    size = np.mean((np.abs(eps_hat - eps) + np.abs(direction)) ** 2)
    assert slope == pytest.approx(np.sum(gradient * direction), abs=50 * np.finfo(float).eps * size)


@given(T=st.integers(1, 200), n=st.integers(1, 600), seed=st.integers(0, 999))
def test_balanced_steps_come_equally_often_in_rounds(T, n, seed):
    t = balanced_steps(T, n, rng=generator(seed))
    counts = np.bincount(t, minlength=T + 1)
    assert t.shape == (n,) and counts[0] == 0 and len(counts) == T + 1
    assert (np.abs(counts[1:] - n / T) < 1).all()
    rounds = n // T * T
    assert np.array_equal(t[:rounds], 1 + np.arange(rounds) % T) and (np.diff(t[rounds:]) > 0).all()


class AlmostOne(np.random.Generator):
    def random(self, *args, **kwargs):
        return np.nextafter(1, 0)


def test_balanced_steps_stay_within_T_for_the_largest_uniform_number():
    assert balanced_steps(100, 99, rng=AlmostOne(np.random.PCG64(0))).max() == 100


@pytest.mark.E15
@pytest.mark.parametrize("gradient", [None, FastGradient()])
@pytest.mark.parametrize("max_norm, balanced", [(1e-3, True), (1e3, True), (1e3, False)])
def test_the_loop_is_the_algorithm_written_out(max_norm, balanced, gradient):
    network, twin = small_network(dtype=np.float64), small_network(dtype=np.float64)
    network.flat += 0.3 * generator(3).standard_normal(network.flat.size)
    twin.flat[:] = network.flat
    state = TrainingState(network, rng=generator(4), weight_decay=0.1)
    rng = generator(4)
    optimizer = AdamW(twin.flat.size, np.float64, weight_decay=0.1)
    averages = []
    settings = {"steps": 6, "batch_size": 16, "learning_rate": 0.02, "warmup": 2}
    settings |= {"max_norm": max_norm, "gradient": gradient, "balanced": balanced}
    draw = balanced_steps if balanced else _independent_steps
    loop = train(network, DATA, SCHEDULE, state=state, **settings)
    for k, record in enumerate(loop, 1):
        x_0, t = DATA.sample(16, rng=rng), draw(10, 16, rng=rng)
        eps = rng.standard_normal((16, 3))
        x_t = (
            np.sqrt(SCHEDULE.alpha_bar[t, None]) * x_0
            + np.sqrt(SCHEDULE.one_minus_alpha_bar[t, None]) * eps
        )
        eps_hat, cache = twin.forward(x_t, t)
        gradient = twin.backward(2 * (eps_hat - eps) / eps.size, cache).flat
        norm = np.linalg.norm(gradient)
        rate = warmup_cosine(k, steps=6, peak=0.02, warmup=2)
        optimizer.step(twin.flat, gradient * min(1, max_norm / norm), rate)
        averages.append(twin.flat.copy())
        loss = np.mean((eps_hat - eps) ** 2)
        assert record == pytest.approx((k, loss, norm, rate), rel=1e-13)
        # Adam divides by the gradient's size plus 1e-8, which can magnify a rounding 1e8 times.
        allowed = 0.02 * 1e8 * np.finfo(float).eps
        np.testing.assert_allclose(network.flat, twin.flat, rtol=0, atol=allowed)
    weights = state.ema.decay ** np.arange(5, -1, -1)
    np.testing.assert_allclose(state.ema.average, weights @ averages / weights.sum(), atol=allowed)


def test_stopping_and_going_on_gives_the_bits_of_an_unbroken_run():
    whole, _ = run(20)
    state = TrainingState(small_network(), rng=generator(1))
    steps = train(
        state.network, DATA, SCHEDULE, steps=20, batch_size=16, learning_rate=1e-2, state=state
    )
    for _ in range(7):
        next(steps)
    steps.close()
    assert state.step == 7
    run(20, state=state)
    assert np.array_equal(state.network.flat, whole.network.flat) and np.array_equal(
        state.ema.average, whole.ema.average
    )
    assert run(20, state=state)[1] == []  # a finished run has nothing left to do
    with pytest.raises(ValueError, match="steps must be at least the 20 that the state has done"):
        run(19, state=state)


def test_a_network_belongs_to_the_schedule_that_trained_it():
    state, _ = run(3)
    other = Schedule.linear(10)
    with pytest.raises(ValueError, match="schedule must be that of the network"):
        train(state.network, DATA, other, state=state, **FEW)
    for denoiser in (state.network, state.ema_network(), FastDenoiser(state.network)):
        for sample in (ancestral_sample, ddim_sample):
            sample(denoiser, Schedule.sigmoid(10), 2, 3, rng=generator(0))
            with pytest.raises(ValueError, match="schedule must be that of the denoiser"):
                sample(denoiser, other, 2, 3, rng=generator(0))


@pytest.mark.parametrize("balanced", [True, False])
def test_steps_are_drawn_as_often_as_their_density_says(balanced):
    T, n, rng = 10, 7, generator(0)
    density = np.r_[np.nan, np.arange(1, T + 1.0) ** -0.5]
    draw = balanced_steps if balanced else _independent_steps
    draws = 5000
    each = (draw(T, n, rng=rng, step_density=density) for _ in range(draws))
    counts = np.array([np.bincount(t, minlength=T + 1) for t in each])
    wanted = n * density[1:] / density[1:].sum()
    error = counts[:, 1:].std(0) / np.sqrt(draws)
    assert not counts[:, 0].any() and np.all(np.abs(counts[:, 1:].mean(0) - wanted) <= 5 * error)
    if balanced:
        assert np.all(np.abs(counts[:, 1:] - wanted) < 1)


def test_without_a_state_the_generator_given_drives_the_run():
    networks = [small_network() for _ in range(2)]
    for network in networks:
        list(train(network, DATA, SCHEDULE, rng=generator(7), **FEW))
    assert np.array_equal(networks[0].flat, networks[1].flat) and not np.array_equal(
        networks[0].flat, small_network().flat
    )


def test_ema_network_is_another_network_with_the_averaged_weights():
    state, _ = run(5)
    average = state.ema_network()
    assert np.array_equal(average.flat, state.ema.average)
    assert average.config == state.network.config
    assert not np.shares_memory(average.flat, state.ema.average)


def test_divergence_stops_before_the_weights_are_touched():
    state, _ = run(3)
    state.network.params["W1"][0, 0] = 1e30  # float32 overflows when its square is formed
    kept = state.network.flat.copy()
    with pytest.raises(Divergence, match="step 4.*learning_rate"):
        run(10, state=state)
    assert state.step == 3 and np.array_equal(state.network.flat, kept)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_stays_in_the_dtype_of_the_network(dtype):
    hidden = 8, Layer(4, "leaky_relu", "shift")
    network = MLP(3, 10, hidden=hidden, rng=generator(), dtype=dtype)
    list(train(network, DATA, SCHEDULE, rng=generator(), **FEW))
    assert network.flat.dtype == dtype and all(p.dtype == dtype for p in network.params.values())


def test_train_is_a_generator_that_starts_nothing_by_itself():
    network = small_network()
    steps = train(network, DATA, SCHEDULE, rng=generator(), **FEW)
    assert inspect.isgenerator(steps) and np.array_equal(network.flat, small_network().flat)


@pytest.mark.parametrize(
    ("loss", "norm"), [(np.inf, 1.0), (1.0, np.inf), (np.nan, 1.0), (1.0, np.nan)]
)
def test_a_loss_or_a_norm_that_is_not_finite_is_divergence_each_alone(loss, norm):
    with pytest.raises(Divergence, match="step 7"):
        _refuse_divergence(loss, norm, 7)
    _refuse_divergence(1.0, 1e30, 7)


@pytest.mark.parametrize("balanced", [True, False])
def test_no_step_is_drawn_more_often_than_another(balanced):
    T, n = 5, 500_000
    draw = balanced_steps if balanced else _independent_steps
    t = draw(T, n, rng=generator(0))
    counts = np.bincount(t, minlength=T + 1)
    # Five standard errors of a share of 1/5 are 1.4 % of it: a skew of 3 % is seen.
    assert counts[0] == 0 and len(counts) == T + 1
    assert np.all(np.abs(counts[1:] / (n / T) - 1) <= 5 * np.sqrt((T - 1) / n))
    # Nor does the step depend on the place in the batch.
    first = np.bincount(t[: n // 2], minlength=T + 1)[1:]
    assert np.all(np.abs(first / (n / 2 / T) - 1) <= 5 * np.sqrt(2 * (T - 1) / n))


class Grid(np.random.Generator):
    """In place of a generator: one uniform number after the other, in the middle of 700 cells."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.numbers = iter((np.arange(700) + 0.5) / 700)

    def random(self):
        return next(self.numbers)


@pytest.mark.parametrize("r", [1, 3, 6])
def test_the_steps_that_do_not_fill_a_round_are_drawn_equally_often(r):
    T, grid = 7, Grid()
    t = np.concatenate([balanced_steps(T, r, rng=grid) for _ in range(700)])
    assert np.all(np.abs(np.bincount(t, minlength=T + 1)[1:] - 700 * r / T) <= 1)
