"""What the page draws, with Bokeh: two pictures of the task, and the curves of both racers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..optional import need
from .session import Snapshot
from .tasks import Classification, Descent

__all__ = ["CLASSES", "RACERS", "Curves", "Picture"]

RACERS = ("#2f7ed8", "#f0862b")  # blue and orange: the left one and the right one
CLASSES = ("#7b3294", "#008837")  # purple and green: told apart by everybody
_BANDS = 18
_SMALLEST = 1e-9  # what a logarithmic axis shows of zero


class Picture:
    """Where one racer is: the classes that its model sees, or its path down a landscape."""

    def __init__(self, side: int, dark: bool) -> None:
        plotting = need("bokeh.plotting", "playground", "the playground")
        palettes = need("bokeh.palettes", "playground", "the playground")
        models = need("bokeh.models", "playground", "the playground")
        self.side, self._made = side, -1
        self.figure = plotting.figure(
            aspect_ratio=1, max_width=460, x_range=(-1, 1), y_range=(-1, 1), tools="",
            toolbar_location=None, sizing_mode="scale_width",
        )  # fmt: skip
        self.figure.grid.visible = False
        self.figure.axis.visible = False
        self.figure.min_border = 4
        self._ranges = self.figure.x_range, self.figure.y_range
        empty: dict[str, Any] = dict(x=[], y=[])
        self._field, self._heights, self._points, self._goals, self._start, self._end = (
            plotting.ColumnDataSource(data)
            for data in (_image(), _image(), {**empty, "color": []}, empty, empty, empty)
        )
        self._paths = [plotting.ColumnDataSource(empty) for _ in range(2)]
        where = dict(x="x", y="y", dw="dw", dh="dh")
        mapper = models.LinearColorMapper(_between(dark), low=0, high=1)
        self.figure.image("image", source=self._field, color_mapper=mapper, **where)
        # valleys are lighter than walls, in both themes
        grey = palettes.Greys256[30:130][::-1] if dark else palettes.Greys256[160:252][::-1]
        bands = models.LinearColorMapper(list(grey), low=0, high=_BANDS)
        self.figure.image("image", source=self._heights, color_mapper=bands, **where)
        self.figure.scatter(
            "x", "y", size=6, color="color", line_color="white", line_width=0.7,
            source=self._points,
        )  # fmt: skip
        for i in (1 - side, side):  # its own path lies above the other's
            own = i == side
            self.figure.line(
                "x", "y", source=self._paths[i], color=RACERS[i], line_width=2.5 if own else 1.5,
                alpha=1.0 if own else 0.35,
            )  # fmt: skip
        ink = dict(line_color="#222222", line_width=1)
        self.figure.scatter(
            "x", "y", source=self._goals, marker="star", size=16, fill_color="#ffd54a", **ink
        )
        self.figure.scatter("x", "y", source=self._start, size=9, fill_color="white", **ink)
        self.figure.scatter("x", "y", source=self._end, size=11, fill_color=RACERS[side], **ink)

    def show(self, shot: Snapshot) -> None:
        """Draw a snapshot."""
        if shot.made != self._made:
            self._made = shot.made
            self._prepare(shot)
        field = shot.sides[self.side].field
        if field is not None and isinstance(shot.task, Classification):
            limit = shot.task.limit
            self._field.data = _image(field, (-limit, limit, -limit, limit))
            return
        for source, side in zip(self._paths, shot.sides, strict=True):
            source.data = dict(zip("xy", side.path.T, strict=True))
        self._end.data = dict(zip("xy", shot.sides[self.side].path[-1:].T, strict=True))

    def _prepare(self, shot: Snapshot) -> None:
        """What stays as it is during a race: points, or the landscape, its start and its goals."""
        task = shot.task
        empty: dict[str, Any] = dict(x=[], y=[])
        for source in (*self._paths, self._goals, self._start, self._end):
            source.data = empty
        colors = [CLASSES[c] for c in shot.y.astype(int)]
        self._points.data = dict(x=shot.x[:, 0], y=shot.x[:, 1], color=colors)
        if isinstance(task, Descent):
            view, heights = task.landscape.view, task.heights()
            levels = np.geomspace(0.02, heights.max(), _BANDS - 1)
            bands = np.digitize(heights, levels).astype(np.float32)
            self._heights.data, self._field.data = _image(bands, view), _image()
            self._goals.data = dict(zip("xy", np.transpose(task.landscape.goals), strict=True))
            x, y = task.landscape.start
            self._start.data = dict(x=[x], y=[y])
        else:
            view = (-task.limit, task.limit, -task.limit, task.limit)
            self._heights.data = _image()
        for axis, (low, high) in zip(self._ranges, (view[:2], view[2:]), strict=True):
            axis.update(start=low, end=high)


class Curves:
    """Loss, gradient norm and learning rate of both racers over the steps."""

    def __init__(self) -> None:
        plotting = need("bokeh.plotting", "playground", "the playground")
        models = need("bokeh.models", "playground", "the playground")
        names = ("step", "loss", "norm", "rate")
        self._sources = [plotting.ColumnDataSource({name: [] for name in names}) for _ in RACERS]
        self.figures = []
        titles = {"loss": "loss", "norm": "norm of the gradient", "rate": "learning rate"}
        for name, title in titles.items():
            kind = "linear" if name == "rate" else "log"
            figure = plotting.figure(
                height=210, title=title, y_axis_type=kind, x_range=(0, 1), y_range=(0.1, 1),
                toolbar_location=None, tools="", sizing_mode="stretch_width",
            )  # fmt: skip
            for source, color in zip(self._sources, RACERS, strict=True):
                figure.line("step", name, source=source, color=color, line_width=2)
            figure.xaxis.ticker.desired_num_ticks = 5
            if kind == "log":
                figure.yaxis.ticker = models.FixedTicker(ticks=[])
            figure.xaxis[0].axis_label = "step"
            figure.axis.axis_label_text_font_size = figure.axis.major_label_text_font_size = "12px"
            figure.min_border_right = 12
            self.figures.append(figure)

    def show(self, shot: Snapshot) -> None:
        """Draw a snapshot."""
        shown = []
        for source, side in zip(self._sources, shot.sides, strict=True):
            data = dict(
                step=side.steps, loss=_above_zero(side.losses), norm=_above_zero(side.norms),
                rate=side.rates,
            )  # fmt: skip
            source.data = data
            shown.append(data)
        for figure, name in zip(self.figures, ("loss", "norm", "rate"), strict=True):
            values = np.concatenate([data[name] for data in shown])
            values = values[np.isfinite(values)]
            figure.x_range.end = max(shot.step, 20)
            if not len(values):
                continue
            low, high = float(values.min()), float(values.max())
            if name == "rate":
                low, high = 0.0, 1.1 * high or 1.0
            else:
                first = max(float(data[name][0]) for data in shown if len(data[name]))
                high = min(high, 1e3 * first)  # of a racer that is lost, no more than that
                first_power = math.floor(math.log10(max(low, 1e-12 * high)))
                powers = range(first_power, math.ceil(math.log10(high)) + 1)
                low, high = 10.0 ** powers[0], 10.0 ** powers[-1]
                figure.yaxis.ticker.ticks = [10.0**k for k in powers[:: 1 + len(powers) // 6]]
            figure.y_range.update(start=low, end=high)


def _between(dark: bool) -> list[str]:
    """Colours from class 0 to class 1: paler than the points, and none where both are as likely."""
    ends, middle = [np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) for c in CLASSES], 245.0
    strength = 0.62
    if dark:
        middle, strength = 40.0, 0.75
    palette = []
    for t in np.linspace(-1, 1, 256):
        color = middle + strength * abs(t) ** 1.3 * (ends[int(t > 0)] - middle)
        palette.append("#" + "".join(f"{round(v):02x}" for v in color))
    return palette


def _above_zero(values: np.ndarray) -> np.ndarray:
    """What a logarithmic axis can show; what is not finite is a gap."""
    return np.where(np.isfinite(values), np.maximum(values, _SMALLEST), np.nan)


def _image(
    values: np.ndarray | None = None, view: tuple[float, float, float, float] = (0, 1, 0, 1)
) -> dict[str, Any]:
    """The data of an image source; of nothing, if there are no values."""
    if values is None:
        return dict(image=[], x=[], y=[], dw=[], dh=[])
    left, right, low, high = view
    return dict(image=[values], x=[left], y=[low], dw=[right - left], dh=[high - low])
