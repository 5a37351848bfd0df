"""The network: its gradients against complex steps, its parameters as live views, and nothing
overwritten behind the caller's back.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddpm_np.learning.layers import step_basis
from ddpm_np.learning.parameters import NUMBERS, Parameters
from ddpm_np.network import MLP, Layer
from ddpm_np.training import denoising_loss

LAYERS = st.builds(
    Layer,
    width=st.integers(1, 7),
    activation=st.sampled_from(["silu", "leaky_relu", "identity"]),
    step=st.sampled_from(["gate", "shift", "none"]),
)
H = 1e-200  # a complex step has no cancellation, so it can be this small


def network(hidden=(4, 5), dim=3, T=6, seed=0, skip=True, **options):
    rng = np.random.default_rng(seed)
    gains = rng.uniform(0.1, 1, T + 1) if skip else None
    mlp = MLP(dim, T, hidden=hidden, rng=rng, dtype=np.float64, skip=gains, **options)
    mlp.flat += 0.5 * rng.standard_normal(
        mlp.flat.size
    )  # away from zero outputs and unit gates, which would hide mistakes
    return mlp


def batch(mlp, n, seed=1):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((n, mlp.dim)),
        rng.integers(1, mlp.T + 1, n),
        rng.standard_normal((n, mlp.dim)),
    )


def complex_twin(mlp):
    """The same network on complex numbers: the same passes run."""
    twin = mlp.copy()
    twin.dtype, twin.flat = np.dtype(complex), mlp.flat.astype(complex)
    twin.params = Parameters(mlp.params.layout, twin.flat)
    return twin


def loss_of(mlp, x, t, eps):
    return np.sum((mlp.forward(x, t)[0] - eps) ** 2) / eps.size


def worst_relative_error(mlp, grads, x, t, eps):
    """Each parameter's gradient against the complex step in that one number, relative to the
    array's largest gradient.
    """
    worst = 0.0
    for name, grad in grads.items():
        twin, exact = complex_twin(mlp), np.empty_like(grad)
        for index in np.ndindex(grad.shape):
            twin.params[name][index] += 1j * H
            exact[index] = loss_of(twin, x, t, eps).imag / H
            twin.params[name][index] -= 1j * H
        scale = np.abs(exact).max()
        worst = max(
            worst, float(np.abs(grad - exact).max() / scale) if scale else float(np.abs(grad).max())
        )
    return worst


def gradients(mlp, x, t, eps):
    eps_hat, cache = mlp.forward(x, t)
    return mlp.backward(denoising_loss(eps_hat, eps)[1], cache)


@pytest.mark.E15
@given(
    hidden=st.lists(LAYERS, min_size=1, max_size=3),
    n=st.integers(1, 5),
    seed=st.integers(0, 99),
    skip=st.booleans(),
)
def test_gradient_is_the_complex_step_derivative_of_the_returned_loss(hidden, n, seed, skip):
    mlp = network(hidden, seed=seed, skip=skip)
    x, t, eps = batch(mlp, n, seed)
    assert worst_relative_error(mlp, gradients(mlp, x, t, eps), x, t, eps) < 1e-12


@pytest.mark.E15
@pytest.mark.parametrize("with_basis", [False, True])
@pytest.mark.parametrize("t", [[2, 2, 2, 2], [5, 1, 5, 1], [6, 5, 5, 6], [2, 2, 6, 1], 3, [4]])
def test_gradient_counts_repeated_steps(t, with_basis):
    t = t if isinstance(t, int) else np.array(t)
    basis = np.random.default_rng(3).uniform(0, 1, (7, 3)) if with_basis else None
    mlp = network([Layer(4, "silu"), Layer(3, "leaky_relu", "shift")], basis=basis)
    rows = 3 if with_basis else 7
    assert mlp.params["gate1"].shape == (rows, 4) and mlp.params["shift2"].shape == (rows, 3)
    x, _, eps = batch(mlp, 4)
    assert worst_relative_error(mlp, gradients(mlp, x, t, eps), x, t, eps) < 1e-12


def test_a_basis_of_unit_rows_is_a_table():
    table, basis = network(), network(basis=np.eye(7))
    x, t, eps = batch(table, 9)
    assert np.array_equal(table.flat, basis.flat) and np.array_equal(table(x, t), basis(x, t))
    for ours, theirs in zip(
        gradients(table, x, t, eps).values(), gradients(basis, x, t, eps).values()
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)
    assert np.array_equal(basis.copy()(x, t), basis(x, t))


@given(
    T=st.integers(1, 40),
    size=st.integers(2, 9),
    low=st.floats(1e-9, 0.4),
    high=st.floats(0.5, 0.99999),
)
def test_hat_functions_add_up_to_one_and_interpolate_the_log_snr(T, size, low, high):
    noise = np.concatenate([[0], np.linspace(low, high, T)])
    basis = step_basis(noise, size)
    assert basis.shape == (T + 1, size) and not basis[0].any() and ((basis > 0).sum(1) <= 2).all()
    np.testing.assert_allclose(basis[1:].sum(1), 1, rtol=1e-12)
    log_snr = np.log(1 - noise[1:]) - np.log(noise[1:])
    places = np.linspace(log_snr[-1], log_snr[0], size)
    np.testing.assert_allclose(
        basis[1:] @ places, log_snr, rtol=0, atol=1e-12 * np.abs(log_snr).max()
    )


def test_a_basis_is_finite_where_the_signal_is_lost():
    noise = np.array([0, 1e-12, 0.5, 1 - 1e-9, 1.0])
    assert np.array_equal(step_basis(noise, 3)[3:], [[1, 0, 0], [1, 0, 0]])
    assert np.array_equal(step_basis(np.array([0, 1.0]), 2), [[0, 0], [1, 0]])


@pytest.mark.parametrize("activation", ["silu", "leaky_relu"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_mirrored_network_is_linear(activation, depth):
    """With opposite output weights for the two units of a pair, at every size of x."""
    rng = np.random.default_rng(0)
    layers = [Layer(6, activation)] * depth
    mlp = MLP(3, 5, hidden=layers, rng=rng, dtype=np.float64, zero_output=False, mirrored=True)
    mlp.params[f"b{depth + 1}"][:] = 0
    x, y = rng.standard_normal((2, 4, 3))
    scale = np.abs(mlp(x, 2)).max()
    assert scale > 1e-3
    np.testing.assert_allclose(
        mlp(x - 100 * y, 2), mlp(x, 2) - 100 * mlp(y, 2), rtol=0, atol=1e-11 * scale
    )


@pytest.mark.parametrize("name", ["W1", "gate1", "shift1", "W2", "b2"])
def test_checker_refutes_a_planted_wrong_gradient(name):
    mlp = network((4,))
    x, t, eps = batch(mlp, 4)
    grads = {key: value.copy() for key, value in gradients(mlp, x, t, eps).items()}
    grads[name][np.unravel_index(np.abs(grads[name]).argmax(), grads[name].shape)] *= 1 + 1e-9
    assert worst_relative_error(mlp, grads, x, t, eps) > 1e-12


def test_notes_architecture():
    mlp = MLP.notes(rng=np.random.default_rng(0))
    shapes = {name: value.shape for name, value in mlp.params.items()}
    assert shapes == {
        "W1": (50, 100),
        "b1": (100,),
        "W2": (100, 200),
        "b2": (200,),
        "shift2": (101, 200),
        "W3": (200, 100),
        "b3": (100,),
        "W4": (100, 50),
        "b4": (50,),
    }
    p = mlp.params
    x = np.random.default_rng(1).standard_normal((3, 50)).astype(np.float32)
    t = np.array([1, 50, 100])

    def leaky(z):
        return np.where(z > 0, z, 0.01 * z)

    core = leaky(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"] + p["shift2"][t]
    by_hand = leaky(core @ p["W3"] + p["b3"]) @ p["W4"] + p["b4"]
    # Two evaluations in different order: sums of up to 200 float32 products of size about 1.
    np.testing.assert_allclose(
        mlp(x, t), by_hand, rtol=0, atol=200 * np.finfo(np.float32).eps * np.abs(by_hand).max()
    )


def test_a_new_network_predicts_its_skip_exactly():
    rng = np.random.default_rng(0)
    skip = rng.uniform(0, 1, 11)
    mlp = MLP(4, 10, rng=rng, skip=skip)
    x, t = rng.standard_normal((6, 4)).astype(np.float32), rng.integers(1, 11, 6)
    assert np.array_equal(mlp(x, t), x * skip[t, None].astype(np.float32))
    assert not MLP(4, 10, rng=rng)(x, t).any()


@pytest.mark.parametrize("step", ["gate", "shift"])
def test_each_row_gets_its_own_step(step):
    mlp = network([Layer(5, step=step)], skip=False)
    x, t, _ = batch(mlp, 6)
    together = mlp(x, t)
    for i in range(6):
        # One row's product may be summed in another order than six rows': a few roundings of
        # numbers of size 1.
        np.testing.assert_allclose(mlp(x[i : i + 1], int(t[i]))[0], together[i], rtol=0, atol=1e-14)
    other = t % mlp.T + 1
    assert (np.abs(mlp(x, other) - together).max(axis=1) > 1e-6).all()
    order = np.array([3, 1, 5, 0, 2, 4])
    np.testing.assert_allclose(mlp(x[order], t[order]), together[order], rtol=0, atol=1e-14)


def test_many_rows_are_predicted_block_by_block_each_at_its_own_step():
    mlp = network((4,))
    x, t, _ = batch(mlp, 2 * NUMBERS // 3 + 3)
    np.testing.assert_allclose(
        mlp(x, t), mlp.forward(x, t)[0], rtol=0, atol=1e-14
    )  # products of other shapes, as above


def test_new_weights_are_pytorchs_new_gates_are_1_and_new_gated_shifts_0():
    mlp = MLP(
        20,
        9,
        hidden=(30, Layer(40, step="shift"), Layer(25, step="none")),
        rng=np.random.default_rng(0),
        zero_output=False,
    )
    p = mlp.params
    assert (p["gate1"] == 1).all() and (p["shift1"] == 0).all()
    embedding = p["shift2"].ravel()  # N(0, 1): mean and mean square within five standard errors
    assert abs(embedding.mean()) < 5 / np.sqrt(embedding.size) and abs(
        np.mean(embedding**2) - 1
    ) < 5 * np.sqrt(2 / embedding.size)
    for l, inputs in enumerate((20, 30, 40, 25), 1):
        bound = np.float32(1 / np.sqrt(inputs))
        for values in (p[f"W{l}"], p.get(f"b{l}")):
            if values is not None:
                assert np.abs(values).max() <= bound and np.unique(values).size > 1
        # uniform within the bound: mean square bound^2 / 3, whose standard error is bound^2 sqrt(4
        # / 45 / size)
        weights = p[f"W{l}"].astype(float)
        assert abs(np.mean(weights**2) - bound**2 / 3) < 5 * bound**2 * np.sqrt(
            4 / 45 / weights.size
        )


def test_params_are_live_views_and_constants_are_not_among_them():
    mlp = network((4,))
    x, t, _ = batch(mlp, 2)
    before = mlp(x, t)
    mlp.params["b2"][:] += 1.0
    np.testing.assert_allclose(mlp(x, t), before + 1, rtol=0, atol=1e-14)
    assert sum(p.size for p in mlp.params.values()) == mlp.flat.size
    assert all(np.shares_memory(p, mlp.flat) for p in mlp.params.values())
    assert "skip" not in mlp.params and not mlp.skip.flags.writeable
    with pytest.raises(TypeError):
        mlp.params["b2"] = np.zeros(3)


def test_what_a_call_returned_is_not_overwritten_by_a_later_call():
    mlp = network((4, 5))
    x, t, eps = batch(mlp, 4)
    first, cache = mlp.forward(x, t)
    kept = first.copy()
    grads = mlp.backward(eps, cache)
    grads_kept = {name: value.copy() for name, value in grads.items()}
    again = mlp.backward(eps, cache)
    other, other_cache = mlp.forward(2 * x, t)
    mlp.backward(3 * eps, other_cache)
    assert np.array_equal(first, kept)
    for name, value in grads_kept.items():
        assert np.array_equal(grads[name], value) and np.array_equal(again[name], value)


def test_float32_by_default_and_float64_on_request():
    rng = np.random.default_rng(0)
    single, double = MLP.notes(rng=rng), MLP.notes(rng=rng, dtype=np.float64)
    double.flat[:] = single.flat
    x, t, _ = batch(single, 8)
    assert single(x, t).dtype == np.float32 and double(x.astype(np.float32), t).dtype == np.float64
    assert all(value.dtype == np.float32 for value in gradients(single, x, t, x).values())
    # Four matrix products of at most 200 terms, each rounded in float32.
    np.testing.assert_allclose(
        single(x, t), double(x, t), rtol=0, atol=200 * np.finfo(np.float32).eps
    )
