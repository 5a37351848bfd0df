"""A table of T rows, such as the gates, at the steps of a batch, and the transpose of that (E16).

The steps come in rounds 1, 2, .., T, 1, 2, .. (:func:`ddpm_np.training.balanced_steps`), so that
the table meets the batch by broadcasting, and its gradient is a sum over rounds.
:mod:`ddpm_np.learning.fast` is made of this.
"""

import numpy as np

from ddpm_np._checks import Array


class Rounds:
    """The steps of a batch: whole rounds 1..T first, then the rest, which need not be sorted.

    A batch that does not begin with its rounds is all rest. Where the rest increases, its rows are
    added at once.
    """

    def __init__(self, T: int, n: int, basis: Array | None) -> None:
        self.T, self.n, self.basis = T, n, basis
        self.rounds = np.tile(np.arange(1, T + 1), n // T)
        self.gathered: dict[int, Array] = {}

    def take(self, t: Array) -> None:
        """Makes t the steps of the batch."""
        self.head = self.rounds.size if np.array_equal(t[: self.rounds.size], self.rounds) else 0
        self.rest = t[self.head :]
        self.once = bool((self.rest[1:] > self.rest[:-1]).all())
        self.weights = None if self.basis is None or self.head else self.basis[t]

    def table(self, values: Array) -> Array:
        """What :meth:`apply` takes: a row for each step, or of the batch if that is less work."""
        if self.weights is not None:
            return self.weights @ values
        return values if self.basis is None else self.basis @ values

    def apply(self, ufunc: np.ufunc, rows: Array, table: Array, *, out: Array) -> None:
        """out = ufunc(rows, gate[t]), and likewise for a shift, of which :meth:`table` is given."""
        if self.weights is None:
            self.combine(ufunc, rows, table, out=out)
        else:
            ufunc(rows, table, out=out)

    def combine(self, ufunc: np.ufunc, rows: Array, table: Array, *, out: Array) -> None:
        """out = ufunc(rows, table[t])."""
        if self.head:
            shape = -1, self.T * rows.shape[1]
            row = table[1:].reshape(-1)
            ufunc(rows[: self.head].reshape(shape), row, out=out[: self.head].reshape(shape))
        if self.rest.size:
            width = rows.shape[1]
            if width not in self.gathered:
                self.gathered[width] = np.empty((self.n, width), rows.dtype)
            # t was checked; mode="clip" spares the copy that take makes to be able to raise
            at = self.gathered[width][: self.rest.size]
            np.take(table, self.rest, axis=0, out=at, mode="clip")
            ufunc(rows[self.head :], at, out=out[self.head :])

    def sum(self, rows: Array, *, out: Array) -> None:
        """The backward pass of ``table[t]``: out[s] is the sum of the rows whose step is s."""
        if self.weights is not None:
            np.matmul(self.weights.T, rows, out=out)
        elif self.basis is not None:
            total = np.empty((self.T + 1, rows.shape[1]), rows.dtype)
            self._sum(rows, total)
            np.matmul(self.basis.T, total, out=out)
        else:
            self._sum(rows, out)

    def _sum(self, rows: Array, out: Array) -> None:
        if self.head:
            out[0] = 0
            shape = -1, self.T * rows.shape[1]
            np.add.reduce(rows[: self.head].reshape(shape), axis=0, out=out[1:].reshape(-1))
        else:
            out[:] = 0
        if self.once:
            out[self.rest] += rows[self.head :]
        else:
            np.add.at(out, self.rest, rows[self.head :])
