"""What can change the last digits of a run: versions, the BLAS, its kernels and its threads."""

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ddpm_np.learning.threads import one_thread


def versions() -> dict[str, str]:
    """The versions of everything that can change a number or a picture."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    packages = installed("ddpm_np", "numpy", "scipy", "matplotlib")
    return {"Python": platform.python_version(), **packages, "machine": machine}


def installed(*names: str) -> dict[str, str]:
    """The versions of these packages; who is run from a folder without installation has none."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


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
