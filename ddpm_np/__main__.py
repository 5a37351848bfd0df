"""``python -m ddpm_np``: see :mod:`ddpm_np.cli`."""

import os
import sys

# One BLAS thread, unless the caller says otherwise: the products are small, a second thread that has to share its core with anything
# else makes them many times slower, and one thread gives the same bits on any number of cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ddpm_np.cli import main  # noqa: E402

sys.exit(main())
