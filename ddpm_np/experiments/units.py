"""Signals in a user's file: read, checked, standardised, and samples brought back to its units."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np

from ddpm_np._checks import Array, check_array
from ddpm_np._files import open_regular

LARGEST = 2**33  # bytes
KINDS = (".npy", ".npz", ".csv")


class Units(NamedTuple):
    """Mean and standard deviation of each column, (columns,); 0 for a constant column.

    A network learns the columns that vary, each with mean 0 and variance 1.
    """

    mean: Array
    scale: Array

    @classmethod
    def of(cls, signals: Array) -> "Units":
        """Those of signals (n, columns). ValueError where nothing varies, or too much."""
        low, high = signals.min(0), signals.max(0)
        largest = np.maximum(np.abs(low), np.abs(high)).max()
        if largest > 1e100 or 0 < (high - low).max() < 1e-100:
            raise ValueError("must hold numbers that can be squared, of 1e-100 to 1e100")
        constant = low == high  # their standard deviation may be a rounding error
        if constant.all():
            raise ValueError("must hold signals that differ, but all are equal")
        mean = np.where(constant, low, signals.mean(0))
        return cls(mean, np.where(constant, 0.0, signals.std(0)))

    def standardised(self, signals: Array) -> Array:
        """The columns that vary, with mean 0 and variance 1."""
        varies = self.scale > 0
        return (signals[:, varies] - self.mean[varies]) / self.scale[varies]

    def restored(self, samples: Array) -> Array:
        """Samples of the varying columns in the units of the file, with the constant columns."""
        signals = np.tile(self.mean, (len(samples), 1))
        signals[:, self.scale > 0] += samples * self.scale[self.scale > 0]
        return signals

    @property
    def config(self) -> dict[str, list[float]]:
        """In types that JSON knows."""
        return {"mean": self.mean.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_config(cls, config: Any, dim: int) -> "Units | None":
        """The units of that config; None for none. ValueError if it cannot be, or not for dim."""
        if config is None:
            return None
        if not isinstance(config, Mapping) or config.keys() != {"mean", "scale"}:
            raise ValueError("units must be mean and scale")
        mean = check_array("mean", config["mean"], ndim=1).astype(np.float64)
        scale = check_array("scale", config["scale"], ndim=1, dim=len(mean)).astype(np.float64)
        if (scale < 0).any() or np.count_nonzero(scale) != dim:
            raise ValueError(f"scale must hold {dim} numbers above 0, and else 0")
        return cls(mean, scale)


def read_signals(path: str | os.PathLike[str]) -> Array:
    """The signals of a .npy, .npz or .csv file: (n, columns) finite numbers, n at least 2.

    An .npz must hold one array, or one that is called samples. A .csv holds a signal in each line,
    with commas; a first line of names is skipped. ValueError, naming the file, for anything else;
    OSError if it cannot be read.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"{path} must be one of {', '.join(KINDS)}")
    try:
        with open_regular(path, limit=LARGEST) as file:
            found = _read_csv(file) if kind == ".csv" else _read_numpy(file)
        return _checked(found)
    except OSError:
        raise
    except Exception as error:  # the readers of .zip and .npy raise some ten kinds of errors
        if isinstance(error, MemoryError):
            raise
        text = " ".join(str(error).split()).removeprefix(str(path)).strip()
        raise ValueError(f"{path} {text[:200] or 'is damaged'}") from None


def _checked(found: Any) -> Array:
    if found.dtype.kind not in "biuf":
        raise ValueError(f"must hold numbers, got dtype {found.dtype}")
    if found.ndim != 2 or len(found) < 2 or not 1 <= found.shape[1] <= 10**4:
        raise ValueError(
            "must hold at least 2 signals of 1 to 10000 numbers, as an array (n, dim), "
            f"got shape {found.shape}"
        )
    signals = np.ascontiguousarray(found, np.float64)
    bad = np.argwhere(~np.isfinite(signals))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"must hold finite numbers, got {signals[row, column]} in signal {row + 1}, "
            f"column {column + 1}"
        )
    return signals


def _read_numpy(file: IO[bytes]) -> Any:
    start = file.read(6)
    if not start.startswith((b"\x93NUMPY", b"PK")):
        raise ValueError("is empty" if not start else "is no file of NumPy arrays")
    file.seek(0)
    found = np.load(file, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return found
    with found:
        names = found.files
        if len(names) != 1 and "samples" not in names:
            raise ValueError(
                "must hold one array, or one that is called samples, got "
                + (", ".join(names) or "none")
            )
        return found["samples" if "samples" in names else names[0]]


def _read_csv(file: IO[bytes]) -> Array:
    try:
        first = file.readline().decode("utf-8-sig").strip()
        names = [cell for cell in first.split(",") if not _is_number(cell)]
        skipped = len(names) == len(first.split(","))
        blanks = len(first.split()) > 1 and all(map(_is_number, first.split()))
        if ";" in first or "\t" in first or blanks:
            what = "semicolons" if ";" in first else "blanks"
            raise ValueError(f"must have commas between the numbers, got {what}")
        file.seek(0)
        lines = (line.decode("utf-8-sig") for line in file)
        with catch_warnings():
            simplefilter("ignore")  # a file without signals, which is refused below
            return np.loadtxt(lines, delimiter=",", ndmin=2, skiprows=int(skipped), comments=None)
    except UnicodeDecodeError:
        raise ValueError("must be text in UTF-8") from None
    except ValueError as error:
        if (text := str(error)).startswith("must "):
            raise
        text = re.sub(r"row (\d+), ", lambda row: f"signal {int(row[1]) + 1}, ", text)
        text = text.partition("; use")[0].replace(" row ", " signal ").rstrip(".")
        raise ValueError(f"must hold numbers with commas between: {text}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
