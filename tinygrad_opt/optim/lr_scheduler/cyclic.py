"""CyclicLR: up and down between two rates, for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...arrays.size import WHOLE
from ..learning_rates import Rate, all_or_nothing, copied, number, per_group, put
from ..optimizer import Optimizer
from ..schedules.cyclic import (
    MODES,
    along_cosine,
    along_line,
    cycle_scale,
    interpolation,
    one_cycle_ends,
    phase_of,
    triangle,
)
from .base import LRScheduler, require_optimizer
from .custom import function_state, load_function_state

__all__ = ["CyclicLR", "OneCycleLR"]


class CyclicLR(LRScheduler):
    """Moves the rate up and down between base_lr and max_lr, and momentum the other way.

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
        """Takes over a saved state; scale_fn is the one that this scheduler was built with."""
        state = {key: value for key, value in state_dict.items() if key != "_scale_fn_custom"}
        super().load_state_dict(state)
        load_function_state(self._scale_fn_custom, state_dict["_scale_fn_custom"])
        self._init_scale_fn()

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._init_scale_fn()


# OneCycleLR: up once, then down to almost nothing, in a given number of steps ---------------------


# Where each phase leads, as keys of the groups: (rate, momentum).
TWO_PHASES = [
    ("initial_lr", "max_momentum"),
    ("max_lr", "base_momentum"),
    ("min_lr", "max_momentum"),
]


THREE_PHASES = [*TWO_PHASES[:2], TWO_PHASES[0], TWO_PHASES[2]]


class OneCycleLR(LRScheduler):
    """The 1cycle policy: rise to max_lr, then fall far below the start; momentum the other way.

        initial_lr = max_lr / div_factor,  min_lr = initial_lr / final_div_factor
        two phases:   initial_lr -> max_lr -> min_lr, the peak at pct_start * total_steps - 1
        three phases: initial_lr -> max_lr -> initial_lr -> min_lr
        momentum:     max_momentum -> base_momentum -> max_momentum [-> max_momentum]

    max_lr, base_momentum, max_momentum: a number, or a list of one per group.
    total_steps: epochs, the whole training; or epochs * steps_per_epoch.  pct_start: a float in
    [0, 1], the share that rises.  anneal_strategy: "cos" or "linear".  Needs momentum or betas
    unless cycle_momentum=False. The limits are kept in the groups, where they may be changed.
    Raises ValueError on settings outside those ranges, and on a step beyond total_steps.
    Source: Smith & Topin 2018, arXiv:1708.07120; two phases after fastai.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.1, momentum=0.9)
        >>> scheduler = OneCycleLR(optimizer, max_lr=0.5, total_steps=10, div_factor=5)
        >>> for _ in range(2): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()  # the peak
        [0.5]
    """

    __slots__ = ("_at",)  # this epoch's phase, the part of it that is done, and how it anneals

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        name, fresh = type(self).__name__, last_epoch == -1
        require_optimizer(name, optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        interpolation(anneal_strategy)  # raises where there is none
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum = cycle_momentum
        peaks = per_group("max_lr", optimizer, max_lr)
        with all_or_nothing(optimizer):
            if fresh:
                for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                    group["initial_lr"] = peak / div_factor
                    group["max_lr"] = peak
                    group["min_lr"] = group["initial_lr"] / final_div_factor
            if cycle_momentum:
                self.use_beta1 = uses_beta1(name, optimizer)
                note_limits(optimizer, base_momentum, max_momentum, fresh)
            super().__init__(optimizer, last_epoch)

    _annealing_cos = staticmethod(along_cosine)
    _annealing_linear = staticmethod(along_line)

    def get_lr(self) -> list[Rate]:
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"Tried to step {self.last_epoch} times. The specified number of total steps is "
                f"{self.total_steps}: build {type(self).__name__} with as many as you take"
            )
        phases = self._schedule_phases
        i, done = phase_of(self.last_epoch, [phase["end_step"] for phase in phases])
        anneal = interpolation(self._anneal_func_type)
        self._at = phases[i], done, anneal
        start, end = phases[i]["start_lr"], phases[i]["end_lr"]
        return [anneal(group[start], group[end], done) for group in self.optimizer.param_groups]

    def _write(self, values: Sequence[Rate]) -> None:
        super()._write(values)
        if self.cycle_momentum:
            phase, done, anneal = self._at
            start, end = phase["start_momentum"], phase["end_momentum"]
            for group in self.optimizer.param_groups:
                write_momentum(group, self.use_beta1, anneal(group[start], group[end], done))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a saved state, also PyTorch's older ones, which hold the function itself."""
        state = dict(state_dict)
        function = state.pop("anneal_func", None)
        if function is not None and "_anneal_func_type" not in state:
            linear = "lin" in getattr(function, "__name__", "")  # ours, or PyTorch's
            state["_anneal_func_type"] = "linear" if linear else "cos"
        super().load_state_dict(state)


def _total_steps(total: Any, epochs: Any, steps_per_epoch: Any) -> int:
    """The number of steps, from either way of saying it."""
    if total is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    named = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    for name, value in ({"total_steps": total} if total is not None else named).items():
        if not isinstance(value, WHOLE) or value <= 0:
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return int(total) if total is not None else int(epochs) * int(steps_per_epoch)


def _phases(total_steps: int, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
    """Where each phase ends, and between which settings of a group it leads."""
    ends = one_cycle_ends(total_steps, pct_start, three_phase)
    limits = THREE_PHASES if three_phase else TWO_PHASES
    return [
        {
            "end_step": end,
            "start_lr": limits[i][0],
            "end_lr": limits[i + 1][0],
            "start_momentum": limits[i][1],
            "end_momentum": limits[i + 1][1],
        }
        for i, end in enumerate(ends)
    ]


# Cycling momentum against the learning rate, for CyclicLR and OneCycleLR --------------------------


def uses_beta1(owner: str, optimizer: Optimizer) -> bool:
    """Whether momentum is betas[0]; ValueError where the optimizer has neither."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        raise ValueError(
            f"{owner}: optimizer must support momentum or beta1 with `cycle_momentum` option "
            f"enabled, and {type(optimizer).__name__} has neither; pass cycle_momentum=False"
        )
    return "betas" in optimizer.defaults


def note_limits(optimizer: Optimizer, base: Any, peak: Any, fresh: bool) -> tuple[list, list]:
    """(base_momentum, max_momentum) of every group; a fresh scheduler notes them in the groups."""
    bases = per_group("base_momentum", optimizer, base)
    peaks = per_group("max_momentum", optimizer, peak)
    if fresh:
        for group, low, high in zip(optimizer.param_groups, bases, peaks, strict=True):
            group["max_momentum"], group["base_momentum"] = copied(high), copied(low)
    return bases, peaks


def write_momentum(group: dict[str, Any], beta1: bool, value: Any) -> None:
    """Put a momentum, a number or a Tensor, into a group."""
    if beta1:
        group["betas"] = (number(value), *group["betas"][1:])
    else:
        put(group, "momentum", number(value))
