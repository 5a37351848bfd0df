"""A signal as what is left when noise is averaged away (E33)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.covariance import chi_mean, error_of_mean
from ddpm_np.demos.table import Row, Shown, sampled
from ddpm_np.signals import multi_sine_curve

NOTE = 'N0 and N2 "信号是方差为零的随机变量"'
CASES = {"independent": (0.0, 0.0), "correlated": (0.02, 0.0), "biased": (0.0, 0.3)}  # correlation, bias


class Drawn(NamedTuple):
    curve: Array
    means: dict[int, Array]  # of n independent observations of the curve
    numbers: Array
    errors: dict[str, tuple[Array, Array, Array]]  # per case and n: measured, standard error, exact


def show(*, rng: np.random.Generator, repeats: int = 100, numbers: tuple[int, ...] = (1, 3, 10, 30, 100, 300, 1000)) -> Shown:
    curve, n = multi_sine_curve(rng=rng), np.array(numbers)
    noise = rng.standard_normal((repeats, n[-1], curve.size))
    shared = rng.standard_normal((repeats, 1, curve.size))
    # Means of the first n observations, for each n at once.
    own = np.stack([noise[:, :k].mean(axis=1) for k in n], axis=1)
    errors, rows = {}, []
    for case, (correlation, bias) in CASES.items():
        off = bias + np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
        squares = np.square(off).transpose(1, 0, 2).reshape(len(n), -1)
        measured, error = squares.mean(axis=1), squares.std(axis=1, ddof=1) / np.sqrt(squares.shape[1])
        exact = np.array([error_of_mean(1.0, int(k), correlation=correlation, bias=bias) for k in n])
        errors[case] = measured, error, exact
        rows += [
            Row(f"squared error of the mean of {k}, {case}", float(m), float(x), float(e))
            for k, m, x, e in zip(n, measured, exact, error) if k in (1, 10, 100, 1000)
        ]
    distance = np.linalg.norm(own[:, -1], axis=1)
    rows.append(sampled(f"distance of the mean of {n[-1]} from the curve", distance, chi_mean(curve.size) / np.sqrt(n[-1])))
    means = {int(k): curve + own[0, i] for i, k in enumerate(n) if k in (1, 10, n[-1])}
    notice = "Independent noise goes as 1/n. Shared noise (correlation 0.02) stays at 0.02 and a bias of 0.3 at 0.09, however many."
    return Shown(rows, notice, Drawn(curve, means, n, errors))
