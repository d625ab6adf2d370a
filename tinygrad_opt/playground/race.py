"""Two contestants on one task, step by step: the same start, the same batches."""

from __future__ import annotations

import math
import statistics
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import compiled
from ..core.tensor import Tensor
from .contestants import CONTESTANTS, Entry, Value, schedule
from .tasks import Classification, Descent

__all__ = ["Choice", "History", "Race", "Racer", "Task"]

Task = Classification | Descent

LONGEST = 600  # points of a curve: a page shows no more


@dataclass(frozen=True)
class Choice:
    """Who races: an entry, where its knobs stand, and the schedule of its learning rate."""

    entry: Entry = CONTESTANTS["Adam"]
    values: Mapping[str, Value] = field(default_factory=dict)
    schedule: str = "constant"


class History:
    """Step, loss, gradient norm and learning rate; of a long race every second, fourth ... step."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        self._every = 1

    def add(self, step: int, *values: float) -> None:
        """One step's values; only every so many steps are kept."""
        if step % self._every:
            return
        self.rows.append((step, *values))
        if len(self.rows) > LONGEST:
            self._every *= 2
            self.rows = [row for row in self.rows if not row[0] % self._every]

    def columns(self, count: int) -> list[np.ndarray]:
        """One array for each of the `count` values of a row."""
        table = np.array(self.rows, np.float64).reshape(-1, count)
        return list(table.T)


