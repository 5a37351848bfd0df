"""Rings: the decoder and its slopes, the quadrature against finer ones, the nearest ring."""

import numpy as np
import pytest

from ddpm_np.closed_form.distributions import Rings
from ddpm_np.closed_form.distributions.ring_pictures import drawn, steepest
from ddpm_np.closed_form.distributions.rings import nearest_ring, ring_pictures
from ddpm_np.closed_form.gaussian import Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_floor
from ddpm_np.schedule import Schedule

SMALL = Rings(8, radius=2.2, spread=0.8)


def at_level(sigma, dist=SMALL):
    """The distribution of (x_0 + sigma eps) / sqrt(1 + sigma^2)."""
    return dist.noised(1 / (1 + sigma**2), sigma**2 / (1 + sigma**2))


def test_a_ring_is_dark_outside_bright_on_the_rim_and_grey_inside():
    picture = ring_pictures(np.array([[1.0, 0.0]]), 4.4, 17).reshape(17, 17)
    # the centre is one row below the middle pixel, which is (8, 8)
    assert abs(picture[9, 8]) < 1e-3 and abs(picture[0, 0] + 1) < 1e-3
    assert picture[9, 12] > 0.7 and picture[9, 4] > 0.7 and picture[13, 8] > 0.7
    np.testing.assert_allclose(picture, picture[:, ::-1], rtol=0, atol=1e-15)
    u = (4.4 - np.hypot(3 - 1, -8 + 8)) / 0.6, 1 / 0.6
    expected = np.tanh(u[0] + u[1]) - np.tanh(u[0] - u[1]) / 2 - 0.5
    assert abs(picture[11, 8] - expected) < 1e-14


def test_slopes_are_the_derivatives_of_the_picture():
    place, radius = np.array([[0.3, -0.7]]), np.array([2.5])
    _, slopes = drawn(place, radius, 8, slopes=True)
    h, moves = 1e-6, [([[1, 0]], 0), ([[0, 1]], 0), ([[0, 0]], 1)]
    assert slopes is not None
    for slope, (along, wider) in zip(slopes[0], moves):
        step = h * np.array(along)
        up = ring_pictures(place + step, radius + h * wider, 8)
        down = ring_pictures(place - step, radius - h * wider, 8)
        np.testing.assert_allclose(slope, (up - down)[0] / (2 * h), rtol=0, atol=1e-8)


def test_no_ring_moves_faster_than_the_bound_which_is_no_wider_than_it_must_be():
    rng = np.random.default_rng(0)
    for radius, reach in ((1.0, 0.0), (2.5, 0.0), (2.5, 0.4), (4.0, 0.1)):
        place, away = rng.uniform(-2, 2, (200, 2)), rng.standard_normal((200, 2))
        near = place + reach * away / np.linalg.norm(away, axis=1, keepdims=True)
        slopes = drawn(near, np.asarray(radius), 8, slopes=True)[1]
        assert slopes is not None
        fastest = np.linalg.norm(slopes[:, :2], 2, axis=(1, 2))
        wider = np.linalg.norm(slopes[:, 2], axis=1)  # as if all pixels lay on the way
        bound = steepest(place, reach, radius, 8)
        assert np.all(fastest <= bound)
        assert reach or np.all(wider <= bound) and np.all(bound <= 1.2 * wider)


def test_moments_and_samples_agree():
    for dist in (SMALL, at_level(0.5)):
        x = dist.sample(4000, rng=np.random.default_rng(0))
        error = x.std(0, ddof=1) / np.sqrt(4000)
        assert np.all(np.abs(x.mean(0) - dist.mean) <= 5 * error + 1e-12)
        squares = np.square(x).mean(1)
        assert abs(squares.mean() - dist.mean_square) <= 5 * squares.std() / np.sqrt(4000)
        along = (x - dist.mean) @ np.ones(64)
        expected = dist.cov.sum()
        assert abs(np.square(along).mean() / expected - 1) <= 5 * np.sqrt(2 / 4000) * 2


def test_places_are_drawn_from_the_standard_normal_and_the_noise_after_them():
    rng, noised = np.random.default_rng(0), at_level(0.5)
    clean = SMALL.decode(rng.standard_normal((5, 2)))
    assert np.array_equal(SMALL.sample(5, rng=np.random.default_rng(0)), clean)
    x = np.sqrt(noised.kept) * clean + np.sqrt(noised.noise) * rng.standard_normal((5, 64))
    np.testing.assert_allclose(noised.sample(5, rng=np.random.default_rng(0)), x, rtol=1e-15)


def test_the_mean_square_is_the_integral_over_all_places():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    squares = np.square(SMALL.decode(z)).mean(1)
    exact = np.outer(weights, weights).ravel() @ squares / (2 * np.pi)
    # The integrals promise 1e-6; 60 nodes are 1.5e-7 off what 200 give.
    assert SMALL.mean_square == pytest.approx(exact, rel=1e-6)
    assert at_level(2.0).mean_square == pytest.approx(0.2 * exact + 0.8, rel=1e-6)


