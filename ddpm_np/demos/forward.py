"""The covariance replaced step by step, and what falls on the way (E3 to E6)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, computed, sampled
from ddpm_np.closed_form.covariance import spectrum_at
from ddpm_np.closed_form.distributions import Gaussian, PointMass, kl_divergence
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.forward import covariance_at, q_sample, q_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve

AXES = (0, 1, 2, 4, 6, 20)  # the principal axes that are followed
SCALES = (0.25, 1.0, 4.0)  # variance of the data per coordinate, for the entropy


class Drawn(NamedTuple):
    covariances: dict[int, Array]
    walks: Array  # (T + 1, directions) eigenvalues
    seen: tuple[Array, Array]  # t, and the simulated chain's variances along the same directions
    kl: Array
    entropies: dict[float, Array]  # above that of N(0, I), per coordinate


def show(*, rng: np.random.Generator, n: int = 4000) -> Shown:
    """The numbers. n: signals on their way into noise."""
    schedule, ensemble = Schedule.sigmoid(100, beta_min=1e-5), MultiSine(FREQUENCIES)
    T, dim = schedule.T, ensemble.dim
    white = Gaussian(np.zeros(dim), np.eye(dim))
    directions = ensemble.axes[:, AXES]
    walks = spectrum_at(schedule, ensemble.spectrum[list(AXES)], np.arange(T + 1))
    x = start = ensemble.sample(n, rng=rng)
    rows, seen = [], []
    for t in range(1, T + 1):
        x = q_step(schedule, x, t, rng.standard_normal(x.shape))
        if t % 10 == 0:
            seen.append(np.square(x @ directions).mean(axis=0))
        if t in (25, 50, 100):
            jump = q_sample(schedule, start, t, rng.standard_normal(x.shape))
            marginal = ensemble.diffuse(schedule, t)
            for way, y in ((f"{t} steps", x), ("one jump", jump)):
                squares = np.square(y @ directions[:, 0])
                what = f"variance along the first direction, t = {t}, {way}"
                rows.append(sampled(what, squares, walks[t, 0]))
            ratio, exact = marginal.logpdf(x) - white.logpdf(x), kl_divergence(marginal, white)
            rows.append(sampled(f"KL to N(0, I) in nats, t = {t}", ratio, exact))
            rows.append(sampled(f"entropy in nats, t = {t}", -marginal.logpdf(x), marginal.entropy))
    kl = [kl_divergence(ensemble.diffuse(schedule, t), white) for t in range(1, T + 1)]
    curve = multi_sine_curve(rng=rng)
    curve *= np.sqrt(dim) / np.linalg.norm(curve)
    left = kl_divergence(PointMass(curve).diffuse(schedule, T), white)
    expected = float(-0.5 * dim * np.log(schedule.one_minus_alpha_bar[T]))
    rows.append(Measurement("alpha_bar at T", float(schedule.alpha_bar[T])))
    rows.append(computed("KL left of one curve, |x_0|^2 = 50, at T", left, expected))
    entropies = {
        v: 0.5 * np.log(spectrum_at(schedule, [v], np.arange(T + 1))[:, 0]) for v in SCALES
    }
    covariances = {t: covariance_at(schedule, ensemble.cov, t) for t in (0, 50, 100)}
    simulated = np.arange(10, T + 1, 10), np.array(seen)
    drawn = Drawn(covariances, walks, simulated, np.array([np.inf, *kl]), entropies)
    return Shown(rows, drawn)


def draw(drawn: Drawn) -> style.Figure:
    """The covariance at three steps; variances, KL and entropy at each."""
    figure, axes = style.new_figure(2, 3, "The covariance, replaced step by step", panel=(3.3, 2.7))
    largest = np.abs(drawn.covariances[0]).max()
    titles = "$t = {}$: the signals", "$t = {}$: fading", "$t = {}$: the identity, nearly"
    for ax, title, (t, C) in zip(axes[0], titles, drawn.covariances.items()):
        image = style.matrix(ax, C, -largest, largest, title.format(t))
    bar = style.colour_bar(image, axes[0, 2], "covariance of $x_t$")
    lowest = min(C.min() for C in drawn.covariances.values())
    bar.ax.set_ylim(lowest - 0.02, largest)  # the part of the map that occurs
    walk, kl, entropy = axes[1]
    steps = np.arange(len(drawn.walks))
    for k in range(drawn.walks.shape[1]):
        above = drawn.walks[:, k] > 0
        walk.plot(steps[above], drawn.walks[above, k], color=style.EXACT, lw=1.2)
        walk.plot(drawn.seen[0], drawn.seen[1][:, k], "o", ms=3.5, color=style.LEARNED)
    walk.plot([], [], color=style.EXACT, lw=1.2, label="exact")
    walk.plot([], [], "o", ms=3.5, color=style.LEARNED, label="simulated chain")
    walk.set(yscale="log", ylim=(1e-3, 200))
    style.legend(walk, loc="upper right", ncols=2)
    style.label(walk, "step $t$", "variance along an axis", "Every variance goes to 1")
    kl.plot(steps, drawn.kl, color=style.EXACT)
    kl.set(yscale="log")
    style.label(
        kl, "step $t$", "KL of $q(x_t)$ to $N(0, I)$ in nats", "The distance to white noise falls"
    )
    for scale, values in drawn.entropies.items():
        entropy.plot(steps, values, color=style.EXACT)
        y = values[0] + (0.05 if scale >= 1 else -0.15)
        style.name_line(entropy, 2, y, f"data of variance {scale:g}", style.EXACT)
    entropy.set_ylim(-1.0, 1.0)
    style.label(entropy, "step $t$", "nats per coordinate", "Entropy may rise or fall")
    return figure
