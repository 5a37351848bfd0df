"""The folder of a run: created or resumed, filled step by step, never overwritten.

A folder holds ``run.json``, the configuration, written first; the checkpoints; and the report,
written last. A run that is killed at any moment is resumed from its last checkpoint and ends with
the same numbers. While a process works on a folder it holds the folder's lock.
"""

import json
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ddpm_np import _figure_style
from ddpm_np._console import Failed, Interrupted, Refused, say
from ddpm_np._files import disk_failed, remove_temporary, write_text
from ddpm_np.experiments import runs
from ddpm_np.experiments.base import Experiment
from ddpm_np.experiments.experiment import EXPERIMENTS
from ddpm_np.experiments.lock import FolderLock
from ddpm_np.experiments.machine import arithmetic
from ddpm_np.experiments.progress import deferred_interrupt, follow, stopped_by_signals
from ddpm_np.experiments.report import FILES, is_reported, write_report, write_summary
from ddpm_np.experiments.settings import Job
from ddpm_np.experiments.training import Training
from ddpm_np.training import Divergence

CHECKPOINT_EVERY = 500  # steps: a kill between two of them costs a few seconds of training
CHECKPOINT, FURTHER = "checkpoint.npz", "further"


class RunFolder:
    """A run in its folder: one experiment in the folder itself, or several in a subfolder each.

    The constructors :meth:`new` and :meth:`existing` take the lock, :meth:`complete` releases it.
    """

    def __init__(
        self,
        path: Path,
        experiments: Sequence[Experiment],
        lock: FolderLock,
        begun_with: dict[str, Any],
    ) -> None:
        self.path, self.experiments = path, tuple(experiments)
        self._lock, self._begun_with = lock, begun_with

    @classmethod
    def new(cls, out: str | None, experiments: Sequence[Experiment]) -> "RunFolder":
        """A new run in ``out``, or in the next free number under runs/.

        Refused where there is a run already, or where another process is starting one.
        """
        path = runs.RUNS if out is None else Path(out)
        with _refusing_os_errors("--out", path):
            path.mkdir(parents=True, exist_ok=True)
            path = runs.next_numbered(path) if out is None else path
            with _locked("--out", path) as lock:
                own = {runs.CONFIG, CHECKPOINT, FURTHER, *FILES, *EXPERIMENTS}
                present = sorted(own & {entry.name for entry in path.iterdir()})
                if present:
                    raise Refused(
                        f"argument --out: must be a folder without a run, but {path} holds "
                        f"{', '.join(present)}; --resume continues it, or choose another folder"
                    )
                remove_temporary(path)
                configs, begun_with = [e.config for e in experiments], arithmetic()
                content = {"format": runs.FORMAT, "arithmetic": begun_with, "experiments": configs}
                write_text(path / runs.CONFIG, json.dumps(content, indent=1) + "\n")
        return cls(path, experiments, lock, begun_with)

    @classmethod
    def existing(cls, out: str | None, **given: Any) -> "RunFolder":
        """The run in ``out``, or the newest unfinished one under runs/, to be resumed.

        A setting that is given must be that of the run; None stands for not given.
        """
        path = runs.newest_unfinished() if out is None else Path(out)
        with _refusing_os_errors("--resume", path):
            if not (path / runs.CONFIG).exists():
                raise Refused(
                    f"argument --resume: there is no run in {path} (no {runs.CONFIG}); "
                    "without --resume a new one starts"
                )
            with _locked("--resume", path) as lock:
                experiments, begun_with = runs.read_config(path / runs.CONFIG)
                runs.check_settings(path, experiments, given)
                for place in {runs.place_of(path, experiments, e) for e in experiments} | {path}:
                    for name in FILES:
                        if (place / name).is_dir():
                            raise Refused(
                                f"argument --resume: {place / name} must be a file, but is a folder"
                            )
        return cls(path, experiments, lock, begun_with)

    def complete(self) -> None:
        """Trains, measures and reports whatever is not done yet, and releases the lock.

        Raises Interrupted on Ctrl-C, SIGTERM and SIGHUP, and Failed where training diverges, a file
        cannot be written, or the folder is no longer this process's.
        """
        try:
            with stopped_by_signals():
                self._complete()
        except KeyboardInterrupt:
            raise Interrupted(f"stopped; {self._how_to_resume()}") from None
        except OSError as error:
            self._lock.check()
            raise Failed(f"{_reason(error)}; {self._how_to_resume()}") from None
        finally:
            self._lock.release()

    def _complete(self) -> None:
        say(f"run in {self.path}")
        now = arithmetic()
        for key, value in self._begun_with.items():
            if now[key] != value:
                say(
                    f"note: the run began with {key} {value}, and goes on with {now[key]}, so that "
                    "its last digits may differ from those of a run that never stopped"
                )
        if not _figure_style.available():
            say(_figure_style.MISSING)
        remove_temporary(self.path)
        for experiment in self.experiments:
            place = runs.place_of(self.path, self.experiments, experiment)
            place.mkdir(exist_ok=True)
            remove_temporary(place)
            self._complete_one(experiment, place)
        if len(self.experiments) > 1:
            self._lock.check()
            write_summary(self.path, [experiment.name for experiment in self.experiments])
        say(f"report in {self.path / 'report.md'}")

    def _complete_one(self, experiment: Experiment, place: Path) -> None:
        unreported = not (place / "report.json").exists()
        training = self._training(experiment, None, place / CHECKPOINT, new=unreported)
        start = training.state.step
        if start == experiment.steps and is_reported(place, experiment):
            say(f"{experiment.name}: already complete, see {place / 'report.md'}")
            return
        clock = time.perf_counter()
        jobs = experiment.further()
        if jobs:
            (place / FURTHER).mkdir(exist_ok=True)
            remove_temporary(place / FURTHER)
        self._train(training, place / CHECKPOINT, jobs)
        networks = {}
        for at, job in enumerate(jobs, 1):
            path = place / FURTHER / f"{job.name}.npz"
            other = self._training(experiment, job, path, new=not path.exists())
            self._train(other, path, jobs[at:])
            networks[job.name] = other.denoiser()
        trained = time.perf_counter()
        say(f"{experiment.name}: trained in {trained - clock:.0f} s; measuring the result")
        found = experiment.evaluate(training, networks)
        times = {
            "training_s": trained - clock,
            "from_step": start,
            "measuring_s": time.perf_counter() - trained,
        }
        self._lock.check()
        try:
            write_report(place, self.path, experiment, training, found, times)
        except OSError as error:
            raise self._not_written(error, training, experiment.steps) from None
        for row in found.rows.values():
            say(f"{experiment.name}: {row.in_words()}")

    def _training(
        self, experiment: Experiment, job: Job | None, path: Path, *, new: bool
    ) -> Training:
        """The saved training; or, where there is none and no report, a new one, saved at once."""
        if new and not path.exists():
            try:
                training = Training(experiment, job)
                self._save(training, path)
            except ValueError as error:  # settings that do not fit each other
                raise Refused(f"argument --resume: {self.path / runs.CONFIG}: {error}") from None
            except OSError as error:
                raise self._not_written(error, training, 0) from None
            return training
        try:
            training = Training.load(path, experiment, job)
        except ValueError as error:
            raise Refused(f"argument --resume: {error}") from None
        except OSError as error:
            raise Refused(f"argument --resume: {_reason(error)}") from None
        say(f"{training.job.name}: at step {training.state.step} of {training.job.steps}")
        return training

    def _save(self, training: Training, path: Path) -> None:
        self._lock.check()
        training.save(path)

    def _train(self, training: Training, path: Path, later: Sequence[Job]) -> None:
        job, saved = training.job, training.state.step
        after = sum(other.cost * other.steps for other in later) / job.cost
        records = follow(training.run(), name=job.name, start=saved, steps=job.steps, after=after)
        with deferred_interrupt() as interrupted:
            try:
                for record in records:
                    due = record.step % CHECKPOINT_EVERY == 0 or record.step == job.steps
                    if due or interrupted():
                        self._save(training, path)
                        saved = record.step
                    if interrupted():
                        break
            except Divergence as error:
                raise Failed(f"{job.name}: {error}; {path} keeps step {saved}") from None
            except OSError as error:
                raise self._not_written(error, training, saved) from None
            if interrupted():
                raise Interrupted(
                    f"stopped at step {saved} of {job.steps} of {job.name}, saved; "
                    f"{self._how_to_resume()}"
                )

    def _not_written(self, error: OSError, training: Training, kept: int) -> Failed:
        """What to say when the disk is full, or cannot be written for another reason."""
        self._lock.check()
        job = training.job
        return Failed(
            f"{job.name}: {_reason(error)}; step {kept} of {job.steps} is kept; "
            f"{self._how_to_resume()}"
        )

    def _how_to_resume(self) -> str:
        return f"continue with: python -m ddpm_np run --resume --out {shlex.quote(str(self.path))}"


@contextmanager
def _locked(argument: str, path: Path) -> Iterator[FolderLock]:
    """The lock on the folder, which is kept unless something goes wrong inside."""
    lock = FolderLock(path, argument)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise


@contextmanager
def _refusing_os_errors(argument: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if disk_failed(error):
            raise Failed(_reason(error)) from None
        raise Refused(
            f"argument {argument}: must be a folder that can be written, got {path} "
            f"({error.strerror or error})"
        ) from None


def _reason(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename else what
