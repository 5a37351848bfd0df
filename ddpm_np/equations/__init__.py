"""The register: every equation and every section of the notes, once.

One record per equation E1 to E33 (:data:`EQUATIONS`): its title and one sentence in English and in
Chinese, the section of the notes, its formulas in the notation of
:mod:`ddpm_np.equations.formula`, the functions that compute it, the demo that shows it, and how it
is known. One record per section of the notes (:data:`SECTIONS`), so that none is without a home.

The register imports nothing that it describes: functions are named, and looked up by who needs
them. From it are made the table of the README (``python -m ddpm_np.equations`` rewrites it), the
page ``python -m ddpm_np companion``, and pytest's markers.
:mod:`ddpm_np.proof.formulas` finds each formula equal to the function beside it.

>>> EQUATIONS["E3"].formulas[0].text
'Sigma_t = (1 - beta_t) Sigma_{t-1} + beta_t I'
"""

from __future__ import annotations

from ddpm_np.equations.chain import FORWARD, POSTERIOR
from ddpm_np.equations.closed_form import CLOSED_FORM
from ddpm_np.equations.learning import LEARNING
from ddpm_np.equations.record import Equation, Formula, Section
from ddpm_np.equations.sections import SECTIONS as _SECTIONS

__all__ = ["EQUATIONS", "SECTIONS", "Equation", "Formula", "Section", "equations_of"]

EQUATIONS: dict[str, Equation] = {
    equation.number: equation for equation in (*FORWARD, *POSTERIOR, *LEARNING, *CLOSED_FORM)
}
"""The equations by number, in order."""

SECTIONS: dict[str, Section] = {section.place: section for section in _SECTIONS}
"""The sections by the place of their heading, in the order of the notes."""


def equations_of(section: str) -> list[Equation]:
    """The equations that stand in the section with its heading at this place."""
    return [equation for equation in EQUATIONS.values() if equation.section == section]
