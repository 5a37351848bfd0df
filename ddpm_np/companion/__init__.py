"""The companion page: the notes' formulas on the left, the code that runs on the right.

``python -m ddpm_np companion --out FILE`` writes one HTML file that needs no network and no script.
It goes through the five notes section by section. Everything on it is taken from the register
(:mod:`ddpm_np.equations`), from the errata and from the code when it is built; proofs are run and
formulas are compared with their functions, and a formula that differs stops the build.

check: formulas against functions. sources: a function as HTML. content: what the page says.
page: the file itself.
"""

from __future__ import annotations

from ddpm_np.companion.page import MissingPackages, write_page

__all__ = ["MissingPackages", "write_page"]
