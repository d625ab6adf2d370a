"""What is raised for a file that cannot be read."""

from __future__ import annotations

__all__ = ["CheckpointError"]


class CheckpointError(RuntimeError):
    """A file that is damaged, cut off, or not what it claims to be."""


CheckpointError.__module__ = __name__.rpartition(".")[0]
