"""How the derivation is believed: exact, finite proofs on the running code, and its rounding errors.

:mod:`ddpm_np.proof.prover` says what a proof is and why it is complete, :mod:`ddpm_np.proof.identities` lists what is proved, and
:mod:`ddpm_np.proof.verify` runs all of it. Exact numbers themselves stand in :mod:`ddpm_np.proof.exact`.
"""

from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.prover import ANY, UNIT, Chart, Identity, Proof, prove

__all__ = ["ANY", "IDENTITIES", "UNIT", "Chart", "Identity", "Proof", "prove"]
