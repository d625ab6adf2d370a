"""Cycling momentum against the learning rate, for CyclicLR and OneCycleLR.

"Momentum" is the setting of that name, or betas[0] of an optimizer that has betas.
"""

from __future__ import annotations

from typing import Any

from ..optimizer import Optimizer
from ..rates import copied, number, per_group, put


def uses_beta1(owner: str, optimizer: Optimizer) -> bool:
    """Whether momentum is betas[0]; ValueError where the optimizer has neither."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError(
            f"{owner}: optimizer must support momentum or beta1 with `cycle_momentum` option "
            f"enabled, and {type(optimizer).__name__} has neither; pass cycle_momentum=False"
        )
    return "betas" in optimizer.defaults


def note_limits(optimizer: Optimizer, base: Any, peak: Any, fresh: bool) -> tuple[list, list]:
    """(base_momentum, max_momentum) of every group; a fresh scheduler notes them in the groups."""
    bases = per_group("base_momentum", optimizer, base)
    peaks = per_group("max_momentum", optimizer, peak)
    if fresh:
        for group, low, high in zip(optimizer.param_groups, bases, peaks, strict=True):
            group["max_momentum"], group["base_momentum"] = copied(high), copied(low)
    return bases, peaks


def write_momentum(group: dict[str, Any], beta1: bool, value: Any) -> None:
    """Put a momentum, a number or a Tensor, into a group."""
    if beta1:
        group["betas"] = (number(value), *group["betas"][1:])
    else:
        put(group, "momentum", number(value))
