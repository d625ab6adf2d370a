"""A run of `fit` or `evaluate`: what it works on, and where it stands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..nn.module import Module
from ..optim.lr_scheduler import LRScheduler
from ..optim.optimizer import Optimizer
from .history import History

__all__ = ["Callback", "Run"]


class Callback:
    """The base class: methods that `fit` calls, each with the `Run`. A subclass defines some.

    A callback may serve several runs, one after another: in `start` it forgets the one before,
    unless this one goes on with what was restored (`run.epoch` is not 0).
    A callback with `state_dict` and `load_state_dict` becomes a part of checkpoints. Setting
    `run.stop = True` ends the training before the next epoch.

    >>> class Count(Callback):
    ...     steps = 0
    ...     def after_step(self, run):
    ...         self.steps += 1
    """

    def start(self, run: Run) -> None:
        """Once, before the first epoch; the model is in training mode."""

    def before_epoch(self, run: Run) -> None:
        """Before an epoch; `run.epoch` epochs are finished."""

    def before_step(self, run: Run) -> None:
        """When the gradients of a step are complete."""

    def after_step(self, run: Run) -> None:
        """After the optimizer's step; `run.step` counts it."""

    def evaluating(self, run: Run) -> contextlib.AbstractContextManager[Any]:
        """A context around the validation and the next method."""
        return contextlib.nullcontext()

    def evaluated(self, run: Run) -> None:
        """After an epoch's numbers went to the history; the model is still as it was judged."""

    def after_epoch(self, run: Run) -> None:
        """When all else of an epoch is settled, the scheduler as well: the place to save."""

    def end(self, run: Run) -> None:
        """Once, after the last epoch; not after an exception."""


@dataclass
class Run:
    """A training run as its callbacks see it; epoch and step count what is finished."""

    model: Module
    loss_fn: Callable[[Any, Any], Any]
    optimizer: Optimizer
    loader: Iterable[Any]
    scheduler: LRScheduler | None
    scheduler_per: str
    metrics: Mapping[str, Callable[[Any, Any], Any]]
    callbacks: Sequence[Callback]
    quiet: bool
    nan_loss: str = "raise"
    history: History = field(default_factory=History)
    epoch: int = 0
    step: int = 0
    stop: bool = False

    def tell(self, hook: str) -> None:
        """Calls that method of every callback, in their order."""
        for callback in self.callbacks:
            getattr(callback, hook)(self)
