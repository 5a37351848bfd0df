"""Import time, time to the first step and peak memory, each in a process of its own.

``python -m benchmarks.startup NAME`` is one such process. The step is that of the main job.
Compilers start with an empty cache.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

from benchmarks.contenders import BEST, EAGER, JAX

NAMES = {"ours": "ours", "eager": EAGER, "best": BEST, "jax": JAX}
MAKERS = {
    "ours": "benchmarks.ours:our_training",
    "eager": "benchmarks.rivals:eager_training",
    "best": "benchmarks.rivals:best_training",
    "jax": "benchmarks.jax_rival:jax_training",
}


def measure_all() -> dict[str, dict[str, float]]:
    """What each contender that is installed takes to start, by its name."""
    from benchmarks.rivals import cannot_compile  # not above: it loads PyTorch

    absent = {"best": cannot_compile() is not None, "jax": find_spec("jax") is None}
    repeats = {"best": 1}  # its compiler takes long
    return {
        shown: measure(name, repeats.get(name, 3))
        for name, shown in NAMES.items()
        if not absent.get(name)
    }


def measure(name: str, repeats: int) -> dict[str, float]:
    """The medians of what it takes to import, to end the first step, and of the peak memory."""
    runs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            own = {"OPENBLAS_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": cache}
            command = [sys.executable, "-m", "benchmarks.startup", name]
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env={**os.environ, **own}
            )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: round(statistics.median(run[key] for run in runs), 6) for key in runs[0]}


def _child(name: str) -> dict[str, float]:
    start = time.perf_counter()
    make = resolve_name(MAKERS[name])
    if name in ("eager", "best"):
        import torch

        torch.set_num_threads(1)
    imported = time.perf_counter()
    import numpy as np

    from ddpm_np.experiments.experiment import ENSEMBLE

    schedule = ENSEMBLE.schedule()
    x_0 = (
        ENSEMBLE.distribution()
        .sample(ENSEMBLE.batch_size, rng=np.random.default_rng(0))
        .astype(np.float32)
    )
    make(ENSEMBLE.network(), schedule, x_0)()
    end = time.perf_counter()
    return {
        "import, s": imported - start,
        "first step, s": end - start,
        "peak memory, MB": _peak_memory(),
    }


def _peak_memory() -> float:
    """In MB. Not Linux's ru_maxrss, which a new process takes over from the one that started it."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


if __name__ == "__main__":
    print(json.dumps(_child(sys.argv[1])))
