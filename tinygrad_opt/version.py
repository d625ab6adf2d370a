"""Versions, as `torch.version`: this package's, CUDA's where there is a GPU, None for the rest."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["cuda", "debug", "git_version", "hip", "xpu"]  # noqa: F822  (cuda: asked for below)

debug = False
git_version = ""
hip: str | None = None
xpu: str | None = None


def __getattr__(name: str) -> Any:
    if name == "cuda":
        return _cuda()
    if name == "__version__":
        return sys.modules[__package__ or ""].__version__
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _cuda() -> str | None:
    from .arrays.device import cupy, is_available

    if not is_available():
        return None
    number = int(cupy().cuda.runtime.runtimeGetVersion())
    return f"{number // 1000}.{number % 1000 // 10}"
