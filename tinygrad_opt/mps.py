"""Apple's GPU, by PyTorch's names: there is none to use here."""

from __future__ import annotations

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "seed", "synchronize"]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Nothing to seed."""


def seed() -> None:
    """Nothing to seed."""


def empty_cache() -> None:
    """Nothing to give back."""


def synchronize() -> None:
    """Nothing to wait for."""
