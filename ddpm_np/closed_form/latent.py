"""P(x) as an integral over a latent z, and the Gaussian decoder (E31, E32).

    p(x) = int p(z) p(x | z) dz,    z ~ N(0, I),    x | z ~ N(G(z), s^2 I)

This is the quantity that one would like to maximise, before diffusion replaces the integral by a
bound (:mod:`ddpm_np.closed_form.likelihood`). Where the decoder is linear, G(z) = W z + mu,
everything is known (:class:`LinearDecoder`). For any G there are quadrature, in one or two
dimensions, and sampling, whose error grows with the dimension. Draws of z carry p(z) already: a
mean over draws that also multiplies by p(z) counts the prior twice.

A decoder is any callable from z (n, k) to means (n, dim). x - G(z) is known to eps |x| only, so
that for any method a noise s near eps |x| is too small.
Source: N4 "如何计算 P(X=x_i)" and "如何计算 P(X=x_i | Z=z_i)".
Comes after :mod:`ddpm_np.closed_form.distributions`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np._checks import (
    Array,
    check_array,
    check_count,
    check_function,
    check_generator,
    check_methods,
    check_positive,
    check_square,
)
from ddpm_np.closed_form.arguments import ReadOnly, float_array, frozen
from ddpm_np.closed_form.distributions import Distribution, Gaussian

Decoder = Callable[[Array], Array]


class Evidence(NamedTuple):
    """An estimate of log p(x), its standard error (delta method), and (sum w)^2 / sum w^2.

    The last number says how many draws carry the estimate. The standard error is that of draws
    which found the mass of the integrand. When hardly any did, ``effective_draws`` is near 1, and
    estimate and standard error are both far too small.
    """

    log_p: float
    standard_error: float
    effective_draws: float


class LinearDecoder(ReadOnly):
    """G(z) = W z + mu with noise of standard deviation s: probabilistic PCA (E31, E32).

    p(x) = N(x; mu, W W^T + s^2 I),
    p(z | x) = N(z; M^(-1) W^T (x - mu), s^2 M^(-1)),    M = W^T W + s^2 I

    From: a sum of independent normals, and Bayes' rule with the square completed as in E8.
    Source: Tipping and Bishop 1999, eq. 2, 3 and 6.
    W: (dim, k); mu: (dim,); noise: s >= 0. With s = 0 the marginal lives on the range of W, and
    :meth:`posterior` raises ValueError.

    Both come from the singular values of W, without forming W W^T or M: next to them a small s^2
    would be lost in the rounding. Singular values up to max(dim, k) eps times the largest count as
    0.
    """

    def __init__(self, W: ArrayLike, mu: ArrayLike, noise: float) -> None:
        self.W = frozen(float_array("W", W, ndim=2))
        self.mu = frozen(float_array("mu", mu, ndim=1, dim=len(self.W)))
        self.noise = check_positive("noise", noise, zero=True)

    def __call__(self, z: ArrayLike) -> Array:
        """G(z), from (..., k) to (..., dim)."""
        return check_array("z", z, dim=self.W.shape[1]) @ self.W.T + self.mu

    @property
    def marginal(self) -> Gaussian:
        """The distribution of x: its ``logpdf`` is the integral over z, done."""
        return Gaussian.from_factor(self.mu, self.W.T, noise=self.noise)

    def posterior(self, x: ArrayLike, *, broaden: float = 1.0) -> Gaussian:
        """The distribution of z given one x (dim,).

        With W = U S V^T its axes are V, its variances s^2 / (S_i^2 + s^2), and its mean is
        V S / (S^2 + s^2) U^T (x - mu). The covariance times ``broaden`` above 1 is a proposal with
        heavier tails.
        """
        x = check_array("x", x, ndim=1, dim=len(self.mu)).astype(np.float64)
        noise = check_positive("noise of the decoder", self.noise)
        broaden = check_positive("broaden", broaden)
        U, S, Vt = np.linalg.svd(self.W, full_matrices=True)
        S = np.where(S > max(self.W.shape) * np.finfo(float).eps * S[0], S, 0.0)
        size = np.hypot(S, noise)
        mean = (U.T @ (x - self.mu))[: len(S)] * (S / size) / size @ Vt[: len(S)]
        std = np.ones(len(Vt))  # a direction that W does not map keeps its prior variance
        std[: len(S)] = noise / size
        return Gaussian.from_deviations(mean, Vt.T, np.sqrt(broaden) * std)


def decoder_log_likelihood(x: ArrayLike, mean: ArrayLike, noise: float) -> Array:
    """log p(x | z) of the Gaussian decoder with mean = G(z) (E32).

    p(x | z) = N(x; G(z), noise^2 I),
    ln(p(x | z)) = -|x - G(z)|^2 / (2 noise^2) - dim / 2 ln(2 pi noise^2)

    Source: N4 "VAE (变分自编码器)中的假设"; its factor 1/(sqrt(2 pi) s^2) does not give area 1.
    x, mean: (..., dim), batches broadcast. The density is one of x; read as a function of the mean
    it is the likelihood. -inf where it is below exp(-1e308).
    """
    x, mean = check_array("x", x), check_array("mean", mean)
    if x.shape[-1] != mean.shape[-1]:
        shapes = f"{x.shape} and {mean.shape}"
        raise ValueError(f"x and the decoder's mean must have the same last axis, got {shapes}")
    noise = check_positive("noise", noise)
    volume = x.shape[-1] * (np.log(noise) + np.log(2 * np.pi) / 2)
    with np.errstate(over="ignore"):  # a density below exp(-1e308) is 0
        squares = np.square((x - mean) / noise).sum(-1)
    return np.asarray(-squares / 2 - volume)[()]


def quadrature(
    decoder: Decoder, x: ArrayLike, noise: float, latent_dim: int, *, nodes: int = 401
) -> float:
    """log p(x) by the trapezoidal rule over z in [-10, 10]^k, k = 1 or 2 (E31).

    For a smooth integrand that has vanished at the borders the error of the rule falls faster than
    any power of the step h = 20 / (nodes - 1): as 2 exp(-2 (pi w / h)^2) for a posterior of width
    w, 7e-15 at w = 1.3 h. The rule checks itself by the same nodes moved by 0.38 h, an irrational
    part of it, to which the integrand's own frequencies look different: where the two integrals
    differ by more than 1e-9, or more than 1e-9 of the integral stands at the border, where it is
    cut off, ValueError. From k = 3 on, nodes^k is too many: ValueError. -inf where x is so far from
    every G(z) that the density is below exp(-1e308).
    """
    from scipy.special import logsumexp

    k = check_count("latent_dim", latent_dim)
    if k > 2:
        raise ValueError(f"latent_dim must be 1 or 2 for quadrature, got {latent_dim}")
    axis, h = np.linspace(-10.0, 10.0, check_count("nodes", nodes, low=2), retstep=True)
    grid = np.stack(np.meshgrid(*[axis] * k, indexing="ij"), -1).reshape(-1, k)
    x, sums = check_array("x", x, ndim=1), []
    for z in (grid, grid + h * (3 - np.sqrt(5)) / 2):
        log_terms = _log_prior(z) + decoder_log_likelihood(x, _means(decoder, z, x), noise)
        sums.append(float(logsumexp(log_terms)))
        if sums[-1] == -np.inf:  # x is too far from every G(z)
            return -np.inf
        at_border = np.abs(grid).max(-1) == 10
        if np.exp(log_terms[at_border] - sums[-1]).sum() > 1e-9:
            raise ValueError("x must have its latents inside [-10, 10], got one whose are cut off")
    if not abs(sums[0] - sums[1]) <= 1e-9:
        narrow = f"got {nodes}, whose distance {h:.3g} is too wide for it"
        raise ValueError(f"nodes must be enough to resolve the integrand, {narrow}")
    return sums[0] + k * float(np.log(h))


def naive_monte_carlo(
    decoder: Decoder,
    x: ArrayLike,
    noise: float,
    latent_dim: int,
    *,
    n: int,
    rng: np.random.Generator,
) -> Evidence:
    """log p(x) as the log of the mean of p(x | z) over n draws of z ~ N(0, I) (E31).

    Unbiased for p(x), useless for ln p(x) in many dimensions: hardly a draw hits the posterior, and
    the estimate falls far below. It is :func:`importance_sampling` with the prior as proposal.
    """
    k = check_count("latent_dim", latent_dim)
    prior = Gaussian(np.zeros(k), np.eye(k))
    return importance_sampling(decoder, x, noise, prior, n=n, rng=rng)


def importance_sampling(
    decoder: Decoder,
    x: ArrayLike,
    noise: float,
    proposal: Distribution,
    *,
    n: int,
    rng: np.random.Generator,
) -> Evidence:
    """log p(x) as the log of the mean of p(z) p(x | z) / r(z) over n draws of z from r (E31).

    With the exact posterior as proposal r all weights are p(x), and one draw would do. A Gaussian
    proposal whose variance is at most half of the posterior's in some direction has weights of
    infinite variance; a broader one than the posterior (:meth:`LinearDecoder.posterior` with
    ``broaden``) is safe. A singular one misses nearly all of the integral: ValueError.
    x: (dim,); the proposal is over z. Weights are formed in logarithms. Where all are 0 the
    estimate is -inf, with no effective draw and an error of NaN.
    """
    from scipy.special import logsumexp

    x, n = check_array("x", x, ndim=1), check_count("n", n, low=2)
    if not check_methods("proposal", proposal, "has_density", "sample", "logpdf").has_density:
        whole = "must have a density on the whole space of z"
        raise ValueError(f"proposal {whole}, got the singular {proposal!r}")
    z = proposal.sample(n, rng=check_generator(rng))
    log_joint = _log_prior(z) + decoder_log_likelihood(x, _means(decoder, z, x), noise)
    log_w = log_joint - proposal.logpdf(z)
    if log_w.max() == -np.inf:
        return Evidence(-np.inf, np.nan, 0.0)
    w = np.exp(log_w - log_w.max())
    log_p, effective = float(logsumexp(log_w)) - float(np.log(n)), w.sum() ** 2 / (w**2).sum()
    return Evidence(log_p, float(w.std(ddof=1) / (w.mean() * np.sqrt(n))), float(effective))


def zero_one(
    decoder: Decoder, x: ArrayLike, latent_dim: int, *, n: int, rng: np.random.Generator
) -> float:
    """The share of n draws with G(z) = x: p(x) if p(x | z) is 1 for "equal" and 0 otherwise.

    0 for every decoder whose output has a continuous distribution, right or wrong, which is why
    the notes drop it for the Gaussian decoder. What is meant is a Dirac delta: with s = 0 in
    :class:`LinearDecoder`, the density by change of variables.
    Source: N4 "一个符合直觉的定义".
    """
    z = check_generator(rng).standard_normal(
        (check_count("n", n), check_count("latent_dim", latent_dim))
    )
    x = check_array("x", x, ndim=1)
    return float((_means(decoder, z, x) == x).all(-1).mean())


def ppca(mean: ArrayLike, cov: ArrayLike, latent_dim: int) -> LinearDecoder:
    """The linear decoder of largest likelihood for data of this mean and covariance (E30, E32).

    W = U_k (Lambda_k - s^2 I)^(1/2),    s^2 = mean_i(lambda_i)

    The mean is over the dim - k smallest eigenvalues.

    It is also the one of least KL(N(mean, cov) || model), since the mean of -ln p over the data is
    entropy plus KL.
    Source: Tipping and Bishop 1999, eq. 7 and 8; N4 "如何衡量生成图像满足的分布与真实分布的差距？".
    mean: (dim,); cov: (dim, dim), of a sample divided by n, or of the truth; 1 <= latent_dim < dim.
    W is unique up to an orthogonal map of z if the eigenvalues k and k + 1 differ.
    """
    cov = check_square("cov", cov)
    dim, k = len(cov), check_count("latent_dim", latent_dim)
    if k >= dim:
        raise ValueError(f"latent_dim must be below dim = {dim}, got {latent_dim}")
    target = Gaussian(mean, cov)
    variance = (target.spectrum[k:] / (dim - k)).sum()
    above = np.maximum(target.spectrum[:k] - variance, 0.0)  # equal ones may differ by rounding
    return LinearDecoder(target.axes[:, :k] * np.sqrt(above), target.mean, np.sqrt(variance))


def _log_prior(z: Array) -> Array:
    """ln N(z; 0, I), (n,)."""
    return np.asarray(-np.square(z).sum(-1) / 2 - z.shape[-1] / 2 * np.log(2 * np.pi))


def _means(decoder: Decoder, z: Array, x: Array) -> Array:
    """G(z), one row for each z."""
    mean = np.asarray(check_function("decoder", decoder)(z))
    if mean.shape != (len(z), len(x)):
        raise ValueError(f"decoder must return shape {(len(z), len(x))}, got {mean.shape}")
    return mean
