"""What a schedule is, how schedules are combined, and how they are written down as JSON."""

from __future__ import annotations

import functools
import inspect
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ParamSpec

__all__ = ["Schedule", "chained", "from_json", "scaled", "schedule", "sequential", "to_json"]

Formula = Callable[[float], float]


P = ParamSpec("P")


FACTORIES: dict[str, Callable[..., Schedule]] = {}  # name -> the function that makes the schedule


NO_JSON = (
    "a {kind} has no form in JSON. Use one of the named schedules, or put @schedule above a "
    "function that takes the settings and returns the formula, and pass what it returns"
)


class Schedule:
    """A pure function of the step that knows its name and its settings.

        s(step)        the value at a step: 0, 1, 2, ... in any order
        a * b, 0.1 * a multiply, step by step (`chained`, `scaled`)
        a.then(b, at)  a for the steps before `at`, then b, which counts from 0 (`sequential`)
        a == b         the same name and settings
        a.to_json()    plain data for `from_json`

    Made by the functions of this package, or by your own under the decorator `schedule`.

        >>> from tinygrad_opt.optim.schedules import exponential, fixed
        >>> rate = 0.5 * fixed().then(exponential(gamma=0.5), at=2)
        >>> [rate(step) for step in range(5)]
        [0.5, 0.5, 0.5, 0.25, 0.125]
    """

    __slots__ = ("formula", "name", "settings")

    def __init__(self, name: str, settings: dict[str, Any], formula: Formula) -> None:
        self.name = name
        self.settings = settings
        self.formula = formula

    def __call__(self, step: float) -> float:
        return self.formula(step)

    def __mul__(self, other: Any) -> Schedule:
        if isinstance(other, Real):
            return scaled(self, float(other))
        return chained([self, other]) if callable(other) else NotImplemented

    __rmul__ = __mul__

    def then(self, other: Formula, at: int) -> Schedule:
        """This schedule for the steps before `at`, and from then on `other`, counted from 0."""
        return sequential([self, other], [at])

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return (self.name, self.settings) == (other.name, other.settings)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.name, self.settings)

    def to_json(self) -> dict[str, Any]:
        """{"schedule": name, "settings": {...}}; TypeError where a plain function takes part."""
        return to_json(self)


def schedule(build: Callable[P, Formula]) -> Callable[P, Schedule]:
    """Decorate a function from settings to a formula: it then returns a Schedule.

    build: checks its settings and returns a function from the step to the value. Its name is
    what `to_json` writes; `from_json` needs the decorated function imported.

        >>> @schedule
        ... def halving(every):
        ...     return lambda step: 0.5 ** (step // every)
        >>> halving(every=2)(5)
        0.25
        >>> from_json(halving(2).to_json())
        halving(every=2)
    """
    signature = inspect.signature(build)

    @functools.wraps(build)
    def named(*args: P.args, **kwargs: P.kwargs) -> Schedule:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return Schedule(build.__name__, dict(bound.arguments), build(*bound.args, **bound.kwargs))

    FACTORIES[build.__name__] = named
    return named


# Combining ----------------------------------------------------------------------------------------


@schedule
def scaled(schedule: Formula, by: float) -> Formula:
    """`by` times another schedule: `0.1 * schedule`.  by: a finite number, else ValueError."""
    require_number("by", by)
    return lambda step: by * schedule(step)


@schedule
def chained(factors: Sequence[Formula]) -> Formula:
    """The product of several schedules at each step: `a * b`.

        f(t) = a(t) * b(t) * ...

    Raises ValueError without any, TypeError for what cannot be called.
    """
    parts = _functions("chained", factors)
    return lambda step: math.prod(part(step) for part in parts)


@schedule
def sequential(schedules: Sequence[Formula], milestones: Sequence[int]) -> Formula:
    """One schedule after another, each counting its own steps: `a.then(b, at=milestone)`.

        f(t) = schedules[i](t - milestones[i - 1]), i = how many milestones are <= t

    milestones: steps in rising order, one fewer than schedules.
    Raises ValueError otherwise, TypeError for what cannot be called.
    """
    parts, starts = _functions("sequential", schedules), [0, *milestones]
    if len(starts) != len(parts):
        raise ValueError(
            f"sequential: {len(parts)} schedules need {len(parts) - 1} milestones, "
            f"got {len(milestones)}"
        )
    for milestone in milestones:
        require_integer("milestones", milestone, least=0)
    if starts != sorted(starts):
        raise ValueError(f"sequential: milestones must rise, got {list(milestones)}")

    def formula(step: float) -> float:
        i = bisect_right(starts, step, lo=1) - 1
        return parts[i](step - starts[i])

    return formula


def _functions(owner: str, parts: Sequence[Any]) -> list[Formula]:
    if len(parts) == 0:
        raise ValueError(f"{owner}: expected at least one schedule, got none")
    for part in parts:
        if not callable(part):
            raise TypeError(f"{owner}: a schedule is a function of the step, got {part!r}")
    return list(parts)


# JSON ---------------------------------------------------------------------------------------------


def to_json(value: Any) -> Any:
    """A schedule, or a setting of one, as plain JSON data; TypeError where that is impossible."""
    if isinstance(value, Schedule):
        settings = {name: to_json(setting) for name, setting in value.settings.items()}
        return {"schedule": value.name, "settings": settings}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    kind = "lambda" if getattr(value, "__name__", "") == "<lambda>" else type(value).__name__
    raise TypeError(NO_JSON.format(kind=kind))


def from_json(data: Any) -> Any:
    """The schedule that `to_json` wrote; ValueError where no such schedule is known."""
    if isinstance(data, dict):
        settings = {name: from_json(value) for name, value in data["settings"].items()}
        return _rebuild(data["schedule"], settings)
    return [from_json(item) for item in data] if isinstance(data, list) else data


def _rebuild(name: str, settings: dict[str, Any]) -> Schedule:
    if name not in FACTORIES:
        raise ValueError(
            f"no schedule is named {name!r}: import the module that defines it under @schedule"
        )
    return FACTORIES[name](**settings)


# Checks of a schedule's settings; each raises ValueError with the name and the bad value ----------


def require_number(name: str, value: Any) -> None:
    """A finite number."""
    if not (isinstance(value, (int, float, Real)) and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, got {value!r}")


def require_nonnegative(name: str, value: Any) -> None:
    """A finite number, at least 0; NaN fails too."""
    if not (isinstance(value, (int, float, Real)) and 0 <= float(value) < math.inf):
        raise ValueError(f"{name} must be a finite number, at least 0, got {value!r}")


def require_positive(name: str, value: Any) -> None:
    """A finite number above 0."""
    if not (isinstance(value, (int, float, Real)) and 0 < float(value) < math.inf):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def require_fraction(name: str, value: Any) -> None:
    """A number within [0, 1]."""
    if not (isinstance(value, (int, float, Real)) and 0 <= float(value) <= 1):
        raise ValueError(f"{name} must be between 0 and 1, got {value!r}")


def require_integer(name: str, value: Any, least: int) -> None:
    """A whole number, at least `least`."""
    if not (isinstance(value, (int, Integral)) and int(value) >= least):
        raise ValueError(f"{name} must be an integer, at least {least}, got {value!r}")


def require_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """One of the names in `choices`."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
