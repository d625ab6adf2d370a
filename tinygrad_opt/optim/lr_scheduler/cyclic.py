"""CyclicLR: up and down between two rates, for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..optimizer import Optimizer
from ..rates import Rate, all_or_nothing, number, per_group, put
from ..scheduler_base import LRScheduler, require_optimizer
from ..schedules.cyclic import MODES, cycle_scale, triangle
from .lambdas import function_state, load_function_state
from .momentum import note_limits, uses_beta1, write_momentum


class CyclicLR(LRScheduler):
    """Move the rate up and down between base_lr and max_lr, and momentum the other way.

        rate(t) = base_lr + (max_lr - base_lr) * x * scale
        momentum(t) = max_momentum - (max_momentum - base_momentum) * x * scale
        x: rises from 0 to 1 in step_size_up epochs, falls back in step_size_down
        scale: 1 (triangular), 1/2^(cycle - 1) (triangular2), gamma^t (exp_range), or scale_fn

    base_lr, max_lr, base_momentum, max_momentum: a number, or a list of one per group.
    step_size_up: epochs, above 0.  step_size_down: epochs, at least 0; as step_size_up if None.
    scale_fn: a function of the cycle (1, 2, ...) or, with scale_mode="iterations", of the epoch;
    then mode is ignored.  cycle_momentum: needs an optimizer with momentum, or betas.
    Raises ValueError on settings outside those ranges. Source: Smith 2017, arXiv:1506.01186.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1, momentum=0.9)
        >>> scheduler = CyclicLR(optimizer, base_lr=0.25, max_lr=0.75, step_size_up=2)
        >>> optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr(), round(optimizer.param_groups[0]["momentum"], 3)
        ([0.5], 0.85)
    """

    # Slots, so no part of the state: how high this epoch is between base and max; the mode's scale.
    __slots__ = ("_at", "_scale_fn_ref")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: float = 2000,
        step_size_down: float | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        name, fresh = type(self).__name__, last_epoch == -1
        require_optimizer(name, optimizer)
        self._set_shape(name, step_size_up, step_size_down)
        if mode not in MODES and scale_fn is None:
            raise ValueError(
                f"{name}: mode is invalid and scale_fn is None: {mode!r} is none of {MODES}"
            )
        self.mode = mode
        self.gamma = gamma
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self._scale_fn_custom = scale_fn
        self._init_scale_fn()
        self.cycle_momentum = cycle_momentum
        base_lrs = per_group("base_lr", optimizer, base_lr)
        self.max_lrs = per_group("max_lr", optimizer, max_lr)
        with all_or_nothing(optimizer):
            if fresh:
                for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                    put(group, "lr", number(rate))
            if cycle_momentum:
                self.use_beta1 = uses_beta1(name, optimizer)
                self.base_momentums, self.max_momentums = note_limits(
                    optimizer, base_momentum, max_momentum, fresh
                )
            super().__init__(optimizer, last_epoch)
        # Until its first step the rate is the initial one, which another scheduler may have noted.
        self.base_lrs = base_lrs

    def _set_shape(self, name: str, up: float, down: float | None) -> None:
        """Note the length of a cycle, and the share of it that goes up."""
        up, down = float(up), float(up if down is None else down)
        if not (up > 0 and down >= 0):
            raise ValueError(
                f"{name}: step_size_up must be above 0 and step_size_down at least 0, "
                f"got {up:g} and {down:g}"
            )
        self.total_size = up + down
        self.step_ratio = up / self.total_size

    def _init_scale_fn(self) -> None:
        self._scale_fn_ref = cycle_scale(self.mode, self.gamma) if self.mode in MODES else None

    def scale_fn(self, x: float) -> float:
        """How high the peak is: a function of the cycle (1, 2, ...) or of the epoch."""
        scale: Any = self._scale_fn_custom or self._scale_fn_ref
        return scale(x)

    def _height(self) -> float:
        """Where between base and max this epoch lies: 0 at the base."""
        height, cycle = triangle(self.last_epoch, self.total_size, self.step_ratio)
        return height * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)

    def get_lr(self) -> list[Rate]:
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        self._at = height = self._height()
        limits = zip(self.base_lrs, self.max_lrs, strict=True)
        return [base + (peak - base) * height for base, peak in limits]

    def _write(self, values: Sequence[Rate]) -> None:
        super()._write(values)
        if self.cycle_momentum:
            groups, height = self.optimizer.param_groups, self._at
            limits = zip(groups, self.base_momentums, self.max_momentums, strict=True)
            for group, base, peak in limits:
                write_momentum(group, self.use_beta1, peak - (peak - base) * height)

    def state_dict(self) -> dict[str, Any]:
        """As of other schedulers; of scale_fn the attributes, None for a plain function."""
        custom = function_state(self._scale_fn_custom)
        return {**super().state_dict(), "_scale_fn_custom": custom}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a saved state; scale_fn is the one that this scheduler was built with."""
        state = {key: value for key, value in state_dict.items() if key != "_scale_fn_custom"}
        super().load_state_dict(state)
        load_function_state(self._scale_fn_custom, state_dict["_scale_fn_custom"])
        self._init_scale_fn()

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._init_scale_fn()
