"""Failures on schedules that Hypothesis draws, shrunk to the smallest one."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from ddpm_np._checks import Array
from ddpm_np.conformance.arrays import contained, from_numpy
from ddpm_np.conformance.calls import Caller
from ddpm_np.conformance.diagnosis import rows_of
from ddpm_np.conformance.probe import measure
from ddpm_np.conformance.report import Row
from ddpm_np.conformance.strategies import schedules
from ddpm_np.conformance.subject import Subject

_QUIET: dict[str, Any] = {
    "derandomize": True,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


class Drawn:
    """One operation of the subjects that ``make`` builds for drawn schedules."""

    def __init__(self, view: Subject, make: Callable[[Any], Any], operation: str) -> None:
        self.view, self.make, self.operation = view, make, operation
        # Betas as they are met with; round ones first, so that these are what shrinking leaves.
        round_ones = st.sampled_from([0.5, 0.25, 0.1, 0.02, 0.001, 0.0001])
        few = st.lists(round_ones, min_size=1, max_size=4)
        many = schedules(low=1e-4, high=0.9, max_T=12).map(lambda schedule: schedule.beta[1:])
        self.betas = st.one_of(few, many).map(np.asarray)

    def rows(self, betas: Array, *, explain: bool = False) -> list[Row]:
        """The rows on one schedule."""
        own = from_numpy(np.asarray(betas, dtype=self.view.dtype), self.view.library)
        with contained():
            made = self.make(own)
        view = Subject(made)
        if view.T != len(betas):
            raise ValueError(f"built T = {view.T} for {len(betas)} betas")
        if self.operation not in view.methods:
            return []
        caller = Caller(view, self.operation)
        return rows_of(caller, measure(caller), explain=explain)

    def failing(self) -> list[Row]:
        """For each coefficient that fails, its row on the longest schedule that showed it."""
        found: dict[tuple[Any, ...], Array] = {}

        @settings(max_examples=10, phases=[Phase.generate], **_QUIET)
        @given(self.betas)
        def look(betas: Array) -> None:
            for row in self.rows(betas):
                if row.fails and len(betas) > len(found.get(row[:3], ())):
                    found[row[:3]] = betas

        look()
        return [
            row
            for key, betas in found.items()
            for row in self.rows(betas, explain=True)
            if row[:3] == key
        ]

    def smallest(self, row: Row) -> str:
        """The smallest schedule on which the row fails, and how; else what the row says already."""

        def on(betas: Array) -> list[Row]:
            return [r for r in self.rows(betas) if r[:3] == row[:3] and r.fails]

        how = settings(max_examples=60, **_QUIET)
        try:
            betas = find(self.betas, lambda betas: bool(on(betas)), settings=how)
        except NoSuchExample:
            return row.smallest_example
        said = [r.smallest_example for r in on(betas)[:1] if r.smallest_example]
        text = f": {said[0]}" if said else ""
        return f"betas = {[float(f'{b:.4g}') for b in betas]}{text}"
