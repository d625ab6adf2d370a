"""`torch.backends.cuda`: flags of products and attention on a GPU, kept and without effect.

There is one kernel of attention, which PyTorch would call the mathematical one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

from ..arrays.device import is_available

__all__ = [
    "cudnn_sdp_enabled", "enable_cudnn_sdp", "enable_flash_sdp", "enable_math_sdp",
    "enable_mem_efficient_sdp", "flash_sdp_enabled", "is_built", "math_sdp_enabled", "matmul",
    "mem_efficient_sdp_enabled", "preferred_linalg_library", "sdp_kernel",
]  # fmt: skip

matmul = SimpleNamespace(
    allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True, allow_fp16_accumulation=False,
    fp32_precision="none",
)  # fmt: skip


def is_built() -> bool:
    """Whether there is a GPU to use."""
    return is_available()


def preferred_linalg_library(backend: str | None = None) -> str:
    """NumPy's LAPACK, or CuPy's: "default"."""
    return "default"


def enable_flash_sdp(enabled: bool) -> None:
    """Nothing: there is one kernel of attention."""


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Nothing: there is one kernel of attention."""


def enable_math_sdp(enabled: bool) -> None:
    """Nothing: there is one kernel of attention."""


def enable_cudnn_sdp(enabled: bool) -> None:
    """Nothing: there is one kernel of attention."""


def flash_sdp_enabled() -> bool:
    """False."""
    return False


def mem_efficient_sdp_enabled() -> bool:
    """False."""
    return False


def math_sdp_enabled() -> bool:
    """True."""
    return True


def cudnn_sdp_enabled() -> bool:
    """False."""
    return False


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:  # fmt: skip
    """A `with` block for a choice of kernels of attention: there is one."""
    yield
