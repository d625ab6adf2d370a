"""Lazy modules: sizes that the constructor leaves open are read off the first input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .module import Module
from .parameter import is_lazy

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin(Module):
    """For modules that take some of their sizes from the first input.

    A subclass names this class before the layer it is a lazy form of, sets its parameters to
    `UninitializedParameter()`, and defines `initialize_parameters(*inputs)`, which materializes
    them. After the first call, or once a state_dict has given the shapes and a call has come, the
    object is an ordinary `cls_to_become`.
    """

    cls_to_become: type[Module] | None = None
    reset_parameters: Callable[[], None]  # of the layer that it is mixed with

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy_handles = (
            self.register_load_state_dict_pre_hook(_materialize_as_saved),
            self.register_forward_pre_hook(_infer_parameters, with_kwargs=True),
        )

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materializes the parameters, from the arguments of the first call."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of this module still lacks its shape."""
        own = [*self._parameters.values(), *self._buffers.values()]
        return any(is_lazy(value) for value in own)


def _materialize_as_saved(
    module: Any, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
    missing_keys: Any, unexpected_keys: Any, error_msgs: Any,
) -> None:  # fmt: skip
    for name, value in [*module._parameters.items(), *module._buffers.items()]:
        saved = state_dict.get(prefix + name)
        if is_lazy(value) and saved is not None and not is_lazy(saved):
            value.materialize(saved.shape)


def _infer_parameters(module: Any, args: Any, kwargs: Any) -> None:
    module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
    for handle in module._lazy_handles:
        handle.remove()
    del module._lazy_handles
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become
