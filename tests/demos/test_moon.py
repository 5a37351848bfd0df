"""The moons: lit by the fraction that is asked for, and smooth in it."""

import numpy as np
import pytest

from ddpm_np.demos.moon import DARK, LIT, SKY, moon


@pytest.mark.parametrize("lit", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_the_lit_share_of_the_disc_is_the_one_asked_for(lit):
    # In each fine row the edge is right to one fine pixel: 1 / (pi/4 * 2 * radius * 8 * 64) of the
    # disc per row, on average, at most.
    full, new, now = moon(1.0, 64).sum(), moon(0.0, 64).sum(), moon(lit, 64).sum()
    assert (now - new) / (full - new) == pytest.approx(lit, abs=1 / (0.44 * 64 * 8))


def test_full_and_new_moon_and_sky():
    picture = moon(0.5).reshape(16, 16)
    off = np.abs(picture[[0, 8, 8], [0, 4, 11]] - [SKY, DARK, LIT])
    assert np.max(off) <= 64 * np.finfo(float).eps  # means of 64 equal values
    assert np.max(np.abs(picture - picture[::-1])) <= 1e-15  # upside down it is the same
    mirrored = moon(1.0).reshape(16, 16)
    assert np.max(np.abs(mirrored - mirrored[:, ::-1])) <= 1e-15


def test_a_batch_is_its_pictures():
    batch = moon([0.2, 0.9], 8)
    assert batch.shape == (2, 64) and np.array_equal(batch[1], moon(0.9, 8))
    assert moon([0.3], 8).shape == (1, 64)


@pytest.mark.parametrize("lit", [-0.1, 1.5, np.nan])
def test_impossible_moons_raise(lit):
    with pytest.raises(ValueError, match="lit must be"):
        moon(lit)
