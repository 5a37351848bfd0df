"""check_diffusion: no false alarms, the verdicts, the report, and bad input."""

import doctest
import warnings
from pathlib import Path

import numpy as np
import pytest
from small_code import OneBased, SmallCode

from ddpm_np.conformance import (
    ConformanceError,
    ConformanceWarning,
    Row,
    adapt,
    check_diffusion,
    checks,
)
from ddpm_np.conformance.operations import OPERATIONS
from ddpm_np.schedule import Schedule

LINEAR = Schedule.linear(30).beta[1:]


def one(**operations):
    """A subject with these operations only."""
    return type("One", (), {"betas": LINEAR, **operations})()


def only(kind, *operations):
    """The same code with these operations only."""
    return type(kind.__name__, (kind,), {o: None for o in OPERATIONS if o not in operations})


class Fixed(SmallCode):
    """On its own schedule only, which is quick."""

    from_betas = None


class Built(SmallCode):
    """Noise at the last step."""

    def reverse_step(self, x_t, t, eps, z):
        i = self.at(t)
        mean = (x_t - self.beta[i] / self.noise[i] ** 0.5 * eps) / self.alpha[i] ** 0.5
        return mean + (self.variance[i] if i else self.beta[0]) ** 0.5 * z


class Wrong(Built):
    from_betas = None


Step = only(Wrong, "reverse_step")


# ---- no false alarms ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, dtype",
    [
        (SmallCode, np.float64),
        (OneBased, np.float32),
        pytest.param(SmallCode, np.float32, marks=pytest.mark.long),
        pytest.param(OneBased, np.float64, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule.linear(12),
        Schedule.cosine(12),
        Schedule.sigmoid(12),
        Schedule.from_beta([0.3]),
        Schedule.from_beta([1e-4] * 9),
        Schedule.from_beta([0.5, 1e-3, 0.9, 0.02]),
    ],
    ids=str,
)
def test_careful_code_passes_whole(kind, dtype, schedule):
    class Whole(kind):
        from_betas = None

    report = check_diffusion(Whole(schedule.beta[1:].astype(dtype)))
    assert report.passed and not report.failures
    assert {row.verdict for row in report.rows if row.equation != "E18"} == {"holds"}, report
    assert report.skipped == ["E2 alpha_bar"]


def test_careful_code_passes_on_drawn_schedules_too():
    assert check_diffusion(SmallCode(LINEAR.astype(np.float32))).passed


def test_torch_code_passes_and_stays_in_torch():
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64):
        report = check_diffusion(Fixed(torch.linspace(1e-4, 0.02, 20, dtype=dtype)))
        assert {row.verdict for row in report.rows if row.equation != "E18"} == {"holds"}
        assert "torch" in report.about


def test_textbook_code_in_float32_loses_digits_and_passes():
    betas = np.linspace(1e-4, 0.02, 200, dtype=np.float32)

    def q_sample(self, x_0, t, noise):
        bar = np.cumprod(1 - self.betas)[t]
        return np.sqrt(bar) * x_0 + np.sqrt(1 - bar) * noise

    report = check_diffusion(type("Text", (), {"betas": betas, "q_sample": q_sample})())
    row = next(row for row in report.rows if row.coefficient == "noise")
    assert row.verdict == "digits" and 300 < row.ulp < 5000
    assert "1 - alpha_bar or beta by subtraction in float32" in row.diagnosis


def test_float32_tables_in_float64_code_are_named():
    class Narrow(Fixed):
        def own(self, table):
            return table.astype(np.float32).astype(np.float64)

    report = check_diffusion(Narrow(LINEAR))
    rows = [row for row in report.rows if row.operation == "q_sample"]
    assert {(row.verdict, row.diagnosis) for row in rows} == {("digits", "float32 tables")}


