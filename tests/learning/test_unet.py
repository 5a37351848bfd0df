"""The U-Net: its gradient, what each output pixel sees, what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddpm_np.learning.parameters import Parameters
from ddpm_np.learning.unet import UNet, preconditioning
from ddpm_np.schedule import Schedule

Array = NDArray[np.float64]
H = 1e-200  # a complex step has no cancellation, so it can be this small


def unet(size=4, widths=(2, 3), T=5, *, seed=0, **options):
    """A small network in float64, away from zero outputs and unit gates, which hide mistakes."""
    rng = np.random.default_rng(seed)
    network = UNet(size, T, widths=widths, rng=rng, dtype=np.float64, **options)
    network.flat[:] += 0.3 * rng.standard_normal(network.flat.size)
    return network


def moved(network, direction):
    """The same network on complex numbers, a complex step away."""
    twin = network.copy()
    twin.dtype, twin.flat = np.dtype(complex), network.flat + 1j * H * direction
    twin.params = Parameters(network.params.layout, twin.flat)
    return twin


def along(network, direction, x, t, weights):
    """The derivative of <eps_hat, weights> along a direction: by hand, and by a complex step."""
    gradient = network.backward(weights, network.forward(x, t)[1]).flat
    eps_hat, _ = moved(network, direction).forward(x, t)
    return float(gradient @ direction), float((eps_hat * weights).sum().imag / H)


@pytest.mark.E15
@given(
    level=st.sampled_from([(3, (2,)), (4, (2, 3)), (6, (1, 2)), (4, (2, 1, 2)), (1, (2,))]),
    n=st.integers(1, 4),
    layers=st.integers(1, 3),
    seed=st.integers(0, 99),
    wrap=st.booleans(),
    scaled=st.booleans(),
)
def test_gradient_is_the_complex_step_derivative(level, n, layers, seed, wrap, scaled):
    size, widths = level
    rng = np.random.default_rng(seed)
    options = {}
    if scaled:
        options = {"skip": rng.uniform(0.1, 1, 6), "gain": rng.uniform(0.1, 1, 6)}
        options["basis"] = rng.uniform(0, 1, (6, 3))
    network = unet(size, widths, layers=layers, seed=seed, wrap=wrap, **options)
    x, weights = rng.standard_normal((2, n, network.dim))
    t = rng.integers(1, 6, n)
    direction = rng.standard_normal(network.flat.size)
    by_hand, exact = along(network, direction, x, t, weights)
    gradient = network.backward(weights, network.forward(x, t)[1]).flat
    assert abs(by_hand - exact) <= 1e-12 * np.abs(gradient * direction).sum()


def test_the_network_of_the_experiment_has_its_size():
    network = UNet(16, 100, rng=np.random.default_rng(0))
    assert network.flat.size == 182_305 and network.dtype == np.float32
    assert repr(network) == "UNet(16 x 16, 16-32-64, T=100, 182305 parameters, float32)"


def test_it_starts_as_its_skip():
    schedule = Schedule.sigmoid(5)
    skip, gain = preconditioning(schedule, 0.5)
    network = UNet(4, 5, widths=(2, 3), rng=np.random.default_rng(0), skip=skip, gain=gain)
    x = np.random.default_rng(1).standard_normal((3, 16)).astype(np.float32)
    assert np.array_equal(network(x, 4), np.float32(skip[4]) * x)


def test_preconditioning_is_the_best_multiple_and_what_it_leaves():
    schedule, s2 = Schedule.sigmoid(20), 0.7
    skip, gain = preconditioning(schedule, s2)
    signal, noise = schedule.alpha_bar * s2, schedule.one_minus_alpha_bar
    # E (eps - k x_t)^2 = (1 - k sqrt(noise))^2 + k^2 signal, least at the skip, where it is gain^2
    left = (1 - skip * np.sqrt(noise)) ** 2 + skip**2 * signal
    np.testing.assert_allclose(gain**2, left, rtol=1e-12)
    for k in (skip + 1e-3, skip - 1e-3):
        assert np.all((1 - k * np.sqrt(noise)) ** 2 + k**2 * signal > left)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_net_of_some_layers_sees_twice_as_many_pixels_and_one(layers):
    size, at = 15, 7
    network = unet(size, (3,), layers=layers)
    x = np.random.default_rng(0).standard_normal((1, size**2))
    moved = x + np.eye(size**2)
    pixels = network(moved, 2) != network(x, 2)
    seen = pixels[:, at * size + at].reshape(size, size)  # which inputs move the middle output
    expected = np.zeros((size, size), bool)
    expected[at - layers : at + layers + 1, at - layers : at + layers + 1] = True
    assert np.array_equal(seen, expected)


def test_a_shift_by_the_coarsest_pixel_commutes_bit_for_bit():
    network = unet(16, (4, 4, 4), wrap=True)
    x = np.random.default_rng(0).standard_normal((2, 16, 16))
    eps_hat = network(x.reshape(2, -1), 3).reshape(x.shape)

    def after(rows, columns):
        shifted = np.roll(x, (rows, columns), (1, 2))
        moved = network(shifted.reshape(2, -1), 3).reshape(x.shape)
        return np.roll(moved, (-rows, -columns), (1, 2))

    for shift in ((4, 0), (0, 4), (8, -4)):
        assert np.array_equal(after(*shift), eps_hat)
    for shift in ((1, 0), (0, 2)):
        assert np.abs(after(*shift) - eps_hat).max() > 1e-3


@settings(max_examples=10)
@given(n=st.integers(1, 5), seed=st.integers(0, 9))
def test_a_picture_does_not_see_the_others(n, seed):
    network = unet(seed=seed)
    rng = np.random.default_rng(seed)
    x, t = rng.standard_normal((n, 16)), rng.integers(1, 6, n)
    alone = np.concatenate([network(x[i : i + 1], t[i : i + 1]) for i in range(n)])
    np.testing.assert_allclose(network(x, t), alone, rtol=0, atol=1e-13)


def test_predicting_in_blocks_changes_nothing(monkeypatch):
    network = unet()
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((7, 16)), rng.integers(1, 6, 7)
    whole = network(x, t)
    monkeypatch.setattr("ddpm_np.learning.parameters.NUMBERS", 32)
    np.testing.assert_allclose(network(x, t), whole, rtol=0, atol=1e-13)


def test_forward_changes_neither_its_input_nor_an_earlier_result():
    network = unet()
    x = np.random.default_rng(0).standard_normal((2, 16))
    before = x.copy()
    first, cache = network.forward(x, 2)
    kept = first.copy()
    network.forward(x + 1, 3)
    network.backward(np.ones_like(x), cache)
    one = network.backward(np.ones_like(x), cache).flat
    assert np.array_equal(x, before) and np.array_equal(first, kept)
    assert np.array_equal(one, network.backward(np.ones_like(x), cache).flat)
