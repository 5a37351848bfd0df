"""Denoising diffusion in NumPy: the derivation as code, the exact answers beside it, and a network with hand-written gradients."""

from ddpm_np.network import MLP
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine

__all__ = ["MLP", "MultiSine", "Schedule"]
__version__ = "0.1.0"