@pytest.mark.parametrize("named", ["beta", "beta_tilde"])
def test_both_named_variances_conform(named):
    class Chosen(Fixed):
        def reverse_step(self, x_t, t, eps, z):
            i = self.at(t)
            mean = (x_t - self.beta[i] / self.noise[i] ** 0.5 * eps) / self.alpha[i] ** 0.5
            variance = self.beta if named == "beta" else self.variance
            return mean + (variance[i] ** 0.5 * z if i > 0 else 0)

    row = next(r for r in check_diffusion(Chosen(LINEAR)).rows if r.coefficient == "z")
    assert (row.verdict, row.diagnosis) == ("holds", f"the variance is {named}")


def test_alphas_cumprod_alone_is_a_schedule():
    made = Fixed(LINEAR)
    made.alphas_cumprod, made.betas = made.alpha_bar, None
    report = check_diffusion(made)  # a rounded alpha_bar says less of 1 - alpha_bar than betas do
    assert report.passed and report.rows[0].verdict == "holds"


def test_the_table_is_checked_against_the_betas():
    made = one(alphas_cumprod=np.append(1, np.cumprod(1 - LINEAR))[:-1])
    (row,) = check_diffusion(made, on_fail=None).rows
    assert (row.check, row.verdict) == ("E2 alpha_bar", "differs")
    assert "t off by one" in row.diagnosis


# ---- the variance of the output -----------------------------------------------------------------


def test_the_output_variance_is_the_exact_one_and_shows_last_noise():
    from ddpm_np.closed_form.distributions import Gaussian
    from ddpm_np.closed_form.reverse import sampler_distribution

    schedule = Schedule.from_beta(LINEAR)
    exact = sampler_distribution(Gaussian([0.0], [[0.25]]), schedule)
    report = check_diffusion(Fixed(LINEAR))
    output = next(
        output
        for output in report.outputs
        if output.operation == "reverse_step" and output.v == 0.25
    )
    assert output.exact == pytest.approx(exact.cov[0, 0], rel=1e-12)
    assert output.subject == pytest.approx(output.exact, rel=1e-12)
    wrong = check_diffusion(Wrong(LINEAR), on_fail=None)
    output = next(
        output for output in wrong.outputs if output.operation == "reverse_step" and output.v == 0
    )
    assert output.exact == 0 and output.subject == pytest.approx(schedule.beta[1])


# ---- the report ---------------------------------------------------------------------------------


