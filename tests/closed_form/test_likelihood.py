"""The bound and its exact gap; the probability flow against the density it must carry."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form import probability_flow
from ddpm_np.closed_form.distributions import (
    Empirical,
    Gaussian,
    GaussianMixture,
    PointMass,
    kl_divergence,
)
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_variance
from ddpm_np.closed_form.likelihood import bits_per_dim, nll, vlb_terms
from ddpm_np.closed_form.probability_flow import probability_flow_logpdf, probability_flow_sample
from ddpm_np.closed_form.reverse import reverse_variance, sampler_distribution
from ddpm_np.conformance.strategies import gaussians, schedules
from ddpm_np.sampling import ddim_sample
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

EPS = np.finfo(float).eps
GAUSSIANS, SCHEDULES = gaussians(low=1e-4, high=1e2), schedules(low=1e-4, high=1 - 1e-4, max_T=8)
REGULAR = gaussians(low=1e-4, high=1e2, regular=True)
NOTES = Schedule.sigmoid(100, beta_min=1e-5)
SHORT = Schedule.from_beta(np.linspace(0.02, 0.3, 12))
FREQUENCIES = [0.0826, 0.2049, 1.3489, 3.1848, 4.0664]


def white(dim):
    return Gaussian(np.zeros(dim), np.eye(dim))


def bound(dist, schedule, **kwargs):
    return vlb_terms(IdealDenoiser(dist, schedule), dist, schedule, **kwargs)


# ---- the negative log-likelihood -----------------------------------------------------------------


@pytest.mark.E30
def test_the_mean_nll_of_data_under_a_model_is_entropy_plus_kl():
    rng, n = np.random.default_rng(1), 20_000
    data = Gaussian([0.3, 0.0], [[2.0, 0.6], [0.6, 1.0]])
    model = Gaussian([0.0, 0.2], [[1.0, 0.0], [0.0, 3.0]])
    values = nll(model, data.sample(n, rng=rng))
    assert values.shape == (n,)
    assert abs(values.mean() - (data.entropy + kl_divergence(data, model))) <= 5 * values.std(
        ddof=1
    ) / np.sqrt(n)


def test_nll_is_infinite_off_the_support_and_finite_on_it():
    ensemble = MultiSine(FREQUENCIES)
    assert np.isfinite(nll(ensemble, ensemble.sample(300, rng=np.random.default_rng(2)))).all()
    assert nll(ensemble, np.ones(50) * np.arange(50) % 2) == np.inf


def test_bits_are_nats_over_dim_ln_2():
    assert bits_per_dim(50 * np.log(2), 50) == 1.0
    terms = bound(MultiSine(FREQUENCIES, noise=0.1), NOTES)
    assert terms.bits_per_dim == bits_per_dim(terms.total, 50)


# ---- the bound in closed form --------------------------------------------------------------------


@pytest.mark.E28
@given(GAUSSIANS, SCHEDULES)
def test_with_the_true_kernel_the_gap_is_the_kl_of_the_start_and_nothing_else(dist, schedule):
    gap = bound(dist, schedule, variance="kernel").total - dist.entropy
    start = kl_divergence(dist.diffuse(schedule, schedule.T), white(dist.dim))
    assert abs(gap - start) <= 1e-10 * max(1.0, start)


@pytest.mark.E28
@pytest.mark.parametrize(
    "schedule",
    [NOTES, Schedule.linear(1000), Schedule.cosine(400)],
    ids=["notes", "linear", "cosine"],
)
@pytest.mark.parametrize("noise", [0.0, 0.1], ids=["on the support", "noisy"])
def test_the_same_for_the_ensemble(schedule, noise):
    dist = MultiSine(FREQUENCIES, noise=noise)
    gap = bound(dist, schedule, variance="kernel").total - dist.entropy
    assert abs(gap - kl_divergence(dist.diffuse(schedule, schedule.T), white(50))) <= 1e-10


@pytest.mark.E28
@given(REGULAR, SCHEDULES, st.sampled_from(["posterior", "beta", "array"]))
def test_with_any_variance_the_gap_is_the_chain_of_kernel_divergences(dist, schedule, name):
    """KL chain rule: the start, then for each step KL between two Gaussians of equal mean."""
    if name == "array":
        variance = table = np.linspace(0.3, 0.1, schedule.T + 1)
    else:
        variance = name
        table = (schedule.beta_tilde if name == "posterior" else schedule.beta).copy()
        table[1] = schedule.beta[1]
    gap = bound(dist, schedule, variance=variance).total - dist.entropy
    expected = kl_divergence(dist.diffuse(schedule, schedule.T), white(dist.dim))
    for t in range(1, schedule.T + 1):
        ratio = reverse_variance(dist, schedule, t) / table[t]
        expected += (ratio - 1 - np.log(ratio)).sum() / 2
    assert abs(gap - expected) <= 1e-10 * max(1.0, expected)


@pytest.mark.E28
@given(REGULAR, SCHEDULES)
def test_the_bound_lies_above_the_nll_under_what_the_sampler_puts_out(dist, schedule):
    """The model's own density is that of the ancestral sampler with the decoder's noise."""
    table = optimal_variance(dist, schedule)
    model = sampler_distribution(dist, schedule, variance=table)
    gap = bound(dist, schedule, variance=table).total - dist.entropy
    assert gap >= kl_divergence(dist, model) * (1 - 1e-9) - 1e-10


@pytest.mark.E28
def test_known_figures_in_one_dimension():
    gaps = {"kernel": [], "posterior": [], "beta": [], "beta_tilde_2": []}
    for spread in (0.25, 1.0, 4.0):
        dist = Gaussian([0.0], [[spread]])
        for name in ("kernel", "posterior", "beta"):
            gaps[name].append(bound(dist, NOTES, variance=name).total - dist.entropy)
        gaps["beta_tilde_2"].append(
            bound(dist, NOTES, decoder_variance=NOTES.beta_tilde[2]).total - dist.entropy
        )
    # to the digits that are written
    assert gaps["kernel"] == pytest.approx([4.0986e-6, 0.0, 6.470e-5], rel=1e-4, abs=1e-12)
    assert gaps["posterior"] == pytest.approx([0.468, 0.513, 0.556], abs=0.0005)
    assert gaps["beta"] == pytest.approx([0.0091, 0.0, 0.0090], abs=0.00005)
    assert gaps["beta_tilde_2"][0] == pytest.approx(0.594, abs=0.0005)


@pytest.mark.E28
def test_one_step_is_prior_and_decoder():
    dist, schedule = Gaussian([2.0], [[3.0]]), Schedule.from_beta([0.36])
    terms = bound(dist, schedule, decoder_variance=0.5)
    v = 0.64 * 3 + 0.36
    assert terms.steps.tolist() == [0.0, 0.0]
    assert terms.prior == pytest.approx((0.64 * (3 + 4) - 0.64 - np.log(0.36)) / 2, rel=8 * EPS)
    left = 3 * 0.36 / v  # E(x_0 - x0_hat)^2 = Var[x_0 | x_1]
    assert terms.decoder == pytest.approx((np.log(2 * np.pi * 0.5) + left / 0.5) / 2, rel=8 * EPS)


@pytest.mark.E28
def test_a_decoder_or_a_step_without_variance_makes_the_bound_infinite():
    dist = Gaussian([0.0, 1.0], np.diag([0.5, 2.0]))
    assert bound(dist, NOTES, variance=NOTES.beta_tilde).decoder == np.inf
    assert np.isfinite(bound(dist, NOTES, variance=NOTES.beta_tilde, decoder_variance=0.01).total)
    still = NOTES.beta.copy()
    still[7] = 0
    assert np.flatnonzero(np.isinf(bound(dist, NOTES, variance=still).steps)).tolist() == [7]


@pytest.mark.E28
def test_only_the_second_moments_of_the_data_meet_the_ideal_denoiser_of_a_gaussian():
    model = Gaussian([0.5, 0.0], [[1.0, 0.3], [0.3, 0.5]])
    mixture = GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], [np.eye(2), 0.2 * np.eye(2)])
    denoiser = IdealDenoiser(model, SHORT)
    like = Gaussian(mixture.mean, mixture.cov)
    for variance in ("posterior", "kernel"):
        a, b = (
            vlb_terms(denoiser, dist, SHORT, variance=variance).total for dist in (mixture, like)
        )
        assert abs(a - b) <= 1e-13 * abs(b)
        # A batch whose own moments are exact: plus and minus each axis.
        root = np.sqrt(2) * np.linalg.cholesky(mixture.cov).T
        batch = mixture.mean + np.concatenate([root, -root])
        assert vlb_terms(denoiser, batch, SHORT, variance=variance).total == pytest.approx(
            b, rel=1e-13
        )


@pytest.mark.E28
@pytest.mark.parametrize("variance", ["posterior", "beta", "kernel"])
@pytest.mark.filterwarnings("error")
def test_a_point_is_its_own_batch(variance):
    x = [0.7, -1.2]
    denoiser = IdealDenoiser(Gaussian([0.5, 0.0], [[1.0, 0.3], [0.3, 0.5]]), SHORT)
    point, batch = (vlb_terms(denoiser, d, SHORT, variance=variance) for d in (PointMass(x), [x]))
    for name in ("prior", "decoder", "total"):
        assert getattr(point, name) == pytest.approx(getattr(batch, name), rel=1e-13)
    assert point.standard_error == 0.0 and np.isnan(batch.standard_error)
    # A point on a line, and one beside it, seen by the model of that line.
    line = IdealDenoiser(Gaussian([0.0, 1.0], np.diag([1.0, 0.0])), SHORT)
    assert np.isfinite(vlb_terms(line, PointMass([3.0, 1.0]), SHORT, variance="kernel").total)
    assert vlb_terms(line, PointMass([3.0, 1.1]), SHORT, variance="kernel").decoder == np.inf


@pytest.mark.E28
@pytest.mark.parametrize("exact", [True, False])
def test_the_standard_error_is_that_of_the_mean_of_the_rows(exact):
    dist = Gaussian([1.0, -0.5], [[2.0, 0.5], [0.5, 0.3]])
    ideal, x_0 = IdealDenoiser(dist, SHORT), dist.sample(20, rng=np.random.default_rng(13))
    if exact:
        totals = np.array([vlb_terms(ideal, [x], SHORT).total for x in x_0])
        terms = vlb_terms(ideal, x_0, SHORT)
    else:  # a denoiser without noise of its own: the drawn noise cancels from eps_hat - eps
        noise = np.random.default_rng(14)

        def shifted(x_t, t):
            root, rest = np.sqrt(SHORT.alpha_bar[t]), np.sqrt(SHORT.one_minus_alpha_bar[t])
            return (x_t - root * x_0[: len(x_t)]) / rest + x_0[: len(x_t)]

        terms = vlb_terms(shifted, x_0, SHORT, rng=noise)
        squares, tilde = np.square(x_0).sum(1), SHORT.beta_tilde.copy()
        tilde[1] = SHORT.beta[1]
        b2 = SHORT.beta[1:] ** 2 / SHORT.alpha[1:] / SHORT.one_minus_alpha_bar[1:]
        totals = squares * (b2 / tilde[1:]).sum() / 2 + squares * SHORT.alpha_bar[-1] / 2
    expected = totals.std(ddof=1) / np.sqrt(20)
    assert terms.standard_error == pytest.approx(expected, rel=1e-9) and expected > 0
    if exact:
        assert terms.total == pytest.approx(totals.mean(), rel=1e-12)


@pytest.mark.E28
def test_the_prior_term_of_a_simulated_bound_is_exact_for_a_batch():
    dist = Gaussian([1.0, -0.5], [[2.0, 0.5], [0.5, 0.3]])
    ideal, x_0 = IdealDenoiser(dist, SHORT), dist.sample(20, rng=np.random.default_rng(13))
    simulated = vlb_terms(lambda x, t: ideal(x, t), x_0, SHORT, rng=np.random.default_rng(14))
    alpha_bar, rest = SHORT.alpha_bar[SHORT.T], SHORT.one_minus_alpha_bar[SHORT.T]
    each = [
        kl_divergence(Gaussian(np.sqrt(alpha_bar) * x, rest * np.eye(2)), white(2)) for x in x_0
    ]
    assert simulated.prior == pytest.approx(np.mean(each), rel=1e-12)
    assert vlb_terms(ideal, x_0, SHORT).prior == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.E28
def test_for_data_off_the_support_the_true_kernels_decoder_is_infinite():
    ensemble = MultiSine(FREQUENCIES)
    denoiser = IdealDenoiser(ensemble, NOTES)
    x_0 = ensemble.sample(40, rng=np.random.default_rng(3))
    inside = vlb_terms(denoiser, x_0, NOTES, variance="kernel")
    exact = bound(ensemble, NOTES, variance="kernel").total
    assert abs(inside.total - exact) <= 5 * inside.standard_error
    assert vlb_terms(denoiser, x_0 + np.arange(50) % 2, NOTES, variance="kernel").decoder == np.inf
    assert vlb_terms(denoiser, white(50), NOTES, variance="kernel").decoder == np.inf
    narrower = MultiSine(FREQUENCIES[:2])
    assert np.isfinite(vlb_terms(denoiser, narrower, NOTES, variance="kernel").total)


# ---- the bound by simulation ---------------------------------------------------------------------


@pytest.mark.E28
@pytest.mark.parametrize("variance", ["posterior", "beta", "array"])
def test_simulation_agrees_with_the_closed_form_within_five_standard_errors(variance):
    dist = Gaussian([1.0, -0.5, 0.0], [[2.0, 0.5, 0.0], [0.5, 0.3, 0.0], [0.0, 0.0, 0.0]])
    table = optimal_variance(dist, SHORT) if variance == "array" else variance
    ideal = IdealDenoiser(dist, SHORT)
    exact = vlb_terms(ideal, dist, SHORT, variance=table, decoder_variance=0.03)
    assert exact.standard_error == 0.0
    rng = np.random.default_rng(4)
    options = {"variance": table, "decoder_variance": 0.03, "rng": rng}
    from_distribution = vlb_terms(lambda x, t: ideal(x, t), dist, SHORT, n=4000, **options)
    from_batch = vlb_terms(lambda x, t: ideal(x, t), dist.sample(4000, rng=rng), SHORT, **options)
    few = dist.sample(50, rng=rng)
    redrawn = vlb_terms(lambda x, t: ideal(x, t), few, SHORT, n=4000, **options)
    exact_for_few = vlb_terms(ideal, few, SHORT, variance=table, decoder_variance=0.03)
    for simulated, truth in (
        (from_distribution, exact),
        (from_batch, exact),
        (redrawn, exact_for_few),
    ):
        assert abs(simulated.total - truth.total) <= 5 * simulated.standard_error
        assert 0 < simulated.standard_error < 0.1 * (exact.steps.sum() + abs(exact.decoder))


@pytest.mark.E28
def test_a_worse_denoiser_has_a_worse_bound_by_the_weighted_squared_error():
    dist, shift = Gaussian([0.0], [[0.5]]), 0.3
    ideal = IdealDenoiser(dist, SHORT)
    rng = np.random.default_rng(5)
    off = vlb_terms(
        lambda x, t: ideal(x, t) + shift, dist, SHORT, variance="beta", n=20_000, rng=rng
    )
    # b^2 / variance = beta_t / (alpha_t (1 - alpha_bar_t)) for variance beta, at t = 1 too.
    weights = SHORT.beta[1:] / (SHORT.alpha[1:] * SHORT.one_minus_alpha_bar[1:])
    expected = bound(dist, SHORT, variance="beta").total + shift**2 * weights.sum() / 2
    assert abs(off.total - expected) <= 5 * off.standard_error
    assert off.total - 5 * off.standard_error > bound(dist, SHORT, variance="beta").total


@pytest.mark.E28
def test_a_mixtures_ideal_denoiser_is_simulated_and_its_bound_lies_above_the_entropy():
    mixture = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.04]], [[0.04]]])
    rng = np.random.default_rng(6)
    terms = vlb_terms(
        IdealDenoiser(mixture, SHORT), mixture, SHORT, variance="beta", n=5000, rng=rng
    )
    x = np.linspace(-3, 3, 6001)[:, None]
    density = np.exp(mixture.logpdf(x))
    entropy = (density * nll(mixture, x)).sum() * 0.001
    assert terms.total > entropy - 5 * terms.standard_error


def test_a_float32_denoiser_gets_float32():
    class Zero:
        dtype = np.dtype(np.float32)

        def __call__(self, x, t):
            assert x.dtype == np.float32
            return np.zeros_like(x)

    terms = vlb_terms(Zero(), white(3), SHORT, n=100, rng=np.random.default_rng(7))
    assert np.isfinite(terms.total) and isinstance(terms.total, float)


# ---- the probability flow ------------------------------------------------------------------------


NOISY = MultiSine(FREQUENCIES, noise=0.1)
FLOWS = {
    "the notes": (NOISY, NOTES, NOISY.sample(2, rng=np.random.default_rng(8))),
    "linear": (NOISY, Schedule.linear(200), NOISY.sample(2, rng=np.random.default_rng(8))),
    "equal": (NOISY, Schedule.from_beta([0.5] * 60), NOISY.sample(2, rng=np.random.default_rng(8))),
    "a mixture": (
        GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [[[0.2]], [[0.3]]]),
        SHORT,
        np.linspace(-1.8, 2.5, 9)[:, None],
    ),
    "points with noise": (
        Empirical([[0.0], [1.0]]).noised(1.0, 0.04),
        SHORT,
        np.array([[0.1], [0.9], [1.2]]),
    ),
    # alpha_bar_T = 1e-300
    "an end far out": (Gaussian([1.0], [[0.25]]), Schedule.from_beta([0.9] * 300), np.array([0.7])),
}


@pytest.mark.E29
@pytest.mark.parametrize("name", FLOWS)
def test_the_flows_log_density_is_the_datas_to_1e_6(name):
    dist, schedule, x = FLOWS[name]
    terminal = None if name == "an end far out" else dist.diffuse(schedule, schedule.T)
    found = probability_flow_logpdf(IdealDenoiser(dist, schedule), schedule, x, terminal=terminal)
    assert found.shape == x.shape[:-1]
    assert np.abs(found - dist.logpdf(x)).max() <= 1e-6


@pytest.mark.E29
def test_with_white_noise_at_the_end_it_is_off_by_what_the_end_is_off():
    """Tenths of a nat: the flow's own density exactly; q(x_T) is not N(0, I)."""
    dist = MultiSine(FREQUENCIES, noise=0.1)
    x = dist.sample(200, rng=np.random.default_rng(9))
    off = probability_flow_logpdf(IdealDenoiser(dist, NOTES), NOTES, x) - dist.logpdf(x)
    x_T = (
        dist.coordinates(x)[0]
        * np.sqrt(dist.diffuse(NOTES, 100).spectrum / dist.spectrum)
        @ dist.axes.T
    )
    expected = white(50).logpdf(x_T) - dist.diffuse(NOTES, 100).logpdf(x_T)
    assert np.abs(off - expected).max() <= 1e-6
    assert 0.03 < np.abs(off).mean() < 0.3


