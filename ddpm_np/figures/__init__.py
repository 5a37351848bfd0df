"""Drawing, and only drawing: every function here takes numbers that were computed elsewhere and returns a picture.

:mod:`ddpm_np.figures.style` is the one look that all pictures share; the other modules draw the main job's run and the demos.
matplotlib is optional: nothing here is imported before a picture is asked for, and :func:`available` says whether it can be.
"""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["available"]


def available() -> bool:
    """Whether matplotlib is installed, so that pictures can be drawn."""
    return find_spec("matplotlib") is not None
