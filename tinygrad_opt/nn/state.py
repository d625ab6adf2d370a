"""state_dict: a Module's parameters and persistent buffers by path, out and in again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .._tensor import Tensor
from ..backend import device_of, to_device
from .parameter import Parameter
from .registry import BUFFER, MODULE, PARAMETER

__all__ = ["IncompatibleKeys", "load", "save"]


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: the paths that one side has and the other has not."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


def save(module: Any, destination: Any, prefix: str, keep_vars: bool) -> dict[str, Any]:
    """Collect the state of `module` and all below it; see Module.state_dict."""
    state = OrderedDict() if destination is None else destination
    for name, tensor in _entries(module):
        state[prefix + name] = tensor if keep_vars else tensor.detach()
    for name, child in module._own(MODULE):
        if child is not None:
            child.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    if module._hooks is not None:
        for hook in tuple(module._hooks.saved):
            hook(module, state, prefix, {})
    return state


def load(module: Any, given: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Check every entry of `given`, then copy them all in; see Module.load_state_dict."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(given).__name__}.")
    state = OrderedDict(given)
    modules = list(module.named_modules(remove_duplicate=False))
    for path, part in modules:
        if part._hooks is not None:
            for hook in tuple(part._hooks.loading):
                hook(part, state, f"{path}." if path else "")
    own = {
        (f"{path}.{name}" if path else name): (part, name, tensor)
        for path, part in modules
        for name, tensor in _entries(part)
    }
    keys = IncompatibleKeys([k for k in own if k not in state], [k for k in state if k not in own])
    problems = _key_problems(keys) if strict else []
    for key, (_, _, tensor) in own.items():
        if key in state:
            problems += _misfits(key, tensor, state[key])
    if problems:
        listed = "\n\t".join(problems)
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{listed}"
        )
    for key, (part, name, tensor) in own.items():
        if key in state:
            _put(part, name, tensor, state[key], assign)
    for _, part in modules:
        if part._hooks is not None:
            for hook in tuple(part._hooks.loaded):
                hook(part, keys)
    return keys


def _entries(module: Any) -> Iterator[tuple[str, Any]]:
    """(name, tensor) of what `module` itself saves: parameters first, then buffers."""
    for name, tensor in module._own(PARAMETER):
        if tensor is not None:
            yield name, tensor
    for name, tensor in module._own(BUFFER):
        if tensor is not None and name not in module._transient:
            yield name, tensor


def _key_problems(keys: IncompatibleKeys) -> list[str]:
    titles = ("Missing", "Unexpected")
    return [
        f"{title} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in found) + ". "
        for title, found in zip(titles, keys, strict=True)
        if found
    ]


def _misfits(key: str, tensor: Any, value: Any) -> list[str]:
    if not isinstance(value, Tensor):
        return [
            f'While copying the parameter named "{key}", expected a Tensor from checkpoint but '
            f"received {type(value).__name__}"
        ]
    if value.shape != tensor.shape:
        return [
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
            f"the shape in current model is {tensor.shape}."
        ]
    return []


def _put(module: Any, name: str, tensor: Any, value: Any, assign: bool) -> None:
    if not assign:
        tensor.array[...] = to_device(value.array, device_of(tensor.array))
    elif isinstance(tensor, Parameter) and not isinstance(value, Parameter):
        module.__dict__[name] = Parameter(value, tensor.requires_grad)
    else:
        module.__dict__[name] = value
