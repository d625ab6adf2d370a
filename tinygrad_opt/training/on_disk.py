"""What a training loop leaves on the disk: checkpoints to resume from, and a log of its numbers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from typing import Any

from .checkpoints import Checkpoints
from .metrics_log import MetricsLog
from .run import Callback, Run

__all__ = ["LogMetrics", "SaveCheckpoints"]


class LogMetrics(Callback):
    """Writes the numbers of each epoch to a `MetricsLog`, and leaves it open.

    An epoch that is done again after a crash stands there twice, and a second `fit` writes behind
    the first: for logs of their own give each a MetricsLog.
    """

    def __init__(self, log: MetricsLog) -> None:
        self.log = log

    def after_epoch(self, run: Run) -> None:
        values = dict(run.history.records[-1])
        self.log.write(int(values.pop("step")), **values)


class SaveCheckpoints(Callback):
    """Saves everything after each epoch (see `Checkpoints`), and resumes from the newest.

    Run the same script again after an interruption: it goes on after the last whole epoch, and ends
    with the same bits as without. That holds for the model, optimizer, scheduler, history, loader
    and those callbacks that have a `state_dict`. More epochs continue a finished run. What is in
    the folder outlives a `fit` on purpose: give each run a folder of its own.
    folder, keep: as for `Checkpoints`.  every: epochs from one checkpoint to the next.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, keep: int | None = 3, every: int = 1
    ) -> None:
        if every < 1:
            raise ValueError(f"SaveCheckpoints: every must be at least 1 epoch, got {every}")
        self.folder, self.keep, self.every = folder, keep, every
        self._finished: Any = None  # a weak reference to the model that was trained to the end

    def start(self, run: Run) -> None:
        self.checkpoints = Checkpoints(self.folder, keep=self.keep, **dict(_parts(run)))
        finished = self._finished is not None and self._finished() is not run.model
        if finished and self.checkpoints.steps():
            raise ValueError(
                f"SaveCheckpoints: {os.fspath(self.folder)} has the checkpoints of another model, "
                "trained to the end with this callback; they would take the place of this one. "
                "Give each run a folder of its own"
            )
        values = self.checkpoints.restore()
        if values is not None:
            run.epoch, run.step = values["epoch"], values["step"]

    def after_epoch(self, run: Run) -> None:
        if run.epoch % self.every == 0:
            self.checkpoints.save(run.step, epoch=run.epoch)

    def end(self, run: Run) -> None:
        self._finished = weakref.ref(run.model)


def _parts(run: Run) -> Iterator[tuple[str, Any]]:
    """What a checkpoint of the run consists of."""
    yield from [("model", run.model), ("optimizer", run.optimizer), ("history", run.history)]
    for name, part in [("scheduler", run.scheduler), ("loader", run.loader)]:
        if hasattr(part, "state_dict"):
            yield name, part
    for i, callback in enumerate(run.callbacks):
        if hasattr(callback, "state_dict"):
            yield f"{type(callback).__name__}{i}", callback
