"""Copies of every object are equal to it, independent of it, and as read-only as it is."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from ddpm_np import MLP, MultiSine, Schedule
from ddpm_np.closed_form.distributions import Empirical, Gaussian, GaussianMixture, PointMass
from ddpm_np.closed_form.ideal import IdealDenoiser
from ddpm_np.closed_form.latent import LinearDecoder
from ddpm_np.training import TrainingState

COPIES = [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))]
SCHEDULE, X = Schedule.from_beta([0.1, 0.2]), np.array([[0.5, -1.0], [0.25, 2.0]])
LAW = Gaussian(X[0], [[1.0, 0.5], [0.5, 2.0]])
IMMUTABLE = {
    "Schedule": (SCHEDULE, lambda s: (s.log_snr, s.alpha_bar, *s.between(0, 2))),
    "Gaussian": (LAW, lambda p: (p.mean, p.cov, p.axes, p.spectrum, p.varies, p.logpdf(X))),
    "singular": (Gaussian.from_factor(X[0], [[1.0, 2.0]]), lambda p: (p.cov, p.logpdf(X))),
    "PointMass": (PointMass(X[0]), lambda p: (p.mean, p.cov)),
    "MultiSine": (MultiSine([1.0, 2.0], dim=2), lambda p: (p.cov, p.factor, p.logpdf(X))),
    "mixture": (
        GaussianMixture([0.5, 0.5], X, [LAW.cov, np.eye(2)]),
        lambda p: (p.weights, p.mean, p.cov, p.logpdf(X)),
    ),
    "Empirical": (Empirical(X), lambda p: (p.mean, p.cov)),
    "IdealDenoiser": (IdealDenoiser(LAW, SCHEDULE), lambda d: (d(X, 1),)),
    "LinearDecoder": (LinearDecoder(X, X[0], 0.5), lambda d: (d.W, d.mu, d.posterior(X[1]).mean)),
}


@pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("name", IMMUTABLE)
def test_a_copy_gives_the_same_numbers_and_is_as_read_only(name, copied):
    thing, numbers = IMMUTABLE[name]
    wanted = [np.copy(n) for n in numbers(thing)]
    other = copied(thing)
    for found, number in zip(numbers(other), wanted):
        assert np.array_equal(found, number)
    for key, value in vars(thing).items():
        if isinstance(value, np.ndarray) and not value.flags.writeable:
            assert not vars(other)[key].flags.writeable, key
            with pytest.raises(ValueError, match="read-only"):
                vars(other)[key].ravel()[...] = 0
                vars(other)[key][...] = 0


@pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_a_copied_network_is_equal_and_shares_no_weights(copied):
    network = MLP(2, 2, hidden=(4,), rng=np.random.default_rng(0), skip=[0.0, 0.5, 1.0])
    other, before = copied(network), network(X, 1)
    assert np.array_equal(other(X, 1), before) and other.config == network.config
    other.params["W1"][:] = 7
    assert np.array_equal(network(X, 1), before)
    assert np.array_equal(other.flat[:8], np.full(8, 7.0)), "its names are views of its own vector"


@pytest.mark.parametrize("copied", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_a_copied_state_shares_nothing(copied):
    network = MLP(2, 2, hidden=(4,), rng=np.random.default_rng(0))
    state = TrainingState(network, rng=np.random.default_rng(1))
    other = copied(state)
    assert other.network is not network
    for a, b in zip(state.vectors().values(), other.vectors().values()):
        assert np.array_equal(a, b) and not np.shares_memory(a, b)
    assert other.rng.random() == state.rng.random()


def test_what_was_passed_in_can_change_without_harm():
    for make, numbers in [
        (lambda a: Gaussian(a[0], np.eye(2)), lambda p: p.mean),
        (lambda a: Gaussian.from_factor(np.zeros(2), a), lambda p: p.cov),
        (lambda a: Empirical(a), lambda p: p.mean),
        (lambda a: LinearDecoder(a, np.zeros(2), 0.1), lambda d: d.W),
        (lambda a: Schedule.from_beta(np.abs(a[1]) / 9), lambda s: s.beta),
    ]:
        base = X.copy()
        view = base[:]
        view.flags.writeable = False  # it can change all the same
        thing = make(view)
        before = np.copy(numbers(thing))
        base[:] = 5
        assert np.array_equal(numbers(thing), before)
