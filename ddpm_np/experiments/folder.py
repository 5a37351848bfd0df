"""The folder of a run: made or taken up again, filled step by step, never overwritten.

On top of :mod:`ddpm_np.experiments.experiment`, :mod:`ddpm_np.experiments.evaluation` and :mod:`ddpm_np.experiments.report`; called by :mod:`ddpm_np.cli`. A folder
holds ``run.json``, the configuration, written first; the checkpoints; and the report, written last. Killed at any moment between,
a run is taken up from the last checkpoint and ends with the same numbers.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddpm_np import _figure_style
from ddpm_np.experiments.evaluation import evaluate
from ddpm_np.experiments.experiment import EXPERIMENTS, Experiment, Training
from ddpm_np.experiments.progress import deferred_interrupt, follow, say
from ddpm_np.experiments.report import write_report, write_summary
from ddpm_np.learning.checkpoint import write_atomically
from ddpm_np.training import Divergence

__all__ = ["CHECKPOINT", "CHECKPOINT_EVERY", "Failed", "Interrupted", "Refused", "RunFolder"]

CHECKPOINT_EVERY = 500  # steps; between two of them a kill costs at most a few seconds of training
CHECKPOINT, CONFIG, REPORT = "checkpoint.npz", "run.json", "report.json"
FORMAT = "ddpm_np run 1"


class Refused(Exception):
    """What was asked cannot be done; the text says why, in one line. Nothing was written."""


class Failed(Exception):
    """The run itself failed; the text says at which step, what was kept and what to try."""


class Interrupted(Exception):
    """Ctrl-C; the text says what was kept and how to go on."""


class RunFolder:
    """A run in its folder: one experiment in the folder itself, or several in a subfolder each."""

    def __init__(self, path: Path, experiments: Sequence[Experiment]) -> None:
        self.path, self.experiments = path, tuple(experiments)

    @classmethod
    def new(cls, out: str | None, experiments: Sequence[Experiment]) -> RunFolder:
        """A new run in ``out``, or in the next free number under runs/. Refused where there is a run already."""
        path = Path("runs") if out is None else Path(out)
        try:
            path.mkdir(parents=True, exist_ok=True)
            path = _next_numbered(path) if out is None else path
        except OSError as error:
            raise Refused(f"argument --out: must be a folder that can be written, got {path} ({error.strerror})") from None
        own = {CONFIG, CHECKPOINT, REPORT, "report.md", "samples.npz", *EXPERIMENTS}
        present = sorted(own & {entry.name for entry in path.iterdir()})
        if present:
            raise Refused(
                f"argument --out: must be a folder without a run, but {path} holds {', '.join(present)}; "
                "--resume goes on with a run, another folder starts one"
            )
        content = {"format": FORMAT, "experiments": [e.config for e in experiments]}
        try:
            write_atomically(path / CONFIG, lambda file: file.write((json.dumps(content, indent=1) + "\n").encode()))
        except OSError as error:
            raise Refused(f"argument --out: must be a folder that can be written, got {path} ({error.strerror})") from None
        return cls(path, experiments)

    @classmethod
    def existing(cls, out: str | None, **given: Any) -> RunFolder:
        """The run in ``out``. What was given must be what it was started with; None stands for not given."""
        if out is None:
            raise Refused("argument --resume: needs --out DIR, the folder of the run")
        path = Path(out)
        try:
            content = json.loads((path / CONFIG).read_text())
            if content["format"] != FORMAT:
                raise ValueError(content["format"])
            experiments = [Experiment.from_config(config) for config in content["experiments"]]
            names = "both" if len(experiments) > 1 else experiments[0].name
        except (FileNotFoundError, NotADirectoryError):
            raise Refused(f"argument --resume: there is no run in {path} (no {CONFIG}); without --resume one is started") from None
        except (ValueError, TypeError, LookupError):
            raise Refused(f"argument --resume: {path / CONFIG} is damaged, or of another version") from None
        for key, value in given.items():
            saved = [names] if key == "experiment" else [getattr(experiment, key) for experiment in experiments]
            if value is not None and any(value != v for v in saved):
                was = " and ".join(str(v) for v in dict.fromkeys(saved))
                raise Refused(f"argument --{key}: must be {was} as in the run in {path}, to resume it, got {value}")
        return cls(path, experiments)

    def place(self, experiment: Experiment) -> Path:
        """Where an experiment's files are."""
        return self.path / experiment.name if len(self.experiments) > 1 else self.path

    def complete(self) -> None:
        """Trains, measures and reports whatever is not done yet. Raises Interrupted on Ctrl-C, Failed where training diverges."""
        try:
            self._complete()
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; {self._how_to_resume()}") from None

    def _complete(self) -> None:
        if not _figure_style.available():
            say("matplotlib is not installed, so there are no pictures; pip install ddpm_np[figures] brings it")
        for experiment in self.experiments:
            place = self.place(experiment)
            place.mkdir(exist_ok=True)
            reported = (place / REPORT).exists()
            training = self._training(experiment, place / CHECKPOINT, new=not reported)
            if reported:
                say(f"{experiment.name}: already complete, see {place / 'report.md'}")
                continue
            began, start = time.perf_counter(), training.state.step
            self._train(training, place / CHECKPOINT)
            trained = time.perf_counter()
            say(f"{experiment.name}: trained in {trained - began:.0f} s; measuring and drawing")
            evaluation = evaluate(training)
            times = {"training_s": trained - began, "from_step": start, "measuring_s": time.perf_counter() - trained}
            write_report(place, training, evaluation, times)
            for row in evaluation.rows.values():
                say(f"{experiment.name}: {row.in_words()}")
            say(f"{experiment.name}: report in {place / 'report.md'}")
        if len(self.experiments) > 1:
            write_summary(self.path, [experiment.name for experiment in self.experiments])

    def _training(self, experiment: Experiment, path: Path, *, new: bool) -> Training:
        """The saved training, or, where nothing was reported yet, a new one that is saved at once."""
        if new and not path.exists():
            training = Training(experiment)
            training.save(path)
            return training
        try:
            training = Training.load(path, experiment)
        except (ValueError, OSError) as error:
            raise Refused(f"argument --resume: {error}") from None
        say(f"{experiment.name}: at step {training.state.step} of {experiment.steps}")
        return training

    def _train(self, training: Training, path: Path) -> None:
        e, state = training.experiment, training.state
        saved = state.step
        with deferred_interrupt() as interrupted:
            try:
                for record in follow(training.run(), name=e.name, start=state.step, steps=e.steps):
                    if interrupted() or record.step % CHECKPOINT_EVERY == 0 or record.step == e.steps:
                        training.save(path)
                        saved = record.step
                    if interrupted():
                        break
            except Divergence as error:
                raise Failed(f"{e.name}: {error}; {path} keeps step {saved}") from None
            if interrupted():
                raise Interrupted(f"stopped at step {saved} of {e.steps} of {e.name}, saved; {self._how_to_resume()}")

    def _how_to_resume(self) -> str:
        return f"go on with: python -m ddpm_np run --resume --out {shlex.quote(str(self.path))}"


def _next_numbered(parent: Path) -> Path:
    """A new folder parent/001, 002, ...; mkdir decides between two that start at once."""
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(entry.name) for entry in parent.iterdir() if re.fullmatch(r"[0-9]+", entry.name)]
    number = max(taken, default=0) + 1
    while True:
        path = parent / f"{number:03d}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
