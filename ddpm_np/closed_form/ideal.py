"""The denoiser that training aims at, exactly, and the loss it cannot go below (E24, E25).

It stands on :mod:`ddpm_np.closed_form.distributions`. The loss E|eps - eps_hat(x_t, t)|^2 is least
for the conditional mean eps_star = E[eps | x_t], and that is the score in other units.
Differentiate q(x_t) = integral of N(x_t; sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I) q(x_0) over
x_0 under the integral:

    grad log q(x_t) = E[-(x_t - sqrt(alpha_bar_t) x_0) / (1 - alpha_bar_t) | x_t]
                    = -eps_star / sqrt(1 - alpha_bar_t).

First come the forms that a prediction can take (eps, score, x_0 and v) and how they turn into
each other. Then come the scalar kernels of a Gaussian along one of its axes, which are proved
against Bayes' rule, then the ideal denoiser, and last its loss.
:mod:`ddpm_np.closed_form.reverse` says what a sampler does with it,
:mod:`ddpm_np.closed_form.likelihood` what it says about likelihood.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import (
    Array,
    Steps,
    batch_of,
    check_count,
    check_divisor,
    check_fits,
    check_function,
    check_generator,
    check_instance,
    check_methods,
    check_positive,
    check_prediction,
    check_same_dim,
    check_steps,
    per_row,
)
from ddpm_np.closed_form.arguments import checked_points
from ddpm_np.closed_form.distributions import Distribution, Gaussian
from ddpm_np.forward import q_sample
from ddpm_np.posterior import mean_eps_coef
from ddpm_np.sampling import Denoiser
from ddpm_np.schedule import Schedule

# ---- the forms of a prediction ------------------------------------------------------------------
#
# eps and x_0 turn into each other by predict_x0 and predict_eps of ddpm_np.posterior (E13). The
# others join here. All are linear with the coefficients of E6, take (..., dim) and 1 <= t <= T,
# keep the dtype and run on exact numbers.


def score_from_eps(schedule: Schedule, eps_star: ArrayLike, t: Steps) -> Array:
    """The score from the mean of the noise (E24).

    score = -eps_star / sqrt(1 - alpha_bar_t)

    With eps for eps_star it is the score of q(x_t | x_0).

    Source: Dhariwal and Nichol 2021, section 4.2.
    """
    (eps_star,) = check_same_dim(eps_star=eps_star)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(eps_star))
    root = np.sqrt(schedule.one_minus_alpha_bar[t])
    return -eps_star / check_divisor("sqrt(1 - alpha_bar_t)", root, t, eps_star.dtype, "the score")


def eps_from_score(schedule: Schedule, score: ArrayLike, t: Steps) -> Array:
    """The mean of the noise from the score (E24).

    eps_star = -sqrt(1 - alpha_bar_t) score
    """
    _, noise, score = _level(schedule, t, score=score)
    return -noise * score


def v_from_x0_eps(schedule: Schedule, x_0: ArrayLike, t: Steps, eps: ArrayLike) -> Array:
    """v, which is x_t turned by a quarter (E24).

    v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0

    Source: Salimans and Ho 2022, section 4 and appendix D. For a given x_t, an error d of eps is an
    error of d / sqrt(alpha_bar_t) in v and of -d sqrt((1 - alpha_bar_t) / alpha_bar_t) in x_0. So
    the losses are L_v = L_eps / alpha_bar_t and L_x0 = L_eps / SNR_t.
    """
    signal, noise, signals, noises = _level(schedule, t, x_0=x_0, eps=eps)
    v: Array = signal * noises - noise * signals
    return v


def x0_from_v(schedule: Schedule, x_t: ArrayLike, t: Steps, v: ArrayLike) -> Array:
    """The signal from x_t and v (E24).

    x_0 = sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v

    It is defined even where alpha_bar_t is 0.
    """
    signal, noise, x_t, v = _level(schedule, t, x_t=x_t, v=v)
    return signal * x_t - noise * v


def eps_from_v(schedule: Schedule, x_t: ArrayLike, t: Steps, v: ArrayLike) -> Array:
    """The noise from x_t and v (E24).

    eps = sqrt(1 - alpha_bar_t) x_t + sqrt(alpha_bar_t) v
    """
    signal, noise, x_t, v = _level(schedule, t, x_t=x_t, v=v)
    return noise * x_t + signal * v


def _level(schedule: Schedule, t: Steps, **arrays: ArrayLike) -> tuple[Array, ...]:
    """sqrt(alpha_bar_t), sqrt(1 - alpha_bar_t), both shaped for rows, and the checked arrays."""
    checked = check_same_dim(**arrays)
    t = check_steps("t", t, 1, of=schedule, batch=batch_of(*checked))
    tables = schedule.alpha_bar, schedule.one_minus_alpha_bar
    return (*(per_row(np.sqrt(table[t]), checked[0].dtype) for table in tables), *checked)


# ---- the scalar kernels of a Gaussian along one axis --------------------------------------------
#
# x = sqrt(kept) x_0 + sqrt(noise) eps, where x_0 has the given variance along the axis and eps has
# variance 1. The kernels check nothing and run on floats, arrays and exact numbers. That they are
# Bayes' rule is proved in ddpm_np.proof.identities.gaussian.


def marginal_variance(kept: Any, noise: Any, variance: Any) -> Any:
    """The variance of x along the axis (E5).

    v_x = kept variance + noise
    """
    return kept * variance + noise


def eps_star_gain(kept: Any, noise: Any, variance: Any) -> Any:
    """What eps_star = E[eps | x] gains per unit of x - E[x] (E24).

    gain = sqrt(noise) / (kept variance + noise)
    """
    return np.sqrt(noise) / marginal_variance(kept, noise, variance)


def bayes_floor(kept: Any, noise: Any, variance: Any) -> Any:
    """Var[eps | x], the variance of eps that x does not explain (E25).

    floor = kept variance / (kept variance + noise)
    """
    return kept * variance / marginal_variance(kept, noise, variance)


def variance_from_loss(
    alpha_t: Any, beta_t: Any, one_minus_alpha_bar_t: Any, beta_tilde_t: Any, loss: Any
) -> Any:
    """The reverse variance that goes with an eps-error (E25).

    variance_t = beta_tilde_t + beta_t^2 / (alpha_t (1 - alpha_bar_t)) loss
    """
    return beta_tilde_t + mean_eps_coef(alpha_t, beta_t, one_minus_alpha_bar_t) ** 2 * loss


# ---- the ideal denoiser -------------------------------------------------------------------------


class IdealDenoiser:
    r"""(x_t, t) -> eps_star = E[eps | x_t], the best prediction there is (E24).

    eps_star = E(eps | x_t) = -sqrt(1 - alpha_bar_t) grad ln(q_t(x_t))

    For a Gaussian with axes v_i, variances lambda_i and mean m it is a gain per axis:

    eps_star = sum_i(sqrt(1 - alpha_bar_t) / (alpha_bar_t lambda_i + 1 - alpha_bar_t)
                     v_i v_i^T (x_t - sqrt(alpha_bar_t) m))

    It is a denoiser like any other: :mod:`ddpm_np.sampling` takes it in place of a network.
    x_t: (..., dim); t: an int or an integer array, 1 <= t <= T, that broadcasts against the batch.
    Computed in float64, returned in the dtype of x_t.

    From: the score of the distribution, diffused (E5, E6). Source: Tweedie's formula; Vincent 2011.

    >>> denoiser = IdealDenoiser(Gaussian([0.0], [[1.0]]), Schedule.from_beta([0.36]))
    >>> denoiser([[2.0]], 1)
    array([[1.2]])
    """

    def __init__(self, distribution: Distribution, schedule: Schedule) -> None:
        check_methods("distribution", distribution, "noised", "dim")
        self.schedule = check_instance("schedule", schedule, Schedule)
        self.distribution, self.dim = distribution, distribution.dim

    def __repr__(self) -> str:
        return f"IdealDenoiser({self.distribution!r}, {self.schedule!r})"

    def __call__(self, x_t: ArrayLike, t: Steps) -> Array:
        """eps_star at the given steps; each row of x_t may have its own."""
        x_t = self._points(x_t, "x_t")
        t = check_steps("t", t, 1, self.schedule.T, batch=x_t.shape[:-1])
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

        (alpha_bar, 1 - alpha_bar) is a level between the steps. (1, sigma^2) is the same level in
        the coordinates of the probability flow, x_t / sqrt(alpha_bar_t), where sigma^2 is
        (1 - alpha_bar_t) / alpha_bar_t. There are two numbers so that neither is 1 minus the
        other, rounded.
        """
        x = self._points(x)
        return self._eps_star(
            x, check_positive("kept", kept, zero=True), check_positive("noise", noise)
        )

    def divergence(self, x: ArrayLike, kept: float, noise: float) -> Array:
        """The trace of the Jacobian of :meth:`at` with respect to x, (...,) float64.

        It is the same at every x for a Gaussian.
        """
        noised = self.distribution.noised(
            check_positive("kept", kept, zero=True), check_positive("noise", noise)
        )
        divergence: Array = -np.sqrt(noise) * noised.divergence(x)
        return divergence

    def _eps_star(self, x: Array, kept: Any, noise: Any) -> Array:
        distribution: Distribution = self.distribution
        eps_star: Array
        if not isinstance(distribution, Gaussian):
            score = distribution.noised(kept, noise).score(x.astype(np.float64))
            eps_star = -np.sqrt(noise) * score
            return eps_star.astype(x.dtype)
        dtype = np.result_type(x.dtype, np.float64)
        kept, noise = per_row(kept, dtype), per_row(noise, dtype)
        gain = eps_star_gain(kept, noise, distribution.levels)
        eps_star = distribution.apply(x - np.sqrt(kept) * distribution.mean, gain)
        return eps_star.astype(x.dtype, copy=False)

    def _points(self, x: ArrayLike, name: str = "x") -> Array:
        """Points (..., dim) of float32 or float64; of exact numbers if the distribution's are."""
        exact = np.asarray(self.distribution.mean).dtype == object
        return checked_points(x, self.dim, name, exact=exact)


