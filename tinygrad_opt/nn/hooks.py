"""The functions that a Module calls around its forward pass and around its state_dict."""

from __future__ import annotations

from typing import Any

from ..autograd.hooks import RemovableHandle

__all__ = ["Hooks"]


class Hooks:
    """The hooks of one module; made when the first is registered, so others pay nothing."""

    def __init__(self) -> None:
        self.before: list[Any] = []  # (hook, with_kwargs), called before forward
        self.after: list[Any] = []  # (hook, with_kwargs), called after forward
        self.saved: list[Any] = []  # called with each state_dict
        self.loading: list[Any] = []  # called before a state_dict is loaded
        self.loaded: list[Any] = []  # called once it has been loaded

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run `module.forward` between the hooks, each of which may replace what it is shown."""
        for hook, with_kwargs in tuple(self.before):
            if with_kwargs:
                changed = hook(module, args, kwargs)
                if changed is not None:
                    args, kwargs = _pair(changed)
            else:
                changed = hook(module, args)
                if changed is not None:
                    args = changed if isinstance(changed, tuple) else (changed,)
        output = module.forward(*args, **kwargs)
        for hook, with_kwargs in tuple(self.after):
            extra = (kwargs,) if with_kwargs else ()
            changed = hook(module, args, *extra, output)
            if changed is not None:
                output = changed
        return output


def _pair(changed: Any) -> Any:
    if isinstance(changed, tuple) and len(changed) == 2:
        return changed
    raise RuntimeError(
        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
        f"{changed!r}"
    )


def add(hooks: list[Any], entry: Any, prepend: bool = False) -> RemovableHandle:
    """Put `entry` first or last; the handle takes it out again."""
    hooks.insert(0 if prepend else len(hooks), entry)
    return RemovableHandle(hooks, entry)
