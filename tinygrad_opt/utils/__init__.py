"""What surrounds training, as `torch.utils`: `data` feeds it, `checkpoint` saves memory."""

from . import checkpoint, data, hooks

__all__ = ["checkpoint", "data", "hooks"]
