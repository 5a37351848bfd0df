"""What the numbers were measured on: processor, BLAS and the kernel it chose, versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

__all__ = ["blas", "kernel", "lines"]


def blas() -> dict[str, Any]:
    """What threadpoolctl knows of the BLAS that NumPy loaded."""
    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    ours = [info for info in libraries if "numpy" in info["filepath"]] or libraries
    return ours[0] if ours else {"internal_api": "unknown"}


def kernel() -> str:
    """The set of kernels in use, such as "Haswell" or "SkylakeX"; decides the speed of every matrix product."""
    return str(blas().get("architecture", "unknown"))


def lines() -> list[str]:
    """The machine in a few lines."""
    library = blas()
    versions = [f"{name} {_version(name)}" for name in ("numpy", "torch", "jax") if _version(name)]
    return [
        f"{_processor()}, {os.cpu_count()} cores; {platform.system()}, Python {platform.python_version()}, {', '.join(versions)}",
        f"NumPy's BLAS: {library['internal_api']} {library.get('version', '')}, kernel {kernel()}",
    ]


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
