"""Distances between Gaussians: Wasserstein and Kullback-Leibler (E30)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np.closed_form.arguments import norm
from ddpm_np.closed_form.gaussian import Gaussian


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
    if p.on_axes_of(q):
        between = p.deviations - q.deviations
    else:
        roots = [np.zeros((max(p.rank, q.rank), p.dim)) for _ in (p, q)]
        for root, g in zip(roots, (p, q)):
            root[: g.rank] = g.root
        largest = max(np.abs(root).max(initial=1e-300) for root in roots)
        U, _, Vt = np.linalg.svd((roots[0] / largest) @ (roots[1] / largest).T)
        between = roots[0] - U @ Vt @ roots[1]
    with np.errstate(over="ignore"):
        return float(np.hypot(norm(p.mean - q.mean), norm(between.ravel())))


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

    Source: N4 (KL divergence and maximum likelihood); N2:494, where p and q are called Psi and
    Phi. ValueError for unequal dimensions.

    >>> kl_divergence(Gaussian([1.0], [[1.0]]), Gaussian([0.0], [[1.0]]))
    0.5
    """
    _check(p, q)
    if p.rank != q.rank or not q.sizes(np.vstack([p.mean, p.mean + p.root]))[1].all():
        return np.inf
    ours, theirs = p.deviations[p.varies], q.deviations[q.varies]
    if p.on_axes_of(q):
        k, off = ours / theirs, (ours - theirs) / theirs
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            relative = p.root @ (q.axes[:, q.varies] / theirs)
        if not np.isfinite(relative).all():
            return np.inf
        k = np.linalg.svd(relative, compute_uv=False).astype(np.float64)
        off = k - 1
    with np.errstate(over="ignore"):
        return float(0.5 * (q.distance(p.mean) ** 2 + excess(off * (k + 1), 2 * np.log(k)).sum()))


def excess(d: ArrayLike, log: ArrayLike) -> NDArray[np.float64]:
    """d - ln(1 + d), which a variance 1 + d costs in place of 1, to all digits for any d > -1.

    Near 0, where the two cancel, by the series of ln(1 + d) = 2 artanh(r), r = d / (2 + d):
    r (d - 2 (r^2/3 + r^4/5 + ...)). log: ln(1 + d), for the other d.
    """
    d, log = np.broadcast_arrays(d, log)
    near = np.where(np.abs(d) < 0.5, d, 0.0)
    r = near / (2 + near)
    tail = np.zeros_like(r)
    for k in range(35, 1, -2):
        tail = r**2 * (tail + 1 / k)
    return np.where(np.abs(d) < 0.5, r * (near - 2 * tail), d - log)


def _check(p: Gaussian, q: Gaussian) -> None:
    for name, g in (("p", p), ("q", q)):
        if not isinstance(g, Gaussian):
            raise TypeError(f"{name} must be a Gaussian, got {type(g).__name__}")
    if p.dim != q.dim:
        raise ValueError(f"p and q must have the same dimension, got {p.dim} and {q.dim}")
