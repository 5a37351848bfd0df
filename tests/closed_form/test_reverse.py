"""The true reverse kernel against Bayes' rule on dense matrices.

And the exact distribution of a sampler's output against the sampler itself.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.distributions import Gaussian, PointMass, wasserstein2
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_variance
from ddpm_np.closed_form.reverse import reverse_kernel, reverse_variance, sampler_distribution
from ddpm_np.conformance.strategies import gaussians, schedules
from ddpm_np.posterior import mean_x0_coef, posterior_mean_variance
from ddpm_np.sampling import ancestral_sample, ancestral_step, ddim_sample, ddim_step, step_sequence
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

EPS = np.finfo(float).eps
GAUSSIANS, SCHEDULES = gaussians(low=1e-4, high=1e2), schedules(low=1e-4, high=1 - 1e-4, max_T=8)
NOTES = Schedule.sigmoid(100, beta_min=1e-5)
ENSEMBLE = MultiSine([0.0826, 0.2049, 1.3489, 3.1848, 4.0664])


# ---- the true reverse kernel --------------------------------------------------------------------


@pytest.mark.E26
@given(GAUSSIANS, SCHEDULES, st.data())
def test_the_kernel_is_the_conditional_of_the_joint_distribution(dist, schedule, data):
    t = data.draw(st.integers(1, schedule.T))
    s = data.draw(st.integers(0, t - 1))
    x_t = np.random.default_rng(t).standard_normal((2, 3, dist.dim))
    kept = np.sqrt(schedule.between(s, t)[0])
    V_s = schedule.alpha_bar[s] * dist.cov + schedule.one_minus_alpha_bar[s] * np.eye(dist.dim)
    V_t = schedule.alpha_bar[t] * dist.cov + schedule.one_minus_alpha_bar[t] * np.eye(dist.dim)
    G = np.linalg.solve(V_t, kept * V_s).T
    m_s = np.sqrt(schedule.alpha_bar[s]) * dist.mean
    m_t = np.sqrt(schedule.alpha_bar[t]) * dist.mean
    kernel = reverse_kernel(dist, schedule, x_t, t, s)
    assert kernel.mean.shape == x_t.shape and kernel.cov.shape == (dist.dim, dist.dim)
    # The dense way cancels: V_s less nearly all of itself, with an inverse of V_t in it.
    allowed = 100 * EPS * np.linalg.cond(V_t) * (1 + np.linalg.norm(V_s))
    assert np.abs(kernel.cov - (V_s - kept * G @ V_s)).max() <= allowed
    away = x_t - m_t
    assert np.abs(kernel.mean - (m_s + away @ G.T)).max() <= allowed * (1 + np.abs(away).max())


@pytest.mark.E26
@given(GAUSSIANS, SCHEDULES, st.data())
def test_it_spreads_the_posterior_by_what_x_t_does_not_tell_of_x_0(dist, schedule, data):
    """The law of total variance over x_0 given x_t.

    Cov[x_{t-1} | x_t] = beta_tilde I + c_0^2 Cov[x_0 | x_t].
    """
    t = data.draw(st.integers(1, schedule.T))
    x_t = np.ones(dist.dim)
    to_x_0 = reverse_kernel(dist, schedule, x_t, t, 0)
    kernel = reverse_kernel(dist, schedule, x_t, t)
    c_0 = mean_x0_coef(schedule.beta[t], schedule.alpha_bar[t - 1], schedule.one_minus_alpha_bar[t])
    expected = schedule.beta_tilde[t] * np.eye(dist.dim) + c_0**2 * to_x_0.cov
    assert np.abs(kernel.cov - expected).max() <= 50 * dist.dim * EPS * np.abs(expected).max()
    mean, _ = posterior_mean_variance(schedule, to_x_0.mean, x_t, t)
    scale = 1 + np.linalg.norm(dist.mean) + np.sqrt(dist.dim)
    allowed = 100 * dist.dim * EPS * scale / np.sqrt(schedule.alpha[t])
    assert np.abs(kernel.mean - mean).max() <= allowed


@pytest.mark.E26
@given(st.floats(1e-3, 0.999), st.floats(1.001, 1e3), SCHEDULES)
def test_its_variance_lies_between_beta_tilde_and_beta_up_to_lambda_1_and_above_beta_beyond(
    small, large, schedule
):
    dist = Gaussian([0.0, 0.0, 0.0], np.diag([large, 1.0, small]))
    for t in range(1, schedule.T + 1):
        above, at_one, below = reverse_variance(dist, schedule, t)
        beta, tilde, rounding = schedule.beta[t], schedule.beta_tilde[t], 8 * EPS
        assert tilde * (1 - rounding) <= below <= beta * (1 + rounding)
        assert abs(at_one - beta) <= rounding * beta
        assert above >= beta * (1 - rounding)


# ---- what a sampler puts out --------------------------------------------------------------------


def on_dense_matrices(dist, schedule, visited, variance, eta):
    """Mean and covariance of the sampler's output, with full matrices.

    The denoiser is a black box, an affine map.
    """
    denoiser, identity = IdealDenoiser(dist, schedule), np.eye(dist.dim)
    mean, cov = np.zeros(dist.dim), identity
    for s, t in reversed(list(zip([0, *visited], visited))):
        at_zero = denoiser(np.zeros((1, dist.dim)), t)[0]
        slope = (denoiser(identity, t) - at_zero).T
        if eta is not None:
            xt_coef, eps_coef, std = ddim_step(schedule, t, s, eta=eta)
            noise = std**2 * identity
        elif isinstance(variance, str) and variance == "kernel":
            xt_coef, eps_coef, _ = ancestral_step(schedule, t, s)
            noise = reverse_kernel(dist, schedule, np.zeros(dist.dim), t, s).cov
        else:
            xt_coef, eps_coef, std = ancestral_step(schedule, t, s, variance=variance)
            noise = std**2 * identity
        A = xt_coef * identity + eps_coef * slope
        mean, cov = A @ mean + eps_coef * at_zero, A @ cov @ A.T + noise
    return mean, cov


@pytest.mark.E27
@given(GAUSSIANS, SCHEDULES, st.data())
def test_the_distribution_agrees_with_the_same_recursion_on_dense_matrices(dist, schedule, data):
    steps = data.draw(st.integers(1, schedule.T))
    eta = data.draw(st.sampled_from([None, 0.0, 0.5, 1.0]))
    variance = "posterior"
    if eta is None:
        variance = data.draw(
            st.sampled_from(["posterior", "beta", "kernel", np.linspace(0.5, 0.1, schedule.T + 1)])
        )
    output = sampler_distribution(dist, schedule, variance=variance, steps=steps, eta=eta)
    visited = step_sequence(schedule, steps)
    mean, cov = on_dense_matrices(dist, schedule, visited, variance, eta)
    # A step forms x_t / sqrt(alpha) less nearly all of it again: one rounding of that size per
    # step, carried on by gains of
    # sqrt(v_s / v_t) or less, that is at most by the largest standard deviation over the noise of
    # the first step.
    blow_up = max(1 / np.sqrt(schedule.between(s, t)[0]) for s, t in zip([0, *visited], visited))
    size = (1 + np.sqrt(dist.spectrum.max()) + np.abs(dist.mean).max()) * blow_up
    allowed = 400 * dist.dim * len(visited) * EPS * size**2
    assert np.abs(output.cov - cov).max() <= allowed
    assert np.abs(output.mean - mean).max() <= allowed


def assert_within_five_standard_errors(samples, dist):
    """Mean, every entry of the covariance about the exact mean, the variance along each axis."""
    n, away = len(samples), samples - dist.mean
    variances = np.diag(dist.cov)
    assert (np.abs(away.mean(0)) <= 5 * np.sqrt(variances / n) + 100 * EPS).all()
    entry_error = np.sqrt((np.outer(variances, variances) + dist.cov**2) / n)
    assert (np.abs(away.T @ away / n - dist.cov) <= 5 * entry_error + 100 * EPS).all()
    along = np.square(away @ dist.axes).mean(0)
    assert (np.abs(along - dist.spectrum) <= 5 * dist.spectrum * np.sqrt(2 / n) + 100 * EPS).all()


CASES = [
    ("posterior", None, None),
    ("beta", None, None),
    ("array", None, None),
    ("posterior", 7, None),
    ("beta", [3, 40, 100], None),
    ("array", 7, None),
    *(("posterior", steps, eta) for steps in (None, 7) for eta in (0.0, 0.5, 1.0)),
]


@pytest.mark.E27
@pytest.mark.parametrize(("variance", "steps", "eta"), CASES)
def test_the_samplers_agree_with_it_within_five_standard_errors(variance, steps, eta):
    rng = np.random.default_rng(11)
    axes = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    dist = Gaussian.from_spectrum([1.0, -2.0, 0.0, 0.5], axes, [4.0, 1.0, 0.05, 0.0])
    table = optimal_variance(dist, NOTES) if variance == "array" else variance
    denoiser, n = IdealDenoiser(dist, NOTES), 10_000
    output = sampler_distribution(dist, NOTES, variance=table, steps=steps, eta=eta)
    if eta is None:
        samples = ancestral_sample(denoiser, NOTES, n, 4, rng=rng, variance=table, steps=steps)
    else:
        samples = ddim_sample(denoiser, NOTES, n, 4, rng=rng, steps=steps, eta=eta)
    assert_within_five_standard_errors(samples, output)
    # The comparison can tell: the distribution of the data, which differs by more, does not pass.
    if variance == "posterior" and steps == 7:
        with pytest.raises(AssertionError):
            assert_within_five_standard_errors(samples, dist)


@pytest.mark.E27
@given(GAUSSIANS, st.integers(1, 6), st.data())
def test_with_the_true_kernel_and_a_chain_that_forgets_it_is_the_datas_own_distribution(
    dist, T, data
):
    """alpha_bar_T near 0: only the start at N(0, I) could be wrong, and it is not.

    Any sub-sequence of steps will do.
    """
    schedule = Schedule.from_beta([*np.linspace(0.05, 0.4, T), 1 - 1e-16, 1 - 1e-16])
    output = sampler_distribution(
        dist, schedule, variance="kernel", steps=data.draw(st.integers(1, schedule.T))
    )
    assert output.rank == dist.rank
    allowed = 100 * dist.dim * schedule.T * EPS * dist.spectrum.max()
    assert np.abs(output.cov - dist.cov).max() <= allowed
    size = np.abs(dist.mean).max() * (1 + dist.spectrum.max())
    assert np.abs(output.mean - dist.mean).max() <= 100 * dist.dim * schedule.T * EPS * size


@pytest.mark.E27
def test_known_figures():
    normal, curve, schedule = Gaussian([0.0], [[1.0]]), PointMass([0.3, -1.0]), NOTES
    final = {
        name: sampler_distribution(normal, schedule, variance=name).cov[0, 0]
        for name in ("posterior", "beta", "kernel")
    }
    assert final["posterior"] == pytest.approx(0.942, abs=0.0005)
    # beta_t keeps every x_t at variance 1, and the last step leaves its own noise out.
    assert final["beta"] == pytest.approx(1 - schedule.beta[1], rel=1000 * EPS)
    assert final["kernel"] == pytest.approx(1.0, rel=1000 * EPS)
    # Means only, no noise: the chain collapses to alpha_bar_T.
    still = sampler_distribution(normal, schedule, variance=np.zeros(101))
    assert still.cov[0, 0] == pytest.approx(schedule.alpha_bar[100], rel=1000 * EPS)
    # One curve: exactly the curve with either name; with beta_1 added at the last step, a spread of
    # .0160 around it.
    for variance in ("posterior", "beta", "kernel"):
        assert (
            wasserstein2(sampler_distribution(curve, schedule, variance=variance), curve)
            <= 10 * EPS
        )
    assert np.sqrt(
        sampler_distribution(curve, schedule, variance=schedule.beta).cov[0, 0]
    ) == pytest.approx(0.0160, abs=0.00005)
    # DDIM in 100 steps, against lambda / v_T = .2510 of the probability flow.
    quarter = Gaussian([0.0], [[0.25]])
    assert sampler_distribution(quarter, schedule, eta=0.0).cov[0, 0] == pytest.approx(
        0.2432, abs=0.00005
    )


@pytest.mark.E27
def test_one_step_from_pure_noise_is_the_mean_of_x_0_given_it():
    dist, schedule = Gaussian([2.0], [[3.0]]), Schedule.from_beta([0.36])
    v = 0.64 * 3 + 0.36
    gain = 0.8 * 3 / v
    output = sampler_distribution(dist, schedule)
    assert output.cov[0, 0] == pytest.approx(gain**2, rel=8 * EPS)
    assert output.mean[0] == pytest.approx(2 - gain * 0.8 * 2, rel=8 * EPS)


@pytest.mark.E27
def test_directions_without_variance_stay_without_and_weak_ones_keep_their_digits():
    dist = Gaussian.from_spectrum([1.0, 2.0, 3.0], np.eye(3), [1.0, 1e-20, 0.0])
    for kwargs in (
        {},
        {"variance": "beta"},
        {"variance": "kernel"},
        {"eta": 0.5},
        {"steps": 9},
        {"steps": 9, "eta": 0.0},
    ):
        output = sampler_distribution(dist, NOTES, **kwargs)
        assert output.rank == 2 and output.cov[2, 2] == 0.0
        assert abs(output.mean[2] - 3.0) <= 4 * EPS * 3
    weak = sampler_distribution(dist, NOTES, variance="kernel").spectrum[1]
    assert weak == pytest.approx(1e-20, rel=1e-15 * 100)
