"""What collective calls raise; the names are PyTorch's."""

from __future__ import annotations

__all__ = ["DistBackendError", "DistError", "DistNetworkError"]


class DistError(RuntimeError):
    """Something went wrong between processes."""


class DistBackendError(DistError):
    """A rank died or stopped, the ranks are at different calls, or a wait took too long."""


class DistNetworkError(DistError):
    """The processes of a job could not be connected."""
