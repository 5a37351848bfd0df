"""The noise: normal, independent, whole, and the same for the same seed."""

import numpy as np
import pytest

from ddpm_np.learning.random_numbers import fill_normal


def draw(n, seed=0, dtype=np.float32):
    return fill_normal(np.full(n, np.nan, dtype), rng=np.random.default_rng(seed))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_standard_normal(dtype):
    from scipy.stats import norm

    n = 200_001
    x = np.sort(draw(n, dtype=dtype).astype(np.float64))
    # Every quantile within five standard errors sqrt(p (1 - p) / n), at a thousand places.
    p = norm.cdf(x[:: n // 1000])
    rank = np.arange(n)[:: n // 1000] / n
    inside = (rank > 10 / n) & (rank < 1 - 10 / n)
    assert (np.abs(p - rank)[inside] <= 5 * np.sqrt(rank * (1 - rank) / n)[inside]).all()
    for power, moment, second in ((1, 0, 1), (2, 1, 3), (3, 0, 15), (4, 3, 105)):
        assert abs(np.mean(x**power) - moment) <= 5 * np.sqrt((second - moment**2) / n)


def test_the_two_numbers_of_a_pair_are_independent():
    n = 200_000
    x = draw(n).astype(np.float64)
    a, b = x[: n // 2], x[n // 2 :]
    for f, g, variance in (
        (a, b, 1),
        (a**2 - 1, b**2 - 1, 4),
        (a, b**2 - 1, 2),
        (np.sign(a), np.sign(b), 1),
    ):
        assert abs(np.mean(f * g)) <= 5 * np.sqrt(variance / (n // 2))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 11])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_is_drawn_and_the_seed_decides_them(n, dtype):
    x = draw(n, 5, dtype)
    assert np.isfinite(x).all() and len(np.unique(x)) == n and x.dtype == dtype
    assert np.array_equal(x, draw(n, 5, dtype)) and not np.array_equal(x, draw(n, 6, dtype))


@pytest.mark.parametrize("n", [4, 5])
def test_float32_is_the_transform_of_uniform_numbers_and_a_normal_one_for_the_odd_place(n):
    rng = np.random.default_rng(5)
    u, v = np.split(rng.random(n, dtype=np.float32)[: n // 2 * 2].astype(float), 2)
    r = np.sqrt(-2 * np.log(1 - u))
    pairs = [*r * np.sin(2 * np.pi * v), *r * np.cos(2 * np.pi * v)]
    odd = [rng.standard_normal(dtype=np.float32)][: n % 2]
    assert np.allclose(draw(n, 5), [*pairs, *odd], rtol=1e-5, atol=0)


class Zero(np.random.Generator):
    """Draws the end points of the uniform numbers."""

    value = 0.0

    def random(self, *, dtype, out):
        out[:] = self.value
        return out


@pytest.mark.parametrize("value", [0.0, np.nextafter(np.float32(1), np.float32(0))])
def test_the_ends_of_the_uniform_numbers_give_finite_noise(value):
    rng = Zero(np.random.PCG64(0))
    rng.value = value
    x = fill_normal(np.empty(4, np.float32), rng=rng)
    assert np.isfinite(x).all() and np.abs(x).max() < np.sqrt(48 * np.log(2)) * (1 + 1e-6)


def test_a_matrix_is_filled_in_place():
    x = np.zeros((3, 5), np.float32)
    assert fill_normal(x, rng=np.random.default_rng(0)) is x
    assert np.array_equal(x.ravel(), draw(15))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_memory_layout_does_not_matter(dtype):
    expected = fill_normal(np.empty((4, 6), dtype), rng=np.random.default_rng(3))
    store = np.zeros((8, 12), dtype)
    for out in (np.zeros((4, 6), dtype, order="F"), store[::2, ::2], store[:4, :6]):
        assert fill_normal(out, rng=np.random.default_rng(3)) is out
        assert np.array_equal(out, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 3])
def test_the_last_of_an_odd_number_is_normal_too(n, dtype):
    rng, draws = np.random.default_rng(4), 4000
    last = np.array([fill_normal(np.empty(n, dtype), rng=rng)[-1] for _ in range(draws)], float)
    assert abs(last.mean()) <= 5 / np.sqrt(draws)
    assert abs(np.mean(last**2) - 1) <= 5 * np.sqrt(2 / draws)
