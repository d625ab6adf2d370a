"""What all learning-rate schedulers share; the schedulers themselves are in `lr_scheduler`.

`LRScheduler` holds PyTorch's protocol: the epoch counter, the initial rates, writing `group["lr"]`,
the warnings, the state dict. `FactorScheduler` makes a scheduler of a pure function of the step.

One unit throughout: an "epoch" is one call of `scheduler.step()`, whatever the caller makes of it
(an epoch or a batch).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

from .._tensor import Tensor
from .optimizer import Optimizer
from .schedules import Schedule

Rate: TypeAlias = "float | Tensor"

HOW_TO = "See https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
EPOCH_DEPRECATION_WARNING = (
    "The epoch argument of `scheduler.step(epoch)` is deprecated: call `scheduler.step()` instead. "
    "With an epoch the closed form is written, which discards what other schedulers did."
)


class LRScheduler:
    """Base of all schedulers: counts epochs and writes the learning rate of every group.

    A subclass defines `get_lr()`, one rate per group for epoch `self.last_epoch`; it may also
    define `_get_closed_form_lr()`, which the deprecated `step(epoch)` prefers. A failed
    construction or step leaves optimizer and scheduler as they were.

    optimizer: whose groups to write.  last_epoch: -1 to start afresh, or the last epoch that was
    completed, where the groups already hold `initial_lr`.
    Raises TypeError without an Optimizer, KeyError where `initial_lr` is missing, ValueError on
    another last_epoch.

        >>> from tinygrad_opt import optim, zeros
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         halve = 1.0 if self.last_epoch == 0 else 0.5
        ...         return [group["lr"] * halve for group in self.optimizer.param_groups]
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = Halving(optimizer)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False
    _unsaved = ("optimizer", "_step_override")  # attributes that are no part of the state dict

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{name}: {type(optimizer).__name__} is not an Optimizer")
        if not isinstance(last_epoch, int) or last_epoch < -1:
            raise ValueError(
                f"{name}: last_epoch must be an integer, at least -1, got {last_epoch!r}"
            )
        self.optimizer = optimizer
        self._step_override = vars(optimizer).get("step")
        self._prepare()
        added = _set_initial_lr(optimizer, last_epoch)
        try:
            self.base_lrs = [_copy(group["initial_lr"]) for group in optimizer.param_groups]
            self.last_epoch = last_epoch
            self._initial_step()
        except BaseException:
            for group in added:
                del group["initial_lr"]
            raise

    def _prepare(self) -> None:
        """Check the settings, before anything of the optimizer is touched."""

    def _initial_step(self) -> None:
        """Write the first epoch's rate, without warnings about the order of calls."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Rate]:
        """One rate per group for epoch `last_epoch`; to read the current ones use get_last_lr."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def get_last_lr(self) -> list[Rate]:
        """The rates that this scheduler wrote last, one per group; Tensors are copies."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch; call it after `optimizer.step()`.

        epoch: deprecated, jumps to that epoch with the closed form where there is one.
        """
        if self._step_count == 1:
            self._warn_about_order()
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._step_count += 1
        try:
            self._update_lr(epoch)
        except BaseException:
            self._step_count -= 1
            raise

    def _update_lr(self, epoch: int | None = None) -> None:
        """Move to the next epoch, or to `epoch`, and write its rates; on failure do neither."""
        previous = self.last_epoch
        self.last_epoch = previous + 1 if epoch is None else epoch
        self._get_lr_called_within_step = True
        try:
            if epoch is not None and hasattr(self, "_get_closed_form_lr"):
                values = self._get_closed_form_lr()
            else:
                values = self.get_lr()
            self._write(values)
        except BaseException:
            self.last_epoch = previous
            raise
        finally:
            self._get_lr_called_within_step = False

    def _write(self, values: Sequence[Rate]) -> None:
        """Put one rate into each group; Tensors are filled in place, floats stay floats."""
        groups = self.optimizer.param_groups
        if len(values) != len(groups):
            raise ValueError(
                f"{type(self).__name__}: {len(values)} learning rates for {len(groups)} parameter "
                "groups. A group added after the scheduler was built has no initial rate: "
                "build the scheduler again"
            )
        # All of them become numbers before the first is written: a bad one must change nothing.
        for group, value in zip(groups, list(map(number, values)), strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value
        self._last_lr: list[Rate] = [_copy(group["lr"]) for group in groups]

    def _warn_about_order(self) -> None:
        """At the first step after construction: was `optimizer.step()` called before it?"""
        override = vars(self.optimizer).get("step")
        if override is not self._step_override:
            warnings.warn(
                "`optimizer.step()` has been overridden after the scheduler was built, so the "
                "order of calls cannot be checked: call it before `lr_scheduler.step()`. " + HOW_TO,
                UserWarning,
                stacklevel=3,
            )
        elif override is None and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: in this order "
                "the first value of the schedule is never used. Call `optimizer.step()` first. "
                + HOW_TO,
                UserWarning,
                stacklevel=3,
            )

    def _warn_outside_step(self) -> None:
        """get_lr() computes the rate of a step that is under way; outside one it misleads."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, "
                "please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; plain JSON unless a rate is a Tensor."""
        return {key: value for key, value in vars(self).items() if key not in self._unsaved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a saved state. The rates themselves are in the optimizer's state.

        To resume exactly: build optimizer and scheduler, then load the state of both.
        Raises ValueError where the state has more groups than the optimizer.
        """
        saved, present = len(state_dict.get("base_lrs", ())), len(self.optimizer.param_groups)
        if saved > present:
            raise ValueError(
                f"{type(self).__name__}: the state has {saved} parameter groups, "
                f"the optimizer {present}"
            )
        vars(self).update(state_dict)


class FactorScheduler(LRScheduler):
    """A scheduler made of a pure function: rate(t) = initial rate * f(t), f = self.schedule().

    Where a group holds what this schedule wrote for t - 1, the closed form is written: no rounding
    error accumulates. Where somebody else changed it (another scheduler, or by hand), the change
    is carried over, as PyTorch's recurrences do:

        rate = rate * f(t) / f(t - 1),   or   rate + initial rate * f(t)   where f(t - 1) = 0

    Both read nothing but the group's rate and t: resuming from those gives the same bits.
    """

    # With last_epoch >= 0, does the constructor leave the rate as it is, or make its step?
    # PyTorch does the first for smooth schedules and the second for those that jump.
    _holds_on_resume = True

    def schedule(self) -> Schedule:
        """The pure function for the present settings: step -> factor of the initial rate."""
        raise NotImplementedError(f"{type(self).__name__} does not define schedule()")

    def _prepare(self) -> None:
        try:
            self.schedule()
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def get_lr(self) -> list[Rate]:
        self._warn_outside_step()
        epoch, factor = self.last_epoch, self.schedule()
        now, before = factor(epoch), factor(epoch - 1) if epoch > 0 else 1.0
        groups, bases = self.optimizer.param_groups, self.base_lrs
        if now == before or (self._is_initial and epoch > 0 and self._holds_on_resume):
            return [_copy(group["lr"]) for group in groups]
        # A group added later has no initial rate; it takes part by the ratio alone.
        return [
            _carry(group["lr"], bases[i] if i < len(bases) else None, now, before)
            for i, group in enumerate(groups)
        ]

    def _get_closed_form_lr(self) -> list[Rate]:
        factor = self.schedule()(self.last_epoch)
        return [number(base) * factor for base in self.base_lrs]


def _carry(rate: Rate, base: Rate | None, now: float, before: float) -> float:
    """The rate for factor `now`, from the rate that a group holds after factor `before`."""
    value = number(rate)
    if base is not None and value == _as_held(rate, number(base) * before):
        return number(base) * now
    if before != 0:
        return value * (now / before)
    return value if base is None else value + number(base) * now


def _as_held(like: Rate, value: float) -> float:
    """`value` as `like` would hold it: rounded to the dtype where that is a Tensor."""
    return number(like.clone().fill_(value)) if isinstance(like, Tensor) else value


def _copy(rate: Rate) -> Rate:
    """The rate, never aliased: a caller that fills a Tensor must not change ours."""
    return rate.clone() if isinstance(rate, Tensor) else rate


def number(rate: Rate) -> float:
    """A rate as a Python float."""
    return rate.item() if isinstance(rate, Tensor) else float(rate)


def _set_initial_lr(optimizer: Optimizer, last_epoch: int) -> list[dict[str, Any]]:
    """Note each group's initial rate and return the groups that had none; resuming needs all."""
    missing = [group for group in optimizer.param_groups if "initial_lr" not in group]
    if missing and last_epoch >= 0:
        index = next(i for i, g in enumerate(optimizer.param_groups) if "initial_lr" not in g)
        raise KeyError(
            f"param 'initial_lr' is not specified in param_groups[{index}] when resuming scheduler "
            "with last_epoch >= 0. Load the optimizer's state before, or leave last_epoch at -1 "
            "to start afresh"
        )
    for group in missing:
        group["initial_lr"] = _copy(group["lr"])
    return missing
