"""What a run measures, writes and draws: numbers against their definitions and the theory."""

import json
import re
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import check_drawn
from tiny import TINY

from ddpm_np.closed_form.distributions import Gaussian, kl_divergence, wasserstein2
from ddpm_np.closed_form.ideal import IdealDenoiser, estimate_excess, optimal_loss
from ddpm_np.closed_form.reverse import sampler_distribution
from ddpm_np.experiments import report
from ddpm_np.experiments.evaluation import rms_distance
from ddpm_np.experiments.experiment import CURVE, ENSEMBLE, RINGS, from_config
from ddpm_np.experiments.own import Own
from ddpm_np.experiments.report import write_report, write_summary
from ddpm_np.experiments.signals import chain_from_first_step
from ddpm_np.experiments.training import Training
from ddpm_np.sampling import ancestral_sample
from ddpm_np.schedule import Schedule
from ddpm_np.signals import MultiSine
from ddpm_np.training import TrainingState

TIMES = {"training_s": 1.0, "from_step": 0, "measuring_s": 1.0}


@pytest.fixture(scope="module")
def measured():
    """Each tiny experiment, trained and measured."""
    found = {}
    for name, experiment in TINY.items():
        experiment = replace(experiment, samples=200, seed=1)
        training = Training(experiment)
        for _ in training.run():
            pass
        found[name] = training, experiment.evaluate(training, {})
    return found


# ---- the experiments ----------------------------------------------------------------------------


@pytest.mark.E19
@pytest.mark.E20
def test_curve_is_the_notes_experiment_and_ensemble_its_family():
    assert CURVE.schedule() == ENSEMBLE.schedule() == Schedule.sigmoid(100, beta_max=0.1)
    curve, family = CURVE.distribution(), ENSEMBLE.distribution()
    assert curve.dim == family.dim == 50 and curve.rank == 0
    assert isinstance(family, MultiSine) and len(family.frequencies) == 5
    # The curve lies in the span of the family's sines: both draw the same frequencies.
    coefficients = np.linalg.lstsq(family.factor.T, curve.mean, rcond=None)[0]
    residual = curve.mean - family.factor.T @ coefficients
    assert np.abs(residual).max() < 1e-9


@pytest.mark.parametrize(
    "experiment, settings",
    [
        (
            CURVE,
            "hidden=(256,), steps=6000, batch_size=100, learning_rate=0.02, ema_decay=0.99, "
            "activation='silu', mirrored=False, basis_size=8, beta_2=0.99, max_norm=1.0, dim=50, "
            "T=100, noise='sigmoid', beta_max=0.1, samples=2000, seed=0, quick=False, "
            "n_frequencies=5",
        ),
        (
            ENSEMBLE,
            "hidden=(128,), steps=12000, batch_size=500, learning_rate=0.01, ema_decay=0.9993, "
            "activation='silu', mirrored=True, basis_size=40, beta_2=0.99, max_norm=1.0, dim=50, "
            "T=100, noise='sigmoid', beta_max=0.1, samples=2000, seed=0, quick=False, "
            "n_frequencies=5",
        ),
        (
            RINGS,
            "hidden=(16, 32, 64), steps=4000, batch_size=16, learning_rate=0.03, ema_decay=0.99, "
            "activation='silu', mirrored=False, basis_size=12, beta_2=0.999, max_norm=1.0, "
            "dim=256, T=100, noise='sigmoid', beta_max=0.1, samples=64, seed=0, quick=False, "
            "muon_rate=0.2, step_power=0.5",
        ),
        (
            Own(),
            "hidden=(256, 128), steps=6000, batch_size=200, learning_rate=0.005, ema_decay=0.998, "
            "activation='silu', mirrored=True, basis_size=20, beta_2=0.999, max_norm=1.0, dim=50, "
            "T=100, noise='sigmoid', beta_max=0.1, samples=500, seed=0, quick=False, data='', "
            "digest=''",
        ),
    ],
)
def test_the_settings_by_which_reports_are_compared_stay(experiment, settings):
    assert repr(experiment) == f"{type(experiment).__name__}({settings})"


def test_a_configuration_comes_back_from_json():
    for experiment in (CURVE, ENSEMBLE.variant(seed=3, quick=True), RINGS):
        assert from_config(json.loads(json.dumps(experiment.config))) == experiment


