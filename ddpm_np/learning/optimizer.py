"""AdamW, Muon, clipping, the learning-rate schedule and the average of the weights.

Everything here happens to one flat vector of parameters after its gradient is known. Each update is
a few passes over the vector, in place. A long vector is taken in blocks, so that a block is still
in the processor's cache for the next pass.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import DTypeLike

from ddpm_np._checks import Array, check_count, check_dtype, check_fraction, check_positive

BLOCK = 1 << 17  # numbers; they are updated one by one, so this changes the speed and no bit


class AdamW:
    r"""Adam with decoupled weight decay, by PyTorch's rule.

    theta <- (1 - lr weight_decay) theta
    m <- beta_1 m + (1 - beta_1) g,   v <- beta_2 v + (1 - beta_2) g^2
    theta <- theta - lr m_hat / (sqrt(v_hat) + eps)
    with m_hat = m / (1 - beta_1^k),   v_hat = v / (1 - beta_2^k) at update k

    Source: Loshchilov and Hutter 2019, algorithm 2, with one difference: there the decay is
    multiplied by the schedule's factor eta_k alone, here by the whole learning rate, as in
    ``torch.optim.AdamW``. A weight_decay of w here is one of lr_peak w there.
    ``m`` and ``v`` hold the sums without the factors (1 - beta): these constants move into the step
    size, which saves two passes.
    """

    def __init__(
        self,
        size: int,
        dtype: DTypeLike = np.float32,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        self.beta_1 = check_fraction("beta_1", beta_1, below_one=True)
        self.beta_2 = check_fraction("beta_2", beta_2, below_one=True)
        self.eps = check_positive("eps", eps)
        self.weight_decay = check_positive("weight_decay", weight_decay, zero=True)
        dtype = check_dtype(dtype)
        self.m, self.v = np.zeros(check_count("size", size), dtype), np.zeros(size, dtype)
        self.updates = 0
        self._spans = [slice(0, size)]
        self._work = np.empty(min(size, BLOCK), dtype)

    def step(self, theta: Array, gradient: Array, learning_rate: float) -> None:
        """One update of theta, in place. theta and gradient: (size,), of the dtype given first."""
        if theta.shape != self.m.shape or gradient.shape != self.m.shape:
            raise ValueError(
                f"theta and gradient must have shape {self.m.shape}, "
                f"got {theta.shape} and {gradient.shape}"
            )
        self.updates += 1
        # For the sums m_hat = a m and v_hat = b v, so that
        # lr m_hat / (sqrt(v_hat) + eps) = step m / (sqrt(v) + floor).
        a = (1 - self.beta_1) / (1 - self.beta_1**self.updates)
        b = (1 - self.beta_2) / (1 - self.beta_2**self.updates)
        step, floor = learning_rate * a / math.sqrt(b), self.eps / math.sqrt(b)
        shrink = 1 - learning_rate * self.weight_decay
        for block in _blocks(self._spans):
            m, v, w, g = self.m[block], self.v[block], theta[block], gradient[block]
            work = self._work[: w.size]
            m *= self.beta_1
            m += g
            v *= self.beta_2
            np.square(g, out=work)
            v += work
            np.sqrt(v, out=work)
            work += floor
            np.divide(m, work, out=work)
            work *= step
            if self.weight_decay:
                w *= shrink
            w -= work


class Muon(AdamW):
    r"""Muon for the kernels, each a matrix of inputs by outputs, and AdamW for all else.

    theta <- (1 - lr weight_decay) theta,   M <- mu M + G
    theta <- theta - lr rate sqrt(max(1, rows / columns)) O(G + mu M)

    O(X) is X with its singular values made about equal (:func:`orthogonalised`), so that an update
    is as large in every direction: the few that dominate a gradient do not drown the others. G + mu
    M is Nesterov's momentum. ``m`` holds M in the places of the kernels.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".

    kernels : for each the place of its first entry in the vector, its rows and its columns, in
        their order and apart
    rate : of the kernels, in multiples of the learning rate
    """

    def __init__(
        self,
        size: int,
        dtype: DTypeLike = np.float32,
        *,
        kernels: Sequence[tuple[int, int, int]],
        rate: float,
        momentum: float = 0.95,
        **options: float,
    ) -> None:
        super().__init__(size, dtype, **options)
        self.kernels = [(slice(at, at + rows * columns), columns) for at, rows, columns in kernels]
        self.rate = check_positive("rate", rate)
        self.momentum = check_fraction("momentum", momentum, below_one=True)
        ends = [0, *(end for span, _ in self.kernels for end in (span.start, span.stop)), size]
        if ends != sorted(ends):
            raise ValueError(f"kernels must be in order and apart, within {size} numbers")
        self._spans = [slice(*pair) for pair in zip(ends[::2], ends[1::2])]

    def step(self, theta: Array, gradient: Array, learning_rate: float) -> None:
        """One update of theta, in place. theta and gradient: (size,), of the dtype given first."""
        super().step(theta, gradient, learning_rate)
        shrink, ahead = 1 - learning_rate * self.weight_decay, []
        for span, columns in self.kernels:
            m, g = self.m[span], gradient[span]
            m *= self.momentum
            m += g
            ahead.append((g + self.momentum * m).reshape(-1, columns))
        for (span, columns), X, O in zip(self.kernels, ahead, orthogonalised(ahead)):
            theta[span] *= shrink
            O *= learning_rate * self.rate * max(1.0, len(X) / columns) ** 0.5
            theta[span] -= O.reshape(-1)


def orthogonalised(matrices: Sequence[Array]) -> list[Array]:
    """Each X with all its singular values moved to about 1: near its polar factor U V^T.

    Five steps X <- a X + b X A + c X A^2, A = X^T X, from X over its norm. They are polynomials of
    the first A, so they run on matrices as small as A, and X is multiplied once, at the end; those
    of one size run together. The numbers a, b and c lift small singular values fast: those above
    1/300 of the norm end between 0.68 and 1.21, and those below are lifted up to 485 times.

    Source: Jordan et al. 2024. X: (rows, columns), all of one dtype; a matrix of zeros stays as it
    is.
    """
    tall = [X if len(X) >= X.shape[1] else X.T for X in matrices]
    found = list(tall)
    for size in sorted({X.shape[1] for X in tall}):
        which = [i for i, X in enumerate(tall) if X.shape[1] == size]
        square = np.stack([tall[i].T @ tall[i] for i in which])
        norm = np.sqrt(np.trace(square, axis1=1, axis2=2))[:, None, None]
        norm[norm == 0] = 1
        for i, product in zip(which, _five_steps(square / norm**2) / norm):
            found[i] = tall[i] @ product
    return [Y if Y.shape == X.shape else Y.T for X, Y in zip(matrices, found)]


def _five_steps(A: Array) -> Array:
    """P in X P, what the five steps make of X, from A = X^T X; stacks (k, size, size)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    one = np.eye(A.shape[-1], dtype=A.dtype)

    def factor(A: Array) -> Array:
        F = c * (A @ A)
        F += b * A
        F += a * one
        return F

    P = F = factor(A)
    for _ in range(4):
        A = A @ F @ F
        F = factor(A)
        P = P @ F
    return P


