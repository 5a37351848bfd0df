"""A training run at one moment, in memory and on disk: one .npz, no pickle, a checksum, and never half a file.

The state is saved and restored whole, generator included, so that a resumed run gives bit for bit the weights of one that never
stopped. :mod:`ddpm_np.training` moves it on.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from typing import Any, NamedTuple

import numpy as np

from ddpm_np._checks import Array, generator
from ddpm_np._files import write_atomically
from ddpm_np.learning.optimizer import EMA, AdamW
from ddpm_np.learning.parameters import Network, network_from_config
from ddpm_np.schedule import Schedule

__all__ = ["Checkpoint", "TrainingState", "load_checkpoint", "save_checkpoint"]

FORMAT = "ddpm_np checkpoint 2"
VECTORS = ("parameters", "m", "v", "average")  # the four vectors that training moves, each as long as the network's


class TrainingState:
    """A training run at one moment: network, optimizer moments, averaged weights, generator and step.

    :func:`ddpm_np.training.train` moves it on in place. Continuing from a saved state gives bit for bit what an uninterrupted run gives.
    """

    def __init__(
        self, network: Network, *, rng: np.random.Generator, ema_decay: float = 0.999, weight_decay: float = 0.0,
        beta_1: float = 0.9, beta_2: float = 0.999, eps: float = 1e-8,
    ) -> None:
        self.network = network
        self.optimizer = AdamW(
            network.flat.size, network.dtype, beta_1=beta_1, beta_2=beta_2, eps=eps, weight_decay=weight_decay
        )
        self.ema = EMA(network.flat, ema_decay)
        self.rng = generator(rng)
        self.step = 0

    def ema_network(self) -> Network:
        """A network of its own with the averaged weights: the one to sample from."""
        average = self.network.copy()
        average.flat[:] = self.ema.average
        return average


class Checkpoint(NamedTuple):
    """What a checkpoint holds: the run's state, its schedule, and the configuration that was saved with it."""

    state: TrainingState
    schedule: Schedule
    config: dict[str, Any]


def save_checkpoint(path: str | os.PathLike[str], state: TrainingState, schedule: Schedule, config: dict[str, Any]) -> None:
    """Writes the state, the schedule and the configuration (anything JSON knows) to one .npz at exactly this path.

    The file appears whole or not at all: it is written under another name beside it and then renamed. Also the SHA-256 of its
    content is in it. Checked by: tests/learning/test_checkpoint.py. TypeError for a config that JSON does not know.
    """
    if schedule.beta.dtype == object:
        raise TypeError("schedule must be of float64 to be saved, got exact numbers")
    optimizer, ema = state.optimizer, state.ema
    arrays = {
        "parameters": state.network.flat, "m": optimizer.m, "v": optimizer.v, "average": ema.average, "beta": schedule.beta[1:],
    }
    about = {
        "format": FORMAT, "network": state.network.config, "step": state.step, "config": config,
        "generator": _listed(state.rng.bit_generator.state),
        "optimizer": {
            "beta_1": optimizer.beta_1, "beta_2": optimizer.beta_2, "eps": optimizer.eps, "weight_decay": optimizer.weight_decay,
            "updates": optimizer.updates,
        },
        "ema": {"decay": ema.decay, "updates": ema.updates},
    }
    try:
        text = json.dumps(about, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise TypeError(f"config must hold only what JSON knows: {error}") from None
    arrays["about"] = np.frombuffer(text.encode(), np.uint8)
    arrays["sha256"] = np.frombuffer(_digest(arrays), np.uint8)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """The state, the schedule and the configuration in the file.

    ValueError, naming the file, for one that is truncated, altered, foreign, or whose arrays do not fit its own network; OSError
    if it cannot be read at all.
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is not a checkpoint, or is truncated: it is not an .npz file")
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, NotImplementedError):
            raise ValueError(f"{path} is not a checkpoint, or is damaged: its arrays cannot be read") from None
    if not {*VECTORS, "beta", "about", "sha256"} <= arrays.keys():
        raise ValueError(f"{path} is not a checkpoint: it lacks the arrays of one")
    if arrays.pop("sha256").tobytes() != _digest(arrays):
        raise ValueError(f"{path} was altered or damaged: its content does not match its checksum")
    try:
        about = json.loads(arrays["about"].tobytes())
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}, this program reads {FORMAT!r}")
        return _restore(about, arrays)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} is not a checkpoint that fits this program: {error}") from None


def _restore(about: dict[str, Any], arrays: dict[str, Array]) -> Checkpoint:
    network = network_from_config(about["network"])
    for name in VECTORS:
        if arrays[name].shape != network.flat.shape or arrays[name].dtype != network.dtype:
            raise ValueError(
                f"{name} must have shape {network.flat.shape} and dtype {network.dtype}, got {arrays[name].shape} and {arrays[name].dtype}"
            )
    optimizer = about["optimizer"]
    state = TrainingState(
        network, rng=_generator(about["generator"]), ema_decay=about["ema"]["decay"], weight_decay=optimizer["weight_decay"],
        beta_1=optimizer["beta_1"], beta_2=optimizer["beta_2"], eps=optimizer["eps"],
    )
    network.flat[:], state.ema.average[:] = arrays["parameters"], arrays["average"]
    state.optimizer.m[:], state.optimizer.v[:] = arrays["m"], arrays["v"]
    state.optimizer.updates, state.ema.updates, state.step = optimizer["updates"], about["ema"]["updates"], about["step"]
    schedule = Schedule.from_beta(arrays["beta"])
    if schedule.T != network.T:
        raise ValueError(f"schedule and network must have the same T, got {schedule.T} and {network.T}")
    return Checkpoint(state, schedule, about["config"])


def _generator(saved: dict[str, Any]) -> np.random.Generator:
    kinds = {"PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"}
    if saved["bit_generator"] not in kinds:
        raise ValueError(f"generator must be one of {', '.join(sorted(kinds))}, got {saved['bit_generator']!r}")
    bits = getattr(np.random, saved["bit_generator"])()
    bits.state = saved  # lists in place of arrays are accepted
    return np.random.Generator(bits)


def _listed(state: Any) -> Any:
    """The generator's state with lists in place of arrays, for JSON."""
    if isinstance(state, dict):
        return {key: _listed(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


def _digest(arrays: dict[str, Array]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
