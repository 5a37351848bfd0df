"""Denoising diffusion in NumPy: the derivation as code, the exact answers beside it, and a network with hand-written gradients."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddpm_np.network import MLP
    from ddpm_np.schedule import Schedule
    from ddpm_np.signals import MultiSine

__all__ = ["MLP", "MultiSine", "Schedule"]
__version__ = "0.1.0"

_HOMES = {"MLP": "network", "MultiSine": "signals", "Schedule": "schedule"}


def __getattr__(name: str) -> Any:
    # Loaded when first asked for, so that python -m ddpm_np can set the number of BLAS threads before NumPy is there.
    if name not in _HOMES:
        raise AttributeError(f"module 'ddpm_np' has no attribute {name!r}")
    return getattr(import_module(f"ddpm_np.{_HOMES[name]}"), name)
