"""The page, with Panel: what can be chosen, turned and pressed, and what is shown of a snapshot.

Every visit has a `Session` of its own. What is pressed or moved becomes an order to it; several
times in a second the page looks at its latest snapshot. A new one goes to the browser once that has
drawn the one before, so that a slow browser sees fewer of them, and none late.
"""

from __future__ import annotations

import math
import socket
import time
from typing import Any

from ..optional import need
from .knobs import Knobs, slider, value_of
from .pictures import RACERS, Curves, Picture
from .rules_shown import ACTIVE, RulesShown
from .session import Session, Snapshot
from .tasks import ACTIVATIONS, DATASETS, LANDSCAPES, Classification, Descent

__all__ = ["Page", "serve"]

HOST = "127.0.0.1"
_LOOK = 120  # milliseconds between two looks at the snapshot
_PATIENCE = 2.0  # seconds, for an answer that does not come: of a tab that is hidden
_WHEN_DRAWN = "requestAnimationFrame(() => setTimeout(() => { drawn.value = cb_obj.value }))"
_RUN, _PAUSE = "\u25b6 Run", "\u275a\u275a Pause"


def _offline(pn: Any) -> type:
    """Panel's Fast design without the font that it would fetch from elsewhere."""
    fast = pn.theme.Fast
    return type("Fast", (fast,), {"_resources": {**fast._resources, "font": {}}})


