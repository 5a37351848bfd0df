"""Strategies and checks for testing diffusion code: this package's, or your own.

Strategies for Hypothesis, wide by construction: T from 1; betas from 1e-12 to 1 - 1e-6, as likely near either end as in the middle;
the first and the last step drawn often; batches of 1, vectors of length 1, float32 and float64; Gaussians of any rank. And checks
that say how wrong a number is in units in the last place, and where. For instance, that your own noising has the right mean:

    @given(schedules_and_steps(max_T=50), signals())  # beyond, alpha_bar_t may be subnormal, and its root has fewer digits
    def test_my_mean(case, x_0):
        (schedule, t), zero = case, np.zeros_like(x_0)
        expected = Reference(schedule.beta[1:]).q_skip(x_0, 0, t, zero)
        assert_close(my_q_sample(x_0, t, zero), expected.value, ulp=4)

(:class:`ddpm_np.proof.reference.Reference` holds the formulas as printed, in 120-digit decimals.) Checked by: tests/conformance/test_strategies.py.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError:
    raise ImportError("ddpm_np.conformance.strategies needs hypothesis, which comes with the extra: pip install 'ddpm_np[test]'") from None

from ddpm_np._checks import Array, Steps
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.proof.exact import Exact
from ddpm_np.proof.reference import Reference, ulp_error
from ddpm_np.schedule import Schedule

__all__ = [
    "Reference", "assert_close", "betas", "exact_numbers", "exact_schedules", "gaussians", "rotations", "schedules",
    "schedules_and_routes", "schedules_and_steps", "shapes", "signals", "steps", "ulp_error",
]

LOGITS = (float(np.log(1e-12)), float(np.log((1 - 1e-6) / 1e-6)))


# ---- strategies -----------------------------------------------------------------------------------------------------------------


def betas() -> st.SearchStrategy[float]:
    """From 1e-12 to 1 - 1e-6, evenly over their logits, and the ends themselves."""
    return st.one_of(st.floats(*LOGITS).map(_beta), st.sampled_from([1e-12, 1e-4, 0.5, 1 - 1e-6]))


@st.composite
def schedules(draw: st.DrawFn, *, min_T: int = 1, max_T: int = 60) -> Schedule:
    """T from min_T to max_T, both drawn often; up to 8 betas each on its own, more on a line of logits, or all the same."""
    T = draw(st.one_of(st.just(min_T), st.integers(min_T, min(min_T + 7, max_T)), st.integers(min_T, max_T), st.just(max_T)))
    if T <= 8:
        return Schedule.from_beta(draw(st.lists(betas(), min_size=T, max_size=T)))
    logits = st.one_of(st.floats(*LOGITS), st.sampled_from(LOGITS))
    first = draw(logits)
    return Schedule.from_beta(_beta(np.linspace(first, draw(st.one_of(logits, st.just(first))), T)))


def steps(schedule: Schedule, batch: tuple[int, ...] = (), *, low: int = 1) -> st.SearchStrategy[Steps]:
    """An int from low to T, the ends drawn often; with a batch shape an integer array."""
    one = st.one_of(st.sampled_from([low, schedule.T]), st.integers(low, schedule.T))
    return hnp.arrays(np.intp, batch, elements=one) if batch else one


@st.composite
def schedules_and_steps(draw: st.DrawFn, *, low: int = 1, max_T: int = 60) -> tuple[Schedule, int]:
    """A schedule and a step of it, from low."""
    schedule = draw(schedules(min_T=max(low, 1), max_T=max_T))
    return schedule, draw(steps(schedule, low=low))


@st.composite
def schedules_and_routes(draw: st.DrawFn, *, stops: int = 2, max_T: int = 60) -> tuple[Any, ...]:
    """A schedule and as many increasing steps of it as asked, the first from 0."""
    schedule = draw(schedules(min_T=stops - 1, max_T=max_T))
    return schedule, *sorted(draw(st.sets(steps(schedule, low=0), min_size=stops, max_size=stops)))


def shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """(dim,) or (batch, dim) or (batch, batch, dim), 1 drawn often."""
    return hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def signals(
    n: int | None = None, *, shape: tuple[int, ...] | None = None, dtype: DTypeLike | None = None, size: float = 1e3
) -> st.SearchStrategy[Any]:
    """An array of values up to ``size``, float32 or float64; with n, a tuple of n of them of one shape and dtype."""

    @st.composite
    def together(draw: st.DrawFn) -> Any:
        kind = np.dtype(dtype or draw(st.sampled_from([np.float64, np.float32])))
        of = shape or draw(shapes())
        # Nothing smaller than 1e-6: its products would be subnormal, where a unit in the last place is no longer a relative error.
        magnitudes = st.one_of(st.just(0.0), st.floats(float(np.float32(1e-6)), size, width=8 * kind.itemsize))
        values = st.builds(lambda m, sign: sign * m, magnitudes, st.sampled_from([1, -1]))
        arrays = tuple(draw(hnp.arrays(kind, of, elements=values)) for _ in range(n or 1))
        return arrays if n else arrays[0]

    return together()


def exact_numbers(size: int = 9) -> st.SearchStrategy[Exact]:
    """Rational numbers of small height."""
    return st.builds(Exact, st.integers(-size, size), st.integers(1, size))


@st.composite
def exact_schedules(draw: st.DrawFn, *, max_T: int = 3) -> Schedule:
    """Schedules of rational betas, for which sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t) and their quotients are rational, too."""
    points = draw(st.sets(st.fractions(Fraction(1, 20), Fraction(19, 20), max_denominator=20), min_size=1, max_size=max_T))
    p = [Fraction(1), *((1 - u * u) / (1 + u * u) for u in sorted(points))]
    return Schedule.from_beta([Exact(1 - (b / a) ** 2) for a, b in zip(p, p[1:])])


@st.composite
def rotations(draw: st.DrawFn, dim: int) -> Array:
    """An orthogonal matrix, of either determinant."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    signs = np.array(draw(st.lists(st.sampled_from([1, -1]), min_size=dim, max_size=dim)))
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0] * signs


