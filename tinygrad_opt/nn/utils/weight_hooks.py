"""Forward pre-hooks that compute a weight anew: finding one, and taking it off again."""

from __future__ import annotations

from typing import Any

from ..parameter import Parameter

__all__ = ["remove_hook", "require_none"]


def _find(module: Any, kind: Any, name: str) -> int | None:
    """The id of the module's hook of this kind for `name`, or None."""
    hooks = module._forward_pre_hooks.items()
    return next((i for i, h in hooks if isinstance(h, kind) and h.name == name), None)


def require_none(module: Any, kind: type, name: str, title: str) -> None:
    """Raises RuntimeError if there is such a hook already."""
    if _find(module, kind, name) is not None:
        raise RuntimeError(f"Cannot register two {title} hooks on the same parameter {name}")


def remove_hook(module: Any, kind: type, name: str, title: str, ends: str, **how: Any) -> None:
    """Makes the weight, as the hook computes it, a parameter again.

    `ends`: of the attributes that stood for it. Raises ValueError if there is no such hook.
    """
    id = _find(module, kind, name)
    if id is None:
        raise ValueError(f"{title} of '{name}' not found in {module}")
    weight = module._forward_pre_hooks.pop(id).weight(module, **how).detach()
    for attribute in (name, *(name + end for end in ends.split())):
        delattr(module, attribute)
    module.register_parameter(name, Parameter(weight))
