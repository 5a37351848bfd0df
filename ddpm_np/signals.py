"""The signals: the notes' one curve, and the ensemble of all such curves, a Gaussian (E20).

A signal is sampled at tau = linspace(0, 1, dim) seconds. The ensemble is one of the
distributions of :mod:`ddpm_np.closed_form`, so everything about it is known exactly.
"""

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ddpm_np._checks import Array, check_count, check_dtype, check_generator, check_positive
from ddpm_np.closed_form.arguments import float_array, frozen
from ddpm_np.closed_form.gaussian import Gaussian


def multi_sine_curve(
    dim: int = 50, n_frequencies: int = 5, *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """The notes' signal (E20), divided by its standard deviation; its mean is kept.

    It is the sum over k of cos(2 pi f_k tau + phi_k). f_k is uniform in (0, dim / 10) Hz, about a
    tenth of the sampling rate, so that the curve is smooth. phi_k is uniform in [0, 2 pi); the
    notes' program draws it from [0, pi).

    Source: N2 "信号生成及扩散参数".

    Returns (dim,) float64; dim at least 2.
    """
    dim, n_frequencies = check_count("dim", dim, low=2), check_count("n_frequencies", n_frequencies)
    rng = check_generator(rng)
    frequencies = rng.uniform(0, dim / 10, n_frequencies)
    phases = rng.uniform(0, 2 * np.pi, n_frequencies)
    angle = 2 * np.pi * np.outer(np.linspace(0, 1, dim), frequencies) + phases
    curve = np.cos(angle).sum(axis=1)
    return curve / curve.std()


class MultiSine(Gaussian):
    """The multi-sine ensemble (E20): random signals of fixed frequencies, exactly N(0, C).

    x = sum_k(a_k cos(2 pi f_k tau) + b_k sin(2 pi f_k tau)) + noise eps,
    a_k ~ N(0, scale_k^2), b_k ~ N(0, scale_k^2),
    C = factor^T factor + noise^2 I

    Source: N2 "信号生成及扩散参数". Amplitudes have Rayleigh's distribution here and phases are
    uniform, so that every point is Gaussian.

    Parameters
    ----------
    frequencies : (K,) in Hz
    scale : standard deviation of the coefficients: a number, one per frequency, or None for
        1 / sqrt(K), which gives every coordinate the variance 1
    dim : number of samples on [0, 1]
    noise : standard deviation of white observation noise; above 0 it makes C invertible

    Attributes
    ----------
    factor : (2K, dim), rows scale_k cos(2 pi f_k tau), then scale_k sin(2 pi f_k tau)

    Without noise the rank is at most 2K. In float64 it is often less: frequencies close to each
    other or to 0 give rows that are nearly dependent. Singular values of the factor up to
    max(2K, dim) machine epsilons times the largest count as 0, as in :meth:`Gaussian.from_factor`.
    ``entropy`` and ``logpdf`` are taken on the support that remains, where the ensemble's own
    samples lie. With noise they are those of the noisy ensemble, on the whole space.

    >>> MultiSine([1.0, 2.0])
    MultiSine(dim=50, rank=4)
    """

    def __init__(
        self,
        frequencies: ArrayLike,
        scale: ArrayLike | None = None,
        dim: int = 50,
        noise: float = 0.0,
    ) -> None:
        frequencies = float_array("frequencies", frequencies, ndim=1)
        if np.abs(frequencies).max() > 1e300:
            raise ValueError("frequencies must be at most 1e300, for finite angles")
        dim = check_count("dim", dim)
        self.frequencies = frozen(frequencies)
        self.noise = check_positive("noise", noise, zero=True, most=1e150)
        if scale is None:
            scale = 1 / np.sqrt(frequencies.size)
        if isinstance(scale, (int, float, np.number)):
            scale = np.atleast_1d(scale)
        scale = float_array("scale", scale, ndim=1)
        if scale.size not in (1, frequencies.size) or scale.min() < 0:
            raise ValueError(
                f"scale must be a number or one per frequency, none negative, got {scale.tolist()}"
            )
        if scale.max() > 1e140:
            raise ValueError("scale must be at most 1e140, for a variance that fits into float64")
        self.scale = frozen(np.broadcast_to(scale, frequencies.shape).copy())
        angle = 2 * np.pi * np.outer(frequencies, np.linspace(0, 1, dim))
        rows = np.vstack([np.cos(angle), np.sin(angle)])
        self.factor = frozen(np.tile(self.scale, 2)[:, None] * rows)
        self._from_factor(np.zeros(dim), self.factor, self.noise)

    @cached_property
    def cov(self) -> NDArray[np.float64]:
        """C, (dim, dim), float64, read-only."""
        return frozen(self.factor.T @ self.factor + self.noise**2 * np.eye(self.dim))

    @classmethod
    def random(
        cls, n_frequencies: int = 5, dim: int = 50, *, rng: np.random.Generator
    ) -> "MultiSine":
        """Frequencies drawn uniformly from (0, dim / 10) Hz, the notes' (0, 5) at dim = 50."""
        n_frequencies, dim = check_count("n_frequencies", n_frequencies), check_count("dim", dim)
        rng = check_generator(rng)
        return cls(rng.uniform(0, dim / 10, n_frequencies), dim=dim)

    def sample(self, n: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Array:
        """n signals (n, dim), float64 or float32: the coefficients a, b times the factor."""
        n, rng, dtype = check_count("n", n), check_generator(rng), check_dtype(dtype)
        coefficients = rng.standard_normal((n, len(self.factor)), dtype)
        x = coefficients @ self.factor.astype(dtype, copy=False)
        if self.noise:
            x = x + dtype.type(self.noise) * rng.standard_normal(x.shape, dtype)
        return x
