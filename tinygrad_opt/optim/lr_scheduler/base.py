"""What all learning-rate schedulers share; the schedulers themselves are in `lr_scheduler`.

`LRScheduler` holds PyTorch's protocol: the epoch counter, the initial rates, writing `group["lr"]`,
the warnings, the state dict. `factor.py` makes a scheduler of a pure function of the step.

One unit throughout: an "epoch" is one call of `scheduler.step()`, whatever the caller makes of it
(an epoch or a batch).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from operator import index
from typing import Any

from ..learning_rates import Rate, all_or_nothing, copied, set_initial_rates, write_rates
from ..optimizer import Optimizer

__all__ = ["EPOCH_DEPRECATION_WARNING", "LRScheduler"]

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
    _unsaved: tuple[str, ...] = ("optimizer", "_step_override")  # no part of the state dict

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        name = type(self).__name__
        require_optimizer(name, optimizer)
        if not hasattr(last_epoch, "__index__") or (last_epoch := index(last_epoch)) < -1:
            raise ValueError(
                f"{name}: last_epoch must be an integer, at least -1, got {last_epoch!r}"
            )
        self.optimizer = optimizer
        self._step_override = vars(optimizer).get("step")
        self._prepare()
        with all_or_nothing(optimizer):
            set_initial_rates(name, optimizer, last_epoch)
            self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
            self.last_epoch = last_epoch
            self._initial_step()

    def _prepare(self) -> None:
        """Check the settings, before anything of the optimizer is touched."""

    # Stepping -------------------------------------------------------------------------------------

    def get_lr(self) -> list[Rate]:
        """One rate per group for epoch `last_epoch`; to read the current ones use get_last_lr."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr()")

    def get_last_lr(self) -> list[Rate]:
        """The rates that this scheduler wrote last, one per group; Tensors are copies."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Goes to the next epoch; call it after `optimizer.step()`.

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
        """Put what belongs to the epoch into the groups; here that is one rate for each."""
        self._last_lr = write_rates(type(self).__name__, self.optimizer, values)

    # Starting: what a SequentialLR asks of the schedulers that it runs one after another ----------

    def _initial_step(self) -> None:
        """Write the first epoch's rate, without warnings about the order of calls."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _rewind(self) -> None:
        """Go back to before the first epoch; the optimizer is left alone."""
        self.last_epoch = -1

    def _restart(self) -> None:
        """Begin anew in the middle of a run: epoch 0, by the closed form where there is one."""
        self._update_lr(0)

    # Warnings -------------------------------------------------------------------------------------

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
        warnings.warn(
            "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
            UserWarning,
            stacklevel=3,
        )

    # State ----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; plain JSON unless a rate is a Tensor."""
        return {key: value for key, value in vars(self).items() if key not in self._unsaved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state. The rates themselves are in the optimizer's state.

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


def require_optimizer(name: str, optimizer: Any) -> None:
    """Raise TypeError for anything that is not an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: {type(optimizer).__name__} is not an Optimizer")
