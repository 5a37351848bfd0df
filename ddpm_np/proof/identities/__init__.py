"""What is proved: the derivation's identities, in its order, on the package's own code.

Each is a function that returns the two sides. Its docstring states the identity, and the line
above names the equations, the chart (in ``charts``), the cases and the arrays of variables (in
``entry``). Public functions are run on vectors with t as an int, and on batches with t for each
row, with repeats; for every T up to 5, every t and every route s < t. Where a statement is about
all T, its step from t - 1 to t is among the identities, because the levels are arbitrary.

:func:`ddpm_np.proof.prove` proves one of them, :mod:`ddpm_np.proof.verify` all. Every formula is
looked up in its module when it runs, so that what is proved is what is there.
"""

from ddpm_np.proof.identities import chain, gaussian, gradient, reverse
from ddpm_np.proof.identities.entry import IDENTITIES

__all__ = ["IDENTITIES", "chain", "gaussian", "gradient", "reverse"]
