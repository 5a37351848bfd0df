"""The folder of a run: created or resumed, filled step by step, never overwritten.

A folder holds ``run.json``, the configuration, written first; the checkpoints; and the report,
written last. A run that is killed at any moment is resumed from its last checkpoint and ends with
the same numbers. While a process works on a folder it holds the folder's lock.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ddpm_np import _figure_style
from ddpm_np._files import read_json, remove_temporary, write_text
from ddpm_np.experiments.evaluation import evaluate
from ddpm_np.experiments.experiment import EXPERIMENTS, Experiment, Training
from ddpm_np.experiments.lock import FolderLock, Locked
from ddpm_np.experiments.progress import deferred_interrupt, follow, say
from ddpm_np.experiments.report import FILES, is_reported, write_report, write_summary
from ddpm_np.experiments.rings import evaluate_rings
from ddpm_np.training import Divergence

CHECKPOINT_EVERY = 500  # steps: a kill between two of them costs a few seconds of training
CHECKPOINT, CONFIG = "checkpoint.npz", "run.json"
FORMAT = "ddpm_np run 1"


class Refused(Exception):
    """The request cannot be carried out; the text says why in one line. Nothing was written."""


class Failed(Exception):
    """The run failed; the text says at which step, what was kept and what to do."""


class Interrupted(Exception):
    """Ctrl-C; the text says what was kept and how to continue."""


class RunFolder:
    """A run in its folder: one experiment in the folder itself, or several in a subfolder each.

    The constructors :meth:`new` and :meth:`existing` take the lock, :meth:`complete` releases it.
    """

    def __init__(self, path: Path, experiments: Sequence[Experiment], lock: FolderLock) -> None:
        self.path, self.experiments, self._lock = path, tuple(experiments), lock

    @classmethod
    def new(cls, out: str | None, experiments: Sequence[Experiment]) -> RunFolder:
        """A new run in ``out``, or in the next free number under runs/.

        Refused where there is a run already, or where another process is starting one.
        """
        path = Path("runs") if out is None else Path(out)
        with _refusing_os_errors("--out", path):
            path.mkdir(parents=True, exist_ok=True)
            path = _next_numbered(path) if out is None else path
            lock = _locked("--out", path)
            try:
                own = {CONFIG, CHECKPOINT, *FILES, *EXPERIMENTS}
                present = sorted(own & {entry.name for entry in path.iterdir()})
                if present:
                    raise Refused(
                        f"argument --out: must be a folder without a run, but {path} holds "
                        f"{', '.join(present)}; --resume continues it, or choose another folder"
                    )
                remove_temporary(path)
                content = {"format": FORMAT, "experiments": [e.config for e in experiments]}
                write_text(path / CONFIG, json.dumps(content, indent=1) + "\n")
            except BaseException:
                lock.release()
                raise
        return cls(path, experiments, lock)

    @classmethod
    def existing(cls, out: str | None, **given: Any) -> RunFolder:
        """The run in ``out``, to be resumed.

        A setting that is given must be that of the run; None stands for not given.
        """
        if out is None:
            raise Refused("argument --resume: needs --out DIR, the folder of the run")
        path = Path(out)
        with _refusing_os_errors("--resume", path):
            if not (path / CONFIG).exists():
                raise Refused(
                    f"argument --resume: there is no run in {path} (no {CONFIG}); "
                    "without --resume a new one starts"
                )
            lock = _locked("--resume", path)
            try:
                experiments = _read_config(path / CONFIG)
                _compare(path, experiments, given)
            except BaseException:
                lock.release()
                raise
        return cls(path, experiments, lock)

    def place(self, experiment: Experiment) -> Path:
        """The folder of an experiment's files."""
        return self.path / experiment.name if len(self.experiments) > 1 else self.path

    def complete(self) -> None:
        """Trains, measures and reports whatever is not done yet, and releases the lock.

        Raises Interrupted on Ctrl-C and Failed where training diverges or a file cannot be written.
        """
        try:
            self._complete()
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; {self._how_to_resume()}") from None
        except OSError as error:
            raise Failed(f"{_reason(error)}; {self._how_to_resume()}") from None
        finally:
            self._lock.release()

    def _complete(self) -> None:
        if not _figure_style.available():
            say(
                "matplotlib is not installed or cannot be imported, so there are no pictures; "
                'pip install ".[figures]" in the project\'s folder installs it'
            )
        remove_temporary(self.path)
        for experiment in self.experiments:
            place = self.place(experiment)
            place.mkdir(exist_ok=True)
            remove_temporary(place)
            self._complete_one(experiment, place)
        if len(self.experiments) > 1:
            write_summary(self.path, [experiment.name for experiment in self.experiments])

    def _complete_one(self, experiment: Experiment, place: Path) -> None:
        unreported = not (place / "report.json").exists()
        training = self._training(experiment, place / CHECKPOINT, new=unreported)
        start = training.state.step
        if start == experiment.steps and is_reported(place, experiment):
            say(f"{experiment.name}: already complete, see {place / 'report.md'}")
            return
        clock = time.perf_counter()
        self._train(training, place / CHECKPOINT)
        trained = time.perf_counter()
        say(f"{experiment.name}: trained in {trained - clock:.0f} s; measuring the result")
        measure = evaluate_rings if experiment.name == "rings" else evaluate
        evaluation = measure(training)
        times = {
            "training_s": trained - clock,
            "from_step": start,
            "measuring_s": time.perf_counter() - trained,
        }
        try:
            write_report(place, training, evaluation, times)
        except OSError as error:
            raise self._not_written(error, experiment, experiment.steps) from None
        for row in evaluation.rows.values():
            say(f"{experiment.name}: {row.in_words()}")
        say(f"{experiment.name}: report in {place / 'report.md'}")

    def _training(self, experiment: Experiment, path: Path, *, new: bool) -> Training:
        """The saved training; or, where there is none and no report, a new one, saved at once."""
        if new and not path.exists():
            try:
                training = Training(experiment)
                training.save(path)
            except ValueError as error:  # settings that do not fit each other
                raise Refused(f"argument --resume: {self.path / CONFIG}: {error}") from None
            except OSError as error:
                raise self._not_written(error, experiment, 0) from None
            return training
        try:
            training = Training.load(path, experiment)
        except ValueError as error:
            raise Refused(f"argument --resume: {error}") from None
        except OSError as error:
            raise Refused(f"argument --resume: {_reason(error)}") from None
        say(f"{experiment.name}: at step {training.state.step} of {experiment.steps}")
        return training

    def _train(self, training: Training, path: Path) -> None:
        e, saved = training.experiment, training.state.step
        records = follow(training.run(), name=e.name, start=saved, steps=e.steps)
        with deferred_interrupt() as interrupted:
            try:
                for record in records:
                    due = record.step % CHECKPOINT_EVERY == 0 or record.step == e.steps
                    if due or interrupted():
                        training.save(path)
                        saved = record.step
                    if interrupted():
                        break
            except Divergence as error:
                raise Failed(f"{e.name}: {error}; {path} keeps step {saved}") from None
            except OSError as error:
                raise self._not_written(error, e, saved) from None
            if interrupted():
                raise Interrupted(
                    f"stopped at step {saved} of {e.steps} of {e.name}, saved; "
                    f"{self._how_to_resume()}"
                )

    def _not_written(self, error: OSError, experiment: Experiment, kept: int) -> Failed:
        """What to say when the disk is full, or cannot be written for another reason."""
        return Failed(
            f"{experiment.name}: {_reason(error)}; step {kept} of {experiment.steps} is kept; "
            f"{self._how_to_resume()}"
        )

    def _how_to_resume(self) -> str:
        return f"continue with: python -m ddpm_np run --resume --out {shlex.quote(str(self.path))}"


