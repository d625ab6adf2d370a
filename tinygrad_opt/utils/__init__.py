"""What surrounds training, as `torch.utils`: `data` feeds it, `checkpoint` saves memory."""

from . import checkpoint, data, hooks

__all__ = ["checkpoint", "data", "hooks"]


def __getattr__(name: str) -> object:
    if name == "tensorboard":  # loaded when somebody asks for it
        from importlib import import_module

        return import_module(f"{__name__}.tensorboard")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