@pytest.mark.E29
@given(GAUSSIANS, st.integers(0, 2**32 - 1))
def test_the_flow_scales_each_axis_by_its_standard_deviations(dist, seed):
    denoiser, q_T = IdealDenoiser(dist, SHORT), dist.diffuse(SHORT, SHORT.T)
    x_T = q_T.sample(3, rng=np.random.default_rng(seed))
    samples = probability_flow_sample(
        denoiser, SHORT, 3, rng=np.random.default_rng(seed), terminal=q_T
    )
    expected = (
        dist.mean + (q_T.coordinates(x_T)[0] * np.sqrt(dist.spectrum / q_T.spectrum)) @ dist.axes.T
    )
    assert np.abs(samples - expected).max() <= 1e-7
    assert probability_flow._level(-5000.0)[1] == 1  # an old SciPy tries a first step that far
    # Directions without variance arrive to rounding, not to the 1e-8 of noise that the solver
    # leaves.
    assert np.abs(dist.coordinates(samples)[0][:, ~dist.varies]).max(initial=0) <= 1e-13


@pytest.mark.E29
def test_from_white_noise_the_variances_come_out_as_lambda_over_v_T():
    dist, n = Gaussian([0.0, 0.0], np.diag([4.0, 0.25])), 2000
    samples = probability_flow_sample(
        IdealDenoiser(dist, SHORT), SHORT, n, rng=np.random.default_rng(10)
    )
    expected = dist.spectrum / dist.diffuse(SHORT, SHORT.T).spectrum
    assert np.all(
        np.abs(np.square(samples @ dist.axes).mean(0) / expected - 1) <= 5 * np.sqrt(2 / n)
    )
    assert np.all(np.abs(expected / dist.spectrum - 1) > 0.02)


