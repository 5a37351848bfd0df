"""P(x) as an integral over a latent z, and the Gaussian decoder (E31, E32).

    p(x) = int p(z) p(x | z) dz,    z ~ N(0, I),    x | z ~ N(G(z), s^2 I)

The oldest room of the story: what one would like to maximise, before diffusion replaces the integral by a bound
(:mod:`ddpm_np.closed_form.likelihood`). Where the decoder is linear, G(z) = W z + mu, everything is known (:class:`LinearDecoder`); for any G
there are quadrature, in one or two dimensions, and sampling, whose error grows with the dimension. z is a dummy of integration:
the draws of z carry p(z) already, and a mean over draws that also multiplies by p(z) counts the prior twice.

A decoder is any callable from z (n, k) to means (n, dim). Source: N4 "如何计算 P(X=x_i)" and "如何计算 P(X=x_i | Z=z_i)".
Comes after :mod:`ddpm_np.closed_form.distributions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ddpm_np._checks import Array, count, generator, positive, real_array, square
from ddpm_np.closed_form.distributions import Distribution, Gaussian

__all__ = [
    "Decoder", "Evidence", "LinearDecoder", "decoder_log_likelihood", "importance_sampling", "naive_monte_carlo", "ppca",
    "quadrature", "zero_one",
]

Decoder = Callable[[Array], Array]


class Evidence(NamedTuple):
    """An estimate of log p(x), its standard error (delta method), and how many draws carry it: (sum w)^2 / sum w^2.

    The standard error is that of draws which found the mass of the integrand. When hardly any did, ``effective_draws`` is near 1,
    and estimate and standard error are both far too small.
    """

    log_p: float
    standard_error: float
    effective_draws: float


class LinearDecoder:
    """G(z) = W z + mu with noise of standard deviation s: probabilistic PCA, where the integral is solved exactly (E31, E32).

    x ~ N(mu, W W^T + s^2 I),    z | x ~ N(M^-1 W^T (x - mu), s^2 M^-1),    M = W^T W + s^2 I

    From: a sum of independent normals, and Bayes' rule with the square completed as in E8.
    Source: Tipping and Bishop 1999, eq. 4 to 8. Checked by: tests/closed_form/test_latent.py.
    W: (dim, k); mu: (dim,); noise: s >= 0. With s = 0 the marginal lives on the range of W, and :meth:`posterior` raises
    ValueError.
    """

    def __init__(self, W: ArrayLike, mu: ArrayLike, noise: float) -> None:
        self.W = real_array("W", W, ndim=2).astype(np.float64)
        self.mu = real_array("mu", mu, ndim=1, dim=len(self.W)).astype(np.float64)
        self.noise = positive("noise", noise, zero=True)

    def __call__(self, z: ArrayLike) -> Array:
        """G(z), from (..., k) to (..., dim)."""
        return real_array("z", z, dim=self.W.shape[1]) @ self.W.T + self.mu

    @property
    def marginal(self) -> Gaussian:
        """The law of x: its ``logpdf`` is the integral over z, done."""
        return Gaussian(self.mu, self.W @ self.W.T + self.noise**2 * np.eye(len(self.mu)))

    def posterior(self, x: ArrayLike, *, broaden: float = 1.0) -> Gaussian:
        """The law of z given one x (dim,); its covariance times ``broaden`` above 1 is a proposal with heavier tails."""
        x = real_array("x", x, ndim=1, dim=len(self.mu))
        positive("noise of the decoder", self.noise)
        M = self.W.T @ self.W + self.noise**2 * np.eye(self.W.shape[1])
        inverse = np.linalg.inv(M)
        inverse = (inverse + inverse.T) / 2
        return Gaussian(inverse @ (self.W.T @ (x - self.mu)), positive("broaden", broaden) * self.noise**2 * inverse)


def decoder_log_likelihood(x: ArrayLike, mean: ArrayLike, noise: float) -> Array:
    """log p(x | z) of the Gaussian decoder, mean = G(z) (E32): -|x - G(z)|^2 / (2 s^2) - dim/2 ln(2 pi s^2).

    Source: N4 "VAE (变分自编码器)中的假设", whose factor 1/(sqrt(2 pi) s^2) does not integrate to 1. Checked by: tests/closed_form/test_latent.py.
    x, mean: (..., dim), batches broadcast. The density is one of x; read as a function of the mean it is the likelihood.
    """
    x, mean = real_array("x", x), real_array("mean", mean)
    if x.shape[-1] != mean.shape[-1]:
        raise ValueError(f"x and the decoder's mean must have the same last axis, got {x.shape} and {mean.shape}")
    variance = positive("noise", noise) ** 2
    return -((x - mean) ** 2).sum(-1) / (2 * variance) - x.shape[-1] / 2 * np.log(2 * np.pi * variance)


def quadrature(decoder: Decoder, x: ArrayLike, noise: float, latent_dim: int, *, nodes: int = 401) -> float:
    """log p(x) by the trapezoidal rule over z in [-10, 10]^k, k = 1 or 2 (E31).

    For a smooth integrand that has vanished at the borders the rule's error falls faster than any power of the step h = 20 /
    (nodes - 1): as exp(-2 (pi w / h)^2) for a posterior of width w, so w >= 1.3 h gives all digits. From k = 3 on, nodes^k is too
    many: ValueError.
    Checked by: tests/closed_form/test_latent.py, against the linear decoder.
    """
    if count("latent_dim", latent_dim) > 2:
        raise ValueError(f"latent_dim must be 1 or 2 for quadrature, got {latent_dim}")
    axis = np.linspace(-10.0, 10.0, count("nodes", nodes, low=2))
    z = np.stack(np.meshgrid(*[axis] * latent_dim, indexing="ij"), -1).reshape(-1, latent_dim)
    log_prior = -(z**2).sum(-1) / 2 - latent_dim / 2 * np.log(2 * np.pi)
    log_terms = log_prior + decoder_log_likelihood(real_array("x", x, ndim=1), decoder(z), noise)
    return _log_sum(log_terms) + latent_dim * float(np.log(20 / (nodes - 1)))


def naive_monte_carlo(
    decoder: Decoder, x: ArrayLike, noise: float, latent_dim: int, *, n: int, rng: np.random.Generator
) -> Evidence:
    """log p(x) as the log of the mean of p(x | z) over n draws of z ~ N(0, I) (E31).

    Unbiased for p(x), useless for ln p(x) in many dimensions: hardly a draw hits the posterior, and the estimate falls far below.
    It is :func:`importance_sampling` with the prior as proposal. Checked by: tests/closed_form/test_latent.py.
    """
    latent_dim = count("latent_dim", latent_dim)
    return importance_sampling(decoder, x, noise, Gaussian(np.zeros(latent_dim), np.eye(latent_dim)), n=n, rng=rng)


def importance_sampling(
    decoder: Decoder, x: ArrayLike, noise: float, proposal: Distribution, *, n: int, rng: np.random.Generator
) -> Evidence:
    """log p(x) as the log of the mean of p(z) p(x | z) / r(z) over n draws of z from the proposal r (E31).

    With the exact posterior as r all weights are p(x), and one draw would do. A proposal narrower than the posterior has weights of
    infinite variance; a broader one (:meth:`LinearDecoder.posterior` with ``broaden``) is safe. Checked by: tests/closed_form/test_latent.py.
    x: (dim,); the proposal is over z. Weights are formed in logarithms.
    """
    x, n = real_array("x", x, ndim=1), count("n", n, low=2)
    z = proposal.sample(n, rng=generator(rng))
    log_prior = -(z**2).sum(-1) / 2 - z.shape[-1] / 2 * np.log(2 * np.pi)
    log_w = log_prior + decoder_log_likelihood(x, decoder(z), noise) - proposal.logpdf(z)
    w = np.exp(log_w - log_w.max())
    effective = w.sum() ** 2 / (w**2).sum()
    return Evidence(_log_sum(log_w) - float(np.log(n)), float(w.std(ddof=1) / (w.mean() * np.sqrt(n))), float(effective))


def zero_one(decoder: Decoder, x: ArrayLike, latent_dim: int, *, n: int, rng: np.random.Generator) -> float:
    """The share of n draws with G(z) = x exactly: p(x) under the decoder that says 1 for "equal" and 0 otherwise.

    0 for every decoder whose output is continuous, right or wrong, which is why the notes drop it for the Gaussian decoder. What is
    meant is a Dirac delta: with s = 0 in :class:`LinearDecoder`, the density by change of variables.
    Source: N4 "一个符合直觉的定义". Checked by: tests/closed_form/test_latent.py.
    """
    z = generator(rng).standard_normal((count("n", n), count("latent_dim", latent_dim)))
    return float((decoder(z) == real_array("x", x, ndim=1)).all(-1).mean())


def ppca(mean: ArrayLike, cov: ArrayLike, latent_dim: int) -> LinearDecoder:
    """The linear decoder of largest likelihood for data of this mean and covariance (E30, E32): probabilistic PCA.

    s^2 = mean of the dim - k smallest eigenvalues,    W = U_k (Lambda_k - s^2 I)^(1/2)

    It is also the one of least KL(N(mean, cov) || model), since the mean of -ln p over the data is entropy plus KL.
    Source: Tipping and Bishop 1999, eq. 7 and 8; N4 "如何衡量生成图像满足的分布与真实分布的差距？". Checked by: tests/closed_form/test_latent.py.
    mean: (dim,); cov: (dim, dim), of a sample divided by n, or of the true law; 1 <= latent_dim < dim. W is unique up to a
    rotation of z.
    """
    cov = square("cov", cov)
    dim, latent_dim = len(cov), count("latent_dim", latent_dim)
    if latent_dim >= dim:
        raise ValueError(f"latent_dim must be below dim = {dim}, got {latent_dim}")
    target = Gaussian(mean, cov)
    eigenvalues, U = np.linalg.eigh(target.cov)
    # Those that are 0 come out of eigh as rounding of either sign; a standard deviation needs the sign.
    variance = max(eigenvalues[: dim - latent_dim].mean(), 0.0)
    kept = eigenvalues[dim - latent_dim :]
    return LinearDecoder(U[:, dim - latent_dim :] * np.sqrt(np.maximum(kept - variance, 0.0)), target.mean, np.sqrt(variance))


def _log_sum(log_terms: Array) -> float:
    from scipy.special import logsumexp

    return float(logsumexp(log_terms))
