"""What every distribution of the signal provides, and what all share: diffusion (E5, E6)."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ddpm_np._checks import Array, check_positive, check_step
from ddpm_np.closed_form.arguments import ReadOnly
from ddpm_np.schedule import Schedule

_Diffused = TypeVar("_Diffused")


class Distribution(Protocol):
    """What every distribution of this package provides."""

    dim: int

    @property
    def has_density(self) -> bool:
        """Whether there is a density on the whole space."""
        ...

    @property
    def mean(self) -> Array:
        """(dim,)."""
        ...

    @property
    def cov(self) -> Array:
        """(dim, dim)."""
        ...

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws, (n, dim)."""
        ...

    def logpdf(self, x: ArrayLike) -> Array:
        """ln p(x) in nats, (...,) for x (..., dim)."""
        ...

    def score(self, x: ArrayLike) -> Array:
        """grad ln p(x), (..., dim)."""
        ...

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score, (...,)."""
        ...

    def diffuse(self, schedule: Schedule, t: int) -> Distribution:
        """The distribution of x_t (E6)."""
        ...

    def noised(self, kept: float, noise: float) -> Distribution:
        """The distribution of sqrt(kept) x + sqrt(noise) eps, eps ~ N(0, I)."""
        ...


class Diffusing(ReadOnly, Generic[_Diffused]):
    """Takes a distribution that knows :meth:`noised` to every step of a schedule."""

    dim: int

    @property
    def has_density(self) -> bool:
        """Whether there is a density on the whole space; False for a singular distribution."""
        return True

    def noised(self, kept: float, noise: float) -> _Diffused:
        """The distribution of sqrt(kept) x + sqrt(noise) eps, eps ~ N(0, I)."""
        raise NotImplementedError

    def diffuse(self, schedule: Schedule, t: int) -> _Diffused:
        """The distribution of x_t, 0 <= t <= T, a single integer (E6).

        x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps
        """
        t = check_step("t", t, 0, of=schedule)
        return self.noised(schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t])


def check_level(kept: float, noise: float) -> tuple[float, float]:
    """The factors of x and of the noise in ``noised(kept, noise)``, each at least 0."""
    return check_positive("kept", kept, zero=True), check_positive("noise", noise, zero=True)
