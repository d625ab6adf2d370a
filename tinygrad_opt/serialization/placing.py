"""`map_location`: on which device the tensors of a file shall lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arrays.device import Device, to_device

__all__ = ["placing"]


class _Storage:
    """What a function given as `map_location` gets: memory that it may send elsewhere."""

    def __init__(self, device: str) -> None:
        self.device = Device(device)

    def cpu(self) -> _Storage:
        """In main memory."""
        return _Storage("cpu")

    def cuda(self, device: int | None = None) -> _Storage:
        """On the GPU."""
        return _Storage("cuda" if device is None else f"cuda:{device}")


def placing(map_location: Any) -> Callable[[Any, str], Any]:
    """Of an array on the CPU and the place it was saved at, the array where it shall lie.

    map_location   a device; a dict from places to places ({"cuda:0": "cpu"}); a function of a
                   storage and its place, which returns a storage, or None for no change; or None:
                   the CPU, wherever it was saved.

    Raises TypeError for anything else.
    """
    if map_location is None:
        return lambda array, place: array
    if isinstance(map_location, (str, Device)):
        device = Device(map_location)
        return lambda array, place: to_device(array, device)
    if isinstance(map_location, dict):
        return lambda array, place: to_device(array, Device(map_location.get(place, "cpu")))
    if not callable(map_location):
        raise TypeError(
            "load: map_location must be a device, a dict of places, or a function of a storage and "
            f"its place, got {type(map_location).__name__}"
        )
    return lambda array, place: _moved(map_location, array, place)


def _moved(function: Callable[..., Any], array: Any, place: str) -> Any:
    moved = function(_Storage("cpu"), place)
    if moved is None:
        return array
    if not isinstance(moved, _Storage):
        raise TypeError(
            "load: the function map_location must return a storage (its first argument, or "
            f".cuda() of it) or None, got {type(moved).__name__}"
        )
    return to_device(array, moved.device)
