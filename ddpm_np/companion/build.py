"""Writing what the companion makes: a page or a notebook, anywhere or in docs/."""

import json
import os
from pathlib import Path

from ddpm_np.companion.notebook import notebook
from ddpm_np.companion.page import MissingPackages as MissingPackages
from ddpm_np.companion.page import page
from ddpm_np.equations.table import ROOT

MADE = "docs/companion.html", "docs/derivation.ipynb"


def write(out: Path) -> None:
    """Build the page, or for a name that ends in .ipynb the notebook, and write it to a new file.

    FileExistsError if there is one already, before anything is built; OSError if it cannot be
    written; MissingPackages without the packages of the extra "docs", or without the tests, which
    the page shows.
    """
    if out.exists():
        raise FileExistsError(17, "the file exists already", str(out))
    if not out.parent.is_dir():
        raise FileNotFoundError(2, "no such folder", str(out.parent))
    text = made(out.name)
    with open(out, "x", encoding="utf-8") as file:
        file.write(text)


def made(name: str) -> str:
    """The text of a page or of a notebook."""
    try:
        if not name.endswith(".ipynb"):
            return page()
        return json.dumps(notebook(), ensure_ascii=False, indent=1) + "\n"
    except ImportError as error:
        why = f"the package {error.name} is missing; pip install '.[docs]' installs it"
        raise MissingPackages(why) from None


def rebuild() -> None:
    """Put the page and the notebook of the repository in the place of the old ones."""
    for name in MADE:
        new = ROOT / f"{name}.new"
        new.write_text(made(name), encoding="utf-8")
        os.replace(new, ROOT / name)
