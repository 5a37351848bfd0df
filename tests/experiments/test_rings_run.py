"""The experiment with rings, made small: its numbers, its report, its pictures."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import files, main
from drawn import check_drawn

from ddpm_np import _figure_style
from ddpm_np.closed_form.distributions import Rings
from ddpm_np.closed_form.distributions.rings import nearest_ring
from ddpm_np.experiments import rings_evaluation
from ddpm_np.experiments.experiment import BY_DEFAULT, EXPERIMENTS, RINGS
from ddpm_np.experiments.settings import KINDS
from ddpm_np.experiments.training import Training
from ddpm_np.learning.checkpoint import load_checkpoint
from ddpm_np.learning.unet import UNet

SMALL = replace(
    RINGS,
    hidden=(4, 4),
    dim=64,
    T=4,
    noise="linear",
    beta_max=0.9,
    steps=20,
    batch_size=4,
    samples=6,
    ema_decay=0.5,
    quick=True,
)


def test_it_is_no_part_of_the_default_run():
    assert "rings" in EXPERIMENTS and "rings" not in BY_DEFAULT


def test_the_experiment_has_a_unet_and_a_family_of_rings():
    network, dist = RINGS.network(), RINGS.distribution()
    assert isinstance(network, UNet) and network.size == 16 and network.dim == dist.dim == 256
    assert isinstance(dist, Rings) and RINGS.variant(quick=True).steps < 100


@pytest.fixture(scope="module")
def small():
    """The experiment made small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "rings", SMALL)
        patch.setattr(rings_evaluation, "PATCHES", (3, 7))
        yield


@pytest.fixture(scope="module")
def pictures():
    """The pictures of the whole run, once it is done."""
    return {}


@pytest.fixture(scope="module")
def whole(small, quick_pictures, pictures, tmp_path_factory):
    """The folder of a whole run."""
    folder, drawn = tmp_path_factory.mktemp("rings") / "run", type(SMALL).pictures

    def kept(*given):
        pictures.update(drawn(*given))
        yield from pictures.items()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(SMALL), "pictures", kept)
        assert main("run", "--experiment", "rings", "--out", folder) == 0
    return folder


def test_the_numbers_of_the_report_stay(whole):
    # What each is, other tests say; training rounds otherwise with other matrix products.
    numbers = json.loads((whole / "report.json").read_text())["numbers"]
    lines = Path(__file__).with_name("rings_numbers.txt").read_text().splitlines()
    told = {name: values for name, *values in (line.split() for line in lines)}
    assert [*told] == [*numbers]
    for name, values in told.items():
        found = [numbers[name][key] for key in ("measured", "error", "exact")]
        wanted = [None if v == "-" else pytest.approx(float(v), rel=0.01) for v in values]
        assert found == wanted, name


def test_the_pictures_show_what_they_did(whole, pictures):
    assert [*pictures] == ["samples", "views", "reverse", "loss", "memory", "patches"]
    for name, figure in pictures.items():
        check_drawn(f"rings {name}", figure)


def test_a_whole_run_reports_and_draws(whole):
    folder = whole
    report = json.loads((folder / "report.json").read_text())
    numbers = report["numbers"]
    for name in (
        "excess",
        "ring",
        "radius",
        "mlp_ring",
        "trained_5",
        "to_memory_16",
        "fair",
        "patch_7_anywhere",
        "three_layers",
        "shown_U-Net",
    ):
        assert np.isfinite(numbers[name]["measured"]), name
    # an untrained network is far above the floor, and the exact denoisers are where they must be
    assert numbers["excess"]["measured"] > 1 and numbers["loss"]["exact"] > 0
    assert numbers["ideal_ring"]["measured"] < 0.05
    assert numbers["patch_3_placed"]["measured"] < numbers["patch_3_anywhere"]["measured"]
    assert numbers["three_layers"]["measured"] > numbers["three_layers"]["exact"]
    assert numbers["three_layers"]["exact"] == numbers["patch_7_anywhere"]["measured"]
    assert "8 x 8 pixels" in (folder / "report.md").read_text()
    for picture in ("samples", "views", "reverse", "loss", "memory", "patches"):
        assert (folder / f"{picture}.png").stat().st_size > 1000
    with np.load(folder / "samples.npz") as arrays:
        samples, fit, ideal = arrays["samples"], nearest_ring(arrays["samples"]), arrays["ideal"]
    assert samples.shape == (6, 64)
    for key, values, exact in (
        ("ring", fit.distance, 0.0),
        ("radius", fit.radius, SMALL.distribution().radius),
        ("ideal_ring", nearest_ring(ideal).distance, 0.0),
    ):
        assert numbers[key]["measured"] == pytest.approx(values.mean(), rel=1e-9)
        assert numbers[key]["exact"] == exact
        if key != "ideal_ring":
            error = values.std(ddof=1) / np.sqrt(len(values))
            assert numbers[key]["error"] == pytest.approx(error, rel=1e-9)
    assert numbers["radius_sd"]["measured"] == pytest.approx(fit.radius.std(ddof=1), rel=1e-9)
    loss, least = numbers["loss"]["measured"], numbers["loss"]["exact"]
    assert least == pytest.approx(np.mean(report["loss_per_step"]["floor"][1:]), rel=1e-12)
    assert numbers["excess"]["measured"] == pytest.approx(loss / least - 1, rel=1e-9)
    assert {"excess_at_1", "excess_at_2"} == {key for key in numbers if "excess_at" in key}
    assert isinstance(load_checkpoint(folder / "checkpoint.npz", KINDS).state.network, UNet)


