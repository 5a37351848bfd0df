"""Strategies for Hypothesis, and a comparison that counts units in the last place.

The strategies are wide by construction: T from 1; betas from 1e-12 to 1 - 1e-6, as likely near
either end as in the middle, or in a range that you give; the first and the last step drawn often;
batches of 1, vectors of length 1, float32 and float64; Gaussians of any rank. For instance, that
your own noising has the right mean:

    @given(schedules_and_steps(low_beta=1e-4, high_beta=0.1, max_T=50), signals())
    def test_my_mean(case, x_0):
        (schedule, t), zero = case, np.zeros_like(x_0)
        expected = decimals(exact("forward.q_sample", schedule.beta[1:], t, x_0=x_0, eps=zero))
        assert_close(my_q_sample(x_0, t, zero), expected, ulp=4)

:func:`ddpm_np.equations.values.exact` evaluates the formula in a docstring in 120 digits.
"""

from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError:
    raise ImportError(
        "ddpm_np.conformance.strategies needs hypothesis, which comes with the extra: "
        "pip install '.[test]'"
    ) from None

from ddpm_np._checks import Array, Steps, check_real
from ddpm_np.closed_form.distributions import Gaussian, GaussianMixture
from ddpm_np.proof.exact import Exact
from ddpm_np.proof.reference import ulp_error
from ddpm_np.schedule import Schedule

LOW, HIGH = 1e-12, 1 - 1e-6


# ---- strategies ---------------------------------------------------------------------------------


def betas(low: float = LOW, high: float = HIGH) -> st.SearchStrategy[float]:
    """From low to high, evenly over their logits, the ends themselves and round values between.

    0 < low <= high < 1, else ValueError.
    """
    ends = _range(low, high)
    inside = [low, *(b for b in (1e-4, 0.5) if low < b < high), high]
    drawn = st.floats(*ends).map(lambda logit: float(np.clip(_beta(logit), low, high)))
    return st.one_of(drawn, st.sampled_from(inside))


@st.composite
def schedules(
    draw: st.DrawFn, *, low: float = LOW, high: float = HIGH, min_T: int = 1, max_T: int = 60
) -> Schedule:
    """Schedules with T from min_T to max_T, both drawn often, and betas from low to high.

    Up to 8 betas are drawn each on its own; more lie on a line of logits, or are all the same.
    Realistic ones: ``schedules(low=1e-4, high=0.02)``.
    """
    ends = _range(low, high)
    lengths = [(min_T, min(min_T + 7, max_T)), (min_T, max_T)]
    T = draw(st.one_of(st.just(min_T), *(st.integers(*ends) for ends in lengths), st.just(max_T)))
    if T <= 8:
        return Schedule.from_beta(draw(st.lists(betas(low, high), min_size=T, max_size=T)))
    logits = st.one_of(st.floats(*ends), st.sampled_from(ends))
    first = draw(logits)
    line = np.linspace(first, draw(st.one_of(logits, st.just(first))), T)
    return Schedule.from_beta(np.clip(_beta(line), low, high))


def steps(
    schedule: Schedule, batch: tuple[int, ...] = (), *, low: int = 1
) -> st.SearchStrategy[Steps]:
    """An int from low to T, the ends drawn often; with a batch shape an integer array."""
    one = st.one_of(st.sampled_from([low, schedule.T]), st.integers(low, schedule.T))
    return hnp.arrays(np.intp, batch, elements=one) if batch else one


@st.composite
def schedules_and_steps(
    draw: st.DrawFn,
    *,
    low: int = 1,
    max_T: int = 60,
    low_beta: float = LOW,
    high_beta: float = HIGH,
) -> tuple[Schedule, int]:
    """A schedule and a step of it, from low."""
    schedule = draw(schedules(low=low_beta, high=high_beta, min_T=max(low, 1), max_T=max_T))
    t = draw(steps(schedule, low=low))
    assert isinstance(t, int)
    return schedule, t


@st.composite
def schedules_and_routes(draw: st.DrawFn, *, stops: int = 2, max_T: int = 60) -> tuple[Any, ...]:
    """A schedule and as many increasing steps of it as asked, the first from 0."""
    schedule = draw(schedules(min_T=stops - 1, max_T=max_T))
    route = st.sets(steps(schedule, low=0), min_size=stops, max_size=stops)
    return schedule, *sorted(draw(route))


def shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """(dim,) or (batch, dim) or (batch, batch, dim), 1 drawn often."""
    return hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def signals(
    n: int | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    dtype: DTypeLike | None = None,
    size: float = 1e3,
) -> st.SearchStrategy[Any]:
    """An array of values up to ``size``, float32 or float64.

    With n, a tuple of n of them of one shape and dtype.
    """

    @st.composite
    def together(draw: st.DrawFn) -> Any:
        kind = np.dtype(dtype or draw(st.sampled_from([np.float64, np.float32])))
        of = shape or draw(shapes())
        # Nothing below 1e-6: its products would be subnormal, and an ulp no relative error there.
        positive = st.floats(float(np.float32(1e-6)), size, width=32 if kind == np.float32 else 64)
        magnitudes = st.one_of(st.just(0.0), positive)
        values = st.builds(lambda m, sign: sign * m, magnitudes, st.sampled_from([1, -1]))
        arrays = tuple(draw(hnp.arrays(kind, of, elements=values)) for _ in range(n or 1))
        return arrays if n else arrays[0]

    return together()


