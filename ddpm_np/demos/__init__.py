"""What the notes show and claim, each beside its closed form: eleven demos, in the order of the notes.

A demo asks the rooms below for numbers, puts measured beside exact, and hands what is to be drawn to :mod:`ddpm_np.demos.pictures`. It
computes nothing of its own. Each is a module with ``NOTE``, the place that it follows, and ``show(*, rng, ...)``, whose sizes have
defaults that take seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from ddpm_np._checks import count
from ddpm_np.demos.table import Row, Shown, format_rows

__all__ = ["DEMOS", "Row", "Shown", "run_demo"]

DEMOS = {
    "averaging": "the mean of n observations: what 1/n removes, and the two things that it does not",
    "covariance": "the kernel of one signal, of noise and of the shuffled signal; the ensemble whose rank is low indeed",
    "reshape": "noise given a covariance, exactly or as far as its rank goes, and whether the signal became more likely",
    "forward": "the covariance replaced step by step: eigenvalues walk to 1, KL falls, entropy may do either",
    "posterior": "completing the square on real numbers, and the true reverse kernel, which is a mixture",
    "variance": "beta_tilde, beta or the optimal variance: exactly what the sampler puts out, for any number of steps",
    "noise-target": "what the network learns: E[eps | x_t], its size below 1, the loss floor, and not the end of the chain",
    "likelihood": "maximum likelihood as KL, P(x) as an integral four ways, and the diffusion bound beside them",
    "moon": "between full and half moon: what the ideal denoiser, a Gaussian fit and a trained network return",
    "multiply": "the density times a measurement: denoising and filling in, exact posterior beside guided sampler",
    "memory": "one signal, a few, many: does a sampler remember its data or invent new signals",
    "rings": "circles that are not round: denoisers of five pictures that see all of them, or a patch",
}


def run_demo(
    name: str, *, out: str | os.PathLike[str] | None = None, seed: int = 0, write: Callable[[str], object] = print
) -> dict[str, Shown]:
    """Run the demo of that name, or "all": print its numbers beside the exact ones and draw its picture.

    out: folder for the pictures, NAME.png each, by default runs/demos; it is made if need be. seed: of the generator, from 0; equal
    seeds give equal numbers. write: called with one line of text at a time. Returns what was shown, by name. Without matplotlib the
    numbers are printed all the same. ValueError for an unknown name, which lists the known ones, and for an ``out`` that is no
    folder.
    """
    if name != "all" and name not in DEMOS:
        raise ValueError(f'name must be one of {", ".join(DEMOS)} or all, got "{name}"')
    count("seed", seed, low=0)
    folder = Path("runs", "demos") if out is None else Path(out)
    draw = _drawing(folder, write)
    shown = {}
    for each in DEMOS if name == "all" else [name]:
        module = import_module(f"{__name__}.{each.replace('-', '_')}")
        write(f"{each}: {DEMOS[each]}")
        write(f"follows {module.NOTE}")
        shown[each] = module.show(rng=np.random.default_rng(seed))
        for line in format_rows(shown[each]):
            write(line)
        if draw is not None:
            write(f"picture: {draw(each, shown[each])}")
        write("")
    return shown


def _drawing(folder: Path, write: Callable[[str], object]) -> Callable[[str, Shown], Path] | None:
    """What draws a demo's picture into the folder, or None where matplotlib is missing, which is said once."""
    from ddpm_np import _figure_style

    if not _figure_style.available():
        write(
            "matplotlib is not installed or cannot be imported, so there are no pictures; "
            'pip install ".[figures]" in the project\'s folder installs it'
        )
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"out must be a folder that can be written, got {folder} ({error.strerror})") from None
    from ddpm_np.demos.pictures import draw

    return lambda name, shown: _figure_style.save(draw(name, shown.drawn), folder / f"{name}.png")
