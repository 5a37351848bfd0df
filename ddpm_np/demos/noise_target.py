"""What the network learns: the mean of the noise in x_t, which is smaller than noise, and not the end of the chain (E24, E25)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.covariance import end_noise_correlation, end_noise_loss
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.demos.table import Row, Shown
from ddpm_np.forward import q_sample, q_skip
from ddpm_np.posterior import predict_eps
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

NOTE = 'N2 "扩散模型的训练过程" (N2:439) and "内容铺垫" (N2:553)'
SHOWN = (1, 10, 25, 50, 75, 90, 100)


class Drawn(NamedTuple):
    floor: Array
    size: dict[int, tuple[float, float]]  # mean square of eps_star per dimension at some t: measured, standard error
    loss: dict[int, tuple[float, float]]
    correlation: Array
    seen: dict[int, tuple[float, float]]
    end_loss: Array
    example: tuple[Array, Array]  # one eps and its eps_star, at t = 50


def show(*, rng: np.random.Generator, n: int = 2000) -> Shown:
    schedule, ensemble = Schedule.sigmoid(100, beta_min=1e-5), MultiSine(FREQUENCIES)
    T, dim, denoiser = schedule.T, ensemble.dim, IdealDenoiser(ensemble, schedule)
    floor, correlation = optimal_loss(ensemble, schedule), np.append(np.nan, end_noise_correlation(schedule, np.arange(1, T + 1)))
    end_loss = end_noise_loss(schedule, floor)
    size, loss, seen, rows, example = {}, {}, {}, [], None
    for t in SHOWN:
        x_0, eps = ensemble.sample(n, rng=rng), rng.standard_normal((n, dim))
        x_t = q_sample(schedule, x_0, t, eps)
        eps_star = denoiser(x_t, t)
        x_T = q_skip(schedule, x_t, t, T, rng.standard_normal((n, dim))) if t < T else x_t
        end = predict_eps(schedule, x_T, T, x_0)
        size[t], loss[t], seen[t] = _mean(eps_star**2), _mean((eps_star - eps) ** 2), _mean(eps * end)
        asked = _mean((correlation[t] * eps_star - end) ** 2)
        if t in (1, 50, 100):
            rows += [
                Row(f"t = {t}: mean square of eps_star (of eps: 1)", size[t][0], 1 - floor[t], size[t][1]),
                Row(f"t = {t}: loss of the ideal denoiser, the floor", loss[t][0], floor[t], loss[t][1]),
                Row(f"t = {t}: correlation of eps with the chain's end", seen[t][0], correlation[t], seen[t][1]),
                Row(f"t = {t}: least loss if asked for the end", asked[0], end_loss[t], asked[1]),
            ]
        if t == 50:
            example = eps[0], eps_star[0]
    rows.append(Row("floor, mean over all t", float(floor[1:].mean())))
    rows.append(Row("least loss for the chain's end, mean over all t", float(end_loss[1:].mean())))
    notice = (
        "The best prediction is smaller than noise, by exactly the loss that remains. The eps in x_t and the noise at the end of "
        "the chain are different targets: asked for the second, no network could do much better than to answer 0."
    )
    return Shown(rows, notice, Drawn(floor, size, loss, correlation, seen, end_loss, example))


def _mean(per_coordinate: Array) -> tuple[float, float]:
    """Mean over all, and its standard error from the signals, which are independent where coordinates are not."""
    values = per_coordinate.mean(axis=1)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
