"""The parts of a convolutional network, each forward pass beside its transpose (E15).

:mod:`ddpm_np.learning.unet` puts them together. A batch of pictures is an array

    h[row, picture, column, channel],

with the rows first. A 3 x 3 convolution then needs no window of nine pixels: :func:`neighbours`
puts each pixel beside its left and right neighbour, a row above and a row below are added, and
the three rows of the kernel are three matrix products on contiguous slices,

    u[r] = sum_k wide[r + k] kernel[k],    k = 0, 1, 2.

The copy is three times the size of h, where the usual window of nine pixels takes nine times.
All functions also run on complex and on exact numbers, which is how they are tested.
"""

import numpy as np

from ddpm_np._checks import Array


def from_pictures(x: Array, size: int) -> Array:
    """Pictures as vectors (n, size * size), row after row, to h of shape (size, n, size, 1)."""
    return np.ascontiguousarray(x.reshape(-1, size, size).transpose(1, 0, 2))[..., None]


def to_pictures(h: Array) -> Array:
    """The inverse of :func:`from_pictures`, which is also its transpose."""
    size, n = h.shape[:2]
    return np.ascontiguousarray(h[..., 0].transpose(1, 0, 2)).reshape(n, size * size)


def neighbours(h: Array, wrap: bool = False) -> Array:
    """wide (rows + 2, n, columns, 3 channels): each pixel with its left and right neighbour.

    wide[r + 1, :, c] is h[r, :, c - 1], h[r, :, c], h[r, :, c + 1]. Outside the picture there are
    zeros, or with ``wrap`` the pixels of the opposite side.
    """
    rows, n, columns, c = h.shape
    wide = np.empty((rows + 2, n, columns, 3 * c), h.dtype)
    inner = wide[1:-1]
    inner[..., c : 2 * c] = h
    inner[:, :, 1:, :c] = h[:, :, :-1]
    inner[:, :, :-1, 2 * c :] = h[:, :, 1:]
    inner[:, :, 0, :c] = h[:, :, -1] if wrap else 0
    inner[:, :, -1, 2 * c :] = h[:, :, 0] if wrap else 0
    wide[0], wide[-1] = (inner[-1], inner[0]) if wrap else (0, 0)
    return wide


def convolve(wide: Array, kernel: Array) -> Array:
    """u (rows, n, columns, C_out) from :func:`neighbours` and the kernel (3, 3 C_in, C_out).

    kernel[k, j C_in + i, o] weighs channel i of the pixel k - 1 rows below and j - 1 columns to the
    right. It is a cross-correlation, as in all networks: the kernel is not turned.
    """
    rows = len(wide) - 2
    top, middle, bottom = (wide[k : k + rows].reshape(-1, wide.shape[-1]) for k in range(3))
    u = top @ kernel[0]
    u += middle @ kernel[1]
    u += bottom @ kernel[2]
    return u.reshape(rows, *wide.shape[1:3], kernel.shape[2])


def turned(kernel: Array) -> Array:
    """The kernel of the transpose: turned by half a turn, its channels exchanged.

    d_h = convolve(neighbours(d_u), turned(kernel)).
    What pixel p gives to pixel q, q gives back to p, and p lies on the other side of q.
    """
    _, a, c_out = kernel.shape
    by_column = kernel.reshape(3, 3, a // 3, c_out)[::-1, ::-1]
    return np.ascontiguousarray(by_column.transpose(0, 1, 3, 2)).reshape(3, 3 * c_out, a // 3)


def kernel_backward(wide: Array, h: Array, out: Array) -> None:
    """d_kernel (3, 3 C_in, C_out), into ``out``, from h and the neighbours of d_u.

    What the kernel's pixel (k, j) sees from u it sees from h the other way round: the row 2 - k and
    the column 2 - j of the neighbours, summed over h^T wide.
    """
    rows, c_in, c_out = len(h), h.shape[-1], out.shape[-1]
    pixels = h.reshape(-1, c_in).T
    for k in range(3):
        seen = pixels @ wide[2 - k : 2 - k + rows].reshape(-1, 3 * c_out)  # (C_in, 3 C_out)
        by_column = seen.reshape(c_in, 3, c_out)[:, ::-1].transpose(1, 0, 2)
        out[k].reshape(3, c_in, c_out)[...] = by_column


def halve(h: Array) -> Array:
    """The mean of every 2 x 2 pixels: (rows / 2, n, columns / 2, channels)."""
    return double_backward(h) / 4


def halve_backward(d: Array) -> Array:
    """The transpose of :func:`halve`: a quarter to each of the 2 x 2 pixels."""
    return double(d / 4)


def double(h: Array) -> Array:
    """Each pixel four times, as 2 x 2 pixels: (2 rows, n, 2 columns, channels)."""
    return np.repeat(np.repeat(h, 2, axis=2), 2, axis=0)


def double_backward(d: Array) -> Array:
    """The transpose of :func:`double`: the sum of every 2 x 2 pixels."""
    pairs = d[0::2] + d[1::2]
    return pairs[:, :, 0::2] + pairs[:, :, 1::2]


def join(h: Array, kept: Array) -> Array:
    """The channels of h, then those of ``kept``."""
    return np.concatenate([h, kept], axis=-1)


def join_backward(d: Array, channels: int) -> tuple[Array, Array]:
    """The transpose of :func:`join`: the first ``channels`` to h, the rest to ``kept``."""
    return np.ascontiguousarray(d[..., :channels]), np.ascontiguousarray(d[..., channels:])
