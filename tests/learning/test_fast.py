"""The fast gradient against the plain one: the same weights after training, for every kind of
layer.
"""

import numpy as np
import pytest

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.learning.fast import ROWS, FastDenoiser, FastGradient
from ddpm_np.learning.layers import step_basis
from ddpm_np.network import MLP, Layer
from ddpm_np.sampling import ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.training import plain_gradient, train

DIM, T, STEPS = 5, 7, 15
SCHEDULE, DATA = Schedule.sigmoid(T), Gaussian(np.full(DIM, 0.3), np.diag(np.arange(1.0, DIM + 1)))
LAYERS = {
    f"{activation}, {step}": (Layer(6, activation, step), Layer(4, activation, step))
    for activation in ("leaky_relu", "silu", "identity")
    for step in ("gate", "shift", "none")
}


def trained(layers, n, *, fast, dtype=np.float64, balanced=True, **options):
    """The weights after STEPS steps of training, and the losses and norms on the way."""
    rng = np.random.default_rng(0)
    mlp = MLP(DIM, T, hidden=layers, rng=rng, dtype=dtype, zero_output=False, **options)
    records = train(
        mlp,
        DATA,
        SCHEDULE,
        steps=STEPS,
        batch_size=n,
        learning_rate=1e-2,
        rng=rng,
        balanced=balanced,
        gradient=FastGradient() if fast else None,
    )
    return mlp.flat, np.array([(record.loss, record.grad_norm) for record in records])


# Batches without a whole round, of whole rounds only, and of rounds and a rest.
@pytest.mark.E16
@pytest.mark.parametrize(("n", "balanced"), [(3, True), (14, True), (17, True), (16, False)])
@pytest.mark.parametrize("kind", LAYERS)
def test_training_gives_the_weights_of_the_plain_loop(kind, n, balanced):
    skip = np.sqrt(SCHEDULE.one_minus_alpha_bar)
    options = {"n": n, "balanced": balanced, "skip": skip}
    weights, records = trained(LAYERS[kind], fast=True, **options)
    plain_weights, plain_records = trained(LAYERS[kind], fast=False, **options)
    if kind.startswith("silu"):  # exp in place of tanh
        np.testing.assert_allclose(weights, plain_weights, rtol=0, atol=1e-11)
        np.testing.assert_allclose(records, plain_records, rtol=1e-11)
    else:
        assert np.array_equal(weights, plain_weights) and np.array_equal(records, plain_records)


@pytest.mark.E16
@pytest.mark.parametrize("activation", ["leaky_relu", "silu"])
@pytest.mark.parametrize("n", [3, 17])
def test_training_with_a_basis_gives_the_weights_of_the_plain_loop(activation, n):
    layers, basis = [Layer(6, activation)] * 2, step_basis(SCHEDULE.one_minus_alpha_bar, 4)
    weights, _ = trained(layers, n, fast=True, basis=basis, mirrored=True)
    plain_weights, _ = trained(layers, n, fast=False, basis=basis, mirrored=True)
    np.testing.assert_allclose(weights, plain_weights, rtol=0, atol=1e-10)


@pytest.mark.E16
def test_float32_agrees_to_its_own_precision():
    for activation, tolerance in (("leaky_relu", 0), ("silu", 2000)):
        layers = [Layer(6, activation)]
        weights, _ = trained(layers, 17, fast=True, dtype=np.float32)
        plain_weights, _ = trained(layers, 17, fast=False, dtype=np.float32)
        assert weights.dtype == np.float32
        ulp = np.finfo(np.float32).eps * np.abs(plain_weights).max()
        assert np.abs(weights - plain_weights).max() <= tolerance * ulp


LAYERS_OF_PREDICTION = [
    [Layer(6)],
    [Layer(6, "silu"), Layer(4)],
    [Layer(5, "identity", "shift"), Layer(4, "silu", "none")],
]


@pytest.mark.E15
@pytest.mark.parametrize("with_basis", [False, True])
@pytest.mark.parametrize("layers", LAYERS_OF_PREDICTION)
def test_prediction_at_one_step_is_the_forward_pass(layers, with_basis):
    rng = np.random.default_rng(2)
    basis = rng.standard_normal((9, 3)) if with_basis else None
    network = MLP(
        4, 8, hidden=layers, rng=rng, dtype=np.float64, skip=rng.uniform(size=9), basis=basis
    )
    network.flat[:] = rng.standard_normal(network.flat.size)
    x = rng.standard_normal((2 * ROWS + 3, 4))
    for t in (1, 5, 8):
        plain = network.forward(x, t)[0]
        # The gate moves into the weights, and each sum has at most 6 terms.
        limit = 64 * np.finfo(float).eps * np.abs(plain).max()
        np.testing.assert_allclose(FastDenoiser(network)(x, t), plain, rtol=0, atol=limit)
    steps = rng.integers(1, 9, len(x))
    assert np.array_equal(FastDenoiser(network)(x, steps), network(x, steps))


def test_a_gradient_follows_its_network_schedule_and_size_of_batch():
    gradient, rng = FastGradient(), np.random.default_rng(0)
    networks = [MLP(DIM, T, hidden=(4,), rng=rng, zero_output=False) for _ in range(2)]
    for network, schedule, n in (
        (networks[0], SCHEDULE, 3),
        (networks[1], SCHEDULE, 3),
        (networks[1], Schedule.linear(T), 3),
        (networks[1], Schedule.linear(T), 9),
    ):
        x_0, eps = rng.standard_normal((2, n, DIM)).astype(np.float32)
        t = rng.integers(1, T + 1, n)
        loss, found = gradient(network, schedule, x_0, t, eps)
        plain_loss, plain = plain_gradient(network, schedule, x_0, t, eps)
        assert loss == plain_loss and np.array_equal(found.flat, plain.flat)


class Doubled(MLP):
    """A network of somebody else: what it predicts is not what its layers say."""

    def forward(self, x, t):
        eps_hat, cache = super().forward(x, t)
        return 2 * eps_hat, cache


def test_a_subclass_with_its_own_forward_pass_is_trained_and_sampled_and_has_no_twin():
    rng = np.random.default_rng(0)
    network = Doubled(DIM, T, hidden=(4,), rng=rng, zero_output=False)
    plain = MLP(DIM, T, hidden=(4,), rng=rng)
    plain.flat[:] = network.flat
    x, eps = rng.standard_normal((2, 7, DIM)).astype(np.float32)
    assert np.array_equal(network(x, 3), 2 * plain(x, 3))
    samples = [
        ancestral_sample(d, SCHEDULE, 4, DIM, rng=np.random.default_rng(1), dtype="f4")
        for d in (network, lambda x, t: 2 * plain(x, t))
    ]
    assert np.array_equal(*samples)
    options = {"steps": 1, "batch_size": 7, "learning_rate": 1e-3}
    loss = next(train(network.copy(), DATA, SCHEDULE, rng=np.random.default_rng(2), **options)).loss
    assert loss != next(train(plain, DATA, SCHEDULE, rng=np.random.default_rng(2), **options)).loss
    for refused in (
        lambda: FastDenoiser(network),
        lambda: FastGradient()(network, SCHEDULE, x, np.ones(7, int), eps),
    ):
        with pytest.raises(TypeError, match="no subclass, got a Doubled"):
            refused()
