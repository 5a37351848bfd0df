"""How probable the model finds the data: negative log-likelihood and variational bound (E28, E30).

Comes after :mod:`ddpm_np.closed_form.reverse`. The model's own density is an integral over the
whole chain; what is cheap is a bound on it, a sum of terms of one step each.
:mod:`ddpm_np.closed_form.probability_flow` gets the density itself from a differential equation.
All in nats; :func:`bits_per_dim` converts.

Densities of a singular distribution are those on its support
(:class:`ddpm_np.closed_form.distributions.Gaussian`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import (
    Array,
    check_array,
    check_count,
    check_fits,
    check_function,
    check_generator,
    check_instance,
    check_methods,
    check_positive,
    check_prediction,
)
from ddpm_np.closed_form.distributions import Distribution, Gaussian
from ddpm_np.closed_form.distributions.distances import excess
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import step_variance
from ddpm_np.forward import q_sample
from ddpm_np.sampling import Denoiser, Variance, ancestral_step
from ddpm_np.schedule import Schedule


def nll(distribution: Distribution, x: ArrayLike) -> Array:
    """-ln p(x) in nats, for each x: (...,) for x (..., dim); inf off the support.

    Its mean over x ~ p is the entropy, and over x ~ q the entropy of q plus KL(q || p): the model
    of largest likelihood is the one of least KL (E30). On the support where the distribution is
    singular. Source: N4 "如何衡量生成图像满足的分布与真实分布的差距？".
    """
    return -check_methods("distribution", distribution, "logpdf").logpdf(x)


def bits_per_dim(nats: Any, dim: int) -> Any:
    """Nats for a whole vector as bits per dimension: nats / (dim ln 2).

    These are bits of a density: they may be negative, and they depend on the unit of x. Figures of
    other code bases are for 8-bit images.
    """
    return nats / (check_count("dim", dim) * np.log(2))


@dataclass(frozen=True, eq=False)
class VLBTerms:
    """The terms of the negative bound, in nats: L_T, then L_{t-1} at index t, the decoder's (E28).

    steps: (T + 1,), index t, the KL of the reverse step from t to t - 1; 0 at t = 0 and at t = 1,
    which is the decoder's.
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
    denoiser: Denoiser,
    data: Distribution | ArrayLike,
    schedule: Schedule,
    *,
    variance: Variance = "posterior",
    decoder_variance: float | None = None,
    n: int | None = None,
    rng: np.random.Generator | None = None,
) -> VLBTerms:
    r"""The variational bound of the ancestral sampler p, term by term, averaged over data (E28).

    -ln(p(x_0)) <= KL(q(x_T | x_0), N(0, I))
                   + sum_{t=2..T}(E(KL(q(x_{t-1} | x_t, x_0), p(x_{t-1} | x_t))))
                   - E(ln(p(x_0 | x_1)))

    with p(x_{t-1} | x_t) = N(mean of E14 with eps_hat, variance_t). The true mean is the same with
    eps; b is its coefficient:

    L_{t-1} = 1/2 sum_i (beta_tilde_t / variance_t - 1 - ln(beta_tilde_t / variance_t)
                         + b^2 (eps_hat - eps)_i^2 / variance_t).

    From: Jensen's inequality and E7. Source: Ho et al. 2020, eq. 5; Sohl-Dickstein et al. 2015; N2
    "何为扩散模型", advantage 4.

    The gap, exactly. Averaged over x_0 ~ q the bound is E ln q(x_{1:T}|x_0) - E ln p(x_{0:T}), that
    is H(x_0) plus the KL of the whole chain q(x_{0:T}) from p(x_{0:T}), and by the chain rule of
    KL, backwards in time,

    E[-ELBO] - H(x_0) = KL(q(x_T) || p(x_T)) + sum_{t=1}^T E KL(q(x_{t-1}|x_t) || p(x_{t-1}|x_t)).

    With the ideal denoiser of a Gaussian and variance "kernel" every p(x_{t-1}|x_t), the decoder at
    t = 1 included, is the true reverse kernel (E26). The sum vanishes, and the gap is
    KL(q(x_T) || N(0, I)) exactly. What other variances lose is the rest.

    Parameters
    ----------
    denoiser : callable (x_t (n, dim), t int) -> eps_hat. The :class:`IdealDenoiser` of a Gaussian
        meets the data through its second moments only, and the expectation over the noise is taken
        in closed form; any other is simulated
    data : a distribution, or a batch of x_0 (n, dim)
    variance : "posterior", "beta", an array of length T + 1 used as given (entry 0 is not read);
        or, for the ideal denoiser of a Gaussian, "kernel"
    decoder_variance : of p(x_0|x_1), above 0. A choice that the bound needs, since beta_tilde_1 = 0
        makes it infinite. By default beta_1 for "posterior" and "beta", entry 1 of an array (0
        there does give an infinite bound), and the true kernel for "kernel", which takes no other
    n, rng : where the bound must be simulated, the number of draws of x_0, each with its own noise
        at every t, and their generator. From a distribution 1000 by default; from a batch n rows
        with replacement, by default each row once

    Returns
    -------
    VLBTerms. Its standard error, of the average over the rows, is above 0 where the noise was
    simulated or a batch was given, and NaN for a single row.

    A scalar decoder variance gives a density on all of space, to be compared with the NLL of a
    regular distribution. A singular one has no such NLL, and there -ELBO - H, with H on the
    support, is not a KL. "kernel" stays on the support, decoder included, for a singular
    distribution too, and is inf for data off it.

    ValueError for an unknown variance, a data dimension other than the denoiser's, "kernel" with
    another denoiser; TypeError without rng where one is needed.

    >>> from ddpm_np.closed_form.distributions import kl_divergence
    >>> data, schedule = Gaussian([0.0], [[0.25]]), Schedule.sigmoid(100, beta_min=1e-5)
    >>> ideal, white = IdealDenoiser(data, schedule), Gaussian([0.0], [[1.0]])
    >>> gap = vlb_terms(ideal, data, schedule, variance="kernel").total - data.entropy
    >>> print(f"{gap:.4e} {kl_divergence(data.diffuse(schedule, 100), white):.4e}")
    4.0986e-06 4.0986e-06
    >>> print(f"{vlb_terms(ideal, data, schedule).total - data.entropy:.3f}")
    0.468
    """
    check_function("denoiser", denoiser)
    check_fits("denoiser", denoiser, check_instance("schedule", schedule, Schedule))
    model = denoiser.distribution if isinstance(denoiser, IdealDenoiser) else None
    kernel = isinstance(variance, str) and variance == "kernel"
    if kernel and not isinstance(model, Gaussian):
        raise ValueError('variance "kernel" is that of the ideal denoiser of a Gaussian only')
    if kernel and decoder_variance is not None:
        other = 'with variance "kernel", whose decoder is the true kernel'
        raise ValueError(f"decoder_variance cannot be given {other}")
    if not isinstance(model, Gaussian):
        table = _variances(None, schedule, variance, decoder_variance)
        x_0, rng = _drawn(denoiser, data, n, rng)
        errors = _simulated_errors(denoiser, x_0, schedule, rng)
        square_norm = np.square(x_0, dtype=np.float64).sum(1)
        return _bound(schedule, table, np.ones(x_0.shape[1]), square_norm, errors)
    table = _variances(model, schedule, variance, decoder_variance)
    squares, square_norm, on_support = _second_moments(model, data)
    errors = _exact_errors(model, schedule, squares)
    support = on_support if kernel else None
    terms = _bound(schedule, table, model.counts, square_norm, errors, support)
    return replace(terms, standard_error=0.0) if _is_distribution(data) else terms


