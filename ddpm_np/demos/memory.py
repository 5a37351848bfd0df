"""One signal, a few, many: does a sampler remember or invent (E24)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Empirical
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.learned import SCHEDULE, trained
from ddpm_np.demos.points import nearest, share_at_points
from ddpm_np.demos.table import Row, Shown, sampled
from ddpm_np.sampling import ancestral_sample
from ddpm_np.signals import MultiSine

NOTE = 'N2 "反扩散的样例" (few images) and "扩散模型的信号生成实践" (one curve)'
SIZES = (1, 8, 4096)
COPY = 0.1  # root-mean-square distance below which a sample of a signal of size 1 counts as a copy


class World(NamedTuple):
    points: Array
    distances: dict[str, Array]  # of samples to the nearest signal in the data, by who made them
    samples: Array  # the network's


class Drawn(NamedTuple):
    worlds: dict[int, World]


def show(*, rng: np.random.Generator, sizes: tuple[int, ...] = SIZES, steps: int = 3000, n: int = 200) -> Shown:
    ensemble = MultiSine(FREQUENCIES)
    rows, worlds = [], {}
    for size in sizes:
        points, fresh = ensemble.sample(size, rng=rng), ensemble.sample(n, rng=rng)
        network = trained(points, skip=np.sqrt(SCHEDULE.one_minus_alpha_bar), steps=steps, rng=rng)
        samples = ancestral_sample(network, SCHEDULE, n, ensemble.dim, rng=rng)
        ideal = ancestral_sample(IdealDenoiser(Empirical(points), SCHEDULE), SCHEDULE, n, ensemble.dim, rng=rng)
        remembered, learned, new = (nearest(x, points)[0][:, 0] for x in (ideal, samples, fresh))
        distances = {"ideal denoiser of the data": remembered, "network": learned, "new signals of the ensemble": new}
        worlds[size] = World(points, distances, samples)
        name = f"{size} signal{'s' if size > 1 else ''}"
        rows.append(Row(f"{name}: distance to the data, ideal denoiser", float(remembered.max()), 0.0, 0.0))
        rows.append(Row("... network, median", float(np.median(learned))))
        rows.append(Row("... new signals, median", float(np.median(new))))
        rows.append(Row("... share of copies, network", share_at_points(samples, points, within=COPY)))
        if size == 1:
            expected = np.mean(np.diag(ensemble.cov) + points[0] ** 2)
            rows.append(sampled("... mean squared distance, new signals", new**2, expected))
    notice = (
        "The ideal denoiser of finite data can only give the data back. A small network does so with one signal and nearly so "
        "with a few; with many it cannot: its samples are as far from the data as new signals are."
    )
    return Shown(rows, notice, Drawn(worlds))
