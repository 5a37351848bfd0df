"""A run on disk: it continues with the same bits, and every damaged file is refused by name."""

import errno
import json
import os
import struct
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.learning import checkpoint
from ddpm_np.learning.checkpoint import load_checkpoint, save_checkpoint
from ddpm_np.network import MLP, Layer
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule
from ddpm_np.training import TrainingState, train

KINDS = {"mlp": MLP}
SCHEDULE = Schedule.sigmoid(10)
DATA = Gaussian(np.zeros(3), np.diag([1.0, 0.5, 0.0]))
CONFIG = {"experiment": "test", "steps": 20, "nested": {"list": [1, 2.5, None, True]}}


def new_state(bits=np.random.PCG64, dtype=np.float32):
    rng = np.random.Generator(bits(1))
    hidden = 8, Layer(4, "leaky_relu", "shift")
    network = MLP(3, 10, hidden=hidden, rng=rng, dtype=dtype, skip=np.linspace(0, 1, 11))
    options = {"ema_decay": 0.9, "weight_decay": 0.01, "beta_1": 0.8, "beta_2": 0.95, "eps": 1e-7}
    return TrainingState(network, rng=rng, **options)


def go_on(state, stop=20):
    settings = {"steps": 20, "batch_size": 16, "learning_rate": 1e-2, "state": state}
    for record in train(state.network, DATA, SCHEDULE, **settings):
        if record.step == stop:
            break
    return state


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "checkpoint.npz"
    save_checkpoint(path, go_on(new_state(), 7), SCHEDULE, CONFIG)
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.npz"]
    return path.read_bytes()


@pytest.fixture
def saved(stored, tmp_path):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(stored)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", [getattr(np.random, name) for name in checkpoint.GENERATORS])
def test_a_resumed_run_has_the_bits_of_an_unbroken_one(tmp_path, bits, dtype):
    unbroken = go_on(new_state(bits, dtype))
    save_checkpoint(tmp_path / "c", go_on(new_state(bits, dtype), 7), SCHEDULE, CONFIG)
    state, schedule, config = load_checkpoint(tmp_path / "c", KINDS)
    assert state.step == 7 and schedule == SCHEDULE and config == CONFIG
    assert state.network.schedule == SCHEDULE
    go_on(state)
    assert np.array_equal(state.network.flat, unbroken.network.flat)
    assert np.array_equal(state.ema.average, unbroken.ema.average)
    assert state.rng.random() == unbroken.rng.random()


def test_saving_changes_nothing(tmp_path):
    state = go_on(new_state(), 7)
    save_checkpoint(tmp_path / "c", state, SCHEDULE, CONFIG)
    assert np.array_equal(go_on(state).network.flat, go_on(new_state()).network.flat)


def test_the_network_comes_back_whole(saved):
    state = load_checkpoint(saved, KINDS).state
    assert state.network.config == new_state().network.config
    assert state.optimizer.beta_2 == 0.95 and state.optimizer.eps == 1e-7 and state.ema.decay == 0.9


def test_no_array_holds_objects(saved):
    with np.load(saved, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_refused(saved, keep):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match="checkpoint.npz is not a checkpoint"):
        load_checkpoint(saved, KINDS)