@pytest.mark.E24
@pytest.mark.parametrize("sigma", [0.016, 0.3, 1.5])
@pytest.mark.parametrize("dist", [SMALL, Rings(12, radius=3.4, spread=1.0)], ids=repr)
def test_a_grid_around_the_mode_a_fixed_one_and_cells_give_the_same(dist, sigma):
    noised, integrals = at_level(sigma, dist), dist._integrals
    x, unit = noised.sample(2, rng=np.random.default_rng(0)), sigma
    signal, grid = x / np.sqrt(noised.kept), integrals.grid(noised.kept, noised.noise)
    ways = [integrals._around_the_mode(signal, unit**2)]
    if grid is not None:
        ways.append(integrals._on_the_grid(grid, x, noised.kept, noised.noise))
    compared = 0
    for row in range(2):
        mean, trace, log = integrals._by_cells(signal[row], unit**2)
        for means, traces, logs, sound in ways:
            if sound[row]:
                compared += 1
                assert np.abs(means[row] - mean).max() <= 1e-6 * unit
                assert abs(logs[row] - log) <= 2e-6 and abs(traces[row] - trace) <= 1e-4 * unit**2
    assert compared


@pytest.mark.E24
@pytest.mark.parametrize(
    "dist, sigma",
    [
        pytest.param(Rings(8, radius=2.0, spread=3.0), 0.8, marks=pytest.mark.long),
        (Rings(5, radius=2.0), 0.4),
        (Rings(5, radius=0.5), 0.5),
        (Rings(4), 0.16),
    ],
    ids=repr,
)
def test_rings_that_leave_the_picture_or_have_a_kink_are_summed_right(dist, sigma):
    """Against a grid over everything, written anew, so fine that kinks leave it 2e-4."""
    x = at_level(sigma, dist).sample(2, rng=np.random.default_rng(3))
    signal = x * np.sqrt(1 + sigma**2)
    h = 0.5 * sigma / dist._integrals.slope
    along = np.arange(-5, 5 + h, h)
    pixel = np.arange(dist.size) - (dist.size - 1) / 2
    sums = np.zeros((2, 1 + dist.dim))
    for z in along:
        d = np.hypot(
            (pixel - dist.spread * z)[None, :, None],
            (pixel[None] - dist.spread * along[:, None])[:, None],
        )
        outer, inner = (
            (np.tanh((dist.radius + w - d) / 0.6)).reshape(-1, dist.dim) for w in (1, -1)
        )
        ring = outer - inner / 2 - 0.5
        cost = np.square(signal[:, None] - ring).sum(-1) / sigma**2 + z**2 + along**2
        weight = np.exp(-cost / 2 + dist.dim / 2)
        sums += np.column_stack([weight.sum(1), weight @ ring])
    eps_star = (signal - sums[:, 1:] / sums[:, :1]) / sigma
    noised = at_level(sigma, dist)
    assert np.abs(-np.sqrt(noised.noise) * noised.score(x) - eps_star).max() <= 2e-4
    log = np.log(sums[:, 0] * h**2 / (2 * np.pi)) - dist.dim / 2 * (
        1 + np.log(2 * np.pi * noised.noise)
    )
    assert np.abs(noised.logpdf(x) - log).max() <= 2e-4


@pytest.mark.E24
def test_two_modes_share_what_lies_between_them():
    """The mean of two rings is as near to the one as to the other."""
    dist = Rings(8, radius=1.5, spread=1.5)
    x = (dist.decode([[1.0, 0.0]]) + dist.decode([[-1.0, 0.0]])) / 2
    mean = dist.noised(1.0, 0.04).posterior(x)[0].reshape(8, 8)
    np.testing.assert_allclose(mean, mean[::-1], rtol=0, atol=1e-6)


@pytest.mark.E24
@pytest.mark.parametrize("spread", [1e-300, 1e-12])
def test_rings_that_hardly_move_are_one_picture(spread):
    noised = Rings(8, radius=2.2, spread=spread).noised(0.5, 0.5)
    x = noised.sample(3, rng=np.random.default_rng(0))
    picture = ring_pictures(np.zeros((1, 2)), 2.2, 8)[0]
    still = Gaussian(np.sqrt(0.5) * picture, 0.5 * np.eye(64))
    np.testing.assert_allclose(noised.logpdf(x), still.logpdf(x), rtol=1e-9)
    np.testing.assert_allclose(noised.score(x), still.score(x), rtol=0, atol=1e-9)


def test_what_cannot_be_integrated_is_refused():
    for dist, x in (
        (SMALL.noised(1.0, 1e-31), SMALL.sample(1, rng=np.random.default_rng(0))),
        (Rings(8, radius=2.0, spread=0.1).noised(1.0, 0.05), ring_pictures([[2.0, 0.0]], 2.0, 8)),
    ):
        with pytest.raises(ArithmeticError, match="cannot be integrated to 1e-06"):
            dist.score(x)
    with pytest.raises(ArithmeticError, match="at a spread of 1000 need a grid"):
        Rings(8, spread=1e3).mean
    far = Rings(8, spread=1e100).noised(0.5, 0.5)
    with pytest.raises(ArithmeticError, match="need a grid of step 3e-101"):
        far.logpdf(np.zeros(64))


