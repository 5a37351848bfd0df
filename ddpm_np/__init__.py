"""Denoising diffusion (DDPM) in NumPy: the derivation as code, exact values beside learned.

Read it in this order; an afternoon is enough for the first seven.

    schedule     beta_t, and the tables that follow from it              E2, E19
    forward      the noising kernels and their covariance                E1, E3 to E6
    posterior    psi_1, psi_2, mean and variance, the eps form           E7 to E14
    sampling     reverse steps, and the two samplers                     E17, E18
    signals      the notes' curve, and the ensemble of all such curves   E20
    network      the MLP: forward pass and backward pass                 E15
    training     the loss and the loop                                   E15, E16

The folders hold what belongs to them:

    equations    every equation once: formula, functions, place in the notes
    closed_form  what is known exactly about the signals                 E21 to E33
    learning     layers, optimizer, checkpoints, random numbers
    proof        exact and symbolic numbers, the prover, the identities
    conformance  property tests for any diffusion code
    errata       errors in the notes, with a counterexample each
    demos        what the notes show, each beside its closed form
    experiments  what ``python -m ddpm_np run`` does
    companion    the page with the notes on the left and the code on the right
    commands     the commands and their options
    cli          the command line: its parser and its exit codes
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddpm_np.network import MLP
    from ddpm_np.schedule import Schedule
    from ddpm_np.signals import MultiSine

__all__ = ["MLP", "MultiSine", "Schedule"]
__version__ = "0.3.0"

_MODULES = {"MLP": "network", "MultiSine": "signals", "Schedule": "schedule"}


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that python -m ddpm_np can set the number of BLAS threads
    # before NumPy is there.
    if name not in _MODULES:
        raise AttributeError(f"module 'ddpm_np' has no attribute {name!r}")
    return getattr(import_module(f"ddpm_np.{_MODULES[name]}"), name)