def test_every_setting_reaches_the_numbers():
    def outcome(experiment):
        training = Training(experiment)
        for _ in training.run():
            pass
        return training.state.ema.average.tobytes() + training.distribution.mean.tobytes()

    base = TINY["curve"]
    others = {
        "hidden": (4,),
        "steps": 29,
        "batch_size": 7,
        "learning_rate": 2e-3,
        "ema_decay": 0.5,
        "max_norm": 0.1,
        "activation": "identity",
        "dim": 7,
        "n_frequencies": 3,
        "T": 9,
        "noise": "linear",
        "beta_max": 0.2,
        "seed": 1,
        "beta_2": 0.9,
        "basis_size": 3,
        "mirrored": True,
    }
    assert {*others, "name", "samples", "quick"} == base.config.keys()
    outcomes = [outcome(replace(base, **{key: value})) for key, value in others.items()]
    outcomes.append(outcome(TINY["ensemble"]))
    assert len({outcome(base), *outcomes}) == len(others) + 2


@pytest.mark.parametrize("noise", ["sigmoid", "linear", "cosine"])
@pytest.mark.parametrize("T", [20, 100, 1000])
def test_another_schedule_ends_in_noise_for_every_t(noise, T):
    schedule = CURVE.variant(T=T, noise=noise).schedule()
    assert schedule.T == T and schedule.alpha_bar[T] < 0.01
    assert CURVE.variant(T=100, noise="sigmoid") == CURVE


@pytest.mark.E16
def test_the_history_is_the_mean_loss_of_each_block():
    training = Training(replace(TINY["ensemble"], steps=405))
    losses = [record.loss for record in training.run()]
    assert training.block_size == 2
    means = np.mean(np.reshape(losses[:404], (-1, 2)), axis=1)
    assert np.allclose(training.losses, means, rtol=1e-15, atol=0)
    assert training.block == losses[404:]


@pytest.mark.E16
@pytest.mark.E17
def test_the_network_learns_the_curve():
    # A thirtieth of the default work brings the samples to about 0.1 of the curve. Those of an
    # untrained network are more than 1 away.
    training = Training(replace(CURVE, steps=1000, batch_size=50))
    curve, rng = training.distribution.mean, np.random.default_rng(0)
    untrained = ancestral_sample(training.state.ema_network(), training.schedule, 100, 50, rng=rng)
    for _ in training.run():
        pass
    trained = ancestral_sample(training.state.ema_network(), training.schedule, 100, 50, rng=rng)
    assert rms_distance(untrained, curve).min() > 0.5
    assert np.sqrt(np.square(rms_distance(trained, curve)).mean()) < 0.2


# ---- the numbers --------------------------------------------------------------------------------


@pytest.mark.E17
def test_curve_distances_are_those_of_the_samples(measured):
    training, evaluation = measured["curve"]
    curve = training.distribution.mean
    off = np.linalg.norm(evaluation.samples - curve, axis=1) / np.sqrt(6)
    rows = evaluation.rows
    rms = np.sqrt(np.mean(off**2))
    assert np.isclose(rows["rms_distance"].measured, rms, rtol=1e-12, atol=0)
    assert np.isclose(rows["worst_distance"].measured, off.max(), rtol=1e-12, atol=0)
    for key in ("loss", "rms_distance", "worst_distance", "ideal_rms_distance"):
        assert rows[key].exact == 0.0
    # The last step returns sqrt(alpha_bar_1) times the curve over sqrt(alpha_bar_1), plus terms
    # that cancel: a few roundings.
    few = 20 * np.finfo(float).eps * np.abs(curve).max()
    assert rows["ideal_rms_distance"].measured < few


@pytest.mark.E25
def test_loss_and_excess_stand_over_the_floor(measured):
    training, evaluation = measured["ensemble"]
    dist, schedule = training.distribution, training.schedule
    losses = evaluation.losses
    assert np.array_equal(losses.floor, optimal_loss(dist, schedule), equal_nan=True)
    error = np.hypot(losses.loss_error, losses.excess_error)[1:]
    assert np.all(np.abs(losses.loss - losses.floor - losses.excess)[1:] < 5 * error)
    row = evaluation.rows["excess_percent"]
    network, rng = training.state.ema_network(), np.random.default_rng(7)
    again, again_error = estimate_excess(network, dist, schedule, n=2000, rng=rng)
    assert abs(row.measured - 100 * again) < 5 * np.hypot(row.error, 100 * again_error)
    assert row.exact == 0.0


