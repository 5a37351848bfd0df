"""The experiment with the user's own signals, of whose distribution nothing else is known."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_np._checks import Array
from ddpm_np._measurement import mean_and_error
from ddpm_np.closed_form.covariance import effective_rank
from ddpm_np.closed_form.distributions import Empirical, Gaussian
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_losses, optimal_loss
from ddpm_np.experiments import figures
from ddpm_np.experiments.base import Experiment, Pictures
from ddpm_np.experiments.evaluation import (
    REPEATS,
    Evaluation,
    covariance,
    distance,
    drawn,
    mean_loss,
    scatter,
    spectrum,
)
from ddpm_np.experiments.loss_figures import own_loss
from ddpm_np.experiments.training import Training
from ddpm_np.experiments.units import Units, read_signals
from ddpm_np.experiments.words import Rows
from ddpm_np.sampling import Denoiser

WORK = 10**9  # differences of numbers that the floor of the signals may take


@dataclass(frozen=True)
class OwnEvaluation(Evaluation):
    """The arrays are in the units of the file, those of losses and spectra are standardised.

    ideal : the samples of the Gaussian fit
    nearest : (n, columns), the signal nearest to each sample
    floor_of_fit : (T + 1,), what the Gaussian fit's predictor cannot go below
    """

    nearest: Array
    floor_of_fit: Array


@dataclass(frozen=True)
class Own(Experiment):
    """Signals of a file. Its absolute path and a checksum of its numbers are among the settings."""

    name = "own"

    hidden: tuple[int, ...] = (256, 128)
    steps: int = 6000
    batch_size: int = 200
    learning_rate: float = 5e-3
    ema_decay: float = 0.998
    mirrored: bool = True
    basis_size: int = 20
    samples: int = 500
    data: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("data", "digest"):
            if not isinstance(getattr(self, name), str) or "\0" in getattr(self, name):
                raise TypeError(f"{name} must be a text")

    @classmethod
    def of_file(cls, path: str | os.PathLike[str], **settings: Any) -> "Own":
        """The experiment with that file's signals, and such settings as steps, T and seed.

        ValueError, naming the file, for anything but finite numbers (n, dim); OSError if it cannot
        be read.
        """
        data = str(Path(path).absolute())
        digest, _, points = _known(data)
        dim = points.shape[1]
        # Most of a long signal is noise to be passed on: for that a layer must be wider, up to a
        # limit.
        wide: dict[str, Any] = {"hidden": (min(5 * dim // 4 * 2, 2048),)} if dim > 50 else {}
        return cls(data=data, digest=digest, dim=dim, **wide).variant(**settings)

    def signals(self) -> tuple[Units, Array]:
        """The units of the file and its signals, standardised, (n, dim).

        ValueError where the file has changed.
        """
        digest, units, points = _known(self.data)
        if digest != self.digest or points.shape[1] != self.dim:
            raise ValueError(f"{self.data} must be as it was when the run began, but has changed")
        return units, points

    def units(self) -> Units:
        return self.signals()[0]

    def distribution(self) -> Empirical:
        return Empirical(self.signals()[1])

    def facts(self) -> dict[str, Any]:
        units, points = self.signals()
        left = len(units.scale) - self.dim
        constant = f", of which {left} are constant and left out" if left else ""
        file = Path(self.data).name
        return {
            "count": len(points),
            "columns": len(units.scale),
            "file": file,
            "constant": constant,
        }

    def evaluate(self, training: Training, networks: Mapping[str, Denoiser]) -> Evaluation:
        (units, points), schedule, rng = self.signals(), training.schedule, self.rng("evaluation")
        n, N = self.samples, len(points)
        network, cov = training.denoiser(), np.atleast_2d(np.cov(points.T, ddof=0))
        gaussian = Gaussian(points.mean(0), cov)
        few = int(np.clip(WORK // (N * max(self.dim, 30) * self.T), 2, n))
        losses = estimate_losses(network, self.distribution(), schedule, n=few, rng=rng)
        seed = int(rng.integers(2**63))
        samples, path = drawn(network, schedule, n, self.dim, seed)
        ideal, ideal_path = drawn(IdealDenoiser(gaussian, schedule), schedule, n, self.dim, seed)
        shown = points[rng.permutation(N)[:n]]
        near, which = _two_nearest(samples, points)
        near_data, _ = _two_nearest(shown, points, itself=True)
        floor = optimal_loss(gaussian, schedule)
        redrawn = [distance(points[rng.integers(N, size=n)], gaussian) for _ in range(REPEATS)]
        rows, found = Rows(self.name), np.array(redrawn)
        loss, memory = mean_loss(losses), float(losses.floor[1:].mean())
        rank = effective_rank(covariance(samples))
        rows.add("loss", *loss, float(floor[1:].mean()))
        rows.add("loss_memory", *loss, memory)
        rows.add("copies", np.mean(near[:, 0] < near[:, 1] / 3))
        rows.add("nearest", np.median(near[:, 0]), n=n)
        rows.add("nearest_data", np.median(near_data[:, 0]), n=len(shown))
        rows.add("w2", distance(samples, gaussian), n=n)
        rows.add("w2_data", *mean_and_error(found), n=n, scatter=scatter(found))
        rows.add("rank", rank, None, effective_rank(gaussian.cov))
        spectra = {
            "data": gaussian.spectrum,
            "network": spectrum(samples),
            "ideal": spectrum(ideal),
            "true sample": spectrum(points[rng.integers(N, size=n)]),
        }
        return OwnEvaluation(
            rows,
            losses,
            units.restored(samples),
            units.restored(ideal),
            units.restored(shown),
            units.restored(path),
            units.restored(ideal_path),
            spectra,
            units.restored(points[which]),
            floor,
        )

    def pictures(self, training: Training, found: Evaluation) -> Pictures:
        assert isinstance(found, OwnEvaluation)
        other = "the Gaussian fit's denoiser"
        yield "samples", figures.own_samples(found.samples, found.nearest)
        yield "reverse", figures.reverse(found.path, found.ideal_path, other=other)
        yield "loss", own_loss(training, found.losses, found.floor_of_fit)
        rank = int(np.count_nonzero(found.spectra["data"] > 1e-12 * found.spectra["data"][0]))
        yield "spectrum", figures.spectrum(found.spectra, rank, "own_spectrum")
        yield "schedule", figures.schedule_tables(training.schedule)


def _known(path: str) -> tuple[str, Units, Array]:
    """Checksum, units and standardised signals of a file; it is read once, until it changes."""
    found = os.stat(path)
    return _read(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=1)
def _read(path: str, changed: int, size: int) -> tuple[str, Units, Array]:
    signals = read_signals(path)
    try:
        units = Units.of(signals)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    digest = hashlib.sha256(f"{signals.shape}".encode() + signals.tobytes()).hexdigest()
    return digest, units, units.standardised(signals)


def _two_nearest(x: Array, points: Array, *, itself: bool = False) -> tuple[Array, Array]:
    """Distances to the two nearest different points, root mean square per column, (n, 2).

    And which is the nearest, (n,). itself: each x is one of the points, which does not count.
    """
    from scipy.spatial.distance import cdist

    different, first = np.unique(points, axis=0, return_index=True)
    skip = int(itself)
    near, which = [], []
    for rows in np.array_split(x, -(-len(x) * len(different) // 10**7)):
        away = cdist(rows, different)
        order = np.argpartition(away, [0, min(1 + skip, len(different) - 1)], axis=1)
        order = order[:, skip : 2 + skip]
        near.append(np.sort(np.take_along_axis(away, order, axis=1), axis=1))
        which.append(first[away.argmin(1)])
    return np.concatenate(near) / np.sqrt(x.shape[1]), np.concatenate(which)
