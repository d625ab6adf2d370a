"""Whether there is a GPU, and waiting for it: the part of `torch.cuda` that training loops use."""

from .arrays.device import cupy, is_available, synchronize

__all__ = ["device_count", "is_available", "synchronize"]


def device_count() -> int:
    """The number of CUDA devices that tensors can live on; 0 without CuPy or without a GPU."""
    return int(cupy().cuda.runtime.getDeviceCount()) if is_available() else 0
