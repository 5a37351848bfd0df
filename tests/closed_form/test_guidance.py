"""A density times a measurement: the exact product, and the denoiser guided to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.guidance import GuidedDenoiser, condition
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

SCHEDULE = Schedule.sigmoid(30)
EPS = np.finfo(float).eps


def world(seed, dim, rank):
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((rank, dim))
    observed = rng.permutation(dim)[: int(rng.integers(1, dim + 1))]
    return (
        Gaussian.from_factor(rng.standard_normal(dim), factor),
        observed,
        rng.standard_normal(len(observed)),
    )


@pytest.mark.E26
@given(
    seed=st.integers(0, 2**32 - 1),
    dim=st.integers(1, 6),
    rank=st.integers(1, 6),
    noise=st.sampled_from([0.1, 1.0, 10.0]),
)
def test_posterior_is_the_printed_formula(seed, dim, rank, noise):
    prior, observed, y = world(seed, dim, rank)
    posterior = condition(prior, observed, y, noise=noise)
    C = prior.cov
    S = C[np.ix_(observed, observed)] + noise**2 * np.eye(len(observed))
    gain = np.linalg.solve(S, C[observed]).T
    rounding = (
        256
        * EPS
        * np.linalg.cond(S)
        * (1 + np.linalg.norm(C))
        * (1 + np.linalg.norm(y) + np.linalg.norm(prior.mean))
        * dim
    )
    assert (
        np.max(np.abs(posterior.mean - (prior.mean + gain @ (y - prior.mean[observed]))))
        <= rounding / noise
    )
    assert np.max(np.abs(posterior.cov - (C - gain @ C[observed]))) <= rounding
    assert posterior.spectrum.min() >= 0


@pytest.mark.E24
@pytest.mark.parametrize("t", [1, 7, 30])
def test_the_guided_denoiser_is_the_ideal_denoiser_of_the_posterior(t):
    prior = MultiSine([0.4, 1.3, 2.9], dim=20)
    rng = np.random.default_rng(2)
    observed, y, noise = [0, 4, 5, 17], rng.standard_normal(4), 0.2
    x = rng.standard_normal((6, 20))
    guided = GuidedDenoiser(prior, SCHEDULE, observed, y, noise=noise)(x, t)
    exact = IdealDenoiser(condition(prior, observed, y, noise=noise), SCHEDULE)(x, t)
    # Forming x0_hat divides by sqrt(alpha_bar), and the pull by at least noise^2.
    condition_number = prior.spectrum[0] / (noise**2 * SCHEDULE.alpha_bar[t])
    assert np.max(np.abs(guided - exact)) <= 64 * EPS * condition_number * np.abs(exact).max()


@pytest.mark.E24
def test_identity_spread_is_exact_for_white_data_and_not_for_signals():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((4, 5)), rng.standard_normal(2)
    white = Gaussian(np.zeros(5), np.eye(5))
    both = [
        GuidedDenoiser(white, SCHEDULE, [0, 3], y, noise=0.5, spread=s)(x, 12)
        for s in ("exact", "identity")
    ]
    assert np.max(np.abs(both[0] - both[1])) <= 1e3 * EPS
    signals = MultiSine([1.0], dim=5)
    both = [
        GuidedDenoiser(signals, SCHEDULE, [0, 3], y, noise=0.5, spread=s)(x, 12)
        for s in ("exact", "identity")
    ]
    assert np.max(np.abs(both[0] - both[1])) > 1e-2


@pytest.mark.E24
@pytest.mark.parametrize("spread", ["exact", "identity"])
def test_a_batch_of_any_shape_is_guided_row_by_row(spread):
    prior = Gaussian([1.0, 0.0, -1.0], np.diag([1.0, 2.0, 3.0]))
    # As many measurements as rows: a transposed batch would fit and be silently wrong.
    guided = GuidedDenoiser(prior, SCHEDULE, [0, 2], [1.0, 2.0], noise=0.3, spread=spread)
    x = np.random.default_rng(5).standard_normal((2, 2, 2, 3))
    for batch in (x, x[0], x[0, 0], x[0, 0, 0]):
        rows = np.array([guided(row, 5) for row in batch.reshape(-1, 3)]).reshape(batch.shape)
        assert np.abs(guided(batch, 5) - rows).max() <= 64 * EPS * np.abs(rows).max()
