"""Mixtures of a few Gaussians, closed under diffusion (E6).

With log-weights l_k(x) = ln w_k + ln p_k(x) and responsibilities r_k = exp(l_k - ln sum_j exp l_j),
the mixture has

    score s = sum_k r_k s_k,    divergence of the score = sum_k r_k (div s_k + |s_k - s|^2).

The log-weights are compared before they are exponentiated, so that a point far from all components
is no special case. (From some 1e8 standard deviations on, components may be too close to each other
for their log-weights to differ beyond rounding; they then share the point.) The divergence is a
sum of what each component contributes and of the spread of the scores. The other form,
sum_k r_k (div s_k + |s_k|^2) - |s|^2, loses all digits where the scores are large and nearly equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import Array, check_array, check_count, check_dtype, check_generator
from ddpm_np.closed_form.arguments import checked_points, float_array, frozen
from ddpm_np.closed_form.distribution import Diffusing
from ddpm_np.closed_form.gaussian import Gaussian


class GaussianMixture(Diffusing["GaussianMixture"]):
    """sum_k weights_k N(means_k, covs_k).

    weights: (K,), not negative, summing to 1 to 10 K eps of their dtype; they are then divided by
    their sum. means: (K, dim). covs: (K, dim, dim), also singular.

    Components may have supports of different dimension, say a point and a plane. The density is
    with respect to the sum of the measures of the different supports, each counted once: two equal
    points of weight 1/2 have logpdf 0. Under it a point of several supports belongs to those of the
    least dimension alone: the others give it no mass. With regular components this is the ordinary
    density.

    >>> GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [[[0.25]], [[0.25]]])
    GaussianMixture(dim=1, components=2)
    """

    def __init__(self, weights: ArrayLike, means: ArrayLike, covs: ArrayLike) -> None:
        given = check_array("weights", weights, ndim=1)
        means, covs = float_array("means", means, ndim=2), float_array("covs", covs, ndim=3)
        weights = float_array("weights", weights, ndim=1)
        if not len(weights) == len(means) == len(covs):
            numbers = f"{len(weights)}, {len(means)} and {len(covs)}"
            raise ValueError(f"weights, means and covs must be equally many, got {numbers}")
        eps = np.finfo(given.dtype).eps
        if weights.min() < 0 or abs(weights.sum() - 1) > 10 * weights.size * eps:
            got = f"got least {weights.min():.6g} and sum {weights.sum():.6g}"
            raise ValueError(f"weights must not be negative and must sum to 1, {got}")
        components = [Gaussian(mean, cov) for mean, cov in zip(means, covs)]
        self._place(weights / weights.sum(), components)

    def _place(self, weights: Array, components: Sequence[Gaussian]) -> GaussianMixture:
        """Sets what every constructor has to know."""
        self.dim, self.weights = components[0].dim, frozen(weights)
        self.components = tuple(components)
        return self

    def __repr__(self) -> str:
        return f"GaussianMixture(dim={self.dim}, components={len(self.components)})"

    @property
    def has_density(self) -> bool:
        """Whether every component of weight above 0 has a density on the whole space."""
        return all(c.has_density for w, c in zip(self.weights, self.components) if w > 0)

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """sum_k w_k mean_k, (dim,)."""
        return frozen(self.weights @ [c.mean for c in self.components])

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """Within plus between: sum_k w_k (cov_k + (mean_k - mean)(mean_k - mean)^T), (dim, dim)."""
        cov = np.zeros((self.dim, self.dim))
        for w, c in zip(self.weights, self.components):
            cov += w * (c.cov + np.outer(c.mean - self.mean, c.mean - self.mean))
        return frozen(cov)

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n draws, (n, dim), float64 or float32: first the component of each, then the point."""
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        which = rng.choice(len(self.components), n, p=self.weights)
        x = np.empty((n, self.dim), dtype)
        for k in np.unique(which):
            here = which == k
            x[here] = self.components[k].sample(np.count_nonzero(here), rng=rng, dtype=dtype)
        return x

    def logpdf(self, x: ArrayLike) -> Array:
        """log p(x), (...,) float64, for x (..., dim); -inf off every support."""
        from scipy.special import logsumexp

        logs, nearest = self._log_weights(x)
        with np.errstate(over="ignore"):  # a density below exp(-1e308) is 0
            return np.asarray(logsumexp(logs, axis=0) - np.square(nearest) / 2)[()]

    def score(self, x: ArrayLike) -> Array:
        """grad log p(x), (..., dim) in the dtype of x; NaN off every support."""
        _, _, score, nowhere = self._scores(x)
        dtype = checked_points(x, self.dim).dtype
        return np.where(nowhere[..., None], np.nan, score).astype(dtype, copy=False)

    def divergence(self, x: ArrayLike) -> Array:
        """The divergence of the score, (...,) float64; NaN off every support."""
        r, scores, score, nowhere = self._scores(x)
        divergence = np.zeros(nowhere.shape)
        for r_k, s_k, component in zip(r, scores, self.components):
            own = np.where(r_k > 0, component.divergence(x), 0.0)  # elsewhere it may be NaN
            apart = np.sqrt(r_k)[..., None] * (s_k - score)
            divergence += r_k * own + np.square(apart).sum(-1)
        return np.where(nowhere, np.nan, divergence)[()]

    def noised(self, kept: float, noise: float) -> GaussianMixture:
        """The distribution of sqrt(kept) x + sqrt(noise) eps.

        The weights stay the same, and each component is noised.
        """
        components = [c.noised(kept, noise) for c in self.components]
        return GaussianMixture.__new__(GaussianMixture)._place(self.weights, components)

    def _log_weights(self, x: ArrayLike) -> tuple[Array, Array]:
        """l_k(x) + q^2 / 2, (K, ...), and q, (...,), the least distance of x from a component.

        The first is -inf where x is off component k, or on another of lesser dimension; the second
        is inf where x is on none. q^2 itself may be too large for a float.
        """
        distances = np.stack([c.distance(x) for c in self.components])
        shape = -1, *(distances.ndim - 1) * [1]
        rank = np.array([c.rank for c in self.components]).reshape(shape)
        with np.errstate(divide="ignore"):
            heights = (np.log(self.weights) - [c.volume for c in self.components]).reshape(shape)
        met = (distances < np.inf) & (heights > -np.inf)
        met &= rank <= np.where(met, rank, self.dim).min(0)
        nearest = np.where(met, distances, np.inf).min(0)
        with np.errstate(over="ignore", invalid="ignore"):
            beyond = (distances - nearest) * (distances + nearest) / 2
        return np.where(met, heights - beyond, -np.inf), nearest

    def _scores(self, x: ArrayLike) -> tuple[Array, Array, Array, Array]:
        """r_k (K, ...), s_k (K, ..., dim), 0 where r_k = 0, s (..., dim), where x is nowhere."""
        from scipy.special import softmax

        logs, nearest = self._log_weights(x)
        nowhere = nearest == np.inf
        r = softmax(np.where(nowhere, 0.0, logs), axis=0)
        scores = np.stack([c._score(x) for c in self.components])
        scores = np.where(r[..., None] > 0, scores, 0.0)  # there a component's score may be NaN
        return r, scores, np.einsum("k...,k...d->...d", r, scores), nowhere
