"""What `.grad` of a parameter is, without holding it.

Who holds the gradient that lies in an optimizer's buffer, or the memory of a parameter, keeps the
optimizer from writing to it or moving it (`optim/ownership.py`). So a graph notes where it lies.
"""

from __future__ import annotations

from typing import Any

__all__ = ["HOME", "is_as_noted", "note", "put"]

HOME = object()  # in the parameter's place in its optimizer's buffer


def note(leaf: Any, grad: Any) -> Any:
    """What stands for the gradient `grad` of a leaf."""
    home = leaf._home
    return HOME if home is not None and grad is home.tensor else grad


def put(leaf: Any, noted: Any) -> None:
    """Let `.grad` be what was noted."""
    leaf._grad = leaf._home.tensor if noted is HOME else noted


def is_as_noted(leaf: Any, noted: Any) -> bool:
    """Whether `.grad` is what was noted."""
    if noted is HOME:
        return leaf._home is not None and leaf._grad is leaf._home.tensor
    return leaf._grad is noted
