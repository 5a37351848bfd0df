"""Maximum likelihood as KL, P(x) as an integral, and the diffusion bound (E28 to E32)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Gaussian, kl_divergence
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.latent import (
    LinearDecoder,
    importance_sampling,
    naive_monte_carlo,
    ppca,
    quadrature,
    zero_one,
)
from ddpm_np.closed_form.likelihood import nll, vlb_terms
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.table import Row, Shown, sampled
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

NOTE = 'N4 "如何衡量生成图像满足的分布与真实分布的差距？", "如何计算 P(X=x_i)", and N2 "何为扩散模型" (the fourth advantage)'
LATENT = (1, 2, 5, 10, 20, 50)
NOISE = 0.3  # standard deviation of the decoder, and of the ensemble's white part


class Drawn(NamedTuple):
    latents: Array  # of the model fitted
    nll: tuple[Array, Array]  # of fitted models: mean over the data, standard error
    kl: Array
    entropy: float
    dims: Array
    estimates: dict[str, tuple[Array, Array]]  # log p estimated minus exact: value, standard error that the estimate claims
    gaps: dict[str, float]  # the bound minus the entropy, by reverse variance


def show(*, rng: np.random.Generator, n: int = 2000, draws: int = 10_000) -> Shown:
    ensemble = MultiSine(FREQUENCIES, noise=NOISE)
    x = ensemble.sample(n, rng=rng)
    rows = []
    latents = np.arange(1, 13)
    models = [ppca(ensemble.mean, ensemble.cov, int(k)).marginal for k in latents]
    losses = np.array([nll(model, x) for model in models])
    kl = np.array([kl_divergence(ensemble, model) for model in models])
    errors = losses.std(axis=1, ddof=1) / np.sqrt(n)
    for k in (1, 4, 10):
        rows.append(sampled(f"-ln p of the data, PPCA, latents: {k}; H + KL", losses[k - 1], ensemble.entropy + kl[k - 1]))
    rows.append(Row("... KL left with 10 latents, as many as the signals have", float(kl[9]), 0.0, 0.0))

    estimates: dict[str, list[tuple[float, float]]] = {"naive mean": [], "importance sampling": []}
    for k in LATENT:
        decoder = LinearDecoder(rng.standard_normal((k, k)), np.zeros(k), NOISE)
        point = decoder.marginal.sample(1, rng=rng)[0]
        exact = float(decoder.marginal.logpdf(point))
        if k <= 2:
            rows.append(Row(f"ln p(x), latents: {k}, quadrature", quadrature(decoder, point, NOISE, k), exact, 0.0))
        naive = naive_monte_carlo(decoder, point, NOISE, k, n=draws, rng=rng)
        weighted = importance_sampling(decoder, point, NOISE, decoder.posterior(point, broaden=1.2), n=draws, rng=rng)
        for name, evidence in (("naive mean", naive), ("importance sampling", weighted)):
            estimates[name].append((evidence.log_p - exact, evidence.standard_error))
        if k in (1, 10, 50):
            trusted = naive.standard_error if k == 1 else None
            rows.append(Row(f"ln p(x), latents: {k}, naive mean over {draws} draws", naive.log_p, exact, trusted))
            rows.append(Row("... importance sampling", weighted.log_p, exact, weighted.standard_error))
            rows.append(Row("... share of naive draws that count", naive.effective_draws / draws))
        if k == 1:
            rows.append(Row("ln p(x) by the 0/1 decoder: share of hits", zero_one(decoder, point, k, n=draws, rng=rng), 0.0, 0.0))

    schedule = Schedule.sigmoid(100, beta_min=1e-5)
    ideal = IdealDenoiser(ensemble, schedule)
    gaps = {name: vlb_terms(ideal, ensemble, schedule, variance=v).total - ensemble.entropy
            for name, v in (("beta_tilde", "posterior"), ("beta", "beta"), ("true kernel", "kernel"))}
    start = kl_divergence(ensemble.diffuse(schedule, schedule.T), Gaussian(ensemble.mean, np.eye(ensemble.dim)))
    # Wrapped, the ideal denoiser is one like any other, and its bound is simulated.
    simulated = vlb_terms(lambda x_t, t: ideal(x_t, t), ensemble, schedule, n=n // 10, rng=rng)
    rows += [
        Row("entropy of the data in nats", ensemble.entropy),
        Row("diffusion bound above it, beta_tilde", gaps["beta_tilde"]),
        Row("... beta", gaps["beta"]),
        Row("... true reverse kernel; KL(q(x_T) || N(0, I))", gaps["true kernel"], start, 0.0),
        Row("the bound, beta_tilde, simulated", simulated.total, gaps["beta_tilde"] + ensemble.entropy, simulated.standard_error),
    ]
    notice = (
        "The mean of -ln p over the data is H + KL, so maximising likelihood minimises KL. The integral P(x) is easy for few "
        "latents; in many, a naive mean is confidently wrong. The diffusion bound needs no integral, and with the true kernels it "
        "is tight up to the start."
    )
    dims = {name: (np.array([v for v, _ in pairs]), np.array([e for _, e in pairs])) for name, pairs in estimates.items()}
    return Shown(rows, notice, Drawn(latents, (losses.mean(axis=1), errors), kl, ensemble.entropy, np.array(LATENT), dims, gaps))
