"""The best denoiser that sees only a patch of the picture around each pixel (E24, E25).

A network of L convolutions of 3 x 3 pixels predicts the noise in a pixel from the patch of
p = 2 L + 1 pixels around it, and no other pixel of x_t can matter. For a given set of pictures the
best such prediction is known in closed form: among all patches that could be behind the noisy one,
each counts by its likelihood. What the patch does not tell, two ends of a ring say, such a denoiser
decides in each place anew, and the ring is not round. Kamb and Ganguli 2024 show that much of what
convolutional diffusion models invent is this.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ddpm_np._checks import (
    Array,
    Steps,
    check_count,
    check_flag,
    check_generator,
    check_instance,
    check_steps,
)
from ddpm_np.closed_form.arguments import ReadOnly, checked_points, float_array, frozen
from ddpm_np.closed_form.distributions.empirical import Empirical, log_weights
from ddpm_np.schedule import Schedule

PAIRS = 2**20  # pairs of a noisy and a clean patch whose likelihoods are held at once


class PatchDenoiser(ReadOnly):
    r"""(x_t, t) -> E[eps_q | the patch of x_t around q], q each pixel, over given pictures (E24).

    With x the noisy patch around q, y the clean patches it may come from, and y_q their middle,

    r_y = exp(-|x - sqrt(alpha_bar_t) y|^2 / (2 (1 - alpha_bar_t))), normalised over y,
    eps_hat_q = (x_q - sqrt(alpha_bar_t) sum_y r_y y_q) / sqrt(1 - alpha_bar_t).

    ``placed``: y runs over the patches at q itself, one from each picture: the denoiser knows where
    it looks. Otherwise y runs over the patches anywhere: it knows no more of its place than what it
    sees of the picture's edge, as a convolution with zeros outside does. So y are the patches from
    all places from which the edge looks the same; all places that do not see it are alike.

    The loss is the least that any denoiser with this view can have, since it is a conditional mean
    given all that such a denoiser sees. With a patch that covers everything from every pixel,
    2 size - 1, it is the ideal denoiser of the pictures.

    From: E24, with less given. Source: Kamb and Ganguli 2024, their local and equivariant local
    score machines.

    Parameters
    ----------
    pictures : (k, size * size), each equally likely
    schedule : the schedule whose steps t are asked for
    patch : its edge in pixels, odd
    placed : whether the denoiser knows the pixel's place
    """

    def __init__(
        self, pictures: ArrayLike, schedule: Schedule, *, patch: int, placed: bool = False
    ) -> None:
        self.pictures = frozen(float_array("pictures", pictures, ndim=2).copy())
        self.schedule = check_instance("schedule", schedule, Schedule)
        self.dim, self.T = self.pictures.shape[1], schedule.T
        self.size = round(self.dim**0.5)
        if self.size**2 != self.dim:
            raise ValueError(f"pictures must be square, got vectors of length {self.dim}")
        self.patch, self.placed = check_count("patch", patch), check_flag("placed", placed)
        if self.patch % 2 == 0:
            raise ValueError(f"patch must be odd, to have a middle, got {patch}")

    def __repr__(self) -> str:
        where = "placed" if self.placed else "anywhere"
        return f"PatchDenoiser(k={len(self.pictures)}, patch={self.patch}, {where})"

    def __call__(self, x_t: ArrayLike, t: Steps) -> Array:
        """eps_hat (n, dim) for x_t (n, dim), in its dtype; t: an int or (n,) integers, 1..T."""
        x_t = checked_points(x_t, self.dim, "x_t")
        if x_t.ndim != 2:
            raise ValueError(f"x_t must have 2 axes, got shape {x_t.shape}")
        t = np.broadcast_to(check_steps("t", t, 1, self.T, batch=x_t.shape[:1]), len(x_t))
        eps_hat = np.empty_like(x_t)
        for step in np.unique(t):
            rows = x_t[t == step].astype(np.float64)
            kept, noise = self.schedule.alpha_bar[step], self.schedule.one_minus_alpha_bar[step]
            mean, _ = self._clean(rows, kept, noise)
            eps_hat[t == step] = (rows - np.sqrt(kept) * mean) / np.sqrt(noise)
        return eps_hat

    def floor(self, *, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """The least loss at each t of a denoiser that sees no more, (T + 1,), entry 0 NaN (E25).

        floor_t = alpha_bar_t / (1 - alpha_bar_t) E Var[x_0q | patch], the mean over pixels and over
        n draws of x_t.
        """
        n, rng = check_count("n", n), check_generator(rng)
        dist, floor = Empirical(self.pictures), np.full(self.T + 1, np.nan)
        for t in range(1, self.T + 1):
            kept, noise = self.schedule.alpha_bar[t], self.schedule.one_minus_alpha_bar[t]
            _, variance = self._clean(
                dist.diffuse(self.schedule, t).sample(n, rng=rng), kept, noise
            )
            floor[t] = kept / noise * variance.mean()
        return floor

    def _clean(self, x: Array, kept: float, noise: float) -> tuple[Array, Array]:
        """Mean and variance of each pixel of x_0 given its patch of x, (n, dim) each."""
        mean, variance = np.empty((2, len(x), self.size, self.size))
        noisy, clean = self._patches(x), self._patches(np.sqrt(kept) * self.pictures)
        middle = self.pictures.reshape(-1, self.size, self.size)
        for rows in self._alike():
            for columns in self._alike():
                here = np.ix_(rows, columns)
                a, b = noisy[:, here[0], here[1]], clean[:, here[0], here[1]]
                y = middle[:, here[0], here[1]]
                # places first where they are known: each then has its own k patches to choose from
                places = len(rows) * len(columns) if self.placed else 1
                a, b, y = (_by_place(v, places) for v in (a, b, y))
                m, v = self._weigh(a, b, y[..., 0], noise)
                mean[:, here[0], here[1]] = _back(m, len(x), len(rows), len(columns))
                variance[:, here[0], here[1]] = _back(v, len(x), len(rows), len(columns))
        return mean.reshape(len(x), -1), variance.reshape(len(x), -1)

    def _weigh(self, a: Array, b: Array, y: Array, noise: float) -> tuple[Array, Array]:
        """Mean and variance of y (places, s) by the likelihood of a (places, n, p p) given b."""
        from scipy.special import softmax

        alone = len(a) == 1  # then no difference of two patches is kept
        at_once = max(1, PAIRS // (y.size if alone else b.size))
        means, variances = [], []
        for i in range(0, a.shape[1], at_once):
            some = a[:, i : i + at_once]
            rows, points = (some[0], b[0]) if alone else (some, b)
            logs, _ = log_weights(rows, points, noise)
            r = softmax(logs.reshape(*some.shape[:2], -1), axis=2)
            mean = r @ y[..., None]
            away = np.square(y[:, None] - mean)
            means.append(mean[..., 0])
            variances.append((r * away).sum(-1))
        return np.concatenate(means, axis=1), np.concatenate(variances, axis=1)

    def _patches(self, x: Array) -> Array:
        """The patch around each pixel, (n, size, size, p p), with zeros outside the picture."""
        reach = self.patch // 2
        around = (0, 0), (reach, reach), (reach, reach)
        padded = np.pad(x.reshape(-1, self.size, self.size), around)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.patch,) * 2, axis=(1, 2))
        return windows.reshape(*windows.shape[:3], -1)

    def _alike(self) -> list[Array]:
        """Rows (or columns) from which the edge looks the same, each group sorted."""
        if self.placed:
            return [np.arange(self.size)]
        reach, place = self.patch // 2, np.arange(self.size)
        seen = np.column_stack([np.minimum(place, reach), np.minimum(self.size - 1 - place, reach)])
        _, group = np.unique(seen, axis=0, return_inverse=True)
        return [np.flatnonzero(group.ravel() == g) for g in range(group.max() + 1)]


def _by_place(v: Array, places: int) -> Array:
    """(n, rows, columns[, p p]) to (places, n * rows * columns / places, p p or 1)."""
    flat = v.reshape(*v.shape[:3], -1)
    if places == 1:
        return flat.reshape(1, -1, flat.shape[-1])
    return flat.reshape(len(v), places, -1).transpose(1, 0, 2)


def _back(m: Array, n: int, rows: int, columns: int) -> Array:
    """(places, n * rows * columns / places) to (n, rows, columns)."""
    if len(m) == 1:
        return m.reshape(n, rows, columns)
    return m.T.reshape(n, rows, columns)
