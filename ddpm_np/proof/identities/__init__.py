"""What is proved: the derivation's identities, in its order, on the package's own code.

Each is a function that returns the two sides; its docstring states it, and the line above it names the equations, the chart (in
``charts``) and the cases. Where a schedule is involved it is an exact one with T = 3, which is enough to see t, t - 1, a skipped
step and both ends; its levels are arbitrary, so that the step from t = 2 to t = 3 is also the induction step of every statement
about all t. :func:`ddpm_np.proof.prove` proves one of them, :mod:`ddpm_np.proof.verify` all.

Every formula is looked up in its module when it runs, so that what is proved is what is there.
"""

from __future__ import annotations

from ddpm_np.proof.identities import forward, posterior, predictions, sampling  # noqa: F401  (each enters its own)
from ddpm_np.proof.identities.entry import IDENTITIES

__all__ = ["IDENTITIES"]
