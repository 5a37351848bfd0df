"""parametrize_with_checks: ids, skips, strict xfails."""

from pathlib import Path

import pytest
from small_code import SmallCode

from ddpm_np.conformance import ConformanceError, parametrize_with_checks
from ddpm_np.schedule import Schedule

HERE = Path(__file__).parents[1]
pytest_plugins = ["pytester"]


class Quick(SmallCode):
    from_betas = None
    name = "quick"


@parametrize_with_checks([Quick(Schedule.linear(5).beta[1:])])
def test_it_decorates_a_test(subject, check):
    check(subject)


FILE = """
import sys
sys.path.insert(0, {here!r})
from small_code import SmallCode
from ddpm_np.conformance import parametrize_with_checks
from ddpm_np.schedule import Schedule

class Labml(SmallCode):
    name, from_betas, ddim_step = "labml", None, None
    def reverse_step(self, x_t, t, eps, z):
        i = self.at(t)
        mean = (x_t - self.beta[i] / self.noise[i] ** 0.5 * eps) / self.alpha[i] ** 0.5
        return mean + self.beta[i] ** 0.5 * z

@parametrize_with_checks(
    [Labml(Schedule.linear(5).beta[1:])], expected_failed_checks=lambda subject: {expected})
def test_diffusion({arguments}):
    {call}
"""


def outcomes(pytester, expected, arguments="subject, check", call="check(subject)"):
    made = FILE.format(here=str(HERE), expected=expected, arguments=arguments, call=call)
    pytester.makepyfile(made)
    return pytester.runpytest_inprocess("-v", "-rA", "-p", "no:cacheprovider")


def test_ids_skips_and_failures(pytester):
    result = outcomes(pytester, "{}")
    result.assert_outcomes(passed=5, failed=1, skipped=2)
    result.stdout.fnmatch_lines(["*labml: E17 step*FAILED*"])
    result.stdout.fnmatch_lines(["*noise at the last step*"])


def test_an_expected_failure_is_an_xfail(pytester):
    result = outcomes(pytester, "{'E17 step': 'adds noise at the last step'}")
    result.assert_outcomes(passed=5, xfailed=1, skipped=2)
    result.stdout.fnmatch_lines(["*adds noise at the last step*"])


def test_an_expected_failure_that_holds_fails(pytester):
    result = outcomes(pytester, "{'E17 step': 'why', 'E6 q_sample': 'why not'}")
    result.assert_outcomes(passed=4, xfailed=1, failed=1, skipped=2)
    result.stdout.fnmatch_lines(["*XPASS(strict)*why not*"])


def test_a_test_may_take_the_check_alone(pytester):
    outcomes(pytester, "{'E17 step': ''}", "check", "check()").assert_outcomes(
        passed=5, xfailed=1, skipped=2
    )


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="subjects must be a list"):
        parametrize_with_checks(Quick(Schedule.linear(5).beta[1:]))
    with pytest.raises(TypeError, match="expected_failed_checks must be a callable"):
        parametrize_with_checks([], expected_failed_checks={"E17": ""})


def test_what_is_not_recognised_fails_alone(pytester):
    more = "[object(), {'betas': [0.1, 0.2]}, Labml(Schedule.linear(5).beta[1:])]"
    made = FILE.format(here=str(HERE), expected="{}", arguments="check", call="check()")
    pytester.makepyfile(made.replace("[Labml(Schedule.linear(5).beta[1:])]", more))
    result = pytester.runpytest_inprocess("-v", "-rA", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=5, failed=3, skipped=2)
    result.stdout.fnmatch_lines(
        ["*object: recognised*FAILED*", "*dict: recognised*FAILED*", "*recognised in object*"]
    )
    result.stdout.fnmatch_lines(["*no operation is recognised in SimpleNamespace*"])


@pytest.mark.parametrize("raised", ["SystemExit('bye')", "GeneratorExit('bye')", "Skipped('bye')"])
def test_what_is_no_exception_is_a_failure_of_its_check(raised):
    class Raising(SmallCode):
        from_betas = None

        def q_sample(self, x_0, t, noise):
            raise eval(raised, {"Skipped": pytest.skip.Exception})

    @parametrize_with_checks([Raising(Schedule.linear(5).beta[1:])])
    def marked(check):
        pass

    checks = {param.id: param.values[0] for param in marked.pytestmark[0].args[1]}
    with pytest.raises(
        ConformanceError, match=rf"{raised.partition('(')[0]}: bye \(5 of 5 steps\)"
    ):
        checks["Raising: E6 q_sample"]()
    checks["Raising: E13 predict_x0"]()