# ---- its loss -----------------------------------------------------------------------------------


def optimal_loss(distribution: Gaussian, schedule: Schedule) -> NDArray[np.float64]:
    """The Bayes floor: the least mean squared eps-error per dimension of any denoiser (E25).

    floor_t = mean_i(alpha_bar_t lambda_i / (alpha_bar_t lambda_i + 1 - alpha_bar_t))

    From: E24; it is tr Cov[eps | x_t] / dim. Along an axis of variance lambda, eps and x_t are
    jointly Gaussian with covariance sqrt(1 - alpha_bar_t). So x_t leaves 1 - (1 - alpha_bar_t) /
    (alpha_bar_t lambda + 1 - alpha_bar_t) of the variance of eps.

    Returns (T + 1,), index t. Entry 0 is NaN: there is no noise to predict. The floor is 0 for a
    :class:`PointMass`. TypeError for other than Gaussians, which have no closed form;
    :func:`estimate_floor` serves those.
    """
    if not isinstance(distribution, Gaussian):
        raise TypeError(
            "distribution must be a Gaussian for the closed form, "
            f"got {type(distribution).__name__}"
        )
    check_instance("schedule", schedule, Schedule)
    kept, noise = schedule.alpha_bar[1:, None], schedule.one_minus_alpha_bar[1:, None]
    of_levels = bayes_floor(kept, noise, distribution.levels)
    return np.append(np.nan, of_levels @ distribution.counts / distribution.dim)