class Racer:
    """A model, its optimizer, and how they have fared.

    Attributes:
        choice: who it is.  step: how many steps it has taken.
        history: step, loss, norm of the gradient, rate.  path: places on a landscape.
        stopped: why it takes no further steps; "" while it does.
    """

    def __init__(self, task: Task, choice: Choice, length: int, compile_it: bool = False) -> None:
        """Raises ValueError for settings that make no sense."""
        self.task, self.choice, self.step = task, choice, 0
        self.prepared = task.prepare()
        self.model = self.prepared.model()
        self.optimizer = choice.entry.make(self.model.parameters(), self.values)
        self._factor = schedule(choice.schedule, length)
        self.history, self.path, self.stopped = History(), History(), ""
        self._times: deque[float] = deque(maxlen=31)
        self._switch("train")
        self._eager = self._step_function()
        self._compiled = compiled.compile(self._eager)
        self.compile_it = compile_it
        self._note_place()

    @property
    def values(self) -> dict[str, Value]:
        """Where all knobs stand."""
        starts = self.choice.entry.starts(isinstance(self.task, Descent))
        return {**starts, **self.choice.values}

    def turn(self, values: Mapping[str, Value]) -> None:
        """Other settings from the next step on; with ValueError, none."""
        choice = replace(self.choice, values={**self.choice.values, **values})
        entry, before = choice.entry, self.choice
        self.choice = choice
        try:
            entry.turn(self.optimizer, self.values)
        except (ValueError, TypeError):
            self.choice = before
            raise

    def schedule(self, name: str, length: int) -> None:
        """Another schedule, as if the race had begun with it."""
        self._factor = schedule(name, length)
        self.choice = replace(self.choice, schedule=name)

    def advance(self) -> None:
        """One step; one that leaves numbers behind which are not finite is the last."""
        if self.stopped:
            return
        # settings, schedule and batch of this step
        rate = float(self.values.get("lr", 0.0)) * self._factor(self.step)
        for group in self.optimizer.param_groups:
            if "lr" in group:
                group["lr"] = rate
        batch = self.prepared.batch(self.step)
        run = self._compiled if self.compile_it and self.can_compile else self._eager
        start = time.perf_counter()
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # that a step stays eager, `compiled_text` says
                loss = float(run(*batch).item())
        except Exception as error:  # of a typed rule, or of settings that meet only now
            self.stopped = f"step {self.step + 1} failed: {type(error).__name__}: {error}"
            return
        self._times.append(time.perf_counter() - start)
        norm = self._norm()
        self.history.add(self.step, loss, norm, rate)
        self.step += 1
        if not (math.isfinite(loss) and math.isfinite(norm) and self._finite()):
            self.stopped = (
                f"at step {self.step} numbers were no longer finite (loss {loss:.3g}, gradient "
                f"{norm:.3g}): try a smaller lr, and mind divisions and roots in the rule"
            )
            return
        self._note_place()

    @property
    def seconds(self) -> float:
        """What a step takes, the median of the last ones; NaN before the first."""
        return statistics.median(self._times) if self._times else math.nan

    def forget_times(self) -> None:
        """What a step takes is another thing from now on."""
        self._times.clear()

    @property
    def can_compile(self) -> bool:
        """Whether a step is one that `compile` takes: it evaluates the model once."""
        return self.choice.entry.cls.__name__ != "LBFGS"

    def compiled_text(self) -> str:
        """The compiled step, or why there is none."""
        if not self.can_compile:
            return "# LBFGS evaluates the model several times in a step: its steps stay eager."
        if not self.compile_it or self.step < 2:
            return ""
        try:
            return self._compiled.source()
        except (ValueError, RuntimeError) as error:
            return f"# {error}"

    def field(self) -> np.ndarray | None:
        """The probability of class 1 over the picture; None on a landscape."""
        if isinstance(self.task, Descent):
            return None
        self._switch("eval")
        try:
            return self.task.field(self.model)
        finally:
            self._switch("train")

    def accuracy(self) -> float:
        """The share of points whose class is found; NaN on a landscape."""
        if isinstance(self.task, Descent):
            return math.nan
        self._switch("eval")
        try:
            return self.task.accuracy(self.model, self.prepared)
        finally:
            self._switch("train")

    def _switch(self, mode: str) -> None:
        """Schedule-free optimizers train at one place and are judged at another."""
        if hasattr(self.optimizer, mode):
            getattr(self.optimizer, mode)()

    def _step_function(self) -> Callable[..., Tensor]:
        """One training step, as a loop of PyTorch's has it."""
        model, optimizer, loss_of = self.model, self.optimizer, self.prepared.loss

        def step(*batch: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(model, *batch)
            loss.backward()
            optimizer.step()
            return loss

        def step_of_closure(*batch: Tensor) -> Tensor:
            def closure() -> Tensor:
                optimizer.zero_grad()
                loss = loss_of(model, *batch)
                loss.backward()
                return loss

            loss: Tensor = optimizer.step(closure)
            return loss

        return step if self.can_compile else step_of_closure

    def _norm(self) -> float:
        grads = [p.grad.numpy() for p in self.model.parameters() if p.grad is not None]
        return math.sqrt(sum(float(np.vdot(g, g)) for g in grads))

    def _finite(self) -> bool:
        return all(np.isfinite(p.detach().numpy()).all() for p in self.model.parameters())

    def _note_place(self) -> None:
        if isinstance(self.task, Descent):
            self.path.add(self.step, *self.task.place(self.model))


class Race:
    """Two racers on one task, for `length` steps.

    Attributes:
        task: what is learnt.  racers: the two.  step: how many steps have been taken.
        length: of the race, and of the schedules.
    """

    def __init__(
        self, task: Task, choices: tuple[Choice, Choice], length: int = 1000,
        compile_it: bool = False,
    ) -> None:  # fmt: skip
        self.task, self.length, self.step = task, length, 0
        self.racers = [Racer(task, choice, length, compile_it) for choice in choices]

    @property
    def over(self) -> bool:
        """Whether the last step has been taken, or nobody can go on."""
        return self.step >= self.length or all(racer.stopped for racer in self.racers)

    def advance(self) -> None:
        """One step of both."""
        for racer in self.racers:
            racer.advance()
        self.step += 1

    def compile(self, compile_it: bool) -> None:
        """Run compiled steps from now on, or eager ones."""
        for racer in self.racers:
            racer.compile_it = compile_it
            racer.forget_times()

    def replace(self, side: int, choice: Choice) -> Race:
        """A race from the start with another contestant on one side; ValueError if it is none."""
        choices: list[Any] = [racer.choice for racer in self.racers]
        choices[side] = choice
        return Race(self.task, (choices[0], choices[1]), self.length, self.racers[0].compile_it)
