"""The density multiplied by another: signals given what was measured of them (E24, E26).

The third advantage of diffusion models in the notes is that their density is easily multiplied by a
second one, "e.g. in order to compute a posterior" (N2 "何为扩散模型"). Here the second one is a
measurement, y = x_0[observed] + noise z: all samples and some noise make it denoising, few samples
and little noise make it filling in. In log space a product is a sum, so the score of the product at
step t is the chain's own plus the gradient of ln p(y | x_t); :class:`GuidedDenoiser` adds it. For a
Gaussian prior the product itself is known (:func:`condition`), and p(y | x_t) too, so that the
guided sampler can be compared with what it should do.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import (
    Array,
    check_choice,
    check_instance,
    check_positive,
    check_step,
    check_steps,
)
from ddpm_np.closed_form.arguments import ReadOnly, checked_points, float_array, frozen
from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.closed_form.ideal import eps_star_gain, marginal_variance
from ddpm_np.schedule import Schedule


def condition(prior: Gaussian, observed: ArrayLike, y: ArrayLike, *, noise: float) -> Gaussian:
    """The exact posterior p(x_0 | y) for y = x_0[observed] + noise z and a Gaussian prior N(m, C).

    mean = m + C A^T S^{-1} (y - A m),    cov = C - C A^T S^{-1} A C,    S = A C A^T + noise^2 I,

    with A the rows of I that are observed. Formed from a factor of C, without the difference, so
    that no variance is negative.

    From: the product of two Gaussians. Source: N2 "何为扩散模型", advantage 3. prior: its C may be
    singular, but not 0. observed: (k,) distinct indices; y: (k,); noise > 0, a standard deviation.
    """
    index, y, noise = _measurement(prior, observed, y, noise)
    moved, left = _told(prior.root, index, y - prior.mean[index], noise)
    return Gaussian.from_factor(prior.mean + moved, left)


class GuidedDenoiser(ReadOnly):
    """A denoiser of p(x_0) turned into one of p(x_0 | y), by adding a gradient (E24).

    eps_hat(x_t, t) = eps_star(x_t, t) - sqrt(1 - alpha_bar_t) grad ln p(y | x_t),
    p(y | x_t) = N(y; A x0_hat, A P A^T + noise^2 I),    x0_hat = E[x_0 | x_t],  P = Cov[x_0 | x_t].

    ``spread`` says what P is taken to be. "exact": the true one, and eps_hat is then the ideal
    denoiser of the exact posterior. "identity": (1 - alpha_bar_t) I, which is true for white data
    of variance 1 and is used when only x0_hat is known.

    From: E24, the score of a product. Source: N2 "何为扩散模型", advantage 3; Song et al. 2023
    (pseudoinverse-guided diffusion) for "identity".
    Arguments as for :func:`condition`; called with x_t (..., dim) and a single t in 1..T, it
    returns eps_hat (..., dim) in float64.
    """

    def __init__(
        self,
        prior: Gaussian,
        schedule: Schedule,
        observed: ArrayLike,
        y: ArrayLike,
        *,
        noise: float,
        spread: str = "exact",
    ) -> None:
        check_choice("spread", spread, "exact", "identity")
        self.observed, self.y, self.noise = _measurement(prior, observed, y, noise)
        self.schedule = check_instance("schedule", schedule, Schedule)
        self.prior, self.spread, self.dim = prior, spread, prior.dim

    def __call__(self, x_t: Array, t: int) -> NDArray[np.float64]:
        """eps_hat(x_t, t)."""
        t, prior = check_step("t", t, 1, self.schedule.T), self.prior
        x_t = checked_points(x_t, self.dim, "x_t")
        kept, rest = self.schedule.alpha_bar[t], self.schedule.one_minus_alpha_bar[t]
        away = x_t - np.sqrt(kept) * prior.mean
        total = marginal_variance(kept, rest, prior.levels)
        eps_star = prior.apply(away, eps_star_gain(kept, rest, prior.levels))
        # x_0 given x_t: its mean, whose Jacobian on the axes is the gain, and its spread P
        gain = np.sqrt(kept) * (prior.levels / total)
        missed = self.y - (prior.mean + prior.apply(away, gain))[..., self.observed]
        if self.spread == "exact":
            root = prior.on_same_axes(prior.mean, prior.levels * (rest / total)).root
            # moved = P A^T S^-1 missed, and the Jacobian is P sqrt(alpha_bar_t) / rest
            moved, _ = _told(root, self.observed, missed, self.noise)
            return np.asarray(eps_star - np.sqrt(kept) / np.sqrt(rest) * moved)
        pull = np.zeros((*missed.shape[:-1], self.dim))
        size = np.hypot(np.sqrt(rest), self.noise)  # whose square may be no float
        pull[..., self.observed] = missed / size / size
        return np.asarray(eps_star - np.sqrt(rest) * prior.apply(pull, gain))


def _told(root: Array, observed: Array, missed: Array, noise: float) -> tuple[Array, Array]:
    """What missed = (u root)[observed] + noise z tells of u root, u ~ N(0, I).

    Its mean, (..., dim), and a factor of the covariance that is left, (rank, dim). From singular
    values, so that neither S = root^T root + noise^2 I nor a square of a small noise is formed.
    """
    told = root[:, observed]
    U, s, rows = np.linalg.svd(told.T)
    s = np.where(s > max(told.shape) * np.finfo(float).eps * s.max(initial=0.0), s, 0.0)
    size, k = np.hypot(s, noise), len(s)
    left = rows @ root
    scaled, kept = left[:k] / size[:, None], (noise / size)[:, None]
    left[:k] = np.where(kept > 1e-150, left[:k] * kept, scaled * noise)  # neither may vanish
    return (missed @ U[:, :k]) * (s / size) @ scaled, left


def _measurement(
    prior: Gaussian, observed: ArrayLike, y: ArrayLike, noise: float
) -> tuple[NDArray[np.intp], NDArray[np.float64], float]:
    if check_instance("prior", prior, Gaussian).rank == 0:
        raise ValueError(f"prior must be a Gaussian that varies, got {prior!r}")
    index = np.atleast_1d(np.asarray(check_steps("observed", observed, 0, prior.dim - 1)))
    if index.ndim != 1 or len(set(index.tolist())) != len(index):
        raise ValueError("observed must be a list of different indices")
    y = frozen(float_array("y", y, ndim=1))
    if len(y) != len(index):
        numbers = f"{len(y)} for {len(index)}"
        raise ValueError(f"y must have one value for each observed index, got {numbers}")
    return frozen(index.copy()), y, check_positive("noise", noise)
