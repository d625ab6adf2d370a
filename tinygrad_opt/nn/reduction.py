"""What the losses share: one device for all, and mean, sum or nothing at the end."""

from __future__ import annotations

from typing import Any

from .. import functions, ops
from .._warn import warn_caller
from ..backend import device_of

__all__ = ["check_devices", "check_reduction", "chosen_reduction", "reduced"]


def check_devices(name: str, x: Any, index: Any) -> None:
    """Raise RuntimeError unless two raw arrays lie on the same device.

    For integers that operations take as constants: the operations themselves do not look at them.
    """
    if type(x) is type(index):
        return  # NumPy and NumPy: the usual case, decided at once
    if device_of(x) != device_of(index):
        raise RuntimeError(
            f"{name}: Expected all tensors to be on the same device, but found {device_of(x)} and "
            f"{device_of(index)}; move one of them with .to(device)"
        )


def check_reduction(reduction: str) -> None:
    """Raise ValueError for anything but "mean", "sum" and "none"."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"{reduction} is not a valid value for reduction: use 'mean', 'sum' or 'none'"
        )


def chosen_reduction(size_average: Any, reduce: Any, reduction: str) -> str:
    """`reduction`, unless one of the arguments that it replaced is given: these warn."""
    if size_average is None and reduce is None:
        return reduction
    each = reduce is not None and not reduce
    total = size_average is not None and not size_average
    meant = "none" if each else "sum" if total else "mean"
    warn_caller(
        f"size_average and reduce args will be deprecated, please use reduction={meant!r} instead."
    )
    return meant


def reduced(loss: Any, reduction: str) -> Any:
    """The loss per element, reduced as asked."""
    check_reduction(reduction)
    if reduction == "mean":
        return functions.mean(loss)
    return ops.sum(loss) if reduction == "sum" else loss
