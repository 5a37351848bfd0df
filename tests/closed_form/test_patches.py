"""The best denoiser of a patch: against Bayes' rule written out, the ideal one, and a network."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_np.closed_form import patches
from ddpm_np.closed_form.distributions import Empirical
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_loss
from ddpm_np.closed_form.patches import PatchDenoiser
from ddpm_np.schedule import Schedule

Array = NDArray[np.float64]
SCHEDULE = Schedule.linear(4, beta_min=0.05, beta_max=0.6)
PICTURES = np.random.default_rng(0).standard_normal((3, 25))


def by_the_rule(x, t, q, reach, placed):
    """E[eps_q | patch] for one picture and one pixel, by Bayes' rule over all candidates."""
    kept, noise = SCHEDULE.alpha_bar[t], SCHEDULE.one_minus_alpha_bar[t]

    def patch(picture, row, column):
        around = range(-reach, reach + 1)
        return {
            (i, j): picture[row + i, column + j]
            for i in around
            for j in around
            if 0 <= row + i < 5 and 0 <= column + j < 5
        }

    noisy, weights, middles = patch(x.reshape(5, 5), *q), [], []
    for picture in PICTURES.reshape(-1, 5, 5):
        for place in [q] if placed else list(np.ndindex(5, 5)):
            clean = patch(picture, *place)
            if clean.keys() == noisy.keys():  # the same pixels are outside the picture
                square = sum((noisy[at] - np.sqrt(kept) * clean[at]) ** 2 for at in clean)
                weights.append(np.exp(-square / 2 / noise))
                middles.append(picture[place])
    mean = np.dot(weights, middles) / np.sum(weights)
    return float((x.reshape(5, 5)[q] - np.sqrt(kept) * mean) / np.sqrt(noise))


@pytest.mark.E24
@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize("patch", [1, 3, 5])
def test_it_is_bayes_rule_for_each_pixel(patch, placed):
    denoiser = PatchDenoiser(PICTURES, SCHEDULE, patch=patch, placed=placed)
    x = np.random.default_rng(1).standard_normal((2, 25))
    t = np.array([1, 3])
    eps_hat = denoiser(x, t).reshape(2, 5, 5)
    for n, q in np.ndindex(2, 25):
        pixel = divmod(q, 5)
        expected = by_the_rule(x[n], int(t[n]), pixel, patch // 2, placed)
        assert abs(eps_hat[n][pixel] - expected) <= 1e-10


@pytest.mark.parametrize("placed", [True, False])
def test_blocks_of_rows_change_nothing(placed, monkeypatch):
    denoiser = PatchDenoiser(PICTURES, SCHEDULE, patch=3, placed=placed)
    x = np.random.default_rng(1).standard_normal((4, 25))
    whole = denoiser(x, 2)
    monkeypatch.setattr(patches, "PAIRS", 40)
    np.testing.assert_allclose(denoiser(x, 2), whole, rtol=0, atol=1e-12)


@pytest.mark.E24
@pytest.mark.parametrize("placed", [True, False])
def test_a_patch_that_covers_everything_is_the_ideal_denoiser(placed):
    denoiser = PatchDenoiser(PICTURES, SCHEDULE, patch=9, placed=placed)
    ideal = IdealDenoiser(Empirical(PICTURES), SCHEDULE)
    x = np.random.default_rng(1).standard_normal((4, 25))
    for t in (1, 4):
        np.testing.assert_allclose(denoiser(x, t), ideal(x, t), rtol=0, atol=1e-9)


@pytest.mark.E25
def test_its_floor_is_its_loss_and_falls_with_what_is_seen():
    dist = Empirical(PICTURES)
    floors = {}
    for placed in (True, False):
        for patch in (1, 3):
            denoiser = PatchDenoiser(PICTURES, SCHEDULE, patch=patch, placed=placed)
            floor = denoiser.floor(n=1000, rng=np.random.default_rng(0))
            loss, error = estimate_loss(
                denoiser, dist, SCHEDULE, n=1000, rng=np.random.default_rng(1)
            )
            # both are sampled, the floor with the smaller scatter
            assert np.all(np.abs(loss - floor)[1:] <= 5 * np.sqrt(2) * error[1:])
            assert np.isnan(floor[0])
            floors[placed, patch] = floor[1:].mean()
    assert floors[True, 3] < floors[True, 1] < floors[False, 1]
    assert floors[True, 3] < floors[False, 3] < floors[False, 1]


@pytest.mark.E25
def test_the_floor_of_two_pictures_is_an_integral_over_one_number():
    """With everything in view, x tells a share r of one of them, whose log odds are normal."""
    pictures, n = np.array([[0.0, 1.0, -1.0, 0.5], [1.0, 0.0, -0.5, 0.0]]), 40_000
    schedule = Schedule.from_beta([0.6])
    floor = PatchDenoiser(pictures, schedule, patch=3, placed=True).floor(
        n=n, rng=np.random.default_rng(0)
    )
    snr, apart = 0.4 / 0.6, np.square(pictures[0] - pictures[1]).sum()
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    odds = snr * apart / 2 + np.sqrt(snr * apart) * z
    left = snr * apart / 4 / (2 + 2 * np.cosh(odds))
    mean, square = (weight @ v / np.sqrt(2 * np.pi) for v in (left, left**2))
    assert 5 * np.sqrt((square - mean**2) / n) <= 0.02 * mean
    assert abs(floor[1] - mean) <= 5 * np.sqrt((square - mean**2) / n)


@pytest.mark.parametrize("placed", [True, False])
def test_each_row_may_have_a_step_of_its_own(placed):
    denoiser = PatchDenoiser(PICTURES, SCHEDULE, patch=3, placed=placed)
    x, t = np.random.default_rng(1).standard_normal((4, 25)), np.array([3, 1, 4, 3])
    rows = [denoiser(x[i : i + 1], int(t[i]))[0] for i in range(4)]
    np.testing.assert_allclose(denoiser(x, t), rows, rtol=1e-12, atol=1e-14)
