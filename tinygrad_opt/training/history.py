"""What a training run measured, epoch by epoch, and its learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..optional import new_axes
from .html import html_table

__all__ = ["History", "Means"]

_SHOWN = 40  # rows of the table in a notebook
_NOT_DRAWN = ("epoch", "step")
_HELD_OUT = "val_"  # the prefix of what was measured on validation data


class History:
    """The numbers of each epoch: `history["val_loss"]` is a list, `history.records` has all.

    records  a dict for each epoch: "epoch" (from 1), "step", "lr", "loss", the metrics, and the
             same of the validation data as "val_..."

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"], history.best("loss")["epoch"]
    ([0.5, 0.25], 2)
    """

    def __init__(self, records: Sequence[dict[str, float]] = ()) -> None:
        self.records = [dict(record) for record in records]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, name: str) -> list[float]:
        self._check(name)
        return [record[name] for record in self.records if name in record]

    def _check(self, name: str) -> None:
        if name not in self.names:
            raise KeyError(f"the history has no {name!r}; it has {', '.join(self.names)}")

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[dict[str, float]]:
        """The records, epoch by epoch."""
        return iter(self.records)

    @property
    def names(self) -> list[str]:
        """What was measured, in the order in which it first came."""
        return list(dict.fromkeys(name for record in self.records for name in record))

    def best(self, name: str = "val_loss", mode: str = "min") -> dict[str, float]:
        """The record of the epoch where `name` was lowest, or with mode="max" highest.

        Raises KeyError for a name that was not measured, ValueError for another mode.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"History.best: mode must be 'min' or 'max', got {mode!r}")
        self._check(name)
        sign = 1 if mode == "min" else -1
        measured = [record for record in self.records if name in record]
        return min(measured, key=lambda r: (math.isnan(r[name]), sign * r[name]))  # NaN is last

    def plot(self, *names: str, axes: Sequence[Any] | None = None) -> list[Any]:
        """Learning curves: one picture for each name, training and validation in it.

        names: "loss", "accuracy", "lr", ...; by default all of them, "lr" only if it changed.
        axes: matplotlib's Axes to draw into, one for each; a new figure's if None. Returns them.
        Raises ImportError without matplotlib, KeyError for a name that was not measured,
        ValueError if there are too few axes or nothing to draw.
        """
        drawn = names or self._drawn_by_default()
        if not drawn:
            raise ValueError("History.plot: nothing was measured yet, so there is nothing to draw")
        panels = new_axes("History.plot", len(drawn)) if axes is None else list(axes)
        if len(panels) != len(drawn):
            raise ValueError(f"History.plot: {len(panels)} axes for {len(drawn)} pictures: {drawn}")
        for name, ax in zip(drawn, panels, strict=True):
            self._draw(name, ax)
        return panels

    def _drawn_by_default(self) -> tuple[str, ...]:
        names = [name.removeprefix(_HELD_OUT) for name in self.names if name not in _NOT_DRAWN]
        steady = "lr" in names and len(set(self["lr"])) == 1
        ordered = sorted(dict.fromkeys(names), key=lambda name: name == "lr")
        return tuple(name for name in ordered if not (name == "lr" and steady))

    def _draw(self, name: str, ax: Any) -> None:
        kinds = {"training": name, "validation": _HELD_OUT + name}
        held = {label: key for label, key in kinds.items() if key in self.names}
        for label, key in (held or {name: name}).items():
            self[key]  # raises where nothing is known of the name
            points = [(i + 1, r[key]) for i, r in enumerate(self.records) if key in r]
            marker = "o" if len(points) < 25 else ""
            ax.plot(*zip(*points, strict=True), marker=marker, markersize=3, label=label)
        ax.set(xlabel="epoch", title=name)
        ax.grid(alpha=0.3)
        ax.xaxis.get_major_locator().set_params(integer=True)
        if len(held) > 1:
            ax.legend()

    def state_dict(self) -> dict[str, Any]:
        """The records, for a checkpoint."""
        return {"records": [dict(record) for record in self.records]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the records of a `state_dict()`."""
        self.records = [dict(record) for record in state_dict["records"]]

    def _repr_html_(self) -> str:
        names = self.names
        best = {name: self.best(name) for name in names if name in ("loss", "val_loss")}
        rows = [
            [_mark(_shown(record.get(name)), best.get(name) is record) for name in names]
            for record in self.records
        ]
        if len(rows) > _SHOWN:
            gap = [f"... {len(rows) - _SHOWN} more ...", *[""] * (len(names) - 1)]
            rows = [*rows[: _SHOWN // 2], gap, *rows[-_SHOWN // 2 :]]
        return html_table(names, rows)

    def __repr__(self) -> str:
        last = self.records[-1] if self.records else {}
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in last.items())
        return f"<History of {len(self)} epochs: {numbers}>"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _mark(text: str, best: bool) -> str:
    return f"<b>{text}</b>" if best else text


class Means:
    """Running means of several numbers, weighted by the sizes of the batches they come from."""

    def __init__(self) -> None:
        self.weight = 0
        self._sums: dict[str, float] = {}

    def add(self, weight: int, **values: float) -> None:
        """Takes in values that hold for `weight` samples."""
        self.weight += weight
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + weight * value

    def result(self) -> dict[str, float]:
        """The mean of each."""
        return {name: total / self.weight for name, total in self._sums.items()}
