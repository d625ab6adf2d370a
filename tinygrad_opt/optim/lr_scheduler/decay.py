"""Schedulers that multiply the rate by a factor of the epoch alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .. import schedules
from ..factor_scheduler import FactorScheduler
from ..optimizer import Optimizer
from ..schedules import Schedule


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
