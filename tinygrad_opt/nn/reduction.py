"""What a loss does with one value per element: mean, sum, or nothing."""

from __future__ import annotations

from typing import Any

from .. import functions, ops

__all__ = ["check_reduction", "reduced"]


def check_reduction(reduction: str) -> None:
    """Raise ValueError for anything but "mean", "sum" and "none"."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'"
        )


def reduced(loss: Any, reduction: str) -> Any:
    """The loss per element, reduced as asked."""
    check_reduction(reduction)
    if reduction == "mean":
        return functions.mean(loss)
    return ops.sum(loss) if reduction == "sum" else loss
