"""Noticing that a model is evaluated while its parameters hold something else than the result."""

from __future__ import annotations

import warnings
import weakref
from typing import Any

from ..autograd.modes import is_grad_enabled
from ..nn.hooks import register_module_forward_pre_hook
from .optimizer import Optimizer


class Watch:
    """Warns, once, when a module with parameters of `optimizer` is called to be evaluated.

    That is: the module is in eval mode, or nothing is recorded. Modules outside of training pay a
    microsecond for each call as long as it watches, and nothing after `end()`.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = weakref.ref(optimizer)
        self._handle = register_module_forward_pre_hook(self._look)

    def end(self) -> None:
        """Stop watching; a second time does nothing."""
        self._handle.remove()

    def _look(self, module: Any, args: Any) -> None:
        if module.training and is_grad_enabled():
            return
        optimizer = self._optimizer()
        if optimizer is None:
            self.end()
        elif any(p in optimizer.state for p in module.parameters(recurse=False)):
            self.end()
            warnings.warn(
                f"{type(optimizer).__name__}: a {type(module).__name__} is evaluated while its "
                "parameters hold y, where gradients are taken, and not x, the result; call "
                "optimizer.eval() before evaluation, and optimizer.train() after it",
                stacklevel=4,
            )
