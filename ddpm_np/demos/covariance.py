"""Likeness matrices of a signal and of noise, with the control that tells what their spectra see (E21, E22)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.covariance import (
    effective_rank,
    kernel_covariance,
    random_frequency_covariance,
    sample_covariance,
    spectrum,
)
from ddpm_np.demos.table import Row, Shown, sampled
from ddpm_np.signals import MultiSine, multi_sine_curve

NOTE = 'N2 "从协方差矩阵看简单与复杂"'
FREQUENCIES = (0.0826, 0.2049, 1.3489, 3.1848, 4.0664)  # Hz; one draw of five uniform ones, kept for all demos
BAND = 5.0


class Drawn(NamedTuple):
    kernels: dict[str, Array]
    spectra: dict[str, Array]
    ranks: dict[str, Array]  # effective ranks over many signals and many noises
    fixed: Array  # spectrum of the ensemble with fixed frequencies
    random: Array  # and with frequencies drawn anew for each signal


def show(*, rng: np.random.Generator, draws: int = 400, signals: int = 4000) -> Shown:
    curve, noise = multi_sine_curve(rng=rng), rng.standard_normal(50)
    kernels = {
        "the signal": kernel_covariance(curve), "the signal, samples shuffled": kernel_covariance(rng.permutation(curve)),
        "white noise": kernel_covariance(noise),
    }
    whole, shuffled, white = (effective_rank(C) for C in kernels.values())
    ranks = {
        "signals": np.array([effective_rank(kernel_covariance(multi_sine_curve(rng=rng))) for _ in range(draws)]),
        "white noises": np.array([effective_rank(kernel_covariance(rng.standard_normal(50))) for _ in range(draws)]),
    }
    ensemble = MultiSine(FREQUENCIES)
    seen = spectrum(sample_covariance(ensemble.sample(200, rng=rng)))
    rank = float(np.count_nonzero(seen > 1e-12 * seen[0]))
    random = spectrum(random_frequency_covariance(50, BAND))
    # Each signal with its own frequency, unit variance at every sample, as the covariance is stated for.
    phase = 2 * np.pi * rng.uniform(0, BAND, (signals, 1)) * np.linspace(0, 1, 50)
    amplitude = rng.standard_normal((2, signals, 1))
    signals_drawn = amplitude[0] * np.cos(phase) + amplitude[1] * np.sin(phase)
    modes = np.linalg.eigh(random_frequency_covariance(50, BAND))[1][:, ::-1][:, :12]
    energy = np.sum((signals_drawn @ modes) ** 2, axis=1)
    rows = [
        Row("effective rank of the kernel, signal", whole),
        Row("... the same samples, shuffled", shuffled, whole, 0.0),
        Row("... white noise", white),
        *(sampled(f"... mean over {draws} {name}", r) for name, r in ranks.items()),
        Row("rank of 200 signals with 5 fixed frequencies", rank, 2.0 * len(FREQUENCIES), 0.0),
        Row("effective rank of that ensemble", effective_rank(ensemble.cov)),
        sampled("random frequencies: energy in 12 directions of 50", energy, random[:12].sum()),
    ]
    notice = (
        "The kernel compares values, not neighbours: shuffling changes the picture and not one eigenvalue, so its spectrum does "
        "not see that a signal is smooth. The covariance of the ensemble does: 10 directions with fixed frequencies, about 2 x 5 "
        "Hz + 1 with random ones."
    )
    spectra = {name: spectrum(C) for name, C in kernels.items()}
    return Shown(rows, notice, Drawn(kernels, spectra, ranks, spectrum(ensemble.cov), random))
