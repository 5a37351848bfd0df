"""The runs that are on the disk: numbered folders, and what the ``run.json`` of one says.

A configuration that is damaged, or not the one that was asked for, is refused.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddpm_np._console import Refused
from ddpm_np._files import read_json
from ddpm_np.experiments.base import Experiment
from ddpm_np.experiments.experiment import from_config
from ddpm_np.experiments.machine import arithmetic
from ddpm_np.experiments.report import is_reported
from ddpm_np.experiments.settings import option

CONFIG, FORMAT = "run.json", "ddpm_np run 2"
RUNS = Path("runs")


def place_of(path: Path, experiments: Sequence[Experiment], experiment: Experiment) -> Path:
    """The folder of an experiment's files."""
    return path / experiment.name if len(experiments) > 1 else path


def newest_unfinished() -> Path:
    """The run under runs/ with the highest number that has no whole report yet."""
    for _, path in sorted(_numbered(RUNS), reverse=True):
        try:
            experiments, _ = read_config(path / CONFIG)
        except (Refused, OSError):
            continue
        if not all(is_reported(place_of(path, experiments, e), e) for e in experiments):
            return path
    raise Refused(f"argument --resume: no unfinished run under {RUNS}; name one with --out")


def read_config(path: Path) -> tuple[tuple[Experiment, ...], dict[str, Any]]:
    """The experiments of a run.json, each name once, and the arithmetic that it began with."""
    try:
        content = read_json(path, limit=10**6)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"it is not of the format {FORMAT!r}")
        configs, begun_with = content.pop("experiments", None), content.pop("arithmetic", None)
        if not isinstance(configs, list) or content.keys() != {"format"}:
            raise ValueError("it must hold format, arithmetic and experiments, and nothing else")
        if not isinstance(begun_with, dict) or begun_with.keys() != arithmetic().keys():
            raise ValueError(f"its arithmetic must hold {', '.join(arithmetic())}")
        experiments = tuple(from_config(config) for config in configs)
        names = [experiment.name for experiment in experiments]
        if not names or len({*names}) < len(names):
            raise ValueError("it must hold at least one of its experiments, each once")
    except (ValueError, TypeError) as error:
        raise Refused(
            f"argument --resume: {path} is damaged, or of another version: {error}"
        ) from None
    return experiments, begun_with


def check_settings(path: Path, experiments: Sequence[Experiment], given: dict[str, Any]) -> None:
    """Refuses a given setting that is not that of the run."""
    names = "both" if len(experiments) > 1 else experiments[0].name
    for key, value in given.items():
        saved = [names if key == "experiment" else getattr(e, key, None) for e in experiments]
        if value is not None and any(value != v for v in saved):
            was = " and ".join(str(v) for v in dict.fromkeys(saved))
            raise Refused(
                f"argument --{option(key)}: must be {was}, as in the run in {path}, to "
                f"resume it, got {value}"
            )


def _numbered(parent: Path) -> list[tuple[int, Path]]:
    """The numbered folders that are there, with their numbers."""
    if not parent.is_dir():
        return []
    return [(int(e.name), e) for e in parent.iterdir() if re.fullmatch(r"[0-9]{1,9}", e.name)]


def next_numbered(parent: Path) -> Path:
    """A new folder parent/001, 002, ...; mkdir decides between two that start at once."""
    parent.mkdir(parents=True, exist_ok=True)
    number = max((taken for taken, _ in _numbered(parent)), default=0) + 1
    while True:
        path = parent / f"{number:03d}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
