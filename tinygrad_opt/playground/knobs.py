"""One side of the page: which optimizer, its schedule, and a slider for each of its settings."""

from __future__ import annotations

import functools
import html
import math
from typing import Any

import numpy as np

from .contestants import CONTESTANTS, SCHEDULES, Knob, Value
from .pictures import RACERS
from .session import Session, Side, Snapshot
from .tasks import Descent

__all__ = ["Knobs"]


class Knobs:
    """The widgets of one side.

    Attributes:
        items: what stands in its column.  message: what went wrong, or should be known.
        score: the line above its picture; set by the page.
    """

    def __init__(self, pn: Any, session: Session, side: int) -> None:
        self._pn, self._session, self._side = pn, session, side
        self._shown: Any = None
        names = list(CONTESTANTS)
        self._name = pn.widgets.Select(
            name="optimizer", options=names, css_classes=[f"optimizer-{side}"], width=215
        )
        self._schedule = pn.widgets.Select(
            name="schedule", options=list(SCHEDULES), css_classes=[f"schedule-{side}"], width=215
        )
        self._sliders = pn.Column(width=235, margin=0)
        self._silent = False
        self.items = [self._name, self._schedule, self._sliders]
        self.message = pn.pane.Alert(visible=False, css_classes=[f"message-{side}"])
        self.score: Any = None
        self._name.param.watch(self._choose, "value")
        self._schedule.param.watch(lambda event: session.set_schedule(side, event.new), "value")

    def show(self, shot: Snapshot) -> None:
        """Bring the widgets to what a snapshot says, where they say something else."""
        side = shot.sides[self._side]
        entry, kind = side.choice.entry, type(shot.task)
        if self._shown != (entry, kind):
            self._shown = (entry, kind)
            self._silent = True
            typed = [entry.name] if entry.name not in CONTESTANTS else []
            self._name.param.update(options=[*typed, *CONTESTANTS], value=entry.name)
            self._silent = False
            self._sliders.objects = [
                self._slider(knob, side.values[knob.name]) for knob in entry.knobs
            ]
        said = side.error or side.stopped or entry.note
        kind_of = "danger" if side.error else "warning" if side.stopped else "info"
        self.message.param.update(object=html.escape(said), alert_type=kind_of, visible=bool(said))
        self.score.object = _score(side, isinstance(shot.task, Descent), RACERS[self._side])

    def _choose(self, event: Any) -> None:
        if not self._silent and event.new in CONTESTANTS:
            self._session.choose(self._side, event.new)

    def _slider(self, knob: Knob, value: Value) -> Any:
        """The widget of a setting; it acts while it moves."""
        widgets, common = self._pn.widgets, dict(
            name=knob.name.replace("_", " "), css_classes=[f"{knob.name}-{self._side}"], width=210,
            margin=(3, 10),
        )  # fmt: skip
        if knob.kind == "flag":
            widget = widgets.Checkbox(value=bool(value), **common)
        elif knob.kind == "whole":
            low, high = int(knob.low), int(knob.high)
            widget = widgets.IntSlider(start=low, end=high, value=int(value), **common)
        else:
            places = _places(knob, float(value))
            widget = widgets.DiscreteSlider(
                options={f"{v:.3g}" if v < 0.99 else f"{v:.4g}": v for v in places},
                value=float(value), **common,
            )  # fmt: skip
        turn = functools.partial(self._turn, knob.name)
        widget.param.watch(turn, "value")
        return widget

    def _turn(self, name: str, event: Any) -> None:
        self._session.turn(self._side, **{name: event.new})


def _places(knob: Knob, value: float) -> list[float]:
    """Where a slider can stand: evenly in what counts, and at `value`.

    A rate of an average counts by how far it is from 1: half of its places lie above 0.9.
    """
    if knob.kind == "log":
        decades = math.log10(knob.high / knob.low)
        found = np.geomspace(knob.low, knob.high, round(20 * decades) + 1)
    elif knob.high == 0.9999:
        found = np.concatenate([np.linspace(0, 0.9, 46), 1 - np.geomspace(0.1, 1e-4, 46)[1:]])
    else:
        found = np.linspace(knob.low, knob.high, 101)
    near = [float(f"{v:.3g}" if knob.high != 0.9999 else f"{v:.4f}") for v in found]
    return sorted({*near, value})


def _score(side: Side, on_landscape: bool, color: str) -> str:
    """The line above the picture."""
    loss = f"{side.losses[-1]:.3g}" if len(side.losses) else "&ndash;"
    name = html.escape(side.choice.entry.name)
    if on_landscape:
        x, y = side.path[-1]
        rest = f"at ({x:.3g}, {y:.3g})"
    else:
        rest = f"{side.accuracy:.0%} of the points right"
    return f"<b style='color:{color}'>{name}</b> &nbsp; loss {loss} &nbsp; {rest}"
