"""The register: every equation and every section of the notes, once.

One record per equation E1 to E33 (:data:`EQUATIONS`, from equations.txt): its title and one
sentence in English and in Chinese, the section of the notes, the functions that compute it, the
demo that shows it, and how it is known. Its formulas are read from the docstrings of its
functions (:mod:`ddpm_np.equations.docstrings`). One record per section of the notes
(:data:`SECTIONS`, from sections.txt), so that none is without a home.

The register imports nothing that it describes: functions are named, and looked up by who needs
them. From it are made the table of the README (``python -m ddpm_np.equations`` rewrites it), the
page ``python -m ddpm_np companion``, and pytest's markers.
:mod:`ddpm_np.proof.theorems` finds each formula equal to what its function returns.

>>> EQUATIONS["E3"].formulas[0].text
'Sigma_t = (1 - beta_t) Sigma_{t-1} + beta_t I'
"""

from ddpm_np.equations.docstrings import Formula, formulas, symbol_of
from ddpm_np.equations.record import Equation, Section, read_equations, read_sections

__all__ = [
    "EQUATIONS",
    "SECTIONS",
    "Equation",
    "Formula",
    "Section",
    "equations_of",
    "formulas",
    "symbol_of",
]

EQUATIONS = {equation.number: equation for equation in read_equations()}
"""The equations by number, in order."""

SECTIONS = {section.place: section for section in read_sections()}
"""The sections by the place of their heading, in the order of the notes."""


def equations_of(section: str) -> list[Equation]:
    """The equations that stand in the section with its heading at this place."""
    return [equation for equation in EQUATIONS.values() if equation.section == section]
