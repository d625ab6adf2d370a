"""Learning rates as numbers or Tensors, in the groups of an optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from ..core.tensor import Tensor
from .optimizer import Optimizer

Rate: TypeAlias = float | Tensor


def number(rate: Rate) -> float:
    """A rate as a Python float."""
    if type(rate) is float:  # nearly always, and far faster to ask
        return rate
    return rate.item() if isinstance(rate, Tensor) else float(rate)


def copied(rate: Any) -> Any:
    """The rate, never aliased: a caller that fills a Tensor must not change ours."""
    return rate.clone() if isinstance(rate, Tensor) else rate


def as_held(like: Rate, value: float) -> float:
    """`value` as `like` would hold it: rounded to the dtype where that is a Tensor."""
    return number(like.clone().fill_(value)) if isinstance(like, Tensor) else value


def current_rates(optimizer: Optimizer) -> list[Rate]:
    """The rate of every group; Tensors are copies."""
    return [copied(group["lr"]) for group in optimizer.param_groups]


def put(group: dict[str, Any], key: str, value: float) -> None:
    """Set `group[key]`; a Tensor is filled in place, so that whoever holds it sees the value."""
    if isinstance(group.get(key), Tensor):
        group[key].fill_(value)
    else:
        group[key] = value


def write_rates(owner: str, optimizer: Optimizer, values: Sequence[Rate]) -> list[Rate]:
    """Put one rate into each group, floats stay floats; return them, Tensors as copies."""
    groups = optimizer.param_groups
    if len(values) != len(groups):
        raise ValueError(
            f"{owner}: {len(values)} learning rates for {len(groups)} parameter groups. A group "
            "added after the scheduler was built has no initial rate: build the scheduler again"
        )
    # All of them become numbers before the first is written: a bad one must change nothing.
    rates: list[Rate] = [number(value) for value in values]
    for i, group in enumerate(groups):
        if type(group["lr"]) is not float and isinstance(group["lr"], Tensor):
            rates[i] = group["lr"].fill_(rates[i]).clone()
        else:
            group["lr"] = rates[i]
    return rates


def per_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A value, or a list of them, as a list with one for each group; Tensors are copied."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups: {name} has "
            f"{len(values)} values, param_groups has {groups}. Give one number, or one per group"
        )
    return [copied(value) for value in values]


def set_initial_rates(owner: str, optimizer: Optimizer, last_epoch: int) -> None:
    """Note each group's initial rate where there is none yet; resuming needs all of them."""
    for i, group in enumerate(optimizer.param_groups):
        if "initial_lr" in group:
            continue
        if last_epoch >= 0:
            raise KeyError(
                f"{owner}: param 'initial_lr' is not specified in param_groups[{i}] when resuming "
                "scheduler with last_epoch >= 0. Load the optimizer's state before, or leave "
                "last_epoch at -1 to start afresh"
            )
        group["initial_lr"] = copied(group["lr"])


@contextmanager
def all_or_nothing(optimizer: Optimizer) -> Iterator[None]:
    """Put the optimizer's groups back as they were if the body raises."""
    before = [dict(group) for group in optimizer.param_groups]
    filled = [(v, v.clone()) for group in before for v in group.values() if isinstance(v, Tensor)]
    try:
        yield
    except BaseException:
        for group, settings in zip(optimizer.param_groups, before, strict=True):
            group.clear()
            group.update(settings)
        for held, value in filled:
            held.fill_(value.item())
        raise
