"""The denoiser that training aims at, exactly, and the loss it cannot go below (E24, E25).

Third of the rooms of what is known, on :mod:`ddpm_np.closed_form.distributions`. The loss E|eps - eps_hat(x_t, t)|^2 is least for the
conditional mean eps_star = E[eps | x_t], and that is a score in other units: from
q(x_t) = integral of N(x_t; sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I) q(x_0) over x_0, differentiated under the integral,

    grad log q(x_t) = E[-(x_t - sqrt(alpha_bar_t) x_0) / (1 - alpha_bar_t) | x_t] = -eps_star / sqrt(1 - alpha_bar_t).

First the forms a prediction can take, eps, score, x_0 and v, into each other; then the ideal denoiser; then its loss. What a
sampler does with it is in :mod:`ddpm_np.closed_form.reverse`, what it says about likelihood in :mod:`ddpm_np.closed_form.likelihood`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import Array, Steps, count, generator, per_row, positive, same_dim, steps
from ddpm_np.closed_form.distributions import Distribution, Gaussian
from ddpm_np.closed_form.distributions.arguments import checked_points
from ddpm_np.forward import q_sample
from ddpm_np.posterior import mean_eps_coef
from ddpm_np.sampling import Denoiser
from ddpm_np.schedule import Schedule

__all__ = [
    "IdealDenoiser", "eps_from_score", "eps_from_v", "estimate_excess", "estimate_floor", "estimate_loss", "optimal_loss", "optimal_variance",
    "score_from_eps", "v_from_x0_eps", "variance_from_loss", "x0_from_v",
]


# ---- the forms of a prediction --------------------------------------------------------------------------------------------------
#
# eps and x_0 turn into each other by predict_x0 and predict_eps of ddpm_np.posterior (E13); the others join here. All are linear
# with the coefficients of E6, take (..., dim) and 1 <= t <= T, keep the dtype and run on exact numbers.
# Checked by: tests/closed_form/test_ideal.py.


def score_from_eps(schedule: Schedule, eps: ArrayLike, t: Steps) -> Array:
    """The score from the noise (E24): score = -eps / sqrt(1 - alpha_bar_t). Source: Dhariwal and Nichol 2021, section 4.2."""
    _, noise, eps = _level(schedule, t, eps=eps)
    return -eps / noise


def eps_from_score(schedule: Schedule, score: ArrayLike, t: Steps) -> Array:
    """The noise from the score (E24): eps = -sqrt(1 - alpha_bar_t) score."""
    _, noise, score = _level(schedule, t, score=score)
    return -noise * score


def v_from_x0_eps(schedule: Schedule, x_0: ArrayLike, t: Steps, eps: ArrayLike) -> Array:
    """v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0: x_t turned a quarter, (x_0, eps) being the two legs.

    Source: Salimans and Ho 2022, section 4 and appendix D. For a given x_t an error d of eps is one of d / sqrt(alpha_bar_t) in v
    and of -d sqrt((1 - alpha_bar_t) / alpha_bar_t) in x_0: the losses are L_v = L_eps / alpha_bar_t and L_x0 = L_eps / SNR_t.
    """
    signal, noise, x_0, eps = _level(schedule, t, x_0=x_0, eps=eps)
    return signal * eps - noise * x_0


def x0_from_v(schedule: Schedule, x_t: ArrayLike, t: Steps, v: ArrayLike) -> Array:
    """The signal from x_t and v: x_0 = sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v. Defined even where alpha_bar_t is 0."""
    signal, noise, x_t, v = _level(schedule, t, x_t=x_t, v=v)
    return signal * x_t - noise * v


def eps_from_v(schedule: Schedule, x_t: ArrayLike, t: Steps, v: ArrayLike) -> Array:
    """The noise from x_t and v: eps = sqrt(1 - alpha_bar_t) x_t + sqrt(alpha_bar_t) v."""
    signal, noise, x_t, v = _level(schedule, t, x_t=x_t, v=v)
    return noise * x_t + signal * v


def _level(schedule: Schedule, t: Steps, **arrays: ArrayLike) -> tuple[Any, ...]:
    """sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), shaped for the rows of the arrays, and the arrays, checked."""
    checked = same_dim(**arrays)
    t = steps("t", t, 1, schedule.T, batch=np.broadcast_shapes(*(x.shape for x in checked))[:-1])
    roots = (per_row(np.sqrt(table[t]), checked[0].dtype) for table in (schedule.alpha_bar, schedule.one_minus_alpha_bar))
    return (*roots, *checked)


# ---- the ideal denoiser ---------------------------------------------------------------------------------------------------------


class IdealDenoiser:
    r"""(x_t, t) -> eps_star = E[eps | x_t], the best prediction there is (E24).

    eps_star = -sqrt(1 - alpha_bar_t) grad log q(x_t)

    and for a Gaussian, with its axes v_i, variances lambda_i and mean m, a gain per axis:

    eps_star = sum_i sqrt(1 - alpha_bar_t) / (alpha_bar_t lambda_i + 1 - alpha_bar_t) v_i v_i . (x_t - sqrt(alpha_bar_t) m)

    A denoiser like any other: :mod:`ddpm_np.sampling` takes it in place of a network. x_t: (..., dim); t: an int or an integer
    array that broadcasts over the batch, 1 <= t <= T. Computed in float64, returned in the dtype of x_t.

    From: the score of the distribution, diffused (E5, E6). Source: Tweedie's formula; Vincent 2011.
    Checked by: tests/closed_form/test_ideal.py.

    >>> denoiser = IdealDenoiser(Gaussian([0.0], [[1.0]]), Schedule.from_beta([0.36]))
    >>> denoiser([[2.0]], 1)
    array([[1.2]])
    """

    def __init__(self, distribution: Distribution, schedule: Schedule) -> None:
        if not callable(getattr(distribution, "noised", None)):
            raise TypeError(f"distribution must be one of ddpm_np.closed_form.distributions, got {type(distribution).__name__}")
        self.distribution, self.schedule, self.dim = distribution, schedule, distribution.dim

    def __repr__(self) -> str:
        return f"IdealDenoiser({self.distribution!r}, {self.schedule!r})"

    def __call__(self, x_t: ArrayLike, t: Steps) -> Array:
        """eps_star at the given steps; each row of x_t may have its own."""
        x_t = checked_points(x_t, self.dim)
        t = steps("t", t, 1, self.schedule.T, batch=x_t.shape[:-1])
        kept, noise = self.schedule.alpha_bar[t], self.schedule.one_minus_alpha_bar[t]
        if isinstance(t, int) or isinstance(self.distribution, Gaussian):
            return self._eps_star(x_t, kept, noise)
        t = np.broadcast_to(t, x_t.shape[:-1])
        eps_star = np.empty_like(x_t)
        for step in np.unique(t):
            eps_star[t == step] = self(x_t[t == step], step)
        return eps_star

    def at(self, x: ArrayLike, kept: float, noise: float) -> Array:
        """E[eps | x] at any level, x = sqrt(kept) x_0 + sqrt(noise) eps, noise above 0.

        (alpha_bar, 1 - alpha_bar) is a level between the steps, and (1, sigma^2) the same in the coordinates of the probability
        flow, x_t / sqrt(alpha_bar_t) with sigma^2 = (1 - alpha_bar_t) / alpha_bar_t. Two numbers, so that neither is a rounded 1
        minus the other.
        """
        return self._eps_star(checked_points(x, self.dim), positive("kept", kept, zero=True), positive("noise", noise))

    def divergence(self, x: ArrayLike, kept: float, noise: float) -> Array:
        """The trace of the Jacobian of :meth:`at` with respect to x, (...,) float64; the same at every x for a Gaussian."""
        law = self.distribution.noised(positive("kept", kept, zero=True), positive("noise", noise))
        return -np.sqrt(noise) * law.divergence(x)

    def _eps_star(self, x: Array, kept: Any, noise: Any) -> Array:
        law = self.distribution
        if not isinstance(law, Gaussian):
            return (-np.sqrt(noise) * law.noised(kept, noise).score(x.astype(np.float64))).astype(x.dtype)
        kept, noise = per_row(kept, np.float64), per_row(noise, np.float64)
        gain = np.sqrt(noise) / (kept * law.spectrum + noise)
        return (((x - np.sqrt(kept) * law.mean) @ law.axes * gain) @ law.axes.T).astype(x.dtype, copy=False)


# ---- its loss -------------------------------------------------------------------------------------------------------------------


def optimal_loss(distribution: Gaussian, schedule: Schedule) -> NDArray[np.float64]:
    """The Bayes floor: the least mean squared eps-error per dimension that any denoiser can have (E25).

    floor_t = tr Cov[eps | x_t] / dim = mean_i alpha_bar_t lambda_i / (alpha_bar_t lambda_i + 1 - alpha_bar_t)

    From: E24. Along an axis of variance lambda, eps and x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps are jointly
    Gaussian with covariance sqrt(1 - alpha_bar_t), so x_t leaves 1 - (1 - alpha_bar_t) / (alpha_bar_t lambda + 1 - alpha_bar_t)
    of the variance of eps. Checked by: tests/closed_form/test_ideal.py.

    Returns (T + 1,), index t, entry 0 NaN: there is no noise to predict. 0 for a :class:`PointMass`. TypeError for other than
    Gaussians, which have no closed form: :func:`estimate_floor` serves those.
    """
    if not isinstance(distribution, Gaussian):
        raise TypeError(f"distribution must be a Gaussian for the closed form, got {type(distribution).__name__}")
    signal = schedule.alpha_bar[1:, None] * distribution.spectrum
    return np.append(np.nan, (signal / (signal + schedule.one_minus_alpha_bar[1:, None])).mean(1))


def estimate_loss(
    denoiser: Denoiser, distribution: Distribution, schedule: Schedule, *, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean squared eps-error per dimension of any denoiser, by simulation, and its standard error (E15, E25).

    n fresh draws of (x_0, eps) at each t, so that entries are independent; n at least 2. In the denoiser's ``dtype`` if it has one.
    Checked by: tests/closed_form/test_ideal.py. Returns two (T + 1,) arrays, index t, entry 0 NaN.
    """
    return _estimate(denoiser, distribution, schedule, None, n, rng)


