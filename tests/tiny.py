"""The main job made small: ``python tests/tiny.py run`` is ``python -m ddpm_np run`` with networks that train in a second."""

from __future__ import annotations

import sys
from dataclasses import replace

from ddpm_np.experiments import experiment as experiments
from ddpm_np.experiments import folder as runs

SMALL = {"hidden": (6,), "batch_size": 8, "dim": 6, "n_frequencies": 2, "T": 8, "samples": 20, "steps": 30}
TINY = {name: replace(experiment, **SMALL) for name, experiment in experiments.EXPERIMENTS.items()}

if __name__ == "__main__":
    from ddpm_np.cli import main

    experiments.EXPERIMENTS.update(TINY)
    runs.CHECKPOINT_EVERY = 700
    sys.exit(main())
