"""A scheduler made of a pure function of the step, which shares an optimizer with others."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from itertools import zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ...core.declared import Argument, arguments_of, constructor, next_constructor
from ...core.tensor import Tensor
from ..learning_rates import Rate, as_held, current_rates, number
from ..optimizer import Optimizer
from ..schedules.core import Formula
from .base import LRScheduler

__all__ = ["FactorScheduler"]


class FactorScheduler(LRScheduler):
    """A scheduler made of a pure function: rate(t) = initial rate * f(t), f = self.schedule().

    Where a group holds what this schedule wrote for t - 1, the closed form is written: no rounding
    error accumulates. Where somebody else changed it (another scheduler, or by hand), the change
    is carried over, as PyTorch's recurrences do:

        rate = rate * f(t) / f(t - 1),   or   rate + initial rate * f(t)   where f(t - 1) = 0

    Both read nothing but the group's rate and t: resuming from those gives the same bits. A
    schedule may fall to a `floor` other than 0; what is said of rates then holds for rate - floor.

    of: a function of the settings that returns f. Its arguments are those of the constructor,
    between `optimizer` and `last_epoch`, and the attributes; its documentation is the class's.
    Without it a subclass defines `schedule`.

        >>> from tinygrad_opt import optim, zeros
        >>> class InverseRootLR(FactorScheduler):
        ...     def schedule(self):
        ...         return lambda step: (1 + step) ** -0.5
        >>> optimizer = optim.SGD([zeros(3, requires_grad=True)], lr=1.0)
        >>> scheduler = InverseRootLR(optimizer)
        >>> for _ in range(3): optimizer.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]
    """

    # The attributes that `schedule()` reads. Where they are named, it is only asked again when one
    # of them has changed; None: it is asked at every step.
    settings: tuple[str, ...] | None = None
    _of: Callable[..., Formula] | None = None
    _arguments: tuple[str, ...] = ()  # the settings that `_of` takes
    # With last_epoch >= 0, does the constructor leave the rate as it is, or make its step?
    # PyTorch does the first for smooth schedules and the second for those that jump.
    _holds_on_resume = True

    # Slots, so no part of vars() and of the state: (settings, formula), (formula, epoch, factor).
    __slots__ = ("_known", "_latest")
    _read: Callable[[Any], Any] | None = None

    if TYPE_CHECKING:  # the settings of subclasses, which are known when they run

        def __init__(self, optimizer: Optimizer, *settings: Any, **named: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls, of: Callable[..., Formula] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if of is not None:
            _declare(cls, of)
        if "schedule" in vars(cls) or "settings" in vars(cls):
            names = vars(cls).get("settings")
            # The class is read as well: attrgetter wants at least one name.
            cls._read = None if names is None else attrgetter("__class__", *names)

    def schedule(self) -> Formula:
        """The pure function for the present settings: step -> factor of the initial rate."""
        if self._of is None:
            raise NotImplementedError(f"{type(self).__name__} does not define schedule()")
        return self._of(**{name: getattr(self, name) for name in self._arguments})

    @property
    def floor(self) -> float:
        """What the rate falls to where the factor is 0."""
        return 0.0

    def _prepare(self) -> None:
        self._forget()
        try:
            self._formula()
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def _forget(self) -> None:
        self._known: tuple[Any, Formula] | None = None
        self._latest: tuple[Formula | None, int, float] = None, -1, 1.0

    def _formula(self) -> Formula:
        read = type(self)._read
        if read is None:
            return self.schedule()
        settings, known = read(self), self._known
        if known is None or known[0] != settings:
            made = self.schedule()
            self._known = known = settings, getattr(made, "formula", made)
        return known[1]

    def get_lr(self) -> list[Rate]:
        if not self._get_lr_called_within_step:
            self._warn_outside_step()
        now, before = self._factors()
        epoch = self.last_epoch
        if now == before or (self._is_initial and epoch > 0 and self._holds_on_resume):
            return current_rates(self.optimizer)
        # A group added later has no initial rate; it takes part by the ratio alone.
        pairs = zip_longest(self.optimizer.param_groups, self.base_lrs)
        floor = self.floor
        return [_carry(group["lr"], base, floor, now, before) for group, base in pairs]

    def _factors(self) -> tuple[float, float]:
        """The factors of this epoch and of the one before, which is mostly still known."""
        epoch, formula, before = self.last_epoch, self._formula(), 1.0
        if epoch > 0:
            latest = self._latest
            known = latest[0] is formula and latest[1] == epoch - 1
            before = latest[2] if known else formula(epoch - 1)
        now = formula(epoch)
        self._latest = formula, epoch, now
        return now, before

    def _get_closed_form_lr(self) -> list[Rate]:
        factor, floor = self._formula()(self.last_epoch), self.floor
        return [floor + (number(base) - floor) * factor for base in self.base_lrs]

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()


def _carry(rate: Rate, base: Rate | None, floor: float, now: float, before: float) -> float:
    """The rate for factor `now`, from the rate that a group holds after factor `before`."""
    if base is None:
        value = number(rate)
        return floor + (value - floor) * (now / before) if before != 0 else value
    value, height = number(rate), number(base) - floor
    written = floor + height * before
    if value == written or (isinstance(rate, Tensor) and value == as_held(rate, written)):
        return floor + height * now
    return floor + (value - floor) * (now / before) if before != 0 else value + height * now


# What follows from the function that makes the schedule -------------------------------------------


def _declare(cls: Any, of: Callable[..., Formula]) -> None:
    """Give a class the constructor, the settings and the documentation of its function."""
    parameters = arguments_of(of)
    if "__init__" not in vars(cls):
        cls.__init__ = _constructor(cls, parameters)
    taken = [p.name for p in arguments_of(cls.__init__)]
    cls._arguments = tuple(p.name for p in parameters if p.name in taken)
    if "settings" not in vars(cls):
        cls.settings = cls._arguments
    cls._of = staticmethod(of)
    if "rate(t)" not in (cls.__doc__ or ""):
        cls.__doc__ = _documented(cls.__doc__, of.__doc__)


def _constructor(cls: type, parameters: list[Argument]) -> Any:
    def run(self: FactorScheduler, given: dict[str, Any]) -> None:
        optimizer, last_epoch = given.pop("optimizer"), given.pop("last_epoch")
        for name, value in given.items():  # vars(self).update would slow later reading down
            setattr(self, name, value)
        next_constructor(cls, self)(self, optimizer, last_epoch)

    shared = {p.name: p for p in arguments_of(LRScheduler.__init__)}
    taken = [shared["optimizer"], *parameters, shared["last_epoch"]]
    return constructor(cls.__qualname__, taken, run, globals())


def _documented(own: str | None, function: str | None) -> str:
    """The formula and the settings of the function, after the first sentence of the class."""
    text = re.sub(r"\bstep(s?)\b", r"epoch\1", inspect.cleandoc(function or ""))
    first, _, formula = text.partition("\n\n")
    parts = [first, f"    rate(t) = initial rate * f(t)\n{formula}"]
    if own:
        parts[0], _, rest = inspect.cleandoc(own).partition("\n\n")
        parts += [rest] if rest else []
    return "\n\n".join(parts)
