"""Schedulers that multiply the rate by a factor of the epoch alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ...arrays.size import WHOLE
from .. import schedules
from ..learning_rates import Rate, number
from ..optimizer import Optimizer
from ..schedules import Schedule
from ..schedules.core import require_number
from ..schedules.decay import half_cosine, in_cycle
from .base import LRScheduler
from .factor import FactorScheduler

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CosineRestartsLR",
    "ExponentialDecayLR", "ExponentialLR", "FixedLR", "InverseSqrtLR", "LinearLR", "MultiStepLR",
    "PolynomialLR", "StepLR", "TimeDecayLR", "WarmupCosineLR", "WarmupStableDecayLR",
]  # fmt: skip


class ConstantLR(FactorScheduler, of=schedules.constant):
    """Holds a fraction of the initial rate for total_iters epochs, then the whole of it.

    Differs from PyTorch at total_iters=0, where its two forms disagree: here the factor is never
    applied, as in its closed form.

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


class LinearLR(FactorScheduler, of=schedules.linear):
    """Goes from a fraction of the initial rate to another in a straight line: a warm-up, mostly.

    Differs from PyTorch at total_iters=0, where that stays at start_factor: a warm-up of no length
    is over here.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
    >>> scheduler = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.375]
    """


class StepLR(FactorScheduler, of=schedules.step_decay):
    """Multiplies the rate by gamma every step_size epochs.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
    >>> scheduler = StepLR(optimizer, step_size=1, gamma=0.5)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.05]
    """

    _holds_on_resume = False


