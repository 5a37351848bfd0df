"""The numbers of a report, exactly: a row says what was measured, and no other number."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY

from ddpm_np.closed_form.ideal import IdealDenoiser, Losses, optimal_loss, optimal_variance
from ddpm_np.closed_form.likelihood import vlb_terms
from ddpm_np.experiments import machine, signals
from ddpm_np.experiments.evaluation import mean_over_t
from ddpm_np.experiments.progress import MEMORY, _smoothed
from ddpm_np.experiments.training import Training, difference
from ddpm_np.experiments.words import Rows, wordings


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


def test_the_mean_over_t_leaves_entry_0_out_and_has_the_error_of_independent_means():
    mean, error = mean_over_t(np.array([np.nan, 1.0, 2.0]), np.array([np.nan, 0.3, 0.4]))
    assert (mean, error) == (1.5, pytest.approx(0.25))


@pytest.mark.parametrize(
    "name, good, bad",
    [
        ("hidden", [(1,), (10**5,), (4,) * 100], [(0,), (10**5 + 1,)]),
        ("basis_size", [0, 2, 10**4], [-1, 1, 10**4 + 1]),
        ("beta_max", [5e-324, 0.9], [0.0, 1.0]),
        ("ema_decay", [0.0, 0.9], [-0.1, 1.0]),
        ("steps", [1, 10**9], [0, 10**9 + 1]),
        ("batch_size", [1, 10**6], [0, 10**6 + 1]),
        ("dim", [2, 10**4], [0, 10**4 + 1]),
        ("n_frequencies", [1, 10**4], [0, 10**4 + 1]),
        ("T", [1, 10**5], [0, 10**5 + 1]),
        ("samples", [2, 10**7], [1, 10**7 + 1]),
        ("seed", [0, 2**63 - 1], [-1, 2**63]),
        ("noise", ["linear"], ["none", None, ["sigmoid"]]),
    ],
)
def test_settings_are_taken_up_to_their_ends_and_no_further(name, good, bad):
    for value in good:
        assert getattr(replace(TINY["curve"], **{name: value}), name) == value
    for value in bad:
        with pytest.raises(ValueError, match=f"^{name} must"):
            replace(TINY["curve"], **{name: value})


@pytest.mark.parametrize(
    "saved, said",
    [
        (None, "it holds no experiment"),
        ({"T": 8, "seed": 0}, "its seed is 0, not 1"),
        ({"T": 8}, "its seed is None, not 1"),
        ({"T": 8, "seed": "x" * 50}, f"its seed is {'x' * 40}, not 1"),
        ({"T": 8, "seed": 1, "more": 2}, "it has settings that this version does not know"),
    ],
)
def test_the_first_setting_that_differs_is_told(saved, said):
    assert difference(saved, {"T": 8, "seed": 1}) == said


def test_what_nobody_can_tell_of_the_arithmetic_is_unknown(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    assert machine.arithmetic() == dict.fromkeys(("BLAS", "kernels", "threads"), "unknown")


@pytest.mark.E25
def test_the_rows_of_loss_and_excess_hold_what_was_estimated(monkeypatch):
    training = Training(replace(TINY["ensemble"], samples=4))
    T, floor = training.schedule.T, optimal_loss(training.distribution, training.schedule)
    loss, error = np.linspace(0, 0.8, T + 1), np.linspace(0, 0.08, T + 1)
    losses = Losses(floor, 0 * error, loss, error, loss / 2, error / 2)
    monkeypatch.setattr(signals, "estimate_losses", lambda *a, **options: losses)
    rows, floor = training.experiment.evaluate(training, {}).rows, floor[1:].mean()
    errors = np.sqrt(np.sum(error[1:] ** 2)) / T
    loss_row, excess = rows["loss"], rows["excess_percent"]
    assert loss_row[1:4] == pytest.approx((loss[1:].mean(), floor, errors), rel=1e-12)
    wanted = 50 * loss[1:].mean() / floor, 0.0, 50 * errors / floor
    assert excess[1:4] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.E28
def test_the_bound_row_uses_the_optimal_variance():
    training = Training(replace(TINY["ensemble"], samples=30))
    dist, schedule, network = training.distribution, training.schedule, training.denoiser()
    rng = np.random.default_rng
    rows = Rows("ensemble")
    training.experiment._bounds(rows, network, dist, schedule, rng(4))
    row = rows["bound"]
    noisy = dist.diffuse(schedule, 1)
    denoiser, rest = signals.chain_from_first_step(network, schedule)
    variance = optimal_variance(noisy, rest)
    learned = vlb_terms(denoiser, noisy, rest, variance=variance, n=30, rng=rng(4))
    best = vlb_terms(IdealDenoiser(noisy, rest), noisy, rest, variance=variance)
    assert (row.measured, row.error) == (learned.total, learned.standard_error)
    assert row.exact == best.total
    # Another variance gives another bound, for the network and for the ideal denoiser.
    for d, total in ((denoiser, learned.total), (IdealDenoiser(noisy, rest), best.total)):
        assert vlb_terms(d, noisy, rest, n=30, rng=rng(4)).total > total * (1 + 1e-6)


def test_every_number_has_words_and_takes_its_facts():
    for wording in wordings().values():
        assert wording.title and wording.story and wording.rows
        for what, remark in wording.rows.values():
            assert what and not (what + remark).count("::")
    rows = Rows("curve")
    rows.add("worst_distance", 1.5, 0.1, 0.0, n=7)
    row = rows["worst_distance"]
    assert (row.measured, row.error, row.exact) == (1.5, 0.1, 0.0) and row.remark == "of 7"
