"""The package against PyTorch on small shapes: output, loss, gradients, training steps, and weights
both ways.
"""

from importlib import import_module

import numpy as np
import pytest

from ddpm_np.network import MLP, Layer

DIM, T = 5, 7
LAYERS = {
    "notes": (
        Layer(10, "leaky_relu", "none"),
        Layer(20, "identity", "shift"),
        Layer(10, "leaky_relu", "none"),
    ),
    "default": (6, 4),
    "silu": (Layer(6, "silu"), Layer(4, "silu", "shift")),
    "one layer": (Layer(3, "silu", "none"),),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def parity():
    return import_module("benchmarks.parity")


@pytest.fixture(scope="module")
def twin():
    return import_module("benchmarks.twin")


def network(kind, *, seed=0, skip=True):
    rng = np.random.default_rng(seed)
    gains = rng.uniform(0.1, 1, T + 1) if skip else None
    mlp = MLP(DIM, T, hidden=LAYERS[kind], rng=rng, dtype=np.float64, skip=gains)
    mlp.flat += 0.3 * rng.standard_normal(mlp.flat.size)
    return mlp


@pytest.mark.E15
@pytest.mark.parametrize("n", [1, 4, 33])
@pytest.mark.parametrize("kind", LAYERS)
def test_output_loss_and_gradients_are_those_of_autograd(parity, kind, n):
    for skip in (True, False):
        checks = parity.step_checks(network(kind, skip=skip), n)
        assert len(checks) == 2 + len(network(kind).params)
        assert [check for check in checks if not check.passed] == []


@pytest.mark.E16
@pytest.mark.parametrize("kind", LAYERS)
def test_training_gives_the_weights_that_pytorch_gives(parity, kind):
    mlp = network(kind)
    before = mlp.flat.copy()
    assert parity.training_check(mlp, 16, steps=30).passed
    assert np.array_equal(mlp.flat, before)  # a copy was trained


@pytest.mark.E15
@pytest.mark.parametrize("kind", LAYERS)
def test_float32_is_off_by_the_rounding_of_its_sums_at_most(parity, kind):
    checks = parity.float32_checks(network(kind), 33)
    assert [check for check in checks if not check.passed] == [] and max(
        check.error for check in checks
    ) > 0.1


@pytest.mark.parametrize("name", ["W1", "b3", "gate2", "shift1"])
def test_parity_fails_for_a_planted_wrong_gradient(parity, name, monkeypatch):
    right = MLP.backward

    def wrong(self, d_eps_hat, cache):
        g = right(self, d_eps_hat, cache)
        g[name][...] *= 1 + 1e-9
        return g

    monkeypatch.setattr(MLP, "backward", wrong)
    failed = [
        check.name for check in parity.step_checks(network("default"), 16) if not check.passed
    ]
    assert failed == [f"gradient of {name}, float64"]


def test_parity_fails_for_an_optimizer_without_its_decay(parity, monkeypatch):
    from ddpm_np.learning.optimizer import AdamW

    right = AdamW.__init__
    monkeypatch.setattr(
        AdamW,
        "__init__",
        lambda self, *args, **options: right(self, *args, **{**options, "weight_decay": 0.0}),
    )
    assert not parity.training_check(network("default"), 16, steps=5).passed


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_move_to_pytorch_and_back(twin, kind):
    mlp, other = network(kind), network(kind, seed=1)
    state = twin.Twin(mlp).state_dict()
    assert not np.array_equal(other.flat, mlp.flat)
    twin.from_torch_state_dict(other, state)
    assert np.array_equal(other.flat, mlp.flat)
    assert {name: tuple(value.shape) for name, value in twin.to_torch_state_dict(mlp).items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }
    next(iter(state.values()))[:] = 0  # neither side holds the memory of the other
    assert np.array_equal(other.flat, mlp.flat) and mlp.params["W1"].any()


def test_weights_of_another_network_are_refused(twin):
    mlp = network("default")
    before = mlp.flat.copy()
    own = twin.to_torch_state_dict(mlp)
    for state in (
        twin.to_torch_state_dict(network("silu")),
        {**own, "more.weight": own["linear1.weight"]},
    ):
        with pytest.raises(ValueError, match="^state must hold"):
            twin.from_torch_state_dict(mlp, state)
    assert np.array_equal(mlp.flat, before)
