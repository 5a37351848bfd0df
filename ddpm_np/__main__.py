"""``python -m ddpm_np``: see :mod:`ddpm_np.cli`."""

import os
import sys

# One BLAS thread, unless the caller says otherwise. The products are small, a second thread that
# shares its core makes them many times slower, and one thread gives the same bits everywhere.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ddpm_np.cli import main  # noqa: E402

sys.exit(main())
