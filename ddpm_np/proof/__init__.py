"""How the derivation is known: exact proofs on the running code, and its rounding errors.

:mod:`ddpm_np.proof.symbols` holds the numbers that proofs run on, :mod:`ddpm_np.proof.prover`
says what a proof is and what it shows. :mod:`ddpm_np.proof.theorems` proves that functions are
their formulas, :mod:`ddpm_np.proof.identities` what they are to one another, and
:mod:`ddpm_np.proof.verify` all of it, and measures the errors of float64 and float32.
:mod:`ddpm_np.proof.exact` holds exact rational numbers.
"""

from ddpm_np.proof.identities import IDENTITIES
from ddpm_np.proof.prover import Chart, Identity, Proof, prove
from ddpm_np.proof.symbols import ANY, POSITIVE, UNIT
from ddpm_np.proof.theorems import identities_of

__all__ = [
    "ANY",
    "IDENTITIES",
    "POSITIVE",
    "UNIT",
    "Chart",
    "Identity",
    "Proof",
    "identities_of",
    "prove",
]
