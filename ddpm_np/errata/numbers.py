"""The numbers that decide an erratum, and the tools that compute them."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Distribution, Empirical, Gaussian
from ddpm_np.equations.words import Words
from ddpm_np.forward import covariance_step
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule

CLEARLY = 20
RULE = Words(
    "an entry is decided if the corrected value is off from the truth by no more than is allowed, "
    f"and the printed one by more than {CLEARLY} times the larger of the two",
    "更正值与真值之差不超过允许偏差，且原文值与真值之差大于两者（更正偏差与允许偏差）中"
    f"较大者的 {CLEARLY} 倍，该条勘误才成立",
)
"""What :attr:`Numbers.decide` asks, in words."""


class Numbers(NamedTuple):
    """One quantity three times: as printed, as corrected, and computed independently.

    ``tolerance`` is how far the last two may differ: 0, units in the last place, the error of a
    quadrature, or a bound on the rest. Where a claim admits a range of values, ``printed`` is the
    value in that range nearest to the truth.
    """

    printed: float | Fraction
    corrected: float | Fraction
    truth: float | Fraction
    tolerance: float | Fraction

    @classmethod
    def of(cls, printed: Any, corrected: Any, truth: Any, tolerance: Any = 0) -> "Numbers":
        """From numbers of any kind: exact ones, arrays of one, integrals. The error of an integral
        is added to the tolerance, but for that of the printed form."""
        errors = [x.error for x in (corrected, truth) if isinstance(x, Integral)]
        allowed = float(sum(errors, tolerance))
        return cls(_plain(printed), _plain(corrected), _plain(truth), allowed)

    @property
    def misses(self) -> tuple[float, float]:
        """How far the printed and the corrected value are from the truth."""
        truth = float(self.truth)
        return abs(float(self.printed) - truth), abs(float(self.corrected) - truth)

    @property
    def decide(self) -> bool:
        """Whether the corrected form holds and the printed one fails, by :data:`RULE`. What is
        not a number decides nothing."""
        printed, corrected = self.misses
        return corrected <= self.tolerance and printed > CLEARLY * max(self.tolerance, corrected)

    def texts(self) -> tuple[str, str, str]:
        """Printed, corrected and truth as four digits; what is within the tolerance of 0 is 0."""

        def text(number: float | Fraction) -> str:
            if isinstance(number, Fraction):
                return str(number)
            return f"{number:.4g}" if abs(number) > self.tolerance else "0"

        return text(self.printed), text(self.corrected), text(self.truth)


# ---- tools for the counterexamples ----------------------------------------------------------

NOTES = Schedule.sigmoid()
"""The schedule of the notes' experiment: T = 100, beta_max = 0.1 (E19)."""

HALF = Schedule.from_beta([0.5])
"""One step, after which signal and noise have equal shares."""

STANDARD, NARROW = Gaussian([0.0], [[1.0]]), Gaussian([0.0], [[0.25]])
"""N(0, 1) and N(0, 1/4)."""

TWO_POINTS = Empirical([[-1.0], [1.0]])
"""Two observations, at -1 and at 1."""


class Integral(NamedTuple):
    """A number, and how far it may be off."""

    value: float
    error: float


def line_integral(
    integrand: Callable[[Array], Array],
    low: float = -12,
    high: float = 12,
    *,
    intervals: int = 4000,
) -> Integral:
    """The trapezoidal rule, for a smooth integrand that is negligible at both ends.

    There it converges faster than any power of the step. The error is what leaving out every
    second point changes, plus the rounding of the sum.
    """
    x, h = np.linspace(low, high, intervals + 1, retstep=True)
    terms = np.asarray(integrand(x), dtype=float) * h
    fine, coarse = terms.sum(), 2 * terms[::2].sum()
    rounding = 64 * np.finfo(float).eps * np.abs(terms).sum()
    return Integral(float(fine), float(abs(fine - coarse) + rounding))


def density(p: Distribution, x: ArrayLike) -> Array:
    """p at some places, for one coordinate."""
    return np.exp(p.logpdf(np.reshape(x, (-1, 1))))


def expectation(p: Distribution, f: Callable[[Array], Array]) -> Integral:
    """E f(x) over x ~ p, for one coordinate."""
    return line_integral(lambda x: density(p, x) * f(x))


def divergence(p: Distribution, q: Distribution) -> Integral:
    """KL(p || q) in nats, for one coordinate (E30)."""
    return expectation(p, lambda x: p.logpdf(x[:, None]) - q.logpdf(x[:, None]))


def stepwise(variance: float, last: int, schedule: Schedule = NOTES) -> float:
    """The variance after ``last`` single steps, for data of a variance (E3)."""
    Sigma = np.array([[variance]])
    for t in range(1, last + 1):
        Sigma = covariance_step(schedule, Sigma, t)
    return float(Sigma[0, 0])


def slope(x: Array, y: Array) -> float:
    """Of the best linear prediction of y from x, where both have mean 0."""
    return float(np.mean(x * y) / np.mean(x**2))


def signs(n: int) -> Array:
    """All 2^n rows of n signs, (2^n, n).

    Equally likely, they have mean 0 and covariance I exactly, as N(0, I) has. Their average of a
    polynomial of degree at most 3 in each coordinate is its expectation over N(0, I).
    """
    return np.array(np.meshgrid(*[[-1.0, 1.0]] * n, indexing="ij")).reshape(n, -1).T


def _plain(number: Any) -> float | Fraction:
    """One number, a Fraction where it is exact."""
    found = number.value if isinstance(number, Integral) else np.asarray(number).item()
    if isinstance(found, Exact):
        return found.fraction
    return found if isinstance(found, Fraction) else float(found)


def ulps(n: float, value: Any) -> float:
    """n units in the last place of a number."""
    return n * float(np.spacing(abs(np.asarray(value).item())))