@pytest.mark.E29
def test_ddim_tends_to_the_flow_as_steps_get_small():
    """First order: half the step, half the distance, from the same noise."""
    dist, off = Gaussian([0.5], [[0.25]]), []
    for T in (200, 400):
        schedule = Schedule.linear(T, beta_min=2 / T, beta_max=12 / T)
        denoiser = IdealDenoiser(dist, schedule)
        ddim = ddim_sample(denoiser, schedule, 20, 1, rng=np.random.default_rng(11))
        flow = probability_flow_sample(denoiser, schedule, 20, rng=np.random.default_rng(11))
        off.append(np.abs(ddim - flow).max())
    assert 0 < off[0] < 0.1
    assert off[0] / off[1] == pytest.approx(2, abs=0.2)


@pytest.mark.E29
def test_the_flow_of_points_ends_on_the_points_as_often_as_they_weigh():
    points, n = np.array([[0.0, 1.0], [0.0, 1.0], [2.0, -1.0]]), 300
    dist = Empirical(points)
    samples = probability_flow_sample(
        IdealDenoiser(dist, SHORT),
        SHORT,
        n,
        rng=np.random.default_rng(12),
        terminal=dist.diffuse(SHORT, SHORT.T),
    )
    distance = np.linalg.norm(samples[:, None] - points, axis=-1)
    assert distance.min(1).max() <= 1e-6
    assert abs((distance[:, 0] < 1e-6).mean() - 2 / 3) <= 5 * np.sqrt(2 / 9 / n)


@pytest.mark.E29
def test_a_flow_that_is_too_stiff_says_so_in_place_of_running_for_ever(monkeypatch):
    narrow = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[1e-6]], [[1e-6]]])
    denoiser = IdealDenoiser(narrow, SHORT)
    monkeypatch.setattr(probability_flow, "_MAX_EVALUATIONS", 60)
    failed = SimpleNamespace(success=False, message="no step is small enough")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scipy.integrate.solve_ivp", lambda *args, **options: failed)
        with pytest.raises(ArithmeticError, match="could not be solved: no step is small enough$"):
            probability_flow_logpdf(denoiser, SHORT, [0.0])
    message = r"too stiff: 60 evaluations reached sigma = [\d.e-]+ on the way from 0 to 2\.77"
    with pytest.raises(ArithmeticError, match=message):
        probability_flow_logpdf(denoiser, SHORT, [0.0])
    with pytest.raises(ArithmeticError, match="on the way from 2.77 to 1e-08"):
        probability_flow_sample(denoiser, SHORT, 2, rng=np.random.default_rng(0))