class MultiStepLR(FactorScheduler, of=schedules.multi_step):
    """Multiplies the rate by gamma at each milestone, twice where one is listed twice.

        rate(t) = initial rate * gamma ^ (how many milestones are <= t)

    milestones: epochs, at least 0; the attribute is a Counter of them.  gamma: finite, at least 0.
    Raises ValueError on settings outside those ranges.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> scheduler = MultiStepLR(optimizer, milestones=[1, 3, 3], gamma=0.5)
        >>> for _ in range(3): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.1]
    """

    settings = ("_milestones", "gamma")
    _holds_on_resume = False

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    @property
    def _milestones(self) -> tuple[tuple[int, int], ...]:
        return tuple(self.milestones.items())

    def schedule(self) -> Schedule:
        return schedules.multi_step(sorted(self.milestones.elements()), self.gamma)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state, also one that went through JSON, whose keys are text."""
        counts = {int(epoch): count for epoch, count in state_dict["milestones"].items()}
        super().load_state_dict({**state_dict, "milestones": Counter(counts)})


class ExponentialLR(FactorScheduler, of=schedules.exponential):
    """Multiplies the rate by gamma every epoch.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
    >>> scheduler = ExponentialLR(optimizer, gamma=0.5)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.05]
    """


class PolynomialLR(FactorScheduler, of=schedules.polynomial):
    """Lets the rate fall to 0 along a power of the time that is left.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
    >>> scheduler = PolynomialLR(optimizer, total_iters=4, power=2)
    >>> for _ in range(2): optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.2]
    """


# The three schedules that textbooks print: a fixed rate, exponential decay and time decay ---------


class FixedLR(FactorScheduler, of=schedules.fixed):
    """Leave the rate as it is: the baseline of every comparison.

        rate(t) = initial rate

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
    >>> scheduler = FixedLR(optimizer)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.1]
    """


class ExponentialDecayLR(FactorScheduler, of=schedules.exponential_decay):
    """Lets the rate fall by the same share in every epoch.

    >>> from math import log
    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
    >>> scheduler = ExponentialDecayLR(optimizer, decay_rate=log(2))
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.05]
    """


class TimeDecayLR(FactorScheduler, of=schedules.inverse_time):
    """Lets the rate fall as one over time.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1)
    >>> scheduler = TimeDecayLR(optimizer, decay_rate=1.0)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.05]
    """


InverseTimeLR = TimeDecayLR  # by its formula


# Schedulers that begin with a warm-up, in one object; how it rises: `schedules.warmup` ------------


class WarmupCosineLR(FactorScheduler, of=schedules.warmup_cosine):
    """Warm up in a straight line, then fall along half a cosine wave, and stay there.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
    >>> scheduler = WarmupCosineLR(optimizer, warmup_steps=2, total_steps=4)
    >>> scheduler.get_last_lr()
    [0.4]
    >>> for _ in range(3): optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """


class WarmupStableDecayLR(FactorScheduler, of=schedules.warmup_stable_decay):
    """Warm up, hold the rate for as long as you like, then cool down: WSD.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
    >>> scheduler = WarmupStableDecayLR(optimizer, 2, 1, 4)
    >>> for _ in range(4): optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.4]
    """


class InverseSqrtLR(FactorScheduler, of=schedules.inverse_sqrt):
    """Warm up, then let the rate fall as one over the square root of the epoch: Noam.

    >>> from tinygrad_opt import optim, zeros
    >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
    >>> scheduler = InverseSqrtLR(optimizer, warmup_steps=2)
    >>> for _ in range(7): optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """


# Schedulers along half a cosine wave, with and without restarts -----------------------------------


class _ToEtaMin(FactorScheduler):
    """A scheduler whose rate falls to eta_min."""

    eta_min: float

    def _prepare(self) -> None:
        super()._prepare()
        require_number(f"{type(self).__name__}: eta_min", self.eta_min)

    @property
    def floor(self) -> float:
        """What the rate falls to."""
        return self.eta_min


class CosineAnnealingLR(_ToEtaMin, of=schedules.cosine):
    """Lets the rate fall to eta_min along half a cosine wave; beyond T_max it rises again.

        rate(t) = eta_min + (initial rate - eta_min) * (1 + cos(pi * t / T_max)) / 2

    T_max: epochs, above 0.  eta_min: a rate, finite.
    Raises ValueError on settings outside those ranges.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, without its restarts.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = CosineAnnealingLR(optimizer, T_max=2)
        >>> for _ in range(2): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.0]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Lets the rate fall along half a cosine wave, jump back to its initial value, and again.

        rate = eta_min + (initial rate - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2

    T_cur: epochs since the last restart.  T_i: epochs between two restarts, T_mult times as many
    after each. Written from the initial rate, so it overrules changes by others, as in PyTorch.
    T_0: the first T_i, an integer above 0.  T_mult: an integer, at least 1 (any real number:
    CosineRestartsLR).  eta_min: a rate. Raises ValueError on settings outside those ranges.
    Differs from PyTorch with last_epoch and T_mult > 1, where that resumes in a wrong cycle.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=2)
        >>> for _ in range(2): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(T_0, WHOLE) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, WHOLE) or T_mult < 1:
            raise ValueError(
                f"Expected integer T_mult >= 1, but got {T_mult}; CosineRestartsLR takes any number"
            )
        if not isinstance(eta_min, (float, int)):
            raise ValueError(
                f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}"
            )
        self.T_0 = T_0 = int(T_0)
        self.T_i: float = T_0
        self.T_mult = T_mult = int(T_mult)
        self.eta_min = eta_min
        self.T_cur: float = -1
        if isinstance(last_epoch, int) and last_epoch >= 0:
            self.T_cur, self.T_i = in_cycle(last_epoch, T_0, T_mult)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        factor, floor = half_cosine(self.T_cur, self.T_i), self.eta_min
        return [floor + (number(base) - floor) * factor for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Goes to the next epoch, or to `epoch`, which may have a fraction.

        With fractions the rate moves with every batch: `step(epoch + batch / batches)`.
        Raises ValueError below 0.
        """
        before = self.T_cur, self.T_i
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is not None:
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self.T_cur, self.T_i = in_cycle(epoch, self.T_0, self.T_mult)
        else:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        try:
            self._update_lr(math.floor(epoch))
        except BaseException:
            self.T_cur, self.T_i = before
            raise

    def _rewind(self) -> None:
        super()._rewind()
        self.T_cur, self.T_i = -1, self.T_0

    def _restart(self) -> None:
        self.step(0)


class CosineRestartsLR(_ToEtaMin, of=schedules.cosine_restarts):
    """Warm restarts whose cycles grow by any factor, and which share an optimizer with others.

        rate(t) = eta_min + (initial rate - eta_min) * (1 + cos(pi * T_cur / T_i)) / 2

    As CosineAnnealingWarmRestarts, but T_0 (epochs, above 0) and T_mult (at least 1) need not be
    integers, and changes by others are carried over. Raises ValueError outside those ranges.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = CosineRestartsLR(optimizer, T_0=2, T_mult=1.5)
        >>> rates = []
        >>> for _ in range(6): optimizer.step(); scheduler.step(); rates += scheduler.get_last_lr()
        >>> [round(rate, 3) for rate in rates]
        [0.25, 0.5, 0.375, 0.125, 0.5, 0.442]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: float,
        T_mult: float = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)
