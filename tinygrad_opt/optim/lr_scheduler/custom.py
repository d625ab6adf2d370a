"""A schedule of your own, for the learning rate or for any other setting of a group."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..learning_rates import Rate, current_rates, number, put
from ..optimizer import Optimizer
from ..schedules import from_json, to_json
from ..schedules.core import Formula
from .base import LRScheduler, require_optimizer
from .factor import FactorScheduler

__all__ = ["HyperparameterScheduler", "LambdaLR", "MultiplicativeLR", "ScheduleLR"]


class ScheduleLR(FactorScheduler):
    """Multiplies the initial rate by any schedule, and save it with the state.

        rate(t) = initial rate * formula(t)

    Unlike LambdaLR it shares an optimizer with other schedulers, whose changes it carries over.
    formula: a function of the step. One from `optim.schedules`, or combined of them, is saved
    with the state as plain JSON; of a lambda `state_dict()` raises TypeError.
    Raises TypeError for what cannot be called.

        >>> from tinygrad_opt import optim, zeros
        >>> from tinygrad_opt.optim.schedules import exponential, warmup
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> scheduler = ScheduleLR(optimizer, warmup(steps=2).then(exponential(gamma=0.5), at=2))
        >>> for _ in range(3): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.4]
    """

    _holds_on_resume = False
    _unsaved = (*FactorScheduler._unsaved, "formula")

    def __init__(self, optimizer: Optimizer, formula: Formula, last_epoch: int = -1) -> None:
        if not callable(formula):
            raise TypeError(
                f"{type(self).__name__}: formula must be a function of the step, got {formula!r}"
            )
        self.formula = formula
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Formula:
        return self.formula

    def state_dict(self) -> dict[str, Any]:
        """With the formula, as plain JSON; TypeError where that is a plain function."""
        return {**super().state_dict(), "formula": schedule_state(self, self.formula)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state, and its formula."""
        formula = load_schedule(state_dict, "formula")
        super().load_state_dict({**state_dict, "formula": formula})


