"""Schedulers that call your own function of the epoch."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from ..optimizer import Optimizer
from ..rates import Rate, current_rates, number
from ..scheduler_base import LRScheduler, require_optimizer

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
        """Take over a saved state; the functions are those that this scheduler was built with."""
        state = {key: value for key, value in state_dict.items() if key != "lr_lambdas"}
        super().load_state_dict(state)
        for function, saved in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            load_function_state(function, saved)


class LambdaLR(_FunctionScheduler):
    """Set the rate to the initial rate times your own function of the epoch.

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
    """Multiply the rate by your own function of the epoch, at every epoch but the first.

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
