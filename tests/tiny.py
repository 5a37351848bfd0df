"""The experiments made small: ``python tests/tiny.py run`` is ``run`` with tiny networks."""

import signal
import sys
from dataclasses import replace

from ddpm_np import _figure_style
from ddpm_np.experiments import experiment as experiments
from ddpm_np.experiments import folder as runs

SMALL = {
    "hidden": (6,),
    "batch_size": 8,
    "dim": 6,
    "n_frequencies": 2,
    "T": 8,
    "samples": 20,
    "steps": 30,
}
TINY = {n: replace(experiments.EXPERIMENTS[n], **SMALL) for n in experiments.BY_DEFAULT}

if __name__ == "__main__":
    from ddpm_np.cli import main

    # Also where the tests were started with the interrupt ignored, as in the background of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _figure_style.available = lambda: False  # pictures take longer than all the rest
    experiments.EXPERIMENTS.update(TINY)
    runs.CHECKPOINT_EVERY = 700
    sys.exit(main())
