"""Rules that draw random numbers (`kernels.draws`): where an optimizer has their seeds and places.

The seed is a hyper-parameter, `seed`, so state dicts hold it; None is replaced by a number from the
default generator, at the first step. An element's place is counted through all groups, in the order
of `state_dict()`: cutting a group in two changes nothing, and a group that is added later neither.
(Where a group mixes dtypes or devices, those of one kind are counted after the other.)
"""

from __future__ import annotations

from typing import Any

from ..arrays import random
from ..arrays.size import WHOLE
from ..kernels import UpdateRule

__all__ = ["check_seed", "prepare"]


def check_seed(name: str, rule: UpdateRule, group: dict[str, Any]) -> None:
    """Raise ValueError where a rule draws, and the group has no seed for it, or 16-bit states."""
    if not rule.draws:
        return
    what = f"{name}: the rule {rule.name} draws {', '.join(rule.draws)}"
    if "seed" not in group:
        raise ValueError(
            f"{what}: add `seed` to the defaults, a whole number or None for one from the default "
            "generator"
        )
    if group.get("state_dtype"):
        raise ValueError(f"{what}, and keeps its states in full: leave out state_dtype")
    seed = group["seed"]
    if seed is None:
        return
    if not isinstance(seed, WHOLE) or not 0 <= seed < 2**64:
        raise ValueError(f"{name}: seed must be None or a whole number of 64 bits, got {seed!r}")
    group["seed"] = int(seed)  # in state dicts, too


def prepare(optimizer: Any, number: int) -> None:
    """Tell the FlatGroups of group `number`, whose rule draws, their seed and their places."""
    group = optimizer.param_groups[number]
    check_seed(type(optimizer).__name__, optimizer.rule_for(group), group)
    if group["seed"] is None:
        group["seed"] = random.current().child_seed()
    place = sum(flat.offsets[-1] for flats in optimizer._flat[:number] for flat in flats)
    for flat in optimizer._flat[number]:
        flat.counter[:] = group["seed"], place
        place += flat.offsets[-1]