class HyperparameterScheduler(LRScheduler):
    """Lets any setting of chosen groups follow a schedule: weight decay, momentum, the rate.

        group[name] = schedule(t),  with relative=True  initial value * schedule(t)

    Written at every step, so it overrules changes by others. With learning-rate schedulers beside
    it, put all of them into a ChainedScheduler, or step each.
    name: "weight_decay", "momentum", ... or "betas[0]" for a part of a tuple.
    schedule: a function of the step, from `optim.schedules` if the state is to be saved.
    groups: their indices; all groups if None.
    Raises ValueError where a group has no such number, TypeError for what cannot be called.

        >>> from tinygrad_opt import optim, zeros
        >>> from tinygrad_opt.optim.schedules import anneal
        >>> optimizer = optim.Adam([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = HyperparameterScheduler(
        ...     optimizer, "betas[0]", anneal(start=0.5, end=0.75, steps=2, strategy="linear")
        ... )
        >>> optimizer.step(); scheduler.step()
        >>> optimizer.param_groups[0]["betas"]
        (0.625, 0.999)
    """

    _unsaved = (*LRScheduler._unsaved, "schedule")

    def __init__(
        self,
        optimizer: Optimizer,
        name: str,
        schedule: Formula,
        groups: Sequence[int] | None = None,
        relative: bool = False,
    ) -> None:
        owner = type(self).__name__
        require_optimizer(owner, optimizer)
        if not callable(schedule):
            raise TypeError(f"{owner}: schedule must be a function of the step, got {schedule!r}")
        self.optimizer = optimizer
        self.name = name
        self.schedule = schedule
        self.groups = list(range(len(optimizer.param_groups)) if groups is None else groups)
        self.relative = relative
        self._key, self._index = _parsed(owner, name)
        self.base_values = [self._read(i) for i in self.groups]
        super().__init__(optimizer)

    def get_lr(self) -> list[Rate]:
        """The rates as they are: this scheduler's values are `get_last_value()`."""
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        return current_rates(self.optimizer)

    def get_last_value(self) -> list[float]:
        """What this scheduler wrote last, one value for each of its groups."""
        return self._last_value

    def _write(self, values: Sequence[Rate]) -> None:
        value = number(self.schedule(self.last_epoch))
        bases = self.base_values if self.relative else [1.0] * len(self.groups)
        self._last_value = [base * value for base in bases]
        for i, written in zip(self.groups, self._last_value, strict=True):
            self._put(i, written)
        self._last_lr = current_rates(self.optimizer)

    def _read(self, i: int) -> float:
        """The present value in group i."""
        owner, groups = type(self).__name__, self.optimizer.param_groups
        if not 0 <= i < len(groups):
            raise ValueError(f"{owner}: no group {i!r} among {len(groups)}")
        try:
            held = groups[i][self._key]
            return number(held if self._index is None else held[self._index])
        except (KeyError, IndexError, TypeError, ValueError):
            there = ", ".join(key for key in groups[i] if key != "params")
            raise ValueError(
                f"{owner}: group {i} has no number {self.name!r}; it has {there}"
            ) from None

    def _put(self, i: int, value: float) -> None:
        group = self.optimizer.param_groups[i]
        if self._index is None:
            put(group, self._key, value)
        else:
            parts = list(group[self._key])
            parts[self._index] = value
            group[self._key] = tuple(parts)

    def state_dict(self) -> dict[str, Any]:
        """With the schedule, as plain JSON; TypeError where that is a plain function."""
        return {**super().state_dict(), "schedule": schedule_state(self, self.schedule)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state, and its schedule."""
        super().load_state_dict({**state_dict, "schedule": load_schedule(state_dict)})


def _parsed(owner: str, name: str) -> tuple[str, int | None]:
    """("betas", 0) of "betas[0]", ("lr", None) of "lr"."""
    found = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name)
    if found is None:
        raise ValueError(f"{owner}: name must look like 'momentum' or 'betas[0]', got {name!r}")
    return found[1], None if found[2] is None else int(found[2])


def schedule_state(owner: LRScheduler, schedule: Formula) -> Any:
    """A scheduler's schedule as plain JSON; TypeError where it is a plain function."""
    try:
        return to_json(schedule)
    except TypeError as error:
        raise TypeError(f"{type(owner).__name__}: cannot save the schedule: {error}") from None


def load_schedule(state: dict[str, Any], key: str = "schedule") -> Formula:
    """The schedule that a state dict holds."""
    return from_json(state[key])


# Schedulers that call your own function of the epoch ----------------------------------------------


Function: TypeAlias = Callable[[int], float]


class _FunctionScheduler(LRScheduler):
    """A scheduler that holds one function of the epoch for each parameter group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Function | Sequence[Function],
        last_epoch: int = -1,
    ) -> None:
        name = type(self).__name__
        require_optimizer(name, optimizer)
        self.lr_lambdas = _one_per_group(name, lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """As of other schedulers; a plain function is None in it, since code cannot be saved."""
        states = [function_state(function) for function in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state; the functions are those that this scheduler was built with."""
        state = {key: value for key, value in state_dict.items() if key != "lr_lambdas"}
        super().load_state_dict(state)
        for function, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            load_function_state(function, saved)


class LambdaLR(_FunctionScheduler):
    """Sets the rate to the initial rate times your own function of the epoch.

        rate(t) = initial rate * lr_lambda(t)

    Always written from the initial rate, so it overrules changes by others, as in PyTorch.
    lr_lambda: a function int -> float, or a list of one per parameter group.
    Raises ValueError on a wrong number of functions, TypeError on what cannot be called.

    The state dict holds the attributes of callable objects and None for plain functions: build
    the scheduler with the same function before loading. `ScheduleLR` saves its formula too.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = LambdaLR(optimizer, lr_lambda=lambda epoch: 1 / (1 + epoch))
        >>> optimizer.step(); scheduler.step()
        >>> optimizer.param_groups[0]["lr"]
        0.05
    """

    def get_lr(self) -> list[Rate]:
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [number(base) * function(self.last_epoch) for base, function in pairs]


class MultiplicativeLR(_FunctionScheduler):
    """Multiplies the rate by your own function of the epoch, at every epoch but the first.

        rate(t) = rate(t - 1) * lr_lambda(t)

    lr_lambda, errors and state dict as in LambdaLR. As a pure function: `schedules.multiplicative`.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = MultiplicativeLR(optimizer, lr_lambda=lambda epoch: 0.5)
        >>> for _ in range(2): optimizer.step(); scheduler.step()
        >>> optimizer.param_groups[0]["lr"]
        0.025
    """

    def get_lr(self) -> list[Rate]:
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        if self._is_initial:
            return current_rates(self.optimizer)
        pairs = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        return [number(group["lr"]) * function(self.last_epoch) for group, function in pairs]


def _one_per_group(owner: str, functions: Any, optimizer: Optimizer) -> list[Function]:
    """A function, or a sequence of them, as a list with one for each parameter group."""
    groups = len(optimizer.param_groups)
    found = list(functions) if isinstance(functions, (list, tuple)) else [functions] * groups
    if len(found) != groups:
        raise ValueError(f"{owner}: Expected {groups} lr_lambdas, but got {len(found)}")
    for function in found:
        if not callable(function):
            raise TypeError(
                f"{owner}: lr_lambda should be a function, but got {type(function).__name__}"
            )
    return found


def function_state(function: Any) -> dict[str, Any] | None:
    """The attributes of a callable object; None for a function, whose code cannot be saved."""
    if function is None or isinstance(function, types.FunctionType):
        return None
    return dict(getattr(function, "__dict__", {}))


def load_function_state(function: Any, state: dict[str, Any] | None) -> None:
    """Give a callable object its saved attributes back."""
    if state:
        vars(function).update(state)
