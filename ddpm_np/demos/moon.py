"""Full moon and half moon: what lies between, by three denoisers (E24, E27)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.demos.interpolation import (
    affine_law,
    line_position,
    linear_weights,
    mix,
    spherical_weights,
)
from ddpm_np.demos.learned import SCHEDULE, trained
from ddpm_np.demos.moon_pictures import moon
from ddpm_np.demos.points import nearest
from ddpm_np.demos.table import Row, Shown
from ddpm_np.sampling import Denoiser, ancestral_sample

NOTE = 'N1 "神奇的语意融合"'
STARTS = (40, 60, 80)
PHASES = 64
MIDDLE = 0.5


class Drawn(NamedTuple):
    ends: Array  # half moon, full moon
    gallery: dict[str, Array]  # some results of each denoiser, from the last start
    positions: dict[str, dict[int, Array]]  # along the line from half to full
    phases: Array
    weights: Array
    variances: dict[str, Array]  # of mixed noise, exact
    measured: dict[str, Array]


def show(*, rng: np.random.Generator, n: int = 200, steps: int = 2500) -> Shown:
    half, full = ends = moon([0.5, 1.0])
    phases = moon(np.linspace(0.5, 1.0, PHASES))
    # For points, eps = (x_t - sqrt(alpha_bar_t) x_0) / sqrt(1 - alpha_bar_t): with this skip only the picture is left to learn.
    skip = np.append(1.0, 1 / np.sqrt(SCHEDULE.one_minus_alpha_bar[1:]))
    fit = IdealDenoiser(Gaussian.from_factor(ends.mean(axis=0), (ends - ends.mean(axis=0)) / np.sqrt(2)), SCHEDULE)
    denoisers: dict[str, Denoiser] = {
        "ideal denoiser of the two": IdealDenoiser(Empirical(ends), SCHEDULE), "Gaussian fit to the two": fit,
        "network, trained on the two": trained(ends, skip=skip, steps=steps, rng=rng),
        f"network, trained on {PHASES} phases": trained(phases, skip=skip, steps=steps, rng=rng),
    }
    rows: list[Row] = []
    positions: dict[str, dict[int, Array]] = {name: {} for name in denoisers}
    gallery: dict[str, Array] = {}
    any_moon = moon(np.linspace(0.5, 1, 501))
    along = (full - half) / np.sum((full - half) ** 2)
    for name, denoiser in denoisers.items():
        for t in STARTS:
            x_t = mix(SCHEDULE, half, full, MIDDLE, t, *rng.standard_normal((2, n, half.size)))
            x = ancestral_sample(
                denoiser, SCHEDULE, *x_t.shape, rng=rng, start=(x_t, t), dtype=x_t.dtype
            )
            w, off = line_position(x, half, full)
            positions[name][t] = w
            if name == "ideal denoiser of the two":
                at_end = (np.minimum(abs(w), abs(1 - w)) < 1e-6) & (off < 1e-6)
                rows.append(Row(f"{name}, from t = {t}: share at an end", float(at_end.mean()), 1.0, 0.0))
                rows.append(Row("... of them the full moon", float(np.mean(w > 0.5)), 0.5, float(0.5 / np.sqrt(n))))
            elif denoiser is fit:
                centre = np.sqrt(SCHEDULE.alpha_bar[t]) * (half + full) / 2
                mean, cov = affine_law(fit, SCHEDULE, centre, SCHEDULE.one_minus_alpha_bar[t] * np.eye(half.size), t)
                place, sd = float(along @ (mean - half)), float(np.sqrt(along @ cov @ along))
                rows.append(Row(f"{name}, from t = {t}: mean position", float(w.mean()), place, sd / np.sqrt(n)))
                rows.append(Row("... its standard deviation", float(w.std(ddof=1)), sd, sd / np.sqrt(2 * (n - 1))))
            elif t == STARTS[-1]:
                near_end = np.minimum(abs(w), abs(1 - w)) < 0.1
                rows.append(Row(f"{name}, from t = {t}: share near an end", float(near_end.mean())))
                rows.append(Row("... distance to the nearest moon, median", float(np.median(nearest(x, any_moon)[0]))))
        gallery[name] = x[np.argsort(w)[np.linspace(0, n - 1, 7).astype(int)]]
    rows.append(Row("distance of the even blend to the nearest moon", float(nearest([(half + full) / 2], any_moon)[0][0, 0])))
    weights = np.linspace(0, 1, 21)
    eps = rng.standard_normal((2, 200 * n))
    variances, measured = {}, {}
    for name, rule in (("linear", linear_weights), ("spherical", spherical_weights)):
        pairs = np.array([rule(w) for w in weights])
        variances[name] = np.square(pairs).sum(axis=1)
        measured[name] = np.square(pairs @ eps).mean(axis=1)
        rows.append(Row(f"variance of half-and-half noise, {name}", float(measured[name][10]), float(variances[name][10]),
                        float(variances[name][10] * np.sqrt(2 / eps.shape[1]))))
    notice = (
        "From two pictures alone the ideal denoiser returns one of the two, never a 3/4 moon, and so does a network that has "
        "learned them well; the Gaussian fit returns blends. Only the network that has seen other phases returns moons in "
        "between."
    )
    return Shown(rows, notice, Drawn(ends, gallery, positions, any_moon, weights, variances, measured))
