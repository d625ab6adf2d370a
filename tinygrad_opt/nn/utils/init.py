"""skip_init: a module whose parameters are not to be relied on."""

from __future__ import annotations

import inspect
from typing import Any

from ..module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Any:
    """Builds `module_cls(*args, **kwargs)`; fill its parameters before use.

    Here they are initialised all the same. Raises RuntimeError for a class that is not a Module, or
    whose constructor does not take `device`.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    return module_cls(*args, **kwargs)