@st.composite
def rotations(draw: st.DrawFn, dim: int) -> Array:
    """An orthogonal matrix of either determinant: signs, and a turn in each plane of two axes."""
    orthogonal: Array = np.diag(draw(hnp.arrays(float, dim, elements=st.sampled_from([1.0, -1.0]))))
    for i, j in combinations(range(dim), 2):
        angle = draw(st.floats(0, 6.3))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        orthogonal[:, [i, j]] = orthogonal[:, [i, j]] @ turn
    return orthogonal


@st.composite
def gaussians(
    draw: st.DrawFn,
    *,
    dim: int | None = None,
    max_dim: int = 5,
    low: float = 1e-6,
    high: float = 1e3,
    regular: bool = False,
) -> Gaussian:
    """Any mean, any axes, variances from low to high, every rank from 0 (a point) up.

    regular: full rank only.
    """
    dim = dim or draw(st.integers(1, max_dim))
    rank = dim if regular else draw(st.integers(0, dim))
    sizes = st.floats(np.log10(low), np.log10(high)).map(lambda e: 10.0**e)
    variances = draw(st.lists(sizes, min_size=rank, max_size=rank))
    mean = draw(signals(shape=(dim,), dtype=np.float64, size=10.0))
    spectrum = np.append(variances, np.zeros(dim - rank))
    return Gaussian.from_spectrum(mean, draw(rotations(dim)), spectrum)


@st.composite
def gaussian_mixtures(draw: st.DrawFn, *, max_dim: int = 4) -> GaussianMixture:
    """One to four regular Gaussians of variances from 0.01 to 10; a weight may be 0."""
    dim, number = draw(st.integers(1, max_dim)), draw(st.integers(1, 4))
    parts = [draw(gaussians(dim=dim, low=0.01, high=10, regular=True)) for _ in range(number)]
    weights = draw(hnp.arrays(float, number, elements=st.floats(0, 1)))
    weights[0] = 1
    return GaussianMixture(weights / weights.sum(), [p.mean for p in parts], [p.cov for p in parts])


def _beta(logit: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(logit)))[()]


def _range(low: float, high: float) -> tuple[float, float]:
    """The logits of a range of betas."""
    if not 0 < check_real("low", low) <= check_real("high", high) < 1:
        raise ValueError(f"betas must lie between 0 and 1 with low <= high, got {low} and {high}")
    return float(np.log(low / (1 - low))), float(np.log(high / (1 - high)))


# ---- the comparison -----------------------------------------------------------------------------


def assert_close(
    actual: ArrayLike,
    expected: ArrayLike,
    *,
    ulp: float,
    condition: ArrayLike = 1,
    scale: ArrayLike | None = None,
) -> None:
    """Every element of actual is within ``ulp`` units in the last place of the expected one.

    expected: an array of the very same shape and dtype; or, with object dtype, the exact values
    (decimals, fractions, :class:`Exact`), of the same shape. condition: the condition number, by
    which the unit is multiplied. scale: the magnitude whose last place counts, where that is easier
    to say; for a sum, the sum of the magnitudes of its terms. Both may differ from element to
    element. The message names the worst element and its error.

    >>> assert_close([1.0, 2.0 + 2e-15], [1.0, 2.0], ulp=2)
    Traceback (most recent call last):
        ...
    AssertionError: off by 5 ulp, 2 allowed, at index (1,): 2.000000000000002, expected 2.0
    """
    actual, expected = np.asarray(actual), _numbers(expected)
    assert actual.dtype.kind == "f", f"not an array of floats: {actual.dtype}"
    assert expected.dtype in (actual.dtype, object), (
        f"dtype {actual.dtype}, expected {expected.dtype}"
    )
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    if scale is None:
        scale = expected.astype(np.longdouble) * np.asarray(condition)
    else:
        scale = _numbers(scale)
    errors = ulp_error(actual, expected, scale=scale)
    if errors.size and not errors.max() <= ulp:
        worst = np.unravel_index(errors.argmax(), errors.shape)
        at = f" at index {tuple(map(int, worst))}:" if errors.ndim else ""
        values = f"{actual[worst]}, expected {_short(expected[worst])}"
        raise AssertionError(f"off by {errors[worst]:.3g} ulp, {ulp:g} allowed,{at} {values}")


def _short(value: Any) -> str:
    """A number with at most 20 digits: enough to tell any two floats apart."""
    if isinstance(value, Fraction):
        value = Decimal(value.numerator) / Decimal(value.denominator)
    return f"{value:.20g}" if isinstance(value, Decimal) else str(value)


def _numbers(x: ArrayLike) -> Array:
    x = np.asarray(x)
    if x.dtype != object:
        return x
    plain = np.empty(x.size, dtype=object)
    plain[:] = [v.fraction if isinstance(v, Exact) else v for v in x.flat]
    return plain.reshape(x.shape)