@pytest.mark.E27
def test_w2_is_that_of_the_gaussian_fit_and_has_its_exact_neighbours(measured):
    training, evaluation = measured["ensemble"]
    dist, rows = training.distribution, evaluation.rows
    fit = Gaussian(evaluation.samples.mean(0), np.cov(evaluation.samples, rowvar=False))
    ideal = Gaussian(evaluation.ideal.mean(0), np.cov(evaluation.ideal, rowvar=False))
    for key, exact in (
        ("w2", wasserstein2(fit, ideal)),
        ("w2_data", wasserstein2(fit, dist)),
        ("w2_ideal", wasserstein2(ideal, dist)),
    ):
        assert np.isclose(rows[key].measured, exact, rtol=1e-12, atol=0)
    assert rows["w2"].exact == 0.0  # like is compared with like: the same noise
    output = sampler_distribution(dist, training.schedule)
    assert rows["w2_exact_sampler"].exact == wasserstein2(output, dist)
    assert np.array_equal(evaluation.spectra["exact sampler"], output.spectrum)
    # A sample of the right distribution is off it, but less than the badly trained network.
    assert 0 < rows["w2_true"].measured < rows["w2_data"].measured


@pytest.mark.E20
def test_what_lies_outside_the_support_is_measured_there(measured):
    training, evaluation = measured["ensemble"]
    dist = training.distribution
    assert dist.rank < dist.dim
    support = dist.axes[:, : dist.rank]
    beyond = evaluation.samples @ (np.eye(dist.dim) - support @ support.T)
    size = evaluation.rows["outside_rms"].measured
    assert np.isclose(size, np.sqrt(np.mean(beyond**2)), rtol=1e-9, atol=0)


@pytest.mark.E24
@pytest.mark.E28
def test_the_chain_from_the_first_step_has_the_ideal_denoiser_of_x_1():
    schedule, dist = Schedule.sigmoid(12), MultiSine([0.5, 1.0], dim=6)
    denoiser, rest = chain_from_first_step(IdealDenoiser(dist, schedule), schedule)
    exact = IdealDenoiser(dist.diffuse(schedule, 1), rest)
    x = np.random.default_rng(0).standard_normal((5, 6))
    for t in range(1, rest.T + 1):
        # Both divide by variances of at least 1 - alpha_bar_1, formed in different orders from
        # rounded tables.
        condition = dist.spectrum[0] / schedule.one_minus_alpha_bar[1]
        assert np.abs(denoiser(x, t) - exact(x, t)).max() < 10 * np.finfo(float).eps * condition


@pytest.mark.E28
def test_bound_and_entropy_stand_beside_each_other(measured):
    training, evaluation = measured["ensemble"]
    dist, schedule, rows = training.distribution, training.schedule, evaluation.rows
    end = kl_divergence(dist.diffuse(schedule, schedule.T), Gaussian(np.zeros(6), np.eye(6)))
    assert rows["bound_kernel"].exact == dist.diffuse(schedule, 1).entropy
    assert abs(rows["bound_kernel"].measured - rows["bound_kernel"].exact - end) < 1e-10
    assert rows["bound"].exact > rows["bound_kernel"].measured
    assert rows["bound"].measured > rows["bound"].exact - 5 * rows["bound"].error


def test_the_measurement_depends_on_weights_and_seed_only(measured):
    training, evaluation = measured["curve"]
    again = training.experiment.evaluate(training, {})
    assert again.rows == evaluation.rows and np.array_equal(again.samples, evaluation.samples)
    training.state.rng.standard_normal(100)  # another generator, so nothing changes
    assert training.experiment.evaluate(training, {}).rows == evaluation.rows


def test_samples_come_from_the_averaged_weights(measured):
    training, evaluation = measured["ensemble"]
    other = Training(training.experiment)
    other.state = TrainingState(other.experiment.network(), rng=np.random.default_rng(0))
    other.state.network.flat[:] = training.state.network.flat
    other.state.ema.average[:] = training.state.ema.average
    assert np.array_equal(other.experiment.evaluate(other, {}).samples, evaluation.samples)
    other.state.ema.average[:] = training.state.network.flat
    assert not np.array_equal(other.experiment.evaluate(other, {}).samples, evaluation.samples)


# ---- the files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures(measured, quick_pictures):
    """The pictures of each experiment, by name."""
    return {name: dict(m[0].experiment.pictures(*m)) for name, m in measured.items()}


