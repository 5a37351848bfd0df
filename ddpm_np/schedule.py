"""The noise schedule: beta_t, and everything that follows from it alone (E2, E19).

First room of the derivation. Steps are t = 1..T as on paper, and every table has length T + 1 so that its index is t; entry 0 is
the clean signal. :mod:`ddpm_np.forward` turns these numbers into the noising kernels.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import Array, Steps, count, fraction, positive, real_array, steps

__all__ = ["Schedule"]

# Forty digits would do for beta >= 1e-12; ten more cost nothing. The exponent range is the widest, so that a product
# of a million alphas underflows only when it is rounded to float64.
_DIGITS = Context(prec=50, Emin=MIN_EMIN, Emax=MAX_EMAX)


class Schedule:
    r"""beta_t and the tables that follow from it (E2).

    alpha_t = 1 - beta_t,    alpha_bar_t = alpha_1 alpha_2 ... alpha_t,
    1 - alpha_bar_t = alpha_t (1 - alpha_bar_{t-1}) + beta_t,
    beta_tilde_t = beta_t (1 - alpha_bar_{t-1}) / (1 - alpha_bar_t),
    log_snr_t = ln(alpha_bar_t / (1 - alpha_bar_t)).

    From: the forward step E1; beta_tilde from E11.
    Source: N2 "通过链式推导实现状态跨越"; Ho et al. 2020, eq. 4 and 7.
    Checked by: tests/test_schedule.py.

    Attributes
    ----------
    T : int
        Number of steps.
    beta, alpha, alpha_bar, one_minus_alpha_bar, beta_tilde, log_snr : (T + 1,) float64, read-only
        Index = t. Entry 0 is the clean signal: beta 0, alpha 1, alpha_bar 1, beta_tilde 0, log_snr inf. Other code bases call them
        ``betas``, ``alphas``, ``alphas_cumprod`` and ``posterior_variance`` and start at t = 1.

    Each entry is the exact value for the given float64 betas, rounded once. The tables are formed in 50-digit decimals, and
    1 - alpha_bar by the recursion above, a sum of positive terms, never by subtracting two nearly equal numbers. Where alpha_bar
    underflows it is 0 and log_snr stays finite.

    Exact betas (:class:`ddpm_np.proof.exact.Exact`) give exact tables; log_snr, a logarithm, then raises TypeError.

    >>> schedule = Schedule.from_beta([0.1, 0.2])
    >>> schedule.alpha_bar
    array([1.  , 0.9 , 0.72])
    >>> schedule
    Schedule(T=2, beta=0.1..0.2, alpha_bar_T=0.72)
    """

    T: int
    beta: Array
    alpha: Array
    alpha_bar: Array
    one_minus_alpha_bar: Array
    beta_tilde: Array

    def __init__(self, beta: ArrayLike) -> None:
        beta = real_array("beta", beta, ndim=1)
        outside = [v for v in beta if not 0 < v < 1]
        if outside:
            raise ValueError(f"beta must lie strictly between 0 and 1, got {outside[0]}")
        with localcontext(_DIGITS):
            exact = [b if beta.dtype == object else Decimal(float(b)) for b in beta]
            zero, one = exact[0] - exact[0], exact[0] - exact[0] + 1
            alpha, alpha_bar, one_minus_alpha_bar, beta_tilde = [one], [one], [zero], [zero]
            for b in exact:
                alpha.append(1 - b)
                alpha_bar.append(alpha_bar[-1] * alpha[-1])
                one_minus_alpha_bar.append(one_minus_alpha_bar[-1] * alpha[-1] + b)
                beta_tilde.append(b * one_minus_alpha_bar[-2] / one_minus_alpha_bar[-1])
        tables = {
            "beta": [zero, *exact], "alpha": alpha, "alpha_bar": alpha_bar,
            "one_minus_alpha_bar": one_minus_alpha_bar, "beta_tilde": beta_tilde,
        }
        self.__dict__["T"] = len(exact)
        for name, table in tables.items():
            self.__dict__[name] = _rounded(table, beta.dtype)
        self.__dict__["_unrounded"] = (alpha_bar, one_minus_alpha_bar)

    @cached_property
    def log_snr(self) -> NDArray[np.float64]:
        """ln(alpha_bar_t / (1 - alpha_bar_t)), made when first asked for: its logarithms cost more than all other tables."""
        if self.beta.dtype == object:
            raise TypeError("log_snr of an exact schedule is not rational")
        with localcontext(_DIGITS):
            return _rounded([Decimal("inf"), *((a / b).ln() for a, b in list(zip(*self._unrounded))[1:])], np.float64)

    def between(self, s: Steps, t: Steps) -> tuple[Any, Any]:
        """alpha_{t|s} = alpha_bar_t / alpha_bar_s and beta_{t|s} = 1 - alpha_{t|s}: the step from s to t > s as one (E4).

        From: E2, E4. Source: N2 "通过链式推导实现状态跨越". Checked by: tests/test_schedule.py.
        For t = s + 1 these are alpha_t and beta_t. Formed before rounding, so that neither an underflowing alpha_bar nor a small
        difference costs digits; beta_{t|s} as (1 - alpha_bar_t) - alpha_{t|s} (1 - alpha_bar_s), whose error is 50 digits below
        1 - alpha_bar_t however small alpha_bar_s is. s and t are ints or integer arrays that broadcast, 0 <= s < t <= T; else
        ValueError.
        """
        s, t = steps("s", s, 0, self.T - 1), steps("t", t, 1, self.T)
        if np.any(np.asarray(s) >= t):
            raise ValueError(f"s must be below t, got s = {s} and t = {t}")
        pairs = np.broadcast(s, t)
        alpha_bar, one_minus_alpha_bar = self._unrounded
        alpha, beta = [], []
        with localcontext(_DIGITS):
            for i, j in pairs:
                alpha.append(alpha_bar[j] / alpha_bar[i])
                beta.append(one_minus_alpha_bar[j] - alpha[-1] * one_minus_alpha_bar[i])
        step = [_rounded(v, self.beta.dtype).reshape(pairs.shape) for v in (alpha, beta)]
        adjacent = np.asarray(t) - s == 1
        alpha_ts = np.where(adjacent, self.alpha[t], step[0])[()]
        return alpha_ts, np.where(adjacent, self.beta[t], step[1])[()]

    @classmethod
    def from_beta(cls, beta: ArrayLike) -> Schedule:
        """The schedule of the given beta_1 .. beta_T, each strictly between 0 and 1."""
        return cls(beta)

    @classmethod
    def sigmoid(cls, T: int = 100, *, beta_max: float = 0.1, beta_min: float = 0.0, span: float = 6.0) -> Schedule:
        """The notes' schedule: beta_t = beta_min + (beta_max - beta_min) sigmoid(f(t)) (E19).

        f runs linearly from -span at t = 1 to span at t = T. (The f(t) printed in the notes simplifies to f(t) = t; their program
        uses the line from -6 to 6, and beta_min = 1e-5.)
        Source: N2 "信号生成及扩散参数". Checked by: tests/test_schedule.py.
        """
        T, beta_min = count("T", T), fraction("beta_min", beta_min)
        beta_max = fraction("beta_max", beta_max, below_one=True)
        from scipy.special import expit

        return cls(beta_min + (beta_max - beta_min) * expit(np.linspace(-positive("span", span), span, T)))

    @classmethod
    def linear(cls, T: int = 1000, *, beta_min: float = 1e-4, beta_max: float = 0.02) -> Schedule:
        """beta_t on a line from beta_min to beta_max. Source: Ho et al. 2020, section 4."""
        T, beta_min = count("T", T), fraction("beta_min", beta_min)
        return cls(np.linspace(beta_min, fraction("beta_max", beta_max, below_one=True), T))

    @classmethod
    def cosine(cls, T: int = 1000, *, s: float = 0.008, beta_max: float = 0.999) -> Schedule:
        """alpha_bar_t = f(t) / f(0), f(t) = cos^2(pi/2 (t/T + s) / (1 + s)), each beta_t at most beta_max.

        beta_t = 1 - f(t)/f(t-1) = sin(b - a) sin(b + a) / cos^2(a), a and b the angles of t - 1 and t: no cancellation.
        Source: Nichol and Dhariwal 2021, eq. 17.
        """
        T, s, beta_max = count("T", T), positive("s", s, zero=True), fraction("beta_max", beta_max, below_one=True)
        angle = np.pi / 2 * (np.arange(T + 1) / T + s) / (1 + s)
        a, b = angle[:-1], angle[1:]
        return cls(np.minimum(np.sin(b - a) * np.sin(b + a) / np.cos(a) ** 2, beta_max))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Schedule cannot be changed (tried to set {name})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Schedule cannot be changed (tried to delete {name})")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule) or self.beta.dtype != other.beta.dtype:
            return False
        return np.array_equal(self.beta, other.beta)

    def __hash__(self) -> int:
        return hash(tuple(self.beta))

    def __reduce__(self) -> tuple[type[Schedule], tuple[Array]]:
        # Rebuilt from beta, because copies of the tables made by pickle or deepcopy would be writable.
        return type(self), (self.beta[1:],)

    def __repr__(self) -> str:
        if self.beta.dtype == object:
            return f"Schedule(T={self.T}, exact)"
        return f"Schedule(T={self.T}, beta={self.beta[1]:.3g}..{self.beta[-1]:.3g}, alpha_bar_T={self.alpha_bar[-1]:.3g})"


def _rounded(values: list[Any], dtype: Any) -> Array:
    table = np.array(values, dtype=object) if dtype == object else np.array([float(v) for v in values])
    table.flags.writeable = False
    return table