def _variances(
    model: Gaussian | None, schedule: Schedule, variance: Variance, decoder_variance: float | None
) -> list[Array]:
    """The variance of each reverse step, index t, a number or one per axis; 1 is the decoder's."""
    steps = range(1, schedule.T + 1)
    table = [np.asarray(step_variance(model, schedule, t, variance=variance)) for t in steps]
    if decoder_variance is not None:
        table[0] = np.asarray(check_positive("decoder_variance", decoder_variance))
    elif isinstance(variance, str) and variance != "kernel":
        table[0] = np.asarray(schedule.beta[1])
    return [np.asarray(0.0), *table]


def _bound(
    schedule: Schedule,
    variances: list[Array],
    counts: Array,
    square_norm: Array,
    errors: Iterable[Array],
    on_support: Array | None = None,
) -> VLBTerms:
    """The bound from |x_0|^2, (rows,), and the squared errors of eps_hat for t = 1 .. T.

    The errors are (rows, levels), each the sum over as many axes as ``counts`` says, which share
    their variance. With ``on_support``, (rows,), a decoder variance of 0 says that x_0 is known
    there.
    """
    T = schedule.T
    rows = np.zeros((T + 1, len(square_norm)))
    dim = int(counts.sum())
    for t, error in enumerate(errors, start=1):
        variance_t = np.broadcast_to(variances[t], len(counts))
        off = ancestral_step(schedule, t).eps_coef ** 2 * error
        if t > 1:
            rows[t] = _step_term(schedule.beta_tilde[t], variance_t, counts, off)
        elif on_support is None:
            rows[t] = _decoder_term(variance_t, counts, off)
        else:
            varies = variance_t > 0
            inside = _decoder_term(variance_t[varies], counts[varies], off[:, varies])
            rows[t] = np.where(on_support, inside, np.inf)
    prior = _prior_term(schedule, square_norm, dim)
    totals = prior + rows.sum(0)
    known = len(totals) > 1 and np.isfinite(totals).all()
    error_of_total = totals.std(ddof=1) / np.sqrt(len(totals)) if known else np.nan
    steps = np.append([0.0, 0.0], rows[2:].mean(1))
    return VLBTerms(float(prior.mean()), steps, float(rows[1].mean()), dim, float(error_of_total))


