"""A training run at one moment, in memory; :mod:`ddpm_np.learning.checkpoint` writes it to disk."""

import copy

import numpy as np

from ddpm_np._checks import Array, check_fraction, check_generator, check_instance, check_positive
from ddpm_np.learning.optimizer import EMA, AdamW, Muon
from ddpm_np.learning.parameters import Network

VECTORS = ("parameters", "m", "v", "average")  # what training changes, each as long as the network


class TrainingState:
    """A training run at one moment: network, optimizer, averaged weights, generator and step.

    muon_rate: the rate of Muon for the kernels, in multiples of the learning rate
    (:class:`~ddpm_np.learning.optimizer.Muon`); with 0 all parameters are AdamW's.

    :func:`ddpm_np.training.train` changes it in place. Continuing from a saved or copied state
    gives bit for bit what an uninterrupted run gives. Copies share nothing with the original.
    """

    def __init__(
        self,
        network: Network,
        *,
        rng: np.random.Generator,
        ema_decay: float = 0.999,
        weight_decay: float = 0.0,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        muon_rate: float = 0.0,
    ) -> None:
        self.network = check_instance("network", network, Network)
        check_fraction("ema_decay", ema_decay, below_one=True)
        size, dtype = network.flat.size, network.dtype
        options = {"beta_1": beta_1, "beta_2": beta_2, "eps": eps, "weight_decay": weight_decay}
        self.optimizer = AdamW(size, dtype, **options)
        self.muon_rate = check_positive("muon_rate", muon_rate, zero=True)
        if self.muon_rate:
            kernels = network.params.kernels()
            self.optimizer = Muon(size, dtype, kernels=kernels, rate=self.muon_rate, **options)
        self.ema = EMA(network.flat, ema_decay)
        self.rng = check_generator(rng)
        self.step = 0

    def ema_network(self) -> Network:
        """A network of its own with the averaged weights: the one to sample from."""
        average = self.network.copy()
        average.flat[:] = self.ema.average
        return average

    def vectors(self) -> dict[str, Array]:
        """The vectors that training changes, by name."""
        optimizer = self.optimizer
        values = self.network.flat, optimizer.m, optimizer.v, self.ema.average
        return dict(zip(VECTORS, values))

    def __copy__(self) -> "TrainingState":
        return copy.deepcopy(self)
