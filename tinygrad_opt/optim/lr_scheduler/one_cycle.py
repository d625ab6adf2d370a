"""OneCycleLR: up once, then down to almost nothing, in a given number of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from ..rates import Rate, all_or_nothing, per_group
from ..scheduler_base import LRScheduler, require_optimizer
from ..schedules.cyclic import along_cosine, along_line, interpolation, one_cycle_ends, phase_of
from .momentum import note_limits, uses_beta1, write_momentum

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
        """Take over a saved state, also PyTorch's older ones, which hold the function itself."""
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
        if not isinstance(value, int) or value <= 0:
            raise ValueError(f"Expected positive integer {name}, but got {value}")
    return total if total is not None else epochs * steps_per_epoch


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
