"""Gaussians, singular or not, point masses, and the distances between them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddpm_np.closed_form.distributions import Gaussian, PointMass, kl_divergence, wasserstein2
from ddpm_np.conformance.strategies import gaussians
from ddpm_np.forward import covariance_at, q_mean_variance
from ddpm_np.schedule import Schedule

EPS = np.finfo(np.float64).eps
Array = NDArray[np.float64]


def rotation(dim, rng):
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def condition(g):
    return g.spectrum.max() / g.spectrum[g.varies].min() if g.rank else 1.0


# ---- one Gaussian --------------------------------------------------------------------------------


@given(gaussians(regular=True), st.integers(0, 2**32))
def test_log_density_is_the_textbooks(g, seed):
    from scipy.stats import multivariate_normal

    x = g.sample(5, rng=np.random.default_rng(seed)) + 0.5
    expected = np.atleast_1d(multivariate_normal(g.mean, g.cov).logpdf(x))
    # scipy inverts the matrix: its exponent carries the condition number, as the squared distance
    # does the rounding of x - mean.
    size = np.abs(g.logpdf(x)) + g.dim * 30
    assert np.all(np.abs(g.logpdf(x) - expected) <= 20 * g.dim * EPS * condition(g) * size)


@given(gaussians(max_dim=3))
def test_density_integrates_to_one_on_the_support(g):
    # A product grid along the axes that vary; the trapezoidal rule of step h has error 2 exp(-2 (pi
    # / h)^2) per axis of a Gaussian.
    h, units = 0.5, np.arange(-8, 8.25, 0.5)
    grid = np.array(list(product(units, repeat=g.rank)))
    cell = h**g.rank * np.sqrt(g.spectrum[g.varies]).prod()
    total = np.exp(g.logpdf(g.mean + grid @ g.root)).sum() * cell
    outside = 2 * g.rank * np.exp(-0.5 * 8.25**2)
    aliasing = 2 * g.rank * np.exp(-2 * (np.pi / h) ** 2)
    # One standard deviation of the narrowest axis is 1e-3, the mean and the points are of size 1e2:
    # c / std is good to 1e5 eps.
    assert abs(total - 1) <= outside + aliasing + 100 * EPS * 1e5


@given(gaussians(regular=True), st.integers(0, 2**32))
def test_score_is_the_gradient_of_the_log_density(g, seed):
    rng = np.random.default_rng(seed)
    x, along = g.sample(3, rng=rng), g.axes[:, int(rng.integers(g.dim))]
    # The log density is quadratic: central differences have no truncation error, only the rounding
    # of x and of log p.
    h = np.sqrt(along @ g.cov @ along)
    difference = (g.logpdf(x + h * along) - g.logpdf(x - h * along)) / (2 * h)
    size = np.linalg.norm(x, axis=1) + np.linalg.norm(g.mean) + h
    steepest = (np.linalg.norm(g.score(x), axis=1) + h / g.spectrum.min()).max()
    rounding = 20 * g.dim * EPS * (np.abs(g.logpdf(x)) + 10 + size * steepest) / h
    assert np.all(np.abs(g.score(x) @ along - difference) <= rounding)


@given(gaussians(), st.integers(0, 2**32))
def test_divergence_is_the_trace_of_the_scores_jacobian(g, seed):
    x = g.sample(1, rng=np.random.default_rng(seed))[0]
    jacobian = [
        (g.score(x + h) - g.score(x - h)) @ h / (2 * h @ h) for h in g.root
    ]  # the score is affine: exact for any step
    size = np.linalg.norm(x) + np.linalg.norm(g.mean) + np.sqrt(g.spectrum.max())
    smallest = g.spectrum[g.varies].min(initial=np.inf)
    assert abs(g.divergence(x) - sum(jacobian)) <= 20 * g.dim * EPS * (
        g.dim / smallest + size / smallest**1.5
    )


@given(gaussians())
def test_covariance_is_the_given_matrix_and_its_own_axes(g):
    again = Gaussian(g.mean, g.cov)
    assert np.array_equal(again.cov, g.cov) and again.rank == g.rank
    assert (
        np.abs((again.axes * again.spectrum) @ again.axes.T - g.cov).max()
        <= 20 * g.dim * EPS * g.spectrum.max()
    )
    assert np.all(np.diff(again.spectrum) <= 0)


@given(gaussians(), st.integers(0, 2**32), st.sampled_from([np.float64, np.float32]))
def test_own_samples_lie_on_the_support_and_points_beside_it_do_not(g, seed, dtype):
    rng = np.random.default_rng(seed)
    for dist in (g, Gaussian(g.mean, g.cov)):
        x = dist.sample(20, rng=rng, dtype=dtype)
        assert x.shape == (20, dist.dim) and x.dtype == dtype
        assert np.isfinite(dist.logpdf(x)).all()
        assert np.isfinite(dist.score(x)).all()
        assert np.isfinite(dist.divergence(x)).all()
        assert dist.logpdf(x).dtype == np.float64 and dist.score(x).dtype == dtype
        if dist.rank < dist.dim:
            scale = np.abs(x).max() + np.abs(dist.mean).max() + np.sqrt(dist.spectrum.max()) or 1.0
            beside = x + 1e6 * dist.dim * np.finfo(dtype).eps * scale * dist.axes[:, ~dist.varies][
                :, 0
            ].astype(dtype)
            assert np.all(dist.logpdf(beside) == -np.inf)
            assert np.isnan(dist.score(beside)).all() and np.isnan(dist.divergence(beside)).all()


def test_entropy_is_the_mean_of_minus_log_density():
    rng, n = np.random.default_rng(1), 20_000
    g = Gaussian(np.zeros(3), np.diag([4.0, 0.25, 0.0]))
    surprise = -g.logpdf(g.sample(n, rng=rng))
    assert abs(surprise.mean() - g.entropy) <= 5 * surprise.std() / np.sqrt(n)
    assert g.entropy == pytest.approx(
        np.log(2 * np.pi * np.e), rel=4 * EPS
    )  # standard deviations 2 and 1/2
    assert PointMass([1.0, 2.0]).entropy == 0


def test_a_weak_direction_of_a_factor_is_kept_that_the_matrix_cannot_hold():
    factor = np.diag([1.0, 1e-10])
    assert Gaussian.from_factor([0.0, 0.0], factor).spectrum == pytest.approx([1, 1e-20], rel=1e-12)
    assert Gaussian([0.0, 0.0], factor.T @ factor).rank == 1


@pytest.mark.E5
@pytest.mark.E6
@given(gaussians(), st.integers(0, 4))
def test_diffused_it_has_the_covariance_of_the_forward_process(g, t):
    schedule = Schedule.from_beta([1e-12, 1e-3, 0.3, 0.9])
    x_t = g.diffuse(schedule, t)
    mean, _ = q_mean_variance(schedule, g.mean, t)
    assert np.array_equal(x_t.mean, mean)
    assert np.abs(x_t.cov - covariance_at(schedule, g.cov, t)).max() <= 20 * g.dim * EPS * (
        g.spectrum.max() + 1
    )
    assert x_t.rank == (g.dim if t else g.rank) and x_t.axes is g.axes


@pytest.mark.E6
def test_point_mass_is_a_gaussian_without_variance():
    point, schedule = PointMass([1.0, -2.0, 0.5]), Schedule.from_beta([0.19, 0.5])
    assert point.rank == 0 and not point.cov.any() and np.array_equal(point.mean, [1.0, -2.0, 0.5])
    assert np.array_equal(point.sample(2, rng=np.random.default_rng(0)), [point.mean, point.mean])
    assert np.array_equal(point.logpdf([point.mean, point.mean + [0, 0, 1e-9]]), [0, -np.inf])
    assert np.array_equal(
        point.score([point.mean, point.mean + [0, 0, 1e-9]]),
        [[0] * 3, [np.nan] * 3],
        equal_nan=True,
    )
    x_1 = point.diffuse(schedule, 1)
    assert np.allclose(x_1.mean, 0.9 * point.mean, rtol=EPS) and np.allclose(
        x_1.cov, 0.19 * np.eye(3), rtol=4 * EPS, atol=0
    )
    assert point.diffuse(schedule, 0).rank == 0


# ---- two of them ---------------------------------------------------------------------------------


@pytest.mark.E30
@given(gaussians(), st.booleans())
def test_equal_gaussians_are_at_no_distance(g, share):
    same = g if share else Gaussian(g.mean, g.cov)
    tr = g.spectrum.sum()
    assert wasserstein2(g, same) <= (0 if share else np.sqrt(10 * g.dim * EPS * tr))
    assert wasserstein2(same, Gaussian(g.mean, g.cov)) <= 100 * g.dim * EPS * np.sqrt(
        tr * condition(g)
    )
    assert (
        0
        <= kl_divergence(same, Gaussian(g.mean, g.cov))
        <= (100 * g.dim * EPS * condition(g)) ** 2 + g.dim * EPS
    )
    assert kl_divergence(g, g) == 0


@given(gaussians(regular=True), st.integers(0, 2**32))
def test_wasserstein_is_the_formula_in_print_where_that_is_accurate(p, seed):
    rng = np.random.default_rng(seed)
    q = Gaussian.from_factor(rng.standard_normal(p.dim), rng.standard_normal((p.dim, p.dim)))
    values, vectors = np.linalg.eigh(p.cov)
    half = (vectors * np.sqrt(values)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(half @ q.cov @ half), 0)).sum()
    printed = np.square(p.mean - q.mean).sum() + np.trace(p.cov) + np.trace(q.cov) - 2 * cross
    size = np.square(p.mean - q.mean).sum() + np.trace(p.cov) + np.trace(q.cov)
    assert abs(wasserstein2(p, q) ** 2 - printed) <= p.dim * np.sqrt(EPS) * size
    assert wasserstein2(p, q) == pytest.approx(wasserstein2(q, p), rel=1e-9)


@given(gaussians(max_dim=4), st.integers(0, 2**32))
def test_wasserstein_is_a_metric_that_translations_and_scales_move_as_they_should(p, seed):
    rng = np.random.default_rng(seed)
    q = Gaussian.from_factor(p.mean, rng.standard_normal((2, p.dim)))
    away = rng.standard_normal(p.dim)
    moved = Gaussian.from_spectrum(p.mean + away, p.axes, p.spectrum)
    assert wasserstein2(p, moved) == pytest.approx(np.linalg.norm(away), rel=1e-12)
    assert wasserstein2(p, q) <= wasserstein2(p, moved) + wasserstein2(moved, q) + 1e-6
    assert wasserstein2(p, PointMass(p.mean)) == pytest.approx(np.sqrt(p.spectrum.sum()), rel=1e-12)


def test_wasserstein_to_the_noised_is_the_difference_of_standard_deviations():
    p = Gaussian(np.zeros(3), np.diag([4.0, 1.0, 0.0]))
    assert wasserstein2(p, p.noised(1.0, 0.25)) == np.sqrt(
        (np.sqrt(4.25) - 2) ** 2 + (np.sqrt(1.25) - 1) ** 2 + 0.25
    )


@pytest.mark.E30
@given(gaussians(regular=True, max_dim=4), st.integers(0, 2**32))
def test_kl_is_the_textbooks(p, seed):
    rng = np.random.default_rng(seed)
    q = Gaussian.from_spectrum(
        rng.standard_normal(p.dim), rotation(p.dim, rng), rng.uniform(0.5, 2, p.dim)
    )
    away = q.mean - p.mean
    terms = np.array(
        [
            np.trace(np.linalg.solve(q.cov, p.cov)),
            away @ np.linalg.solve(q.cov, away),
            -p.dim,
            np.linalg.slogdet(q.cov)[1],
            -np.linalg.slogdet(p.cov)[1],
        ]
    )
    kl = kl_divergence(p, q)
    assert kl >= 0 and abs(kl - terms.sum() / 2) <= 100 * p.dim * EPS * (
        np.abs(terms).sum() + condition(p)
    )


@pytest.mark.E30
@given(gaussians(), st.integers(0, 2**32))
def test_kl_lives_on_a_common_support(g, seed):
    rng = np.random.default_rng(seed)
    narrow = Gaussian.from_spectrum(g.mean, g.axes, g.spectrum / 4)
    assert kl_divergence(narrow, g) == pytest.approx(
        g.rank / 2 * (1 / 4 - 1 + np.log(4)), rel=1e-12
    )
    Q = rotation(g.dim, rng)
    turned = [Gaussian.from_spectrum(Q @ h.mean, Q @ h.axes, h.spectrum) for h in (narrow, g)]
    assert kl_divergence(*turned) == pytest.approx(
        kl_divergence(narrow, g), rel=1e-12 * condition(g)
    )
    if g.rank < g.dim:
        off = g.axes[:, ~g.varies][:, 0]
        assert kl_divergence(Gaussian.from_spectrum(g.mean + off, g.axes, g.spectrum), g) == np.inf
        assert kl_divergence(g.noised(1.0, 1e-6), g) == np.inf  # wider than the support of q
        assert kl_divergence(g, g.noised(1.0, 1e-6)) == np.inf  # on a set to which q gives no mass
    if 0 < g.rank < g.dim:
        other = np.where(g.varies, g.spectrum, 0)[::-1]
        assert (
            np.array_equal(other > 0, g.varies)
            or kl_divergence(Gaussian.from_spectrum(g.mean, g.axes, other), g) == np.inf
        )


@pytest.mark.E30
def test_kl_near_equality_keeps_its_digits():
    # KL = (d - ln(1 + d)) / 2 = d^2 / 4 (1 - 2 d / 3 ...); rounding 1 + d moves d by 1e-7 of it.
    d = 1e-9
    assert kl_divergence(Gaussian([0.0], [[1 + d]]), Gaussian([0.0], [[1.0]])) == pytest.approx(
        d**2 / 4, rel=1e-6, abs=EPS * d
    )


def test_symmetry_and_definiteness_are_judged_to_rounding_of_the_matrixs_own_dtype():
    rng = np.random.default_rng(0)
    factor = rng.standard_normal((2, 4))
    for dtype in (np.float32, np.float64):
        singular = (factor.T @ factor).astype(dtype)
        assert Gaussian(np.zeros(4), singular).rank == 2
        off = singular.copy()
        off[0, 1] += 4000 * np.finfo(dtype).eps * np.abs(singular).max()
        with pytest.raises(ValueError, match="cov must be symmetric"):
            Gaussian(np.zeros(4), off)
        with pytest.raises(ValueError, match="cov must have no negative eigenvalue"):
            Gaussian(
                np.zeros(4),
                singular
                - dtype(4000 * np.finfo(dtype).eps)
                * np.abs(singular).max()
                * np.eye(4, dtype=dtype),
            )


def test_views_of_what_can_be_changed_are_copied():
    for owner in (np.eye(2), np.asfortranarray(np.eye(2))):
        view = owner.view()
        view.flags.writeable = False
        g = Gaussian.from_spectrum(view[0], view, [1.0, 2.0])
        owner[...] = 7
        assert np.array_equal(g.axes, np.eye(2)) and np.array_equal(g.mean, [1, 0])
    for array in (g.mean, g.axes, g.spectrum, g.varies, g.root, g.cov):
        assert array.flags.owndata and not array.flags.writeable
    # What nobody else can change is shared, so that distances are exact.
    assert Gaussian.from_spectrum(g.mean, g.axes, [3.0, 1.0]).axes is g.axes


def test_a_spectrum_keeps_its_order_and_a_matrix_gives_the_largest_first():
    assert Gaussian.from_spectrum([0.0, 0.0], np.eye(2), [1.0, 2.0]).spectrum.tolist() == [1, 2]
    assert Gaussian([0.0, 0.0], np.diag([1.0, 2.0])).spectrum.tolist() == [2, 1]
    assert Gaussian.from_factor([0.0, 0.0], np.diag([1.0, 2.0])).spectrum.tolist() == [4, 1]
    tail = Gaussian.from_spectrum(np.zeros(4), np.eye(4), [2.0, 3.0, 1.0, 1.0])
    assert tail.levels.tolist() == [2, 3, 1] and tail.counts.tolist() == [1, 1, 2]


@given(st.floats(1e-8, 1e8), st.floats(0.0, 1e3))
def test_points_beside_a_plane_are_told_by_the_scale_of_its_spectrum(scale, mean):
    # The support is known to eps sqrt(largest variance) and to the rounding of the mean.
    plane = Gaussian.from_spectrum([mean, 0.0], np.eye(2), [scale**2, 0.0])
    reach = 200 * EPS * (scale + mean)
    for dist in (plane, plane.on_same_axes(plane.mean, plane.levels)):
        assert dist.logpdf([mean, reach / 4]) > -np.inf
        assert dist.logpdf([mean, 2 * reach]) == -np.inf
