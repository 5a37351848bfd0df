"""What the numbers were measured on: processor, BLAS and the kernels it chose, versions."""

import os
import platform
from pathlib import Path

from ddpm_np.experiments.machine import arithmetic, installed

FORCING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def forced() -> str | None:
    """Why these are not the default kernels of NumPy's BLAS, or None."""
    found = [name for name in FORCING if name in os.environ]
    if not found:
        return None
    return (
        f"unset {' and '.join(found)} first, so that NumPy runs the kernels it runs by default: "
        f"env -u {' -u '.join(found)} python -m benchmarks"
    )


def kernel() -> str:
    """The set of kernels in use, such as "Haswell" or "SkylakeX": the speed of matrix products."""
    return str(arithmetic()["kernels"])


def lines() -> list[str]:
    """The machine in a few lines."""
    names = [f"{name} {v}" for name, v in installed("numpy", "torch", "jax").items()]
    system = f"{platform.system()}, Python {platform.python_version()}, {', '.join(names)}"
    found = [
        f"{_processor()}, {os.cpu_count()} cores, of which one is used; {system}.",
        f"NumPy's BLAS is {arithmetic()['BLAS']} with the kernels it chooses by default here, "
        f"{kernel()}.",
    ]
    if "AMD" in _processor():
        found.append(
            "PyTorch's BLAS is MKL, which runs slower kernels on AMD processors than on Intel's. "
            "That is part of the lead over PyTorch in these tables; run them on an Intel "
            "processor to see the other side."
        )
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
