"""Several schedulers as one: at the same time, or one after another, nested as you like.

As pure functions, and in two operators, the same is `schedules.chained` (`a * b`) and
`schedules.sequential` (`a.then(b, at)`).
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..learning_rates import all_or_nothing, current_rates, number, put
from ..optimizer import Optimizer
from .base import LRScheduler
from .plateau import ReduceLROnPlateau

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composite(LRScheduler):
    """A scheduler that holds others; its state holds theirs."""

    _unsaved = (*LRScheduler._unsaved, "_schedulers")
    _schedulers: Sequence[LRScheduler]

    def state_dict(self) -> dict[str, Any]:
        """The states of the schedulers inside, and the counter."""
        states = [scheduler.state_dict() for scheduler in self._schedulers]
        return {**super().state_dict(), "_schedulers": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state, of as many schedulers as there are; ValueError otherwise."""
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(
                f"{type(self).__name__}: the state has {len(states)} schedulers, "
                f"there are {len(self._schedulers)}"
            )
        own = {key: value for key, value in state_dict.items() if key != "_schedulers"}
        super().load_state_dict(own)
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)

    def _rewind(self) -> None:
        for scheduler in self._schedulers:
            scheduler._rewind()

    def _restart(self) -> None:
        _to_initial_rates(self.optimizer)
        self._rewind()
        self._initial_step()


class ChainedScheduler(_Composite):
    """Step several schedulers at once; where they multiply the rate, their factors multiply.

        rate(t) = initial rate * f(t) * g(t) * ...

    In their order, so that one which overrules others (LambdaLR) discards what came before it.
    schedulers: at least one, all of the same optimizer, no ReduceLROnPlateau.
    Raises ValueError otherwise, TypeError for something without an optimizer.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> warmup = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> scheduler = ChainedScheduler([warmup, decay])
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.2]
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self.optimizer = _checked(self, schedulers, optimizer)
        self._schedulers = schedulers
        self._last_lr = current_rates(self.optimizer)

    def step(self) -> None:  # type: ignore[override]
        """Step each scheduler once, in their order."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = current_rates(self.optimizer)

    def _initial_step(self) -> None:
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._last_lr = current_rates(self.optimizer)


class SequentialLR(_Composite):
    """Runs one scheduler after another; each counts its epochs from 0 and starts afresh.

        rate(t) = that of schedulers[i] at t - milestones[i - 1], i = milestones that are <= t

    At a milestone the next one writes its closed form from the initial rate; those without one
    (MultiplicativeLR) go on from the present rate.
    schedulers: at least one, all of the same optimizer, no ReduceLROnPlateau; compositions may be
    among them. Whatever they wrote when they were built is undone here.
    milestones: epochs in rising order, one fewer than schedulers.
    last_epoch: -1, or the last epoch that was completed: the schedulers are then run up to there.
    Raises ValueError otherwise, TypeError for something without an optimizer.

    Differs from PyTorch where compositions are nested: there a nested one loses an epoch, writes
    wrong first values, or raises NotImplementedError; here it gives what it gives alone.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> warmup = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> decay = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> scheduler = SequentialLR(optimizer, [warmup, decay], milestones=[2])
        >>> for _ in range(3): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.4]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = _checked(self, schedulers, optimizer)
        name = type(self).__name__
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"{name} expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got number of schedulers {len(schedulers)} and the number "
                f"of milestones to be equal to {len(milestones)}"
            )
        if sorted(milestones) != list(milestones):
            raise ValueError(f"{name}: milestones must be in rising order, got {milestones}")
        self._schedulers = schedulers
        self._milestones = milestones
        with all_or_nothing(optimizer), warnings.catch_warnings():
            self._restart()
            warnings.simplefilter("ignore")  # the optimizer's steps were taken in another process
            for _ in range(last_epoch + 1):
                self.step()

    def step(self) -> None:  # type: ignore[override]
        """Step the scheduler whose turn it is, or start the next one."""
        epoch = self.last_epoch + 1
        turn = bisect_right(self._milestones, epoch)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == epoch:
            scheduler._restart()
        else:
            scheduler.step()
        self.last_epoch = epoch
        self._last_lr = scheduler.get_last_lr()

    def _initial_step(self) -> None:
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self.last_epoch = 0
        self._last_lr = first.get_last_lr()


def _to_initial_rates(optimizer: Optimizer) -> None:
    for group in optimizer.param_groups:
        put(group, "lr", number(group["initial_lr"]))


def _checked(owner: Any, schedulers: Sequence[Any], optimizer: Optimizer | None) -> Any:
    """The optimizer that all schedulers belong to."""
    name = type(owner).__name__
    if len(schedulers) < 1:
        raise ValueError(f"{name} expects at least one scheduler, but got no scheduler.")
    common = getattr(schedulers[0], "optimizer", None) if optimizer is None else optimizer
    for i, scheduler in enumerate(schedulers):
        if not hasattr(scheduler, "optimizer"):
            raise TypeError(
                f"{name} at index {i} should have `optimizer` as its attribute, "
                f"got {type(scheduler).__name__}"
            )
        if isinstance(scheduler, ReduceLROnPlateau):
            raise ValueError(
                f"{name} does not support `ReduceLROnPlateau` scheduler as it needs a metric at "
                f"every step, but got one at index {i}; step it beside, or use PlateauLR"
            )
        if scheduler.optimizer is not common:
            raise ValueError(
                f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                f"{type(scheduler).__name__} at index {i}, which belongs to another one"
            )
    return common
