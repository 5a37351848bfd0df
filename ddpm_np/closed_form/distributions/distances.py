"""Distances between Gaussians: Wasserstein and Kullback-Leibler (E30)."""

from __future__ import annotations

import numpy as np

from ddpm_np.closed_form.distributions.gaussian import Gaussian


def wasserstein2(p: Gaussian, q: Gaussian) -> float:
    """The 2-Wasserstein distance between Gaussians, the Frechet distance, not squared.

    W2^2 = |mean_p - mean_q|^2 + min over orthogonal Q of |R_p - Q R_q|_F^2,  cov = R^T R

    The minimum is tr(cov_p) + tr(cov_q) - 2 tr((cov_p^{1/2} cov_q cov_p^{1/2})^{1/2}). That form,
    the one in print, is a difference of large numbers for equal arguments and can become negative.
    Here it is a sum of squares: Q = U V^T from the singular value decomposition R_p R_q^T = U S V^T
    (orthogonal Procrustes). Where both have the same array of axes, as a Gaussian and its
    diffusions have, Q = I. For equal arguments the distance is 0 to rounding: exactly 0 on common
    axes, else some eps times sqrt(tr(cov) condition number), and at worst, with directions too weak
    to be told apart, sqrt(10 dim eps tr(cov)).

    Source: Dowson and Landau 1982.
    ValueError where the dimensions differ.

    >>> wasserstein2(Gaussian([0.0], [[1.0]]), Gaussian([3.0], [[25.0]]))
    5.0
    """
    _check(p, q)
    if p.axes is q.axes:
        between = np.sqrt(p.spectrum) - np.sqrt(q.spectrum)
    else:
        roots = [np.sqrt(g.spectrum)[:, None] * g.axes.T for g in (p, q)]
        U, _, Vt = np.linalg.svd(roots[0] @ roots[1].T)
        between = roots[0] - U @ Vt @ roots[1]
    return float(np.hypot(np.linalg.norm(p.mean - q.mean), np.linalg.norm(between)))


def kl_divergence(p: Gaussian, q: Gaussian) -> float:
    """KL(p || q) = E_p ln(p / q) between Gaussians, in nats (E30).

    KL(p, q) = 1 / 2 (|w|^2 + sum_i(k_i^2 - 1 - ln(k_i^2)))

    Here w is mean_p - mean_q and k_i^2 are the eigenvalues of cov_p, both in units of q.
    The units are the axes of q that vary, each divided by its standard deviation. The divergence is
    inf where p is not absolutely continuous with respect to q: where the support of p is not inside
    that of q, or is a thinner part of it, on which q has no mass. Supports are compared to the
    tolerance at which :class:`Gaussian` calls a point off its support, at the mean of p and one
    standard deviation of p away from it along each of its axes. Off common axes k_i is known to eps
    times the largest.

    Source: N4 (KL divergence and maximum likelihood); N2:494, where the two laws are called Psi and
    Phi. ValueError for unequal dimensions.

    >>> kl_divergence(Gaussian([1.0], [[1.0]]), Gaussian([0.0], [[1.0]]))
    0.5
    """
    _check(p, q)
    if p.rank != q.rank or not q.coordinates(np.vstack([p.mean, p.mean + p.root]))[1].all():
        return np.inf
    units = q.axes[:, q.varies] / np.sqrt(q.spectrum[q.varies])
    if p.axes is q.axes:
        k = np.sqrt(p.spectrum[p.varies] / q.spectrum[q.varies])
    else:
        k = np.linalg.svd(p.root @ units, compute_uv=False)
    # From k itself, each term keeps its digits near k = 1 as well as near k = 0.
    means, spreads = (p.mean - q.mean) @ units, (k - 1) * (k + 1) - 2 * np.log(k)
    return float(0.5 * (np.square(means).sum() + spreads.sum()))


def _check(p: Gaussian, q: Gaussian) -> None:
    for name, g in (("p", p), ("q", q)):
        if not isinstance(g, Gaussian):
            raise TypeError(f"{name} must be a Gaussian, got {type(g).__name__}")
    if p.dim != q.dim:
        raise ValueError(f"p and q must have the same dimension, got {p.dim} and {q.dim}")
