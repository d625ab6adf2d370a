"""Schedulers that begin with a warm-up, in one object; how it rises: `schedules.warmup`."""

from __future__ import annotations

from .. import schedules
from ..factor_scheduler import FactorScheduler
from ..optimizer import Optimizer
from ..schedules import Schedule


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
