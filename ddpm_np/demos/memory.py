"""One signal, a few, many: does a sampler memorise or generalise? (E24)"""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, computed, sampled
from ddpm_np.closed_form.distributions import Empirical
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.learned import SCHEDULE, trained_on
from ddpm_np.demos.points import nearest, share_at_points
from ddpm_np.sampling import ancestral_sample
from ddpm_np.signals import MultiSine

SIZES = (1, 8, 4096)
COPY = 0.1  # a sample this close to a training signal, in root mean square, counts as a copy


class DataSet(NamedTuple):
    """Some signals, and what was drawn from a network that learned them."""

    points: Array
    distances: dict[str, Array]  # to the nearest training signal, by who made the samples
    samples: Array  # the network's
    copies: float  # the share of copies among them


def show(
    *, rng: np.random.Generator, sizes: tuple[int, ...] = SIZES, steps: int = 3000, n: int = 200
) -> Shown:
    """The numbers. sizes: signals to learn; steps: of each training; n: samples of each network."""
    ensemble = MultiSine(FREQUENCIES)
    dim, skip = ensemble.dim, np.sqrt(SCHEDULE.one_minus_alpha_bar)
    rows, sets = [], {}
    for size in sizes:
        points, fresh = ensemble.sample(size, rng=rng), ensemble.sample(n, rng=rng)
        network = trained_on(points, skip=skip, steps=steps, rng=rng)
        samples = ancestral_sample(network, SCHEDULE, n, dim, rng=rng)
        denoiser = IdealDenoiser(Empirical(points), SCHEDULE)
        ideal = ancestral_sample(denoiser, SCHEDULE, n, dim, rng=rng)
        memorised, learned, new = (nearest(x, points)[0][:, 0] for x in (ideal, samples, fresh))
        distances = {"ideal denoiser": memorised, "network": learned, "new signals": new}
        copies = float(share_at_points(samples, points, within=COPY))
        sets[size] = DataSet(points, distances, samples, copies)
        rows += [
            computed(
                f"{_signals(size)}: distance to the data, ideal denoiser", memorised.max(), 0.0
            ),
            Measurement("... network, median", float(np.median(learned))),
            Measurement("... new signals, median", float(np.median(new))),
            Measurement("... share of copies, network", copies),
        ]
        if size == 1:
            expected = np.mean(np.diag(ensemble.cov) + points[0] ** 2)
            rows.append(sampled("... mean squared distance, new signals", new**2, expected))
    return Shown(rows, sets)


def _signals(size: int) -> str:
    return f"{size} signal{'s' if size > 1 else ''}"


def draw(drawn: dict[int, DataSet]) -> style.Figure:
    """For each number of signals the samples, and how far they are from the nearest signal."""
    title = "Memorise or generalise?"
    figure, axes = style.new_figure(2, len(drawn), title, panel=(3.3, 2.5))
    for column, (size, data) in enumerate(drawn.items()):
        curves, distances = axes[:, column]
        curves.plot(data.points[:40].T, color=style.FAINT, lw=4 if size == 1 else 1.8)
        text = "data" if size <= 40 else "40 of the data"
        curves.plot([], [], color=style.FAINT, lw=1.8, label=text)
        curves.plot(data.samples[:6].T, color=style.LEARNED, lw=0.9)
        curves.plot([], [], color=style.LEARNED, lw=0.9, label="network")
        curves.set_ylim(-3.6, 4.8)
        style.label(
            curves, "sample", "value", f"{_signals(size)}: {100 * data.copies:.0f} % copies"
        )
        style.legend(curves, loc="upper right", ncols=2)
        for (which, values), colour in zip(
            data.distances.items(), (style.EXACT, style.LEARNED, style.DATA)
        ):
            _distribution(distances, np.maximum(values, 1e-4), colour, which)
        distances.set(xscale="log", xlim=(7e-5, 9), ylim=(0, 1.55), yticks=[0, 0.5, 1])
        median = np.median(data.distances["network"])
        text = f"The network's median distance: {median:.2g}"
        style.label(distances, "distance to the nearest training signal", "share below", text)
        style.legend(distances, loc="upper left")
    return figure


def _distribution(axes: style.Axes, values: Array, colour: str, text: str) -> None:
    """The share of values below each distance."""
    ordered = np.sort(values)
    shares = np.arange(1, len(ordered) + 1) / len(ordered)
    x, y = [7e-5, *ordered, 9.0], [0.0, *shares, 1.0]
    axes.step(x, y, where="post", color=colour, label=text)
