"""SWALR: from whatever rate there is to the constant one of stochastic weight averaging."""

from __future__ import annotations

from collections.abc import Sequence

from ...arrays.size import WHOLE
from ..learning_rates import Rate, all_or_nothing, number, per_group
from ..optimizer import Optimizer
from ..schedules.decay import left_of
from .base import LRScheduler, require_optimizer

__all__ = ["SWALR"]


class SWALR(LRScheduler):
    """Takes the rate from what it is to swa_lr in anneal_epochs, and leave it there.

        rate(t) = swa_lr + (rate(0) - swa_lr) * (1 - a(t)),  a from 0 to 1 in anneal_epochs
        a(t) = (1 - cos(pi * t / anneal_epochs)) / 2,  or  t / anneal_epochs

    t counts this scheduler's own steps: step another one first, and this one once averaging begins.
    swa_lr: a number, or a list of one per group; kept in the groups.  anneal_epochs: an integer, at
    least 0 (0: at once).  anneal_strategy: "cos" or "linear".
    Raises ValueError on settings outside those ranges.
    Source: Izmailov et al. 2018, arXiv:1803.05407.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = SWALR(optimizer, swa_lr=0.25, anneal_epochs=2, anneal_strategy="linear")
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.375]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        require_optimizer(type(self).__name__, optimizer)
        rates = per_group("swa_lr", optimizer, swa_lr)
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, WHOLE) or anneal_epochs < 0:
            raise ValueError(
                f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}; "
                "it is a whole number of epochs"
            )
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = int(anneal_epochs)
        with all_or_nothing(optimizer):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["swa_lr"] = rate
            super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        step, way = self._step_count - 1, (self.anneal_epochs, self._anneal_strategy)
        before = left_of(step - 1, *way) if step > 0 else 1.0
        now = left_of(step, *way)
        return [
            _toward(number(group["lr"]), number(group["swa_lr"]), now, before)
            for group in self.optimizer.param_groups
        ]


def _toward(rate: float, target: float, now: float, before: float) -> float:
    """The rate where `now` is left of a way, from the rate where `before` was left of it."""
    if now == before != 0:
        return rate
    return target + (rate - target) * (now / before) if now != 0 else target
