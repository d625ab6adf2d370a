"""One side of the page: which optimizer, its schedule, and a slider for each of its settings."""

from __future__ import annotations

import functools
import html
import math
from typing import Any

from ..optional import need
from .contestants import CONTESTANTS, SCHEDULES, Knob, Value
from .pictures import RACERS
from .session import Session, Side, Snapshot
from .tasks import Descent

__all__ = ["Knobs", "slider", "value_of"]


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
            widget = slider(self._pn, knob.kind, knob.low, knob.high, float(value), **common)
        turn = functools.partial(self._turn, knob.name, knob.kind)
        widget.param.watch(turn, "value")
        return widget

    def _turn(self, name: str, kind: str, event: Any) -> None:
        self._session.turn(self._side, **{name: value_of(kind, event.new)})


def slider(
    pn: Any, kind: str, low: float, high: float, value: float, **options: Any
) -> Any:  # fmt: skip
    """A slider of a kind of `Knob`; `value_of` tells what its value means."""
    if kind == "linear":
        step = float(f"{(high - low) / 100:.1g}")
        return pn.widgets.FloatSlider(start=low, end=high, step=step, value=value, **options)
    models = need("bokeh.models", "playground", "the playground")
    return pn.widgets.FloatSlider(
        start=_place(kind, low), end=_place(kind, high), step=0.05, value=_place(kind, value),
        format=models.CustomJSTickFormatter(code=_SHOWN[kind]), **options,
    )  # fmt: skip


# What stands beside a slider, from its place on it.
_SHOWN = {
    "log": "return String(Number((10 ** tick).toPrecision(3)))",
    "rate": "return String(Number((1 - 10 ** -tick).toFixed(4)))",
}


def _place(kind: str, value: float) -> float:
    return math.log10(value) if kind == "log" else -math.log10(1 - value)


def value_of(kind: str, place: Any) -> Value:
    """What a widget's value means for a knob of a kind."""
    if kind == "log":
        return float(f"{10**place:.3g}")
    return round(1 - 10**-place, 4) if kind == "rate" else place


def _score(side: Side, on_landscape: bool, color: str) -> str:
    """The line above the picture."""
    loss = f"{side.losses[-1]:.3g}" if len(side.losses) else "&ndash;"
    name = html.escape(side.choice.entry.name)
    if on_landscape:
        x, y = side.path[-1]
        rest = f"at ({x:.3g}, {y:.3g})"
    else:
        rest = f"accuracy {side.accuracy:.0%}"
    return f"<b style='color:{color}'>{name}</b> &nbsp; loss {loss} &nbsp; {rest}"