def contents(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def rewrite(path, seal=True, **changes):
    """The file with some arrays replaced, by default with a checksum made for the new content."""
    arrays = {**contents(path), **changes}
    if seal:
        del arrays["sha256"]
        arrays["sha256"] = np.frombuffer(checkpoint._digest(arrays), np.uint8)
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def about(path, **changes):
    """The description with some entries replaced; "ema.decay" is the entry decay of ema."""
    text = json.loads(contents(path)["about"].tobytes())
    for name, value in changes.items():
        *parents, last = name.split(".")
        place = text
        for parent in parents:
            place = place[parent]
        if value is MISSING:
            del place[last]
        else:
            place[last] = value
    return np.frombuffer(json.dumps(text).encode(), np.uint8)


MISSING = object()


def refused(path, *words):
    """Refused with one line that names the file and holds the words, in little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError) as caught:
            load_checkpoint(path, KINDS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 500
    for word in words:
        assert word in message
    assert peak < 50e6 + 10 * path.stat().st_size


def test_altered_content_is_refused(saved):
    rewrite(saved, False, m=np.zeros_like(load_checkpoint(saved, KINDS).state.optimizer.m))
    refused(saved, "checksum")


HUGE = 10**400
FORGED = [
    ("format", ["ddpm_np checkpoint 99", None, 1, [], {}]),
    ("step", ["x", None, -5, HUGE, True, 1.5, [], 2**63]),
    ("optimizer.updates", [-1, "x", None, 1.5, HUGE]),
    ("optimizer.beta_1", [1, -0.1, "x", None, float("nan"), HUGE, True]),
    ("optimizer.eps", [0, -1, "x", float("inf")]),
    ("optimizer.weight_decay", [-1, None, []]),
    ("optimizer.more", [1]),
    ("optimizer.eps", [MISSING]),
    ("optimizer", [MISSING, None, [], 3]),
    ("ema.decay", [1, 2, -1, None, "x"]),
    ("ema.updates", [-1, None, 1.5]),
    ("ema", [MISSING, None, []]),
    ("config", [MISSING]),
    ("more", [1]),
    ("generator", [MISSING, None, [], {}, {"bit_generator": "seed"}, {"bit_generator": []}]),
    ("generator.state", [MISSING, None, {}, {"state": "x", "inc": 1}]),
    ("generator.state", [{"state": -1, "inc": 1}, {"state": 2**200, "inc": 1}]),
    ("generator.uinteger", [-1, 2**40, None, True, MISSING]),
    ("generator.has_uint32", [-1, HUGE]),
    ("network", [MISSING, None, [], {}, "x"]),
    ("network.kind", [MISSING, None, "none", "unet", [], {}]),
    ("network.dim", [MISSING, 0, -1, 4, 10**9, HUGE, "x", None, True, 3.5]),
    ("network.T", [MISSING, 0, 11, 10**9, 10**12, HUGE, None]),
    ("network.dtype", [MISSING, "float64", "complex64", "object", None, [], "f4,(1000000000,)f4"]),
    ("network.hidden", [MISSING, [], [8], [10**12], [{"width": 10**9}], [{"width": 8}] * 2]),
    ("network.hidden", [None, "x", [[]], [{"height": 3}], [8] * 100_000, {"width": 8}]),
    ("network.skip", [[], [1.0], [0.0] * 10 + [float("nan")], ["x"] * 11, [HUGE] * 11]),
    ("network.rng", [1]),
    ("network.zero_output", [True]),
    ("network.more", [1]),
]


@pytest.mark.parametrize("name, values", FORGED, ids=[name for name, _ in FORGED])
def test_forged_descriptions_are_refused(saved, name, values):
    content = saved.read_bytes()
    for value in values:
        saved.write_bytes(content)
        rewrite(saved, about=about(saved, **{name: value}))
        refused(saved)


@pytest.mark.parametrize(
    "bits, change",
    [
        (np.random.MT19937, {"generator.state.pos": 10**6}),
        (np.random.MT19937, {"generator.state.pos": -1}),
        (np.random.MT19937, {"generator.state.key": [0] * 623}),
        (np.random.MT19937, {"generator.state.key": [2**32] * 624}),
        (np.random.Philox, {"generator.buffer_pos": 10**6}),
        (np.random.Philox, {"generator.buffer_pos": -(10**6)}),
        (np.random.SFC64, {"generator.state.state": [0.5] * 4}),
    ],
)
def test_positions_outside_a_generator_are_refused(tmp_path, bits, change):
    path = tmp_path / "c"
    save_checkpoint(path, new_state(bits), SCHEDULE, {})
    rewrite(path, about=about(path, **change))
    refused(path)


@pytest.mark.parametrize("name", checkpoint.VECTORS)
def test_numbers_that_are_not_finite_are_refused_by_name(saved, name):
    for value in (np.nan, np.inf, -np.inf):
        vector = contents(saved)[name].copy()
        vector[5] = value
        rewrite(saved, **{name: vector})
        refused(saved, f"{name} must be finite, got 1 NaN or infinite values")


@pytest.mark.parametrize("name", checkpoint.VECTORS)
def test_weights_that_are_not_finite_are_not_saved(tmp_path, name):
    state = new_state()
    state.vectors()[name][3] = np.nan
    with pytest.raises(ValueError, match=f"{name} must be finite"):
        save_checkpoint(tmp_path / "c", state, SCHEDULE, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"parameters": np.zeros(3, np.float32)}, "network must have 3 parameters"),
        ({"parameters": np.zeros((5, 59), np.float32)}, "1 axis"),
        ({"parameters": np.zeros(295)}, "parameters must have shape"),
        ({"parameters": np.zeros(295, ">f4")}, "parameters must have shape"),
        ({"m": np.zeros(294, np.float32)}, "m must have shape"),
        ({"v": np.full(295, -1, np.float32)}, "v must be at least 0"),
        ({"average": np.zeros(295, np.complex64)}, "average must have shape"),
        ({"beta": np.array([0.1, 0.2])}, "beta must have shape"),
        ({"beta": np.full(10, 1.0)}, "beta must lie strictly between 0 and 1"),
        ({"beta": np.full(10, np.nan)}, "beta must be finite"),
        ({"more": np.zeros(3)}, "arrays"),
        ({"about": np.frombuffer(b"{", np.uint8)}, ""),
        ({"about": np.frombuffer(b"[" * 100_000, np.uint8)}, ""),
        ({"about": np.frombuffer(b"\xff\xfe", np.uint8)}, ""),
        ({"about": np.frombuffer(b"NaN", np.uint8)}, "NaN"),
        ({"about": np.frombuffer(b"1" * 10_000, np.uint8)}, ""),
        ({"about": np.zeros(4 * 10**6 + 1, np.uint8)}, "about must have shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(saved, changes, words):
    rewrite(saved, **changes)
    refused(saved, words)


@pytest.mark.parametrize("content", ["foreign", "npy", "pickle", "objects", "text", "empty zip"])
def test_foreign_files_are_refused(tmp_path, saved, content):
    path = tmp_path / "foreign.npz"
    with open(path, "wb") as file:
        if content == "foreign":
            np.savez(file, a=np.ones(3))
        elif content == "npy":
            np.save(file, np.ones(3))
        elif content == "pickle":
            np.savez(file, about=np.array([{}], dtype=object))
        elif content == "objects":
            np.savez(file, **{**contents(saved), "m": np.array([{}], dtype=object)})
        elif content == "text":
            file.write(b"not ours" * 100)
        else:
            zipfile.ZipFile(file, "w").close()
    refused(path, "is not a checkpoint")


def archive_of(path, change=lambda name, data: (name, data), **options):
    """The file written anew, member by member."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", **options) as archive:
        for member in members.items():
            written = change(*member)
            for name, data in [written] if isinstance(written, tuple) else written:
                archive.writestr(name, data)