def _locked(argument: str, path: Path) -> FolderLock:
    try:
        return FolderLock(path)
    except Locked as error:
        raise Refused(f"argument {argument}: {path} is in use by {error}") from None


@contextmanager
def _refusing_os_errors(argument: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            f"argument {argument}: must be a folder that can be written, got {path} "
            f"({error.strerror or error})"
        ) from None


def _read_config(path: Path) -> tuple[Experiment, ...]:
    """The experiments of a run.json: the expected keys only, each name known and used once."""
    try:
        content = read_json(path, limit=10**6)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"it is not of the format {FORMAT!r}")
        configs = content.pop("experiments", None)
        if not isinstance(configs, list) or content.keys() != {"format"}:
            raise ValueError("it must hold format and experiments, and nothing else")
        experiments = tuple(Experiment.from_config(config) for config in configs)
        names = [experiment.name for experiment in experiments]
        if not names or len({*names}) < len(names) or not {*names} <= EXPERIMENTS.keys():
            raise ValueError(f"its experiments must be of {', '.join(EXPERIMENTS)}, each once")
    except (ValueError, TypeError) as error:
        raise Refused(
            f"argument --resume: {path} is damaged, or of another version: {error}"
        ) from None
    return experiments


def _compare(path: Path, experiments: Sequence[Experiment], given: dict[str, Any]) -> None:
    """Refuses a given setting that is not that of the run."""
    names = "both" if len(experiments) > 1 else experiments[0].name
    for key, value in given.items():
        saved = [names] if key == "experiment" else [getattr(e, key) for e in experiments]
        if value is not None and any(value != v for v in saved):
            was = " and ".join(str(v) for v in dict.fromkeys(saved))
            raise Refused(
                f"argument --{key}: must be {was}, as in the run in {path}, to resume it, "
                f"got {value}"
            )


def _reason(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what


def _next_numbered(parent: Path) -> Path:
    """A new folder parent/001, 002, ...; mkdir decides between two that start at once."""
    parent.mkdir(parents=True, exist_ok=True)
    taken = [int(e.name) for e in parent.iterdir() if re.fullmatch(r"[0-9]{1,9}", e.name)]
    number = max(taken, default=0) + 1
    while True:
        path = parent / f"{number:03d}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
