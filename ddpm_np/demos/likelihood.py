"""Maximum likelihood as KL, P(x) as an integral, and the diffusion bound (E28 to E32)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, computed, mean_and_error, sampled
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
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

LATENT = (1, 2, 5, 10, 20, 50)
NOISE_STD = 0.3  # standard deviation of the decoder's noise, and of the ensemble's white part

Estimates = dict[str, tuple[Array, Array]]


class Drawn(NamedTuple):
    latents: Array  # of the model fitted
    nll: tuple[Array, Array]  # of fitted models: mean over the data, standard error
    kl: Array
    entropy: float
    dims: Array
    estimates: Estimates  # log p estimated minus exact: value, standard error that is claimed
    gaps: dict[str, float]  # the bound minus the entropy, by reverse variance


def show(*, rng: np.random.Generator, n: int = 2000, draws: int = 10_000) -> Shown:
    """The numbers. n: signals of the data; draws: of z, for each estimate of an integral."""
    ensemble = MultiSine(FREQUENCIES, noise=NOISE_STD)
    x = ensemble.sample(n, rng=rng)
    latents = np.arange(1, 13)
    models = [ppca(ensemble.mean, ensemble.cov, int(k)).marginal for k in latents]
    losses = np.array([nll(model, x) for model in models])
    kl = np.array([kl_divergence(ensemble, model) for model in models])
    exact = ensemble.entropy + kl
    fitted = tuple(np.array([mean_and_error(loss) for loss in losses]).T)
    what = "-ln p of the data, PPCA, latents: {}; H + KL"
    rows = [sampled(what.format(k), losses[k - 1], exact[k - 1]) for k in (1, 4, 10)]
    what = "... KL left with 10 latents, as many as the signals have"
    rows.append(computed(what, kl[9], 0.0))
    integrals, estimates = _integrals(draws, rng)
    bounds, gaps = _bounds(ensemble, n // 10, rng)
    drawn = Drawn(latents, fitted, kl, ensemble.entropy, np.array(LATENT), estimates, gaps)
    return Shown([*rows, *integrals, *bounds], drawn)


def _integrals(draws: int, rng: np.random.Generator) -> tuple[list[Measurement], Estimates]:
    """p(x) = integral of p(z) p(x | z) for linear decoders, four ways."""
    rows: list[Measurement] = []
    found: dict[str, list[tuple[float, float]]] = {"naive mean": [], "importance sampling": []}
    for k in LATENT:
        decoder = LinearDecoder(rng.standard_normal((k, k)), np.zeros(k), NOISE_STD)
        point = decoder.marginal.sample(1, rng=rng)[0]
        exact = float(decoder.marginal.logpdf(point))
        if k <= 2:
            value = quadrature(decoder, point, NOISE_STD, k)
            rows.append(computed(f"ln p(x), latents: {k}, quadrature", value, exact))
        naive = naive_monte_carlo(decoder, point, NOISE_STD, k, n=draws, rng=rng)
        proposal = decoder.posterior(point, broaden=1.2)
        weighted = importance_sampling(decoder, point, NOISE_STD, proposal, n=draws, rng=rng)
        for name, evidence in (("naive mean", naive), ("importance sampling", weighted)):
            found[name].append((evidence.log_p - exact, evidence.standard_error))
        if k in (1, 10, 50):
            what = f"ln p(x), latents: {k}, naive mean over {draws} draws"
            trusted = naive.standard_error if k == 1 else None
            error = weighted.standard_error
            rows += [
                Measurement(what, naive.log_p, exact, trusted),
                Measurement("... importance sampling", weighted.log_p, exact, error),
                Measurement("... share of naive draws that count", naive.effective_draws / draws),
            ]
        if k == 1:
            hits = zero_one(decoder, point, k, n=draws, rng=rng)
            rows.append(computed("ln p(x) by the 0/1 decoder: share of hits", hits, 0.0))
    estimates = {name: tuple(np.array(pairs).T) for name, pairs in found.items()}
    return rows, estimates


def _bounds(
    ensemble: MultiSine, n: int, rng: np.random.Generator
) -> tuple[list[Measurement], dict[str, float]]:
    """The diffusion bound minus the entropy for three reverse variances, and once simulated."""
    schedule = Schedule.sigmoid(100, beta_min=1e-5)
    ideal = IdealDenoiser(ensemble, schedule)
    gaps = {
        name: vlb_terms(ideal, ensemble, schedule, variance=v).total - ensemble.entropy
        for name, v in (("beta_tilde", "posterior"), ("beta", "beta"), ("true kernel", "kernel"))
    }
    white = Gaussian(ensemble.mean, np.eye(ensemble.dim))
    start = kl_divergence(ensemble.diffuse(schedule, schedule.T), white)
    # Wrapped, the ideal denoiser is one like any other, so its bound is simulated.
    simulated = vlb_terms(lambda x_t, t: ideal(x_t, t), ensemble, schedule, n=n, rng=rng)
    total, exact = simulated.total, gaps["beta_tilde"] + ensemble.entropy
    return [
        Measurement("entropy of the data in nats", ensemble.entropy),
        Measurement("diffusion bound above it, beta_tilde", gaps["beta_tilde"]),
        Measurement("... beta", gaps["beta"]),
        computed("... true reverse kernel; KL(q(x_T) || N(0, I))", gaps["true kernel"], start),
        Measurement("the bound, beta_tilde, simulated", total, exact, simulated.standard_error),
    ], gaps


def draw(drawn: Drawn) -> style.Figure:
    """The likelihood of fitted models, the error of estimates, and what the bound loses."""
    figure, axes = style.new_figure(
        1, 3, "Likelihood: the fit, the integral and the bound", panel=(3.4, 2.9)
    )
    fitted, integral, bound = axes[0]
    fitted.plot(drawn.latents, drawn.entropy + drawn.kl, color=style.EXACT)
    nll, error = drawn.nll
    style.measured(fitted, drawn.latents, nll, error)
    fitted.axhline(drawn.entropy, color=style.EXACT, lw=1, ls="--")
    fitted.set_ylim(20, 88)
    last = drawn.latents[-1]
    style.name_line(fitted, last, drawn.entropy - 5, "entropy of the data", style.EXACT, ha="right")
    style.name_line(fitted, 4.3, 64, "entropy + KL, exact", style.EXACT)
    style.name_line(fitted, 4.3, 70, "mean of $-\\ln p$ over the data", style.LEARNED)
    style.label(fitted, "latents of the linear decoder", "nats", "The best fit has the least KL")
    for (which, (off, error)), colour, marker in zip(
        drawn.estimates.items(), (style.WRONG, style.LEARNED), "os"
    ):
        integral.plot(drawn.dims, np.abs(off), marker + "-", color=colour, label=which)
        integral.plot(drawn.dims, error, ":", color=colour, lw=1.2)
    integral.plot([], [], ":", color=style.WRONG, lw=1.2, label="error that is claimed")
    integral.set(yscale="log", ylim=(1e-6, 1e7))
    integral.minorticks_off()
    style.log_ticks(integral, "x", drawn.dims)
    title = "A naive mean is confidently wrong"
    style.label(integral, "number of latents", "error of $\\ln p(x)$ in nats", title)
    style.legend(integral, loc="upper left")
    names = [r"$\tilde\beta_t$", r"$\beta_t$", "true\nkernel"]
    for place, (gap, colour) in enumerate(
        zip(drawn.gaps.values(), (style.SKY, style.ORANGE, style.GREEN))
    ):
        bound.plot(gap, place, "o", color=colour, ms=9)
        style.name_line(bound, gap, place - 0.2, f"{gap:.2g}", style.DATA, ha="center")
    bound.set(xlim=(1e-3, 200), ylim=(2.4, -0.6))
    style.plain_log(bound, "x")
    bound.set_yticks(range(3), names)
    what = "variance of the reverse step"
    style.label(bound, "nats above the entropy", what, "The true kernel closes the bound")
    return figure