def clip_by_global_norm(gradient: Array, max_norm: float) -> float:
    """Shortens the gradient, in place, to length max_norm if it is longer; returns its old length.

    A gradient with an entry that is not finite is left as it is, and the length returned is not
    finite either. The square of a finite entry may overflow or underflow, above 1e19 or below 1e-19
    in float32: then the length is taken of the gradient over its largest entry.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # seen in the next line
        square = float(np.dot(gradient, gradient))
    if np.finfo(gradient.dtype).tiny / np.finfo(gradient.dtype).eps < square < math.inf:
        norm = math.sqrt(square)
        if norm > max_norm:
            gradient *= max_norm / norm
        return norm
    largest = float(np.max(np.abs(gradient)))
    if not (math.isfinite(largest) and largest > 0):
        return largest
    direction = gradient / gradient.dtype.type(largest)
    length = math.sqrt(np.dot(direction, direction))
    if largest * length > max_norm:
        np.multiply(direction, max_norm / length, out=gradient)
    return largest * length


def warmup_cosine(
    step: int, *, steps: int, peak: float, warmup: int = 0, final: float = 0.0
) -> float:
    """The learning rate of update ``step`` = 1..steps: a line up to ``peak``, then a half cosine.

    peak step / warmup for step <= warmup, then
    final + (peak - final) (1 + cos(pi (step - warmup) / (steps - warmup))) / 2.
    The last update has the rate ``final``.

    Source: Loshchilov and Hutter 2017.

    >>> [round(warmup_cosine(k, steps=4, peak=1.0, warmup=2), 3) for k in (1, 2, 3, 4)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if step <= warmup:
        return peak * (step / warmup)
    done = (step - warmup) / (steps - warmup)
    return final + (peak - final) * (1 + math.cos(math.pi * done)) / 2


class EMA:
    """The exponential moving average of the weights; the initial weights do not count.

    After k updates it is sum_j decay^(k - j) theta_j / sum_j decay^(k - j), j = 1..k: a true
    weighted mean, so after one update it is theta_1. Kept as average <- average + w (theta -
    average) with w = (1 - decay) / (1 - decay^k).
    """

    def __init__(self, theta: Array, decay: float = 0.999) -> None:
        self.decay = check_fraction("decay", decay, below_one=True)
        self.average = theta.copy()
        self.updates = 0
        self._work = np.empty(min(theta.size, BLOCK), theta.dtype)

    def update(self, theta: Array) -> None:
        """Takes in the weights after one more update."""
        self.updates += 1
        weight = (1 - self.decay) / (1 - self.decay**self.updates)
        for block in _blocks([slice(0, theta.size)]):
            average = self.average[block]
            work = np.subtract(theta[block], average, out=self._work[: average.size])
            work *= weight
            average += work


def _blocks(spans: Iterable[slice]) -> Iterator[slice]:
    for span in spans:
        for start in range(span.start, span.stop, BLOCK):
            yield slice(start, min(start + BLOCK, span.stop))