@pytest.mark.E24
@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_score_and_divergence_are_derivatives_of_the_density(sigma):
    dist, h = at_level(sigma, Rings(4, radius=1.2, spread=0.5)), 1e-4
    x = dist.sample(1, rng=np.random.default_rng(1))
    steps = h * np.eye(dist.dim)
    slope = (dist.logpdf(x + steps) - dist.logpdf(x - steps)) / (2 * h)
    np.testing.assert_allclose(dist.score(x)[0], slope, rtol=0, atol=2e-4)
    second = np.trace(dist.score(x + steps) - dist.score(x - steps)) / (2 * h)
    assert abs(dist.divergence(x)[0] / second - 1) < 1e-4


@pytest.mark.E25
def test_two_unknown_numbers_cost_two_shares_of_the_loss():
    """While the noise hides only where exactly the ring is, the floor is 2 / dim."""
    schedule = Schedule.from_beta([1e-4, 1e-3])
    floor, error = estimate_floor(SMALL, schedule, n=8, rng=np.random.default_rng(0))
    np.testing.assert_allclose(floor[1:], 2 / SMALL.dim, rtol=0.02)


@pytest.mark.E24
def test_it_serves_the_ideal_denoiser_in_any_shape_and_dtype():
    schedule = Schedule.from_beta([0.01, 0.6])
    ideal = IdealDenoiser(SMALL, schedule)
    x = SMALL.diffuse(schedule, 2).sample(2, rng=np.random.default_rng(0))
    whole = ideal(x, 2)
    assert np.array_equal(ideal(x.reshape(2, 1, 64), 2), whole.reshape(2, 1, 64))
    assert ideal(x.astype(np.float32), 1).dtype == np.float32
    assert SMALL.logpdf is not None and np.shape(at_level(1.0).logpdf(x[0])) == ()
    assert SMALL.sample(3, rng=np.random.default_rng(0), dtype=np.float32).dtype == np.float32


def test_noise_adds_up():
    once = SMALL.noised(0.5, 0.25).noised(0.8, 0.1)
    assert once.kept == 0.5 * 0.8 and once.noise == 0.25 * 0.8 + 0.1
    assert once.has_density and not SMALL.has_density
    assert repr(once) == "Rings(size=8, radius=2.2, spread=0.8, kept=0.4, noise=0.3)"
    nothing = SMALL.noised(0.0, 1.0)
    x = np.random.default_rng(0).standard_normal((2, 64))
    np.testing.assert_allclose(nothing.score(x), -x, rtol=0, atol=1e-12)


def test_the_nearest_ring_is_found_from_a_noisy_one():
    rng = np.random.default_rng(0)
    place, radius = rng.uniform(-1.5, 1.5, (20, 2)), rng.uniform(2.5, 5.5, 20)
    clean = ring_pictures(place, radius, 16)
    fit = nearest_ring(clean)
    assert fit.distance.max() < 1e-9 and np.abs(fit.radius - radius).max() < 1e-8
    assert np.abs(fit.place - place).max() < 1e-8
    noisy = clean + 0.1 * rng.standard_normal(clean.shape)
    fit = nearest_ring(noisy)
    assert np.all(fit.distance <= np.sqrt(np.square(noisy - clean).mean(1)))
    assert np.abs(fit.radius - radius).max() < 0.1
    same_size = nearest_ring(noisy, radius=4.4)
    assert np.all(same_size.radius == 4.4) and np.all(same_size.distance >= fit.distance - 1e-9)


@pytest.mark.E24
def test_where_no_trace_of_the_rings_is_left_they_are_white_noise():
    white = Gaussian(np.zeros(64), 0.7 * np.eye(64))
    x = white.sample(5, rng=np.random.default_rng(0))
    for kept in (0.0, 1e-30):
        noise = SMALL.noised(kept, 0.7)
        np.testing.assert_allclose(noise.logpdf(x), white.logpdf(x), rtol=1e-12)
        np.testing.assert_allclose(noise.score(x), white.score(x), rtol=0, atol=1e-12)
        np.testing.assert_allclose(noise.divergence(x), white.divergence(x), rtol=1e-12)


def test_the_integrals_that_are_kept_are_those_of_the_rows_asked_for():
    dist, rng = at_level(0.5), np.random.default_rng(0)
    x = dist.sample(3, rng=rng)
    before, divergence = dist.score(x), dist.divergence(x)
    for array in dist.posterior(x):
        array += 1  # the caller's own
    np.testing.assert_array_equal(dist.score(x), before)
    np.testing.assert_array_equal(dist.divergence(x), divergence)
    x += 0.1
    fresh = Rings(8, radius=2.2, spread=0.8).noised(dist.kept, dist.noise)
    np.testing.assert_array_equal(dist.score(x), fresh.score(x))
    assert not np.array_equal(dist.score(x), before)
    np.testing.assert_array_equal(
        at_level(1.0).score(x), at_level(1.0, Rings(8, radius=2.2, spread=0.8)).score(x)
    )