@pytest.fixture(scope="module")
def written(measured, figures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    for name, (training, evaluation) in measured.items():
        (folder / name).mkdir()
        with pytest.MonkeyPatch.context() as patch:
            kind = type(training.experiment)
            patch.setattr(kind, "pictures", lambda *_, name=name: figures[name].items())
            write_report(folder / name, folder, training.experiment, training, evaluation, TIMES)
    write_summary(folder, list(measured))
    return folder


def _refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


@pytest.mark.parametrize("name", ["curve", "ensemble"])
def test_report_json_is_strict_and_whole(measured, written, name):
    training, evaluation = measured[name]
    content = json.loads((written / name / "report.json").read_text(), parse_constant=_refuse)
    assert from_config(content["configuration"]) == training.experiment
    assert content["seed"] == 1 and content["step"] == 30 and content["times"] == TIMES
    assert content["versions"]["numpy"] == np.__version__ and "Python" in content["versions"]
    per_step = content["loss_per_step"]
    assert per_step["floor"][0] is None and len(per_step["network"]) == 9
    numbers = {key: row["measured"] for key, row in content["numbers"].items()}
    assert numbers == {key: row.measured for key, row in evaluation.rows.items()}


@pytest.mark.parametrize("name", ["curve", "ensemble"])
def test_report_md_shows_every_number_and_only_pictures_that_exist(measured, written, name):
    _, evaluation = measured[name]
    page = (written / name / "report.md").read_text()
    for row in evaluation.rows.values():
        assert f"| {row.measured:.4g} |" in page
        assert row.exact is None or f"| {row.exact:.4g} |" in page
    shown = re.findall(r"!\[.*?\]\((.*?)\)", page)
    drawn = {path.name for path in (written / name).glob("*.png")}
    assert len(shown) == len(drawn) and set(shown) == drawn
    assert drawn >= {"schedule.png", "forward.png", "loss.png", "reverse.png", "samples.png"}
    assert ("spectrum.png" in drawn) == (name == "ensemble")


def test_report_md_tells_of_the_run_and_how_to_continue(measured):
    training, evaluation = measured["curve"]
    quick = copy(training)
    quick.experiment = replace(training.experiment, quick=True)
    for run, since, times in (
        (training, "", TIMES),
        (quick, " (resumed at step 7)", {**TIMES, "training_s": 2.25, "from_step": 7}),
    ):
        content = report._content(run, evaluation, times)
        of = run.experiment, content, run
        lines = report._page(Path("a b/curve"), Path("a b"), *of, ["loss"]).split("\n")
        versions = ", ".join(f"{name} {version}" for name, version in content["versions"].items())
        warning = "**A quick run of 30 steps: it checks that everything works, and does not "
        assert lines[0] == "# One curve, learned" and "{" not in lines[2]
        assert any(line.startswith(warning) for line in lines) == (run is quick)
        assert lines[lines.index("## Pictures") :][:4] == [
            "## Pictures",
            "",
            "![loss](loss.png)",
            "",
        ]
        told = lines[lines.index("## The run") :]
        assert told[2:5] == [
            f"- {run.state.network!r}, 30 steps with batches of 8, seed 1.",
            f"- Training took {times['training_s']:.1f} s{since}, measuring 1.0 s.",
            f"- {versions}.",
        ]
        assert [line for line in told if line.startswith("    ")] == [
            "    python -m ddpm_np sample 'a b/curve/checkpoint.npz' -n 16 --out signals.npz",
            f"    python -m ddpm_np run {run.experiment.command()}",
            "    python -m ddpm_np run --resume --out 'a b'",
        ]
    assert "## Pictures" not in report._page(Path("x"), Path("x"), *of, [])


def test_tables_are_rectangular(written):
    for page in written.rglob("report.md"):
        rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
        assert rows and all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)


def test_the_summary_links_to_what_exists(written):
    page = (written / "report.md").read_text()
    for target in re.findall(r"\]\((.*?)\)", page):
        assert (written / target).is_file()
    content = json.loads((written / "report.json").read_text())
    assert content["experiments"].keys() == {"curve", "ensemble"}


def test_every_panel_says_what_it_shows(figures):
    for experiment, pictures in figures.items():
        for name, figure in pictures.items():
            assert figure.get_suptitle() and any(text.get_text() for text in figure.texts), name
            check_drawn(f"{experiment} {name}", figure)


