"""A race on a thread of its own: it takes orders, and shows how far it is.

Whoever watches never waits: orders go into a queue, which the thread empties between two steps, and
`snapshot` is always there to be read. So a page stays alive while a kernel is compiled.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .contestants import CONTESTANTS, Value, typed_entry
from .race import Choice, Race, Racer, Task
from .rule_text import rule_from_text, text_of_rule
from .tasks import Classification

__all__ = ["Session", "Side", "Snapshot"]

_SLICE = 0.03  # seconds of steps between two looks at the queue
_SHOW = 0.12  # seconds between two snapshots


@dataclass(frozen=True)
class Side:
    """What there is to see of one racer.

    Attributes:
        choice: who it is.  values: where its knobs stand.  error: what was wrong with the last
            order.  stopped: why it takes no further steps.
        steps, losses, norms, rates: the curves.  path: (n, 2), places on a landscape.
        field: (n, n), the probability of class 1 over the picture.  accuracy: of the points.
        python, kernels, formula, compiled: its texts; `kernels` by target.
        seconds: of one step.
    """

    choice: Choice
    values: Mapping[str, Value]
    error: str
    stopped: str
    steps: np.ndarray
    losses: np.ndarray
    norms: np.ndarray
    rates: np.ndarray
    path: np.ndarray
    field: np.ndarray | None
    accuracy: float
    formula: str
    python: str
    kernels: Mapping[str, str]
    compiled: str
    seconds: float


@dataclass(frozen=True)
class Snapshot:
    """How far a race is.

    Attributes:
        number: counts snapshots.  made: counts races: what else is drawn of a task changes with it.
        running: whether steps are being taken.  task, step, length: as of the `Race`.
        x, y: the points.  sides: the two.  error: what was wrong with the last order for both.
    """

    number: int
    made: int
    running: bool
    task: Task
    step: int
    length: int
    x: np.ndarray
    y: np.ndarray
    sides: tuple[Side, Side]
    error: str


class Session:
    """One visitor's race. Methods return at once; what they order happens between two steps.

    An order that makes no sense changes nothing: its error is in the next snapshot.

    Attributes:
        snapshot: the latest.
        speed: steps in a second, at most.
    """

    def __init__(self, task: Task | None = None, names: tuple[str, str] = ("SGD", "Adam"),
                 length: int = 1000, speed: float = 100.0) -> None:  # fmt: skip
        self.speed = speed
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._errors = ["", "", ""]  # of each side, and of both
        self._made, self._number, self._running = 0, 0, False
        choices = (Choice(CONTESTANTS[names[0]]), Choice(CONTESTANTS[names[1]]))
        self._race = Race(task or Classification(), choices, length)
        self._texts: list[dict[str, Any]] = [{}, {}]
        self.snapshot = self._look()
        self._thread = threading.Thread(target=self._work, name="playground", daemon=True)
        self._thread.start()

    # Orders ---------------------------------------------------------------------------------------

    def run(self) -> None:
        """Take steps until the race is over; from the start, if it is."""

        def order() -> None:
            if self._race.over:
                self._again()
            self._running = True

        self._order(2, order)

    def pause(self) -> None:
        """Take no further steps."""
        self._order(2, lambda: setattr(self, "_running", False))

    def step(self, count: int = 1) -> None:
        """Pause, and take `count` steps."""

        def order() -> None:
            self._running = False
            for _ in range(count):
                if not self._race.over:
                    self._race.advance()

        self._order(2, order)

    def restart(self) -> None:
        """To the start, with the same racers; whether steps are taken stays as it is."""
        self._order(2, self._again)

    def set_task(self, task: Task) -> None:
        """Another task, from the start; knobs go to where they start for tasks of its kind."""

        def order() -> None:
            choices = [racer.choice for racer in self._race.racers]
            if type(task) is not type(self._race.task):
                choices = [replace(choice, values={}) for choice in choices]
            self._new(Race(task, (choices[0], choices[1]), self._race.length, self._compiles))

        self._order(2, order)

    def set_length(self, length: int) -> None:
        """Another length of the race, and of its schedules; the race goes on."""

        def order() -> None:
            if length < 1:
                raise ValueError(f"a race has at least 1 step, got {length}")
            self._race.length = length
            for racer in self._race.racers:
                racer.schedule(racer.choice.schedule, length)

        self._order(2, order)

    def compile(self, compile_it: bool) -> None:
        """Whether steps run as compiled functions from now on."""
        self._order(2, lambda: self._race.compile(compile_it))

    def choose(self, side: int, name: str) -> None:
        """Another optimizer on one side, by its name; the race starts anew."""

        def order() -> None:
            if name not in CONTESTANTS:
                raise ValueError(f"there is no optimizer {name!r} here")
            before = self._race.racers[side].choice
            choice = Choice(CONTESTANTS[name], schedule=before.schedule)
            self._new(self._race.replace(side, choice))

        self._order(side, order)

    def type_rule(self, side: int, text: str) -> None:
        """The rule that `text` defines on one side, with the settings of who stood there."""

        def order() -> None:
            racer = self._race.racers[side]
            entry = typed_entry(rule_from_text(text), racer.choice.entry)
            known = {knob.name for knob in entry.knobs}
            values = {k: v for k, v in racer.choice.values.items() if k in known}
            choice = Choice(entry, values, racer.choice.schedule)
            self._new(self._race.replace(side, choice))

        self._order(side, order)

    def turn(self, side: int, **values: Value) -> None:
        """Knobs of one side, in the middle of its training."""

        def order() -> None:
            self._race.racers[side].turn(values)
            self._texts[side] = {}

        self._order(side, order)

    def set_schedule(self, side: int, name: str) -> None:
        """Another schedule of one side's learning rate, in the middle of its training."""
        self._order(side, lambda: self._race.racers[side].schedule(name, self._race.length))

    def close(self) -> None:
        """End the thread, when it has done what was ordered; the last snapshot stays."""
        self._orders.put(None)

    def wait(self, seconds: float = 60.0) -> Snapshot:
        """The snapshot after all that was ordered before; TimeoutError if that takes longer."""
        done = threading.Event()
        self._orders.put(done.set)
        if not done.wait(seconds):
            raise TimeoutError(f"the playground did not answer within {seconds} s")
        return self.snapshot

    # The thread -----------------------------------------------------------------------------------

    def _order(self, who: int, order: Callable[[], None]) -> None:
        """Put an order into the queue, with what is done if it fails."""

        def guarded() -> None:
            self._errors[who] = ""
            try:
                order()
            except Exception as error:  # a page shows it; the thread goes on
                what = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
                self._errors[who] = f"{what}{error}"
            self.snapshot = self._look()

        self._orders.put(guarded)

    def _work(self) -> None:
        clock = _Clock()
        while True:
            try:
                order = self._orders.get(block=not self._running)
            except queue.Empty:
                try:
                    self._take_steps(clock)
                except Exception as error:  # the page says so, and takes further orders
                    self._running = False
                    self._errors[2] = f"{type(error).__name__}: {error}"
                continue
            if order is None:
                return
            order()
            clock.restart()

    def _take_steps(self, clock: _Clock) -> None:
        """As many steps as are due, for a slice of time; a snapshot where one is due."""
        race, now = self._race, clock.tick(self.speed)
        while clock.due >= 1 and not race.over and time.perf_counter() < now + _SLICE:
            race.advance()
            clock.due -= 1
        if race.over:
            self._running = False
        if race.over or time.perf_counter() > clock.shown + _SHOW:
            self.snapshot = self._look()
            clock.shown = time.perf_counter()
        if clock.due < 1:
            time.sleep(min(max((1 - clock.due) / self.speed, 0.001), 0.02))

    @property
    def _compiles(self) -> bool:
        return self._race.racers[0].compile_it

    def _again(self) -> None:
        first, second = (racer.choice for racer in self._race.racers)
        self._new(Race(self._race.task, (first, second), self._race.length, self._compiles))

    def _new(self, race: Race) -> None:
        self._race, self._texts = race, [{}, {}]
        self._made += 1

    def _look(self) -> Snapshot:
        race, self._number = self._race, self._number + 1
        first, second = (self._side(i, racer) for i, racer in enumerate(race.racers))
        prepared = race.racers[0].prepared
        return Snapshot(
            self._number, self._made, self._running, race.task, race.step, race.length, prepared.x,
            prepared.y, (first, second), self._errors[2],
        )  # fmt: skip

    def _side(self, i: int, racer: Racer) -> Side:
        texts = self._texts[i] = self._texts[i] or _texts(racer)
        steps, losses, norms, rates = racer.history.columns(4)
        path = np.stack(racer.path.columns(3)[1:], 1)
        return Side(
            racer.choice, racer.values, self._errors[i], racer.stopped, steps, losses, norms, rates,
            path, racer.field(), racer.accuracy(), **texts, compiled=racer.compiled_text(),
            seconds=racer.seconds,
        )  # fmt: skip


def _texts(racer: Racer) -> dict[str, Any]:
    """What can be read of a racer's rule; it changes with settings that choose another rule."""
    entry = racer.choice.entry
    rule, formula = entry.rule(racer.values), entry.formula()
    if rule is None:
        none = f"# {entry.name} is no rule of single elements; its steps are Python and BLAS."
        return dict(formula=formula, python=none, kernels={})
    kernels = {target: rule.source(target) for target in ("serial", "parallel", "cuda")}
    return dict(formula=formula, python=entry.text or text_of_rule(rule), kernels=kernels)


class _Clock:
    """How many steps are due at the speed that was asked for."""

    def __init__(self) -> None:
        self.shown = 0.0
        self.restart()

    def restart(self) -> None:
        """Nothing is due: what an order took is not made up for."""
        self.last, self.due = time.perf_counter(), 0.0

    def tick(self, speed: float) -> float:
        """Add what came due since the last call, at most a second's; the time now."""
        now = time.perf_counter()
        self.due, self.last = min(self.due + (now - self.last) * speed, speed + 1), now
        return now
