"""The pictures of the demos, one function each, in three modules that follow the notes: signals, the chain, its uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ddpm_np.demos import pictures_chain as chain
from ddpm_np.demos import pictures_signals as signals
from ddpm_np.demos import pictures_uses as uses
from ddpm_np.demos import rings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw"]

_FIGURES = {
    "averaging": signals.averaging, "covariance": signals.covariance, "reshape": signals.reshape,
    "forward": chain.forward, "posterior": chain.posterior, "variance": chain.variance, "noise-target": chain.noise_target,
    "likelihood": uses.likelihood, "moon": uses.moon, "multiply": uses.multiply, "memory": uses.memory,
    "rings": rings.draw,
}


def draw(name: str, drawn: Any) -> Figure:
    """The picture of the demo of that name, from the ``drawn`` of what it showed."""
    return _FIGURES[name](drawn)