def _prior_term(schedule: Schedule, square_norm: Array, dim: int) -> Array:
    """KL(N(sqrt(alpha_bar_T) x_0, (1 - alpha_bar_T) I) || N(0, I)) for squares |x_0|^2, (rows,)."""
    alpha_bar, rest = schedule.alpha_bar[schedule.T], schedule.one_minus_alpha_bar[schedule.T]
    return np.asarray((square_norm * alpha_bar + dim * excess(-alpha_bar, np.log(rest))) / 2)


def _step_term(beta_tilde_t: float, variance_t: Array, counts: Array, off: Array) -> Array:
    """KL(N(m, beta_tilde I) || N(m + d, diag variance)), ``off`` = d^2, (rows, levels) -> (rows,)

    with ``counts`` axes for each level.
    """
    if np.any(variance_t == 0):
        return np.full(len(off), np.inf)
    spread = excess((beta_tilde_t - variance_t) / variance_t, np.log(beta_tilde_t / variance_t))
    return np.asarray((counts @ spread + (off / variance_t).sum(1)) / 2)


def _decoder_term(variance_1: Array, counts: Array, off: Array) -> Array:
    """-ln N(x_0; x_0 + d, diag variance) for ``off`` = d^2, (rows, levels) -> (rows,).

    With variance 0 its limit.
    """
    if np.any(variance_1 == 0):
        return np.where(off.sum(1) > 0, np.inf, -np.inf)
    volume = counts @ (np.log(2 * np.pi) + np.log(variance_1))
    return np.asarray((volume + (off / variance_1).sum(1)) / 2)


# ---- the ideal denoiser of a Gaussian: the expectation over the noise in closed form -------------


