"""AdamW, clipping, warm-up with cosine decay, and EMA, each against its closed form."""

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.learning.checkpoint import load_checkpoint, save_checkpoint
from ddpm_np.learning.optimizer import (
    BLOCK,
    EMA,
    AdamW,
    Muon,
    clip_by_global_norm,
    orthogonalised,
    warmup_cosine,
)
from ddpm_np.learning.unet import UNet, preconditioning
from ddpm_np.schedule import Schedule
from ddpm_np.training import TrainingState, train

ULP = np.finfo(np.float64).eps


def textbook_adamw(theta, gradients, rate, beta_1, beta_2, eps, decay):
    """Loshchilov and Hutter 2019, algorithm 2, line by line, with normalised moments."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for k, g in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat, v_hat = m / (1 - beta_1**k), v / (1 - beta_2**k)
        theta = theta - rate * decay * theta - rate * m_hat / (np.sqrt(v_hat) + eps)
    return theta


@given(
    beta_1=st.floats(0, 0.99),
    beta_2=st.floats(0, 0.9999),
    decay=st.floats(0, 1),
    rate=st.floats(1e-6, 0.5),
    updates=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_adamw_is_the_textbook_algorithm(beta_1, beta_2, decay, rate, updates, seed):
    rng = np.random.default_rng(seed)
    theta, gradients = rng.standard_normal(5), rng.standard_normal((updates, 5))
    expected = textbook_adamw(theta, gradients, rate, beta_1, beta_2, 1e-8, decay)
    optimizer = AdamW(5, np.float64, beta_1=beta_1, beta_2=beta_2, eps=1e-8, weight_decay=decay)
    for g in gradients:
        optimizer.step(theta, g, rate)
    # 1 - beta^k loses up to 1 / (1 - beta) ulp, and both sides round about ten times per update.
    condition = 1 / (1 - beta_1) + 1 / (1 - beta_2)
    np.testing.assert_allclose(
        theta, expected, rtol=0, atol=20 * updates * condition * ULP * (1 + rate)
    )


def test_decay_is_decoupled_from_the_gradient():
    theta = np.full(2, 8.0)
    optimizer = AdamW(2, np.float64, weight_decay=0.5)
    for _ in range(3):
        optimizer.step(theta, np.zeros(2), 0.25)
    assert np.array_equal(theta, np.full(2, 8.0 * (1 - 0.25 * 0.5) ** 3))


def test_large_vectors_are_updated_everywhere_alike():
    rng, size = np.random.default_rng(0), 2 * BLOCK + 3
    theta, gradients = rng.standard_normal(size), rng.standard_normal((2, size))
    expected = textbook_adamw(theta, gradients, 0.1, 0.9, 0.999, 1e-8, 0.01)
    optimizer, ema = AdamW(size, np.float64, weight_decay=0.01), EMA(theta, 0.5)
    for g in gradients:
        optimizer.step(theta, g, 0.1)
        ema.update(theta)
    np.testing.assert_allclose(theta, expected, rtol=0, atol=2000 * 20 * ULP)
    first = textbook_adamw(
        np.random.default_rng(0).standard_normal(size), gradients[:1], 0.1, 0.9, 0.999, 1e-8, 0.01
    )
    np.testing.assert_allclose(
        ema.average, (first + 2 * expected) / 3, rtol=0, atol=2000 * 20 * ULP
    )


@given(scale=st.floats(1e-3, 1e3), max_norm=st.floats(1e-2, 1e2))
def test_clipping_shortens_only_what_is_too_long(scale, max_norm):
    gradient = scale * np.array([3.0, 4.0])
    kept = gradient.copy()
    norm = clip_by_global_norm(gradient, max_norm)
    assert norm == pytest.approx(5 * scale, rel=4 * ULP)
    if norm <= max_norm:
        assert np.array_equal(gradient, kept)
    else:
        np.testing.assert_allclose(gradient, kept * max_norm / norm, rtol=4 * ULP)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [-30, -22, 19, 20, 38, 180, -200])
def test_clipping_measures_what_its_square_cannot_hold(dtype, exponent):
    if not abs(exponent) < np.log10(float(np.finfo(dtype).max)):
        pytest.skip("no number of this dtype")
    unit = np.array([0.6, 0.0, -0.8], dtype)
    gradient, ulp = unit * dtype(10.0**exponent), 8 * float(np.finfo(dtype).eps)
    assert clip_by_global_norm(gradient, 0.5 * 10.0**exponent) == pytest.approx(
        10.0**exponent, rel=ulp
    )
    np.testing.assert_allclose(gradient, 0.5 * 10.0**exponent * unit, rtol=ulp)
    short = gradient.copy()
    clip_by_global_norm(gradient, 10.0**exponent)
    assert np.array_equal(gradient, short)


def test_a_gradient_of_zeros_has_no_length():
    gradient = np.zeros(3, np.float32)
    assert clip_by_global_norm(gradient, 1.0) == 0 and not gradient.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_clipping_reports_what_is_not_finite(bad):
    gradient = np.array([1.0, bad])
    assert not math.isfinite(clip_by_global_norm(gradient, 1.0))
    assert gradient[0] == 1.0


@given(
    steps=st.integers(1, 1000),
    warmup=st.integers(0, 999),
    peak=st.floats(1e-6, 1),
    final=st.floats(0, 1e-6),
)
def test_learning_rate_rises_to_its_peak_and_falls_to_its_final_value(steps, warmup, peak, final):
    warmup = min(warmup, steps - 1)
    rates = [
        warmup_cosine(k, steps=steps, peak=peak, warmup=warmup, final=final)
        for k in range(1, steps + 1)
    ]
    assert rates[-1] == pytest.approx(final, abs=4 * ULP * peak)
    assert all(0 <= r <= peak * (1 + 4 * ULP) for r in rates)
    if warmup:
        assert rates[warmup - 1] == peak and rates[0] == pytest.approx(peak / warmup, rel=4 * ULP)
    for k in range(warmup + 1, steps + 1):
        # (1 + cos 2a) / 2 = cos(a)^2; the largest error is the rounding of a, half an ulp of pi.
        expected = (
            final + (peak - final) * math.cos(math.pi / 2 * (k - warmup) / (steps - warmup)) ** 2
        )
        assert rates[k - 1] == pytest.approx(expected, rel=0, abs=8 * ULP * peak)
    assert all(a <= b for a, b in zip(rates[:warmup], rates[1:warmup]))
    assert all(a >= b for a, b in zip(rates[warmup:], rates[warmup + 1 :]))


@given(decay=st.floats(0, 0.9999), updates=st.integers(1, 50))
def test_ema_is_the_weighted_mean_on_a_ramp(decay, updates):
    theta = np.array([123.0])
    ema = EMA(theta, decay)
    for j in range(1, updates + 1):
        theta[:] = j
        ema.update(theta)
    weights = decay ** np.arange(updates - 1, -1, -1.0)
    expected = np.sum(weights * np.arange(1, updates + 1)) / np.sum(weights)
    # (1 - decay) / (1 - decay^k) loses up to 1 / (1 - decay^k) ulp in each of the updates.
    assert ema.average[0] == pytest.approx(expected, rel=8 * updates * ULP / (1 - decay))


def test_ema_forgets_the_initial_weights_at_the_first_update():
    theta = np.array([1e9])
    ema = EMA(theta, 0.999)
    theta[:] = 2.0
    ema.update(theta)
    assert ema.average[0] == pytest.approx(2.0, abs=1e9 * 4 * ULP)
    theta[:] = 5.0
    assert ema.average[0] != 5.0  # a copy, not a view


# ---- Muon ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 4), (4, 9), (6, 6), (144, 16), (5, 1)])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_orthogonalised_is_near_the_polar_factor(shape, size):
    rng, k = np.random.default_rng(0), min(shape)
    u, _, vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    values = np.geomspace(1, 1 / 100, k)
    found = u.T @ orthogonalised([size * (u * values) @ vt])[0] @ vt.T
    # On the axes of the SVD it is diagonal, and the diagonal, 1 for the polar factor, is near 1.
    assert np.abs(found - np.diag(np.diag(found))).max() < 1e-9
    assert 0.68 < np.diag(found).min() and np.diag(found).max() < 1.21
    [single] = orthogonalised([(size * (u * values) @ vt).astype(np.float32)])
    assert single.dtype == np.float32 and np.abs(single - u @ found @ vt).max() < 1e-4


def test_orthogonalised_is_five_newton_schulz_steps_written_out():
    X = np.random.default_rng(1).standard_normal((7, 4))
    by_hand = X / np.linalg.norm(X)
    for _ in range(5):
        A = by_hand.T @ by_hand
        by_hand = 3.4445 * by_hand - 4.7750 * by_hand @ A + 2.0315 * by_hand @ A @ A
    zeros, found, wide = orthogonalised([np.zeros((9, 4)), X, X.T])
    np.testing.assert_allclose(found, by_hand, rtol=0, atol=1e-13)
    np.testing.assert_allclose(wide, by_hand.T, rtol=0, atol=1e-13)
    assert not zeros.any()


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_muon_moves_its_kernels_and_leaves_the_rest_to_adamw(decay):
    rng, mu = np.random.default_rng(2), 0.9
    kernels = [(2, 4, 3), (14, 2, 5)]  # 3..13 and 14..23 of 26 numbers
    theta = rng.standard_normal(26)
    other, expected, M = theta.copy(), theta.copy(), np.zeros(26)
    muon = Muon(26, np.float64, kernels=kernels, rate=0.5, momentum=mu, weight_decay=decay)
    adamw = AdamW(26, np.float64, weight_decay=decay)
    for rate in (0.1, 0.2, 0.05):
        g = rng.standard_normal(26)
        muon.step(theta, g, rate)
        adamw.step(other, g, rate)
        M = mu * M + g
        for at, rows, columns in kernels:
            span = slice(at, at + rows * columns)
            X = (g + mu * M)[span].reshape(rows, columns)
            step = rate * 0.5 * max(1, rows / columns) ** 0.5 * orthogonalised([X])[0]
            expected[span] = (1 - rate * decay) * expected[span] - step.reshape(-1)
    rest = np.r_[0:2, 24:26]
    assert np.array_equal(theta[rest], other[rest]) and not muon.v[2:24].any()
    np.testing.assert_allclose(theta[2:24], expected[2:24], rtol=1e-13)


def test_training_with_muon_has_matrices_for_kernels_and_resumes_bit_for_bit(tmp_path):
    schedule, data = Schedule.sigmoid(5), Gaussian(np.zeros(16), np.eye(16))
    options = {"steps": 6, "batch_size": 4, "learning_rate": 1e-2}

    def state():
        skip, gain = preconditioning(schedule, 0.5)
        options = {"layers": 1, "skip": skip, "gain": gain, "rng": np.random.default_rng(0)}
        network = UNet(4, 5, widths=(2, 3), **options)
        return TrainingState(network, rng=np.random.default_rng(1), muon_rate=0.5, **settings)

    settings = {"beta_1": 0.8, "beta_2": 0.95, "eps": 1e-7, "weight_decay": 0.1}
    whole, broken = state(), state()
    assert {name: getattr(whole.optimizer, name) for name in settings} == settings
    assert whole.optimizer.rate == 0.5
    shapes = [(rows, columns) for _, rows, columns in whole.network.params.kernels()]
    assert shapes == [(9, 2), (18, 3), (45, 2)]
    list(train(whole.network, data, schedule, state=whole, **options))
    list(islice(train(broken.network, data, schedule, state=broken, **options), 3))
    save_checkpoint(tmp_path / "c", broken, schedule, {})
    found = load_checkpoint(tmp_path / "c", {"unet": UNet}).state
    assert isinstance(found.optimizer, Muon) and found.muon_rate == 0.5
    list(train(found.network, data, schedule, state=found, **options))
    for a, b in zip(whole.vectors().values(), found.vectors().values()):
        assert np.array_equal(a, b)
