"""``python -m ddpm_np.demos [docs/gallery.md]`` writes the demos' sections into the gallery."""

import sys
from pathlib import Path

from ddpm_np.demos import gallery

path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/gallery.md")
text = path.read_text(encoding="utf-8")
path.write_text(text[: text.index("## ")] + gallery(), encoding="utf-8")
