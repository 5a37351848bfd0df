"""Denoising diffusion in NumPy: the derivation as code, the exact answers beside it, and a network with hand-written gradients."""

from ddpm_np.schedule import Schedule

__all__ = ["Schedule"]
__version__ = "0.1.0"