def estimate_floor(
    distribution: Distribution, schedule: Schedule, *, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Bayes floor of any distribution, by simulation, and its standard error (E25).

    floor_t = E|eps - eps_star|^2 / dim = 1 - sqrt(1 - alpha_bar_t) E[div eps_star(x_t)] / dim

    From: eps_star is a conditional mean (E24), so E|eps - eps_star|^2 = E|eps|^2 - E|eps_star|^2
    and E|eps_star|^2 = E[eps . eps_star]. Given x_0, x_t moves with eps at the rate
    sqrt(1 - alpha_bar_t), and Stein's lemma, E[eps f(eps)] = E[f'(eps)] for a standard normal eps,
    gives E[eps . eps_star] = sqrt(1 - alpha_bar_t) E[div eps_star]. For a Gaussian the divergence
    is the same at every x_t, so that two draws are exact; elsewhere it scatters little where x_t
    tells nearly all that can be known of x_0.

    n draws of x_t at each t, at least 2. Returns two (T + 1,) arrays, index t, entry 0 NaN.
    Source: Stein 1981. Checked by: tests/closed_form/test_ideal.py.
    """
    n, rng = count("n", n, low=2), generator(rng)
    ideal = IdealDenoiser(distribution, schedule)
    floor, error = np.full((2, schedule.T + 1), np.nan)
    for t in range(1, schedule.T + 1):
        kept, noise = schedule.alpha_bar[t], schedule.one_minus_alpha_bar[t]
        x_t = distribution.diffuse(schedule, t).sample(n, rng=rng)
        left = 1 - np.sqrt(noise) * np.broadcast_to(ideal.divergence(x_t, kept, noise), n) / ideal.dim
        floor[t], error[t] = left.mean(), left.std(ddof=1) / np.sqrt(n)
    return floor, error


def estimate_excess(
    denoiser: Denoiser, distribution: Distribution, schedule: Schedule, *, n: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """What a denoiser's loss has above the floor, as a fraction of it, and the standard error (E25).

    excess = mean_t E|eps_hat - eps_star|^2 / (dim mean_t floor_t)

    From: E|eps - eps_hat|^2 = E|eps - eps_star|^2 + E|eps_star - eps_hat|^2, because eps - eps_star
    has mean 0 given x_t. Estimated from the second term, whose fluctuations are as small as itself;
    the difference of two losses would drown in the first. The floor is :func:`optimal_loss` for a
    Gaussian, else :func:`estimate_floor` with as many draws.
    n draws at each t, at least 2. ValueError where the floor is 0 (:class:`PointMass`).
    Checked by: tests/closed_form/test_ideal.py.
    """
    if isinstance(distribution, Gaussian):
        floors, scatter = optimal_loss(distribution, schedule), np.zeros(schedule.T + 1)
    else:
        floors, scatter = estimate_floor(distribution, schedule, n=n, rng=rng)
    floor = floors[1:].mean()
    if floor == 0:
        raise ValueError("distribution must have a floor above 0 for an excess over it, got one without variance")
    target = IdealDenoiser(distribution, schedule)
    mean, error = _estimate(denoiser, distribution, schedule, target, n, rng)
    excess = float(mean[1:].mean() / floor)
    errors = np.hypot(error[1:], excess * scatter[1:]) / schedule.T / floor
    return excess, float(np.sqrt(np.square(errors).sum()))


def _estimate(
    denoiser: Denoiser, distribution: Distribution, schedule: Schedule, target: IdealDenoiser | None, n: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard error, for each t, of the squared distance per dimension between denoiser and target (None: eps itself)."""
    n, rng = count("n", n, low=2), generator(rng)
    dim, dtype = distribution.dim, np.dtype(getattr(denoiser, "dtype", np.float64))
    if getattr(denoiser, "dim", dim) != dim:
        raise ValueError(f"denoiser and distribution must have the same dim, got {denoiser.dim} and {dim}")
    mean, error = np.full((2, schedule.T + 1), np.nan)
    for t in range(1, schedule.T + 1):
        x_0, eps = distribution.sample(n, rng=rng, dtype=dtype), rng.standard_normal((n, dim), dtype)
        x_t = q_sample(schedule, x_0, t, eps)
        eps_hat = np.asarray(denoiser(x_t, t))
        if eps_hat.shape != x_t.shape:
            raise ValueError(f"denoiser must return shape {x_t.shape}, got {eps_hat.shape}")
        off = np.square(eps_hat - (eps if target is None else target(x_t, t)), dtype=np.float64).mean(1)
        mean[t], error[t] = off.mean(), off.std(ddof=1) / np.sqrt(n)
    return mean, error