def test_an_interrupt_during_a_further_training_keeps_what_is_done(
    whole, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(_figure_style, "available", lambda: False)
    folder, run = tmp_path / "x", Training.run

    def stopped(training):
        for record in run(training):
            if training.job.name == "unet-16" and record.step == 2:
                signal.raise_signal(signal.SIGINT)
            yield record

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(Training, "run", stopped)
    try:
        assert main("run", "--experiment", "rings", "--out", folder) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "stopped at step 2 of 4 of unet-16, saved" in capsys.readouterr().err
    monkeypatch.setattr(Training, "run", run)
    assert main("run", "--resume", "--out", folder) == 0
    said = capsys.readouterr().out
    assert "unet-16: at step 2 of 4" in said and "three-layers: step 4/4" in said
    assert "report in" in said
    left, wanted = files(folder), files(whole)
    for name in wanted:
        if name.endswith(".npz"):
            assert left[name] == wanted[name], name
    numbers = (json.loads(found["report.json"])["numbers"] for found in (left, wanted))
    assert next(numbers) == next(numbers)


def test_a_checkpoint_of_another_kind_of_network_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    Training(replace(EXPERIMENTS["curve"], hidden=(3,), dim=64, T=6, steps=8)).save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="was saved by another run"):
        Training.load(path, SMALL)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "error, change, says",
    [
        (ValueError, {"dim": 60}, "dim must be a square for pictures"),
        (ValueError, {"steps": 0}, "steps must be at least 1"),
        (ValueError, {"muon_rate": -1.0}, "muon_rate"),
        (TypeError, {"hidden": [4, 4]}, "hidden must be a tuple"),
        (TypeError, {"hidden": (4,) * 101}, "hidden must be a tuple of 1 to 100 widths"),
        (TypeError, {"hidden": ()}, "hidden must be a tuple of 1 to 100 widths"),
    ],
)
def test_bad_settings_are_refused(error, change, says):
    with pytest.raises(error, match=says):
        replace(SMALL, **change)


def test_pictures_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="size must be divisible by 4"):
        replace(SMALL, hidden=(4, 4, 4), dim=36).network()


def test_small_t_are_drawn_more_often_and_the_kernels_are_those_of_muon():
    training = Training(SMALL)
    density = training.job.step_density
    assert density is not None and np.allclose(density[1:] ** -2, np.arange(1, SMALL.T + 1))
    assert training.state.muon_rate == SMALL.muon_rate > 0
    mlp = next(job for job in SMALL.further() if job.name == "mlp")
    assert Training(SMALL, mlp).state.muon_rate == 0 and mlp.step_density is None


def test_the_further_trainings_take_shares_of_the_main_ones_steps():
    jobs = {job.name: job for job in RINGS.further()}
    steps = {name: job.steps for name, job in jobs.items()}
    memories = {f"unet-{k}": 800 for k in (5, 16, 64, 256)}
    assert steps == {"mlp": 4000, **memories, "short": 200, "three-layers": 800}
    assert (jobs["mlp"].learning_rate, jobs["mlp"].cost, jobs["short"].cost) == (5e-4, 0.3, 1.0)
    three = jobs["three-layers"].network
    assert three.widths == (32,) and three.layers == rings_evaluation.SEEN // 2 == 3
    quick = RINGS.variant(quick=True)
    assert (quick.steps, quick.samples, quick.ema_decay) == (40, 16, 0.9)
    assert [job.steps for job in quick.further()] == [40, 8, 8, 2, 8]