def serve(port: int = 5006, show: bool = True) -> None:
    """Serve the page on 127.0.0.1 until Ctrl-C.  port: 0 for any.  show: open a browser.

    Raises ImportError without Panel, ValueError where the port is taken.
    """
    pn = need("panel", "playground", "the playground")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ValueError(f"port {port} is taken ({error.strerror}): try --port 0") from error
        port = probe.getsockname()[1]
    print(f"playground: http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    pn.extension("codeeditor")
    pn.serve(
        {"/": lambda: Page().template}, address=HOST, port=port, show=show, title="playground",
        websocket_origin=[f"{HOST}:{port}", f"localhost:{port}"], verbose=False,
        show_error=True,
    )  # fmt: skip


class Page:
    """The page of one visit.

    Attributes:
        session: its race.  template: what Panel serves.
    """

    def __init__(self) -> None:
        pn = need("panel", "playground", "the playground")
        self._pn = pn
        dark = pn.config.theme == "dark"
        self.session = Session()
        # The browser says which snapshot it has drawn last; only then does the next one go there.
        self._sent = pn.widgets.IntInput(visible=False)
        self._drawn = pn.widgets.IntInput(visible=False)
        self._sent.jscallback(args={"drawn": self._drawn}, value=_WHEN_DRAWN)
        self._pictures = [Picture(side, dark) for side in range(2)]
        self._curves = Curves()
        self._knobs = [Knobs(pn, self.session, side) for side in range(2)]
        self._rules = RulesShown(pn, self.session, dark)
        self.template = pn.template.FastListTemplate(
            title="playground", site="tinygrad_opt", sidebar=self._task_and_race(),
            main=self._main(), sidebar_width=270, accent="#33415c", main_layout=None,
            busy_indicator=None, design=_offline(pn),
        )  # fmt: skip
        shot = self.session.snapshot
        self._number, self._when_sent = shot.number, 0.0
        self._show(shot)
        if pn.state.curdoc is not None:
            pn.state.add_periodic_callback(self._look, _LOOK)
            pn.state.on_session_destroyed(lambda context: self.session.close())

    # What is there --------------------------------------------------------------------------------

    def _main(self) -> list[Any]:
        pn = self._pn
        self._run = pn.widgets.Button(
            name=_RUN, button_type="primary", width=110, css_classes=["run"]
        )
        step = pn.widgets.Button(name="One step", css_classes=["step"])
        again = pn.widgets.Button(name="Restart", css_classes=["restart"])
        self._run.on_click(self._run_or_pause)
        step.on_click(lambda event: self.session.step())
        again.on_click(lambda event: self.session.restart())
        self._status = pn.pane.HTML(css_classes=["status"], align="center")
        self._error = pn.pane.Alert(alert_type="danger", visible=False, css_classes=["error"])
        sides = []
        for side, picture in enumerate(self._pictures):
            score = pn.pane.HTML(css_classes=[f"score-{side}"], margin=(0, 10))
            self._knobs[side].score = score
            left = pn.Column(*self._knobs[side].items, width=235)
            right = pn.Column(
                score, pn.pane.Bokeh(picture.figure, sizing_mode="scale_width", aspect_ratio=1),
                self._knobs[side].message, sizing_mode="stretch_width",
            )  # fmt: skip
            sides.append(
                pn.Row(
                    left, right, sizing_mode="stretch_width", min_width=480,
                    styles={"border-top": f"4px solid {RACERS[side]}"},
                )
            )  # fmt: skip
        curves = [pn.pane.Bokeh(f, sizing_mode="stretch_width") for f in self._curves.figures]
        return [
            pn.Column(
                pn.Row(self._run, step, again, self._status, self._sent, self._drawn), self._error,
                pn.FlexBox(*sides, flex_wrap="nowrap", gap="14px", sizing_mode="stretch_width"),
                pn.Row(*curves, sizing_mode="stretch_width"),
                *self._rules.items, sizing_mode="stretch_width",
            )
        ]  # fmt: skip

    def _task_and_race(self) -> list[Any]:
        pn, task = self._pn, Classification()
        whole = pn.widgets.IntSlider
        width = dict(width=230)
        self._kind = pn.widgets.RadioButtonGroup(
            options={"points": Classification, "landscape": Descent}, value=Classification,
            button_type="primary", button_style="outline", css_classes=["kind"],
            stylesheets=[ACTIVE], **width,
        )  # fmt: skip
        self._of_points = dict(
            data=pn.widgets.Select(name="data set", options=list(DATASETS), value=task.data,
                                   css_classes=["data"], **width),
            count=whole(name="points", start=20, end=1000, step=20, value=task.count, **width),
            noise=pn.widgets.FloatSlider(name="noise", start=0, end=0.5, step=0.01,
                                         value=task.noise, **width),
            batch=whole(name="points in a step (0: all)", start=0, end=200, step=10, value=0,
                        **width),
            layers=whole(name="hidden layers", start=0, end=5, value=task.layers,
                         css_classes=["layers"], **width),
            width=whole(name="width of each", start=1, end=64, value=task.width, **width),
            activation=pn.widgets.Select(name="activation", options=list(ACTIVATIONS),
                                         value=task.activation, **width),
        )  # fmt: skip
        self._of_landscape = pn.widgets.Select(
            name="function", options=list(LANDSCAPES), css_classes=["landscape"], **width
        )
        for widget in (self._kind, *self._of_points.values(), self._of_landscape):
            throttled = "value_throttled" if hasattr(widget, "value_throttled") else "value"
            widget.param.watch(lambda event: self._set_task(), throttled)
        length = whole(name="steps of a race", start=100, end=5000, step=100, value=1000, **width)
        length.param.watch(lambda event: self.session.set_length(event.new), "value_throttled")
        speed = slider(
            pn,
            "log",
            10,
            3000,
            100,
            name="steps in a second, at most",
            css_classes=["speed"],
            **width,
        )
        speed.param.watch(
            lambda event: setattr(self.session, "speed", value_of("log", event.new)), "value"
        )
        compiled = pn.widgets.Checkbox(
            name="run compiled steps", css_classes=["compile"], margin=(10, 10), **width
        )
        compiled.param.watch(lambda event: self.session.compile(event.new), "value")
        self._points_box = pn.Column(*self._of_points.values())
        self._landscape_box = pn.Column(self._of_landscape, visible=False)
        return [
            _headline(pn, "What is learnt"), self._kind,
            self._points_box, self._landscape_box,
            _headline(pn, "The race"), length, speed, compiled,
        ]  # fmt: skip

    # What a visitor does --------------------------------------------------------------------------

    def _run_or_pause(self, event: Any) -> None:
        if self.session.snapshot.running:
            self.session.pause()
        else:
            self.session.run()

    def _set_task(self) -> None:
        on_points = self._kind.value is Classification
        self._points_box.visible, self._landscape_box.visible = on_points, not on_points
        if on_points:
            self.session.set_task(
                Classification(**{k: w.value for k, w in self._of_points.items()})
            )
        else:
            self.session.set_task(Descent(self._of_landscape.value))

    # What is shown --------------------------------------------------------------------------------

    def _look(self) -> None:
        """Draw the latest snapshot, if it is a new one."""
        shot = self.session.snapshot
        now = time.monotonic()
        waits = self._drawn.value != self._sent.value and now < self._when_sent + _PATIENCE
        if shot.number == self._number or waits:
            return
        self._number, self._when_sent = shot.number, now
        with self._pn.io.hold(self._pn.state.curdoc):  # all in one message
            self._show(shot)
            self._sent.value = shot.number

    def _show(self, shot: Snapshot) -> None:
        for picture, knobs in zip(self._pictures, self._knobs, strict=True):
            picture.show(shot)
            knobs.show(shot)
        self._curves.show(shot)
        self._rules.show(shot)
        self._run.name = _PAUSE if shot.running else _RUN
        self._status.object = _status(shot)
        self._error.param.update(object=shot.error, visible=bool(shot.error))


def _headline(pn: Any, text: str) -> Any:
    return pn.pane.HTML(f"<b style='font-size: 15px'>{text}</b>", margin=(12, 10, 2, 10))


def _status(shot: Snapshot) -> str:
    """How far the race is, and what a step takes."""
    times = [side.seconds * 1e6 for side in shot.sides if not math.isnan(side.seconds)]
    each = f" &nbsp; {' / '.join(f'{t:,.0f}' for t in times)} &micro;s a step" if times else ""
    return f"<b>step {shot.step:,} of {shot.length:,}</b>{each}"
