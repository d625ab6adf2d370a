"""Pictures of schedules: `plot_schedule` draws them, `simulate` gives the numbers.

Drawing needs matplotlib: `pip install 'tinygrad_opt[examples]'`. It is imported when a picture is
asked for, and no sooner.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..core.tensor import Tensor
from .learning_rates import number
from .lr_scheduler import LRScheduler, ReduceLROnPlateau
from .optimizer import Optimizer

__all__ = ["plot_schedule", "simulate"]


def plot_schedule(
    *schedules: LRScheduler | Callable[[int], float],
    steps: int = 100,
    parameter: str = "lr",
    labels: Sequence[str] | None = None,
    metrics: Sequence[float] | None = None,
    ax: Any = None,
) -> Any:
    """Draw one or several schedules in steps, as they act: a line for each parameter group.

    A line is flat from each step to the next one.

    schedules: functions of the step, or schedulers. A scheduler is drawn as it would go on from
    where it stands, alone; it and its optimizer are left as they are.
    steps: how many steps to draw.  parameter: which setting of the groups, for schedulers: "lr",
    "momentum", "weight_decay", "betas[0]", ...  labels: names for the legend, one per schedule.
    metrics: what ReduceLROnPlateau and PlateauLR are shown, one per step.
    ax: matplotlib's Axes to draw into; a new figure's if None. Returns the Axes.
    Raises ImportError without matplotlib, ValueError for no schedule, too few labels or metrics,
    or a setting that the groups lack.

        >>> import matplotlib; matplotlib.use("agg")
        >>> from tinygrad_opt.optim.schedules import cosine, warmup_cosine
        >>> ax = plot_schedule(cosine(T_max=100), warmup_cosine(10, 100))
        >>> [line.get_label() for line in ax.lines]
        ['cosine', 'warmup_cosine']
    """
    names = _names(schedules) if labels is None else list(labels)
    if not schedules or len(names) != len(schedules):
        raise ValueError(
            f"plot_schedule: {len(schedules)} schedules and {len(names)} labels; give at least "
            "one schedule, and one label for each"
        )
    curves = [_curves(one, steps, parameter, metrics) for one in schedules]
    axes = _new_axes() if ax is None else ax
    for name, (start, lines) in zip(names, curves, strict=True):
        for i, values in enumerate(lines):
            label = name if len(lines) == 1 else f"{name}, group {i}"
            # A value holds for a whole step: flat from its number to the next, the last one, too.
            edges, ends = range(start, start + steps + 1), [*values, *values[-1:]]
            axes.plot(edges[: len(ends)], ends, drawstyle="steps-post", label=label)
    axes.set(xlabel="step", ylabel=parameter)
    if sum(len(lines) for _, lines in curves) > 1:
        axes.legend()
    return axes


def simulate(
    scheduler: LRScheduler,
    steps: int,
    parameter: str = "lr",
    metrics: Sequence[float] | None = None,
) -> list[list[float]]:
    """What a scheduler would write from here on: for each group the values of `steps` steps.

    The first value is the present one. The scheduler and its optimizer are left as they are.
    Arguments and errors as in `plot_schedule`.

        >>> from tinygrad_opt import optim, zeros
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=0.8)
        >>> simulate(optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5), steps=3)
        [[0.8, 0.4, 0.2]]
    """
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    if plateau and (metrics is None or len(metrics) < steps):
        raise ValueError(
            f"{type(scheduler).__name__} is moved by metrics: give {steps} of them, "
            f"got {None if metrics is None else len(metrics)}"
        )
    # A copy of the scheduler moves a stand-in, which has the groups' settings and no parameters.
    stand_in = _stand_in(scheduler.optimizer)
    twin: Any = copy.deepcopy(scheduler, {id(scheduler.optimizer): stand_in})
    values = [[_read(group, parameter)] for group in stand_in.param_groups]
    for step in range(steps - 1):
        twin.step(*([metrics[step]] if plateau and metrics is not None else []))
        for line, group in zip(values, stand_in.param_groups, strict=True):
            line.append(_read(group, parameter))
    return values


def _curves(
    schedule: Any, steps: int, parameter: str, metrics: Sequence[float] | None
) -> tuple[int, list[list[float]]]:
    """(the first step, the values of each group)."""
    if isinstance(schedule, LRScheduler):
        start = getattr(schedule, "last_epoch", 0)
        return start, simulate(schedule, steps, parameter, metrics)
    return 0, [[number(schedule(step)) for step in range(steps)]]


def _names(schedules: Iterable[Any]) -> list[str]:
    """A name for each: the class of a scheduler, the name of a function."""
    return [
        type(one).__name__
        if isinstance(one, LRScheduler)
        else str(getattr(one, "name", getattr(one, "__name__", type(one).__name__)))
        for one in schedules
    ]


def _stand_in(optimizer: Optimizer) -> Optimizer:
    """An optimizer without parameters whose groups have the same settings."""
    twin = Optimizer.__new__(Optimizer)
    twin.defaults = dict(optimizer.defaults)
    twin.param_groups = [
        {
            key: value.clone() if isinstance(value, Tensor) else copy.copy(value)
            for key, value in group.items()
            if key != "params"
        }
        for group in optimizer.param_groups
    ]
    if "step" in vars(optimizer):  # overridden: schedulers compare it with what they found
        vars(twin)["step"] = vars(optimizer)["step"]
    twin._opt_called = True
    return twin


def _read(group: dict[str, Any], parameter: str) -> float:
    """A setting of a group, or a part of one: "betas[0]"."""
    key, _, index = parameter.rstrip("]").partition("[")
    if key not in group:
        raise ValueError(f"the groups have no {key!r}; they have {', '.join(group)}")
    return number(group[key][int(index)] if index else group[key])


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            "plot_schedule needs matplotlib: pip install 'tinygrad_opt[examples]'"
        ) from error
    return pyplot.subplots(layout="constrained")[1]
