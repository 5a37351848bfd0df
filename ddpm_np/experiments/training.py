"""One training of an experiment: run, saved with the history of its loss, and loaded (E16)."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ddpm_np.experiments.settings import KINDS, Job, Settings
from ddpm_np.learning.checkpoint import load_checkpoint, save_checkpoint
from ddpm_np.learning.fast import NetworkDenoiser, denoiser, gradient
from ddpm_np.training import Divergence, StepRecord, TrainingState, train

HISTORY = 200  # points of the loss curve: each is the mean over a block of steps


class Training:
    """A job of an experiment, by default its main one: its state, and the history of its loss.

    ``losses`` holds the mean loss of each complete block of ``block_size`` steps, ``block`` the
    losses of the block that has begun. A training that is interrupted, loaded and continued gives
    bit for bit the weights and the history of one that never stopped.
    """

    def __init__(self, experiment: Settings, job: Job | None = None) -> None:
        self.experiment, self.job = experiment, experiment.job() if job is None else job
        self.schedule, self.distribution = experiment.schedule(), self.job.distribution
        self.state = TrainingState(
            self.job.network,
            rng=experiment.rng("training"),
            ema_decay=experiment.ema_decay,
            beta_2=experiment.beta_2,
            muon_rate=self.job.muon_rate,
        )
        self.losses: list[float] = []
        self.block: list[float] = []

    @property
    def block_size(self) -> int:
        """The steps of a block; a whole training has about 200 blocks."""
        return max(1, self.job.steps // HISTORY)

    def run(self) -> Iterator[StepRecord]:
        """Trains to the last step and yields a record after each (E16).

        It may be stopped, and saved, at any record.
        """
        for record in train(
            self.state.network,
            self.distribution,
            self.schedule,
            steps=self.job.steps,
            batch_size=self.experiment.batch_size,
            learning_rate=self.job.learning_rate,
            max_norm=self.experiment.max_norm,
            step_density=self.job.step_density,
            state=self.state,
            gradient=gradient(self.state.network),
        ):
            self.block.append(record.loss)
            if len(self.block) == self.block_size:
                self.losses.append(float(np.mean(self.block)))
                self.block = []
            yield record

    def denoiser(self) -> NetworkDenoiser:
        """The averaged network."""
        return denoiser(self.state.ema_network())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the state and the history to one checkpoint.

        Raises Divergence where the weights are not finite.
        """
        for name, values in self.state.vectors().items():
            if not np.isfinite(values).all():
                raise Divergence(
                    f"{name} must be finite at step {self.state.step}; try a lower learning_rate"
                )
        history = {"losses": self.losses, "block": self.block}
        save_checkpoint(path, self.state, self.schedule, {**self._identity(), **history})

    def _identity(self) -> dict[str, Any]:
        units = self.experiment.units()
        return {
            "experiment": self.experiment.config,
            "job": self.job.name,
            "units": None if units is None else units.config,
        }

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], experiment: Settings, job: Job | None = None
    ) -> "Training":
        """The training saved there.

        ValueError, naming the file, if it is damaged or was saved by another experiment.
        """
        state, schedule, config = load_checkpoint(path, KINDS)
        training = cls(experiment, job)
        identity = training._identity()
        saved = {key: config.get(key) for key in identity} if isinstance(config, dict) else {}
        if saved != identity:
            what = difference(saved.get("experiment"), experiment.config)
            raise ValueError(f"{path} was saved by another run: {what}")
        wanted = training.state
        same = (
            schedule == training.schedule
            and state.network.config == wanted.network.config
            and state.ema.decay == wanted.ema.decay
        )
        if not same:
            raise ValueError(f"{path} was saved by another run: its schedule or network differs")
        steps = training.job.steps
        complete, begun = divmod(state.step, training.block_size)
        if state.step > steps:
            raise ValueError(f"{path} is at step {state.step}, but the run has {steps} steps")
        training.losses = _losses(path, "losses", config, complete)
        training.block = _losses(path, "block", config, begun)
        training.state = state
        return training


def _losses(
    path: str | os.PathLike[str], name: str, config: Mapping[str, Any], length: int
) -> list[float]:
    found = config.get(name)
    if not isinstance(found, list) or len(found) != length or not all(map(_is_loss, found)):
        raise ValueError(f"{path} is damaged: its {name} must be {length} finite numbers")
    return found


def _is_loss(value: Any) -> bool:
    return isinstance(value, float) and 0 <= value < np.inf


def difference(saved: Any, wanted: Mapping[str, Any]) -> str:
    """The first setting in which a saved configuration differs from the wanted one, in words."""
    if not isinstance(saved, Mapping):
        return "it holds no experiment"
    for key, value in wanted.items():
        if saved.get(key) != value:
            return f"its {key} is {str(saved.get(key))[:40]}, not {value}"
    return "it has settings that this version does not know"
