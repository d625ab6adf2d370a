"""How this installation computes: PyTorch's `torch.__config__`, as far as it applies."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from . import cuda, kernels
from .kernels.compiler import cache

__all__ = ["parallel_info", "show"]

_LIBRARIES = ["numpy", "numba", "llvmlite", "safetensors", "numba-cuda", "cupy-cuda12x"]
_PACKAGE = __name__.partition(".")[0]


def show() -> str:
    """Says which versions, folders, threads and devices are used: a name and a value a line."""
    facts = {
        "tinygrad_opt": f"{sys.modules[_PACKAGE].__version__}, in {Path(__file__).parent}",
        "Python": f"{platform.python_version()}, {sys.executable}",
        "system": f"{platform.platform()}, {os.cpu_count()} processors",
        **{library: _version(library) for library in _LIBRARIES},
        "threads": "{} for large kernels; from {}".format(*kernels.pool.size_and_reason()),
        "kernel cache": cache.folder(),
        "CUDA devices": cuda.device_count(),
    }
    return _lines(facts, 14)


def parallel_info() -> str:
    """Says how many threads kernels and products use, and what was measured of them here.

    How long it takes to wake a thread is measured whenever one is woken. A job that is shorter than
    what pays for it is done by its caller alone, unless a thread is awake anyway.
    """
    return _lines(
        kernels.pool.info() | {"elements from which updates are shared": kernels.threads.threshold},
        64,
    )


def _lines(facts: dict[str, Any], width: int) -> str:
    return "\n".join(f"{name:<{width}}{value}" for name, value in facts.items())


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
