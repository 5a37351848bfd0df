"""The numbers of a report, exactly: a row says what was measured, and no other number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY

from ddpm_np.experiments import evaluation
from ddpm_np.experiments.experiment import Training
from ddpm_np.experiments.progress import MEMORY, _smoothed


@pytest.mark.parametrize("name", TINY)
def test_a_new_network_is_right_for_white_noise(name):
    experiment = TINY[name]
    schedule, x = experiment.schedule(), np.linspace(-2, 2, 12, dtype=np.float32).reshape(2, 6)
    for t in (1, 5, 8):
        exact = np.sqrt(schedule.one_minus_alpha_bar[t]) * x
        assert np.abs(experiment.network()(x, t) - exact).max() < 1e-6


def test_each_use_draws_with_its_own_generator():
    first = {use: TINY["curve"].rng(use).random() for use in ("signals", "weights", "training")}
    assert len({*first.values(), TINY["curve"].rng("evaluation").random()}) == 4
    assert first["weights"] != replace(TINY["curve"], seed=1).rng("weights").random()


def test_the_smoothed_loss_is_an_exponential_average():
    smoothed = None
    for loss in (1.0, 2.0, 3.0):
        smoothed = _smoothed(smoothed, loss)
    expected = MEMORY**2 * 1.0 + (1 - MEMORY) * (MEMORY * 2.0 + 3.0)
    assert abs(smoothed - expected) < 1e-12


def test_the_rows_of_loss_and_excess_hold_what_was_estimated(monkeypatch):
    training = Training(replace(TINY["ensemble"], samples=4))
    T = training.schedule.T
    loss, error = np.linspace(0, 0.8, T + 1), np.linspace(0, 0.08, T + 1)
    monkeypatch.setattr(evaluation, "estimate_loss", lambda *a, **options: (loss, error))
    monkeypatch.setattr(evaluation, "_excess_per_step", lambda *a, **options: (loss / 2, error / 2))
    rows = evaluation.evaluate(training).rows
    floor = evaluation.optimal_loss(training.distribution, training.schedule)
    assert np.isclose(rows["loss"].measured, loss[1:].mean(), rtol=1e-12, atol=0)
    assert np.isclose(rows["loss"].exact, floor[1:].mean(), rtol=1e-12, atol=0)
    assert np.isclose(rows["loss"].error, np.sqrt(np.sum(error[1:] ** 2)) / T, rtol=1e-12, atol=0)
    excess, floor = rows["excess_percent"], floor[1:].mean()
    assert np.isclose(excess.measured, 50 * loss[1:].mean() / floor, rtol=1e-12, atol=0)
    error_of_mean = np.sqrt(np.sum(error[1:] ** 2)) / T
    assert np.isclose(excess.error, 50 * error_of_mean / floor, rtol=1e-12, atol=0)


def test_the_excess_at_each_step_is_the_mean_square_of_the_difference():
    training = Training(TINY["ensemble"])
    ideal = evaluation.IdealDenoiser(training.distribution, training.schedule)

    def off(x, t):
        return ideal(x, t) + 0.1 * t  # off by 0.1 t in every coordinate, whatever x is

    found, error = evaluation._excess_per_step(off, ideal, 8, np.random.default_rng(0))
    assert np.isnan(found[0]) and np.allclose(error[1:], 0, atol=1e-12)
    assert np.allclose(found[1:], (0.1 * np.arange(1, training.schedule.T + 1)) ** 2, rtol=1e-9)
