"""`torch.jit` by name: functions and modules stay as they are, and that is said once.

There is no TorchScript here: `script` and `trace` return what they are given, which computes the
same. `save` and `load` of scripted modules raise NotImplementedError.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = [
    "export", "fork", "freeze", "ignore", "is_scripting", "is_tracing", "load",
    "optimize_for_inference", "save", "script", "script_if_tracing", "trace", "unused", "wait",
]  # fmt: skip

_Any = TypeVar("_Any")
_told = False


def _tell(name: str) -> None:
    global _told
    if not _told:
        _told = True
        warnings.warn(
            f"jit.{name} returns what it is given: tinygrad_opt has no TorchScript "
            "(docs/from_pytorch.md)",
            UserWarning,
            stacklevel=3,
        )


def script(obj: _Any, *args: Any, **kwargs: Any) -> _Any:
    """`obj` itself, a function or a Module; warns once (UserWarning)."""
    _tell("script")
    return obj


def trace(func: _Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> _Any:
    """`func` itself, a function or a Module; warns once (UserWarning)."""
    _tell("trace")
    return func


def freeze(mod: _Any, *args: Any, **kwargs: Any) -> _Any:
    """The module itself."""
    return mod


def optimize_for_inference(mod: _Any, *args: Any, **kwargs: Any) -> _Any:
    """The module itself."""
    return mod


def export(fn: _Any) -> _Any:
    """The method itself."""
    return fn


def unused(fn: _Any) -> _Any:
    """The method itself."""
    return fn


def script_if_tracing(fn: _Any) -> _Any:
    """The function itself."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The method itself; with or without parentheses."""
    return drop if callable(drop) else lambda function: function


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the function returns, computed now; `wait` hands it on."""
    return func(*args, **kwargs)


def wait(future: _Any) -> _Any:
    """What `fork` returned."""
    return future


def save(m: Any, f: Any, *args: Any) -> None:
    """Raises NotImplementedError: store the state_dict."""
    raise NotImplementedError(
        "jit.save: there are no scripted modules in tinygrad_opt; store model.state_dict() with "
        "tinygrad_opt.save, and make the model from its class"
    )


def load(f: Any, *args: Any, **kwargs: Any) -> Any:
    """Raises NotImplementedError: a scripted module is a program, which cannot be read here."""
    raise NotImplementedError(
        "jit.load: a scripted module is a program of PyTorch's, which tinygrad_opt cannot run; "
        "where PyTorch is, store its state_dict() with torch.save, which tinygrad_opt.load reads"
    )
