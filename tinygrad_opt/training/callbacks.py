"""What may happen around a training loop: stopping early, averaging, clipping."""

from __future__ import annotations

import contextlib
import copy
import math
from typing import Any

from ..nn.module import Module
from ..nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_
from ..optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from .run import Callback, Run

__all__ = ["EMA", "ClipGradients", "EarlyStopping"]


class EarlyStopping(Callback):
    """Ends the training when a number has not improved for `patience` epochs; restores the best.

    monitor: its name in the history.  min_delta: how much better counts as better.
    mode: "min" or "max".  restore_best: at the end the model gets the parameters and buffers of the
    best epoch, as they were judged (averaged, with an EMA). A NaN is never better. Each `fit` is
    judged by itself; only one that is resumed from a checkpoint knows of what was before.

    >>> stopping = EarlyStopping("val_accuracy", patience=3, mode="max")
    """

    def __init__(
        self, monitor: str = "val_loss", patience: int = 5, min_delta: float = 0.0,
        mode: str = "min", restore_best: bool = True,
    ) -> None:  # fmt: skip
        if mode not in ("min", "max") or patience < 1 or min_delta < 0:
            raise ValueError(
                'EarlyStopping: mode must be "min" or "max", patience at least 1 and min_delta at '
                f"least 0, got {mode=}, {patience=}, {min_delta=}"
            )
        self.monitor, self.patience, self.min_delta = monitor, patience, min_delta
        self.sign = 1.0 if mode == "min" else -1.0
        self.restore_best = restore_best
        self.best, self.waited = math.inf, 0
        self.weights: dict[str, Any] | None = None

    def start(self, run: Run) -> None:
        if run.epoch == 0:
            self.best, self.waited, self.weights = math.inf, 0, None

    def before_epoch(self, run: Run) -> None:
        run.stop = run.stop or self.waited >= self.patience

    def evaluated(self, run: Run) -> None:
        record = run.history.records[-1]
        if self.monitor not in record:
            raise ValueError(
                f"EarlyStopping: nothing called {self.monitor!r} is measured, only "
                f"{', '.join(record)}; give `fit` validation data, or another `monitor`"
            )
        value = self.sign * record[self.monitor]
        self.waited += 1
        if value < self.best - self.min_delta:
            self.best, self.waited = value, 0
            if self.restore_best:
                self.weights = copy.deepcopy(run.model.state_dict())

    def end(self, run: Run) -> None:
        if self.weights is not None:
            run.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        """The best so far, for a checkpoint."""
        return {"best": self.best, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict()`."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]
        self.weights = state_dict["weights"]


class EMA(Callback):
    """Keeps an exponential average of the model over the steps; validation sees the average.

    averaged  the `AveragedModel`; `averaged.module` is the averaged model

    The model itself trains on, and ends with its own parameters; with `EarlyStopping` it ends with
    the best averaged ones. Each `fit` begins an average of its own, of its own model; only one
    that is resumed from a checkpoint goes on with it.

    >>> from tinygrad_opt import nn
    >>> ema = EMA(nn.Linear(2, 1), decay=0.99)
    """

    def __init__(self, model: Module, decay: float = 0.999) -> None:
        self.decay = decay
        self._begin(model)

    def _begin(self, model: Module) -> None:
        self.model = model
        self.averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(self.decay))

    def start(self, run: Run) -> None:
        if run.model is not self.model:
            self._begin(run.model)
        elif run.epoch == 0:
            self.averaged.n_averaged.zero_()  # the first step's parameters take the old one's place

    def after_step(self, run: Run) -> None:
        self.averaged.update_parameters(run.model)

    def evaluating(self, run: Run) -> contextlib.AbstractContextManager[Any]:
        return self.averaged.swapped_into(run.model)

    def state_dict(self) -> dict[str, Any]:
        """The averaged model's, for a checkpoint."""
        return self.averaged.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict()`."""
        self.averaged.load_state_dict(state_dict)


class ClipGradients(Callback):
    """Scales gradients to a common norm of at most `max_norm`, or cuts each at `max_value`.

    Exactly one of the two is given; else ValueError.

    >>> clipping = ClipGradients(max_norm=1.0)
    """

    def __init__(self, max_norm: float | None = None, max_value: float | None = None) -> None:
        if (max_norm is None) == (max_value is None):
            raise ValueError(
                f"ClipGradients: give max_norm or max_value, one of them, got {max_norm=}, "
                f"{max_value=}"
            )
        self.max_norm, self.max_value = max_norm, max_value

    def before_step(self, run: Run) -> None:
        parameters = [p for group in run.optimizer.param_groups for p in group["params"]]
        if self.max_norm is not None:
            clip_grad_norm_(parameters, self.max_norm)
        elif self.max_value is not None:
            clip_grad_value_(parameters, self.max_value)
