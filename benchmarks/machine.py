"""What the numbers were measured on: processor, BLAS and the kernels it chose, versions."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

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


def blas() -> dict[str, Any]:
    """What threadpoolctl knows of the BLAS that NumPy loaded."""
    from threadpoolctl import threadpool_info

    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    ours = [info for info in libraries if "numpy" in info["filepath"]] or libraries
    return ours[0] if ours else {"internal_api": "unknown"}


def kernel() -> str:
    """The set of kernels in use, such as "Haswell" or "SkylakeX": the speed of matrix products."""
    return str(blas().get("architecture", "unknown"))


def lines() -> list[str]:
    """The machine in a few lines."""
    library = blas()
    names = [f"{name} {_version(name)}" for name in ("numpy", "torch", "jax") if _version(name)]
    system = f"{platform.system()}, Python {platform.python_version()}, {', '.join(names)}"
    found = [
        f"{_processor()}, {os.cpu_count()} cores, of which one is used; {system}.",
        f"NumPy's BLAS is {library['internal_api']} {library.get('version', '')} with the "
        f"kernels it chooses by default here, {kernel()}.",
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


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