def test_an_archive_written_by_others_is_read_if_it_has_the_same_content(saved):
    archive_of(saved)
    assert load_checkpoint(saved, KINDS).state.step == 7


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused(saved, method):
    archive_of(saved, compression=method)
    refused(saved, "compressed")


def test_a_small_file_that_would_grow_is_refused_at_once(saved):
    bomb = b"\x93NUMPY\x01\x00" + bytes(10**8)
    archive_of(
        saved,
        lambda name, data: (name, bomb if name == "m.npy" else data),
        compression=zipfile.ZIP_DEFLATED,
        compresslevel=1,
    )
    refused(saved, "compressed")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "change",
    [
        lambda name, data: ("x.npy" if name == "m.npy" else name, data),
        lambda name, data: ("m.npy" if name == "v.npy" else name, data),
        lambda name, data: [(name, data)] * 2,
        lambda name, data: [(name, data)] * 2000 if name == "sha256.npy" else [(name, data)],
        lambda name, data: (name, data + b"x"),
        lambda name, data: (name, data[:-1]),
        lambda name, data: (name, data[:50]),
        lambda name, data: (name, b""),
        lambda name, data: (name, data.replace(b"(295,)", b"(999,)")),
        lambda name, data: (name, data.replace(b"(295,), }      ", b"(99999999999,), }")),
        lambda name, data: (name, data.replace(b"(295,)", b"(-29,)")),
        lambda name, data: (name, data.replace(b"(295,)", b"295   ")),
        lambda name, data: (name, data.replace(b"<f4", b"|O8")),
        lambda name, data: (name, data.replace(b"<f4", b"zzz")),
        lambda name, data: (name, data.replace(b"NUMPY\x01", b"NUMPY\x02")),
        lambda name, data: (name, data.replace(b"{'descr'", b"(((((((((")),
        lambda name, data: (name, data[:8] + b"\xff\xff" + data[10:]),
    ],
)
def test_archives_with_other_members_are_refused(saved, change):
    archive_of(saved, change)
    refused(saved)


