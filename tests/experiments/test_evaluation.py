"""The rows of a report against numbers that are known: a change of 3 % in any of them is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY

from ddpm_np.closed_form.ideal import IdealDenoiser, optimal_variance
from ddpm_np.closed_form.likelihood import vlb_terms
from ddpm_np.experiments import evaluation
from ddpm_np.experiments.experiment import Training


@pytest.fixture(scope="module")
def training() -> Training:
    training = Training(replace(TINY["ensemble"], samples=40, seed=2))
    for _ in training.run():
        pass
    return training


@pytest.mark.E25
def test_the_loss_row_is_the_mean_over_t_and_its_error_that_of_independent_means(
    training: Training,
) -> None:
    found = evaluation.evaluate(training)
    row, T = found.rows["loss"], training.schedule.T
    assert row.measured == pytest.approx(sum(found.loss[1:]) / T, rel=1e-12)
    assert row.error == pytest.approx(np.sqrt(sum(found.loss_error[1:] ** 2)) / T, rel=1e-12)
    assert row.exact == pytest.approx(sum(found.floor[1:]) / T, rel=1e-12)


@pytest.mark.E25
def test_the_excess_row_is_the_mean_excess_over_the_mean_floor_in_per_cent(
    training: Training,
) -> None:
    found = evaluation.evaluate(training)
    row, floor = found.rows["excess_percent"], found.floor[1:].sum()
    assert row.measured == pytest.approx(100 * found.excess[1:].sum() / floor, rel=1e-12)
    error = 100 * np.sqrt(np.square(found.excess_error[1:]).sum()) / floor
    assert (row.error, row.exact) == (pytest.approx(error, rel=1e-12), 0.0)


@pytest.mark.E25
def test_the_excess_at_each_step_is_the_squared_distance_to_the_ideal_denoiser(
    training: Training,
) -> None:
    law, schedule = training.distribution, training.schedule
    ideal = IdealDenoiser(law, schedule)
    excess, error = evaluation._excess_per_step(
        lambda x, t: ideal(x, t) + 0.1 * x, ideal, 40, np.random.default_rng(3)
    )
    rng = np.random.default_rng(3)
    for t in range(1, schedule.T + 1):
        x_t = law.diffuse(schedule, t).sample(40, rng=rng)
        squares = 0.01 * np.square(x_t).sum(1) / law.dim
        spread = np.sqrt(np.square(squares - squares.mean()).sum() / 39 / 40)
        assert (excess[t], error[t]) == pytest.approx((squares.mean(), spread), rel=1e-9)


@pytest.mark.E28
def test_the_bound_row_uses_the_optimal_variance(training: Training) -> None:
    law, schedule = training.distribution, training.schedule
    network = training.state.ema_network()
    rows = evaluation._bound_rows(network, law, schedule, 30, np.random.default_rng(4))
    noisy = law.diffuse(schedule, 1)
    denoiser, rest = evaluation.chain_from_first_step(network, schedule)
    variance = optimal_variance(noisy, rest)
    learned = vlb_terms(
        denoiser, noisy, rest, variance=variance, n=30, rng=np.random.default_rng(4)
    )
    best = vlb_terms(IdealDenoiser(noisy, rest), noisy, rest, variance=variance)
    row = rows["bound"]
    assert (row.measured, row.error) == (learned.total, learned.standard_error)
    assert row.exact == best.total
    # Another variance gives another bound, for the network and for the ideal denoiser.
    for d, total in ((denoiser, learned.total), (IdealDenoiser(noisy, rest), best.total)):
        other = vlb_terms(d, noisy, rest, n=30, rng=np.random.default_rng(4)).total
        assert other > total * (1 + 1e-6)


def test_the_mean_of_repeated_distances_has_the_error_of_their_scatter() -> None:
    values = np.array([1.0, 2.0, 4.0])
    assert evaluation._standard_error(values) == pytest.approx(np.sqrt(7 / 3 / 3), rel=1e-12)
