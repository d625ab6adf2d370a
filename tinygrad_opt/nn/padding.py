"""Padding layers, as `torch.nn` has them: all are `functional.pad` with a mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..arrays.size import WHOLE
from ..core.tensor import Tensor
from ..functions.padding import pad
from .module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip

Sizes = int | Sequence[int]


class _Pad(Module):
    axes: int
    mode = "constant"
    value: float = 0.0

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = (
            (padding,) * (2 * self.axes) if isinstance(padding, WHOLE) else tuple(padding)
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        if self.mode == "constant":
            return pad(input, self.padding, "constant", self.value)
        return pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


def _layers(base: type[_Pad], name: str, text: str, **fields: Any) -> tuple[Any, ...]:
    """The classes for one, two and three axes."""
    made = []
    for axes in (1, 2, 3):
        image = ("length", "h, w", "d, h, w")[axes - 1]
        sides = ("left, right", "left, right, top, bottom", "left, right, ... front, back")[
            axes - 1
        ]
        doc = (
            f"{text} around (batch, channels, {image}), batch optional.\n\n"
            f"`padding`: an int for all sides, or ({sides}); negative numbers crop."
        )
        body = {"axes": axes, "__doc__": doc, "__module__": __name__, **fields}
        made.append(type(f"{name}{axes}d", (base,), body))
    return tuple(made)


ConstantPad1d, ConstantPad2d, ConstantPad3d = _layers(_ConstantPad, "ConstantPad", "`value`")
ZeroPad1d, ZeroPad2d, ZeroPad3d = _layers(_Pad, "ZeroPad", "Zeros")
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = _layers(
    _Pad, "ReflectionPad", "The image mirrored at its outermost cells, all", mode="reflect"
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = _layers(
    _Pad, "ReplicationPad", "The outermost cells repeated, all", mode="replicate"
)
CircularPad1d, CircularPad2d, CircularPad3d = _layers(
    _Pad, "CircularPad", "The cells of the opposite side, all", mode="circular"
)
