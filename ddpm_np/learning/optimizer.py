"""AdamW, clipping, the learning-rate schedule and the average of the weights.

Second room of what is learned: everything that happens to one flat vector of parameters after its gradient is known. A handful of
passes over whole vectors, in place.
"""

from __future__ import annotations

import math

import numpy as np

from ddpm_np._checks import Array, count, fraction, positive

__all__ = ["EMA", "AdamW", "clip_by_global_norm", "warmup_cosine"]


class AdamW:
    r"""Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

    theta <- (1 - lr weight_decay) theta
    m <- beta_1 m + (1 - beta_1) g,   v <- beta_2 v + (1 - beta_2) g^2
    theta <- theta - lr m_hat / (sqrt(v_hat) + eps),   m_hat = m / (1 - beta_1^k),   v_hat = v / (1 - beta_2^k) at update k

    Checked by: tests/learning/test_optimizer.py. The decay is multiplied by lr but not by the gradient's scale, and not applied twice.
    ``m`` and ``v`` hold the sums without the factors (1 - beta): these constants move into the step size, which saves two passes.
    """

    def __init__(
        self, size: int, dtype: np.dtype | type = np.float32, *, beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.beta_1, self.beta_2 = fraction("beta_1", beta_1, below_one=True), fraction("beta_2", beta_2, below_one=True)
        self.eps, self.weight_decay = positive("eps", eps), positive("weight_decay", weight_decay, zero=True)
        self.m, self.v = np.zeros(count("size", size), dtype), np.zeros(size, dtype)
        self.updates = 0
        self._work = np.empty_like(self.m)

    def step(self, theta: Array, gradient: Array, learning_rate: float) -> None:
        """One update of theta, in place. theta and gradient: (size,), in the dtype given at the start."""
        if theta.shape != self.m.shape or gradient.shape != self.m.shape:
            raise ValueError(f"theta and gradient must have shape {self.m.shape}, got {theta.shape} and {gradient.shape}")
        self.updates += 1
        # m_hat = m a and v_hat = v b for the unnormalised sums, so lr m_hat / (sqrt(v_hat) + eps) = step m / (sqrt(v) + floor)
        a = (1 - self.beta_1) / (1 - self.beta_1**self.updates)
        b = (1 - self.beta_2) / (1 - self.beta_2**self.updates)
        step, floor = learning_rate * a / math.sqrt(b), self.eps / math.sqrt(b)
        m, v, work = self.m, self.v, self._work
        m *= self.beta_1
        m += gradient
        v *= self.beta_2
        np.square(gradient, out=work)
        v += work
        np.sqrt(v, out=work)
        work += floor
        np.divide(m, work, out=work)
        work *= step
        if self.weight_decay:
            theta *= 1 - learning_rate * self.weight_decay
        theta -= work


def clip_by_global_norm(gradient: Array, max_norm: float) -> float:
    """Shortens the gradient, in place, to the length max_norm if it is longer; returns the length it had.

    A gradient that is not finite is left as it is: its norm tells. Checked by: tests/learning/test_optimizer.py.
    """
    norm = math.sqrt(np.dot(gradient, gradient))
    if math.isfinite(norm) and norm > max_norm:
        gradient *= max_norm / norm
    return norm


def warmup_cosine(step: int, *, steps: int, peak: float, warmup: int = 0, final: float = 0.0) -> float:
    """The learning rate of update ``step`` = 1..steps: up on a line to ``peak`` at ``warmup``, then down a half cosine.

    peak step / warmup for step <= warmup, then final + (peak - final) (1 + cos(pi (step - warmup) / (steps - warmup))) / 2; the
    last update has the rate ``final``. Source: Loshchilov and Hutter 2017. Checked by: tests/learning/test_optimizer.py.

    >>> [round(warmup_cosine(k, steps=4, peak=1.0, warmup=2), 3) for k in (1, 2, 3, 4)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if step <= warmup:
        return peak * (step / warmup)
    return final + (peak - final) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


class EMA:
    """The exponential moving average of the weights, with a start that forgets the initial weights at once.

    After k updates it is sum_j decay^(k - j) theta_j / sum_j decay^(k - j), j = 1..k: a true weighted mean, so after one update it
    is theta_1. Kept as average <- average + w (theta - average) with w = (1 - decay) / (1 - decay^k).
    Checked by: tests/learning/test_optimizer.py.
    """

    def __init__(self, theta: Array, decay: float = 0.999) -> None:
        self.decay = fraction("decay", decay, below_one=True)
        self.average = theta.copy()
        self.updates = 0
        self._work = np.empty_like(theta)

    def update(self, theta: Array) -> None:
        """Takes in the weights after one more update."""
        self.updates += 1
        np.subtract(theta, self.average, out=self._work)
        self._work *= (1 - self.decay) / (1 - self.decay**self.updates)
        self.average += self._work
