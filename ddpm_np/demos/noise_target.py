"""What the network learns: the mean of the noise in x_t, which is smaller than noise (E24, E25)."""

from typing import NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array
from ddpm_np._measurement import Measurement, mean_and_error
from ddpm_np.closed_form.covariance import end_noise_correlation, end_noise_loss
from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_loss
from ddpm_np.demos import Shown
from ddpm_np.demos.covariance import FREQUENCIES
from ddpm_np.forward import q_sample, q_skip
from ddpm_np.posterior import predict_eps
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

SHOWN = (1, 10, 25, 50, 75, 90, 100)


class Drawn(NamedTuple):
    floor: Array
    size: dict[int, tuple[float, float]]  # mean square of eps_star at some t: measured, s.e.
    loss: dict[int, tuple[float, float]]
    correlation: Array
    seen: dict[int, tuple[float, float]]
    end_loss: Array
    example: tuple[Array, Array]  # at t = 50: a signal, and what its eps_star misses of eps


def show(*, rng: np.random.Generator, n: int = 2000) -> Shown:
    """The numbers. n: signals and noises at each step."""
    schedule, ensemble = Schedule.sigmoid(100, beta_min=1e-5), MultiSine(FREQUENCIES)
    T, dim, denoiser = schedule.T, ensemble.dim, IdealDenoiser(ensemble, schedule)
    floor = optimal_loss(ensemble, schedule)
    correlation = np.append(np.nan, end_noise_correlation(schedule, np.arange(1, T + 1)))
    end_loss = end_noise_loss(schedule, floor)
    size, loss, seen, rows = {}, {}, {}, []
    for t in SHOWN:
        x_0, eps = ensemble.sample(n, rng=rng), rng.standard_normal((n, dim))
        x_t = q_sample(schedule, x_0, t, eps)
        eps_star = denoiser(x_t, t)
        x_T = q_skip(schedule, x_t, t, T, rng.standard_normal((n, dim))) if t < T else x_t
        end = predict_eps(schedule, x_T, T, x_0)
        size[t], loss[t] = _mean(eps_star**2), _mean((eps_star - eps) ** 2)
        seen[t] = _mean(eps * end)
        asked = _mean((correlation[t] * eps_star - end) ** 2)
        if t in (1, 50, 100):
            for what, (measured, error), exact in (
                ("mean square of eps_star (of eps: 1)", size[t], 1 - floor[t]),
                ("loss of the ideal denoiser, the floor", loss[t], floor[t]),
                ("correlation of eps with the chain's end", seen[t], correlation[t]),
                ("least loss if asked for the end", asked, end_loss[t]),
            ):
                rows.append(Measurement(f"t = {t}: {what}", measured, exact, error))
        if t == 50:
            example = x_0[0], (eps - eps_star)[0]
    rows.append(Measurement("floor, mean over all t", float(floor[1:].mean())))
    what = "least loss for the chain's end, mean over all t"
    rows.append(Measurement(what, float(end_loss[1:].mean())))
    return Shown(rows, Drawn(floor, size, loss, correlation, seen, end_loss, example))


def _mean(per_coordinate: Array) -> tuple[float, float]:
    """Mean over all, and its standard error from the signals.

    Signals are independent; the coordinates of one signal are not.
    """
    return mean_and_error(per_coordinate.mean(axis=1))


def draw(drawn: Drawn) -> style.Figure:
    """What a prediction misses, its size and loss, and the loss of another target."""
    figure, axes = style.new_figure(1, 3, "What the network is asked for", panel=(3.3, 2.8))
    example, size, target = axes[0]
    example.plot(drawn.example[0], color=style.DATA, lw=1.2, label="the signal")
    example.plot(drawn.example[1], color=style.EXACT, lw=1.2, label="$\\epsilon$ - best prediction")
    example.set_ylim(-3.2, 4.4)
    style.label(example, "sample", "value, at $t = 50$", "What is missed looks like a signal")
    style.legend(example, loc="upper right", ncols=2)
    steps = np.arange(len(drawn.floor))
    size.plot(steps, 1 - drawn.floor, color=style.EXACT)
    size.plot(steps, drawn.floor, color=style.EXACT)
    _dots(size, drawn.size)
    _dots(size, drawn.loss)
    size.set_ylim(0, 1.25)
    style.name_line(size, 2, 0.88, "size of the prediction", style.EXACT)
    style.name_line(size, 2, 0.23, "loss that remains", style.EXACT)
    style.label(size, "step $t$", "mean square per coordinate", "Size and loss add up to 1")
    target.plot(steps, drawn.end_loss, color=style.WRONG)
    target.plot(steps, drawn.floor, color=style.EXACT)
    target.plot(steps, drawn.correlation, "--", color=style.NOISE)
    _dots(target, drawn.seen)
    target.set_ylim(-0.05, 1.25)
    style.name_line(target, 2, 1.05, "loss, end of the chain", style.WRONG)
    style.name_line(target, 2, 0.22, "loss, $\\epsilon$ in $x_t$", style.EXACT)
    style.name_line(target, 72, 0.36, "correlation\nof the two", style.NOISE, ha="right")
    style.label(target, "step $t$", "loss, or correlation", "The chain's end cannot be predicted")
    return figure


def _dots(axes: style.Axes, seen: dict[int, tuple[float, float]]) -> None:
    """Measured values by step."""
    values, errors = zip(*seen.values())
    style.measured(axes, list(seen), values, errors)
