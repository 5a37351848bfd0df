"""Mixtures of two noised signals, and exactly where an affine denoiser takes them (E6, E17, E27).

To interpolate between two signals, noise both up to some step t, mix, and walk back (N1
"神奇的语意融合"). To the chain the mixture must look like any other x_t: its noise must have
variance 1 - alpha_bar_t. A straight line between two independent noises does not give that,

    Var((1 - w) eps_a + w eps_b) = (1 - w)^2 + w^2,

which is 1/2 in the middle; weights on a quarter of a circle keep it at 1. The way back is the
ancestral sampler, begun at t: :func:`ddpm_np.sampling.ancestral_sample` with ``start=(x_t, t)``.
Where the denoiser is affine in x_t, as the ideal one of any Gaussian is, the result is a Gaussian,
computed here.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import (
    Array,
    check_array,
    check_fits,
    check_fraction,
    check_prediction,
    check_same_dim,
    check_square,
    check_step,
)
from ddpm_np.forward import q_sample
from ddpm_np.sampling import Denoiser, Variance, ancestral_step
from ddpm_np.schedule import Schedule


def linear_weights(w: float) -> tuple[float, float]:
    """(1 - w, w): a straight line, whose squares sum to (1 - w)^2 + w^2 <= 1, for 0 <= w <= 1."""
    w = check_fraction("w", w)
    return 1 - w, w


def spherical_weights(w: float) -> tuple[float, float]:
    """(cos(pi w / 2), sin(pi w / 2)): a quarter of a circle, whose squares sum to 1; 0 <= w <= 1.

    Shoemake's (1985) spherical interpolation for vectors at a right angle. Independent noises in
    many dimensions are nearly at one. With the right angle itself the mixture of two independent
    standard normal noises is standard normal in any dimension.
    """
    w = check_fraction("w", w)
    return float(np.cos(np.pi * w / 2)), float(np.sin(np.pi * w / 2))


def mix(
    schedule: Schedule,
    x_a: ArrayLike,
    x_b: ArrayLike,
    w: float,
    t: int,
    eps_a: ArrayLike,
    eps_b: ArrayLike,
    *,
    spherical: bool = True,
) -> Array:
    """A mixture of two noised signals at step t (E6).

    x_t = sqrt(alpha_bar_t) ((1 - w) x_a + w x_b) + sqrt(1 - alpha_bar_t) (u eps_a + v eps_b)

    The weights u, v of the noises are :func:`spherical_weights`, or with ``spherical=False`` the
    1 - w, w of the signals.

    Source: N1 "神奇的语意融合"; Ho et al. 2020, section 4.4, who mix the noised signals themselves:
    u, v = 1 - w, w.
    x_a, x_b, eps_a, eps_b: (..., dim); 0 <= w <= 1; 0 <= t <= T.
    """
    x_a, x_b, eps_a, eps_b = check_same_dim(x_a=x_a, x_b=x_b, eps_a=eps_a, eps_b=eps_b)
    a, b = linear_weights(w)
    u, v = spherical_weights(w) if spherical else (a, b)
    return q_sample(schedule, a * x_a + b * x_b, t, u * eps_a + v * eps_b)


def affine_distribution(
    denoiser: Denoiser,
    schedule: Schedule,
    mean: ArrayLike,
    cov: ArrayLike,
    t: int,
    *,
    variance: Variance = "posterior",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact mean and covariance of the ancestral sampler begun at x_t ~ N(mean, cov) (E27).

    The denoiser must be affine in x_t: eps_hat(x) = M x + b turns the step into

    x_{t-1} = (xt_coef + eps_coef M) x_t + eps_coef b + std z,

    so the mean and the covariance follow by one product each. M and b are read off the denoiser, at
    0 and at the unit vectors.

    From: E17. mean: (dim,); cov: (dim, dim). ValueError if the denoiser is not affine: it is asked
    at four more places, two near 1 and two near 30, where no coordinate is a whole number, and must
    answer what M and b say.
    """
    check_fits("denoiser", denoiser, schedule)
    m = check_array("mean", mean, ndim=1).astype(np.float64)
    C, t = check_square("cov", cov).astype(np.float64), check_step("t", t, 0, schedule.T)
    dim = len(m)
    if C.shape != (dim, dim):
        raise ValueError(f"cov must have shape {(dim, dim)} like mean, got {C.shape}")
    others = np.sin(np.arange(1.0, 2 * dim + 1)).reshape(2, dim) + [[1.0], [-1.0]]
    others = np.vstack([others, 30 * others[::-1]])
    places = np.vstack([np.zeros(dim), np.eye(dim), others])
    for now in range(t, 0, -1):
        xt_coef, eps_coef, std = ancestral_step(schedule, now, variance=variance)
        answers = check_prediction(denoiser(places, now), places).astype(np.float64)
        b, M = answers[0], answers[1 : dim + 1] - answers[0]
        # Each of the dim + 1 answers is right to a few ulp of its size; dim of them are summed.
        size = np.abs(others) @ np.abs(M) + (1 + np.abs(others).sum(1, keepdims=True)) * np.abs(b)
        allowed = 64 * dim * np.finfo(float).eps * (size + np.abs(answers).max())
        if np.any(np.abs(answers[dim + 1 :] - (b + others @ M)) > allowed):
            raise ValueError(f"denoiser must be affine in x_t, got one that is not at t = {now}")
        A = xt_coef * np.eye(dim) + eps_coef * M  # rows: x_{t-1} = x_t A + ...
        m = m @ A + eps_coef * b
        C = A.T @ C @ A + std**2 * np.eye(dim)
    return m, C


def line_position(x: ArrayLike, x_a: ArrayLike, x_b: ArrayLike) -> tuple[Array, Array]:
    """Where x lies along the line from x_a to x_b, 0 at x_a and 1 at x_b, and how far from it.

    The distance from the line is in units of |x_b - x_a|. x: (..., dim).

    >>> line_position([[0.5, 1.0]], [0.0, 0.0], [1.0, 0.0])
    (array([0.5]), array([1.]))
    """
    x, x_a, x_b = check_same_dim(x=x, x_a=x_a, x_b=x_b)
    along = x_b - x_a
    length = np.sum(along**2, axis=-1)
    if np.any(length == 0):
        raise ValueError("x_a and x_b must differ")
    w = np.sum((x - x_a) * along, axis=-1) / length
    return w, np.linalg.norm(x - x_a - w[..., None] * along, axis=-1) / np.sqrt(length)
