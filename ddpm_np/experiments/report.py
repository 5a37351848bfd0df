"""The numbers of a run as files: report.md to read, report.json and samples.npz to compute with.

Nothing is computed here. report.json is written last, so that it exists only where all the other
files do.
"""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ddpm_np import _figure_style
from ddpm_np._files import read_json, write_atomically, write_text
from ddpm_np._measurement import Measurement, markdown_table
from ddpm_np.experiments.base import Experiment
from ddpm_np.experiments.evaluation import Evaluation
from ddpm_np.experiments.machine import versions
from ddpm_np.experiments.training import Training
from ddpm_np.experiments.words import wordings

FILES = ("report.json", "report.md", "samples.npz")


def write_report(
    folder: Path,
    run: Path,
    experiment: Experiment,
    training: Training,
    found: Evaluation,
    times: Mapping[str, float],
) -> None:
    """Writes samples.npz, the pictures, report.md and report.json into an existing folder.

    run: the folder of the whole run. There are no pictures where matplotlib is missing.
    """
    arrays: dict[str, Any] = {"samples": found.samples, "ideal": found.ideal, "data": found.data}
    write_atomically(folder / "samples.npz", lambda file: np.savez(file, **arrays))
    pictures = []
    if _figure_style.available():
        for name, figure in experiment.pictures(training, found):
            _figure_style.save(figure, folder / f"{name}.png")
            pictures.append(name)
    content = _content(training, found, times)
    write_text(folder / "report.md", _page(folder, run, experiment, content, training, pictures))
    files = ["samples.npz", "report.md", *(f"{name}.png" for name in pictures)]
    content["files"] = {name: (folder / name).stat().st_size for name in files}
    _write_json(folder / "report.json", content)


def is_reported(folder: Path, experiment: Experiment) -> bool:
    """Whether the folder holds a whole report of this experiment, made at its last step."""
    try:
        content = read_json(folder / "report.json")
        rows = [Measurement(**row) for row in content["numbers"].values()]
        files = content["files"].items()
        return bool(
            content["configuration"] == experiment.config
            and content["step"] == experiment.steps
            and {"samples.npz", "report.md"} <= content["files"].keys()
            and all((folder / name).is_file() for name, _ in files)
            and all((folder / name).stat().st_size == size for name, size in files)
            and len([*markdown_table(rows)]) > 2
        )
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False


def write_summary(folder: Path, names: Sequence[str]) -> None:
    """Writes the page above several experiments, and one report.json with all their numbers."""
    contents = {name: read_json(folder / name / "report.json") for name in names}
    lines = ["# The run at a glance", ""]
    for name, content in contents.items():
        rows = [Measurement(**row) for row in content["numbers"].values()]
        title = wordings()[name].title
        lines += [f"## [{title}]({name}/report.md)", "", *markdown_table(rows), ""]
        if (folder / name / "samples.png").exists():
            lines += [f"![samples and data]({name}/samples.png)", ""]
    write_text(folder / "report.md", "\n".join(lines))
    _write_json(folder / "report.json", {"experiments": contents})


def _content(training: Training, found: Evaluation, times: Mapping[str, float]) -> dict[str, Any]:
    e, losses = training.experiment, found.losses
    return {
        "experiment": e.name,
        "seed": e.seed,
        "configuration": e.config,
        "versions": versions(),
        "network": repr(training.state.network),
        "step": training.state.step,
        "numbers": {key: row._asdict() for key, row in found.rows.items()},
        "loss_per_step": {
            "network": losses.loss,
            "standard_error": losses.loss_error,
            "floor": losses.floor,
            "excess": losses.excess,
            "excess_standard_error": losses.excess_error,
        },
        "training_loss": {"steps_per_point": training.block_size, "mean": training.losses},
        "spectra": found.spectra,
        "times": dict(times),
    }


def _page(
    folder: Path,
    run: Path,
    e: Experiment,
    content: dict[str, Any],
    training: Training,
    pictures: Sequence[str],
) -> str:
    words, rows = wordings()[e.name], [Measurement(**row) for row in content["numbers"].values()]
    lines = [f"# {words.title}", "", words.story.format(**e.facts()), ""]
    if e.quick:
        lines += [
            f"**A quick run of {e.steps} steps: it checks that everything works, and does not "
            "show how well the network can learn.**",
            "",
        ]
    lines += ["## Measured and exact", "", *markdown_table(rows), ""]
    if pictures:
        lines += ["## Pictures", ""]
        for name in pictures:
            lines += [f"![{name}]({name}.png)", ""]
    times = content["times"]
    used = ", ".join(f"{name} {v}" for name, v in content["versions"].items())
    since = f" (resumed at step {times['from_step']})" if times["from_step"] else ""
    checkpoint, again = shlex.quote(str(folder / "checkpoint.npz")), shlex.quote(str(run))
    lines += [
        "## The run",
        "",
        f"- {content['network']}, {e.steps} steps with batches of {e.batch_size}, seed {e.seed}.",
        f"- Training took {times['training_s']:.1f} s{since}, "
        f"measuring {times['measuring_s']:.1f} s.",
        f"- {used}.",
        "- report.json holds all settings and numbers, also those for each t; samples.npz holds "
        "the samples.",
        "",
        "## How to continue",
        "",
        "Draw more samples from this network, repeat the run (bit for bit with the same versions, "
        "kernels and number of threads), or resume it if it was stopped:",
        "",
        f"    python -m ddpm_np sample {checkpoint} -n 16 --out signals.npz",
        f"    python -m ddpm_np run {e.command()}",
        f"    python -m ddpm_np run --resume --out {again}",
        "",
    ]
    return "\n".join(lines)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(_plain(content), indent=1, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """For JSON: arrays as lists, and NaN (index 0 where t starts at 1) as null."""
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value
