"""Which equations does a diffusion code keep, to how many ulp, and where does it depart?

:func:`check_diffusion` probes any object that has a schedule and some of the usual operations, and
reports on each coefficient; :func:`adapt` recognises other names for them, and
:func:`parametrize_with_checks` makes pytest's tests of it. What is worth comparing, and how to read
the report, is in docs/conformance.md. :mod:`ddpm_np.conformance.strategies`, which needs
Hypothesis, has the strategies and the comparison that this package's own tests are made of.
"""

from ddpm_np.conformance.checks import ConformanceError, ConformanceWarning, adapt, check_diffusion
from ddpm_np.conformance.pytest_checks import parametrize_with_checks
from ddpm_np.conformance.report import Output, Report, Row

__all__ = [
    "ConformanceError",
    "ConformanceWarning",
    "Output",
    "Report",
    "Row",
    "adapt",
    "check_diffusion",
    "parametrize_with_checks",
]
