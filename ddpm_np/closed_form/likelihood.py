"""How probable the model finds the data: exact negative log-likelihood and the variational bound (E28, E30).

Last of the rooms of what is known, after :mod:`ddpm_np.closed_form.reverse`. The model's own density is an integral over the whole chain;
what is cheap is a bound on it, in terms of one step each. :mod:`ddpm_np.closed_form.probability_flow` (whose names are importable from here)
gets the density itself from a differential equation. All in nats; :func:`bits_per_dim` is the one place where they become bits.

Densities of a singular distribution are those on its support (:class:`ddpm_np.closed_form.distributions.Gaussian`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import Array, count, generator, positive, real_array
from ddpm_np.closed_form.distributions import Distribution, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.probability_flow import probability_flow_logpdf, probability_flow_sample
from ddpm_np.closed_form.reverse import step_variance
from ddpm_np.forward import q_sample
from ddpm_np.sampling import Denoiser, Variance, ancestral_step
from ddpm_np.schedule import Schedule

__all__ = ["VLBTerms", "bits_per_dim", "nll", "probability_flow_logpdf", "probability_flow_sample", "vlb_terms"]


def nll(distribution: Distribution, x: ArrayLike) -> Array:
    """-ln p(x) in nats, for each x: (...,) for x (..., dim); inf off the support.

    Its mean over x ~ p is the entropy, and over x ~ q the entropy of q plus KL(q || p): the model of largest likelihood is the one
    of least KL (E30). On the support where the distribution is singular. Source: N4 "如何衡量生成图像满足的分布与真实分布的差距？".
    Checked by: tests/closed_form/test_likelihood.py.
    """
    if not callable(getattr(distribution, "logpdf", None)):
        raise TypeError(f"distribution must be one of ddpm_np.closed_form.distributions, got {type(distribution).__name__}")
    return -distribution.logpdf(x)


def bits_per_dim(nats: Any, dim: int) -> Any:
    """Nats for a whole vector as bits per dimension: nats / (dim ln 2).

    Of a density, so it may be negative, and it depends on the unit of x; figures of other code bases are for 8-bit images.
    """
    return nats / (count("dim", dim) * np.log(2))


@dataclass(frozen=True, eq=False)
class VLBTerms:
    """The terms of the negative bound, in nats: L_T, then L_{t-1} at index t, then the decoder's (E28).

    steps: (T + 1,), index t, the KL of the reverse step from t to t - 1; 0 at t = 0 and at t = 1, where the decoder stands.
    standard_error: of the total; 0 where the expectation was taken in closed form.
    """

    prior: float
    steps: NDArray[np.float64]
    decoder: float
    dim: int
    standard_error: float = 0.0

    @property
    def total(self) -> float:
        """-ELBO = prior + sum of steps + decoder, at least E[-ln p_model(x_0)]."""
        return float(self.prior + self.steps.sum() + self.decoder)

    @property
    def bits_per_dim(self) -> float:
        """The total in bits per dimension."""
        return float(bits_per_dim(self.total, self.dim))


def vlb_terms(
    denoiser: Denoiser, data: Distribution | ArrayLike, schedule: Schedule, *, variance: Variance = "posterior",
    decoder_variance: float | None = None, n: int | None = None, rng: np.random.Generator | None = None,
) -> VLBTerms:
    r"""The variational bound of the ancestral sampler p, term by term, averaged over the data (E28).

    -ln p(x_0) <= KL(q(x_T|x_0) || N(0, I))  +  sum_{t=2}^T E KL(q(x_{t-1}|x_t,x_0) || p(x_{t-1}|x_t))  -  E ln p(x_0|x_1)

    with p(x_{t-1} | x_t) = N(mean of E14 with eps_hat, variance_t). The true mean is the same with eps; b is its coefficient:

    L_{t-1} = 1/2 sum_i (beta_tilde_t / variance_t - 1 - ln(beta_tilde_t / variance_t) + b^2 (eps_hat - eps)_i^2 / variance_t).

    From: Jensen's inequality and E7. Source: Ho et al. 2020, eq. 5; Sohl-Dickstein et al. 2015; N2 "何为扩散模型", advantage 4.
    Checked by: tests/closed_form/test_likelihood.py.

    The gap, exactly. Averaged over x_0 ~ q the bound is E ln q(x_{1:T}|x_0) - E ln p(x_{0:T}), that is H(x_0) plus the KL of the
    whole chain q(x_{0:T}) from p(x_{0:T}), and by the chain rule of KL, backwards in time,

    E[-ELBO] - H(x_0) = KL(q(x_T) || p(x_T)) + sum_{t=1}^T E KL(q(x_{t-1}|x_t) || p(x_{t-1}|x_t)).

    With the ideal denoiser of a Gaussian and variance "kernel" every p(x_{t-1}|x_t), the decoder at t = 1 included, is the true
    reverse kernel (E26), the sum vanishes, and the gap is KL(q(x_T) || N(0, I)) exactly. What other variances lose is the rest.

    Parameters
    ----------
    denoiser : callable (x_t (n, dim), t int) -> eps_hat. The :class:`IdealDenoiser` of a Gaussian meets the data through its
        second moments only, and the expectation over the noise is taken in closed form; any other is simulated
    data : a distribution, or a batch of x_0 (n, dim)
    variance : "posterior", "beta", an array of length T + 1 used as given (entry 0 is not read), or, for the ideal denoiser of a
        Gaussian, "kernel"
    decoder_variance : of p(x_0|x_1), above 0. A choice that the bound needs, since beta_tilde_1 = 0 makes it infinite. By default
        beta_1 for "posterior" and "beta", entry 1 of an array (0 there does give an infinite bound), and the true kernel for
        "kernel", which takes no other
    n, rng : where the bound must be simulated, the number of draws of x_0, each with its own noise at every t, and their
        generator. From a distribution 1000 by default; from a batch n rows with replacement, by default each row once

    Returns
    -------
    VLBTerms. Its standard error, of the average over the rows, is above 0 where the noise was simulated or a batch was given.

    A scalar decoder variance gives a density on all of space, to be compared with the NLL of a regular distribution: a singular
    one has no such NLL, and there -ELBO - H, with H on the support, is not a KL. "kernel" stays on the support, decoder included,
    for a singular distribution too, and is inf for data off it.

    ValueError for an unknown variance, a data dimension other than the denoiser's, "kernel" with another denoiser; TypeError
    without rng where one is needed.

    >>> from ddpm_np.closed_form.distributions import kl_divergence
    >>> data, schedule = Gaussian([0.0], [[0.25]]), Schedule.sigmoid(100, beta_min=1e-5)
    >>> gap = vlb_terms(IdealDenoiser(data, schedule), data, schedule, variance="kernel").total - data.entropy
    >>> print(f"{gap:.4e} {kl_divergence(data.diffuse(schedule, 100), Gaussian([0.0], [[1.0]])):.4e}")
    4.0986e-06 4.0986e-06
    >>> print(f"{vlb_terms(IdealDenoiser(data, schedule), data, schedule).total - data.entropy:.3f}")
    0.468
    """
    if not callable(denoiser):
        raise TypeError(f"denoiser must be a callable (x_t, t) -> eps_hat, got {type(denoiser).__name__}")
    model = denoiser.distribution if isinstance(denoiser, IdealDenoiser) else None
    kernel = isinstance(variance, str) and variance == "kernel"
    if kernel and not isinstance(model, Gaussian):
        raise ValueError('variance "kernel" is that of the ideal denoiser of a Gaussian, and of no other')
    if kernel and decoder_variance is not None:
        raise ValueError('decoder_variance cannot be given with variance "kernel", whose decoder is the true kernel')
    if model is not None and denoiser.schedule != schedule:
        raise ValueError(f"schedule must be the denoiser's own, {denoiser.schedule}, got {schedule}")
    errors = _exact_errors(denoiser, data) if isinstance(model, Gaussian) else _simulated_errors(denoiser, data, schedule, n, rng)

    T, dim = schedule.T, errors.dim
    prior = errors.square_norm * schedule.alpha_bar[T] / 2
    prior = prior - dim / 2 * (schedule.alpha_bar[T] + np.log(schedule.one_minus_alpha_bar[T]))
    rows = np.zeros((T + 1, len(prior)))
    for t in range(1, T + 1):
        variance_t = step_variance(model, schedule, t, variance=variance)
        if t == 1 and not kernel and (decoder_variance is not None or isinstance(variance, str)):
            variance_t = schedule.beta[1] if decoder_variance is None else positive("decoder_variance", decoder_variance)
        variance_t = np.broadcast_to(variance_t, dim)
        off = ancestral_step(schedule, t).eps_coef ** 2 * errors.at(t)
        if t > 1:
            rows[t] = _step_term(schedule.beta_tilde[t], variance_t, off)
        elif kernel:
            support = variance_t > 0
            rows[t] = np.where(errors.on_support, _decoder_term(variance_t[support], off[:, support]), np.inf)
        else:
            rows[t] = _decoder_term(variance_t, off)
    steps = np.append([0.0, 0.0], rows[2:].mean(1))
    return VLBTerms(float(prior.mean()), steps, float(rows[1].mean()), dim, errors.standard_error(prior + rows.sum(0)))


def _step_term(beta_tilde_t: float, variance_t: Array, off: Array) -> Array:
    """KL(N(m, beta_tilde I) || N(m + d, diag variance)) for squares ``off`` = d^2, (rows, dim) -> (rows,)."""
    if np.any(variance_t == 0):
        return np.full(len(off), np.inf)
    ratio = beta_tilde_t / variance_t
    return ((ratio - 1 - np.log(ratio)).sum() + (off / variance_t).sum(1)) / 2


def _decoder_term(variance_1: Array, off: Array) -> Array:
    """-ln N(x_0; x_0 + d, diag variance) for squares ``off`` = d^2, (rows, dim) -> (rows,); with variance 0 its limit."""
    if np.any(variance_1 == 0):
        return np.where(off.sum(1) > 0, np.inf, -np.inf)
    return (np.log(2 * np.pi * variance_1).sum() + (off / variance_1).sum(1)) / 2


class _Errors(NamedTuple):
    """What the bound needs of denoiser and data: row by row |x_0|^2, and the squares of eps_hat - eps at t, (rows, dim)."""

    square_norm: Array
    on_support: Array
    at: Callable[[int], Array]
    dim: int
    is_sample: bool

    def standard_error(self, totals: Array) -> float:
        if not self.is_sample:
            return 0.0
        if len(totals) == 1 or not np.isfinite(totals).all():
            return float("nan")
        return float(totals.std(ddof=1) / np.sqrt(len(totals)))


def _exact_errors(denoiser: IdealDenoiser, data: Distribution | ArrayLike) -> _Errors:
    """The expectation over the noise, along the axes of the model, given x_0 (rows of a batch) or averaged over it (one row).

    eps_star - eps has mean g sqrt(alpha_bar) c and variance (1 - g sqrt(1 - alpha_bar))^2 for g = sqrt(1 - alpha_bar) / v and the
    coordinate c of x_0 (E24), so its square is (alpha_bar^2 lambda^2 + (1 - alpha_bar) alpha_bar c^2) / v^2.
    """
    model, schedule = denoiser.distribution, denoiser.schedule
    if _is_distribution(data):
        _check_dim(data.dim, denoiser)
        law = data if isinstance(data, Gaussian) else Gaussian(data.mean, data.cov)
        square_norm = np.array([law.spectrum.sum() + law.mean @ law.mean])
        if all(np.array_equal(getattr(law, name), getattr(model, name)) for name in ("mean", "axes", "spectrum")):
            squares, on_support = model.spectrum[None], np.array([True])
        else:
            centre, on_mean = model.coordinates(law.mean)
            _, on_axes = model.coordinates(law.mean + law.root)
            squares = (centre**2 + np.square(law.root @ model.axes).sum(0))[None]
            on_support = np.array([bool(on_mean) and bool(on_axes.all())])
    else:
        x_0 = real_array("data", data, ndim=2, dim=denoiser.dim).astype(np.float64)
        c, on_support = model.coordinates(x_0)
        squares, square_norm = c**2, np.square(x_0).sum(1)

    def at(t: int) -> Array:
        signal, noise = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
        return (signal**2 * model.spectrum**2 + noise * signal * squares) / (signal * model.spectrum + noise) ** 2

    return _Errors(square_norm, on_support, at, model.dim, not _is_distribution(data))


def _simulated_errors(
    denoiser: Denoiser, data: Distribution | ArrayLike, schedule: Schedule, n: int | None, rng: np.random.Generator | None
) -> _Errors:
    """The same from draws of the noise, in the denoiser's ``dtype`` if it has one."""
    if rng is None:
        raise TypeError("rng must be given for a denoiser whose bound is simulated")
    rng, dtype = generator(rng), np.dtype(getattr(denoiser, "dtype", np.float64))
    if _is_distribution(data):
        _check_dim(data.dim, denoiser)
        x_0 = data.sample(1000 if n is None else count("n", n, low=2), rng=rng, dtype=dtype)
    else:
        x_0 = real_array("data", data, ndim=2).astype(dtype)
        _check_dim(x_0.shape[1], denoiser)
        if n is not None:
            x_0 = x_0[rng.integers(len(x_0), size=count("n", n, low=2))]

    def at(t: int) -> Array:
        eps = rng.standard_normal(x_0.shape, dtype)
        eps_hat = np.asarray(denoiser(q_sample(schedule, x_0, t, eps), t))
        if eps_hat.shape != x_0.shape:
            raise ValueError(f"denoiser must return shape {x_0.shape}, got {eps_hat.shape}")
        return np.square(eps_hat - eps, dtype=np.float64)

    return _Errors(np.square(x_0, dtype=np.float64).sum(1), np.full(len(x_0), True), at, x_0.shape[1], True)


def _is_distribution(data: object) -> bool:
    return callable(getattr(data, "noised", None))


def _check_dim(dim: int, denoiser: Denoiser) -> None:
    if getattr(denoiser, "dim", dim) != dim:
        raise ValueError(f"data must have the denoiser's dimension {denoiser.dim}, got {dim}")
