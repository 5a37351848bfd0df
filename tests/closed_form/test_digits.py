"""Each promise about digits, where it bites: tiny steps, no variance, float64's ends."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from ddpm_np import posterior
from ddpm_np.closed_form.covariance import (
    chi_mean,
    covariance_of_sum,
    end_noise_correlation,
    end_noise_loss,
    kernel_covariance,
    kl_to_noise,
    random_frequency_covariance,
    reshaping_error,
    sample_covariance,
    spectrum_at,
    variance_of_mean,
)
from ddpm_np.closed_form.distributions import (
    Empirical,
    Gaussian,
    GaussianMixture,
    PointMass,
    kl_divergence,
    wasserstein2,
)
from ddpm_np.closed_form.distributions.distances import excess
from ddpm_np.closed_form.guidance import GuidedDenoiser, condition
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.closed_form.latent import (
    LinearDecoder,
    decoder_log_likelihood,
    importance_sampling,
    ppca,
    quadrature,
)
from ddpm_np.closed_form.likelihood import vlb_terms
from ddpm_np.closed_form.patches import PatchDenoiser
from ddpm_np.closed_form.reverse import reverse_kernel, reverse_variance, sampler_distribution
from ddpm_np.sampling import ancestral_step, ddim_direction, ddim_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

EPS = float(np.finfo(np.float64).eps)


# ---- steps of 1e-12 and less ---------------------------------------------------------------------


@pytest.mark.E5
@pytest.mark.E25
def test_variances_and_floors_know_one_minus_alpha_bar_to_its_last_digit():
    schedule, values = Schedule.from_beta([1e-12, 3e-12]), [0.0, 1e-12, 2.0]
    beta = [Fraction(b) for b in schedule.beta[1:]]
    kept = (1 - beta[0]) * (1 - beta[1])
    exact = [kept * Fraction(v) + 1 - kept for v in values]
    np.testing.assert_allclose(spectrum_at(schedule, values, 2), [float(v) for v in exact], 4 * EPS)
    floor = sum(kept * Fraction(v) / e for v, e in zip(values, exact)) / 3
    data = Gaussian.from_spectrum(np.zeros(3), np.eye(3), values)
    assert optimal_loss(data, schedule)[2] == pytest.approx(float(floor), rel=8 * EPS, abs=0)


@pytest.mark.E4
@pytest.mark.parametrize("tiny", [1e-30, 1.2345678901e-45, 1e-55])
def test_tiny_steps_after_a_large_one_add_up(tiny):
    schedule = Schedule.from_beta([0.5, tiny, 2 * tiny, 0.3, tiny])
    for s, t in ((1, 3), (1, 2), (2, 3)):
        beta = [Fraction(float(b)) for b in schedule.beta[s + 1 : t + 1]]
        exact = 1 - math.prod(1 - b for b in beta)
        assert schedule.between(s, t)[1] == pytest.approx(float(exact), rel=2 * EPS, abs=0)


@pytest.mark.E24
def test_eps_star_of_float32_points_is_that_of_the_same_points_in_float64():
    schedule, rng = Schedule.from_beta([1e-12]), np.random.default_rng(0)
    for data in (MultiSine([1.0, 2.0], dim=8), Gaussian(rng.standard_normal(8) + 5, np.eye(8))):
        x = data.sample(5, rng=rng, dtype=np.float32)
        ideal = IdealDenoiser(data, schedule)
        assert np.array_equal(ideal(x, 1), ideal(x.astype(np.float64), 1).astype(np.float32))


@pytest.mark.E18
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_nothing_cancels_in_the_direction_of_a_ddim_step(eta):
    alpha, beta, before = 0.5, 0.5, 1e-12
    now = before * alpha + beta
    sigma_squared = Fraction(eta) ** 2 * Fraction(beta) * Fraction(before) / Fraction(now)
    exact = float(Fraction(before) - sigma_squared)
    now_as_used = abs(exact - ddim_direction(alpha, beta, now, before, eta))
    # now itself is rounded, which moves a direction of 1e-24 by eps before
    assert now_as_used <= 4 * EPS * exact + (EPS * before if eta == 1 else 0.0)
    if eta == 1:
        in_closed_form = float(Fraction(alpha) * Fraction(before) ** 2 / Fraction(now))
        assert ddim_direction(alpha, beta, now, before, 1.0) == pytest.approx(
            in_closed_form, rel=8 * EPS, abs=0
        )


@pytest.mark.E27
@pytest.mark.parametrize("eta", [None, 0.0, 0.5, 1.0])
def test_the_output_of_a_sampler_keeps_a_variance_far_below_its_steps(eta):
    schedule, given = Schedule.from_beta([1e-24, 0.1, 0.2]), 3e-25
    output = sampler_distribution(Gaussian([1.0], [[given]]), schedule, eta=eta)
    with localcontext() as context:
        context.prec = 80
        beta = [Decimal(float(b)) for b in schedule.beta[1:]]
        kept = [Decimal(1)]
        for b in beta:
            kept.append(kept[-1] * (1 - b))
        mean, variance = Decimal(0), Decimal(1)
        for t in (3, 2, 1):
            before, now = 1 - kept[t - 1], 1 - kept[t]
            added = beta[t - 1] * before / now * Decimal(1 if eta is None else eta) ** 2
            a = 1 / (1 - beta[t - 1]).sqrt()
            b = (before - added).sqrt() - a * now.sqrt()
            gain = a + b * now.sqrt() / (kept[t] * Decimal(given) + now)
            mean = gain * mean + (a - gain) * kept[t].sqrt()
            variance = gain**2 * variance + (added if t > 1 else 0)
    assert output.spectrum[0] == pytest.approx(float(variance), rel=50 * EPS, abs=0)
    assert output.mean[0] == pytest.approx(float(mean), rel=50 * EPS)


@pytest.mark.E28
@pytest.mark.E30
def test_what_is_left_of_the_signal_in_pure_noise_is_not_rounded_away():
    schedule = Schedule.from_beta([1 - 1e-15])
    kept = float(schedule.alpha_bar[1])
    data = Gaussian.from_spectrum([0.0, 1e-9], np.eye(2), [1.5, 0.25])
    expected = kept * 1e-18 / 2 + kept**2 * (0.5**2 + 0.75**2) / 4
    assert kl_to_noise(data, schedule)[1] == pytest.approx(expected, rel=1e-12, abs=0)
    terms = vlb_terms(IdealDenoiser(data, schedule), np.zeros((2, 2)), schedule)
    assert terms.prior == pytest.approx(kept**2 / 2, rel=1e-12, abs=0)
    for d in (-0.9, -0.5, -1e-3, 1e-12, 0.3, 0.7, 5.0):
        with localcontext() as context:
            context.prec = 60
            exact = Decimal(d) - (1 + Decimal(d)).ln()
        assert excess(d, np.log1p(d)) == pytest.approx(float(exact), rel=8 * EPS, abs=0)


@pytest.mark.E24
@pytest.mark.parametrize("placed", [False, True])
def test_patches_of_bright_pictures_are_told_apart_by_little_noise(placed):
    pictures = 100 + np.random.default_rng(0).standard_normal((5, 16))
    schedule = Schedule.from_beta([1e-12])
    x = Empirical(pictures).diffuse(schedule, 1).sample(4, rng=np.random.default_rng(1))
    eps_hat = PatchDenoiser(pictures, schedule, patch=7, placed=placed)(x, 1)
    exact = IdealDenoiser(Empirical(pictures), schedule)(x, 1)
    np.testing.assert_allclose(eps_hat, exact, rtol=0, atol=1e-12)


# ---- few axes ------------------------------------------------------------------------------------


@pytest.mark.E5
@pytest.mark.E24
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_few_axes_and_one_remaining_variance_are_the_whole_basis(noise):
    rng, schedule = np.random.default_rng(0), Schedule.from_beta([1e-6, 0.1, 0.5])
    few = MultiSine([0.7, 1.9, 3.1], dim=40, noise=noise)
    assert len(few.levels) == 7 and few.counts.tolist() == [1] * 6 + [34]
    # the same numbers with an axis for each, in an order that hides that many are equal
    order = rng.permutation(40)
    order = np.append(order[order != 0], 0)
    whole = Gaussian.from_spectrum(few.mean, few.axes[:, order], few.spectrum[order])
    assert len(whole.levels) == 40
    for t in (1, 3):
        q, p = few.diffuse(schedule, t), whole.diffuse(schedule, t)
        x = q.sample(5, rng=rng)
        size = 100 * EPS * np.abs(x).max() / np.sqrt(q.levels.min())
        for ours, theirs in (
            (q.logpdf(x), p.logpdf(x)),
            (q.score(x) * np.sqrt(q.levels.min()), p.score(x) * np.sqrt(q.levels.min())),
            (IdealDenoiser(few, schedule)(x, t), IdealDenoiser(whole, schedule)(x, t)),
        ):
            np.testing.assert_allclose(ours, theirs, rtol=100 * EPS, atol=40 * size)
        for ours, theirs in zip(
            reverse_kernel(few, schedule, x, t), reverse_kernel(whole, schedule, x, t)
        ):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=40 * size)
        np.testing.assert_allclose(q.entropy, p.entropy, rtol=100 * EPS)
        np.testing.assert_allclose(q.cov, p.cov, rtol=0, atol=100 * EPS)
    np.testing.assert_allclose(optimal_loss(few, schedule), optimal_loss(whole, schedule), 1e-14)
    for variance in ("posterior", "kernel"):
        ours, theirs = (sampler_distribution(d, schedule, variance=variance) for d in (few, whole))
        np.testing.assert_allclose(ours.cov, theirs.cov, rtol=0, atol=1e-13)
        bounds = (
            vlb_terms(IdealDenoiser(d, schedule), d, schedule, variance=variance)
            for d in (few, whole)
        )
        ours, theirs = (b.total for b in bounds)
        assert ours == pytest.approx(theirs, rel=1e-12)


# ---- numbers whose squares are none --------------------------------------------------------------


def test_distances_whose_squares_over_or_underflow():
    line = Gaussian([0.0, 0.0], np.diag([1.0, 0.0]))
    assert line.logpdf([0.0, 1e160]) == -np.inf and np.isnan(line.score([0.0, 1e160])).all()
    assert PointMass([0.0]).logpdf([1e-170]) == -np.inf
    assert Empirical([[0.0], [1e-170]]).logpdf([2e-170]) == -np.inf
    assert Gaussian([0.0], [[1e308]]).logpdf([0.0]) == pytest.approx(
        -(np.log(2 * np.pi) + 308 * np.log(10)) / 2
    )
    for size in (1e200, 1e-200):
        apart = wasserstein2(PointMass([0.0, 0.0]), PointMass([size, size]))
        assert apart == pytest.approx(np.sqrt(2) * size, rel=4 * EPS, abs=0)
    wide, narrow = (Gaussian.from_factor([0.0, 0.0], s * np.eye(2)) for s in (3e-170, 1e-170))
    turned = Gaussian.from_factor([0.0, 0.0], 1e-170 * np.array([[0.6, 0.8], [-0.8, 0.6]]))
    for other in (narrow, turned):
        assert wasserstein2(wide, other) == pytest.approx(np.sqrt(8) * 1e-170, rel=1e-14, abs=0)
    assert reshaping_error(1e200 * np.eye(3), 1) == pytest.approx(np.sqrt(2) * 1e200)
    assert kl_divergence(wide, narrow) == pytest.approx(8 - 2 * np.log(3), rel=1e-14)


@pytest.mark.E24
def test_a_point_far_from_every_component_has_a_score():
    far = np.array([[0.0, 1e160], [-3e170, 0.0]])
    mixture = GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.0]], [np.eye(2) / 2, np.eye(2) / 2])
    points = Empirical([[0.0, 1.0], [1.0, 2.0]]).noised(1.0, 0.5)
    for data in (mixture, points):
        np.testing.assert_allclose(data.score(far)[:, [1, 0]].diagonal(), [-2e160, 6e170], 1e-15)
        assert np.array_equal(data.logpdf(far), [-np.inf, -np.inf])


@pytest.mark.E32
def test_a_decoders_noise_may_be_too_small_for_a_variance():
    marginal = LinearDecoder([[1.0], [0.0]], [0.0, 0.0], 1e-170).marginal
    assert marginal.logpdf([0.0, 0.0]) == pytest.approx(170 * np.log(10) - np.log(2 * np.pi))
    np.testing.assert_allclose(marginal.score([0.0, 1e-170]), [0.0, -1e170], rtol=1e-14)


@pytest.mark.E31
def test_quadrature_sees_an_integrand_that_its_nodes_do_not():
    with pytest.raises(ValueError, match="nodes must be enough to resolve the integrand, got 401"):
        quadrature(lambda z: np.sin(40 * np.pi * z), [0.3], 0.5, 1)


def test_a_very_precise_measurement_is_believed():
    posterior = condition(Gaussian([0.0], [[1.0]]), [0], [1.0], noise=1e-155)
    assert posterior.mean[0] == 1.0
    rng, schedule = np.random.default_rng(0), Schedule.sigmoid(20, beta_min=1e-4)
    prior = Gaussian.from_factor(np.zeros(6), rng.standard_normal((2, 6)))
    y, x = rng.standard_normal(4), rng.standard_normal((3, 6))
    for noise in (1e-2, 1e-8, 1e-10, 1e-13):  # y fits no signal of this rank
        guided = GuidedDenoiser(prior, schedule, [0, 2, 3, 5], y, noise=noise)
        exact = IdealDenoiser(condition(prior, [0, 2, 3, 5], y, noise=noise), schedule)
        for t in (1, 10, 20):
            np.testing.assert_allclose(guided(x, t), exact(x, t), rtol=0, atol=2e-13)


def test_the_mean_distance_in_any_number_of_dimensions():
    for n in (1, 2, 50, 298, 299, 300, 301, 10**4, 10**9, 10**15):
        # E|z| in n and n + 1 dimensions multiply to n, and in n it is below sqrt(n - 1/2)
        assert chi_mean(n) * chi_mean(n + 1) == pytest.approx(n, rel=8 * EPS, abs=0)
        assert math.sqrt(n - 0.5) * (1 - 1e-15) <= chi_mean(n) <= math.sqrt(n - 0.5 + 1 / (4 * n))
    assert chi_mean(1) == pytest.approx(math.sqrt(2 / math.pi), rel=4 * EPS)


@pytest.mark.E10
@pytest.mark.E11
@pytest.mark.E18
@pytest.mark.E26
def test_steps_whose_squares_underflow():
    """Betas of 1e-200: what is a product of two of them, divided by a third, is none of them."""
    b, schedule = 1e-200, Schedule.from_beta([1e-200] * 4)
    assert posterior.psi_2(schedule, 2) == pytest.approx(2 / b, rel=4 * EPS)
    assert posterior.posterior_variance(b, 2 * b, b) == pytest.approx(b / 2, rel=4 * EPS, abs=0)
    for step in (ancestral_step(schedule, 4, 2), ddim_step(schedule, 4, 2, eta=1)):
        assert step.std == pytest.approx(math.sqrt(b), rel=4 * EPS, abs=0)
    for eta, exact in ((0.0, 2 * b), (1.0, b)):
        found = ddim_direction(1.0, 2 * b, 4 * b, 2 * b, eta)
        assert found == pytest.approx(exact, rel=4 * EPS, abs=0)
    kernel = reverse_variance(PointMass([0.0]), schedule, 4, 2)
    assert kernel[0] == pytest.approx(b, rel=4 * EPS, abs=0)
    output = sampler_distribution(Gaussian([0.0], [[b]]), schedule, eta=0.0)
    gain = math.prod((1 + math.sqrt(t * (t - 1))) / (1 + t) for t in (4, 3, 2, 1))
    assert output.spectrum[0] == pytest.approx(gain**2, rel=50 * EPS)


@pytest.mark.E3
@pytest.mark.E23
@pytest.mark.E33
def test_products_that_are_floats_while_their_parts_are_not():
    assert variance_of_mean(1e308, 10, correlation=0.5) == pytest.approx(5.5e307, rel=4 * EPS)
    for a, b, size, exact in (
        (1e-170, 1e-170, 1e300, 2e-40),
        (1e150, 1e-170, 1e300, 2e280),
        (1e150, 1e150, 1e-300, 2.0),
    ):
        cross = covariance_of_sum(a, [[0.0]], b, [[0.0]], [[size]])
        assert cross[0, 0] == pytest.approx(exact, rel=8 * EPS, abs=0)
    own = covariance_of_sum(1e-170, [[1e300]], 0.0, [[1.0]])
    assert own[0, 0] == pytest.approx(1e-40, rel=8 * EPS, abs=0)
    assert kernel_covariance([0.0, 1e200, -1e308, 1e308]).tolist() == np.eye(4).tolist()
    with pytest.raises(ValueError, match="X must be small enough for its covariance"):
        sample_covariance([[1e200, 1e200], [-1e200, 1e200], [3e200, 1e200]])
    with pytest.raises(ValueError, match="band must be at most 1e"):
        random_frequency_covariance(3, 1e308)
    faded = Schedule.from_beta([1 - 1e-16] * 19 + [0.999999])
    left = kl_to_noise(PointMass([1.5e308] * 3), faded)[-1]
    exact = Fraction(float(faded.alpha_bar[-1])) * 3 * Fraction(1.5e308) ** 2 / 2
    assert left == pytest.approx(float(exact), rel=8 * EPS)
    with pytest.raises(ValueError, match="factor must be small enough"):
        Gaussian.from_factor([0.0], [[1e200]])
    with pytest.raises(ValueError, match="scale must be at most 1e140"):
        MultiSine([1.0], scale=1e200)


@pytest.mark.E6
@pytest.mark.E25
def test_the_noise_at_the_end_keeps_what_is_left_of_it():
    tiny = Schedule.from_beta([1e-30, 1e-30])
    loss = end_noise_loss(tiny, [np.nan, 1e-20, 1e-20])
    np.testing.assert_allclose(loss[1:], [0.5 + 0.5e-20, 1e-20], rtol=4 * EPS)
    faded = Schedule.from_beta([1e-20, *[1 - 1e-16] * 19])
    with localcontext() as context:
        context.prec = 60
        kept = (1 - Decimal(float(faded.beta[2]))) ** 19
        exact = (kept * Decimal(float(faded.beta[1]))).sqrt()
    found = end_noise_correlation(faded, 1)
    assert found == pytest.approx(float(exact), rel=8 * EPS, abs=0)
    assert end_noise_correlation(Schedule.from_beta([0.3]), 1) == 1.0


@pytest.mark.E31
@pytest.mark.E32
def test_a_latent_that_is_known_to_1e_200_is_no_point():
    posterior_of_z = LinearDecoder([[1.0], [0.0]], [0.0, 0.0], 1e-200).posterior([1.0, 0.0])
    assert posterior_of_z.deviations[0] == 1e-200 and posterior_of_z.has_density
    peak = 200 * np.log(10) - np.log(2 * np.pi) / 2
    assert posterior_of_z.logpdf([1.0]) == pytest.approx(peak, rel=4 * EPS)
    assert decoder_log_likelihood([1.0], [0.0], 1e-200) == -np.inf
    assert quadrature(lambda z: 0 * z, [1e300], 1.0, 1) == -np.inf
    rng, white = np.random.default_rng(0), Gaussian([0.0], [[1.0]])
    none = importance_sampling(lambda z: z, [1e200], 1.0, white, n=10, rng=rng)
    assert none.log_p == -np.inf and none.effective_draws == 0
    assert ppca([0.0] * 3, np.diag([1e308] * 3), 1).noise == pytest.approx(1e154)


@pytest.mark.E24
@pytest.mark.parametrize("spread", [1e-150, 1.0, 1e150])
@pytest.mark.parametrize("noise", [1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_a_measurement_of_any_size(noise, spread):
    prior = Gaussian.from_factor([0.0], [[spread]])
    with localcontext() as context:
        context.prec = 60
        own, other = Decimal(spread) ** 2, Decimal(noise) ** 2
        std = float((own * other / (own + other)).sqrt())
        for y in (1e-300, 1.0, 1e300):
            found = condition(prior, [0], [y], noise=noise)
            mean = float(Decimal(y) * own / (own + other))
            assert found.mean[0] == pytest.approx(mean, rel=8 * EPS, abs=0)
            assert found.deviations[0] == pytest.approx(std, rel=8 * EPS, abs=0)


@pytest.mark.E24
def test_a_measurement_that_says_nothing_pulls_at_nothing():
    schedule, x = Schedule.from_beta([0.1, 0.5]), np.array([[0.3, -0.2]])
    prior = Gaussian([0.0, 1.0], np.eye(2))
    ideal = IdealDenoiser(prior, schedule)(x, 2)
    for way in ("exact", "identity"):
        guided = GuidedDenoiser(prior, schedule, [0], [0.7], noise=1e200, spread=way)
        np.testing.assert_allclose(guided(x, 2), ideal, rtol=4 * EPS)


@pytest.mark.E6
@pytest.mark.E24
def test_points_that_are_near_each_other_and_far_from_0():
    """The distances count, not how far away everything is."""
    near = Empirical([[0.0, 0.0], [1e200, 0.0], [1e200, 3.0]]).noised(1.0, 1.0)
    shares = np.exp([-0.5, -2.0])
    expected = [[0.0, 3 * shares[1] / shares.sum() - 1], [0.0, -1.0]]
    np.testing.assert_allclose(near.score([[1e200, 1.0], [0.0, 1.0]]), expected, rtol=8 * EPS)
    wide = Empirical([[0.0], [1e160]]).noised(1.0, 1e308)
    peak = -np.log(2) - (np.log(2 * np.pi) + 308 * np.log(10)) / 2
    assert wide.logpdf([0.0]) == pytest.approx(peak, rel=8 * EPS)
    pictures = np.random.default_rng(0).standard_normal((3, 16))
    patches = PatchDenoiser(pictures, Schedule.from_beta([0.1, 0.5]), patch=3)
    assert np.isfinite(patches(np.full((1, 16), 1e200), 2)).all()


@pytest.mark.E30
def test_divergences_between_a_wide_and_a_narrow_one():
    for dim in (1, 2):
        turn = np.array([[0.6, 0.8], [-0.8, 0.6]])[:dim, :dim] if dim == 2 else np.eye(1)
        wide = Gaussian.from_factor(np.zeros(dim), np.eye(dim))
        narrow = Gaussian.from_factor(np.zeros(dim), 1e-200 * turn)
        expected = dim * (400 * np.log(10) - 1) / 2
        assert kl_divergence(narrow, wide) == pytest.approx(expected, rel=1e-14)
        assert kl_divergence(wide, narrow) == np.inf
        far = Gaussian.from_factor(np.zeros(dim), 1e140 * np.eye(dim))
        assert kl_divergence(far, narrow) == np.inf


@pytest.mark.E19
def test_schedules_whose_numbers_are_no_floats_are_refused():
    with pytest.raises(ValueError, match="span must be at most 1e"):
        Schedule.sigmoid(3, span=1e308)
    with pytest.raises(ValueError, match="s must be at most 1e"):
        Schedule.cosine(3, s=1e200)
