"""A run on disk: whole or not at all, the same bits when it goes on, and every damaged file refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ddpm_np.closed_form.distributions import Gaussian
from ddpm_np.learning import checkpoint
from ddpm_np.learning.checkpoint import load_checkpoint, save_checkpoint
from ddpm_np.network import MLP, Layer
from ddpm_np.proof.exact import Exact
from ddpm_np.schedule import Schedule
from ddpm_np.training import TrainingState, train

SCHEDULE = Schedule.sigmoid(10)
DATA = Gaussian(np.zeros(3), np.diag([1.0, 0.5, 0.0]))
CONFIG = {"experiment": "test", "steps": 20, "nested": {"list": [1, 2.5, None, True]}}


def new_state(bits=np.random.PCG64, dtype=np.float32) -> TrainingState:
    rng = np.random.Generator(bits(1))
    network = MLP(3, 10, hidden=(8, Layer(4, "leaky_relu", "shift")), rng=rng, dtype=dtype, skip=np.linspace(0, 1, 11))
    return TrainingState(network, rng=rng, ema_decay=0.9, weight_decay=0.01, beta_1=0.8, beta_2=0.95, eps=1e-7)


def go_on(state: TrainingState, stop: int = 20) -> TrainingState:
    for record in train(state.network, DATA, SCHEDULE, steps=20, batch_size=16, learning_rate=1e-2, state=state):
        if record.step == stop:
            break
    return state


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, go_on(new_state(), 7), SCHEDULE, CONFIG)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_a_resumed_run_has_the_bits_of_an_unbroken_one(tmp_path, bits, dtype):
    unbroken = go_on(new_state(bits, dtype))
    save_checkpoint(tmp_path / "c", go_on(new_state(bits, dtype), 7), SCHEDULE, CONFIG)
    state, schedule, config = load_checkpoint(tmp_path / "c")
    assert state.step == 7 and schedule == SCHEDULE and config == CONFIG
    go_on(state)
    assert np.array_equal(state.network.flat, unbroken.network.flat)
    assert np.array_equal(state.ema.average, unbroken.ema.average)
    assert state.rng.random() == unbroken.rng.random()


def test_saving_changes_nothing(tmp_path):
    state = go_on(new_state(), 7)
    save_checkpoint(tmp_path / "c", state, SCHEDULE, CONFIG)
    assert np.array_equal(go_on(state).network.flat, go_on(new_state()).network.flat)


def test_the_network_comes_back_whole(saved):
    state = load_checkpoint(saved).state
    assert state.network.config == new_state().network.config
    assert state.optimizer.beta_2 == 0.95 and state.optimizer.eps == 1e-7 and state.ema.decay == 0.9


def test_the_path_is_used_as_given_and_nothing_else_is_left(saved):
    assert [p.name for p in saved.parent.iterdir()] == ["checkpoint.npz"]
    with np.load(saved, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_is_refused(saved, keep):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(ValueError, match="checkpoint.npz is not a checkpoint"):
        load_checkpoint(saved)


def test_any_changed_byte_is_refused_or_harmless(saved):
    content, original = saved.read_bytes(), load_checkpoint(saved)
    refused = 0
    for position in range(0, len(content), 37):
        saved.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        try:
            state = load_checkpoint(saved).state
        except ValueError as error:
            assert "checkpoint.npz" in str(error)
            refused += 1
        else:  # a byte of the archive's own padding or dates: the content is untouched
            assert np.array_equal(state.network.flat, original.state.network.flat)
    assert refused > 0.8 * len(range(0, len(content), 37))


def rewrite(path, seal: bool, **changes):
    """The file with some arrays replaced, with or without a checksum made for the new content."""
    with np.load(path) as file:
        arrays = {**{name: file[name] for name in file.files}, **changes}
    if seal:
        del arrays["sha256"]
        arrays["sha256"] = np.frombuffer(checkpoint._digest(arrays), np.uint8)
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def test_altered_content_is_refused(saved):
    rewrite(saved, False, m=np.zeros_like(load_checkpoint(saved).state.optimizer.m))
    with pytest.raises(ValueError, match="checksum"):
        load_checkpoint(saved)


def about(path, **changes):
    with np.load(path) as file:
        text = json.loads(file["about"].tobytes())
    return np.frombuffer(json.dumps({**text, **changes}).encode(), np.uint8)


def test_shapes_that_do_not_fit_are_refused(saved):
    rewrite(saved, True, parameters=np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="checkpoint.npz.*parameters must have shape"):
        load_checkpoint(saved)


def test_another_format_is_refused(saved):
    rewrite(saved, True, about=about(saved, format="ddpm_np checkpoint 99"))
    with pytest.raises(ValueError, match="format"):
        load_checkpoint(saved)


def test_a_schedule_that_does_not_fit_the_network_is_refused(saved):
    rewrite(saved, True, beta=np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="same T"):
        load_checkpoint(saved)


def test_an_unknown_generator_is_refused(saved):
    rewrite(saved, True, about=about(saved, generator={"bit_generator": "seed"}))
    with pytest.raises(ValueError, match="generator"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content", ["foreign", "npy", "pickle"])
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "foreign.npz"
    with open(path, "wb") as file:
        if content == "foreign":
            np.savez(file, a=np.ones(3))
        elif content == "npy":
            np.save(file, np.ones(3))
        else:
            np.savez(file, about=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="foreign.npz is not a checkpoint"):
        load_checkpoint(path)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none")


def test_what_json_does_not_know_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match="config"):
        save_checkpoint(tmp_path / "c", new_state(), SCHEDULE, {"array": np.ones(2)})
    with pytest.raises(TypeError, match="schedule"):
        save_checkpoint(tmp_path / "c", new_state(), Schedule.from_beta([Exact(1, 2)] * 10), {})
    assert list(tmp_path.iterdir()) == []
