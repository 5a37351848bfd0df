"""A signal on its way into noise, and signals on their way out of it (E1, E6, E17)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, sampled
from ddpm_np.closed_form.distributions import Empirical
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.learned import SCHEDULE, trained_on
from ddpm_np.forward import q_step
from ddpm_np.sampling import ancestral_sample
from ddpm_np.signals import MultiSine

SHOWN = (25, 50, 100)  # steps whose distribution of values is drawn


class Drawn(NamedTuple):
    into: Array  # (T + 1, dim), x_t at index t
    out: dict[str, Array]  # the same for each denoiser, from the same noise
    values: dict[int, Array]  # the density of all values of x_t, given the signal
    grid: Array


def show(
    *, rng: np.random.Generator, n: int = 500, signals: int = 20_000, steps: int = 3000
) -> Shown:
    """The numbers. n: chains of each kind; signals: to learn from; steps: of training."""
    ensemble, T = MultiSine(FREQUENCIES), SCHEDULE.T
    curve, dim = ensemble.sample(1, rng=rng)[0], ensemble.dim
    into = [np.broadcast_to(curve, (n, dim))]
    for t in range(1, T + 1):
        into.append(q_step(SCHEDULE, into[-1], t, rng.standard_normal((n, dim))))
    rows = []
    for t in SHOWN:
        exact = SCHEDULE.alpha_bar[t] * curve @ curve / dim + SCHEDULE.one_minus_alpha_bar[t]
        square = np.square(into[t]).mean(axis=1)
        rows.append(sampled(f"mean square of x_{t}, given the signal", square, exact))
    skip = np.sqrt(SCHEDULE.one_minus_alpha_bar)
    learned = trained_on(ensemble.sample(signals, rng=rng), skip=skip, steps=steps, rng=rng)
    ideal = IdealDenoiser(ensemble, SCHEDULE)
    seed, paths = int(rng.integers(2**63)), {}
    for name, denoiser in (("network", learned), ("ideal denoiser", ideal)):
        noise = np.random.default_rng(seed)  # the same for both
        paths[name] = ancestral_sample(
            denoiser, SCHEDULE, n, dim, rng=noise, trajectory=True, dtype=np.float64
        )
    exact = np.trace(sampler_distribution(ensemble, SCHEDULE).cov) / dim
    for name, path in paths.items():
        square = np.square(path[0]).mean(axis=1)
        trusted = float(exact) if name == "ideal denoiser" else None
        rows.append(sampled(f"mean square of the signals, {name}", square, trusted))
    off = np.sqrt(np.square(paths["network"][0] - paths["ideal denoiser"][0]).mean())
    rows.append(Measurement("root mean square difference of the two", float(off)))
    grid = np.linspace(-3.5, 3.5, 281)
    values = {t: _density(curve, t, grid) for t in SHOWN}
    out = {name: path[:, 0] for name, path in paths.items()}
    return Shown(rows, Drawn(np.array(into)[:, 0], out, values, grid))


def _density(curve: Array, t: int, grid: Array) -> Array:
    """Of a value of x_t at a sample drawn at random, for a given signal: a mixture of Gaussians."""
    return np.exp(Empirical(curve[:, None]).diffuse(SCHEDULE, t).logpdf(grid[:, None]))


def draw(drawn: Drawn) -> style.Figure:
    """The ways into noise and out of it, and the values on the way."""
    title = "Into noise, and out of noise again"
    figure, axes = style.new_figure(2, 2, title, panel=(4.9, 2.7))
    (into, values), out = axes
    lines = style.trail(into, drawn.into, None, "A signal turns into noise ...")
    bins = np.linspace(-3.5, 3.5, 29)
    values.hist(drawn.into[0], bins, density=True, color=style.DATA, alpha=0.25, label="the signal")
    for (t, density), colour in zip(drawn.values.items(), (style.ORANGE, style.GREEN, style.EXACT)):
        values.plot(drawn.grid, density, color=colour, label=f"$x_{{{t}}}$")
    normal = np.exp(-(drawn.grid**2) / 2) / np.sqrt(2 * np.pi)
    values.plot(drawn.grid, normal, "--", color=style.NOISE, lw=1, label="$N(0, 1)$")
    style.label(values, "value of a sample", "density", "... and its values become normal")
    style.legend(values, loc="upper right")
    titles = "Out of noise by a trained network ...", "... and by the ideal denoiser, same noise"
    for panel, path, text in zip(out, drawn.out.values(), titles):
        style.trail(panel, path, None, text)
        panel.set_ylim(-3.6, 3.6)
    into.set_ylim(-3.6, 3.6)
    style.bar_of_steps(figure, lines, "step $t$", ax=list(axes.flat), fraction=0.03)
    return figure
