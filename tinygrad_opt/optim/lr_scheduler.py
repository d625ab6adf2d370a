"""Learning-rate schedulers with PyTorch's names, calls and values.

Each class holds its settings and a counter, and takes its formula from `schedules`. What they
share (the protocol, warnings, exact resuming, two schedulers on one optimizer) is in
`scheduler_base`. An "epoch" is one call of `scheduler.step()`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

from . import schedules
from .optimizer import Optimizer
from .scheduler_base import EPOCH_DEPRECATION_WARNING, FactorScheduler, LRScheduler, Rate, number
from .schedules import Schedule

__all__ = [
    "EPOCH_DEPRECATION_WARNING",
    "ConstantLR",
    "ExponentialLR",
    "InverseTimeLR",
    "LRScheduler",
    "LambdaLR",
    "StepLR",
]


class _LRScheduler(LRScheduler):
    """The older name, for code that still derives from it."""


class LambdaLR(LRScheduler):
    """Set the rate to the initial rate times your own function of the epoch.

        rate(t) = initial rate * lr_lambda(t)

    Always written from the initial rate, so it overrules changes by others, as in PyTorch.
    lr_lambda: a function int -> float, or a list of one per parameter group.
    Raises ValueError on a wrong number of functions, TypeError on what cannot be called.

    The state dict holds the attributes of callable objects and None for plain functions.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = LambdaLR(optimizer, lr_lambda=lambda epoch: 1 / (1 + epoch))
        >>> optimizer.step(); scheduler.step()
        >>> optimizer.param_groups[0]["lr"]
        0.05
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas: Any = lr_lambda
        super().__init__(optimizer, last_epoch)

    def _prepare(self) -> None:
        self.lr_lambdas = _one_per_group(type(self).__name__, self.lr_lambdas, self.optimizer)

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [number(base) * function(self.last_epoch) for base, function in pairs]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "lr_lambdas": _function_states(self.lr_lambdas)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        state = {key: value for key, value in state_dict.items() if key != "lr_lambdas"}
        super().load_state_dict(state)
        _load_function_states(self.lr_lambdas, state_dict["lr_lambdas"])


class ConstantLR(FactorScheduler):
    """Hold a fraction of the initial rate for total_iters epochs, then the whole of it.

        rate(t) = initial rate * (factor if t < total_iters else 1)

    factor: within [0, 1].  total_iters: epochs, at least 0. Differs from PyTorch at total_iters=0,
    where its two forms disagree: here the factor is never applied, as in its closed form.
    Raises ValueError on settings outside those ranges.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = ConstantLR(optimizer, factor=0.5, total_iters=1)
        >>> scheduler.get_last_lr()
        [0.05]
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.1]
    """

    _holds_on_resume = False

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.constant(self.factor, self.total_iters)


class StepLR(FactorScheduler):
    """Multiply the rate by gamma every step_size epochs.

        rate(t) = initial rate * gamma ^ floor(t / step_size)

    step_size: epochs, at least 1.  gamma: finite, at least 0.
    Raises ValueError on settings outside those ranges.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = StepLR(optimizer, step_size=1, gamma=0.5)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    _holds_on_resume = False

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.step_decay(self.step_size, self.gamma)


class ExponentialLR(FactorScheduler):
    """Multiply the rate by gamma every epoch.

        rate(t) = initial rate * gamma ^ t

    gamma: finite, at least 0.  Raises ValueError otherwise.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = ExponentialLR(optimizer, gamma=0.5)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.exponential(self.gamma)


class InverseTimeLR(FactorScheduler):
    """Let the rate fall as one over time: the "time decay" of textbooks, not in PyTorch.

        rate(t) = initial rate / (1 + decay_rate * t)

    decay_rate: per epoch, finite, at least 0.  Raises ValueError otherwise.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = InverseTimeLR(optimizer, decay_rate=1.0)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    def __init__(self, optimizer: Optimizer, decay_rate: float, last_epoch: int = -1) -> None:
        self.decay_rate = decay_rate
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.inverse_time(self.decay_rate)


def _one_per_group(owner: str, functions: Any, optimizer: Optimizer) -> list[Callable[..., Any]]:
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


def _function_states(functions: Sequence[Any]) -> list[dict[str, Any] | None]:
    """The attributes of callable objects; None for functions, whose code cannot be saved."""
    return [
        None if isinstance(f, types.FunctionType) else dict(getattr(f, "__dict__", {}))
        for f in functions
    ]


def _load_function_states(functions: Sequence[Any], states: Sequence[Any]) -> None:
    """Give callable objects their saved attributes back."""
    for function, state in zip(functions, states, strict=True):
        if state:
            vars(function).update(state)
