"""A training run at one moment, on disk.

The file is an .npz without pickles and with a checksum; it is written whole or not at all. It
holds all of the state, the generator included, so that a resumed run gives bit for bit the weights
of one that never stopped. Nothing in a file is trusted: names and sizes are compared with what the
header implies before anything large is read or allocated.
"""

import errno
import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np

from ddpm_np._checks import (
    Array,
    check_array,
    check_choice,
    check_count,
    check_fits,
    check_instance,
)
from ddpm_np._files import open_regular, write_atomically
from ddpm_np.learning.parameters import Network
from ddpm_np.learning.state import VECTORS, TrainingState
from ddpm_np.schedule import Schedule

FORMAT = "ddpm_np checkpoint 3"
MEMBERS = {f"{name}.npy" for name in (*VECTORS, "beta", "about", "sha256")}
LARGEST = 2**31 - 1  # bytes of a file, from which on the .zip format has another end
LONGEST = 4 * 10**6  # bytes of the description, which is read before there is anything to compare
OPTIONS = ("beta_1", "beta_2", "eps", "weight_decay")  # of the optimizer
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


class Checkpoint(NamedTuple):
    """The content of a file: the state, the schedule, and the configuration saved with them."""

    state: TrainingState
    schedule: Schedule
    config: Any


def save_checkpoint(
    path: str | os.PathLike[str], state: TrainingState, schedule: Schedule, config: Any
) -> None:
    """Writes the state, the schedule and the configuration (of JSON types) to one .npz file.

    TypeError for a configuration that JSON does not know, and for a network that is a subclass of
    a known one without a ``kind`` of its own: it would come back as that. ValueError for weights
    that are not finite or another schedule, OSError if the file cannot be written.
    """
    network = check_instance("state", state, TrainingState).network
    check_instance("schedule", schedule, Schedule)
    if "kind" not in vars(type(network)):
        raise TypeError(
            f"network must be of a class with its own kind to be saved, got a "
            f"{type(network).__name__}, which says that it is {network.kind!r}"
        )
    if schedule.beta.dtype == object:
        raise TypeError("schedule must be of float64 to be saved, got exact numbers")
    check_fits("network", network, schedule)
    arrays: dict[str, Any] = {**state.vectors(), "beta": schedule.beta[1:]}
    for name in VECTORS:
        check_array(name, arrays[name])
    optimizer, ema = state.optimizer, state.ema
    about = {
        "format": FORMAT,
        "network": network.config,
        "step": state.step,
        "config": config,
        "generator": _listed(state.rng.bit_generator.state),
        "optimizer": {
            **{name: getattr(optimizer, name) for name in OPTIONS},
            "muon_rate": state.muon_rate,
            "updates": optimizer.updates,
        },
        "ema": {"decay": ema.decay, "updates": ema.updates},
    }
    try:
        text = json.dumps(about, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"config must hold only what JSON knows: {error}") from None
    if len(text) > LONGEST or sum(array.nbytes for array in arrays.values()) > LARGEST - LONGEST:
        raise ValueError("state and config must be smaller to be saved in one file")
    arrays["about"] = np.frombuffer(text.encode(), np.uint8)
    arrays["sha256"] = np.frombuffer(_digest(arrays), np.uint8)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_checkpoint(path: str | os.PathLike[str], kinds: Mapping[str, type[Network]]) -> Checkpoint:
    """Reads what :func:`save_checkpoint` wrote.

    kinds: the classes of network that may be in it, by their ``kind``: ``{"mlp": MLP}``.

    ValueError, naming the file, for anything else: no ordinary file, truncated, altered, of another
    program, with values that cannot be or weights that are not finite. OSError if it cannot be
    read. It takes about as much memory as the file is large.
    """
    with open_regular(path, limit=LARGEST) as file, _naming(path):
        _check_end(file)
        with zipfile.ZipFile(file) as archive:
            _check_members(archive)
            length = min(_header(archive, "about")[0], LONGEST)
            arrays = {"about": _read(archive, "about", np.uint8, length)}
            about = json.loads(arrays["about"].tobytes(), parse_constant=_refuse)
            network = _network(archive, about, kinds)
            arrays["sha256"] = _read(archive, "sha256", np.uint8, 32)
            arrays["beta"] = _read(archive, "beta", np.float64, network.T)
            for name in VECTORS:
                arrays[name] = _read(archive, name, network.dtype, network.flat.size)
        if arrays.pop("sha256").tobytes() != _digest(arrays):
            raise ValueError("its content does not match its checksum")
        return _restore(about, network, arrays)


@contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns whatever a file makes the readers raise into one ValueError with its name."""
    try:
        yield
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # these come of places outside the file
            raise
        raise ValueError(f"{os.fspath(path)} is not a checkpoint, or is damaged") from None
    except Exception as error:  # the readers of .zip and .npy raise some ten kinds of errors
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{os.fspath(path)} is not a checkpoint of this program, or is damaged: {reason}"
        ) from None


def _check_end(file: IO[bytes]) -> None:
    """The end of the archive, which says how long its directory is, before that is read."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 42))
    end = file.read()
    if len(end) < 42 or end[20:24] != b"PK\5\6" or end[:4] == b"PK\6\7":
        raise ValueError("it is not an .npz file, or is truncated")
    entries, size = struct.unpack("<HI", end[30:36])
    if entries != len(MEMBERS) or size > 1000 * entries:
        raise ValueError(f"it must hold the {len(MEMBERS)} arrays of a checkpoint")


