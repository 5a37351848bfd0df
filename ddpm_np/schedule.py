"""The noise schedule: beta_t, and what follows from it alone (E2, E19).

Steps are t = 1..T as on paper. Every table has length T + 1 so that its index is t, and entry 0 is
the clean signal. :mod:`ddpm_np.forward` turns these numbers into the noising kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import (
    Array,
    ExactNumber,
    Number,
    Steps,
    check_array,
    check_count,
    check_fraction,
    check_positive,
    check_steps,
)

# Forty digits would do for beta >= 1e-12; ten more cost nothing. The exponent range is the widest,
# so that a product of a million alphas underflows only when it is rounded to float64.
_DIGITS = Context(prec=50, Emin=MIN_EMIN, Emax=MAX_EMAX)
_TINY = Decimal("1e-25")  # a difference of numbers of size 1 has 25 of the 50 digits left there


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    """beta_t and the tables that follow from it, by the equations of :meth:`from_beta`.

    Make one with :meth:`from_beta`, or with the named schedules :meth:`sigmoid`, :meth:`linear`
    and :meth:`cosine`.

    Attributes
    ----------
    T : int
        Number of steps.
    beta, alpha, alpha_bar, one_minus_alpha_bar, beta_tilde, log_snr : (T + 1,) float64, read-only
        Index t. Entry 0 is the clean signal: beta 0, alpha 1, alpha_bar 1, beta_tilde 0 and
        log_snr inf. Other code bases call them ``betas``, ``alphas``, ``alphas_cumprod`` and
        ``posterior_variance``, and their index 0 is t = 1.

    Each entry is the exact value for the given float64 betas, rounded once. The tables are computed
    in 50-digit decimals, and 1 - alpha_bar by its recursion, a sum of positive terms, so no two
    nearly equal numbers are subtracted. Where alpha_bar underflows it is 0, and log_snr stays
    finite.

    Exact betas (:class:`ddpm_np.proof.exact.Exact`) give exact tables. log_snr is a logarithm and
    then raises TypeError.

    >>> schedule = Schedule.from_beta([0.1, 0.2])
    >>> schedule.alpha_bar
    array([1.  , 0.9 , 0.72])
    >>> schedule
    Schedule(T=2, beta=0.1..0.2, alpha_bar_T=0.72)
    """

    beta: Array
    alpha: Array
    alpha_bar: Array
    one_minus_alpha_bar: Array
    beta_tilde: Array
    _unrounded: tuple[list[Any], list[Any]]  # alpha_bar and 1 - alpha_bar with all their digits

    @classmethod
    def from_beta(cls, beta: ArrayLike) -> Schedule:
        """The schedule of the given beta_1 .. beta_T, each strictly between 0 and 1 (E2).

        alpha_t = 1 - beta_t,
        alpha_bar_t = alpha_1 alpha_2 ... alpha_t,
        1 - alpha_bar_t = alpha_t (1 - alpha_bar_{t-1}) + beta_t,
        beta_tilde_t = beta_t (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t),
        log_snr_t = ln(alpha_bar_t / (1 - alpha_bar_t))

        From: the forward step E1; beta_tilde from E11.
        Source: N2 "通过链式推导实现状态跨越"; Ho et al. 2020, eq. 4 and 7.
        """
        given = check_array("beta", beta, ndim=1)
        outside = [b for b in given if not 0 < b < 1]
        if outside:
            raise ValueError(f"beta must lie strictly between 0 and 1, got {outside[0]}")
        with localcontext(_DIGITS):
            betas = [_decimal(b) for b in given]
            zero = betas[0] - betas[0]
            alpha, alpha_bar = [zero + 1], [zero + 1]
            one_minus_alpha_bar, beta_tilde = [zero], [zero]
            for b in betas:
                alpha.append(1 - b)
                alpha_bar.append(alpha_bar[-1] * alpha[-1])
                one_minus_alpha_bar.append(one_minus_alpha_bar[-1] * alpha[-1] + b)
                beta_tilde.append(b * one_minus_alpha_bar[-2] / one_minus_alpha_bar[-1])
        return cls(
            beta=_rounded([zero, *betas], given.dtype),
            alpha=_rounded(alpha, given.dtype),
            alpha_bar=_rounded(alpha_bar, given.dtype),
            one_minus_alpha_bar=_rounded(one_minus_alpha_bar, given.dtype),
            beta_tilde=_rounded(beta_tilde, given.dtype),
            _unrounded=(alpha_bar, one_minus_alpha_bar),
        )

    @property
    def T(self) -> int:
        """Number of steps."""
        return len(self.beta) - 1

    @cached_property
    def log_snr(self) -> NDArray[np.float64]:
        """ln(alpha_bar_t / (1 - alpha_bar_t)), computed when first asked for: logarithms cost."""
        if self.beta.dtype == object:
            raise TypeError("log_snr of an exact schedule is not rational")
        with localcontext(_DIGITS):
            ratios = [a / b for a, b in zip(*self._unrounded) if b]  # without t = 0
            return _rounded([Decimal("inf"), *(ratio.ln() for ratio in ratios)], np.float64)

    def between(self, s: Steps, t: Steps) -> tuple[Number, Number]:
        """alpha_{t|s} and beta_{t|s}: the step from s to t > s as one step (E4).

        alpha_{t|s} = alpha_bar_t / alpha_bar_s,
        beta_{t|s} = 1 - alpha_{t|s}

        From: E2, E4. Source: N2 "通过链式推导实现状态跨越".

        s and t are ints or integer arrays that broadcast, 0 <= s < t <= T; otherwise ValueError.
        For t = s + 1 these are alpha_t and beta_t. Both are computed before rounding, and
        beta_{t|s} as (1 - alpha_bar_t) - alpha_{t|s} (1 - alpha_bar_s), so neither an underflow
        of alpha_bar nor a small difference costs digits.
        """
        s, t = check_steps("s", s, 0, self.T - 1), check_steps("t", t, 1, self.T)
        if np.any(np.asarray(s) >= t):
            raise ValueError(f"s must be below t, got s = {s} and t = {t}")
        pairs = np.broadcast(s, t)
        alpha_bar, one_minus_alpha_bar = self._unrounded
        alpha, beta = [], []
        with localcontext(_DIGITS):
            for i, j in pairs:
                if j == i + 1:
                    alpha.append(self.alpha[j])
                    beta.append(self.beta[j])
                    continue
                alpha.append(alpha_bar[j] / alpha_bar[i])
                difference = one_minus_alpha_bar[j] - alpha[-1] * one_minus_alpha_bar[i]
                beta.append(_digits_kept(difference, self.beta, i, j))
        dtype, shape = self.beta.dtype, pairs.shape
        alpha_ts, beta_ts = (_rounded(v, dtype).reshape(shape)[()] for v in (alpha, beta))
        return alpha_ts, beta_ts

    @classmethod
    def sigmoid(
        cls, T: int = 100, *, beta_max: float = 0.1, beta_min: float = 0.0, span: float = 6.0
    ) -> Schedule:
        """The notes' schedule (E19).

        beta_t = beta_min + (beta_max - beta_min) sigmoid(f_t),
        f_t = span (2 (t - 1) / (T - 1) - 1)

        f rises linearly from -span at t = 1 to span at t = T; for T = 1 it is -span. The f(t) that
        the notes print simplifies to f(t) = t. Their program uses the line from -6 to 6, and
        beta_min = 1e-5.

        Source: N2 "信号生成及扩散参数".
        """
        from scipy.special import expit

        T, beta_min = check_count("T", T), check_fraction("beta_min", beta_min)
        beta_max = check_fraction("beta_max", beta_max, below_one=True)
        span = check_positive("span", span, most=1e300)
        f = np.linspace(-span, span, T)
        return cls.from_beta(beta_min + (beta_max - beta_min) * expit(f))

    @classmethod
    def linear(cls, T: int = 1000, *, beta_min: float = 1e-4, beta_max: float = 0.02) -> Schedule:
        """beta_t on a line from beta_min to beta_max. Source: Ho et al. 2020, section 4.

        The betas are meant for T = 1000. A chain of T = 100 leaves alpha_bar_T = 0.36 of the
        signal's variance, so a sampler that starts from N(0, I) starts from a wrong distribution.
        """
        T, beta_min = check_count("T", T), check_fraction("beta_min", beta_min)
        beta_max = check_fraction("beta_max", beta_max, below_one=True)
        return cls.from_beta(np.linspace(beta_min, beta_max, T))

    @classmethod
    def cosine(cls, T: int = 1000, *, s: float = 0.008, beta_max: float = 0.999) -> Schedule:
        """alpha_bar_t = f(t) / f(0), with each beta_t at most beta_max.

        f(t) = cos^2(pi/2 (t/T + s) / (1 + s)),
        beta_t = 1 - f(t)/f(t-1) = sin(b - a) sin(a + b) / cos^2(a)

        Here a and b are the angles of t - 1 and t. Angles near pi/2 or pi are replaced by what they
        lack of it, which keeps beta_t right to 4 eps. Source: Nichol and Dhariwal 2021, eq. 17.
        """
        T, s = check_count("T", T), check_positive("s", s, zero=True, most=1e100)
        beta_max = check_fraction("beta_max", beta_max, below_one=True)
        t, unit = np.arange(1, T + 1), np.pi / 2 / (1 + s)
        a_plus_b, to_pi = unit * ((2 * t - 1) / T + 2 * s), unit * (2 * (T - t) + 1) / T
        cos_a = np.sin(unit * (T - t + 1) / T)
        beta = np.sin(unit / T) * np.sin(np.minimum(a_plus_b, to_pi)) / cos_a**2
        return cls.from_beta(np.minimum(beta, beta_max))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule) or self.beta.dtype != other.beta.dtype:
            return False
        return np.array_equal(self.beta, other.beta)

    def __hash__(self) -> int:
        return hash(tuple(self.beta))

    def __reduce__(self) -> tuple[Any, ...]:
        # Built anew from beta: pickle and deepcopy would make tables that can be written.
        return type(self).from_beta, (self.beta[1:],)

    def __repr__(self) -> str:
        if self.beta.dtype == object:
            return f"Schedule(T={self.T}, exact)"
        betas = f"{self.beta[1]:.3g}..{self.beta[-1]:.3g}"
        return f"Schedule(T={self.T}, beta={betas}, alpha_bar_T={self.alpha_bar[-1]:.3g})"


def _digits_kept(difference: Any, beta: Array, s: int, t: int) -> Any:
    """The difference, or where even 50 digits cancel the recursion of 1 - alpha_bar, begun at s."""
    if not isinstance(difference, Decimal) or difference >= _TINY:
        return difference
    kept = Decimal(0)
    for b in beta[s + 1 : t + 1]:
        kept = kept * (1 - Decimal(b)) + Decimal(b)
    return kept


def _decimal(b: Any) -> Any:
    return b if isinstance(b, ExactNumber) else Decimal(float(b))


def _rounded(values: list[Any], dtype: DTypeLike) -> Array:
    exact = np.dtype(dtype).kind == "O"
    table = np.array([v if exact else float(v) for v in values], object if exact else float)
    table.flags.writeable = False
    return table
