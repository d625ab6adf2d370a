"""The part of Module that saves and loads; how it is done stands in `state`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..autograd.hooks import RemovableHandle, add_hook
from . import state
from .hooks import Hooked

__all__ = ["Saving"]


class Saving(Hooked):
    """state_dict and load_state_dict, what subclasses replace of them, and their hooks."""

    _version: int = 1  # of the form that a class saves itself in

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """An ordered dictionary path -> parameter or persistent buffer, sharing memory.

        The values are detached, unless `keep_vars`.
        """
        return state.save(self, destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copies the values of `state_dict` in; with `assign`, takes over its tensors themselves.

        Returns (missing_keys, unexpected_keys), which must be empty where `strict`. Raises
        RuntimeError listing all that does not fit; then nothing has been loaded.
        """
        return state.load(self, state_dict, strict, assign)

    # For subclasses to replace --------------------------------------------------------------------

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        state.save_own(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: Any,
        unexpected_keys: Any, error_msgs: Any,
    ) -> None:  # fmt: skip
        state.load_own(
            self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
            error_msgs,
        )  # fmt: skip

    def get_extra_state(self) -> Any:
        """What else is part of the state_dict; for subclasses to define, with `set_extra_state`."""
        raise RuntimeError(
            f"{type(self).__name__}.get_extra_state is not defined, so nothing should call it"
        )

    def set_extra_state(self, state: Any) -> None:
        """Takes what `get_extra_state` returned; for subclasses to define."""
        raise RuntimeError(
            f"{type(self).__name__}.set_extra_state is not defined, so nothing should call it"
        )

    # Hooks ----------------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before each state_dict is collected."""
        return add_hook(self._make_hooks().saving, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)` with each; it may change it."""
        own = self._make_hooks()
        return add_hook(own.saved, hook, marked=(own.mute,))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """As `register_state_dict_post_hook`, but what the hook returns replaces the dictionary."""
        return add_hook(self._make_hooks().saved, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls the hook before this module is loaded; it may change the dictionary and the lists.

        `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)`; the dictionary is a copy.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """As `register_load_state_dict_pre_hook`; the hook gets the module only `with_module`."""
        own = self._make_hooks()
        marked = (own.with_module,) if with_module else ()
        return add_hook(own.loading, hook, marked=marked)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` after loading; it may change the keys."""
        return add_hook(self._make_hooks().loaded, hook)
