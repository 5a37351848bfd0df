"""``python -m ddpm_np.equations [README.md]``: write the table of equations into the README."""

import sys
from pathlib import Path

from ddpm_np.equations.table import rewritten

readme = Path(sys.argv[1] if len(sys.argv) > 1 else "README.md")
try:
    readme.write_text(rewritten(readme.read_text(encoding="utf-8")), encoding="utf-8")
except (OSError, ValueError) as error:
    sys.exit(f"error: {readme}: {error}")
