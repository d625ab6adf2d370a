"""The three schedules that textbooks print: a fixed rate, exponential decay and time decay.

Written in the books' own terms, with a rate of decay k per epoch; none of them is in PyTorch.
"""

from __future__ import annotations

from .. import schedules
from ..factor_scheduler import FactorScheduler
from ..optimizer import Optimizer
from ..schedules import Schedule


class FixedLR(FactorScheduler):
    """Leave the rate as it is: the baseline of every comparison.

    rate(t) = initial rate

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
    >>> scheduler = FixedLR(optimizer)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.1]
    """

    settings = ()

    def schedule(self) -> Schedule:
        return schedules.fixed()


class _DecayRateLR(FactorScheduler):
    """A scheduler whose only setting is the rate of decay."""

    def __init__(self, optimizer: Optimizer, decay_rate: float, last_epoch: int = -1) -> None:
        self.decay_rate = decay_rate
        super().__init__(optimizer, last_epoch)


class ExponentialDecayLR(_DecayRateLR):
    """Let the rate fall by the same share in every epoch.

        rate(t) = initial rate * e ^ (-decay_rate * t)

    The same curve as ExponentialLR with gamma = e ^ -decay_rate.
    decay_rate: per epoch, finite, at least 0.  Raises ValueError otherwise.

        >>> from math import log
        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = ExponentialDecayLR(optimizer, decay_rate=log(2))
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    settings = ("decay_rate",)

    def schedule(self) -> Schedule:
        return schedules.exponential_decay(self.decay_rate)


class TimeDecayLR(_DecayRateLR):
    """Let the rate fall as one over time.

        rate(t) = initial rate / (1 + decay_rate * t)

    decay_rate: per epoch, finite, at least 0.  Raises ValueError otherwise.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
        >>> scheduler = TimeDecayLR(optimizer, decay_rate=1.0)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    settings = ("decay_rate",)

    def schedule(self) -> Schedule:
        return schedules.inverse_time(self.decay_rate)


InverseTimeLR = TimeDecayLR  # by its formula
