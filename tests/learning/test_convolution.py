"""Convolution, pooling and joining: as defined, and each backward pass as a transpose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ddpm_np.learning import convolution as c
from ddpm_np.proof.symbols import ANY, Domain, same

pytestmark = pytest.mark.E15

Array = NDArray[np.float64]
SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 5), st.integers(1, 3))


def integers(shape, rng):
    """Small whole numbers, whose sums of products float64 knows exactly."""
    return rng.integers(-9, 10, shape).astype(float)


@given(shape=SHAPES, c_out=st.integers(1, 3), wrap=st.booleans(), seed=st.integers(0, 99))
def test_convolution_is_its_definition(shape, c_out, wrap, seed):
    rng = np.random.default_rng(seed)
    h, kernel = integers(shape, rng), integers((3, 3, shape[3], c_out), rng)
    u = c.convolve(c.neighbours(h, wrap), kernel.reshape(3, -1, c_out))
    padded = np.pad(h, ((1, 1), (0, 0), (1, 1), (0, 0)), mode="wrap" if wrap else "constant")
    rows, _, columns, _ = shape
    moved = {(i, j): padded[i : i + rows, :, j : j + columns] for i in range(3) for j in range(3)}
    assert np.array_equal(u, sum(part @ kernel[place] for place, part in moved.items()))


@given(shape=SHAPES, c_out=st.integers(1, 3), wrap=st.booleans(), seed=st.integers(0, 99))
def test_backward_of_the_convolution_is_its_transpose(shape, c_out, wrap, seed):
    rng = np.random.default_rng(seed)
    h, kernel = integers(shape, rng), integers((3, 3 * shape[3], c_out), rng)
    wide = c.neighbours(h, wrap)
    u = c.convolve(wide, kernel)
    d_u, d_kernel = integers(u.shape, rng), np.full(kernel.shape, np.nan)
    d_wide = c.neighbours(d_u, wrap)
    c.kernel_backward(d_wide, h, d_kernel)
    # u is linear in h and in the kernel, so <u, d_u> = <h, d_h> = <kernel, d_kernel>
    assert np.vdot(u, d_u) == np.vdot(h, c.convolve(d_wide, c.turned(kernel)))
    assert np.vdot(u, d_u) == np.vdot(kernel, d_kernel)


PAIRS = [
    ("halve", c.halve, c.halve_backward, (4, 3, 6, 2)),
    ("double", c.double, c.double_backward, (2, 3, 3, 2)),
    ("to_pictures", c.to_pictures, lambda d: c.from_pictures(d, 4), (4, 3, 4, 1)),
    ("join", lambda h: c.join(h, 0 * h), lambda d: c.join_backward(d, 2)[0], (4, 3, 6, 2)),
    ("keep", lambda h: c.join(0 * h, h), lambda d: c.join_backward(d, 2)[1], (4, 3, 6, 2)),
]


@pytest.mark.parametrize("name, forward, backward, shape", PAIRS, ids=[p[0] for p in PAIRS])
def test_each_other_part_has_its_transpose(name, forward, backward, shape):
    rng = np.random.default_rng(0)
    h = integers(shape, rng)
    out = forward(h)
    d = integers(out.shape, rng)
    assert np.vdot(out, d) == np.vdot(h, backward(d))
    assert np.any(out) and backward(d).shape == h.shape


def test_a_mean_of_four_and_four_copies():
    h = np.arange(16.0).reshape(4, 1, 4, 1)
    assert np.array_equal(c.halve(h)[:, 0, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    assert np.array_equal(c.double(h)[:3, 0, :3, 0], [[0, 0, 1], [0, 0, 1], [4, 4, 5]])
    assert np.array_equal(c.halve(c.double(h)), h)


def test_pictures_go_in_and_come_back():
    x = np.arange(2 * 9.0).reshape(2, 9)
    h = c.from_pictures(x, 3)
    assert h.shape == (3, 2, 3, 1) and h[1, 0, 2, 0] == x[0, 5]
    assert np.array_equal(c.to_pictures(h), x)


@pytest.mark.parametrize("wrap", [False, True])
def test_the_gradients_are_derivatives_as_polynomials(wrap):
    """For every picture and kernel at once, and not for some numbers: by symbols."""
    names = [f"h{i}" for i in range(4)] + [f"k{i}" for i in range(9)]
    domain = Domain(**{name: ANY for name in names})
    variables = domain.symbols
    h = np.array(variables[:4], dtype=object).reshape(2, 1, 2, 1)
    kernel = np.array(variables[4:], dtype=object).reshape(3, 3, 1)
    one = variables[0] / variables[0]  # a symbol, so that a quarter of it is exact
    d_u = np.array([2 * one, -3 * one, 5 * one, 7 * one]).reshape(h.shape)
    wide = c.neighbours(h, wrap)
    loss = (c.convolve(wide, kernel) * d_u).sum() + (c.double(c.halve(h)) * d_u).sum()
    d_kernel = np.empty_like(kernel)
    d_wide = c.neighbours(d_u, wrap)
    c.kernel_backward(d_wide, h, d_kernel)
    d_h = c.convolve(d_wide, c.turned(kernel)) + c.halve_backward(c.double_backward(d_u))
    for variable, gradient in zip(variables, [*d_h.ravel(), *d_kernel.ravel()]):
        assert same(loss.derivative(variable), gradient)
