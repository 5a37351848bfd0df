"""The covariance replaced step by step, and what falls on the way (E3 to E6)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.covariance import spectrum_at
from ddpm_np.closed_form.distributions import Gaussian, PointMass, kl_divergence
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.table import Row, Shown, sampled
from ddpm_np.forward import covariance_at, q_sample, q_step
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine, multi_sine_curve

NOTE = 'N2 "扩散模型的扩散过程", "从方差的角度理解扩散递归" and "通过链式推导实现状态跨越"'
SCALES = (0.25, 1.0, 4.0)  # variance of the data per coordinate, for the entropy


class Drawn(NamedTuple):
    covariances: dict[int, Array]
    walks: Array  # (T + 1, directions) eigenvalues
    seen: tuple[Array, Array]  # steps, and the variances of the simulated chain along the same directions
    kl: Array
    entropies: dict[float, Array]  # above that of N(0, I), per coordinate


def show(*, rng: np.random.Generator, n: int = 4000) -> Shown:
    schedule, ensemble = Schedule.sigmoid(100, beta_min=1e-5), MultiSine(FREQUENCIES)
    T, dim = schedule.T, ensemble.dim
    white = Gaussian(np.zeros(dim), np.eye(dim))
    directions = ensemble.axes[:, [0, 1, 2, 4, 6, 20]]
    walks = spectrum_at(schedule, ensemble.spectrum[[0, 1, 2, 4, 6, 20]], np.arange(T + 1))
    x = start = ensemble.sample(n, rng=rng)
    rows, seen = [], []
    for t in range(1, T + 1):
        x = q_step(schedule, x, t, rng.standard_normal(x.shape))
        if t % 10 == 0:
            seen.append(np.square(x @ directions).mean(axis=0))
        if t in (25, 50, 100):
            jump = q_sample(schedule, start, t, rng.standard_normal(x.shape))
            law = ensemble.diffuse(schedule, t)
            for name, y in ((f"{t} steps", x), ("one jump", jump)):
                squares = np.square(y @ directions[:, 0])
                rows.append(sampled(f"variance along the first direction, t = {t}, {name}", squares, walks[t, 0]))
            rows.append(sampled(f"KL to N(0, I) in nats, t = {t}", law.logpdf(x) - white.logpdf(x), kl_divergence(law, white)))
            rows.append(sampled(f"entropy in nats, t = {t}", -law.logpdf(x), law.entropy))
    kl = np.array([np.inf, *(kl_divergence(ensemble.diffuse(schedule, t), white) for t in range(1, T + 1))])
    curve = multi_sine_curve(rng=rng)
    curve *= np.sqrt(dim) / np.linalg.norm(curve)
    left, rest = kl_divergence(PointMass(curve).diffuse(schedule, T), white), schedule.one_minus_alpha_bar[T]
    rows.append(Row("alpha_bar at T", float(schedule.alpha_bar[T])))
    rows.append(Row("KL left of one curve, |x_0|^2 = 50, at T", left, float(-0.5 * dim * np.log(rest)), 0.0))
    entropies = {v: 0.5 * np.log(spectrum_at(schedule, [v], np.arange(T + 1))[:, 0]) for v in SCALES}
    notice = (
        "Every eigenvalue walks to 1 on its own and no direction turns. KL to the white end falls at every step; entropy rises "
        "where the variance is below 1 and falls where it is above. At T the notes' chain still holds 0.135 nats of a curve."
    )
    covariances = {t: covariance_at(schedule, ensemble.cov, t) for t in (0, 50, 100)}
    return Shown(rows, notice, Drawn(covariances, walks, (np.arange(10, T + 1, 10), np.array(seen)), kl, entropies))
