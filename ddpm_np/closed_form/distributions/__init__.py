"""Distributions of the signal, closed under diffusion, and the distances between them.

The Gaussian stands in :mod:`ddpm_np.closed_form.gaussian`, since the signals need no other. Each
distribution has in closed form its density, its score, and the distribution of x_t (E5, E6):

    .dim, .mean, .cov, .has_density, .sample(n, *, rng), .logpdf(x), .score(x), .divergence(x),
    .diffuse(schedule, t), .noised(kept, noise).

:mod:`ddpm_np.signals` adds the multi-sine ensemble; :mod:`ddpm_np.closed_form.ideal` turns scores
into denoisers.
"""

from ddpm_np.closed_form.distribution import Distribution
from ddpm_np.closed_form.distributions.distances import kl_divergence, wasserstein2
from ddpm_np.closed_form.distributions.empirical import Empirical
from ddpm_np.closed_form.distributions.mixtures import GaussianMixture
from ddpm_np.closed_form.distributions.rings import Rings
from ddpm_np.closed_form.gaussian import Gaussian, PointMass

__all__ = [
    "Distribution",
    "Empirical",
    "Gaussian",
    "GaussianMixture",
    "PointMass",
    "Rings",
    "kl_divergence",
    "wasserstein2",
]