def test_a_long_directory_is_not_read(saved):
    content = saved.read_bytes()
    end = content.rindex(b"PK\5\6")
    for entries, size in ((60_000, 4000), (7, 2**32 - 1)):
        forged = content[end : end + 8] + struct.pack("<HHI", entries, entries, size)
        saved.write_bytes(content[:end] + forged + content[end + 16 :])
        refused(saved, "must hold the 7 arrays")
    saved.write_bytes(content[:end] + b"PK\6\7" + bytes(16) + content[end:])
    refused(saved, "not an .npz file")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")
def test_only_ordinary_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(ValueError, match="must be an ordinary file"):
            load_checkpoint(path, KINDS)


@pytest.mark.parametrize(
    "code, kind", [(errno.EIO, OSError), (errno.EINVAL, ValueError), (None, ValueError)]
)
def test_a_disk_that_fails_is_told_from_a_place_outside_the_file(saved, monkeypatch, code, kind):
    def fails(file):
        raise OSError(code, "no such place")

    monkeypatch.setattr(checkpoint, "_check_end", fails)
    with pytest.raises(kind):
        load_checkpoint(saved, KINDS)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none", KINDS)


def test_what_json_does_not_know_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="config"):
        save_checkpoint(tmp_path / "c", new_state(), SCHEDULE, {"array": np.ones(2)})
    with pytest.raises(TypeError, match="schedule"):
        save_checkpoint(tmp_path / "c", new_state(), Schedule.from_beta([Exact(1, 2)] * 10), {})
    for value in (np.nan, {1: {2}}):
        with pytest.raises(TypeError, match="config"):
            save_checkpoint(tmp_path / "c", new_state(), SCHEDULE, {"value": value})
    with pytest.raises(ValueError, match="same T"):
        save_checkpoint(tmp_path / "c", new_state(), Schedule.sigmoid(9), {})
    with pytest.raises(TypeError, match="state"):
        save_checkpoint(tmp_path / "c", new_state().network, SCHEDULE, {})

    class Wider(MLP):
        """A subclass that would come back as the MLP it says it is."""

    wider = Wider(3, 10, hidden=(4,), rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="its own kind to be saved, got a Wider"):
        save_checkpoint(
            tmp_path / "c", TrainingState(wider, rng=np.random.default_rng(0)), SCHEDULE, {}
        )
    with pytest.raises(ValueError, match="schedule must be that of the network"):
        save_checkpoint(tmp_path / "c", go_on(new_state(), 1), Schedule.linear(10), {})
    assert list(tmp_path.iterdir()) == []