def test_on_fail_raises_warns_or_reports():
    with pytest.raises(ConformanceError, match="Wrong does not keep E17 step") as caught:
        check_diffusion(Step(LINEAR))
    assert isinstance(caught.value, AssertionError) and not caught.value.report.passed
    with pytest.warns(ConformanceWarning, match="E17 step"):
        report = check_diffusion(Step(LINEAR), on_fail="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert str(check_diffusion(Step(LINEAR), on_fail=None)) == str(report)
    with pytest.raises(ValueError, match='on_fail must be "raise", "warn" or None'):
        check_diffusion(Step(LINEAR), on_fail="explode")


@pytest.mark.parametrize("name", ["E17 step", "E17", "reverse_step", "E17 reverse_step"])
def test_expected_failures_do_not_raise(name):
    report = check_diffusion(Step(LINEAR), expected_failed_checks={name: "as in the paper's code"})
    assert report.passed and "expected to fail: E17 step (as in the paper's code)" in str(report)


def test_a_name_or_a_list_of_names_will_do_for_expected_failures():
    for names in ("E17 step", ["E17 step"]):
        report = check_diffusion(Step(LINEAR), expected_failed_checks=names)
        assert report.passed and "expected to fail: E17 step" in str(report).splitlines()


def test_expected_failures_that_hold_are_listed_and_unknown_ones_refused():
    made = only(Fixed, "q_sample")(LINEAR)
    report = check_diffusion(made, expected_failed_checks={"E6 q_sample": ""})
    assert "expected to fail, but holds: E6 q_sample" in str(report)
    with pytest.raises(ValueError, match="expected_failed_checks must name checks .* got 'E99'"):
        check_diffusion(only(Fixed, "q_sample")(LINEAR), expected_failed_checks={"E99": ""})


def test_the_row_has_its_fields_and_the_smallest_example():
    report = check_diffusion(only(Built, "reverse_step")(LINEAR), on_fail=None)
    (row,) = report.failures
    assert Row._fields == (
        "equation",
        "operation",
        "coefficient",
        "verdict",
        "ulp",
        "t",
        "diagnosis",
        "smallest_example",
    )
    assert row[:4] == ("E17", "reverse_step", "z", "differs") and row.t == 1 and row.ulp > 1e6
    assert row.diagnosis.startswith("noise at the last step")
    assert row.smallest_example.startswith("betas = [0.5]: t = 1: ")


def test_the_tables_have_a_line_for_every_row():
    report = check_diffusion(Wrong(LINEAR), on_fail=None)
    for row in report.rows:
        assert (
            sum(
                row.operation in line and f" {row.coefficient} " in line
                for line in str(report).splitlines()
            )
            == 1
        )
    lines = report.to_markdown().splitlines()
    assert lines[2].startswith("| equation | operation |") and lines[3].startswith("| ---")
    assert sum(line.startswith("| E") for line in lines) == len(report.rows)
    assert "skipped, not there: E2 alpha_bar" in lines


def test_a_failure_that_only_other_schedules_show_is_found():
    class Elsewhere(SmallCode):
        def q_sample(self, x_0, t, noise):
            i = self.at(t)
            if self.beta[i] > 0.3:
                return x_0
            return super().q_sample(x_0, t, noise)

    report = check_diffusion(only(Elsewhere, "q_sample")(LINEAR), on_fail=None)
    rows = [row for row in report.failures if row.operation == "q_sample"]
    assert {row.coefficient for row in rows} == {"x_0", "noise"}
    assert all(row.smallest_example.startswith("betas = [0.5]: t = 1") for row in rows)


def test_a_plain_function_may_build_the_like():
    class Plain(SmallCode):
        def from_betas(betas):  # noqa: N805
            return only(SmallCode, "q_sample")(betas)

    assert check_diffusion(only(Plain, "q_sample")(LINEAR)).passed


def test_code_may_decline_longer_steps_but_not_every_step():
    class Short(Fixed):
        def ddim_step(self, x_t, t, s, eps, z, eta):
            if s != t - 1:
                raise NotImplementedError
            return super().ddim_step(x_t, t, s, eps, z, eta)

    assert check_diffusion(Short(LINEAR)).passed

    def none(self, x_t, t, s, eps, z, eta):
        raise NotImplementedError

    (row,) = check_diffusion(one(ddim_step=none), on_fail=None).rows
    assert row.verdict == "raises"


def test_only_the_routes_that_code_takes_are_probed():
    class Routed(Fixed):
        ddim_routes = [(29, 19), (19, 9), (9, -1)]

        def ddim_step(self, x_t, t, s, eps, z, eta):
            assert (t, s) in self.ddim_routes
            return super().ddim_step(x_t, t, min(s + 3, t - 1), eps, z, eta)

    rows = [r for r in check_diffusion(Routed(LINEAR), on_fail=None).failures]
    assert {row.check for row in rows} == {"E18 ddim"}


# ---- bad input ----------------------------------------------------------------------------------


def bad(self, x_0, t, noise):
    raise KeyError("nothing here")


def thrice(self, x_0, t, noise):
    if t == 3:
        raise IndexError("three")
    return SmallCode(LINEAR).q_sample(x_0, t, noise)


def changing(self, x_0, t, noise):
    x_0 *= 0.5
    return x_0


@pytest.mark.parametrize(
    "q_sample, verdict, words",
    [
        (bad, "raises", "KeyError: 'nothing here' (30 of 30 steps)"),
        (thrice, "raises", "IndexError: three (1 of 30 steps)"),
        (changing, "differs", "changes its argument x_0 in place"),
        (lambda self, x_0, t, noise: x_0[:1], "differs", "returns a result of shape (1, 4) for"),
        (lambda self, x_0, t, noise: None, "differs", "returns a result of type NoneType"),
        (lambda self, x_0, t, noise: "text", "differs", "returns a result of type str"),
        (lambda self, x_0, t, noise: [[1], [1, 2]], "differs", "rows of different lengths"),
        (lambda self, x_0, t, noise: x_0 * np.nan, "differs", "NaN at 30 of 30 steps"),
        (lambda self, x_0, t, noise: x_0 + np.inf, "differs", ""),
        (lambda self, x_0: x_0, "raises", "TypeError"),
    ],
)
def test_what_an_operation_does_wrong_is_a_row(q_sample, verdict, words):
    report = check_diffusion(one(q_sample=q_sample), on_fail=None)
    assert any(r.verdict == verdict and words in r.diagnosis for r in report.failures), report
    str(report), report.to_markdown()


def test_ctrl_c_ends_the_check_and_the_object_is_put_back():
    made = one(count=0)

    def q_sample(x_0, t, noise):
        made.count += 1
        raise KeyboardInterrupt

    made.q_sample = q_sample
    with pytest.raises(KeyboardInterrupt):
        check_diffusion(made)
    assert made.count == 0 and made.q_sample is q_sample


@pytest.mark.parametrize(
    "result, words",
    [
        (lambda x: (x, np.zeros(3)), "returns a variance of shape (3,)"),
        (lambda x: (x, x), "depends on the values"),
        (lambda x: (x, "text"), "not real numbers"),
    ],
)
def test_a_bad_pair_of_mean_and_variance_is_a_row(result, words):
    made = one(q_posterior_mean_variance=lambda self, x_0, x_t, t: result(x_0 + x_t))
    report = check_diffusion(made, on_fail=None)
    assert any(words in row.diagnosis for row in report.failures), report


@pytest.mark.parametrize("shape", [(), (2,), (2, 1), (4,), (2, 4), (1, 1)])
def test_variances_broadcast(shape):
    code = SmallCode(LINEAR)

    def posterior(self, x_0, x_t, t):
        mean, variance = code.q_posterior_mean_variance(x_0, x_t, t)
        return mean, np.full(shape, variance)

    assert check_diffusion(one(q_posterior_mean_variance=posterior)).passed


def huber(d, delta):
    return np.where(abs(d) < delta, d * d / 2, delta * abs(d) - delta**2 / 2)


LOSSES = {
    "the sum of squares for their mean": lambda d: np.vdot(d, d),
    "summed over the coordinates, averaged over the batch only": lambda d: np.vdot(d, d) / len(d),
    "summed over the batch, averaged over the coordinates only": lambda d: np.vdot(d, d) / len(d.T),
    "half the mean square": lambda d: np.vdot(d, d) / d.size / 2,
    "half the sum of squares": lambda d: np.vdot(d, d) / 2,
    "half the squared length, averaged over the batch": lambda d: np.vdot(d, d) / len(d) / 2,
    "twice the mean square": lambda d: np.vdot(d, d) / d.size * 2,
    "the mean magnitude (L1) for the mean square": lambda d: abs(d).mean(),
    "the sum of magnitudes (L1) for the mean square": lambda d: abs(d).sum(),
    "the root of the mean square": lambda d: np.vdot(d, d / d.size) ** 0.5,
    "the length of the whole difference (a norm) for the mean square": lambda d: (
        np.vdot(d, d) ** 0.5
    ),
    "the mean length for the mean square": lambda d: np.mean([np.vdot(v, v) ** 0.5 for v in d]),
    "a Huber loss (smooth L1) for the mean square": lambda d: huber(d, 1).mean(),
    "a Huber loss with delta = 0.1 for the mean square": lambda d: huber(d, 0.1).mean(),
    "a smooth L1 loss with beta = 0.1 for the mean square": lambda d: 10 * huber(d, 0.1).mean(),
    "the signed mean: errors cancel": lambda d: d.mean(),
    "the magnitude of the signed mean: errors cancel": lambda d: abs(d.mean()),
    "the square of a signed mean: errors cancel": lambda d: d.mean() ** 2,
    "the square of each row's signed mean: errors cancel": lambda d: np.mean(d.mean(1) ** 2),
    "the square of each coordinate's signed mean: errors cancel": lambda d: np.mean(d.mean(0) ** 2),
    "the sign is turned": lambda d: -np.vdot(d, d) / d.size,
    "the variance of the difference: its mean is taken out": lambda d: np.mean((d - d.mean()) ** 2),
    "the first row only": lambda d: np.mean(d[0] ** 2),
    "the last row only": lambda d: np.mean(d[-1] ** 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_another_loss_is_named(name):
    made = one(loss=lambda self, eps_hat, eps: LOSSES[name](eps_hat - eps))
    (row,) = check_diffusion(made, on_fail=None).failures
    assert row.diagnosis == name


WIDE = np.linspace(1e-3, 0.2, 30)
BAR = np.cumprod(1 - WIDE)
SNR = BAR / (1 - BAR)
WEIGHTS = {
    "snr_t": SNR,
    "1 / snr_t": 1 / SNR,
    "snr_t / (snr_t + 1)": SNR / (SNR + 1),
    "snr_{t-1} - snr_t": np.append(1, SNR[:-1] - SNR[1:]),
    "beta_t / (2 alpha_t (1 - alpha_bar_t))": WIDE / 2 / (1 - WIDE) / (1 - BAR),
    "beta_t": WIDE,
    "sqrt(snr_t)": SNR**0.5,
    **{f"min(snr_t, {k}) / snr_t (min-SNR for eps)": np.minimum(1, k / SNR) for k in (1, 3, 5)},
    **{f"min(snr_t, {k}) / snr_t (min-SNR for eps)": np.minimum(1, k / SNR) for k in (10, 20)},
    "min(snr_t, 5) / (snr_t + 1) (min-SNR for v)": np.minimum(SNR, 5) / (SNR + 1),
    "min(snr_t, 1) (min-SNR for x_0)": np.minimum(SNR, 1),
    **{f"1 / (1 + snr_t)^{gamma} (P2)": (1 - BAR) ** float(gamma) for gamma in ("0.5", "1", "2")},
    **{f"1 / ({k} + snr_t)^1 (P2)": 1 / (float(k) + SNR) for k in ("0.5", "2")},
}


@pytest.mark.parametrize("times", [1, 7])
@pytest.mark.parametrize("name", WEIGHTS)
def test_the_weight_of_a_loss_is_named(name, times):
    class Weighted:
        betas = WIDE
        model = staticmethod(lambda x, t: x)

        def p_losses(self, x_0, t, noise):
            bar = BAR[t].reshape(-1, 1)
            eps = self.model(np.sqrt(bar) * x_0 + np.sqrt(1 - bar) * noise, t)
            return (times * WEIGHTS[name][t] * ((eps - noise) ** 2).mean(1)).mean()

    told = {r.diagnosis for r in check_diffusion(Weighted(), on_fail=None).failures}
    assert told == {f"the wrong SNR weight: {'7 times ' if times > 1 else ''}{name} for 1"}


def test_a_loss_that_is_no_number_is_a_row():
    for loss, verdict in ((lambda self, a, b: a - b, "differs"), (bad, "raises")):
        (row,) = check_diffusion(one(loss=loss), on_fail=None).rows
        assert (row.equation, row.verdict) == ("E15", verdict)


def test_a_builder_that_raises_is_a_row():
    class Broken(SmallCode):
        @classmethod
        def from_betas(cls, betas):
            raise OSError("no disk")

    report = check_diffusion(Broken(LINEAR), on_fail=None)
    assert any(r.operation == "from_betas" and "no disk" in r.diagnosis for r in report.failures)


def test_a_builder_that_leaves_a_step_out_is_a_row():
    class Shorter(only(SmallCode, "q_sample")):
        @classmethod
        def from_betas(cls, betas):
            return cls(np.append(betas, 0.5))

    (row,) = check_diffusion(Shorter(LINEAR), on_fail=None).failures
    assert row[:4] == ("E2", "from_betas", "all", "raises")
    assert row.diagnosis == "from_betas: ValueError: built T = 2 for 1 betas"


def test_what_a_builder_makes_may_lack_an_operation():
    class Bare(only(SmallCode, "q_sample")):
        @classmethod
        def from_betas(cls, betas):
            return one(betas=betas, predict_x0=bad)

    assert check_diffusion(Bare(LINEAR)).passed


def test_a_failure_that_no_drawn_schedule_shows_keeps_its_own_example():
    class Here(only(SmallCode, "q_sample")):
        def q_sample(self, x_0, t, noise):
            return (2 if len(self.beta) == 30 else 1) * super().q_sample(x_0, t, noise)

    row = check_diffusion(Here(LINEAR), on_fail=None).failures[0]
    assert row.smallest_example.startswith("t = ") and row.coefficient == "x_0"


def test_an_adapted_subject_has_its_operations_under_our_names():
    adapted = adapt(one(add_noise=lambda self, x_start, x_noise, timesteps: x_start - x_noise))
    assert np.array_equal(adapted.q_sample(np.ones((2, 3)), 4, np.ones((2, 3))), np.zeros((2, 3)))
    assert adapted.betas is LINEAR
    with pytest.raises(AttributeError, match="^predict_x0$"):
        adapted.predict_x0


@pytest.mark.parametrize(
    "betas, error, words",
    [
        (np.array([0.1, np.nan]), ValueError, "betas must be finite"),
        (np.array([0.1, 1.5]), ValueError, "betas must be above 0 and at most 1, got 1.5"),
        (np.array([-0.1]), ValueError, "betas must be above 0 and at most 1, got -0.1"),
        (np.zeros((2, 2)), ValueError, "betas must have shape"),
        (np.array([]), ValueError, "betas must have shape"),
        (np.array(["a"]), TypeError, "betas must hold real numbers"),
        ([[1], [1, 2]], ValueError, "ragged"),
    ],
)
def test_bad_schedules_are_one_line(betas, error, words):
    with pytest.raises(error, match=words) as caught:
        check_diffusion(one(betas=betas, predict_x0=bad))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "betas, bars, words",
    [
        (LINEAR, [0.9, 0.8], r"must have the shape of betas, got \(2,\) and \(30,\)"),
        (None, [0.9, 0.9], "alphas_cumprod must fall from below 1"),
        (None, [1.0, 0.5, 0.4], None),  # the first is that of the clean signal
        (None, [0.5, 0.0], None),
        (None, [0.5, -0.1], "stay at least 0, with no betas"),
        (None, [1.1, 0.5], "alphas_cumprod must fall from below 1"),
    ],
)
def test_bad_tables_of_alpha_bar_are_one_line(betas, bars, words):
    made = one(betas=betas, alphas_cumprod=np.array(bars), predict_x0=bad)
    if words is None:
        assert "T = 2" in check_diffusion(made, on_fail=None).about
        return
    with pytest.raises(ValueError, match=words) as caught:
        check_diffusion(made)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("subject", [object(), 3, None, "text", [], np.zeros(3), dict])
def test_nothing_recognised_is_one_line(subject):
    with pytest.raises(TypeError, match="nothing is recognised") as caught:
        check_diffusion(subject)
    assert "\n" not in str(caught.value)


class NoArguments:
    def __init__(self, T):
        pass


class Unreadable:
    q_sample = bad

    @property
    def betas(self):
        raise KeyError("no betas")


def test_what_cannot_be_built_or_read_is_one_line():
    with pytest.raises(TypeError, match="^NoArguments is a class and cannot be built without arg"):
        check_diffusion(NoArguments)
    with pytest.raises(TypeError, match="^betas cannot be read: KeyError: 'no betas'$"):
        check_diffusion(Unreadable())


def test_first_step_is_0_or_1():
    with pytest.raises(ValueError, match="first_step must be 0 or 1, got 2"):
        check_diffusion(one(first_step=2, predict_x0=bad))


# ---- the examples -------------------------------------------------------------------------------


def test_the_examples_run():
    page = Path(__file__).parents[2] / "docs" / "conformance.md"
    assert doctest.testfile(str(page), module_relative=False).failed == 0
    assert all(doctest.testmod(module).failed == 0 for module in (checks,))
