"""Schedulers that multiply the rate by a factor of the epoch alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .. import schedules
from ..learning_rates import Rate, number
from ..optimizer import Optimizer
from ..schedules import Schedule
from ..schedules.core import require_number
from ..schedules.decay import half_cosine, in_cycle
from .base import LRScheduler
from .factor import FactorScheduler


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

    settings = ("factor", "total_iters")
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


class LinearLR(FactorScheduler):
    """Go from a fraction of the initial rate to another in a straight line: a warm-up, mostly.

        rate(t) = initial rate * (start_factor + (end_factor - start_factor) * t / total_iters)
        and end_factor * initial rate from t = total_iters on

    start_factor: within (0, 1].  end_factor: within [0, 1].  total_iters: epochs, at least 0.
    Differs from PyTorch at total_iters=0, where that stays at start_factor: a warm-up of no length
    is over here. Raises ValueError on settings outside those ranges.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.375]
    """

    settings = ("start_factor", "end_factor", "total_iters")

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.linear(self.start_factor, self.end_factor, self.total_iters)


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

    settings = ("step_size", "gamma")
    _holds_on_resume = False

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.step_decay(self.step_size, self.gamma)


class MultiStepLR(FactorScheduler):
    """Multiply the rate by gamma at each milestone, twice where one is listed twice.

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
        """Take over a saved state, also one that went through JSON, whose keys are text."""
        counts = {int(epoch): count for epoch, count in state_dict["milestones"].items()}
        super().load_state_dict({**state_dict, "milestones": Counter(counts)})


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

    settings = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.exponential(self.gamma)


class PolynomialLR(FactorScheduler):
    """Let the rate fall to 0 along a power of the time that is left.

        rate(t) = initial rate * (1 - min(t, total_iters) / total_iters) ^ power

    total_iters: epochs, at least 1.  power: finite, at least 0.
    Raises ValueError on settings outside those ranges.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> scheduler = PolynomialLR(optimizer, total_iters=4, power=2)
        >>> for _ in range(2): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.2]
    """

    settings = ("total_iters", "power")

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.polynomial(self.total_iters, self.power)


# The three schedules that textbooks print: a fixed rate, exponential decay and time decay ---------


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


# Schedulers that begin with a warm-up, in one object; how it rises: `schedules.warmup` ------------


class WarmupCosineLR(FactorScheduler):
    """Warm up in a straight line, then fall along half a cosine wave, and stay there.

        rate(t) = initial rate * (t + 1) / warmup_steps                            t < warmup_steps
        rate(t) = initial rate * (end_factor + (1 - end_factor) * (1 + cos(pi * p)) / 2),
                  p = (t - warmup_steps) / (total_steps - warmup_steps), at most 1

    warmup_steps: epochs, at least 0.  total_steps: epochs, warm-up included, more than that.
    end_factor: within [0, 1].  Raises ValueError on settings outside those ranges.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> scheduler = WarmupCosineLR(optimizer, warmup_steps=2, total_steps=4)
        >>> scheduler.get_last_lr()
        [0.4]
        >>> for _ in range(3): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.4]
    """

    settings = ("warmup_steps", "total_steps", "end_factor")

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int,
        total_steps: int,
        end_factor: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.end_factor = end_factor
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.warmup_cosine(self.warmup_steps, self.total_steps, self.end_factor)


class WarmupStableDecayLR(FactorScheduler):
    """Warm up, hold the rate for as long as you like, then cool down: WSD.

        rate(t) = initial rate * (t + 1) / warmup_steps, then 1 for stable_steps, then
                  end_factor + (1 - end_factor) * c(p), p from 0 to 1 over decay_steps
        c(p) = 1 - sqrt(p)  or  1 - p  or  (1 + cos(pi * p)) / 2

    The lengths: epochs, at least 0.  end_factor: within [0, 1].  cooldown: "1-sqrt", "linear" or
    "cosine".  Raises ValueError on anything else.
    Source: Hägele et al. 2024, arXiv:2405.18392; Hu et al. 2024, arXiv:2404.06395.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> scheduler = WarmupStableDecayLR(optimizer, 2, 1, 4)
        >>> for _ in range(4): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.4]
    """

    settings = ("warmup_steps", "stable_steps", "decay_steps", "end_factor", "cooldown")

    def __init__(
        self,
        optimizer: Optimizer,
        warmup_steps: int,
        stable_steps: int,
        decay_steps: int,
        end_factor: float = 0.0,
        cooldown: str = "1-sqrt",
        last_epoch: int = -1,
    ) -> None:
        self.warmup_steps = warmup_steps
        self.stable_steps = stable_steps
        self.decay_steps = decay_steps
        self.end_factor = end_factor
        self.cooldown = cooldown
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        lengths = self.warmup_steps, self.stable_steps, self.decay_steps
        return schedules.warmup_stable_decay(*lengths, self.end_factor, self.cooldown)


class InverseSqrtLR(FactorScheduler):
    """Warm up, then let the rate fall as one over the square root of the epoch: Noam.

        rate(t) = initial rate * min((t + 1) / warmup_steps, sqrt(warmup_steps / (t + 1)))

    The initial rate is the peak, reached at t = warmup_steps - 1; for the paper's values let it be
    (d_model * warmup_steps) ** -0.5.  warmup_steps: epochs, at least 1, else ValueError.
    Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 3.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.5)
        >>> scheduler = InverseSqrtLR(optimizer, warmup_steps=2)
        >>> for _ in range(7): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    settings = ("warmup_steps",)

    def __init__(self, optimizer: Optimizer, warmup_steps: int, last_epoch: int = -1) -> None:
        self.warmup_steps = warmup_steps
        super().__init__(optimizer, last_epoch)

    def schedule(self) -> Schedule:
        return schedules.inverse_sqrt(self.warmup_steps)


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
