"""Packet: the gradients of all that a Function returned, or took, on their way as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Packet"]


class Packet:
    """Several gradients that travel as one. An item is None where nothing has arrived."""

    __slots__ = ("items",)

    shape = ()  # with `dtype` what the engine compares, to see that nothing needs fitting
    dtype = None

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = tuple(items)

    def __add__(self, other: Packet) -> Packet:
        return Packet([_sum(a, b) for a, b in zip(self.items, other.items, strict=True)])


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b
