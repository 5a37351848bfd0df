"""A trained network that was saved by a run, ready to be drawn from."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from ddpm_np import _figure_style as style
from ddpm_np._checks import Array, check_choice
from ddpm_np._files import write_atomically
from ddpm_np.experiments import figures
from ddpm_np.experiments.settings import KINDS
from ddpm_np.experiments.units import Units
from ddpm_np.learning.checkpoint import load_checkpoint
from ddpm_np.learning.fast import denoiser
from ddpm_np.learning.parameters import Network
from ddpm_np.learning.unet import UNet
from ddpm_np.sampling import ancestral_sample, ddim_sample
from ddpm_np.schedule import Schedule

SAMPLERS: dict[str, Callable[..., Array]] = {"ancestral": ancestral_sample, "ddim": ddim_sample}


class Saved(NamedTuple):
    """The averaged network, its schedule, the units of the signals, and the steps of training."""

    network: Network
    schedule: Schedule
    units: Units | None
    step: int

    def sample(
        self,
        n: int,
        *,
        rng: np.random.Generator,
        sampler: str = "ancestral",
        steps: int | None = None,
    ) -> Array:
        """n signals in the units of the data, (n, columns).

        sampler: "ancestral" or "ddim"; steps: how many of the schedule's are taken, by default all.
        """
        draw = SAMPLERS[check_choice("sampler", sampler, *SAMPLERS)]
        network = denoiser(self.network)
        samples = draw(network, self.schedule, n, network.dim, rng=rng, steps=steps)
        return samples if self.units is None else self.units.restored(samples)

    @property
    def columns(self) -> int:
        """How many numbers a signal has."""
        return self.network.dim if self.units is None else len(self.units.mean)

    def picture(self, samples: Array) -> style.Figure:
        """The signals as lines; for a U-Net, which learns pictures, as pictures."""
        is_unet = isinstance(self.network, UNet)
        draw = figures.drawn_pictures if is_unet else figures.drawn_signals
        return draw(samples)


def save_samples(path: Path, samples: Array) -> None:
    """Writes the samples (n, columns) as the ending says: .npy, .csv, or else .npz."""
    kind = path.suffix.lower()

    def write(file: IO[bytes]) -> None:
        if kind == ".npy":
            np.save(file, samples)
        elif kind == ".csv":
            np.savetxt(file, samples, delimiter=",", fmt="%.9g")
        else:
            np.savez(file, samples=samples)

    write_atomically(path, write)


def load(path: str | os.PathLike[str]) -> Saved:
    """What a run has saved: of the folder of one trained network, or of its checkpoint.

    ValueError, naming it, where there is none, more than one, or a damaged one.

    >>> load("runs/001/curve").sample(16, rng=np.random.default_rng(0))  # doctest: +SKIP
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("checkpoint.npz")) or sorted(path.glob("*/checkpoint.npz"))
        if len(found) != 1:
            names = ", ".join(str(each.parent) for each in found) or "no checkpoint.npz"
            which = "; name one of them" if found else ""
            raise ValueError(f"{path} must hold one trained network, but holds {names}{which}")
        path = found[0]
    state, schedule, config = load_checkpoint(path, KINDS)
    units = config.get("units") if isinstance(config, dict) else None
    try:
        return Saved(
            state.ema_network(), schedule, Units.from_config(units, state.network.dim), state.step
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
