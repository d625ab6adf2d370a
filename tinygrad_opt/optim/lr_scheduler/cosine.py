"""Schedulers along half a cosine wave, with and without restarts."""

from __future__ import annotations

import math

from .. import schedules
from ..factor_scheduler import FactorScheduler
from ..optimizer import Optimizer
from ..rates import Rate, number
from ..scheduler_base import LRScheduler
from ..schedules import Schedule
from ..schedules.checks import require_number
from ..schedules.cosine import half_cosine, in_cycle


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


class CosineAnnealingLR(_ToEtaMin):
    """Let the rate fall to eta_min along half a cosine wave; beyond T_max it rises again.

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

    settings = ("T_max",)

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.cosine(self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Let the rate fall along half a cosine wave, jump back to its initial value, and again.

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
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(
                f"Expected integer T_mult >= 1, but got {T_mult}; CosineRestartsLR takes any number"
            )
        if not isinstance(eta_min, (float, int)):
            raise ValueError(
                f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}"
            )
        self.T_0 = T_0
        self.T_i: float = T_0
        self.T_mult = T_mult
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
        """Go to the next epoch, or to `epoch`, which may have a fraction.

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


class CosineRestartsLR(_ToEtaMin):
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

    settings = ("T_0", "T_mult")

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

    def schedule(self) -> Schedule:
        return schedules.cosine_restarts(self.T_0, self.T_mult)
