"""Means, kernels, spectra and shaped noise: closed forms against arithmetic and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.covariance import (
    covariance_of_sum,
    covariance_two_steps,
    effective_rank,
    end_noise_correlation,
    end_noise_loss,
    error_of_mean,
    kernel_covariance,
    kl_to_noise,
    random_frequency_covariance,
    reshape_noise,
    reshaping_error,
    sample_covariance,
    spectrum,
    transport_map,
    variance_of_mean,
)
from ddpm_np.closed_form.distributions import Gaussian, PointMass, kl_divergence
from ddpm_np.closed_form.ideal import optimal_loss
from ddpm_np.forward import covariance_step, q_skip
from ddpm_np.schedule import Schedule

EPS = np.finfo(float).eps
seeds = st.integers(0, 2**32 - 1)


def random_covariance(rng, n, rank):
    factor = rng.standard_normal((rank, n))
    return factor.T @ factor


# ---- E33 -----------------------------------------------------------------------------------------


@pytest.mark.E33
@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0, -0.1])
def test_variance_of_a_mean_is_that_of_the_full_covariance_matrix(correlation):
    n, variance = 10, 3.0
    C = variance * ((1 - correlation) * np.eye(n) + correlation)
    weights = np.full(n, 1 / n)
    exact = weights @ C @ weights
    assert variance_of_mean(variance, n, correlation=correlation) == pytest.approx(
        exact, rel=8 * n * EPS, abs=8 * n * EPS
    )
    error = error_of_mean(variance, n, correlation=correlation, bias=0.5)
    assert error == pytest.approx(exact + 0.25, rel=8 * n * EPS)


@pytest.mark.E33
def test_averaging_removes_neither_what_is_shared_nor_a_bias():
    assert variance_of_mean(2.0, 10**9, correlation=0.5) == pytest.approx(1.0, rel=1e-8)
    assert error_of_mean(2.0, 10**9, bias=3.0) == pytest.approx(9.0, rel=1e-8)
    assert variance_of_mean(2.0, 1, correlation=-1.0) == 2.0


# ---- E21, E22 ------------------------------------------------------------------------------------


@pytest.mark.E21
@given(seed=seeds, n=st.integers(1, 20), scale=st.sampled_from([1e-3, 1.0, 100.0]))
def test_kernel_is_a_symmetric_likeness_with_ones_on_the_diagonal(seed, n, scale):
    v = scale * np.random.default_rng(seed).standard_normal(n)
    C = kernel_covariance(v)
    assert np.array_equal(C, C.T) and np.all(np.diag(C) == 1) and np.all((C >= 0) & (C <= 1))
    i, j = np.random.default_rng(seed + 1).integers(0, n, 2)
    # NumPy's exp of an array and of a number may differ in the last place.
    assert C[i, j] == pytest.approx(np.exp(-((v[i] - v[j]) ** 2)), rel=4 * EPS)
    assert np.array_equal(kernel_covariance(v[:, None]), C)
    assert np.array_equal(kernel_covariance(v[::-1]), C[::-1, ::-1])
    both = kernel_covariance(np.stack([v, 2 * v], axis=1))[i, j]
    assert both == pytest.approx(np.exp(-5 * (v[i] - v[j]) ** 2), rel=64 * EPS * (1 + scale**2))


@pytest.mark.E22
def test_effective_rank_of_known_matrices():
    assert effective_rank(np.eye(7)) == 7.0
    assert effective_rank(np.ones((7, 7))) == pytest.approx(1.0, rel=64 * EPS)
    assert effective_rank(np.diag([1e-300, 1e-300])) == 2.0
    assert effective_rank(np.diag([1e300, 1e300])) == 2.0


@pytest.mark.E22
def test_random_frequencies_fill_about_twice_the_band_plus_one_directions():
    C = random_frequency_covariance(50, 5.0)
    values = spectrum(C)
    assert np.trace(C) == pytest.approx(50)
    held = np.cumsum(values) / values.sum()
    assert held[2 * 5 + 1] > 0.99 and held[2 * 5 - 2] < 0.99  # 12 directions hold 99 %, 9 do not
    # By integration, E cos(2 pi f u) = sin(2 pi band u) / (2 pi band u), to rounding.
    for band in (5.0, 0.3):
        u = 2 * np.pi * band * np.linspace(0, 1, 50)[1:]
        assert np.allclose(
            random_frequency_covariance(50, band)[1:, 0], np.sin(u) / u, atol=8 * EPS
        )


# ---- E23 -----------------------------------------------------------------------------------------


@pytest.mark.E23
@given(seed=seeds, n=st.integers(1, 8), extra=st.integers(1, 8), shift=st.sampled_from([0.0, 3.0]))
def test_noise_with_more_rows_than_columns_gets_the_covariance_exactly(seed, n, extra, shift):
    rng = np.random.default_rng(seed)
    X = shift + rng.standard_normal((n + extra, n))
    C1 = random_covariance(rng, n, int(rng.integers(1, n + 1)))
    Y = reshape_noise(X, C1)
    scale = 64 * (n + extra) * EPS * np.linalg.norm(C1)
    assert np.max(np.abs(Y.T @ Y / len(Y) - C1)) <= scale
    assert np.max(np.abs(Y.mean(axis=0))) <= 64 * (n + extra) * EPS * np.sqrt(
        np.linalg.norm(C1) * (n + extra)
    )


@pytest.mark.E23
@pytest.mark.parametrize("apart", [1e-3, 1e-9])
def test_rows_that_hardly_differ_are_centred_to_their_own_rounding(apart):
    X = 3 + apart * np.random.default_rng(6).standard_normal((5, 2))
    Y = reshape_noise(X, np.eye(2))
    assert np.abs(Y.mean(axis=0)).max() <= 64 * EPS
    assert np.abs(Y.T @ Y / 5 - np.eye(2)).max() <= 1e-13
    assert np.abs(sample_covariance(X) / apart**2).max() < 10


@pytest.mark.E23
@given(seed=seeds, n=st.integers(3, 12), m=st.integers(2, 12))
def test_with_too_few_rows_the_error_is_the_energy_of_the_tail(seed, n, m):
    rng = np.random.default_rng(seed)
    C1 = random_covariance(rng, n, n)
    Y = reshape_noise(rng.standard_normal((m, n)), C1)
    error = np.linalg.norm(sample_covariance(Y) - C1)
    assert abs(error - reshaping_error(C1, min(m - 1, n))) <= 256 * n * EPS * np.linalg.norm(C1)


@pytest.mark.E23
def test_reshaping_is_the_printed_product():
    rng = np.random.default_rng(3)
    X, C1 = rng.standard_normal((30, 6)), random_covariance(rng, 6, 6)
    centred = X - X.mean(axis=0)
    values, V = np.linalg.eigh(centred.T @ centred / 30)
    target, V1 = np.linalg.eigh(C1)
    printed = centred @ V @ np.diag(np.sqrt(target / values)) @ V1.T
    # The signs of eigenvectors are free: each mode of the result agrees up to its own sign.
    ours, theirs = reshape_noise(X, C1) @ V1, printed @ V1
    signs = np.sign(np.sum(ours * theirs, axis=0))
    condition = values[-1] / values[0]
    assert (
        np.max(np.abs(ours - signs * theirs))
        <= 256 * condition * EPS * np.abs(theirs).max() / np.diff(np.sort(values)).min()
    )


@pytest.mark.E23
def test_the_printed_covariance_without_the_division_is_off_by_m():
    X = np.random.default_rng(4).standard_normal((500, 5))
    assert np.trace(X.T @ X) / np.trace(sample_covariance(X)) == pytest.approx(500, rel=0.02)
    allowed = 500 * EPS * np.abs(X).max() ** 2
    assert np.max(np.abs(sample_covariance(X) - np.cov(X, rowvar=False, bias=True))) <= allowed


@pytest.mark.E23
def test_where_there_is_no_noise_there_is_nothing_to_shape():
    assert np.array_equal(reshape_noise(np.ones((4, 3)), np.eye(3)), np.zeros((4, 3)))


@pytest.mark.E23
@given(seed=seeds, n=st.integers(1, 6), rank=st.integers(1, 6))
def test_transport_map_is_symmetric_monotone_and_reaches_the_target(seed, n, rank):
    rng = np.random.default_rng(seed)
    C, C1 = random_covariance(rng, n, 3 * n + 3), random_covariance(rng, n, rank)
    A = transport_map(C, C1)
    allowed = 512 * n * EPS * np.linalg.cond(C) * np.linalg.norm(C1)
    assert np.max(np.abs(A @ C @ A - C1)) <= allowed
    assert np.max(np.abs(A - A.T)) <= 512 * n * EPS * np.linalg.cond(C) * np.linalg.norm(A)
    assert np.linalg.eigvalsh((A + A.T) / 2)[0] >= -512 * n * EPS * np.linalg.cond(
        C
    ) * np.linalg.norm(A)


@pytest.mark.E23
def test_transport_moves_less_than_the_notes_map():
    rng = np.random.default_rng(5)
    X, C1 = rng.standard_normal((200, 10)), random_covariance(rng, 10, 10)
    X -= X.mean(axis=0)
    A = transport_map(sample_covariance(X), C1)
    moved, notes = np.mean((X @ A - X) ** 2), np.mean((reshape_noise(X, C1) - X) ** 2)
    assert moved < notes
    root = np.linalg.eigvals(sample_covariance(X) @ C1)
    w2_squared = np.trace(sample_covariance(X)) + np.trace(C1) - 2 * np.sum(np.sqrt(root.real))
    assert 10 * moved == pytest.approx(w2_squared, rel=1e-10)


# ---- E5 and the chain ----------------------------------------------------------------------------


@pytest.mark.E5
def test_what_is_left_of_a_curve_at_the_end_of_the_notes_chain():
    schedule, white = Schedule.sigmoid(100, beta_min=1e-5), Gaussian(np.zeros(50), np.eye(50))
    alpha_bar, rest = schedule.alpha_bar[100], schedule.one_minus_alpha_bar[100]
    expected = 0.5 * (alpha_bar * 50 - 50 * alpha_bar - 50 * np.log(rest))
    left = kl_divergence(PointMass(np.ones(50)).diffuse(schedule, 100), white)
    assert left == pytest.approx(expected, rel=1e-12) and left == pytest.approx(0.135, abs=5e-4)


@pytest.mark.E3
@given(seed=seeds, n=st.integers(1, 5))
def test_covariance_of_a_sum_is_that_of_the_stacked_variables(seed, n):
    rng = np.random.default_rng(seed)
    joint, (a, b) = random_covariance(rng, 2 * n, 3 * n), rng.standard_normal(2)
    C_x, C_y, C_xy = joint[:n, :n], joint[n:, n:], joint[:n, n:]
    rows = np.hstack([a * np.eye(n), b * np.eye(n)])
    found = covariance_of_sum(a, C_x, b, C_y, C_xy)
    allowed = 64 * n * EPS * np.linalg.norm(joint) * (a**2 + b**2)
    assert np.abs(found - rows @ joint @ rows.T).max() <= allowed
    independent = covariance_of_sum(a, C_x, b, C_y)
    assert np.abs(independent - (a**2 * C_x + b**2 * C_y)).max() <= allowed
    # The printed 2ab Cov(X, Y) is no covariance where Cov(X, Y) is not symmetric.
    printed = independent + 2 * a * b * C_xy
    assert n == 1 or np.abs(printed - printed.T).max() > allowed


@pytest.mark.E3
@given(seed=seeds, t=st.integers(2, 20))
def test_two_steps_at_once_are_the_recursion_twice(seed, t):
    schedule, Sigma = Schedule.sigmoid(20), random_covariance(np.random.default_rng(seed), 3, 4)
    twice = covariance_step(schedule, covariance_step(schedule, Sigma, t - 1), t)
    assert np.abs(covariance_two_steps(schedule, Sigma, t) - twice).max() <= 16 * EPS * (
        1 + np.linalg.norm(Sigma)
    )
    # b = 1 - a without the subtraction, which would leave no digit of 2e-12 beyond the fourth.
    small = Schedule.from_beta([1e-12, 1e-12])
    assert covariance_two_steps(small, [[0.0]], 2)[0, 0] == pytest.approx(
        2e-12 - 1e-24, rel=4 * EPS
    )


@pytest.mark.E5
def test_the_chain_ends_at_noise_exactly_if_the_betas_have_an_infinite_sum():
    dist, T = Gaussian([2.0, 0.0], np.diag([3.0, 0.0])), 400
    t = np.arange(1, T + 1)
    schedules = {
        "increasing": Schedule.linear(T, beta_max=0.1),
        "equal": Schedule.from_beta(np.full(T, 0.05)),
        "1/(t + 1)": Schedule.from_beta(1 / (t + 1)),
        "summable": Schedule.from_beta(1 / (t + 1) ** 2),
    }
    left = {name: kl_to_noise(dist, schedule) for name, schedule in schedules.items()}
    assert all(kl[0] == np.inf and np.all(np.diff(kl[1:]) < 0) for kl in left.values())
    assert left["increasing"][T] < 1e-8 and left["equal"][T] < 1e-8

    def kl(kept):  # (variance - 1 - ln variance + mean^2) / 2 along both axes
        return (4 * kept + 2 * kept - np.log1p(2 * kept) - kept - np.log1p(-kept)) / 2

    # alpha_bar = 1/(t + 1)
    assert left["1/(t + 1)"][T] == pytest.approx(kl(1 / (T + 1)), rel=1e-12)
    # Product of 1 - 1/(s + 1)^2 is (t + 2) / (2 (t + 1)): half of the signal stays.
    assert schedules["summable"].alpha_bar[T] == pytest.approx((T + 2) / (2 * T + 2), rel=1e-12)
    half = Gaussian([np.sqrt(2.0), 0.0], np.diag([2.0, 0.5]))
    end = kl_divergence(half, Gaussian(np.zeros(2), np.eye(2)))
    assert left["summable"][T] == pytest.approx(kl((T + 2) / (2 * T + 2)), rel=1e-12)
    assert kl(0.5) == pytest.approx(end, rel=1e-12) and left["summable"][T] > end > 1
    assert schedules["increasing"].alpha_bar[T] <= (1 - schedules["increasing"].beta[1]) ** T


@pytest.mark.E6
def test_the_correlation_with_the_end_is_right_where_the_tables_underflow():
    for T in (322, 400):
        schedule = Schedule.from_beta([0.9] * T)
        assert end_noise_correlation(schedule, T) == 1.0
        rho = end_noise_correlation(schedule, np.arange(1, T + 1))
        # sqrt(0.1^(T - t) (1 - 0.1^t)): the ratio is a power of 1 - beta, whatever alpha_bar_t is.
        left = 0.5 * np.arange(T - 1, -1, -1)
        t = np.arange(1, T + 1)
        held = left < 150  # beyond, the ratio of the two alpha_bar underflows itself
        expected = 10.0**-left * np.sqrt(1 - 10.0**-t)
        assert np.allclose(rho[held], expected[held], rtol=1e-12, atol=0)
        assert np.isfinite(end_noise_loss(schedule, np.full(T + 1, 0.5))[1:]).all()
    assert end_noise_correlation(Schedule.from_beta([0.9] * 322), 321) == pytest.approx(
        0.31623, abs=5e-6
    )
    assert end_noise_correlation(Schedule.from_beta([0.5]), 1) == 1.0


@pytest.mark.E6
def test_the_noise_in_x_t_is_not_the_noise_at_the_end_of_the_chain():
    schedule = Schedule.sigmoid(100, beta_min=1e-5)
    assert end_noise_correlation(schedule, 100) == 1.0
    assert end_noise_correlation(schedule, np.array([10, 50, 90])) == pytest.approx(
        [0.005, 0.065, 0.589], abs=6e-4
    )
    # What of the noise in x_t is left at the end, when nothing is added on the way.
    noise = np.sqrt(schedule.one_minus_alpha_bar)
    kept = q_skip(schedule, noise[60:61], 60, 100, np.zeros(1))[0] / noise[100]
    assert end_noise_correlation(schedule, 60) == pytest.approx(kept, rel=8 * EPS)


@pytest.mark.E6
@pytest.mark.E25
@pytest.mark.parametrize("variance", [0.25, 1.0, 4.0])
def test_least_loss_for_the_noise_at_the_end_is_the_variance_that_x_t_leaves_of_it(variance):
    schedule, dist = Schedule.sigmoid(50), Gaussian([0.0], [[variance]])
    loss = end_noise_loss(schedule, optimal_loss(dist, schedule))
    assert np.isnan(loss[0]) and loss.shape == (51,)
    for t in range(1, 50):
        # Rows: x_t and the end's noise, as combinations of x_0, eps and the fresh noise between t
        # and T.
        kept, fresh = schedule.between(t, 50)
        rest, end = schedule.one_minus_alpha_bar[t], schedule.one_minus_alpha_bar[50]
        rows = np.sqrt([[schedule.alpha_bar[t], rest, 0], [0, kept * rest / end, fresh / end]])
        joint = rows * [variance, 1, 1] @ rows.T
        assert abs(loss[t] - (joint[1, 1] - joint[0, 1] ** 2 / joint[0, 0])) <= 20 * EPS


def test_rounding_is_that_of_the_dtype_given():
    rows = np.random.default_rng(0).standard_normal((4, 30)).astype(np.float32)
    C = rows.T @ rows
    wrong = C.copy()
    wrong[0, 1] += np.float32(1e-2)
    assert 1 < effective_rank(C) < 4.01
    for name, call in (("C", effective_rank), ("cov", lambda cov: Gaussian(np.zeros(30), cov))):
        with pytest.raises(ValueError, match=f"{name} must be symmetric"):
            call(wrong)
        with pytest.raises(ValueError, match=f"{name} must have no negative eigenvalue"):
            call(C - np.float32(1e-2) * np.eye(30, dtype=np.float32))


def test_the_covariance_of_a_sum_in_a_stack_is_that_of_each():
    C_x, C_y, C_xy = np.random.default_rng(0).standard_normal((3, 2, 2, 2))
    whole = covariance_of_sum(2.0, C_x, 3.0, C_y, C_xy)
    for k in range(2):
        alone = covariance_of_sum(2.0, C_x[k], 3.0, C_y[k], C_xy[k])
        np.testing.assert_array_equal(whole[k], alone)


def test_the_transport_map_of_the_largest_covariances_is_found():
    C = 1e308 * np.eye(3)
    assert np.allclose(transport_map(C, C), np.eye(3), rtol=1e-14, atol=1e-14)
