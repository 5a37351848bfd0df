"""What can change the last digits of a run: versions, the BLAS, its kernels and its threads."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ddpm_np.learning.threads import one_thread


def versions() -> dict[str, str]:
    """The versions of everything that can change a number or a picture."""
    found = {"Python": platform.python_version()}
    for name in ("ddpm_np", "numpy", "scipy", "matplotlib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # not installed, or run from a folder without installation
            continue
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {**found, "machine": machine}


def arithmetic() -> dict[str, Any]:
    """What the bits of a matrix product depend on, as far as threadpoolctl can tell."""
    found: dict[str, Any] = {"BLAS": "unknown", "kernels": "unknown", "threads": "unknown"}
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return found
    with one_thread():  # as while training
        for info in threadpool_info():
            if info["user_api"] == "blas" and "numpy" in info["filepath"]:
                found["BLAS"] = f"{info['internal_api']} {info['version']}"
                found["kernels"], found["threads"] = info.get("architecture"), info["num_threads"]
    return found
