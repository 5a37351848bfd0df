"""Noise that is given the covariance of a signal, and what that does to the signal's likelihood (E23)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.covariance import (
    kernel_covariance,
    reshape_noise,
    reshaping_error,
    sample_covariance,
    transport_map,
)
from ddpm_np.closed_form.distributions import Gaussian, kl_divergence, wasserstein2
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.table import Row, Shown, sampled
from ddpm_np.signals import MultiSine

NOTE = 'N2 "利用协方差重塑噪声" and "附录：协方差矩阵及其变换"'
FLOOR = 0.1  # variance of white noise added to every covariance, so that all have densities


class Drawn(NamedTuple):
    signal: Array
    target: Array
    noise: Array
    shaped: Array
    many: Array  # covariance reached with all rows
    few: Array  # and with few
    rows: int
    densities: dict[str, Array]  # log density of each signal, by the covariance assumed


def show(*, rng: np.random.Generator, rows: int = 200, few: int = 3, signals: int = 300) -> Shown:
    ensemble = MultiSine(FREQUENCIES)
    dim, zero = ensemble.dim, np.zeros(ensemble.dim)
    x = ensemble.sample(signals, rng=rng)
    target = kernel_covariance(x[0])
    noise = rng.standard_normal((rows, dim))
    noise -= noise.mean(axis=0)
    shaped, short = reshape_noise(noise, target), reshape_noise(rng.standard_normal((few, dim)), target)
    white, lifted = sample_covariance(noise), FLOOR * np.eye(dim)
    # To the kernel and the floor, whose Gaussian is regular: the distance between the two is then known to rounding.
    turned, transported = reshape_noise(noise, target + lifted), noise @ transport_map(white, target + lifted)

    def missed(y: Array, C1: Array) -> float:
        return float(np.linalg.norm(sample_covariance(y) - C1))

    def moved(y: Array) -> float:
        return float(np.mean(np.sum((y - noise) ** 2, axis=1)))

    true = Gaussian(zero, ensemble.cov + lifted)
    observed = x + np.sqrt(FLOOR) * rng.standard_normal(x.shape)
    others = [Gaussian(zero, kernel_covariance(v) + lifted) for v in observed]
    densities = {
        "white noise": Gaussian(zero, np.eye(dim)).logpdf(observed),
        "its own kernel": np.array([g.logpdf(v) for g, v in zip(others, observed)]),
        "another signal's kernel": np.array([g.logpdf(v) for g, v in zip(others, np.roll(observed, 1, axis=0))]),
        "the ensemble's covariance": true.logpdf(observed),
    }
    # E ln p = -(entropy + KL), exactly, for the two covariances that do not depend on the signals.
    exact = {
        "white noise": -(true.entropy + kl_divergence(true, Gaussian(zero, np.eye(dim)))),
        "the ensemble's covariance": -true.entropy,
    }
    table = [
        Row(f"kernel missed by {rows} rows of reshaped noise", missed(shaped, target), reshaping_error(target, rows - 1), 0.0),
        Row(f"... by {few} rows", missed(short, target), reshaping_error(target, few - 1), 0.0),
        Row(f"kernel + {FLOOR} I missed by {rows} rows, transported", missed(transported, target + lifted), 0.0, 0.0),
        Row("squared distance that transport moves", moved(transported),
            wasserstein2(Gaussian(zero, white), Gaussian(zero, target + lifted)) ** 2, 0.0),
        Row("... and X V Psi V_1^T, to the same covariance", moved(turned)),
        *(sampled(f"mean log density of a signal, {name}", v, exact.get(name)) for name, v in densities.items()),
    ]
    notice = (
        "The covariance is met exactly, as far as the rank of the noise goes. But a kernel made from the target itself proves "
        "little: another signal's kernel makes the signal less likely than white noise does. The ensemble's covariance is what "
        "helps."
    )
    drawn = Drawn(x[0], target, noise, shaped, sample_covariance(shaped), sample_covariance(short), few, densities)
    return Shown(table, notice, drawn)
