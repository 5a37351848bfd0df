"""The numbers of a run as files: report.md to read, report.json and samples.npz to compute with.

Nothing is computed here. report.json is written last, so that it exists only where all the other
files do.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ddpm_np import _figure_style
from ddpm_np._files import read_json, write_atomically, write_text
from ddpm_np.experiments.evaluation import Evaluation, Measurement
from ddpm_np.experiments.experiment import Experiment, Training
from ddpm_np.experiments.rings import RingsEvaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FILES = ("report.json", "report.md", "samples.npz")
TITLES = {
    "curve": "One curve, learned",
    "ensemble": "A family of signals, learned",
    "rings": "Pictures of rings, learned",
}
STORIES = {
    "curve": (
        "The experiment of the notes. The network learns one random curve of {dim} points and "
        "draws it from noise. The exact answer is known: the least possible loss is 0, and the "
        "sampler with the ideal denoiser returns the curve. The rest is the network's own error."
    ),
    "ensemble": (
        "The network learns all signals that are sums of {n_frequencies} sines of fixed "
        "frequencies ({frequencies} Hz) with random amplitudes and phases. Their distribution is "
        "Gaussian, so that the least possible loss, the distribution of the exact sampler's output "
        "and the entropy are known in closed form. Bound and entropy are those of x_1, the signals "
        "with the noise of the first step, because x_0 fills only {rank} of {dim} dimensions and "
        "has no density in all of them."
    ),
    "rings": (
        "The notes' experiment with pictures. A U-Net learns rings of {size} x {size} pixels, of "
        "one size, at random places. Two numbers decide a picture, so that the best prediction of "
        "the noise, and the least possible loss, are known by quadrature. Further networks learn 5 "
        "to 256 pictures, and on the five the exact denoisers of small fields of view show why "
        "circles come out not round."
    ),
}


def write_report(
    folder: Path, training: Training, evaluation: Evaluation, times: Mapping[str, float]
) -> None:
    """Writes samples.npz, the pictures, report.md and report.json into an existing folder.

    There are no pictures where matplotlib is missing.
    """
    arrays: dict[str, Any] = {
        "samples": evaluation.samples,
        "ideal": evaluation.ideal,
        "data": evaluation.data,
    }
    write_atomically(folder / "samples.npz", lambda file: np.savez(file, **arrays))
    pictures = []
    if _figure_style.available():
        for name, figure in _drawn(training, evaluation):
            _figure_style.save(figure, folder / f"{name}.png")
            pictures.append(name)
    content = _content(training, evaluation, times)
    page = _page(folder, content, training, evaluation, pictures)
    write_text(folder / "report.md", page)
    _write_json(folder / "report.json", content)


def _drawn(training: Training, evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    """Name and figure of each picture; matplotlib is imported when they are drawn."""
    if isinstance(evaluation, RingsEvaluation):
        from ddpm_np.experiments.rings_figures import rings_pictures

        return rings_pictures(training, evaluation)
    from ddpm_np.experiments.figures import pictures

    return pictures(training, evaluation)


def is_reported(folder: Path, experiment: Experiment) -> bool:
    """Whether the folder holds a whole report of this experiment, made at its last step."""
    try:
        content = read_json(folder / "report.json")
        rows = [Measurement(**row) for row in content["numbers"].values()]
        whole = (
            content["configuration"] == experiment.config
            and content["step"] == experiment.steps
            and len(_table(rows)) > 2
        )
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return False
    return whole and all((folder / name).is_file() for name in FILES)


def write_summary(folder: Path, names: Sequence[str]) -> None:
    """Writes the page above several experiments, and one report.json with all their numbers."""
    contents = {name: read_json(folder / name / "report.json") for name in names}
    lines = ["# The run at a glance", ""]
    for name, content in contents.items():
        rows = [Measurement(**row) for row in content["numbers"].values()]
        lines += [f"## [{TITLES[name]}]({name}/report.md)", "", *_table(rows), ""]
        if (folder / name / "samples.png").exists():
            lines += [f"![samples and data]({name}/samples.png)", ""]
    write_text(folder / "report.md", "\n".join(lines))
    _write_json(folder / "report.json", {"experiments": contents})


def _content(
    training: Training, evaluation: Evaluation, times: Mapping[str, float]
) -> dict[str, Any]:
    e = training.experiment
    return {
        "experiment": e.name,
        "seed": e.seed,
        "configuration": e.config,
        "versions": _versions(),
        "network": repr(training.state.network),
        "step": training.state.step,
        "numbers": {key: row._asdict() for key, row in evaluation.rows.items()},
        "loss_per_step": {
            "network": evaluation.loss,
            "standard_error": evaluation.loss_error,
            "floor": evaluation.floor,
            "excess": evaluation.excess,
            "excess_standard_error": evaluation.excess_error,
        },
        "training_loss": {"steps_per_point": training.block_size, "mean": training.losses},
        "spectra": evaluation.spectra,
        "times": dict(times),
    }


def _page(
    folder: Path,
    content: dict[str, Any],
    training: Training,
    evaluation: Evaluation,
    pictures: Sequence[str],
) -> str:
    e, law = training.experiment, training.distribution
    frequencies = ", ".join(f"{f:.3g}" for f in np.sort(getattr(law, "frequencies", [])))
    story = STORIES[e.name].format(
        dim=e.dim,
        n_frequencies=e.n_frequencies,
        frequencies=frequencies,
        rank=getattr(law, "rank", e.dim),
        size=math.isqrt(e.dim),
    )
    lines = [f"# {TITLES[e.name]}", "", story, ""]
    if e.quick:
        lines += [
            f"**A quick run of {e.steps} steps: it checks that everything works, and does not "
            "show how well the network can learn.**",
            "",
        ]
    lines += ["## Measured and exact", "", *_table(list(evaluation.rows.values())), ""]
    if pictures:
        lines += ["## Pictures", ""]
        for name in pictures:
            lines += [f"![{name}]({name}.png)", ""]
    times = content["times"]
    versions = ", ".join(f"{name} {v}" for name, v in content["versions"].items())
    since = f" (resumed at step {times['from_step']})" if times["from_step"] else ""
    checkpoint, quick = shlex.quote(str(folder / "checkpoint.npz")), " --quick" if e.quick else ""
    lines += [
        "## The run",
        "",
        f"- {content['network']}, {e.steps} steps with batches of {e.batch_size}, seed {e.seed}.",
        f"- Training took {times['training_s']:.1f} s{since}, "
        f"measuring {times['measuring_s']:.1f} s.",
        f"- {versions}.",
        "- report.json holds all settings and numbers, also those for each t; samples.npz holds "
        "the samples.",
        "",
        "## How to continue",
        "",
        "Draw more samples from this network, repeat the run (bit for bit on the same machine), "
        "or resume a run that was stopped:",
        "",
        f"    python -m ddpm_np sample {checkpoint} -n 16 --out signals.npz",
        f"    python -m ddpm_np run --experiment {e.name} --seed {e.seed} --steps {e.steps}{quick}",
        "    python -m ddpm_np run --resume --out DIR",
        "",
    ]
    return "\n".join(lines)


def _table(rows: Sequence[Measurement]) -> list[str]:
    lines = ["| | measured | s.e. | exact | |", "|---|---:|---:|---:|---|"]
    for row in rows:
        what, remark = (text.replace("|", "\\|") for text in (row.what, row.remark))
        measured, error, exact = _number(row.measured), _number(row.error, 2), _number(row.exact)
        lines.append(f"| {what} | {measured} | {error} | {exact} | {remark} |")
    return lines


def _number(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def _versions() -> dict[str, str]:
    """The versions of everything that can change a number or a picture."""
    versions = {"Python": platform.python_version()}
    for name in ("ddpm_np", "numpy", "scipy", "matplotlib"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # not installed, or run from a folder without installation
            continue
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {**versions, "machine": machine}


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
