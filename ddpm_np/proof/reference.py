"""The derivation's formulas once more, as printed and in 120-digit decimals.

Floating point is measured against them.

Nothing here is shared with the modules it measures, and nothing is rearranged for stability: with
120 digits there is no need to.
:mod:`ddpm_np.proof.verify` and the tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from fractions import Fraction
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import Array

_DIGITS = Context(prec=120, Emin=MIN_EMIN, Emax=MAX_EMAX)


def _precise(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def in_decimals(*arguments: Any, **named: Any) -> Any:
        with localcontext(_DIGITS):
            return function(*arguments, **named)

    return in_decimals


class Sum(NamedTuple):
    """A sum and the sum of its terms' magnitudes.

    Their ratio is the condition number: what rounding each term costs the sum.
    """

    value: Any
    scale: Any


@_precise
def _sum(*terms: Any) -> Sum:
    return Sum(sum(terms), sum(map(abs, terms)))


@_precise
def ulp_error(
    actual: ArrayLike, exact: ArrayLike, *, scale: ArrayLike | None = None
) -> NDArray[np.float64]:
    """|actual - exact| in units in the last place of ``scale``, by default of ``exact``.

    The unit is that of the dtype of ``actual``. exact, scale: floats, decimals or fractions, in
    shapes that broadcast to that of actual. The difference is taken in decimals.
    Equal infinities differ by 0; anything else that is not finite is off by inf.

    >>> ulp_error(0.1 + 0.2, Decimal("0.3"))
    array(0.8)
    """
    actual = np.asarray(actual)
    exact, scale = (
        np.broadcast_to(_decimals(v), actual.shape)
        for v in (exact, exact if scale is None else scale)
    )
    unit = np.spacing(np.abs(scale.astype(actual.dtype)))
    errors = [_error(*v) for v in zip(_decimals(actual).flat, exact.flat, unit.flat)]
    return np.array(errors, dtype=np.float64).reshape(actual.shape)


def _error(actual: Decimal, exact: Decimal, unit: Any) -> float:
    if actual == exact:
        return 0.0
    if not (actual.is_finite() and exact.is_finite()):
        return float("inf")
    return float(abs(actual - exact) / Decimal(float(unit)))


def _decimals(x: ArrayLike) -> Array:
    """The exact values of floats, or of decimals and fractions, as an object array of decimals."""
    x = np.asarray(x)
    values = [v if isinstance(v, Decimal) else _decimal(v) for v in x.flat]
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out.reshape(x.shape)


def _decimal(value: Any) -> Decimal:
    if isinstance(value, Fraction):
        return Decimal(value.numerator) / Decimal(value.denominator)
    return Decimal(value if isinstance(value, int) else float(value))


@_precise
def sigmoid_beta(T: int, beta_min: float, beta_max: float, span: float) -> Sum:
    """beta_min + (beta_max - beta_min) sigmoid(f(t)) (E19).

    f is a line from -span at t = 1 to span at t = T.
    """
    low, high, width = map(Decimal, (float(beta_min), float(beta_max), float(span)))
    f = [-width + 2 * width * t / max(T - 1, 1) for t in range(T)]
    return _sum(low, np.array([(high - low) / (1 + (-x).exp()) for x in f], dtype=object))


class Reference:
    """The tables that follow from the given float64 betas, index t, and the formulas for one t.

    Vectors may be arrays of floats; they are taken at their exact value. Every formula returns a
    :class:`Sum` of decimals.
    """

    @_precise
    def __init__(self, beta: Iterable[float]) -> None:
        self.beta = [Decimal(0), *(Decimal(float(b)) for b in beta)]
        self.T = len(self.beta) - 1
        self.alpha = [1 - b for b in self.beta]
        self.alpha_bar = [Decimal(1)]
        for a in self.alpha[1:]:
            self.alpha_bar.append(self.alpha_bar[-1] * a)
        self.one_minus_alpha_bar = [1 - a for a in self.alpha_bar]
        self.beta_tilde = [Decimal(0)] + [
            self.beta[t] * (1 - self.alpha_bar[t - 1]) / (1 - self.alpha_bar[t])
            for t in range(1, self.T + 1)
        ]

    @_precise
    def log_snr(self, t: int) -> Decimal:
        """ln(alpha_bar_t / (1 - alpha_bar_t)) (E2)."""
        return (self.alpha_bar[t] / (1 - self.alpha_bar[t])).ln()

    @_precise
    def between(self, s: int, t: int) -> tuple[Decimal, Decimal]:
        """alpha_{t|s} and beta_{t|s} (E4)."""
        ratio = self.alpha_bar[t] / self.alpha_bar[s]
        return ratio, 1 - ratio

    @_precise
    def q_skip(self, x_s: ArrayLike, s: int, t: int, eps: ArrayLike) -> Sum:
        """sqrt(alpha_bar_t / alpha_bar_s) x_s + sqrt(1 - alpha_bar_t / alpha_bar_s) eps (E4).

        It is E1 for s = t - 1 and E6 for s = 0.
        """
        ratio = self.alpha_bar[t] / self.alpha_bar[s]
        return _sum(ratio.sqrt() * _decimals(x_s), (1 - ratio).sqrt() * _decimals(eps))

    @_precise
    def covariance_skip(self, Sigma: ArrayLike, s: int, t: int) -> Sum:
        """alpha_bar_t / alpha_bar_s Sigma + (1 - alpha_bar_t / alpha_bar_s) I.

        It is E5 for s = 0 and E3 for s = t - 1.
        """
        ratio = self.alpha_bar[t] / self.alpha_bar[s]
        return _sum(ratio * _decimals(Sigma), (1 - ratio) * _decimals(np.eye(np.shape(Sigma)[-1])))

    @_precise
    def exponent(self, x_prev: ArrayLike, x_t: ArrayLike, x_0: ArrayLike, t: int) -> Sum:
        """Minus twice the exponent of q(x_{t-1} | x_t, x_0) by Bayes' rule (E7, E8), t >= 2.

        The scale is that of the squares multiplied out, since each is the square of a difference.
        """
        x_prev, x_t, x_0 = map(_decimals, (x_prev, x_t, x_0))
        now, before = self.alpha_bar[t], self.alpha_bar[t - 1]
        terms = [
            (x_t, self.alpha[t].sqrt() * x_prev, self.beta[t]),
            (x_prev, before.sqrt() * x_0, 1 - before),
            (x_t, now.sqrt() * x_0, now - 1),
        ]
        value = sum((a - b) ** 2 / variance for a, b, variance in terms)
        return Sum(value, sum((abs(a) + abs(b)) ** 2 / abs(variance) for a, b, variance in terms))

    @_precise
    def psi_1(self, x_0: ArrayLike, x_t: ArrayLike, t: int) -> Sum:
        """sqrt(alpha_t) / beta_t x_t + sqrt(alpha_bar_{t-1}) / (1 - alpha_bar_{t-1}) x_0 (E9).

        t is 2 or more.
        """
        before = self.alpha_bar[t - 1]
        return _sum(
            self.alpha[t].sqrt() / self.beta[t] * _decimals(x_t),
            before.sqrt() / (1 - before) * _decimals(x_0),
        )

    @_precise
    def psi_2(self, t: int) -> Sum:
        """1 / (1 - alpha_bar_{t-1}) + alpha_t / beta_t (E10), t >= 2."""
        return _sum(1 / (1 - self.alpha_bar[t - 1]), self.alpha[t] / self.beta[t])

    @_precise
    def posterior_mean(self, x_0: ArrayLike, x_t: ArrayLike, t: int) -> Sum:
        """psi_1 / psi_2 (E12); at t = 1, where both are infinite, x_0."""
        if t == 1:
            return _sum(_decimals(x_0))
        psi_1, psi_2 = self.psi_1(x_0, x_t, t), self.psi_2(t)
        return Sum(psi_1.value / psi_2.value, psi_1.scale / psi_2.value)

    @_precise
    def predict_x0(self, x_t: ArrayLike, t: int, eps: ArrayLike) -> Sum:
        """(x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t) (E13)."""
        root = self.alpha_bar[t].sqrt()
        return _sum(_decimals(x_t) / root, -(1 - self.alpha_bar[t]).sqrt() / root * _decimals(eps))

    @_precise
    def predict_eps(self, x_t: ArrayLike, t: int, x_0: ArrayLike) -> Sum:
        """(x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t) (E13)."""
        root = (1 - self.alpha_bar[t]).sqrt()
        return _sum(_decimals(x_t) / root, -self.alpha_bar[t].sqrt() / root * _decimals(x_0))

    @_precise
    def v_from_x0_eps(self, x_0: ArrayLike, t: int, eps: ArrayLike) -> Sum:
        """sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0 (E24)."""
        noise = (1 - self.alpha_bar[t]).sqrt()
        return _sum(self.alpha_bar[t].sqrt() * _decimals(eps), -noise * _decimals(x_0))

    @_precise
    def score_from_eps(self, eps: ArrayLike, t: int) -> Sum:
        """-eps / sqrt(1 - alpha_bar_t) (E24)."""
        return _sum(-_decimals(eps) / (1 - self.alpha_bar[t]).sqrt())

    @_precise
    def mean_from_eps(self, x_t: ArrayLike, t: int, eps: ArrayLike, s: int | None = None) -> Sum:
        """The posterior mean at x_0 = predict_x0 (E14), for the step from t to s.

        By default s = t - 1. It is E12 with E4's symbols.
        """
        alpha, beta = self.between(t - 1 if s is None else s, t)
        return _sum(
            _decimals(x_t) / alpha.sqrt(),
            -beta / (alpha * (1 - self.alpha_bar[t])).sqrt() * _decimals(eps),
        )

    @_precise
    def reverse_variance(self, t: int, s: int, eta: float = 1.0) -> Decimal:
        """eta^2 beta_{t|s} (1 - alpha_bar_s) / (1 - alpha_bar_t) (E11, E18).

        It is beta_tilde_t for eta = 1 and s = t - 1.
        """
        return (
            Decimal(eta) ** 2
            * self.between(s, t)[1]
            * (1 - self.alpha_bar[s])
            / (1 - self.alpha_bar[t])
        )

    @_precise
    def ddim_mean(self, x_t: ArrayLike, t: int, eps: ArrayLike, s: int, eta: float) -> Sum:
        """sqrt(alpha_bar_s) predict_x0 + sqrt(1 - alpha_bar_s - sigma^2) eps (E18).

        The two terms in eps are taken together.
        """
        ratio = self.alpha_bar[t] / self.alpha_bar[s]
        direction = (1 - self.alpha_bar[s] - self.reverse_variance(t, s, eta)).sqrt()
        from_eps = direction - (1 - self.alpha_bar[t]).sqrt() / ratio.sqrt()
        return _sum(_decimals(x_t) / ratio.sqrt(), from_eps * _decimals(eps))

    @_precise
    def moved(self, mean: Sum, variance: Decimal, z: ArrayLike) -> Sum:
        """mean + sqrt(variance) z: a step of a sampler (E17, E18)."""
        noise = variance.sqrt() * _decimals(z)
        return Sum(mean.value + noise, mean.scale + abs(noise))
