"""Hooks on gradients: the one behind `retain_grad`, and taking hooks away again."""

from __future__ import annotations

import weakref
from typing import Any

from . import engine


class KeepGrad:
    """The hook behind `retain_grad`, always the last of its node; holds the tensor weakly."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = weakref.ref(tensor)

    def __call__(self, g: Any) -> Any:
        tensor = self._tensor()
        if tensor is not None:
            engine.accumulate(tensor, g)
        return g


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away again."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
