"""A small network, trained for a second or two on a handful of points."""

import numpy as np

from ddpm_np._checks import Array
from ddpm_np.closed_form.distributions import Empirical
from ddpm_np.learning.fast import FastGradient
from ddpm_np.learning.parameters import Network
from ddpm_np.network import MLP, Layer
from ddpm_np.schedule import Schedule
from ddpm_np.training import trained

# The notes' schedule with a first step five times as large: one second of training is too short
# for noise of size 0.016.
SCHEDULE = Schedule.sigmoid(100, beta_min=1e-3)


def trained_on(points: Array, *, skip: Array, steps: int, rng: np.random.Generator) -> Network:
    """The averaged network after so many steps on the points, for SCHEDULE."""
    # A few points need sharp bends in x_t. After one second SiLU's loss is below leaky ReLU's.
    hidden = Layer(128, "silu"), Layer(128, "silu")
    network = MLP(points.shape[1], SCHEDULE.T, hidden=hidden, rng=rng, skip=skip)
    return trained(
        network,
        Empirical(points),
        SCHEDULE,
        rng=rng,
        ema_decay=0.99,
        steps=steps,
        batch_size=128,
        learning_rate=1e-2,
        gradient=FastGradient(),
    )
