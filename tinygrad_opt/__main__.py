"""`python -m tinygrad_opt` prints what a bug report needs: versions, threads, folders, GPUs."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import numba

from . import __version__, cuda
from .kernels.compiler import cache

LIBRARIES = ["numpy", "numba", "llvmlite", "safetensors", "numba-cuda", "cupy-cuda12x"]


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


def report() -> str:
    """One line each: name, then value."""
    facts = {
        "tinygrad_opt": f"{__version__}, in {Path(__file__).parent}",
        "Python": f"{platform.python_version()}, {sys.executable}",
        "system": f"{platform.platform()}, {os.cpu_count()} processors",
        **{library: _version(library) for library in LIBRARIES},
        "threads": f"{numba.get_num_threads()} for large kernels",
        "kernel cache": str(cache.folder()),
        "CUDA devices": str(cuda.device_count()),
    }
    return "\n".join(f"{name:<14}{value}" for name, value in facts.items())


if __name__ == "__main__":
    print(report())
