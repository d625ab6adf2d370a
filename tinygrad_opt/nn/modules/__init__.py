"""`nn` by PyTorch's longer path: `nn.modules.Linear`, `nn.modules.module`."""

from typing import Any

from . import module, utils

__all__ = ["module", "utils"]


def __getattr__(name: str) -> Any:
    from ... import nn

    if not hasattr(nn, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(nn, name)