def _check_members(archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    if len(members) != len(MEMBERS) or {member.filename for member in members} != MEMBERS:
        raise ValueError(f"it must hold the arrays {', '.join(sorted(MEMBERS))}")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename} must not be compressed")


def _header(archive: zipfile.ZipFile, name: str) -> tuple[int, np.dtype[Any], int]:
    """Length and dtype of a stored vector, and where its data begin; they must fill the rest."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise ValueError(f"{name} has the .npy version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        start = member.tell()
    if len(shape) != 1:
        raise ValueError(f"{name} must have 1 axis, got shape {shape}")
    if start + shape[0] * dtype.itemsize != archive.getinfo(f"{name}.npy").file_size:
        raise ValueError(f"{name} has another length than its header says")
    return shape[0], dtype, start


def _read(archive: zipfile.ZipFile, name: str, dtype: Any, size: int) -> Array:
    """A vector of that dtype and size, compared before the data are read."""
    found_size, found_dtype, start = _header(archive, name)
    if found_size != size or found_dtype != dtype:
        raise ValueError(
            f"{name} must have shape {(size,)} and dtype {np.dtype(dtype)}, "
            f"got {(found_size,)} and {found_dtype}"
        )
    with archive.open(f"{name}.npy") as member:
        return np.frombuffer(member.read()[start:], dtype)


def _network(archive: zipfile.ZipFile, about: Any, kinds: Mapping[str, type[Network]]) -> Network:
    """The network of the description, if it has as many parameters as are stored."""
    _expect_keys(
        "about", about, "format", "network", "step", "config", "generator", "optimizer", "ema"
    )
    if about["format"] != FORMAT:
        raise ValueError(f"its format is {about['format']!r}, this program reads {FORMAT!r}")
    config = about["network"]
    if not isinstance(config, dict):
        raise ValueError("network must be described by named settings")
    if len(config.get("hidden") or ()) > 1000:
        raise ValueError("network must have at most 1000 layers")
    kind = check_choice("kind", config.get("kind"), *kinds)
    network = kinds[kind].from_config(config, size=_header(archive, "parameters")[0])
    if network.config != config:
        raise ValueError("network has settings that this program does not know")
    return network


def _restore(about: dict[str, Any], network: Network, arrays: Mapping[str, Array]) -> Checkpoint:
    saved, ema = about["optimizer"], about["ema"]
    options = *OPTIONS, "muon_rate"
    _expect_keys("optimizer", saved, *options, "updates")
    _expect_keys("ema", ema, "decay", "updates")
    rng = _generator(about["generator"])
    settings = {name: saved[name] for name in options}
    state = TrainingState(network, rng=rng, ema_decay=ema["decay"], **settings)
    for name, vector in state.vectors().items():
        vector[:] = check_array(name, arrays[name])
    if state.optimizer.v.min() < 0:
        raise ValueError("v must be at least 0")
    state.step = check_count("step", about["step"], low=0)
    state.optimizer.updates = check_count("the optimizer's updates", saved["updates"], low=0)
    state.ema.updates = check_count("the average's updates", ema["updates"], low=0)
    network.schedule = Schedule.from_beta(arrays["beta"])
    return Checkpoint(state, network.schedule, about["config"])


def _generator(saved: Any) -> np.random.Generator:
    kind = check_choice("generator", saved["bit_generator"], *GENERATORS)
    bits = getattr(np.random, kind)()
    _expect_same_form(_listed(bits.state), saved)
    # NumPy does not check these, and reads memory with them.
    position = saved["state"].get("pos", 0), saved.get("buffer_pos", 0)
    if position[0] > 624 or position[1] > 4:
        raise ValueError("generator has a position outside its numbers")
    bits.state = saved  # lists in place of arrays are accepted
    return np.random.Generator(bits)


def _expect_same_form(form: Any, value: Any) -> None:
    """The same keys, list lengths and types as in a generator of that kind, and no number < 0."""
    same = type(form) is type(value)
    if same and isinstance(form, dict):
        same = form.keys() == value.keys()
    elif same and isinstance(form, list):
        same = len(form) == len(value)
    elif same and isinstance(form, int):
        same = value >= 0
    if not same:
        raise ValueError("generator has a state that cannot be")
    if isinstance(form, (dict, list)):
        for key in form if isinstance(form, dict) else range(len(form)):
            _expect_same_form(form[key], value[key])


def _expect_keys(name: str, value: Any, *keys: str) -> None:
    if not isinstance(value, dict) or value.keys() != {*keys}:
        raise ValueError(f"{name} must hold {', '.join(keys)}, and nothing else")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _listed(state: Any) -> Any:
    """The generator's state with lists in place of arrays, for JSON."""
    if isinstance(state, dict):
        return {key: _listed(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


def _digest(arrays: Mapping[str, Array]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
