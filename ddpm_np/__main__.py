"""``python -m ddpm_np`` and the command ``ddpm-np``: see :mod:`ddpm_np.cli`."""

import os
import sys

from ddpm_np.learning.threads import CHOSEN

# One BLAS thread, unless the caller says otherwise. The matrix products are small: a second thread
# that shares its core with other work makes them many times slower, and one thread gives the same
# bits on any number of cores. NumPy's BLAS reads these when it is loaded.
if not any(name in os.environ for name in CHOSEN):
    os.environ.update(dict.fromkeys(CHOSEN, "1"))

from ddpm_np.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