def variance_from_loss(alpha_t: Any, beta_t: Any, one_minus_alpha_bar_t: Any, beta_tilde_t: Any, loss: Any) -> Any:
    """beta_tilde_t + (coefficient of eps in the mean)^2 loss: the reverse variance that goes with an eps-error (scalar kernel)."""
    return beta_tilde_t + mean_eps_coef(alpha_t, beta_t, one_minus_alpha_bar_t) ** 2 * loss


def optimal_variance(distribution: Gaussian, schedule: Schedule) -> NDArray[np.float64]:
    """The best variance sigma_t^2 of an isotropic reverse step N(mean_t(x_t), sigma_t^2 I) with the ideal mean.

    sigma_t^2 = tr Cov[x_{t-1} | x_t] / dim averaged over x_t = beta_tilde_t + beta_t^2 / (alpha_t (1 - alpha_bar_t)) floor_t

    From: the law of total variance. Given x_t, the mean of q(x_{t-1} | x_t, x_0) spreads as x_0 does, or, in the eps form (E14), as
    eps does, whose variance per dimension is floor_t (E25); beta_tilde_t comes on top (E11). Among the isotropic Gaussians this is
    the one of least KL from the true q(x_{t-1} | x_t), step by step. For a Gaussian it equals mean_i beta_t v_i(t-1) / v_i(t) with
    v_i(t) = alpha_bar_t lambda_i + 1 - alpha_bar_t, the mean of the true kernel's variances (E26).

    Source: Bao et al. 2022 (Analytic-DPM), theorem 1. Checked by: tests/closed_form/test_ideal.py.
    Returns (T + 1,), index t, entry 0: 0. Entry 1 is tr Cov[x_0 | x_1] / dim, above 0 unless x_0 is known. TypeError for other than
    Gaussians; there, put an estimated floor into :func:`variance_from_loss`.
    """
    tables = schedule.alpha, schedule.beta, schedule.one_minus_alpha_bar, schedule.beta_tilde, optimal_loss(distribution, schedule)
    return np.append(0.0, variance_from_loss(*(table[1:] for table in tables)))
