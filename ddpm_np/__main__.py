"""``python -m ddpm_np``: see :mod:`ddpm_np.cli`."""

import sys

from ddpm_np.cli import main

sys.exit(main())