@st.composite
def gaussians(draw: st.DrawFn, *, dim: int | None = None, regular: bool = False) -> Gaussian:
    """Any mean, any axes, variances from 1e-6 to 1e3; every rank from 0 (a point) up, or full rank only."""
    dim = dim or draw(st.integers(1, 5))
    rank = dim if regular else draw(st.integers(0, dim))
    variances = draw(st.lists(st.floats(-6, 3).map(lambda e: 10.0**e), min_size=rank, max_size=rank))
    mean = draw(signals(shape=(dim,), dtype=np.float64, size=10.0))
    return Gaussian.from_spectrum(mean, draw(rotations(dim)), np.append(variances, np.zeros(dim - rank)))


def _beta(logit: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(logit)))[()]


# ---- checks ---------------------------------------------------------------------------------------------------------------------


def assert_close(
    actual: ArrayLike, expected: ArrayLike, *, ulp: float, condition: ArrayLike = 1, scale: ArrayLike | None = None
) -> None:
    """Every element of actual is within ``ulp`` units in the last place of ``condition`` times the expected one.

    expected: an array of the very same shape and dtype; or, with object dtype, the exact values (decimals, fractions,
    :class:`Exact`), of the same shape. scale: the magnitude whose last place counts, where that is easier to say than a condition
    number; for a sum, the sum of the magnitudes of its terms. Both may differ from element to element. The message names the worst
    element and its error.

    >>> assert_close([1.0, 2.0 + 2e-15], [1.0, 2.0], ulp=2)
    Traceback (most recent call last):
        ...
    AssertionError: off by 5 ulp, 2 allowed, at index (1,): 2.000000000000002, expected 2.0
    """
    actual, expected = np.asarray(actual), _numbers(expected)
    assert actual.dtype.kind == "f", f"not an array of floats: {actual.dtype}"
    assert expected.dtype in (actual.dtype, object), f"dtype {actual.dtype}, expected {expected.dtype}"
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    scale = expected.astype(np.longdouble) * condition if scale is None else _numbers(scale)
    errors = ulp_error(actual, expected, scale=scale)
    if errors.size and not errors.max() <= ulp:
        worst = np.unravel_index(errors.argmax(), errors.shape)
        at = f" at index {tuple(map(int, worst))}:" if errors.ndim else ""
        raise AssertionError(f"off by {errors[worst]:.3g} ulp, {ulp:g} allowed,{at} {actual[worst]}, expected {expected[worst]}")


def _numbers(x: ArrayLike) -> Array:
    x = np.asarray(x)
    if x.dtype != object:
        return x
    plain = np.empty(x.size, dtype=object)
    plain[:] = [v.fraction if isinstance(v, Exact) else v for v in x.flat]
    return plain.reshape(x.shape)