def band(axes):
    """The lower and the upper edge of the first area that is filled."""
    edges = axes.collections[0].get_paths()[0].vertices[:, 1]
    n = (len(edges) - 3) // 2
    return edges[1 : n + 1], edges[n + 2 : -1][::-1]


def test_pictures_show_the_numbers_that_they_name(measured, figures):
    (_, of_curve), (training, found) = (measured[name] for name in ("curve", "ensemble"))
    curve = measured["curve"][0].distribution.mean
    pictures = {}
    for name in figures:
        for picture, figure in figures[name].items():
            pictures[name, picture] = [
                ([line.get_ydata() for line in axes.lines], axes) for axes in figure.axes
            ]
    dist, losses = training.distribution, found.losses
    std = np.sqrt(np.diag(dist.cov))
    for k, (lines, axes) in enumerate(pictures["ensemble", "samples"]):
        drawn, ideal = found.samples[k], found.ideal[k]
        assert np.array_equal(lines, [ideal, drawn, 10 * (drawn - ideal)])
        assert np.allclose(band(axes), [dist.mean - 2 * std, dist.mean + 2 * std])
        assert axes.get_title("left").split()[1] == f"{rms_distance(drawn, ideal):.2g}"
    (left, _), (middle, _), (right, axes) = pictures["ensemble", "loss"]
    assert np.array_equal(left[0], training.losses)
    assert np.array_equal(middle, [losses.loss[1:], losses.floor[1:]])
    over, error = (100 * v[1:] / losses.floor[1:] for v in (losses.excess, losses.excess_error))
    assert np.array_equal(right[0], over)
    assert np.allclose(band(axes), [over - 2 * error, over + 2 * error])
    for lines, axes in pictures["ensemble", "forward"]:
        low, high = band(axes)
        t = int(axes.get_title("left").split()[2].rstrip(":"))
        spread = np.sqrt(training.schedule.one_minus_alpha_bar[t])
        assert np.allclose([low + 2 * spread, high - 2 * spread], lines[-1])
    for name, last in (("ensemble", None), ("curve", curve)):
        found = measured[name][1]
        (left, _), (right, _) = pictures[name, "reverse"][:2]
        for lines, path in ((left, found.path), (right, found.ideal_path)):
            assert np.array_equal(lines, [path[0] if last is None else last])
    schedule, t = training.schedule, np.arange(1, 9)
    (left, _), (middle, _), (right, _) = pictures["ensemble", "schedule"]
    assert np.array_equal(left, [schedule.beta[1:], schedule.beta_tilde[1:]])
    assert np.allclose(np.square(middle), [schedule.alpha_bar, schedule.one_minus_alpha_bar])
    assert np.array_equal(right[0], schedule.log_snr[1:]) and np.array_equal(right[1], [0, 0])
    spectra, (left, right) = measured["ensemble"][1].spectra, pictures["ensemble", "spectrum"]
    rank, data = training.distribution.rank, spectra["data"]
    kinds = ["data", "exact sampler", "true sample", "network"]
    for values, kind in zip(left[0], kinds):
        assert np.array_equal(values, spectra[kind][spectra[kind] > 1e-12 * spectra[kind][0]])
    assert left[1].lines[-1].get_xdata()[0] == rank + 0.5 and len(left[0]) == 5
    large = np.count_nonzero(data > 1e-2 * data[0])
    for values, kind in zip(right[0][1:], ["exact sampler", "true sample", "ideal", "network"]):
        assert np.allclose(values, spectra[kind][:large] / data[:large])
    numbered = [np.array_equal(line.get_xdata(), t[:large]) for line in right[1].lines]
    assert numbered == [False, True, True, True, True]
    names = ["data, exact", "exact sampler, exact", "as many true signals", "the network's samples"]
    assert [text.get_text() for text in left[1].get_legend().get_texts()] == names
    assert [text.get_text() for text in right[1].get_legend().get_texts()] == [
        "ideal denoiser, same noise"
    ]
    (left, _), (right, axes) = pictures["curve", "samples"]
    assert np.array_equal(left[:-1], [*of_curve.samples[:50], curve])
    off = of_curve.samples - curve
    assert np.allclose(band(axes), np.quantile(off, [0.05, 0.95], axis=0))
    assert np.array_equal(right[50], np.median(off, axis=0))