def estimate_loss(
    denoiser: Denoiser,
    distribution: Distribution,
    schedule: Schedule,
    *,
    n: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean squared eps-error per dimension of any denoiser, simulated (E15, E25).

    n draws of (x_0, eps) at each t, so that the entries are independent; n at least 2. In the
    denoiser's ``dtype`` if it has one.

    Returns the error and its standard error, each (T + 1,), index t, entry 0 NaN.
    """

    def loss(x_t: Array, t: int, eps: Array, eps_hat: Array) -> tuple[Array]:
        return (_mean_square(eps_hat - eps),)

    ((mean, error),) = _estimate(denoiser, distribution, schedule, n, rng, loss)
    return mean, error


def estimate_floor(
    distribution: Distribution, schedule: Schedule, *, n: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Bayes floor of any distribution, by simulation, and its standard error (E25).

    floor_t = E|eps - eps_star|^2 / dim = 1 - sqrt(1 - alpha_bar_t) E[div eps_star(x_t)] / dim

    From: eps_star is a conditional mean (E24), so E|eps - eps_star|^2 = E|eps|^2 - E|eps_star|^2
    and E|eps_star|^2 = E[eps . eps_star]. Given x_0, x_t moves with eps at the rate
    sqrt(1 - alpha_bar_t), and Stein's lemma, E[eps f(eps)] = E[f'(eps)] for a standard normal eps,
    gives E[eps . eps_star] = sqrt(1 - alpha_bar_t) E[div eps_star]. For a Gaussian the divergence
    is the same at every x_t, so that two draws give the floor to a few eps; elsewhere it
    scatters little where x_t tells nearly all that can be known of x_0.

    n draws of x_t at each t, at least 2. Returns two (T + 1,) arrays, index t, entry 0 NaN.
    Source: Stein 1981.
    """
    n, rng = check_count("n", n, low=2), check_generator(rng)
    ideal = IdealDenoiser(distribution, schedule)
    floor, error = np.full((2, schedule.T + 1), np.nan)
    for t in range(1, schedule.T + 1):
        left = _left(ideal, distribution.diffuse(schedule, t).sample(n, rng=rng), t)
        floor[t], error[t] = left.mean(), left.std(ddof=1) / np.sqrt(n)
    return floor, error


class Losses(NamedTuple):
    """The floor, a denoiser's loss, and its excess over the floor, with their standard errors.

    Each (T + 1,), index t, entry 0 NaN. The loss is floor + excess up to the scatter of both.
    """

    floor: Array
    floor_error: Array
    loss: Array
    loss_error: Array
    excess: Array
    excess_error: Array


def estimate_losses(
    denoiser: Denoiser,
    distribution: Distribution,
    schedule: Schedule,
    *,
    n: int,
    rng: np.random.Generator,
) -> Losses:
    """What a denoiser has learned at each t, simulated: its loss, the floor, the excess (E25).

    loss_t = E|eps_hat - eps|^2 / dim,    excess_t = E|eps_hat - eps_star|^2 / dim

    From: E|eps - eps_hat|^2 = E|eps - eps_star|^2 + E|eps_star - eps_hat|^2, because eps - eps_star
    has mean 0 given x_t. The excess is estimated from the second term, whose fluctuations are as
    small as the term itself; in the difference of two losses it would drown in the first. The floor
    is :func:`optimal_loss` for a Gaussian, else that of :func:`estimate_floor` on the same draws.

    n draws of (x_0, eps) at each t, at least 2, in the denoiser's ``dtype`` if it has one.
    """
    ideal = IdealDenoiser(distribution, schedule)
    gaussian = isinstance(distribution, Gaussian)

    def measure(x_t: Array, t: int, eps: Array, eps_hat: Array) -> tuple[Array, ...]:
        left = np.zeros(2) if gaussian else _left(ideal, x_t, t)
        return left, _mean_square(eps_hat - eps), _mean_square(eps_hat - ideal(x_t, t))

    (floor, error), *others = _estimate(denoiser, distribution, schedule, n, rng, measure)
    if isinstance(distribution, Gaussian):
        floor = optimal_loss(distribution, schedule)
    return Losses(floor, error, *others[0], *others[1])


def estimate_excess(
    denoiser: Denoiser,
    distribution: Distribution,
    schedule: Schedule,
    *,
    n: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """What a denoiser's loss has above the floor, as a fraction of the floor, simulated (E25).

    excess = mean_t E|eps_hat - eps_star|^2 / (dim mean_t floor_t)

    From: the excess and the floor of :func:`estimate_losses`.

    n draws at each t, at least 2. Returns the excess and its standard error. ValueError where the
    floor is 0 (:class:`PointMass`).
    """
    found = estimate_losses(denoiser, distribution, schedule, n=n, rng=rng)
    floor = found.floor[1:].mean()
    if floor == 0:
        raise ValueError(
            "distribution must have a floor above 0 for an excess over it, got one without variance"
        )
    excess = float(found.excess[1:].mean() / floor)
    errors = np.hypot(found.excess_error, excess * found.floor_error)[1:] / schedule.T / floor
    return excess, float(np.sqrt(np.square(errors).sum()))


def _estimate(
    denoiser: Denoiser,
    distribution: Distribution,
    schedule: Schedule,
    n: int,
    rng: np.random.Generator,
    measure: Callable[[Array, int, Array, Array], tuple[Array, ...]],
) -> list[tuple[Array, Array]]:
    """For each number that ``measure`` returns: its mean and standard error at each t.

    It is called with x_t, t, eps and eps_hat, and gives an array of independent values for each.
    """
    n, rng = check_count("n", n, low=2), check_generator(rng)
    check_function("denoiser", denoiser)
    check_fits("denoiser", denoiser, check_instance("schedule", schedule, Schedule))
    check_methods("distribution", distribution, "dim", "sample")
    dim, dtype = distribution.dim, np.dtype(getattr(denoiser, "dtype", np.float64))
    own_dim = getattr(denoiser, "dim", dim)
    if own_dim != dim:
        raise ValueError(
            f"denoiser and distribution must have the same dim, got {own_dim} and {dim}"
        )
    steps = []
    for t in range(1, schedule.T + 1):
        x_0 = distribution.sample(n, rng=rng, dtype=dtype)
        eps = rng.standard_normal((n, dim), dtype)
        x_t = q_sample(schedule, x_0, t, eps)
        values = measure(x_t, t, eps, check_prediction(denoiser(x_t, t), x_t))
        steps.append([(v.mean(), v.std(ddof=1) / np.sqrt(len(v))) for v in values])
    tables = np.pad(
        np.transpose(steps, (1, 2, 0)), ((0, 0), (0, 0), (1, 0)), constant_values=np.nan
    )
    return [(mean, error) for mean, error in tables]


def _mean_square(difference: Array) -> Array:
    return np.square(difference, dtype=np.float64).mean(1)


def _left(ideal: IdealDenoiser, x_t: Array, t: int) -> Array:
    """What each x_t leaves of the variance of eps, (n,), whose mean is the floor."""
    kept, noise = ideal.schedule.alpha_bar[t], ideal.schedule.one_minus_alpha_bar[t]
    divergence = np.broadcast_to(ideal.divergence(x_t, kept, noise), len(x_t))
    return 1 - np.sqrt(noise) * divergence / ideal.dim


def optimal_variance(distribution: Gaussian, schedule: Schedule) -> NDArray[np.float64]:
    """The best variance of an isotropic reverse step with the ideal mean (E25).

    sigma_t^2 = beta_tilde_t + beta_t^2 / (alpha_t (1 - alpha_bar_t)) floor_t,
    floor_t = mean_i(alpha_bar_t lambda_i / (alpha_bar_t lambda_i + 1 - alpha_bar_t))

    It is tr Cov[x_{t-1} | x_t] / dim, averaged over x_t.

    From: the law of total variance. Given x_t, the mean of q(x_{t-1} | x_t, x_0) spreads as x_0
    does, or, in the eps form (E14), as eps does, whose variance per dimension is floor_t (E25).
    That is added to beta_tilde_t (E11). Among the isotropic Gaussians this is the one of least KL
    from the true q(x_{t-1} | x_t), step by step. For a Gaussian it equals mean_i beta_t v_i(t-1) /
    v_i(t) with v_i(t) = alpha_bar_t lambda_i + 1 - alpha_bar_t, the mean of the true kernel's
    variances (E26).

    Source: Bao et al. 2022 (Analytic-DPM), theorem 1.
    Returns (T + 1,), index t, entry 0: 0. Entry 1 is tr Cov[x_0 | x_1] / dim, above 0 unless x_0 is
    known. TypeError for other than Gaussians; there, put an estimated floor into
    :func:`variance_from_loss`.
    """
    floor = optimal_loss(distribution, schedule)
    tables = (
        schedule.alpha,
        schedule.beta,
        schedule.one_minus_alpha_bar,
        schedule.beta_tilde,
        floor,
    )
    return np.append(0.0, variance_from_loss(*(table[1:] for table in tables)))
