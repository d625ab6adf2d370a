"""Schedulers that lower the rate when a metric stops improving."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, SupportsFloat

from ..learning_rates import (
    all_or_nothing,
    copied,
    current_rates,
    number,
    put,
    set_initial_rates,
    write_rates,
)
from ..optimizer import Optimizer
from ..schedules.core import Formula
from .base import EPOCH_DEPRECATION_WARNING, LRScheduler, require_optimizer
from .custom import load_schedule, schedule_state

__all__ = ["PlateauLR", "ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by factor when a metric has not improved for more than patience epochs.

        bad epochs: those whose metric is not better than the best so far by the threshold
        rate = max(rate * factor, min_lr) after more than patience of them in a row

    mode: "min" (less is better) or "max".  factor: below 1.  threshold: what counts as better,
    a share of the best (threshold_mode="rel") or an amount ("abs").  cooldown: epochs after a
    change in which none is bad.  min_lr: a number, or a list of one per group.  eps: smaller
    changes of the rate are not made.
    Raises ValueError on settings outside those ranges, RuntimeError at a reduction where min_lr
    was a list and groups were added.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in [0.9, 0.8, 0.8, 0.8]: optimizer.step(); scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1.0:
            raise ValueError(f"{type(self).__name__}: Factor should be < 1.0. Got {factor!r}")
        self.factor = factor
        require_optimizer(type(self).__name__, optimizer)
        self.optimizer = optimizer
        self.default_min_lr, self.min_lrs = _min_lrs(min_lr, len(optimizer.param_groups))
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = current_rates(optimizer)
        self._init_is_better(mode, threshold, threshold_mode)
        self._reset()

    def _init_is_better(self, mode: str, threshold: float, threshold_mode: str) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown! It is 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown! It is 'rel' or 'abs'")
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode

    def _reset(self) -> None:
        """Forget the metrics so far."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        """Whether a change was so recent that no epoch counts as bad."""
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Judge an epoch by its metric, and lower the rate if it is time; NaN is a bad one.

        epoch: deprecated, sets the counter.
        """
        current = float(metrics)
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._judge(current):
            self._reduce_lr()
        self._last_lr = current_rates(self.optimizer)

    def _judge(self, metric: float) -> bool:
        """Take note of a metric; whether the rate is to be lowered."""
        if self._is_better(metric, self.best):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs <= self.patience:
            return False
        self.cooldown_counter = self.cooldown
        self.num_bad_epochs = 0
        return True

    def _is_better(self, a: float, best: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * a > sign * best * (1 + sign * self.threshold)
        return sign * a > sign * best + self.threshold

    def _reduce_lr(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from "
                    f"when `{type(self).__name__}` was initialized ({len(self.min_lrs)}), usually "
                    "due to a new param group. Set the `min_lrs` field to one number per group"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = number(group["lr"])
            new = max(old * self.factor, number(least))
            if old - new > self.eps:
                put(group, "lr", new)


class PlateauLR(ReduceLROnPlateau):
    """Lower the rate on plateaus, on top of any schedule, such as a warm-up.

        rate(t) = max(initial rate * schedule(t) * factor ^ (plateaus so far), min_lr)

    `step()` moves the schedule; `step(metric)` judges the metric too. So the schedule can move with
    every batch and the metric come once an epoch; while none is given, no epoch is bad.
    schedule: a function of the step, from `optim.schedules` if the state is to be saved. The other
    arguments and errors are ReduceLROnPlateau's; TypeError for a schedule that cannot be called.

        >>> from tinygrad_opt import optim, zeros
        >>> from tinygrad_opt.optim.schedules import warmup
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = PlateauLR(optimizer, warmup(steps=2), factor=0.5, patience=0)
        >>> optimizer.step(); scheduler.step()
        >>> for loss in [0.9, 0.9]: optimizer.step(); scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.25]
    """

    _unsaved = (*ReduceLROnPlateau._unsaved, "schedule")

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Formula,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
    ) -> None:
        if not callable(schedule):
            raise TypeError(
                f"{type(self).__name__}: schedule must be a function of the step, got {schedule!r}"
            )
        super().__init__(
            optimizer, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr
        )
        self.schedule = schedule
        self.plateaus = 0
        with all_or_nothing(optimizer):
            set_initial_rates(type(self).__name__, optimizer, -1)
            self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
            self._write_epoch(schedule(0))

    def step(self, metrics: SupportsFloat | None = None) -> None:  # type: ignore[override]
        """Goes to the next step of the schedule; judge a metric where there is one."""
        factor = self.schedule(self.last_epoch + 1)  # the first of what may fail
        if metrics is not None:
            self.plateaus += self._judge(float(metrics))
        self.last_epoch += 1
        self._write_epoch(factor)

    def _write_epoch(self, factor: float) -> None:
        factor *= self.factor**self.plateaus
        pairs = zip(self.base_lrs, self.min_lrs, strict=True)
        rates = [max(number(base) * factor, number(least)) for base, least in pairs]
        self._last_lr = write_rates(type(self).__name__, self.optimizer, rates)

    def state_dict(self) -> dict[str, Any]:
        """With the schedule, as plain JSON; TypeError where that is a plain function."""
        return {**super().state_dict(), "schedule": schedule_state(self, self.schedule)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state, and its schedule."""
        super().load_state_dict({**state_dict, "schedule": load_schedule(state_dict)})


def _min_lrs(min_lr: Any, groups: int) -> tuple[Any, list[Any]]:
    """(the rate for all groups or None, one for each of them)."""
    if not isinstance(min_lr, (list, tuple)):
        return min_lr, [min_lr] * groups
    if len(min_lr) != groups:
        raise ValueError(f"expected {groups} min_lrs, got {len(min_lr)}")
    return None, list(min_lr)
