"""Small pictures of the moon, drawn by the program, to interpolate between (N1 "神奇的语意融合").

A moon of lit fraction k is a disc whose shadow ends in half an ellipse: in each row of half-width h, what lies to the right of
(1 - 2 k) h is lit. So exactly the fraction k of every row is lit, and of the disc. Full is k = 1, half is k = 1/2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import count, real_array

__all__ = ["DARK", "LIT", "SKY", "moon"]

SKY, DARK, LIT = -1.0, -0.7, 1.0  # the dark side is a little brighter than the sky, as on a clear evening
_RADIUS = 0.44  # of the picture's width
_SUPERSAMPLING = 8  # per pixel and axis


def moon(lit: ArrayLike, size: int = 16) -> NDArray[np.float64]:
    """Pictures of the moon as flat vectors: (n,) lit fractions in [0, 1] give (n, size * size), one fraction gives (size * size,).

    Row by row from the top, values from SKY to LIT, edges smoothed by averaging 8 x 8 points in each pixel.
    Checked by: tests/demos/test_moon_pictures.py. ValueError for fractions outside [0, 1].
    """
    size = count("size", size)
    fractions = real_array("lit", np.atleast_1d(lit), ndim=1)
    if np.any((fractions < 0) | (fractions > 1)):
        raise ValueError(f"lit must be in [0, 1], got values from {fractions.min()} to {fractions.max()}")
    fine = size * _SUPERSAMPLING
    place = (np.arange(fine) + 0.5) / fine - 0.5
    half_width = np.sqrt(np.maximum(_RADIUS**2 - place**2, 0.0))[:, None]  # of each row; 0 above and below the disc
    on_disc = np.abs(place) < half_width
    pictures = np.empty((len(fractions), size * size))
    for picture, k in zip(pictures, fractions):
        values = np.where(on_disc, np.where(place >= (1 - 2 * k) * half_width, LIT, DARK), SKY)
        picture[:] = values.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING).mean(axis=(1, 3)).ravel()
    return pictures if np.ndim(lit) else pictures[0]
