"""``python -m ddpm_np.equations [FILE ...]``: write the tables into the documents."""

import sys

from ddpm_np.equations.table import DOCUMENTS, ROOT, rewritten

for name in sys.argv[1:] or DOCUMENTS:
    try:
        text = (ROOT / name).read_text(encoding="utf-8")
        (ROOT / name).write_text(rewritten(text, name), encoding="utf-8")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {name}: {error}")