def _second_moments(model: Gaussian, data: Distribution | ArrayLike) -> tuple[Array, Array, Array]:
    """What the ideal denoiser meets of the data: for each x_0 of a batch, or for a distribution.

    The sum of E c_i^2 for each level of the model (rows, levels), E|x_0|^2 (rows,), and whether x_0
    is on the support of the model (rows,).
    """
    if not _is_distribution(data):
        x_0 = check_array("data", cast(ArrayLike, data), ndim=2, dim=model.dim).astype(np.float64)
        c, on_support = model.sizes(x_0)
        return c**2, np.square(x_0).sum(1), on_support
    _check_dim(data.dim, model.dim)
    q = data if isinstance(data, Gaussian) else Gaussian(data.mean, data.cov)
    square_norm = np.array([q.spectrum.sum() + q.mean @ q.mean])
    if q.equals(model):
        return (model.levels * model.counts)[None], square_norm, np.array([True])
    centre, on_support = model.sizes(np.vstack([q.mean, q.mean + q.root]))
    squares = centre[0] ** 2 + np.square(model.lengths(q.root)).sum(0)
    return squares[None], square_norm, np.array([on_support.all()])


def _exact_errors(model: Gaussian, schedule: Schedule, squares: Array) -> Iterator[Array]:
    """The sum of E (eps_star - eps)^2 for each level of the model, given x_0, for t = 1 .. T.

    eps_star - eps has mean g sqrt(alpha_bar) c and variance (1 - g sqrt(1 - alpha_bar))^2 for
    g = sqrt(1 - alpha_bar) / v and the coordinate c of x_0 (E24), so its square is
    (alpha_bar^2 lambda^2 + (1 - alpha_bar) alpha_bar c^2) / v^2.
    """
    for signal, noise in zip(schedule.alpha_bar[1:], schedule.one_minus_alpha_bar[1:]):
        v, own = signal * model.levels + noise, signal * model.levels
        yield model.counts * (own / v) ** 2 + noise / v * (signal / v) * squares


# ---- any other denoiser: draws of the noise ------------------------------------------------------


def _drawn(
    denoiser: Denoiser,
    data: Distribution | ArrayLike,
    n: int | None,
    rng: np.random.Generator | None,
) -> tuple[Array, np.random.Generator]:
    """The x_0 of the simulation, (rows, dim), in the denoiser's ``dtype`` if it has one."""
    if rng is None:
        raise TypeError("rng must be given for a denoiser whose bound is simulated")
    rng, dtype = check_generator(rng), np.dtype(getattr(denoiser, "dtype", np.float64))
    if _is_distribution(data):
        _check_dim(data.dim, getattr(denoiser, "dim", data.dim))
        n = 1000 if n is None else check_count("n", n, low=2)
        return data.sample(n, rng=rng, dtype=dtype), rng
    x_0 = check_array("data", cast(ArrayLike, data), ndim=2).astype(dtype)
    _check_dim(len(x_0[0]), getattr(denoiser, "dim", len(x_0[0])))
    if n is not None:
        x_0 = x_0[rng.integers(len(x_0), size=check_count("n", n, low=2))]
    return x_0, rng


def _simulated_errors(
    denoiser: Denoiser, x_0: Array, schedule: Schedule, rng: np.random.Generator
) -> Iterator[Array]:
    """The squares of eps_hat - eps for t = 1 .. T, (rows, dim) float64, with fresh noise each."""
    for t in range(1, schedule.T + 1):
        eps = rng.standard_normal(x_0.shape, x_0.dtype)
        eps_hat = check_prediction(denoiser(q_sample(schedule, x_0, t, eps), t), x_0)
        yield np.square(eps_hat - eps, dtype=np.float64)


def _is_distribution(data: Distribution | ArrayLike) -> TypeGuard[Distribution]:
    return hasattr(data, "noised") and not isinstance(data, type)


def _check_dim(dim: int, expected: int) -> None:
    if dim != expected:
        raise ValueError(f"data must have the denoiser's dimension {expected}, got {dim}")
